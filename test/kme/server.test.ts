import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KmePair, startPair } from "../../src/kme/pair.ts";
import { startKme } from "../../src/kme/server.ts";
import { authority, type Issued } from "../support/certificates.ts";

const trusted = authority();
const saeA = trusted.issue("sae-a");
let pair: KmePair;
let port: number;

beforeAll(async () => {
  pair = await startPair({
    ca: trusted.ca,
    a: { id: "kme-a", listen: { port: 0 }, saes: ["sae-a"], ...trusted.issue("kme-a") },
    b: { id: "kme-b", listen: { port: 0 }, saes: ["sae-b"], ...trusted.issue("kme-b") },
    link: { initialKeys: 100 },
    server: { maxBodyBytes: 1000, requestTimeoutMs: 300 },
  });
  port = pair.a.port;
});
afterAll(() => pair.close());

interface Reply {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

function send(path: string, options: https.RequestOptions & { body?: string; as?: Partial<Issued> } = {}) {
  const { body, as = saeA, ...rest } = options;
  return new Promise<Reply>((resolve, reject) => {
    const request = https.request(
      { host: "127.0.0.1", port, path, ca: trusted.ca, ...as, agent: false, ...rest },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => (text += chunk));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
        answer.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
const message = ({ text }: Reply): unknown => JSON.parse(text).message;
const works = async (): Promise<void> => {
  expect((await send("/api/v1/keys/sae-b/status")).status).toBe(200);
};

/** Bytes on a TLS connection of our own; what comes back until it ends. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = tls.connect({ host: "127.0.0.1", port, ca: trusted.ca, ...saeA }, () =>
      socket.write(bytes),
    );
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (heard += chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(heard));
  });
}

describe("on the wire", () => {
  test("answers are JSON in UTF-8 that nobody stores", async () => {
    const reply = await send("/api/v1/keys/sae-b/enc_keys", { method: "POST", body: '{"number": 2}' });
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text).keys).toHaveLength(2);
    expect(reply.headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
    });
  });

  test("errors have a message and their status", async () => {
    const bad = await send("/api/v1/keys/sae-b/enc_keys?size=7");
    expect([bad.status, message(bad)]).toEqual([400, "size shall be a multiple of 8"]);
    expect((await send("/")).status).toBe(404);
    const put = await send("/api/v1/keys/sae-b/enc_keys", { method: "PUT", body: "{}" });
    expect([put.status, put.headers["allow"]]).toEqual([405, "GET, POST"]);
  });

  test("the SAE ID is the CN of the certificate", async () => {
    const stranger = await send("/api/v1/keys/sae-b/enc_keys", { as: trusted.issue("sae-z") });
    expect([stranger.status, message(stranger)]).toEqual([401, "the SAE is not served by this KME"]);
    const two = trusted.issue("", { commonNames: ["sae-a", "sae-b"] });
    const both = await send("/api/v1/keys/sae-b/enc_keys", { as: two });
    expect([both.status, message(both)]).toEqual([401, "the client certificate names no single SAE"]);
  });

  test("without a certificate that it trusts there is no conversation", async () => {
    await expect(send("/api/v1/keys/sae-b/status", { as: {} })).rejects.toThrow();
    await expect(send("/api/v1/keys/sae-b/status", { as: authority().issue("sae-a") })).rejects.toThrow();
    const late = trusted.issue("sae-a", { notAfter: new Date(Date.now() - 1000) });
    await expect(send("/api/v1/keys/sae-b/status", { as: late })).rejects.toThrow();
    await works();
  });

  test("TLS 1.2 will do, and nothing older", async () => {
    expect((await send("/api/v1/keys/sae-b/status", { maxVersion: "TLSv1.2" })).status).toBe(200);
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } as const;
    await expect(send("/api/v1/keys/sae-b/status", old)).rejects.toThrow();
  });
});

describe("whatever comes", () => {
  test("a body that is too long is refused", async () => {
    const before = pair.a.deliveries.refused.get(400) ?? 0;
    const reply = await send("/api/v1/keys/sae-b/enc_keys", { method: "POST", body: " ".repeat(1001) });
    expect([reply.status, message(reply)]).toEqual([400, "the request body is longer than 1000 bytes"]);
    expect(pair.a.deliveries.refused.get(400)).toBe(before + 1);
    await works();
  });

  test("a request that never ends is ended", async () => {
    const head = "POST /api/v1/keys/sae-b/enc_keys HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    expect(await raw(head)).toMatch(/^(HTTP\/1\.1 408|$)/);
    expect(await raw("GET /api/v1/keys")).toMatch(/^(HTTP\/1\.1 408|$)/);
    await works();
  });

  test("noise is refused", async () => {
    expect(await raw("\0\u0001\u0002 nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400/);
    expect(await raw(`GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431/);
    await works();
  });

  test("noise instead of TLS is refused", async () => {
    await new Promise<void>((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
      socket.on("error", () => undefined);
      socket.on("data", () => undefined);
      socket.on("close", () => resolve());
    });
    await works();
  });

  test("a connection cut in mid-request disturbs nobody", async () => {
    await new Promise<void>((resolve) => {
      const socket = tls.connect({ host: "127.0.0.1", port, ca: trusted.ca, ...saeA }, () => {
        socket.write(
          "POST /api/v1/keys/sae-b/enc_keys HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
          () => {
            socket.destroy();
            resolve();
          },
        );
      });
    });
    await works();
  });
});

test("ten thousand connections: it holds as many as it was told, drops the others, and serves on", async () => {
  const member = (id: string, sae: string) => ({
    id,
    listen: { port: 0 },
    saes: [sae],
    ...trusted.issue(id),
  });
  const crowded = await startPair({
    ca: trusted.ca,
    a: member("kme-a", "sae-a"),
    b: member("kme-b", "sae-b"),
    link: { initialKeys: 5, keysPerSecond: 0 },
    server: { maxConnections: 50, requestTimeoutMs: 600_000 },
  });
  try {
    const open = new Set<net.Socket>();
    const connection = () =>
      new Promise<void>((resolve) => {
        const socket = net.connect(crowded.a.port, "127.0.0.1");
        open.add(socket);
        socket.on("error", () => undefined);
        socket.resume().on("close", () => {
          open.delete(socket);
          resolve();
        });
      });
    const wave = 500;
    for (let made = 0; made < 10_000; made += wave) {
      const all = Array.from({ length: wave }, connection);
      const held = made === 0 ? 50 : 0;
      // Nothing ends a connection that says nothing, for ten minutes, unless there are too many.
      await new Promise<void>((resolve) => {
        let ended = 0;
        for (const each of all) void each.then(() => ++ended === wave - held && resolve());
      });
    }
    expect(open.size).toBe(50);
    const answer = () => send("/api/v1/keys/sae-b/enc_keys", { port: crowded.a.port });
    await expect(answer()).rejects.toThrow();
    for (const socket of open) socket.destroy();
    const status = () =>
      answer().then(
        (reply) => reply.status,
        () => undefined,
      );
    await expect.poll(status, { timeout: 20_000 }).toBe(200);
    expect(crowded.stores.a.stored).toBe(4);
  } finally {
    await crowded.close();
  }
});

describe("starting", () => {
  const options = { id: "kme-x", saes: [], links: [], ca: trusted.ca, ...trusted.issue("kme-x") };

  test("a port that is taken is a typed error, and a pair leaves nothing running", async () => {
    await expect(startKme({ ...options, listen: { port } })).rejects.toMatchObject({
      name: "UsageError",
      option: "listen",
      message: expect.stringContaining("EADDRINUSE"),
    });
    const member = (id: string, at: number) => ({ id, listen: { port: at }, saes: [], ...trusted.issue(id) });
    const failing = startPair({ ca: trusted.ca, a: member("kme-x", 0), b: member("kme-y", port) });
    await expect(failing).rejects.toMatchObject({ option: "listen" });
  });

  test("options are refused by name", async () => {
    const start = (rest: object) => startKme({ ...options, listen: { port: 0 }, ...rest });
    await expect(start({ key: undefined })).rejects.toMatchObject({
      code: "ERR_OPTION_MISSING",
      option: "key",
    });
    await expect(start({ port: 1 })).rejects.toMatchObject({ code: "ERR_OPTION_UNKNOWN", option: "port" });
    await expect(start({ listen: { port: -1 } })).rejects.toMatchObject({ option: "port" });
  });

  test("a closed KME has ended its connections", async () => {
    const kme = await startKme({ ...options, listen: { port: 0 } });
    const socket = tls.connect({ host: kme.host, port: kme.port, ca: trusted.ca, ...saeA });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.resume();
    await kme.close();
    await closed;
    await expect(send("/", { port: kme.port })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
