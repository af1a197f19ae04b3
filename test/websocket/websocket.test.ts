import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, type WebSocketServer } from "ws";
import { inProcessPair, type QkdTlsSocket } from "../../src/index.ts";
import { connectWebSocket, createWebSocketServer } from "../../src/websocket/index.ts";
import { credentials } from "../support/credentials.ts";

const { caPem: ca, certPem: cert, keyPem: key } = credentials();
let server: WebSocketServer;
afterEach(() => {
  for (const client of server.clients) client.terminate();
  server.close();
});

async function listen(options: object, listener: (socket: QkdTlsSocket) => void): Promise<string> {
  server = createWebSocketServer({ host: "127.0.0.1", port: 0 }, { cert, key, ...options }, (socket) => {
    socket.on("error", () => undefined); // The cut that a test makes reaches this end too.
    listener(socket);
  });
  if (server.address() === null) await new Promise((resolve) => void server.once("listening", resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const ended = (socket: QkdTlsSocket): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => resolve(Buffer.concat(chunks)));
    socket.on("error", reject);
  });

describe("the channel over WebSocket", () => {
  test("carries megabytes both ways, keyed by QKD, with half-close and the same evidence", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    const url = await listen({ qkd: { source: b } }, (socket) => socket.pipe(socket));
    const socket = connectWebSocket(url, { ca, servername: "localhost", qkd: { source: a, peer: "sae-b" } });
    const sent = Buffer.alloc(3_000_000, "records");
    socket.end(sent);
    const received = await ended(socket);
    const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
    expect(digest(received)).toBe(digest(sent));
    expect(socket.security).toMatchObject({
      group: "X25519MLKEM768",
      simulated: true,
      qkd: { kind: "in-process" },
    });
  });

  test("the WebSocket ends without close_notify: truncated", async () => {
    const url = await listen({}, (socket) => socket.write("half a message"));
    const socket = connectWebSocket(url, { ca, servername: "localhost" });
    socket.once("data", () => {
      for (const client of server.clients) client.close(1000);
    });
    await expect(ended(socket)).rejects.toMatchObject({ code: "ERR_TLS_TRUNCATED" });
  });

  test("a text message is refused", async () => {
    const url = await listen({}, () => undefined);
    const failed = new Promise<Error>((resolve) => void server.once("tlsClientError", resolve));
    const plain = new WebSocket(url);
    plain.on("error", () => undefined);
    plain.on("open", () => plain.send("hello"));
    expect(await failed).toMatchObject({ code: "ERR_TLS_DECODE" });
  });

  test("a slow reader holds the writer back", async () => {
    let writer: QkdTlsSocket | undefined;
    const url = await listen({}, (socket) => {
      writer = socket;
      socket.on("error", () => undefined);
      const chunk = Buffer.alloc(65_536);
      const more = (): void => {
        while (!socket.destroyed && socket.bytesWritten < 200_000_000 && socket.write(chunk));
      };
      socket.on("drain", more);
      more();
    });
    const socket = connectWebSocket(url, { ca, servername: "localhost" });
    socket.on("error", () => undefined);
    await new Promise((resolve) => void socket.once("secureConnect", resolve));
    // Nobody reads, so the writer comes to rest as soon as every buffer on the way is full.
    let before = -1;
    for (let now = 0; now !== before; now = writer?.bytesWritten ?? 0) {
      before = now;
      await new Promise((resolve) => void setTimeout(resolve, 150));
    }
    expect(before).toBeGreaterThan(100_000);
    expect(before).toBeLessThan(50_000_000);
    socket.destroy();
  });

  test("a URL that is none is named", () => {
    server = { clients: [], close: () => undefined } as never;
    expect(() => connectWebSocket("http://x", {})).toThrow(/no ws: or wss: URL/);
  });
});
