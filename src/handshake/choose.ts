/** What a server makes of a ClientHello: checks, suite, group, and whether to ask again. RFC 9846 §4.2.1. */
import { equal, fromUtf8, utf8 } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { PskKeyExchangeMode, TLS12, TLS13 } from "../protocol/iana.ts";
import { decode } from "../wire/codec.ts";
import { ClientHello, HELLO_RETRY_RANDOM, HelloRetryRequest } from "../wire/hello.ts";
import { encodeHandshake } from "../wire/handshake.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import type { KeyExchangeGroup } from "../crypto/groups.ts";
import type { HashName } from "../crypto/provider.ts";
import type { Suite } from "../crypto/suites.ts";
import { checkOfferedTypes } from "./certificate-type.ts";
import { checkCompressionOffer } from "./certificate-compression.ts";
import { illegalParameter, missingExtension, nothingInCommon, wrongVersion } from "./fault.ts";
import { allowsExchange, missingLeg } from "./policy.ts";
import type { ReceivedHello, Retry } from "./server-state.ts";
import type { ServerSettings } from "./settings.ts";

/** Reads a ClientHello and checks what does not depend on our choices. Throws a ProtocolError. */
export function readHello(message: HandshakeMessage): ReceivedHello {
  const hello = decode(ClientHello, message.body);
  const { extensions } = hello;
  if (!(extensions.supported_versions ?? []).includes(TLS13) || hello.legacy_version !== TLS12) {
    throw wrongVersion("client_hello: the client does not speak TLS 1.3");
  }
  if (!equal(hello.legacy_compression_methods, Uint8Array.of(0))) {
    throw illegalParameter("client_hello: legacy_compression_methods is not the null method alone");
  }
  checkShares(hello);
  checkPsks(hello);
  checkOfferedTypes(extensions.client_certificate_type, "client_certificate_type");
  checkOfferedTypes(extensions.server_certificate_type, "server_certificate_type");
  checkCompressionOffer(extensions.compress_certificate, "client_hello");
  const limit = extensions.record_size_limit;
  if (limit !== undefined && limit < 64) {
    throw illegalParameter(`client_hello: record_size_limit ${limit} is below 64`);
  }
  const serverName = readServerName(hello);
  return { hello, bytes: message.bytes, ...(serverName === undefined ? {} : { serverName }) };
}

function checkShares({ extensions }: ClientHello): void {
  const { supported_groups: groups, key_share: shares } = extensions;
  if ((groups === undefined) !== (shares === undefined)) {
    throw missingExtension("client_hello: supported_groups and key_share belong together");
  }
  if (groups === undefined && extensions.pre_shared_key === undefined) {
    throw missingExtension("client_hello: neither key_share nor pre_shared_key");
  }
  if (extensions.signature_algorithms === undefined && extensions.pre_shared_key === undefined) {
    throw missingExtension("client_hello: neither signature_algorithms nor pre_shared_key");
  }
  // Sets, so that a hello full of groups and shares costs no more than its length.
  const offered = new Set(groups);
  const seen = new Set<number>();
  for (const { group } of shares ?? []) {
    if (seen.has(group)) throw illegalParameter("client_hello: two key shares for one group");
    if (!offered.has(group)) throw illegalParameter("client_hello: a key share for a group not offered");
    seen.add(group);
  }
}

function checkPsks({ extensions }: ClientHello): void {
  const { pre_shared_key: psks, psk_key_exchange_modes: modes } = extensions;
  if (psks !== undefined) {
    if (modes === undefined)
      throw missingExtension("client_hello: pre_shared_key without psk_key_exchange_modes");
    if (psks.identities.length !== psks.binders.length) {
      throw illegalParameter("client_hello: not as many binders as identities");
    }
  }
  if (extensions.tls_cert_with_extern_psk === undefined) return;
  // RFC 9973 §4: all of these belong with it, and early data never does.
  if (psks === undefined || extensions.key_share === undefined) {
    throw missingExtension("client_hello: tls_cert_with_extern_psk needs pre_shared_key and key_share");
  }
  if (!modes?.includes(PskKeyExchangeMode.psk_dhe_ke)) {
    throw illegalParameter("client_hello: tls_cert_with_extern_psk needs psk_dhe_ke");
  }
  if (extensions.early_data) throw illegalParameter("client_hello: early_data with tls_cert_with_extern_psk");
}

function readServerName({ extensions }: ClientHello): string | undefined {
  const names = extensions.server_name;
  if (names === undefined) return undefined;
  const [first, ...others] = names;
  let text: string | undefined;
  try {
    text = first === undefined ? undefined : fromUtf8(first.host_name);
  } catch {
    text = undefined;
  }
  if (others.length > 0 || first?.name_type !== 0 || text === undefined || !/^[\w.-]{1,255}$/.test(text)) {
    throw illegalParameter("client_hello: server_name is no single host name");
  }
  return text.replace(/\.$/, "").toLowerCase();
}

/** Checks that a second ClientHello is the first one with what was asked for. RFC 9846 §4.2.2. */
export function checkSecondHello(received: ReceivedHello, retry: Retry): void {
  const { hello } = received;
  const first = retry.first.hello;
  const same =
    equal(hello.random, first.random) &&
    equal(hello.legacy_session_id, first.legacy_session_id) &&
    hello.cipher_suites.join() === first.cipher_suites.join() &&
    (hello.extensions.supported_groups ?? []).join() === (first.extensions.supported_groups ?? []).join() &&
    received.serverName === retry.first.serverName;
  if (!same)
    throw illegalParameter("client_hello: the second one is not the first one with the retry's changes");
  if (hello.extensions.early_data) throw illegalParameter("client_hello: early_data after a retry");
  const cookie = hello.extensions.cookie;
  if (cookie === undefined) throw missingExtension("client_hello: cookie");
  if (!equal(cookie, retry.cookie)) throw illegalParameter("client_hello: the cookie is not ours");
  const shares = hello.extensions.key_share ?? [];
  if (retry.group !== undefined && (shares.length !== 1 || shares[0]?.group !== retry.group.code)) {
    throw illegalParameter("client_hello: the key share asked for is not the only one");
  }
}

/** The cipher suite, by our order or the client's; with `hash`, only among suites of that hash. */
export function chooseSuite(
  hello: ClientHello,
  settings: ServerSettings,
  hash?: HashName,
): Suite | undefined {
  const mutual = settings.honorOwnOrder
    ? settings.suites.filter(({ code }) => hello.cipher_suites.includes(code))
    : hello.cipher_suites.flatMap((code) => settings.suites.filter((suite) => suite.code === code));
  return mutual.find((suite) => hash === undefined || suite.hash === hash);
}

/** What comes of the client's groups: one to use at once, one to ask for, or none. */
export type GroupChoice =
  | { readonly group: KeyExchangeGroup; readonly shared: boolean }
  | { readonly group?: undefined };

/** Throws a TrustError naming the leg when policy alone stands in the way. */
export function chooseGroup(hello: ClientHello, settings: ServerSettings): GroupChoice {
  const offered = hello.extensions.supported_groups ?? [];
  const shares = hello.extensions.key_share ?? [];
  const mutual = preferred(settings, offered).filter(
    (group) => offered.includes(group.code) && allowsExchange(settings.policy, group),
  );
  const [best] = mutual;
  if (best !== undefined) {
    const ready = mutual.find(({ code }) => shares.some(({ group }) => group === code));
    // A share already here saves a round trip, unless waiting for another brings ML-KEM in.
    if (ready !== undefined && (ready.mlkem || !best.mlkem)) return { group: ready, shared: true };
    return { group: best, shared: false };
  }
  const modes = hello.extensions.psk_key_exchange_modes ?? [];
  if (settings.pskKe && modes.includes(PskKeyExchangeMode.psk_ke)) return {};
  if (settings.policy.mlkem === "required" && !offered.some(isMlKem)) {
    throw missingLeg(settings.policy, "mlkem", "the client offers no group with ML-KEM");
  }
  throw nothingInCommon("client_hello: no key exchange group in common");
}

/** Our groups in our order, and in the client's where several rank equal. */
function preferred(
  { groups, equalGroups }: ServerSettings,
  offered: readonly number[],
): readonly KeyExchangeGroup[] {
  if (equalGroups.length === 0) return groups;
  const rank = ({ code }: KeyExchangeGroup): number => {
    const equals = equalGroups.find((codes) => codes.includes(code)) ?? [code];
    return groups.findIndex((each) => equals.includes(each.code));
  };
  return groups.toSorted((a, b) => rank(a) - rank(b) || offered.indexOf(a.code) - offered.indexOf(b.code));
}

const isMlKem = (code: number): boolean =>
  (code >= 0x0200 && code <= 0x0202) || (code >= 0x11eb && code <= 0x11ee);

/** A HelloRetryRequest. RFC 9846 §4.2.4. */
export function retryMessage(
  hello: ClientHello,
  suite: Suite,
  group: number | undefined,
  cookie: Uint8Array,
): Uint8Array {
  return encodeHandshake("server_hello", HelloRetryRequest, {
    legacy_version: TLS12,
    random: HELLO_RETRY_RANDOM,
    legacy_session_id_echo: hello.legacy_session_id,
    cipher_suite: suite.code,
    legacy_compression_method: 0,
    extensions: {
      supported_versions: TLS13,
      cookie,
      ...(group === undefined ? {} : { key_share: group }),
    },
  });
}

/** The application protocol: our first that the client offers too. RFC 7301 §3.2. */
export function chooseProtocol(hello: ClientHello, settings: ServerSettings): string | undefined {
  const offered = hello.extensions.application_layer_protocol_negotiation;
  if (offered === undefined || settings.alpn.length === 0) return undefined;
  const chosen = settings.alpn.find((name) => {
    const ours = utf8(name);
    return offered.some((theirs) => equal(theirs, ours));
  });
  if (chosen === undefined) {
    throw new ProtocolError(
      "ERR_TLS_NO_ALPN",
      "no_application_protocol",
      "no application protocol in common",
    );
  }
  return chosen;
}
