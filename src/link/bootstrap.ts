/**
 * How a link begins: the parties prove who they are, by a pre-shared key or by certificates, and get the first
 * authentication keys from it. No payload key ever comes of it: what comes out is a ledger, which gives tags only.
 *
 * What holds from when, once the secret that authenticated the bootstrap (PSK or private key) is public:
 * - PKI, and PSK with exchange: from the end of the bootstrap on it opens nothing, as the keys follow from an ephemeral
 *   exchange that is over. That is computational security, until the bootstrap's key is spent or retired.
 * - PSK without exchange: whoever recorded the nonces derives the bootstrap's keys, and can forge until both parties
 *   pay tags with link-made key alone (`Ledger.nextOrigin` is "link" both ways; `retireBootstrap` gets there at once,
 *   and is the only way there for HMAC and GMAC, which spend little).
 * - In each case, key that the link made while nobody could forge was told to nobody and stays secret for ever. Key made
 *   while somebody could, because a PSK without exchange was public too early, may be a middleman's.
 * - `signature` as the method goes on using the private key: it must stay secret as long as the link runs.
 */
import { keyExchangeGroup, type PendingExchange } from "../crypto/groups.ts";
import { schemeOf } from "../crypto/schemes.ts";
import { parseCertificate } from "../pki/certificate.ts";
import { limits, verifyChain } from "../pki/verify.ts";
import { EMPTY, equal, utf8 } from "../protocol/bytes.ts";
import { LinkError, ProtocolError, TrustError, UsageError } from "../protocol/errors.ts";
import { NamedGroup, SignatureScheme } from "../protocol/iana.ts";
import { encode } from "../wire/codec.ts";
import { AUTHENTICATION_METHODS } from "./authentication.ts";
import { BootstrapKeys, signedTranscript } from "./bootstrap-keys.ts";
import {
  BootstrapMessages,
  type Bootstrapped,
  type BootstrapSettings,
  Chain,
  DEFAULT_KEY_BYTES,
  demandSettings,
  type Hello,
  MODES,
  NONCE_BYTES,
  PARTIES,
  type PkiTrust,
  type Proof,
  signaturePart,
  STAGE,
} from "./bootstrap-settings.ts";
import { Ledger, type Party } from "./ledger.ts";
import { unexpected } from "./message.ts";

const GROUP = "X25519MLKEM768";

/** One party's part of a bootstrap: Alice's hello, Bob's hello and proof, Alice's proof. */
export class Bootstrap {
  readonly #settings: BootstrapSettings;
  readonly #keyBytes: number;
  readonly #keys: BootstrapKeys;
  readonly #pending: PendingExchange | undefined;
  #awaits: "start" | "hello" | "proof" | "nothing";
  #peer: Bootstrapped["peer"];
  #result: Bootstrapped | undefined;

  /** Throws a UsageError for settings that cannot be. */
  constructor(settings: BootstrapSettings) {
    this.#settings = settings;
    this.#keyBytes = settings.keyBytes ?? DEFAULT_KEY_BYTES;
    const hash = settings.provider.hash("sha384");
    demandSettings(settings, this.#keyBytes, 255 * hash.outputBytes);
    this.#keys = new BootstrapKeys(hash);
    const isFirst = settings.party === "alice";
    this.#awaits = isFirst ? "start" : "hello";
    if (isFirst && this.#hasExchange) this.#pending = keyExchangeGroup(settings.provider, GROUP).start();
  }

  /** Undefined until the peer has proven itself. The caller owns the ledger in it. */
  get result(): Bootstrapped | undefined {
    return this.#result;
  }

  /** Alice's first message. */
  start(): Uint8Array[] {
    if (this.#awaits !== "start")
      throw new LinkError("ERR_LINK_CLOSED", `${STAGE}: it does not start here or now`);
    this.#awaits = "hello";
    return [this.#hello(this.#pending?.share ?? EMPTY)];
  }

  /**
   * The answers to one message. Throws, and is closed: a LinkError for a message that is none, does not fit or lacks the
   * secret (ERR_LINK_FORGED), a TrustError for a certificate or an identity that is not trusted.
   */
  receive(message: Uint8Array): Uint8Array[] {
    const { kind, body } = this.#guarded(() => BootstrapMessages.read(message));
    if (kind !== this.#awaits) {
      const awaited = this.#awaits;
      this.close();
      if (awaited === "nothing") throw new LinkError("ERR_LINK_CLOSED", `${STAGE}: it has ended`);
      throw unexpected(STAGE, kind, awaited);
    }
    return this.#guarded(() =>
      kind === "hello" ? this.#onHello(message, body) : this.#onProof(message, body),
    );
  }

  /** Ends it and wipes what it holds; a result that was reached stays the caller's. */
  close(): void {
    this.#awaits = "nothing";
    this.#keys.wipe();
  }

  get #hasExchange(): boolean {
    const { trust } = this.#settings;
    return trust.kind === "pki" || trust.exchange !== false;
  }

  get #mode(): number {
    const { trust } = this.#settings;
    return MODES.indexOf(trust.kind === "pki" ? "pki" : this.#hasExchange ? "psk-exchange" : "psk");
  }

  get #peerParty(): Party {
    return this.#settings.party === "alice" ? "bob" : "alice";
  }

  #hello(share: Uint8Array): Uint8Array {
    const { party, method, trust, provider } = this.#settings;
    const hello = BootstrapMessages.write("hello", {
      party: PARTIES.indexOf(party),
      mode: this.#mode,
      method: AUTHENTICATION_METHODS.indexOf(method),
      key_bytes: this.#keyBytes,
      group: this.#hasExchange ? NamedGroup[GROUP] : 0,
      psk_identity: trust.kind === "psk" ? utf8(trust.identity) : EMPTY,
      nonce: provider.random(NONCE_BYTES),
      share,
    });
    this.#keys.hear(hello);
    return hello;
  }

  #onHello(message: Uint8Array, body: Hello): Uint8Array[] {
    const { trust, party, provider, method } = this.#settings;
    const psk = trust.kind === "psk" ? trust.key : undefined;
    if (body.party !== PARTIES.indexOf(this.#peerParty)) throw mismatched("party", body.party);
    if (body.mode !== this.#mode) throw mismatched("mode", body.mode);
    if (body.method !== AUTHENTICATION_METHODS.indexOf(method)) throw mismatched("method", body.method);
    if (body.key_bytes !== this.#keyBytes) throw mismatched("key_bytes", body.key_bytes);
    if (body.group !== (this.#hasExchange ? NamedGroup[GROUP] : 0)) throw mismatched("group", body.group);
    if (!this.#hasExchange && body.share.length > 0) throw mismatched("share", body.share.length);
    const identity = trust.kind === "psk" ? utf8(trust.identity) : EMPTY;
    if (!equal(identity, body.psk_identity)) {
      throw new TrustError(
        "ERR_PSK_UNKNOWN",
        "unknown_psk_identity",
        `${STAGE}: the peer means another pre-shared key`,
      );
    }
    this.#keys.hear(message);
    this.#awaits = "proof";
    if (party === "alice") {
      this.#keys.mix(psk, this.#pending?.complete(body.share));
      return [];
    }
    const exchanged = this.#hasExchange ? keyExchangeGroup(provider, GROUP).respond(body.share) : undefined;
    const hello = this.#hello(exchanged?.share ?? EMPTY);
    this.#keys.mix(psk, exchanged?.secret);
    return [hello, this.#prove()];
  }

  #onProof(message: Uint8Array, body: Proof): Uint8Array[] {
    const { trust, party } = this.#settings;
    const peer = this.#peerParty;
    this.#keys.hear(encode(Chain, body.chain));
    if (trust.kind === "pki") this.#peer = this.#verified(trust, body);
    else if (body.chain.length > 0 || body.scheme !== 0 || body.signature.length > 0) {
      throw mismatched("chain", body.chain.length);
    }
    this.#keys.hear(signaturePart(body));
    if (!this.#keys.isMac(peer, body.mac)) {
      throw new LinkError(
        "ERR_LINK_FORGED",
        `${STAGE}: the peer does not have the secret, or saw other messages`,
      );
    }
    this.#keys.hear(message);
    const answer = party === "alice" ? [this.#prove()] : [];
    this.#result = {
      ledger: new Ledger(party, this.#keys.keys(this.#keyBytes)),
      context: this.#keys.heard(),
      peer: this.#peer,
    };
    this.close();
    return answer;
  }

  #prove(): Uint8Array {
    const { trust, party } = this.#settings;
    const chain = trust.kind === "pki" ? trust.identity.chain : [];
    this.#keys.hear(encode(Chain, chain));
    const signed = trust.kind === "pki" ? this.#sign(trust) : { scheme: 0, signature: EMPTY };
    this.#keys.hear(signaturePart(signed));
    const proof = BootstrapMessages.write("proof", { chain, ...signed, mac: this.#keys.mac(party) });
    this.#keys.hear(proof);
    return proof;
  }

  #sign({ identity }: PkiTrust): { readonly scheme: number; readonly signature: Uint8Array } {
    const [name] = identity.schemes;
    const scheme = name === undefined ? undefined : schemeOf(SignatureScheme[name]);
    if (scheme === undefined)
      throw new UsageError("ERR_OPTION_UNSUPPORTED", "the identity's key cannot sign");
    const content = signedTranscript(this.#settings.party, this.#keys.heard());
    return { scheme: scheme.code, signature: identity.key.sign(scheme.algorithm, content) };
  }

  #verified(
    { anchors, peerName, peerCommonName, nowMs }: PkiTrust,
    { chain, scheme: code, signature }: Proof,
  ): Bootstrapped["peer"] {
    const scheme = schemeOf(code);
    if (scheme === undefined || !scheme.handshake) throw mismatched("scheme", code);
    if (chain.length > limits.chainCertificates) throw mismatched("chain", chain.length);
    const path = verifyChain({
      provider: this.#settings.provider,
      chain: chain.map((der) => parseCertificate(der.slice())),
      anchors,
      purpose: this.#peerParty === "alice" ? "client" : "server",
      name: peerName,
      nowMs,
    });
    const { commonName } = path.leaf.subject;
    if (peerCommonName !== undefined && commonName !== peerCommonName) {
      const text = `${STAGE}: the peer's certificate is that of ${commonName ?? "nobody"}, not of ${peerCommonName}`;
      throw new TrustError("ERR_CERT_NAME_MISMATCH", "certificate_unknown", text);
    }
    const content = signedTranscript(this.#peerParty, this.#keys.heard());
    if (scheme.kind !== path.key.kind || !path.key.verify(scheme.algorithm, content, signature)) {
      throw new LinkError("ERR_LINK_FORGED", `${STAGE}: the peer does not have the key of its certificate`);
    }
    return { path, scheme };
  }

  #guarded<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      this.close();
      // A share that is no share: the groups speak of TLS.
      if (!(cause instanceof ProtocolError)) throw cause;
      throw new LinkError("ERR_LINK_MALFORMED", `${STAGE}: ${cause.message}`, { cause });
    }
  }
}

const mismatched = (field: string, value: number): LinkError =>
  new LinkError("ERR_LINK_MALFORMED", `${STAGE}: ${field} ${value} is not what was agreed`);
