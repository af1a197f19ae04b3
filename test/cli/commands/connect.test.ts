import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createNetServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePki } from "../../../src/cli/pki-files.ts";
import { createServer } from "../../../src/node/server.ts";
import { Command, qkdTls, stopAll } from "../command.ts";

let directory = "";
const file = (name: string): string => join(directory, name);
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  makePki({ directory });
});
afterAll(async () => {
  await stopAll();
  rmSync(directory, { recursive: true });
});

/** A server that does this with each connection of plain TCP. */
async function plainServer(serve: (socket: Socket) => void): Promise<{ address: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

test.concurrent("a server that says nothing is given up after --timeout, one that is too slow after --max-time", async () => {
  const silent = await plainServer((socket) => socket.resume());
  const results = await Promise.all([
    qkdTls(["connect", silent.address, "--timeout", "0.2"]),
    qkdTls(["connect", silent.address, "--max-time", "0.2"]),
  ]);
  silent.close();
  expect(results[0]).toMatchObject({ code: 5, stdout: "" });
  expect(results[0]?.stderr).toMatch(/^qkd-tls: the handshake took too long\nhint: .*--timeout/);
  expect(results[1]).toMatchObject({ code: 1, stdout: "" });
  expect(results[1]?.stderr).toBe("qkd-tls: not done after 0.2 s\nhint: --max-time ended it\n");
});

test.concurrent("a server that speaks something else broke the protocol", async () => {
  const other = await plainServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const { code, stderr } = await qkdTls(["connect", other.address]);
  other.close();
  expect(stderr).toMatch(/^qkd-tls: [^\n]+\n(hint: [^\n]+\n)?$/);
  expect(code).toBe(5);
});

test.concurrent("who the server is decides: an unknown CA, another name, --servername and --insecure", async () => {
  const named = createServer(
    { cert: readFileSync(file("server.crt")), key: readFileSync(file("server.key")) },
    (socket) => socket.end("welcome"),
  );
  named.on("tlsClientError", () => undefined).listen(0, "127.0.0.1");
  await once(named, "listening");
  const at = `127.0.0.1:${(named.address() as AddressInfo).port}`;
  const ca = ["--ca", file("ca.crt")];
  const [stranger, otherName, asked, insecure] = await Promise.all([
    qkdTls(["connect", at]),
    qkdTls(["connect", at, ...ca, "--servername", "other.example"]),
    qkdTls(["connect", at, ...ca, "--servername", "localhost"]),
    qkdTls(["connect", at, "--insecure"]),
  ]);
  named.close();
  expect(stranger).toMatchObject({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(/hint: name the CA .* --ca FILE/),
  });
  expect(otherName).toMatchObject({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(/hint: .*--servername NAME/),
  });
  expect(asked).toMatchObject({
    code: 0,
    stdout: "welcome",
    stderr: expect.stringMatching(/^peer is .*, verified$/m),
  });
  expect(insecure).toMatchObject({
    code: 0,
    stdout: "welcome",
    stderr: expect.stringMatching(/NOT VERIFIED/),
  });
});

test.concurrent("a connection that is cut is told from one that ended", async () => {
  const server = createServer(
    { cert: readFileSync(file("server.crt")), key: readFileSync(file("server.key")) },
    (socket) => {
      socket.on("error", () => undefined);
      socket.write("half a", () => transports.forEach((transport) => transport.destroy()));
    },
  );
  const transports: Socket[] = [];
  server.on("connection", (transport: Socket) => transports.push(transport));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new Command(["connect", `127.0.0.1:${port}`, "--ca", file("ca.crt"), "--json"], null);
  const { code, stderr } = await client.ended;
  server.close();
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/"event":"error".*"code":"(ERR_TLS_TRUNCATED|ECONNRESET)"/);
});

test.concurrent("--ocsp-file keeps the OCSP response of this server, and nothing of one without", async () => {
  const options = { cert: readFileSync(file("server.crt")), key: readFileSync(file("server.key")) };
  const stapled = Uint8Array.of(0x30, 3, 0x0a, 1, 0);
  const kept = file("ocsp.der");
  for (const own of [{ ocspResponse: stapled }, {}]) {
    const server = createServer({ ...options, ...own }, (socket) => {
      socket.on("error", () => undefined);
      socket.end("welcome");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const words = ["connect", `127.0.0.1:${port}`, "--ca", file("ca.crt"), "--ocsp-file", kept];
    const { code, stdout } = await qkdTls(words);
    server.close();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "welcome" });
    if ("ocspResponse" in own) expect(readFileSync(kept)).toEqual(Buffer.from(stapled));
    else expect(existsSync(kept)).toBe(false);
  }
});

const openssl = version();
if (openssl === undefined) console.warn("skipped: openssl s_server (no openssl 3 in the path)");

test.skipIf(openssl === undefined)(
  "talks with openssl s_server, which has no ML-KEM before 3.5",
  async () => {
    const words = [
      "s_server",
      "-accept",
      "127.0.0.1:0",
      "-cert",
      file("server.crt"),
      "-key",
      file("server.key"),
    ];
    const child = spawn("openssl", [...words, "-tls1_3", "-groups", "X25519", "-rev", "-naccept", "2"], {
      stdio: "pipe",
    });
    try {
      let said = "";
      while (!/ACCEPT \S+:(\d+)/.test(said)) said += String((await once(child.stdout, "data"))[0]);
      const port = /ACCEPT \S+:(\d+)/.exec(said)?.[1] ?? "";
      const client = ["connect", `127.0.0.1:${port}`, "--ca", file("ca.crt"), "--max-time", "8"];
      const strict = await qkdTls([...client, "--policy", "pqc"], "abc\n");
      expect(strict).toMatchObject({ code: 5, stdout: "" });
    } finally {
      child.kill();
    }
  },
);

function version(): string | undefined {
  try {
    return /^OpenSSL 3\S+/.exec(execFileSync("openssl", ["version"]).toString())?.[0];
  } catch {
    return undefined;
  }
}
