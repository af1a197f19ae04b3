/**
 * The same ClientHellos, each with one field changed, to this server and to node:tls on the OpenSSL of Node 26: where
 * verdict or alert differ, the table says why ours is what it is.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net, { type AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createServer, type QkdTlsServer } from "../../src/index.ts";
import { AlertDescription } from "../../src/protocol/alert.ts";
import { concat, fromHex, toHex } from "../../src/protocol/bytes.ts";
import { HandshakeType, nameOf } from "../../src/protocol/iana.ts";
import { field } from "../support/codec-rules.ts";
import { credentials } from "../support/credentials.ts";
import { changesOf } from "../support/tamper.ts";

const binary = join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node");
const { certPem: cert, keyPem: key } = credentials("secp256r1");
const ALPNProtocols = ["h2", "http/1.1"];
const corpus = new URL("../fuzz/corpus/", import.meta.url);
const files = readdirSync(corpus);

/** What was changed, what each server says to it, and why ours says so. */
const SETTLED: readonly (readonly [change: RegExp, ours: string, theirs: string, why: string])[] = [
  [
    /^legacy_version number|^frame: byte [45] flipped$/,
    "alert protocol_version",
    "server_hello",
    "RFC 9846 §4.2.2 demands protocol_version for any legacy_version but 0x0303; OpenSSL ignores the field",
  ],
  [
    /^extensions\.server_name\[first\]\.name_type/,
    "alert illegal_parameter",
    "alert decode_error",
    "RFC 6066 §3 knows one type of name and names no alert for others",
  ],
  [
    /^extensions\.server_name\[first\]\.host_name (?:zeros|a byte more)$/,
    "alert illegal_parameter",
    "alert unrecognized_name",
    "a zero byte in a name: RFC 6066 §3 has it in ASCII and names no alert; unrecognized_name is for names not known",
  ],
  [
    /^extensions\.server_name doubled$/,
    "alert illegal_parameter",
    "alert decode_error",
    "RFC 6066 §3 forbids two names of a type; it can be decoded, so RFC 9846 §6.2 leaves illegal_parameter",
  ],
  [
    /^extensions\.key_share doubled$/,
    "alert illegal_parameter",
    "server_hello",
    "RFC 9846 §4.3.8 forbids two shares of a group and lets a server look for them; OpenSSL does not look",
  ],
  [
    /^extensions\.compress_certificate doubled$/,
    "alert illegal_parameter",
    "server_hello",
    "RFC 8879 §3 wants a list of algorithms and says nothing of one that is named twice; RFC 9846 §6.2 leaves illegal_parameter",
  ],
  [
    /^extensions\.key_share without its first$/,
    "hello_retry_request",
    "server_hello",
    "without the share of X25519MLKEM768 we ask for it, as the policy prefers it; a server may (RFC 9846 §4.3.7)",
  ],
  [
    /^extensions\.record_size_limit number/,
    "alert illegal_parameter",
    "server_hello",
    "RFC 8449 §4 demands illegal_parameter below 64; OpenSSL does not know the extension",
  ],
  [
    /^extensions\.status_request\.request_extensions/,
    "server_hello",
    "alert decode_error",
    "RFC 6066 §8: they are for an OCSP responder to read, and ours asks none while a client waits",
  ],
  [
    /^frame: length one less$/,
    "alert unexpected_message",
    "alert decode_error",
    "the message is too short and its record goes on behind it (RFC 9846 §5.1); whichever is seen first is told",
  ],
  [
    /^extensions\.signature_algorithms_cert/,
    "server_hello",
    "alert handshake_failure",
    "RFC 9846 §4.5.1.2 has a server go on with the chain it has when none is signed as was asked for",
  ],
];

let peer: ChildProcess;
let server: QkdTlsServer;
const ports = { ours: 0, theirs: 0 };

beforeAll(async () => {
  if (!existsSync(binary)) throw new Error("npm's node package is not installed; run npm ci");
  peer = spawn(binary, [fileURLToPath(new URL("peer.mjs", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const options = {
    cert,
    key,
    ALPNProtocols,
    minVersion: "TLSv1.3",
    ecdhCurve: "X25519MLKEM768:X25519:P-256:P-384:P-521",
  };
  peer.stdin?.write(`${JSON.stringify({ id: "listen", do: "listen", options })}\n`);
  for await (const line of createInterface({ input: peer.stdout as NodeJS.ReadableStream })) {
    const { port } = JSON.parse(line) as { readonly port?: number };
    if (port === undefined) continue;
    ports.theirs = port;
    break;
  }
  server = createServer({
    cert,
    key,
    ALPNProtocols,
    policy: { mlkem: "preferred", qkd: "off" },
    dangerous: { allowClassical: true },
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ports.ours = (server.address() as AddressInfo).port;
});
afterAll(() => {
  peer?.kill();
  server?.close();
});

const RECORD_HEADER = 5;
const RANDOM_AT = RECORD_HEADER + 6;
/** RFC 9846 §4.2.3: the random of a HelloRetryRequest begins so. */
const RETRY = "cf21ad74";
const SILENCE_MS = 10_000;

/** The first thing that a server says to these bytes. */
function verdict(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let heard: Uint8Array = new Uint8Array();
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => {
      // With its end at once, whoever waits for more need not wait.
      socket.end(bytes);
    });
    const settle = (what: string): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(what);
    };
    const late = setTimeout(() => settle("silence"), SILENCE_MS);
    socket.on("error", () => settle("closed"));
    socket.on("end", () => settle("closed"));
    socket.on("close", () => settle("closed"));
    socket.on("data", (more: Buffer) => {
      heard = concat([heard, more]);
      if (heard[0] === 21 && heard.length > 6) settle(`alert ${nameOf(AlertDescription, heard[6] ?? -1)}`);
      if (heard[0] !== 22 || heard.length < RANDOM_AT + 4) return;
      const isRetry = toHex(heard.subarray(RANDOM_AT, RANDOM_AT + 4)) === RETRY;
      settle(isRetry ? "hello_retry_request" : nameOf(HandshakeType, heard[RECORD_HEADER] ?? -1));
    });
  });
}

const inRecord = (message: Uint8Array): Uint8Array => concat([Uint8Array.of(22, 3, 1), field(2, message)]);

describe("beside OpenSSL", () => {
  const used = new Set<string>();

  test.each(files)("%s, with any one field changed: the same verdict, or a reason", async (file) => {
    const record = fromHex(readFileSync(new URL(file, corpus), "utf8").replaceAll(/\s/g, ""));
    const message = record?.subarray(RECORD_HEADER) ?? new Uint8Array();
    const changes = [{ what: "untouched", apply: () => message }, ...changesOf(message)];
    const unsettled: string[] = [];
    for (const { what, apply } of changes) {
      const changed = apply();
      // What needs two records is another matter.
      if (changed === undefined || changed.length > 2 ** 14) continue;
      const bytes = inRecord(changed);
      const [ours, theirs] = await Promise.all([verdict(ports.ours, bytes), verdict(ports.theirs, bytes)]);
      if (ours === theirs) continue;
      const row = SETTLED.find(([about, we, they]) => about.test(what) && we === ours && they === theirs);
      if (row === undefined) unsettled.push(`${what}: ${ours}, OpenSSL ${theirs}`);
      else used.add(row[3]);
    }
    expect(unsettled).toEqual([]);
    expect(changes.length).toBeGreaterThan(100);
  });

  test("every reason is still one", () => {
    expect([...used].toSorted()).toEqual(SETTLED.map(([, , , why]) => why).toSorted());
  });
});
