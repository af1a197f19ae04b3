import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { ContentType, ExtensionType, HandshakeType, NamedGroup } from "../../src/protocol/iana.ts";
import { suiteOf, type Suite } from "../../src/crypto/suites.ts";
import { checkFinished, signedContent } from "../../src/handshake/authenticate.ts";
import {
  HandshakeJoiner,
  RecordFramer,
  type HandshakeMessage,
  type RawRecord,
} from "../../src/record/framer.ts";
import { Output } from "../../src/record/output.ts";
import { Source } from "../../src/record/source.ts";
import { RecordOpener, RecordSealer, writePlaintext } from "../../src/record/protection.ts";
import { deriveSecret, extract } from "../../src/schedule/label.ts";
import { EarlySecret, finishedData, type BinderKind } from "../../src/schedule/stages.ts";
import { ticketPsk, trafficKeys, type TrafficKeys } from "../../src/schedule/traffic.ts";
import { Transcript } from "../../src/schedule/transcript.ts";
import { decode } from "../../src/wire/codec.ts";
import { NewSessionTicket } from "../../src/wire/handshake.ts";
import { bindersBytes, ClientHello, decodeServerHello, type ServerHello } from "../../src/wire/hello.ts";
import { extension, field } from "../support/codec-rules.ts";
import { provider } from "../support/credentials.ts";

const file = join(process.env["QKD_TLS_VECTORS"] ?? "../shared/vectors", "rfc8448", "transcripts.vec");
const present = existsSync(file);
if (!present) process.stdout.write(`skipped: the RFC 8448 traces are not at ${file}\n`);

type Trace = Readonly<Record<string, Uint8Array>>;

/** `[name]` headings, then `field = hex` lines; a few have a space among their digits. */
function readTraces(): Map<string, Trace> {
  const found = new Map<string, Trace>();
  let trace: Record<string, Uint8Array> = {};
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading !== undefined) found.set(heading, (trace = {}));
    const [, field, hex] = /^(\w+) = ([0-9a-fA-F ]*)$/.exec(line) ?? [];
    const bytes = hex === undefined ? undefined : fromHex(hex.replaceAll(" ", ""));
    if (field !== undefined && bytes !== undefined) trace[field] = bytes;
  }
  return found;
}

const suite = suiteOf(0x1301) as Suite;
const hash = provider.hash(suite.hash);

/** The records of a flight, change_cipher_spec apart. */
function records(bytes: Uint8Array): RawRecord[] {
  const framer = new RecordFramer();
  framer.feed(bytes);
  const all: RawRecord[] = [];
  for (let next = framer.next(); next !== undefined; next = framer.next()) {
    if (next.type !== ContentType.change_cipher_spec) all.push(next);
  }
  return all;
}

const messageIn = (record: Uint8Array): Uint8Array => concat(records(record).map(({ fragment }) => fragment));

function messages(fragments: readonly Uint8Array[]): HandshakeMessage[] {
  const joiner = new HandshakeJoiner();
  for (const fragment of fragments) joiner.push(fragment);
  const all: HandshakeMessage[] = [];
  for (let next = joiner.next(65_536); next !== undefined; next = joiner.next(65_536)) all.push(next);
  expect(joiner.idle).toBe(true);
  return all;
}

/** One direction under one key: opens what the trace has and demands that sealing gives the same bytes again. */
class Direction {
  readonly #opener: RecordOpener;
  readonly #sealer: RecordSealer;

  constructor(keys: TrafficKeys) {
    this.#opener = new RecordOpener(keys);
    this.#sealer = new RecordSealer(keys);
  }

  open(bytes: Uint8Array): { readonly type: number; readonly content: Uint8Array }[] {
    return records(bytes).map((record) => {
      const whole = concat([record.header, record.fragment]);
      const opened = this.#opener.open(record);
      expect(opened).toBeDefined();
      const output = new Output();
      this.#sealer.seal(opened!.type, new Source([opened!.content]), output);
      expect(toHex(concat(output.take()))).toBe(toHex(whole));
      return opened!;
    });
  }
}

interface Psk {
  readonly secret: Uint8Array;
  readonly kind: BinderKind;
}

/** RFC 9846 §4.3.11.2: the binder in a ClientHello is the one that its PSK gives. */
function expectBinder(message: Uint8Array, transcript: Transcript, psk: Psk): void {
  const psks = decode(ClientHello, message.subarray(4)).extensions.pre_shared_key!;
  const truncated = message.subarray(0, message.length - bindersBytes(psks));
  const early = new EarlySecret(hash, psk.secret);
  expect(toHex(early.binder(psk.kind, transcript.hashTruncated(hash, truncated)))).toBe(
    toHex(psks.binders[0]!),
  );
}

/** Everything from the hellos on, checked byte for byte; gives what a resumption goes on with. RFC 8448. */
function follow(trace: Trace, psk?: Psk): { readonly resumption: Uint8Array } {
  const transcript = new Transcript();
  const hello = messageIn(trace["Record_ClientHello_1"]!);
  if (psk !== undefined) expectBinder(hello, transcript, psk);
  transcript.add(hello);
  if (trace["Record_HelloRetryRequest"] !== undefined) {
    const retry = messageIn(trace["Record_HelloRetryRequest"]);
    const decoded = decodeServerHello(retry.subarray(4));
    expect(decoded.retry).toBe(true);
    expect(decoded.hello.extensions.key_share).toBe(NamedGroup.secp256r1);
    transcript.foldRetry(hash);
    transcript.add(retry);
    transcript.add(messageIn(trace["Record_ClientHello_2"]!));
  }
  transcript.select(hash);
  const serverHello = trace["Message_ServerHello"]!;
  expect(toHex(messageIn(trace["Record_ServerHello"]!))).toBe(toHex(serverHello));
  const output = new Output();
  writePlaintext(ContentType.handshake, new Source([serverHello]), output);
  expect(toHex(concat(output.take()))).toBe(toHex(trace["Record_ServerHello"]!));
  transcript.add(serverHello);

  const early = new EarlySecret(hash, psk?.secret);
  const secret = early.intoHandshake(sharedSecret(trace, serverHello));
  const [clientSecret, serverSecret] = [
    secret.clientTraffic(transcript.hash()),
    secret.serverTraffic(transcript.hash()),
  ];
  const main = secret.intoMain();
  const server = new Direction(trafficKeys(provider, suite, serverSecret));
  const serverFlight =
    psk?.kind === "res binder"
      ? resumedFlight(trace)
      : flightOf(server, trace["Record_ServerHandshakeMessages"]!);
  expectFlight(trace, "Server", serverFlight, transcript, serverSecret);
  const afterServer = transcript.hash();

  const client = new Direction(trafficKeys(provider, suite, clientSecret));
  if (psk?.kind === "res binder") {
    const [endOfEarlyData, ...rest] = splitRecords(trace["Record_ClientFinished"]!);
    openEarlyData(trace, hello, psk, endOfEarlyData!, transcript);
    expectFlight(trace, "Client", flightOf(client, concat(rest)), transcript, clientSecret);
  } else {
    expectFlight(
      trace,
      "Client",
      flightOf(client, trace["Record_ClientFinished"]!),
      transcript,
      clientSecret,
    );
  }

  const application = {
    client: new Direction(trafficKeys(provider, suite, main.clientTraffic(afterServer))),
    server: new Direction(trafficKeys(provider, suite, main.serverTraffic(afterServer))),
  };
  const resumption = main.resumption(transcript.hash());
  if (trace["Record_NewSessionTicket"] !== undefined) expectTicket(trace, application.server);
  expectData(trace, "Client", application.client);
  expectData(trace, "Server", application.server);
  return { resumption };
}

const flightOf = (direction: Direction, bytes: Uint8Array): HandshakeMessage[] =>
  messages(direction.open(bytes).map(({ content }) => content));

/**
 * The RFC's server echoes server_name on a resumption; the file has the flight of one that does not, and everything
 * else as in the RFC. So the extension is put back, which Finished and all later records confirm.
 */
function resumedFlight(trace: Trace): HandshakeMessage[] {
  const given = trace["Message_EncryptedExtensions"]!;
  const earlyData = given.length - 4;
  const block = field(
    2,
    given.subarray(6, earlyData),
    extension(ExtensionType.server_name),
    given.subarray(earlyData),
  );
  return messages([given.subarray(0, 1), field(3, block), trace["Message_Server_Finished"]!]);
}

/** Each record with its header. */
const splitRecords = (bytes: Uint8Array): Uint8Array[] =>
  records(bytes).map(({ header, fragment }) => concat([header, fragment]));

/** The client's private key ends what its random generator gave. */
function sharedSecret(trace: Trace, serverHello: Uint8Array): Uint8Array {
  const { extensions } = decodeServerHello(serverHello.subarray(4)).hello as ServerHello;
  const { group, key_exchange } = extensions.key_share!;
  const curve = group === NamedGroup.secp256r1 ? "secp256r1" : "x25519";
  const pair = provider.ecdh(curve).fromPrivateKey!(trace["Client_RNG_Pool"]!.slice(-32));
  return pair.agree(key_exchange)!;
}

/** A flight of one side: its messages, what its signature signs, and its Finished. */
function expectFlight(
  trace: Trace,
  side: "Client" | "Server",
  flight: readonly HandshakeMessage[],
  transcript: Transcript,
  secret: Uint8Array,
): void {
  const fields = new Map<number, string>([
    [HandshakeType.encrypted_extensions, "Message_EncryptedExtensions"],
    [HandshakeType.certificate_request, "Message_CertificateRequest"],
    [HandshakeType.certificate, "Message_Server_Certificate"],
    [HandshakeType.certificate_verify, "Message_Server_CertificateVerify"],
    [HandshakeType.finished, "Message_Server_Finished"],
  ]);
  for (const { type, bytes, body } of flight) {
    if (type === HandshakeType.certificate_verify) {
      const content = signedContent(side === "Client" ? "client" : "server", transcript.hash());
      expect(toHex(content)).toBe(toHex(trace[`${side}_MessageToSign`]!));
      expect(toHex(body.subarray(4))).toBe(toHex(trace[`${side}_MessageSignature`]!));
    }
    if (type === HandshakeType.finished) {
      expect(() => checkFinished(body, hash, secret, transcript.hash())).not.toThrow();
      expect(toHex(finishedData(hash, secret, transcript.hash()))).toBe(toHex(body));
    }
    const restored = type === HandshakeType.encrypted_extensions && "Client_EarlyAppData" in trace;
    if (side === "Server" && !restored) expect(toHex(bytes)).toBe(toHex(trace[fields.get(type)!]!));
    transcript.add(bytes);
  }
  expect(flight.at(-1)?.type).toBe(HandshakeType.finished);
}

/** What came before the handshake was done, under a secret of ClientHello alone. RFC 9846 §7.1. */
function openEarlyData(
  trace: Trace,
  hello: Uint8Array,
  psk: Psk,
  endOfEarlyData: Uint8Array,
  transcript: Transcript,
): void {
  const early = extract(hash, new Uint8Array(hash.outputBytes), psk.secret);
  const secret = deriveSecret(hash, early, "c e traffic", hash.digest(hello));
  const direction = new Direction(trafficKeys(provider, suite, secret));
  const [data] = direction.open(trace["Record_Client_EarlyAppData"]!);
  expect(toHex(data!.content)).toBe(toHex(trace["Client_EarlyAppData"]!));
  const [end] = flightOf(direction, endOfEarlyData);
  expect(end?.type).toBe(HandshakeType.end_of_early_data);
  transcript.add(end!.bytes);
}

function expectTicket(trace: Trace, server: Direction): void {
  const [message] = flightOf(server, trace["Record_NewSessionTicket"]!);
  expect(message?.type).toBe(HandshakeType.new_session_ticket);
  expect(toHex(decode(NewSessionTicket, message!.body).ticket)).toBe(toHex(trace["SessionTicket"]!));
}

function expectData(trace: Trace, side: "Client" | "Server", direction: Direction): void {
  const record = trace[`Record_${side}_AppData`];
  if (record !== undefined) {
    const [data] = direction.open(record);
    expect(data?.type).toBe(ContentType.application_data);
    expect(toHex(data!.content)).toBe(toHex(trace[`${side}_AppData`]!));
  }
  const [close] = direction.open(trace[`Record_${side}_CloseNotify`]!);
  expect(close?.type).toBe(ContentType.alert);
  expect([...close!.content]).toEqual([1, 0]);
}

describe("RFC 8448, through schedule and record, byte for byte in both directions", () => {
  const all = present ? readTraces() : new Map<string, Trace>();
  const traceOf = (name: string): Trace => all.get(name)!;

  test.runIf(present)("the file holds the traces of the RFC", () => {
    expect([...all.keys()]).toEqual(
      expect.arrayContaining([
        "Simple_1RTT_Handshake",
        "Resumed_0RTT_Handshake",
        "HelloRetryRequest_Handshake",
        "Client_Authentication_Handshake",
        "Middlebox_Compatibility_Mode",
      ]),
    );
  });

  test.runIf(present).each([
    ["§3: a simple handshake", "Simple_1RTT_Handshake"],
    ["§5: HelloRetryRequest, whose ClientHello1 is folded into its hash", "HelloRetryRequest_Handshake"],
    ["§6: client authentication", "Client_Authentication_Handshake"],
    ["§7: middlebox compatibility, with change_cipher_spec in between", "Middlebox_Compatibility_Mode"],
    ["raw public keys, in the form of the RFC", "RawPublicKey_With_Client_Authentication"],
  ])("%s", (_, name) => {
    expect.hasAssertions();
    follow(traceOf(name));
  });

  test.runIf(present)(
    "§4: resumption with the PSK of §3's ticket: its binder, and early data under it",
    () => {
      const simple = traceOf("Simple_1RTT_Handshake");
      const { resumption } = follow(simple);
      // The nonce of the ticket in §3 is two zero bytes.
      const psk = { secret: ticketPsk(hash, resumption, Uint8Array.of(0, 0)), kind: "res binder" } as const;
      expect(toHex(psk.secret)).toBe("4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3");
      follow(traceOf("Resumed_0RTT_Handshake"), psk);
    },
  );

  test.runIf(present)("an external PSK beside an ephemeral key: its binder, and the secrets of both", () => {
    const trace = traceOf("Externally_Provided_PSK_with_Ephemeral_Key");
    const hello = decode(ClientHello, messageIn(trace["Record_ClientHello_1"]!).subarray(4));
    expect(hello.extensions.pre_shared_key?.identities[0]?.identity).toEqual(utf8("rfc8448"));
    follow(trace, { secret: trace["PskSecret"]!, kind: "ext binder" });
  });
});
