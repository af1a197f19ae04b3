/** With the system's `openssl`, or the one that QKD_TLS_OPENSSL names; what its version lacks is said and not tried. */
import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  connect,
  createServer,
  etsi014,
  inProcessPair,
  type QkdTlsServer,
  type QkdTlsSocket,
} from "../../src/index.ts";
import type { ConnectOptions, ServerOptions } from "../../src/index.ts";
import { makePki } from "../../src/cli/pki-files.ts";
import type { KeyKind } from "../../src/crypto/provider.ts";
import { startPair } from "../../src/kme/pair.ts";
import { toPem } from "../../src/pki/pem.ts";
import { toHex } from "../../src/protocol/bytes.ts";
import { Command, qkdTls, stopAll } from "../cli/command.ts";
import { credentials } from "../support/credentials.ts";

const binary = process.env["QKD_TLS_OPENSSL"] ?? "openssl";
const [major = 0, minor = 0] = versionOf(binary);
const present = major >= 3;
/** ML-KEM and ML-DSA came with 3.5. */
const modern = major > 3 || (major === 3 && minor >= 5);
/** It came with 3.2, where zlib was built in. */
const compresses = (major > 3 || (major === 3 && minor >= 2)) && !lacks(binary, "ZLIB");
const where = `${binary} ${major}.${minor}`;

/** The reason not to try something, said once; undefined to try it. */
function without(what: string, has: boolean): boolean {
  if (has) return false;
  console.warn(
    `not tried: ${what}, ${present ? `which ${where} lacks` : `for there is no OpenSSL 3 at ${binary}`}`,
  );
  return true;
}

function lacks(path: string, algorithm: string): boolean {
  return execFileSync(path, ["list", "-disabled"]).toString().split("\n").includes(algorithm);
}

function versionOf(path: string): number[] {
  try {
    const [, ...numbers] = /^OpenSSL (\d+)\.(\d+)/.exec(execFileSync(path, ["version"]).toString()) ?? [];
    return numbers.map(Number);
  } catch {
    return [];
  }
}

const own = credentials();
const classical = { dangerous: { allowClassical: true } } as const;
const CLASSICAL = ["X25519", "P-256", "P-384", "P-521"] as const;
const OUR_NAMES: Record<string, string> = {
  X25519: "x25519",
  "P-256": "secp256r1",
  "P-384": "secp384r1",
  "P-521": "secp521r1",
};
const HYBRID = [
  "X25519MLKEM768",
  "SecP256r1MLKEM768",
  "SecP384r1MLKEM1024",
  "MLKEM768",
  "MLKEM1024",
] as const;
const ours = (group: string): string => OUR_NAMES[group] ?? group;
/** A group of theirs that both versions have, as we allow it. */
const anyGroup = modern ? {} : classical;
const PSK = {
  identity: "Client_identity",
  key: "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
};

const LIMIT_MS = 10_000;
let directory = "";
const at = (name: string): string => join(directory, name);
const tools = new Set<Tool>();
const servers = new Set<QkdTlsServer>();

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-openssl-"));
  writeFileSync(at("ca.crt"), own.caPem);
  for (const kind of KINDS) files(kind);
});
afterEach(async () => {
  for (const tool of tools) tool.child.kill("SIGKILL");
  tools.clear();
  for (const server of servers) server.close();
  servers.clear();
  await stopAll();
});
afterAll(() => rmSync(directory, { recursive: true }));

const KINDS: readonly KeyKind[] = [
  ...(["secp256r1", "secp384r1", "ed25519", "rsa", "rsa-pss"] as const),
  ...(modern ? (["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const) : []),
];

/** Options of theirs for a certificate with such a key. */
function files(kind: KeyKind = "secp256r1"): string[] {
  const { certPem, keyPem } = credentials(kind);
  writeFileSync(at(`${kind}.crt`), certPem);
  writeFileSync(at(`${kind}.key`), keyPem, { mode: 0o600 });
  return ["-cert", at(`${kind}.crt`), "-key", at(`${kind}.key`)];
}

/** A running openssl; what it says is kept. */
class Tool {
  readonly child: ChildProcessWithoutNullStreams;
  said = "";
  readonly #news = new EventEmitter();
  #closed = false;

  constructor(words: readonly string[]) {
    this.child = spawn(binary, words, { stdio: "pipe", timeout: LIMIT_MS });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.said += text;
        this.#news.emit("news");
      });
    }
    this.child.once("close", () => {
      this.#closed = true;
      this.#news.emit("news");
    });
    this.child.stdin.on("error", () => undefined);
    tools.add(this);
  }

  /** Waits until it has said so. Throws when it ends before. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.said);
      if (found !== null) return found;
      if (this.#closed) throw new Error(`no ${pattern} in:\n${this.said}`);
      await once(this.#news, "news");
    }
  }

  /** Types a line at it. */
  type(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Ends its input; fulfilled with its exit code. */
  async end(): Promise<number | null> {
    const closed = once(this.child, "close");
    this.child.stdin.end();
    return (await closed)[0] as number | null;
  }
}

/** s_client, connected to a port of ours. */
function theirClient(port: number | string, ...words: string[]): Tool {
  const trust = ["-CAfile", at("ca.crt"), "-verify_return_error", "-servername", "localhost"];
  return new Tool(["s_client", "-connect", `127.0.0.1:${port}`, ...trust, ...words]);
}

/** s_server, listening; the port is found. */
async function theirServer(...words: string[]): Promise<{ tool: Tool; port: number }> {
  const tool = new Tool(["s_server", "-accept", "127.0.0.1:0", ...words]);
  const [, port] = await tool.until(/ACCEPT \S+:(\d+)/);
  return { tool, port: Number(port) };
}

/** A server of ours that echoes, and its connections in the order in which they come. */
async function ourServer(options: ServerOptions): Promise<{ port: number; sockets: QkdTlsSocket[] }> {
  const sockets: QkdTlsSocket[] = [];
  const server = createServer(options, (socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  servers.add(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, sockets };
}

interface Answer {
  readonly text: string;
  readonly socket: QkdTlsSocket;
  readonly session: Uint8Array | undefined;
}

/** A client of ours that says a line and ends; what it got back. */
async function ask(port: number, options: ConnectOptions, line = "hello\n"): Promise<Answer> {
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ca: own.caPem, ...options });
  let session: Uint8Array | undefined;
  socket.on("session", (newest: Buffer) => (session = newest));
  socket.end(line);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return { text, socket, session };
}

/** They say a line, we echo it. */
async function conversation(client: Tool): Promise<void> {
  client.type("hello");
  await client.until(/hello$/m); // Where it stands in a line depends on what else is shown.
  expect(await client.end()).toBe(0);
}

describe.skipIf(without("everything with openssl", present))("with openssl", () => {
  describe("`serve` and `connect`", () => {
    const groups = [...CLASSICAL, ...HYBRID].filter(
      (group) => !without(group, modern || CLASSICAL.some((each) => each === group)),
    );

    test("serve talks with s_client by every group", async () => {
      const identity = ["--cert", at("secp256r1.crt"), "--key", at("secp256r1.key")];
      const allowed = ["--groups", groups.map(ours).join(":"), "--dangerously-allow-classical"];
      const serve = ["serve", "--listen", "127.0.0.1:0", ...identity, ...allowed, "--echo", "--json"];
      const server = new Command(serve, null);
      const port = (await server.address()).split(":")[1] ?? "";
      for (const group of groups) await conversation(theirClient(port, "-groups", group, "-brief"));
      const { stderr } = await server.stop();
      const events = stderr
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { event: string; security?: { group: string } });
      const connections = events.filter(({ event }) => event === "connection");
      expect(connections.map(({ security }) => security?.group)).toEqual(groups.map(ours));
      expect(events.filter(({ event }) => event === "failed" || event === "refused")).toEqual([]);
    });

    test.each(groups)("connect talks with s_server by %s", async (group) => {
      const { port } = await theirServer(...files(), "-rev", "-groups", group);
      const allowed = ["--groups", ours(group), "--dangerously-allow-classical", "--servername", "localhost"];
      const words = ["connect", `127.0.0.1:${port}`, "--ca", at("ca.crt"), ...allowed, "--json"];
      const { code, stdout, stderr } = await qkdTls(words, "hello\n");
      expect({ code, stdout }).toEqual({ code: 0, stdout: "olleh\n" });
      expect(JSON.parse(stderr)).toMatchObject({ event: "connected", security: { group: ours(group) } });
    });

    test("with a raw pre-shared key and no certificate, on either end", async () => {
      const flags = [
        "--psk",
        `${PSK.identity}:${PSK.key}`,
        ...(modern ? [] : ["--dangerously-allow-classical"]),
      ];
      const serve = ["serve", "--listen", "127.0.0.1:0", ...flags, "--echo", "--json"];
      const server = new Command(serve, null);
      const port = (await server.address()).split(":")[1] ?? "";
      const psk = ["-psk_identity", PSK.identity, "-psk", PSK.key];
      const client = theirClient(port, ...psk, "-ciphersuites", "TLS_AES_128_GCM_SHA256");
      await conversation(client);
      expect(await server.event("connection")).toMatchObject({
        security: { authentication: { peer: { by: "psk", pskIdentity: PSK.identity } } },
      });

      const listening = await theirServer(...psk, "-nocert", "-rev");
      const words = ["connect", `127.0.0.1:${listening.port}`, ...flags, "--json"];
      const { code, stdout, stderr } = await qkdTls(words, "hello\n");
      expect({ code, stdout }).toEqual({ code: 0, stdout: "olleh\n" });
      expect(JSON.parse(stderr)).toMatchObject({ security: { authentication: { peer: { by: "psk" } } } });
    });
  });

  test.skipIf(without("QKD beside X25519MLKEM768", modern))(
    "an unmodified OpenSSL is keyed by QKD beside X25519MLKEM768, on either end",
    async () => {
      const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
      const options = { form: "raw", authenticates: true } as const;
      const announced = ({ id, key }: { id: string; key: Uint8Array }): string[] => [
        "-psk_identity",
        `etsi-qkd-014:sae-a/sae-b/${id}`,
        "-psk",
        toHex(key),
      ];
      const { port, sockets } = await ourServer({ qkd: { source: b, ...options } });
      const suite = ["-ciphersuites", "TLS_AES_128_GCM_SHA256"];
      await conversation(theirClient(port, ...announced(a.drawNow("sae-b")), ...suite));
      expect(sockets[0]?.security).toMatchObject({ group: "X25519MLKEM768", qkd: { form: "raw" } });

      const key = a.drawNow("sae-b");
      const theirs = await theirServer(...announced(key), "-nocert", "-rev");
      const source = Object.assign(Object.create(a) as typeof a, { draw: () => Promise.resolve(key) });
      const { text, socket } = await ask(theirs.port, { qkd: { source, peer: "sae-b", ...options } });
      expect(text).toBe("olleh\n");
      expect(socket.security).toMatchObject({ group: "X25519MLKEM768", qkd: { keyId: key.id } });
    },
  );

  test.skipIf(without("a QKD key from a KME beside X25519MLKEM768", modern))(
    "serve --qkd-raw takes the key that somebody drew from a KME and gave to s_client, once",
    async () => {
      makePki({ directory: at("pki") });
      const pem = (name: string): string => readFileSync(at(`pki/${name}`), "utf8");
      const identity = (name: string) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) });
      const member = (id: string, sae: string) => ({
        id,
        listen: { host: "127.0.0.1", port: 0 },
        ...identity(id),
        saes: [sae],
      });
      const ca = pem("ca.crt");
      const kmes = await startPair({ ca, a: member("kme-a", "sae-a"), b: member("kme-b", "sae-b") });
      const source = etsi014({ url: kmes.a.url, sae: "sae-a", ca, ...identity("sae-a") });
      try {
        const keyed = ["--kme", kmes.b.url, "--sae", "sae-b", "--ca", at("pki/ca.crt")];
        const known = ["--kme-cert", at("pki/sae-b.crt"), "--kme-key", at("pki/sae-b.key")];
        const flags = [...keyed, ...known, "--qkd-raw", "--qkd-authenticates", "--echo", "--json"];
        const server = new Command(["serve", "--listen", "127.0.0.1:0", ...flags], null);
        const port = (await server.address()).split(":")[1] ?? "";
        const { id, key } = await source.draw("sae-b");
        const psk = ["-psk_identity", `etsi-qkd-014:sae-a/sae-b/${id}`, "-psk", toHex(key)];
        const words = [...psk, "-ciphersuites", "TLS_AES_128_GCM_SHA256"];
        await conversation(theirClient(port, ...words));
        expect(await server.event("connection")).toMatchObject({
          security: { group: "X25519MLKEM768", qkd: { keyId: id, form: "raw", kmes: { source: "kme-a" } } },
        });
        await theirClient(port, ...words).until(/SSL alert number 115/);
        expect(await server.event("refused")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED" });
      } finally {
        source.close();
        await stopAll();
        await kmes.close();
      }
    },
  );

  test.skipIf(without("raw public keys", major > 3 || (major === 3 && minor >= 2)))(
    "RFC 7250: raw public keys, on either end and for both sides",
    async () => {
      const ours = credentials("ed25519");
      const pem = ({ identity }: typeof own): string => toPem("PUBLIC KEY", identity.leaf.spki);
      const keys = { rawKey: ours.keyPem, rawPublicKeys: pem(own), ...anyGroup };
      const theirs = [...files(), "-enable_server_rpk", "-enable_client_rpk"];
      const { port, sockets } = await ourServer({ ...keys, requestCert: true });
      // Its command line has no way to trust a raw key, so that it looks at ours and goes on.
      const client = new Tool(["s_client", "-connect", `127.0.0.1:${port}`, ...theirs]);
      await client.until(/Server raw public key/);
      await conversation(client);
      const known = { authorized: true, local: { by: "rawPublicKey" }, peer: { by: "rawPublicKey" } };
      expect(sockets[0]?.security?.authentication).toMatchObject(known);

      const listening = await theirServer(...theirs, "-verify", "1", "-rev");
      const { text, socket } = await ask(listening.port, {
        ...keys,
        ca: undefined,
      } as unknown as ConnectOptions);
      expect(text).toBe("olleh\n");
      expect(socket.security?.authentication).toMatchObject(known);
      const mistaken = { rawPublicKeys: pem(ours), ...anyGroup, ca: undefined } as unknown as ConnectOptions;
      await expect(ask(listening.port, mistaken)).rejects.toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
    },
  );

  const SUITES = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
  ] as const;
  test.each(SUITES)("%s, on either end", async (suite) => {
    const { port, sockets } = await ourServer({ cert: own.certPem, key: own.keyPem, ...anyGroup });
    await conversation(theirClient(port, "-ciphersuites", suite));
    expect(sockets[0]?.security?.suite).toBe(suite);
    const theirs = await theirServer(...files(), "-rev");
    const { text, socket } = await ask(theirs.port, { suites: [suite], ...anyGroup });
    expect({ text, suite: socket.security?.suite }).toEqual({ text: "olleh\n", suite });
  });

  without("certificates with ML-DSA keys", modern);
  test.each(KINDS)("certificates with %s keys, of both sides, on either end", async (kind) => {
    const { certPem: cert, keyPem: key, caPem: ca } = credentials(kind);
    const { port, sockets } = await ourServer({ cert, key, ca, requestCert: true, ...anyGroup });
    await conversation(theirClient(port, ...files(kind)));
    expect(sockets[0]).toMatchObject({ authorized: true });
    const demand = ["-Verify", "1", "-verify_return_error", "-CAfile", at("ca.crt")];
    const theirs = await theirServer(...files(kind), ...demand, "-rev");
    const { text, socket } = await ask(theirs.port, { cert, key, ...anyGroup });
    expect(text).toBe("olleh\n");
    expect(socket.security?.authentication.local.certificates).toBe(1);
  });

  test.skipIf(without("compressed certificates", compresses))(
    "RFC 8879: a certificate compressed with zlib, theirs and ours, on either end",
    async () => {
      const certificateCompression = ["zlib"] as const;
      const identity = { cert: own.certPem, key: own.keyPem, certificateCompression, ...anyGroup };
      const { port } = await ourServer(identity);
      const client = theirClient(port, "-msg");
      await conversation(client);
      expect(client.said).toMatch(/^<<<.*, CompressedCertificate$/m);
      const demand = ["-Verify", "1", "-verify_return_error", "-CAfile", at("ca.crt")];
      const { port: theirs, tool } = await theirServer(...files(), ...demand, "-cert_comp", "-msg", "-rev");
      const { text } = await ask(theirs, identity);
      expect(text).toBe("olleh\n");
      expect(tool.said).toMatch(/^>>>.*, CompressedCertificate$/m);
      expect(tool.said).toMatch(/^<<<.*, CompressedCertificate$/m);
    },
  );

  test("RFC 8701: reserved values and an order of chance, which theirs pass over, on either end", async () => {
    const identity = { cert: own.certPem, key: own.keyPem, grease: true, ...anyGroup };
    const { port, sockets } = await ourServer({ ...identity, ca: own.caPem, requestCert: true });
    await conversation(theirClient(port, ...files()));
    expect(sockets[0]).toMatchObject({ authorized: true });
    const theirs = await theirServer(...files(), "-rev");
    const { text } = await ask(theirs.port, { ...identity, permuteExtensions: true, ALPNProtocols: ["a"] });
    expect(text).toBe("olleh\n");
  });

  test("a client without the certificate we demand is refused, and so are we", async () => {
    const server = { cert: own.certPem, key: own.keyPem, ca: own.caPem, requestCert: true, ...anyGroup };
    const { port, sockets } = await ourServer(server);
    const client = theirClient(port);
    await client.until(/alert certificate required|SSL alert number 116/);
    expect(sockets).toEqual([]);
    const demand = ["-Verify", "1", "-verify_return_error", "-CAfile", at("ca.crt")];
    const theirs = await theirServer(...files(), ...demand, "-rev");
    await expect(ask(theirs.port, anyGroup)).rejects.toMatchObject({ alert: "certificate_required" });
  });

  test("HelloRetryRequest, asked and answered", async () => {
    const [first, second] = modern
      ? (["X25519MLKEM768", "SecP384r1MLKEM1024"] as const)
      : (["X25519", "P-384"] as const);
    const groups = [ours(second)] as ConnectOptions["groups"] & readonly string[];
    const { port, sockets } = await ourServer({ cert: own.certPem, key: own.keyPem, groups, ...anyGroup });
    await conversation(theirClient(port, "-groups", `${first}:${second}`));
    expect(sockets[0]?.security).toMatchObject({ retried: true, group: ours(second) });
    const theirs = await theirServer(...files(), "-rev", "-groups", second);
    const both = [ours(first), ours(second)] as ConnectOptions["groups"] & readonly string[];
    const { text, socket } = await ask(theirs.port, { groups: both, keyShares: 1, ...anyGroup });
    expect(text).toBe("olleh\n");
    expect(socket.security).toMatchObject({ retried: true, group: ours(second) });
  });

  test("resumption, theirs of ours and ours of theirs", async () => {
    const { port, sockets } = await ourServer({ cert: own.certPem, key: own.keyPem, ...anyGroup });
    await conversation(theirClient(port, "-sess_out", at("session.pem")));
    const again = theirClient(port, "-sess_in", at("session.pem"));
    await conversation(again);
    expect(again.said).toMatch(/^Reused, TLSv1\.3/m);
    expect(sockets.map((socket) => socket.security?.resumed)).toEqual([false, true]);

    const theirs = await theirServer(...files(), "-rev");
    const { session } = await ask(theirs.port, anyGroup);
    const resumed = await ask(theirs.port, { session: session ?? new Uint8Array(0), ...anyGroup });
    expect(resumed.text).toBe("olleh\n");
    expect(resumed.socket.security?.resumed).toBe(true);
  });

  test("KeyUpdate by s_client's K and k, and by s_server's", async () => {
    const { port, sockets } = await ourServer({ cert: own.certPem, key: own.keyPem, ...anyGroup });
    const client = theirClient(port);
    for (const command of ["K", "k"]) {
      client.type(`before ${command}`);
      await client.until(new RegExp(`before ${command}$`, "m"));
      client.type(command);
      await client.until(command === "K" ? /^KEYUPDATE$/m : /KEYUPDATE[^]*KEYUPDATE/);
    }
    await conversation(client);
    expect(sockets[0]?.security?.epochs).toEqual({ sent: 1, received: 2 });

    const theirs = await theirServer(...files());
    const socket = connect({
      host: "127.0.0.1",
      port: theirs.port,
      servername: "localhost",
      ca: own.caPem,
      ...anyGroup,
    });
    await once(socket, "secureConnect");
    socket.write("up\n");
    await theirs.tool.until(/^up$/m);
    const asked = once(socket, "keyUpdate");
    theirs.tool.type("K");
    expect(await asked).toEqual(["peer"]);
    theirs.tool.type("from the server");
    expect(String((await once(socket, "data"))[0])).toBe("from the server\n");
    socket.updateKeys({ requestPeer: true });
    socket.write("from the client\n");
    await theirs.tool.until(/^from the client$/m);
    theirs.tool.type("the last word");
    expect(String((await once(socket, "data"))[0])).toBe("the last word\n");
    expect(socket.security?.epochs).toEqual({ sent: 2, received: 2 });
    socket.destroy();
  });

  test("ALPN, on either end", async () => {
    const identity = { cert: own.certPem, key: own.keyPem };
    const { port, sockets } = await ourServer({ ...identity, ALPNProtocols: ["h2", "x"], ...anyGroup });
    const client = theirClient(port, "-alpn", "x,h2");
    await conversation(client);
    expect(client.said).toMatch(/^ALPN protocol: h2$/m);
    expect(sockets[0]?.alpnProtocol).toBe("h2");
    const theirs = await theirServer(...files(), "-rev", "-alpn", "b");
    const { socket } = await ask(theirs.port, { ALPNProtocols: ["a", "b"], ...anyGroup });
    expect(socket.alpnProtocol).toBe("b");
  });

  test("the page of s_server -www is fetched", async () => {
    const theirs = await theirServer(...files(), "-www");
    const { text, socket } = await ask(
      theirs.port,
      { allowHalfOpen: true, ...anyGroup },
      "GET / HTTP/1.0\r\n\r\n",
    );
    expect(text).toMatch(/^HTTP\/1\.0 200 ok\r\n/);
    expect(text).toContain(socket.security?.suite);
  });

  test("a megabyte of theirs comes back whole", async () => {
    const { port } = await ourServer({ cert: own.certPem, key: own.keyPem, ...anyGroup });
    const client = theirClient(port, "-quiet", "-no_ign_eof");
    const line = "0123456789abcdef".repeat(64);
    const before = client.said.length;
    for (let count = 0; count < 1000; count++) client.type(line);
    client.type("the end");
    await client.until(/^the end$/m);
    expect(client.said.slice(before).split(line)).toHaveLength(1001);
    await client.end();
  });

  test("a certificate that is not trusted ends it, on either end", async () => {
    const { port } = await ourServer({ cert: own.certPem, key: own.keyPem, ...anyGroup });
    const stranger = new Tool(["s_client", "-connect", `127.0.0.1:${port}`, "-verify_return_error"]);
    await stranger.until(/verify error|certificate verify failed/);
    expect(await stranger.end()).not.toBe(0);
    const theirs = await theirServer(...files(), "-rev");
    await expect(ask(theirs.port, { ca: [], ...anyGroup })).rejects.toMatchObject({
      code: "ERR_CERT_UNTRUSTED",
    });
  });
});
