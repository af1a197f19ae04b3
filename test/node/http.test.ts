import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { connect, createServer, inProcessPair, type QkdTlsServer } from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";

const { caPem: ca, certPem: cert, keyPem: key } = credentials();
let server: QkdTlsServer | undefined;
afterEach(() => server?.close());

/** An http.Server behind our channel, answering with what protects the request. */
async function serve(options: object): Promise<number> {
  const web = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { security } = request.socket as unknown as { security: { qkd: { keyId: string } | null } };
      response.end(
        JSON.stringify({
          path: request.url,
          bytes: Buffer.concat(chunks).length,
          keyId: security.qkd?.keyId,
        }),
      );
    });
  });
  server = createServer({ cert, key, ...options }, (socket) => web.emit("connection", socket));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function ask(
  options: https.RequestOptions,
  body = "",
): Promise<{ path: string; bytes: number; keyId?: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request({ host: "127.0.0.1", ...options }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(JSON.parse(text)));
    });
    request.on("error", reject);
    request.end(body);
  });
}

describe("stock HTTP over the channel", () => {
  test("https.request by createConnection, against http.Server by its connection event", async () => {
    const port = await serve({});
    const createConnection = (options: object) => connect({ ...options, ca, servername: "localhost" });
    const answer = await ask({ port, path: "/a?b", method: "POST", createConnection }, "x".repeat(300_000));
    expect(answer).toEqual({ path: "/a?b", bytes: 300_000 });
  });

  test("an https.Agent whose createConnection is ours keeps its connections alive", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    const port = await serve({ qkd: { source: b } });
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    let opened = 0;
    Object.assign(agent, {
      createConnection: (options: object) => {
        opened++;
        return connect({ ...options, ca, servername: "localhost", qkd: { source: a, peer: "sae-b" } });
      },
    });
    const first = await ask({ port, path: "/1", agent });
    const second = await ask({ port, path: "/2", agent });
    agent.destroy();
    expect(first.keyId).toMatch(/^[0-9a-f-]{36}$/);
    expect(second).toEqual({ path: "/2", bytes: 0, keyId: first.keyId });
    expect(opened).toBe(1);
  });
});
