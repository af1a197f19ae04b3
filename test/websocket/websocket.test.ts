import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { inProcessPair, type QkdTlsSocket } from "../../src/index.ts";
import { connectWebSocket, createWebSocketServer } from "../../src/websocket/index.ts";
import { MAX_MESSAGE_BYTES } from "../../src/websocket/server.ts";
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

/** Says one thing and ends; the cut that a test makes afterwards reaches this end too. */
const finish = (text: string) => (socket: QkdTlsSocket) => {
  socket.on("error", () => undefined);
  socket.end(text);
};

const closed = (socket: QkdTlsSocket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", resolve);
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

  test("a single write may be larger than any message", async () => {
    const url = await listen({}, (socket) => {
      let bytes = 0;
      socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
      socket.on("end", () => socket.end(`${bytes}`));
    });
    const socket = connectWebSocket(url, { ca, servername: "localhost", allowHalfOpen: true });
    socket.end(Buffer.alloc(20 * MAX_MESSAGE_BYTES, "x"));
    expect((await ended(socket)).toString()).toBe(`${20 * MAX_MESSAGE_BYTES}`);
  });

  test("verifies the URL's host unless servername names another; an empty one only sends none", async () => {
    const url = await listen({}, finish("bye"));
    const verified: string[] = [];
    for (const name of [{}, { servername: "" }, { servername: "localhost" }]) {
      const checkServerIdentity = (hostname: string) => void verified.push(hostname);
      await ended(connectWebSocket(url, { ca, checkServerIdentity, ...name }));
    }
    expect(verified).toEqual(["127.0.0.1", "127.0.0.1", "localhost"]);
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

  test("half-close: one end may go on writing after the other has ended", async () => {
    const half = { allowHalfOpen: true };
    const heard: string[] = [];
    const url = await listen(half, (socket) => {
      socket.on("data", (chunk: Buffer) => heard.push(chunk.toString()));
      socket.on("end", () => {
        expect(socket.writable).toBe(true);
        socket.write("an ");
        socket.end("answer");
      });
    });
    const socket = connectWebSocket(url, { ca, servername: "localhost", ...half });
    socket.end("question");
    expect((await ended(socket)).toString()).toBe("an answer");
    expect(heard.join("")).toBe("question");
    await closed(socket);
    expect(socket.errored).toBeNull();
  });

  test("whoever writes while the WebSocket closes hears of the truncation, not of the WebSocket", async () => {
    let heard: (error: Error) => void = () => undefined;
    const left = new Promise<Error>((resolve) => {
      heard = resolve;
    });
    const url = await listen({}, (socket) => {
      socket.on("error", (error) => heard(error));
      socket.resume();
    });
    const socket = connectWebSocket(url, { ca, servername: "localhost" });
    socket.on("error", () => undefined);
    await new Promise((resolve) => void socket.once("secureConnect", resolve));
    for (const client of server.clients) client.close(1000);
    expect(await left).toMatchObject({ code: "ERR_TLS_TRUNCATED" });
  });

  test("a WebSocket whose bytes are no records is refused, and others go on", async () => {
    const url = await listen({}, (socket) => socket.end("fine"));
    const failed = new Promise<Error>((resolve) => void server.once("tlsClientError", resolve));
    const plain = new WebSocket(url);
    plain.on("error", () => undefined);
    plain.on("open", () => plain.send(Buffer.from("GET / HTTP/1.1")));
    expect(await failed).toMatchObject({ code: "ERR_TLS_DECODE" });
    const socket = connectWebSocket(url, { ca, servername: "localhost" });
    expect((await ended(socket)).toString()).toBe("fine");
  });

  test("a message over the bound is refused before it is kept", async () => {
    const url = await listen({}, () => undefined);
    const failed = new Promise<Error>((resolve) => void server.once("tlsClientError", resolve));
    const plain = new WebSocket(url);
    plain.on("error", () => undefined);
    plain.on("open", () => plain.send(Buffer.alloc(MAX_MESSAGE_BYTES + 1)));
    expect(await failed).toMatchObject({ code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" });
  });

  test("records in other pieces than ours: one byte a message, or all at once", async () => {
    const url = await listen({}, (socket) => socket.end("pieces"));
    // A relay between two WebSockets that deals every byte out by itself.
    const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => void relay.once("listening", resolve));
    relay.on("connection", (near) => {
      const far = new WebSocket(url);
      const waiting: Buffer[] = [];
      near.on("message", (data: Buffer) => {
        if (far.readyState === far.OPEN) for (const byte of data) far.send(Buffer.of(byte));
        else waiting.push(data);
      });
      far.on("open", () => {
        for (const data of waiting) for (const byte of data) far.send(Buffer.of(byte));
      });
      far.on("message", (data: Buffer) => {
        for (const byte of data) near.send(Buffer.of(byte));
      });
      far.on("close", () => near.close());
      far.on("error", () => undefined);
    });
    const { port } = relay.address() as AddressInfo;
    const socket = connectWebSocket(`ws://127.0.0.1:${port}`, { ca, servername: "localhost" });
    expect((await ended(socket)).toString()).toBe("pieces");
    relay.close();
  });

  test("the handshake that takes too long ends on either side", async () => {
    const url = await listen({ handshakeTimeout: 50 }, () => undefined);
    const failed = new Promise<Error>((resolve) => void server.once("tlsClientError", resolve));
    const silent = new WebSocket(url);
    silent.on("error", () => undefined);
    expect(await failed).toMatchObject({ code: "ERR_TLS_TIMEOUT" });
    const mute = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => void mute.once("listening", resolve));
    const { port } = mute.address() as AddressInfo;
    const socket = connectWebSocket(`ws://127.0.0.1:${port}`, { ca, handshakeTimeout: 50 });
    await expect(ended(socket)).rejects.toMatchObject({ code: "ERR_TLS_TIMEOUT" });
    for (const client of mute.clients) client.terminate();
    mute.close();
  });

  test("nobody listens, or somebody who speaks no WebSocket: an error event", async () => {
    const web = http.createServer((_, response) => response.end("no")).listen(0, "127.0.0.1");
    await new Promise((resolve) => void web.once("listening", resolve));
    const { port } = web.address() as AddressInfo;
    web.on("upgrade", (_, raw) => raw.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const refused = connectWebSocket(`ws://127.0.0.1:${port}`, { ca });
    await expect(ended(refused)).rejects.toBeInstanceOf(Error);
    await new Promise((resolve) => void web.close(resolve));
    const nobody = connectWebSocket(`ws://127.0.0.1:${port}`, { ca });
    await expect(ended(nobody)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    server = { clients: [], close: () => undefined } as never;
  });

  test("destroyed before the WebSocket is open: closed, and nothing thrown", async () => {
    const url = await listen({}, () => undefined);
    const socket = connectWebSocket(url, { ca, servername: "localhost" });
    socket.on("error", () => undefined);
    socket.destroy();
    await closed(socket);
    expect(socket.destroyed).toBe(true);
  });

  test("an http.Server that is there serves both, by its path", async () => {
    const web = http.createServer((_, response) => response.end("a page")).listen(0, "127.0.0.1");
    await new Promise((resolve) => void web.once("listening", resolve));
    const { port } = web.address() as AddressInfo;
    server = createWebSocketServer({ server: web, path: "/channel" }, { cert, key }, finish("inside"));
    const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
    expect(page).toBe("a page");
    const socket = connectWebSocket(`ws://127.0.0.1:${port}/channel`, { ca, servername: "localhost" });
    expect((await ended(socket)).toString()).toBe("inside");
    const elsewhere = connectWebSocket(`ws://127.0.0.1:${port}/other`, { ca, servername: "localhost" });
    await expect(ended(elsewhere)).rejects.toBeInstanceOf(Error);
    web.closeAllConnections();
    web.close();
  });

  test("noServer leaves the upgrade to the caller", async () => {
    const web = http.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => void web.once("listening", resolve));
    server = createWebSocketServer({ noServer: true }, { cert, key }, finish("by hand"));
    web.on("upgrade", (request, raw, head) => {
      server.handleUpgrade(request, raw, head, (websocket) => server.emit("connection", websocket, request));
    });
    const { port } = web.address() as AddressInfo;
    const socket = connectWebSocket(`ws://127.0.0.1:${port}`, { ca, servername: "localhost" });
    expect((await ended(socket)).toString()).toBe("by hand");
    web.closeAllConnections();
    web.close();
  });

  test("wrong options are a UsageError that names them, on both sides", () => {
    server = { clients: [], close: () => undefined } as never;
    // Nobody listens there; that must not come up later as an error of nobody's.
    const url = "ws://127.0.0.1:1";
    expect(() => connectWebSocket(url, { pfx: "x" } as never)).toThrow(
      expect.objectContaining({ option: "pfx" }),
    );
    expect(() => connectWebSocket(url, { recordSizeLimit: 1 })).toThrow(
      expect.objectContaining({ option: "recordSizeLimit" }),
    );
    const make = (options: object) => () =>
      createWebSocketServer({ noServer: true }, options, () => undefined);
    expect(make({})).toThrow(expect.objectContaining({ option: "cert" }));
    expect(make({ cert, key, typo: 1 })).toThrow(expect.objectContaining({ option: "typo" }));
  });

  test("a URL that is none is named", () => {
    server = { clients: [], close: () => undefined } as never;
    expect(() => connectWebSocket("http://x", {})).toThrow(/no ws: or wss: URL/);
  });
});
