import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect as netConnect } from "node:net";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePki } from "../../../src/cli/pki-files.ts";
import { startPair } from "../../../src/kme/pair.ts";
import { connect } from "../../../src/node/connect.ts";
import { Command, qkdTls, stopAll } from "../command.ts";

const KEY = "00112233445566778899aabbccddeeff";
let directory = "";
let kmes: Awaited<ReturnType<typeof startPair>>;
const file = (name: string): string => join(directory, name);
const identity = (): string[] => ["--cert", file("server.crt"), "--key", file("server.key")];
const listen = ["serve", "--listen", "127.0.0.1:0", "--json"];
const ca = (): string[] => ["--ca", file("ca.crt")];
const keyed = (kme: string, sae: string): string[] => [
  "--kme",
  kme,
  "--sae",
  sae,
  "--kme-cert",
  file(`${sae}.crt`),
  "--kme-key",
  file(`${sae}.key`),
  "--ca",
  file("ca.crt"),
];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  makePki({ directory });
  const member = (id: string, sae: string) => ({
    id,
    saes: [sae],
    listen: { host: "127.0.0.1", port: 0 },
    cert: readFileSync(file(`${id}.crt`)),
    key: readFileSync(file(`${id}.key`)),
  });
  kmes = await startPair({
    ca: readFileSync(file("ca.crt")),
    a: member("kme-a", "sae-a"),
    b: member("kme-b", "sae-b"),
  });
});
afterAll(async () => {
  await stopAll();
  await kmes.close();
  rmSync(directory, { recursive: true });
});

describe("--echo with QKD", () => {
  let server: Command;
  let address = "";
  beforeAll(async () => {
    server = new Command([
      ...listen,
      ...identity(),
      ...keyed(kmes.b.url, "sae-b"),
      "--peer-sae",
      "sae-a",
      "--echo",
    ]);
    address = await server.address();
  });

  test("returns every byte, and both sides say what protected them", async () => {
    const input = randomBytes(3_000_000);
    const keyLog = file("keys.log");
    const words = [
      "connect",
      address,
      ...keyed(kmes.a.url, "sae-a"),
      "--peer-sae",
      "sae-b",
      "--keylog",
      keyLog,
    ];
    const client = new Command(words, input);
    const { code, stderr } = await client.ended;
    expect({ code, same: client.bytes.equals(input) }).toEqual({ code: 0, same: true });
    expect(stderr).toMatch(/^QKD +yes +etsi-qkd-014 \(required\) +SIMULATED/m);
    const { security } = await server.event("connection");
    expect(security).toMatchObject({
      role: "server",
      simulated: true,
      qkd: { kmes: { source: "kme-a", target: "kme-b" } },
    });
    expect(stderr).toContain(security.qkd.keyId);
    expect(readFileSync(keyLog, "utf8")).toMatch(/^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} /m);
    if (process.platform !== "win32") expect(statSync(keyLog).mode & 0o777).toBe(0o600);
  });

  test("refuses a client without a QKD key, on both sides, and goes on", async () => {
    const { code, stdout, stderr } = await qkdTls(["connect", address, ...ca(), "--json"], "secret");
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({ event: "error", alert: "insufficient_security" });
    expect(await server.event("refused")).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
      missing: "qkd",
      exitCode: 3,
    });
  });

  test("a client whose KME is down fails with the code for key sources", async () => {
    const words = ["connect", address, ...keyed("https://127.0.0.1:9", "sae-a"), "--peer-sae", "sae-b"];
    const { code, stderr } = await qkdTls(words);
    expect(stderr).toMatch(
      /^qkd-tls: policy hybrid requires QKD, which is missing: .*\nhint: is the KME running/,
    );
    expect(code).toBe(4);
  });

  test("junk ends its own connection alone; SIGINT ends the server with 130", async () => {
    await new Promise<void>((resolve) => {
      const socket = netConnect(Number(address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => undefined).on("close", () => resolve());
      socket.resume().end("GET / HTTP/1.0\r\n\r\n");
    });
    await server.line(/"event":"refused".*"error":"ProtocolError"/);
    const { code, stdout } = await server.stop("SIGINT");
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  });
});

test.concurrent("--www answers any HTTP/1.x request with the evidence and ends cleanly; --resume saves the handshake", async () => {
  const server = new Command([...listen, ...identity(), "--www"]);
  const address = await server.address();
  const session = file("session");
  const words = ["connect", address, ...ca(), "--resume", session, "--json"];
  const first = await qkdTls(words, "GET / HTTP/1.0\r\n\r\n");
  expect(first.code).toBe(0);
  const [head = "", body = ""] = first.stdout.split("\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(head).toMatch(/^Content-Type: text\/html/m);
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`);
  expect(body).toMatch(/ML-KEM +yes +ml-kem-768/);
  expect(JSON.parse(first.stderr).security.resumed).toBe(false);
  if (process.platform !== "win32") expect(statSync(session).mode & 0o777).toBe(0o600);

  const second = await qkdTls(words, "HEAD /anything?x=<script> HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(second.stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  expect(JSON.parse(second.stderr).security.resumed).toBe(true);
  expect(
    await requests(address, [
      "junk\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
      "GET / HTTP/9.9\r\n\r\n",
      "GET / HTTP/1.0\n\n",
    ]),
  ).toEqual([
    "HTTP/1.1 400 Bad Request",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 400 Bad Request",
    "HTTP/1.1 200 OK", // As somebody at a terminal types it.
  ]);
  await server.stop();
});

/** The first line of the answer to each. */
async function requests(address: string, texts: readonly string[]): Promise<string[]> {
  const [host = "", port] = address.split(":");
  const answers = texts.map(async (text) => {
    const socket = connect({
      host,
      port: Number(port),
      ca: readFileSync(file("ca.crt")),
      allowHalfOpen: true,
    });
    socket.end(text);
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    return answer.split("\r\n")[0] ?? "";
  });
  return Promise.all(answers);
}

test.concurrent("--exec runs a command for each connection; a pre-shared key needs no certificate", async () => {
  const server = new Command([...listen, "--psk", `me:${KEY}`, "--exec", "tr a-z A-Z; echo $QKD_TLS_REMOTE"]);
  const address = await server.address();
  const good = await qkdTls(["connect", address, "--psk", `me:${KEY}`], "hello ");
  expect(good.stdout).toMatch(/^HELLO 127\.0\.0\.1 \d+\n$/);
  expect(good.stderr).toMatch(/^peer is +known by pre-shared key "me"$/m);
  const wrong = await qkdTls(["connect", address, "--psk", `me:${KEY}00`], "hello");
  expect(wrong).toMatchObject({ code: 5, stdout: "" });
  expect(wrong.stderr).toMatch(/decrypt_error\nhint: .*--psk/);
  const said = (await server.stop()).stderr;
  expect(said + good.stderr + wrong.stderr).not.toContain(KEY);
});

test.concurrent("without a mode, two terminals talk; each half closes on its own; --once ends the server", async () => {
  const server = new Command([...listen, ...identity(), "--once"], "from the server\n");
  const client = await qkdTls(["connect", await server.address(), ...ca()], "from the client\n");
  expect(client).toMatchObject({ code: 0, stdout: "from the server\n" });
  expect(await server.ended).toMatchObject({ code: 0, stdout: "from the client\n" });
});

const openssl = version();
const skipReason = openssl === undefined ? "no openssl 3 in the path" : "";
if (openssl === undefined) console.warn(`skipped: openssl s_client and s_server (${skipReason})`);

test.skipIf(openssl === undefined)("openssl s_client fetches the page of --www", async () => {
  const server = new Command([...listen, ...identity(), "--www", "--dangerously-allow-classical"]);
  const port = (await server.address()).split(":")[1] ?? "";
  const words = [
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-CAfile",
    file("ca.crt"),
    "-verify_return_error",
  ];
  const answer = execFileSync("openssl", [...words, "-groups", "X25519", "-tls1_3", "-quiet", "-ign_eof"], {
    input: "GET / HTTP/1.0\r\n\r\n",
    timeout: 10_000,
    stdio: ["pipe", "pipe", "ignore"],
  }).toString();
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).toMatch(/DEGRADED +without ML-KEM/);
  const { stderr } = await server.stop();
  expect(stderr).not.toMatch(/"event":"(failed|refused)"/);
});

function version(): string | undefined {
  try {
    return /^OpenSSL 3\S+/.exec(execFileSync("openssl", ["version"]).toString())?.[0];
  } catch {
    return undefined;
  }
}
