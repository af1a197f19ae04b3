import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex } from "../../src/protocol/bytes.ts";
import { ContentType } from "../../src/protocol/iana.ts";
import { suiteOf, type Suite } from "../../src/crypto/suites.ts";
import { checkFinished } from "../../src/handshake/authenticate.ts";
import { HandshakeJoiner, RecordFramer, type RawRecord } from "../../src/record/framer.ts";
import { RecordOpener, RecordSealer } from "../../src/record/protection.ts";
import { EarlySecret, finishedData } from "../../src/schedule/stages.ts";
import { trafficKeys } from "../../src/schedule/traffic.ts";
import { Transcript } from "../../src/schedule/transcript.ts";
import { decodeServerHello, type ServerHello } from "../../src/wire/hello.ts";
import { provider } from "../support/credentials.ts";

const file = join(process.env["QKD_TLS_VECTORS"] ?? "../shared/vectors", "rfc8448", "transcripts.vec");
const present = existsSync(file);
if (!present) process.stdout.write(`skipped: the RFC 8448 traces are not at ${file}\n`);

type Trace = Record<string, Uint8Array>;

/** `[name]` headings, then `field = hex` lines. */
function traces(): Map<string, Trace> {
  const found = new Map<string, Trace>();
  let trace: Trace = {};
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading !== undefined) found.set(heading, (trace = {}));
    const [, field, hex] = /^(\w+) = ([0-9a-fA-F]*)$/.exec(line) ?? [];
    const bytes = hex === undefined ? undefined : fromHex(hex);
    if (field !== undefined && bytes !== undefined) trace[field] = bytes;
  }
  return found;
}

function records(bytes: Uint8Array): RawRecord[] {
  const framer = new RecordFramer();
  framer.feed(bytes);
  const all: RawRecord[] = [];
  for (let next = framer.next(); next !== undefined; next = framer.next()) {
    if (next.type !== ContentType.change_cipher_spec) all.push(next);
  }
  return all;
}

/** The whole schedule of one trace, from its messages and the client's private key. RFC 8448 §3. */
function schedule(trace: Trace) {
  const suite = suiteOf(0x1301) as Suite;
  const hash = provider.hash(suite.hash);
  const [hello] = records(trace["Record_ClientHello_1"]!);
  const serverHello = decodeServerHello(trace["Message_ServerHello"]!.subarray(4)).hello as ServerHello;
  const pair = provider.ecdh("x25519").fromPrivateKey!(trace["Client_RNG_Pool"]!.slice(-32));
  const shared = pair.agree(serverHello.extensions.key_share!.key_exchange)!;
  const transcript = new Transcript();
  transcript.add(hello!.fragment);
  transcript.select(hash);
  transcript.add(trace["Message_ServerHello"]!);
  const secret = new EarlySecret(hash).intoHandshake(shared);
  const helloHash = transcript.hash();
  return {
    suite,
    hash,
    transcript,
    client: secret.clientTraffic(helloHash),
    server: secret.serverTraffic(helloHash),
    main: secret.intoMain(),
  };
}

if (present) {
  const all = traces();
  describe.each(["Simple_1RTT_Handshake", "Client_Authentication_Handshake"])("RFC 8448: %s", (name) => {
    const trace = all.get(name)!;

    test("the server's flight opens to the very messages, and its Finished is right", () => {
      const { suite, hash, transcript, server } = schedule(trace);
      const opener = new RecordOpener(trafficKeys(provider, suite, server));
      const joiner = new HandshakeJoiner();
      for (const record of records(trace["Record_ServerHandshakeMessages"]!)) {
        const opened = opener.open(record);
        expect(opened?.type).toBe(ContentType.handshake);
        joiner.push(opened!.content);
      }
      const messages: Uint8Array[] = [];
      for (let next = joiner.next(65_536); next !== undefined; next = joiner.next(65_536)) {
        if (next.type === 20) {
          expect(() => checkFinished(next.body, hash, server, transcript.hash())).not.toThrow();
          expect(toHex(finishedData(hash, server, transcript.hash()))).toBe(toHex(next.body));
        }
        transcript.add(next.bytes);
        messages.push(next.bytes);
      }
      const expected = [
        "Message_EncryptedExtensions",
        "Message_CertificateRequest",
        "Message_Server_Certificate",
        "Message_Server_CertificateVerify",
        "Message_Server_Finished",
      ].flatMap((field) => (trace[field] === undefined ? [] : [trace[field]]));
      expect(toHex(concat(messages))).toBe(toHex(concat(expected)));
    });

    test("application data opens, and seals to the same bytes again", () => {
      const { suite, transcript, main } = schedule(trace);
      for (const field of [
        "EncryptedExtensions",
        "CertificateRequest",
        "Server_Certificate",
        "Server_CertificateVerify",
        "Server_Finished",
      ]) {
        const message = trace[`Message_${field}`];
        if (message !== undefined) transcript.add(message);
      }
      const keys = trafficKeys(provider, suite, main.clientTraffic(transcript.hash()));
      const field =
        trace["Record_Client_AppData"] === undefined ? "Record_Client_CloseNotify" : "Record_Client_AppData";
      const [record] = records(trace[field]!);
      const opened = new RecordOpener(keys).open(record!);
      expect(opened).toBeDefined();
      if (trace["Client_AppData"] !== undefined)
        expect(toHex(opened!.content)).toBe(toHex(trace["Client_AppData"]));
      const out: Uint8Array[] = [];
      new RecordSealer(keys).seal(opened!.type, opened!.content, out);
      expect(toHex(concat(out))).toBe(toHex(trace[field]!));
    });
  });
} else {
  test.skip(`RFC 8448 traces: not found at ${file}`, () => undefined);
}
