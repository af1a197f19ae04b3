import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connect, createServer, inProcessPair } from "../../src/index.ts";
import type { ConnectOptions, ServerOptions } from "../../src/index.ts";
import type { CertificateCompressor } from "../../src/handshake/settings.ts";
import { compressorsNamed } from "../../src/node/certificate-compression.ts";
import { toHex } from "../../src/protocol/bytes.ts";
import { credentials } from "../support/credentials.ts";
import type { KeyKind } from "../../src/crypto/provider.ts";

/** Node 26 with OpenSSL 3.5, from npm's `node` package. */
const binary = join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node");
const own = credentials();
const classical = { dangerous: { allowClassical: true } } as const;

interface Answer {
  readonly id: string;
  readonly port: number;
  readonly error?: string;
  readonly suite: string;
  readonly group?: string;
  readonly reused: boolean;
  readonly alpn: string | false;
  readonly peer?: string;
  readonly exporter: string;
  readonly received: number;
  readonly session?: string;
}

let peer: ChildProcess;
const waiting = new Map<string, (answer: Answer) => void>();
let orders = 0;

function order(command: object): Promise<Answer> {
  const id = `${++orders}`;
  const answer = new Promise<Answer>((resolve) => waiting.set(id, resolve));
  peer.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
  return answer;
}

beforeAll(async () => {
  if (!existsSync(binary)) throw new Error("npm's node package is not installed; run npm ci");
  peer = spawn(binary, [fileURLToPath(new URL("peer.mjs", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ready = new Promise<Answer>((resolve) => waiting.set("ready", resolve));
  createInterface({ input: peer.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const answer = JSON.parse(line) as Answer;
    waiting.get(answer.id)?.(answer);
  });
  await ready;
});
afterAll(() => void peer.kill());

const ours = (kind: KeyKind = "secp256r1") => {
  const { certPem: cert, keyPem: key, caPem: ca } = credentials(kind);
  return { cert, key, ca };
};

/** Our server, their client, which sends `bytes` and counts what is echoed. */
async function serve(
  server: ServerOptions,
  client: object = {},
): Promise<{ theirs: Answer; exporter?: string; error?: string }> {
  let exporter: string | undefined;
  let error: string | undefined;
  const made = createServer({ cert: own.certPem, key: own.keyPem, ...server }, (socket) => {
    exporter = socket.exportKeyingMaterial(32, "EXPORTER-test", Buffer.from("x")).toString("hex");
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  made.on("tlsClientError", (failed: { code: string }) => (error = failed.code));
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  const { options = {}, ...rest } = client as { options?: object };
  const { port } = made.address() as AddressInfo;
  const theirs = await order({
    do: "connect",
    bytes: 100,
    ...rest,
    options: { port, ca: own.caPem, ...options },
  });
  made.close();
  return {
    theirs,
    ...(exporter === undefined ? {} : { exporter }),
    ...(error === undefined ? {} : { error }),
  };
}

interface Seen {
  readonly facts: Answer;
  readonly exporter: string;
  readonly received: number;
  readonly security: ReturnType<typeof connect>["security"];
  readonly session?: Buffer;
}

/** Their server, our client: sends `bytes`, counts what is echoed behind the line of facts. */
async function call(server: object, client: ConnectOptions, bytes = 100, updateKeys = false): Promise<Seen> {
  const { options = {}, ...rest } = server as { options?: object };
  const identity = "psks" in rest ? {} : { cert: own.certPem, key: own.keyPem };
  const listening = await order({ do: "listen", ...rest, options: { ...identity, ...options } });
  const socket = connect({
    port: listening.port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: own.caPem,
    ...client,
  });
  const chunks: Buffer[] = [];
  let session: Buffer | undefined;
  socket.on("session", (value: Buffer) => (session = value));
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    let exporter = "";
    socket.on("secureConnect", () => {
      exporter = socket.exportKeyingMaterial(32, "EXPORTER-test", Buffer.from("x")).toString("hex");
      if (updateKeys) socket.updateKeys({ requestPeer: true });
      socket.end(Buffer.alloc(bytes, 5));
    });
    socket.on("error", reject);
    socket.on("end", () => {
      const all = Buffer.concat(chunks);
      const line = all.indexOf(10);
      const facts = JSON.parse(all.subarray(0, line).toString()) as Answer;
      resolve({
        facts,
        exporter,
        received: all.length - line - 1,
        security: socket.security,
        ...(session === undefined ? {} : { session }),
      });
      peer.stdin?.write(`${JSON.stringify({ do: "close", of: listening.id })}\n`);
    });
  });
}

const GROUPS = [
  "X25519MLKEM768",
  "SecP256r1MLKEM768",
  "SecP384r1MLKEM1024",
  "MLKEM768",
  "MLKEM1024",
] as const;
const CLASSICAL = [
  ["x25519", "X25519"],
  ["secp256r1", "P-256"],
  ["secp384r1", "P-384"],
  ["secp521r1", "P-521"],
] as const;
const SUITES = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"] as const;
const KINDS: readonly KeyKind[] = [
  "secp256r1",
  "secp384r1",
  "ed25519",
  "rsa",
  "rsa-pss",
  "ml-dsa-44",
  "ml-dsa-65",
  "ml-dsa-87",
]; // prettier-ignore

const COMPRESSIONS = (["zlib", "brotli", "zstd"] as const).filter(
  (name) => name !== "zstd" || "zstdCompressSync" in zlib,
);
if (COMPRESSIONS.length < 3) console.info("not tried: zstd, which node:zlib of this Node lacks");

describe("with node:tls of Node 26", () => {
  test.each(GROUPS)("%s, both ways, with equal exporters", async (group) => {
    const { theirs, exporter } = await serve({ groups: [group] }, { options: { ecdhCurve: group } });
    expect(theirs).toMatchObject({ group, received: 100, exporter });
    const seen = await call({ options: { ecdhCurve: group } }, { groups: [group] });
    expect(seen.security?.group).toBe(group);
    expect(seen).toMatchObject({ received: 100, exporter: seen.facts.exporter });
  });

  test.each(CLASSICAL)("%s where policy allows it", async (group, theirName) => {
    const { theirs } = await serve({ ...classical, groups: [group] }, { options: { ecdhCurve: theirName } });
    expect(theirs.received).toBe(100);
    const seen = await call({ options: { ecdhCurve: theirName } }, { ...classical, groups: [group] });
    expect(seen.security?.group).toBe(group);
  });

  test("a classical client is refused by default, with the missing source named", async () => {
    const { theirs, error } = await serve({}, { options: { ecdhCurve: "X25519" } });
    expect(error).toBe("ERR_POLICY_MLKEM_REQUIRED");
    expect(theirs.error).toContain("INSUFFICIENT_SECURITY");
  });

  test.each(SUITES)("%s", async (suite) => {
    const { theirs } = await serve({ suites: [suite] }, { options: { ciphers: suite } });
    expect(theirs).toMatchObject({ suite, received: 100 });
    const seen = await call({ options: { ciphers: suite } }, { suites: [suite] });
    expect(seen.facts.suite).toBe(suite);
  });

  test.each(KINDS)("certificates with %s keys, on either end", async (kind) => {
    const { cert, key, ca } = ours(kind);
    const { theirs } = await serve({ cert, key, ca, requestCert: true }, { options: { cert, key } });
    expect(theirs).toMatchObject({ received: 100, peer: "localhost" });
    const seen = await call(
      { options: { cert, key, ca, requestCert: true, rejectUnauthorized: true } },
      { cert, key },
    );
    expect(seen.facts.peer).toBe("localhost");
    expect(seen.security?.authentication.peer).toMatchObject({ by: "certificate" });
  });

  test.each(COMPRESSIONS)(
    "RFC 8879: certificates compressed by %s, of both sides, on either end",
    async (name) => {
      const [compressor] = compressorsNamed([name]);
      const decompress = vi.spyOn(compressor as Required<CertificateCompressor>, "decompress");
      try {
        const { cert, key, ca } = ours();
        const certificateCompression = [name];
        const mutual = { cert, key, ca, certificateCompression };
        const options = { cert, key, certificateCompression };
        const { theirs, exporter } = await serve({ ...mutual, requestCert: true }, { options });
        expect(theirs).toMatchObject({ received: 100, peer: "localhost", exporter });
        const seen = await call(
          { options: { ...mutual, requestCert: true, rejectUnauthorized: true } },
          options,
        );
        expect(seen).toMatchObject({ received: 100, exporter: seen.facts.exporter });
        expect(seen.facts.peer).toBe("localhost");
        // Of their client and of their server; what ours make of it, theirs have verified.
        expect(decompress).toHaveBeenCalledTimes(2);
      } finally {
        decompress.mockRestore();
      }
    },
  );

  test("RFC 8701: reserved values and an order of chance, which theirs pass over, on either end", async () => {
    const { theirs } = await serve({ grease: true, ca: own.caPem, requestCert: true }, { options: ours() });
    expect(theirs).toMatchObject({ received: 100 });
    const odd = { grease: true, permuteExtensions: true, ALPNProtocols: ["a", "b"] };
    for (const ecdhCurve of ["X25519MLKEM768", "SecP384r1MLKEM1024"]) {
      const seen = await call({ options: { ecdhCurve, ALPNProtocols: ["b"] } }, odd);
      expect(seen).toMatchObject({ received: 100, exporter: seen.facts.exporter });
      expect(seen.security).toMatchObject({
        alpn: "b",
        group: ecdhCurve,
        retried: ecdhCurve !== "X25519MLKEM768",
      });
    }
  });

  test("HelloRetryRequest, asked and answered", async () => {
    const { theirs } = await serve(
      { groups: ["SecP384r1MLKEM1024"] },
      { options: { ecdhCurve: "X25519MLKEM768:SecP384r1MLKEM1024" } },
    );
    expect(theirs.group).toBe("SecP384r1MLKEM1024");
    const seen = await call({ options: { ecdhCurve: "SecP256r1MLKEM768" } }, {});
    expect(seen.security).toMatchObject({ retried: true, group: "SecP256r1MLKEM768" });
    const cookie = await serve({ demandsCookie: true });
    expect(cookie.theirs.received).toBe(100);
  });

  test("ALPN", async () => {
    const { theirs } = await serve(
      { ALPNProtocols: ["h2", "x"] },
      { options: { ALPNProtocols: ["x", "h2"] } },
    );
    expect(theirs.alpn).toBe("h2");
    const seen = await call({ options: { ALPNProtocols: ["b"] } }, { ALPNProtocols: ["a", "b"] });
    expect(seen.security?.alpn).toBe("b");
  });

  test("resumption, ours of theirs and theirs of ours", async () => {
    const listening = await order({ do: "listen", options: { cert: own.certPem, key: own.keyPem } });
    const visit = (session?: Buffer): Promise<{ session?: Buffer; reused: boolean }> =>
      new Promise((resolve, reject) => {
        const socket = connect({
          port: listening.port,
          host: "127.0.0.1",
          servername: "localhost",
          ca: own.caPem,
          ...(session ? { session } : {}),
        });
        socket.on("error", reject);
        const done = (value?: Buffer): void => {
          socket.destroy();
          resolve({ reused: socket.isSessionReused(), ...(value === undefined ? {} : { session: value }) });
        };
        // Their server sends no further ticket on a resumed connection.
        if (session === undefined) socket.once("session", done);
        else socket.once("data", () => done());
      });
    const first = await visit();
    expect(first.reused).toBe(false);
    expect((await visit(first.session)).reused).toBe(true);

    const keys = { ticketKeys: new Uint8Array(48).fill(3) };
    const once = await serve(keys);
    expect(once.theirs.session).toBeDefined();
    const again = await serve(keys, { session: once.theirs.session });
    expect(again.theirs).toMatchObject({ reused: true, received: 100 });
  });

  test("large transfers both ways, through key updates that we ask for", async () => {
    const bytes = 5_000_000;
    expect((await serve({}, { bytes })).theirs.received).toBe(bytes);
    const seen = await call({}, {}, bytes, true);
    expect(seen.received).toBe(bytes);
    expect(seen.security?.epochs).toEqual({ sent: 1, received: 1 });
  });

  test("small records (RFC 8449)", async () => {
    expect((await serve({ recordSizeLimit: 512 }, { bytes: 50_000 })).theirs.received).toBe(50_000);
  });

  test("an unmodified OpenSSL keyed by QKD beside X25519MLKEM768, on either end", async () => {
    const suite = "TLS_AES_128_GCM_SHA256";
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    const drawn = a.drawNow("sae-b");
    const identity = `etsi-qkd-014:sae-a/sae-b/${drawn.id}`;
    const { theirs } = await serve(
      { suites: [suite], qkd: { source: b, form: "raw", authenticates: true } },
      { psk: { identity, key: toHex(drawn.key) }, options: { ciphers: suite, ecdhCurve: "X25519MLKEM768" } },
    );
    expect(theirs).toMatchObject({ group: "X25519MLKEM768", received: 100 });

    const next = a.drawNow("sae-b");
    const psks = { [`etsi-qkd-014:sae-a/sae-b/${next.id}`]: toHex(next.key) };
    const source = {
      ...a,
      kind: a.kind,
      sae: a.sae,
      simulated: true,
      counters: a.counters,
      draw: () => Promise.resolve(next),
    };
    const seen = await call(
      { psks, options: { ciphers: suite, ecdhCurve: "X25519MLKEM768" } },
      { suites: [suite], qkd: { source, peer: "sae-b", form: "raw", authenticates: true } },
    );
    expect(seen.security).toMatchObject({
      group: "X25519MLKEM768",
      simulated: true,
      qkd: { keyId: next.id, form: "raw" },
    });
    expect(seen.received).toBe(100);
  });

  test("a raw PSK moves our server to a suite of its hash, with and without a HelloRetryRequest", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    for (const groups of [["X25519MLKEM768"], ["SecP384r1MLKEM1024"]] as const) {
      const drawn = a.drawNow("sae-b");
      const identity = `etsi-qkd-014:sae-a/sae-b/${drawn.id}`;
      const { theirs, error } = await serve(
        { groups, qkd: { source: b, form: "raw", authenticates: true } },
        {
          psk: { identity, key: toHex(drawn.key) },
          options: { ecdhCurve: "X25519MLKEM768:SecP384r1MLKEM1024" },
        },
      );
      expect(error).toBeUndefined();
      expect(theirs).toMatchObject({ group: groups[0], received: 100 });
    }
  });
});
