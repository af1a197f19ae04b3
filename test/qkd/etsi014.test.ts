import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { kmeApi } from "../../src/kme/api.ts";
import { type LinkedStores, linkedStores, startPair } from "../../src/kme/pair.ts";
import type { KeySourceError } from "../../src/protocol/errors.ts";
import { type Etsi014, type Etsi014Options, etsi014 } from "../../src/qkd/etsi014.ts";
import { authority } from "../support/certificates.ts";
import {
  answerWith,
  cutBody,
  type Fault,
  type FaultyKme,
  hangUp,
  rewrite,
  silence,
  startFaultyKme,
} from "../support/faulty-kme.ts";

const trusted = authority();
const [kmeA, saeA, saeB] = [trusted.issue("kme-a"), trusted.issue("sae-a"), trusted.issue("sae-b")];

let stores: LinkedStores;
let kme: FaultyKme;
const opened: { close(): void }[] = [];

function client(options: Partial<Etsi014Options> = {}): Etsi014 {
  const source = etsi014({
    url: kme.url,
    sae: "sae-a",
    ca: trusted.ca,
    ...saeA,
    timeoutMs: 2000,
    ...options,
  });
  opened.push(source);
  return source;
}

/** The error that the call ends with. */
async function failure(call: Promise<unknown>): Promise<KeySourceError> {
  return call.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: KeySourceError) => error,
  );
}

beforeAll(async () => {
  stores = linkedStores({ initialKeys: 1000, keysPerSecond: 0 });
  const links = [{ kme: "kme-b", saes: ["sae-b"], store: stores.a }];
  const api = kmeApi({ id: "kme-a", saes: ["sae-a"], links });
  kme = await startFaultyKme({ api, ca: trusted.ca, ...kmeA });
});

afterEach(() => {
  for (const source of opened.splice(0)) source.close();
  for (const what of ["enc_keys", "dec_keys", "status"] as const) kme.spoil(what, undefined);
  stores.fill(1000);
});

afterAll(async () => {
  await kme.close();
  await Promise.all([stores.a.close(), stores.b.close()]);
});

describe.skipIf(process.platform === "win32")("over Unix domain sockets (Windows has none)", () => {
  const root = mkdtempSync(join(tmpdir(), "qkd-tls-etsi-"));
  afterAll(() => rmSync(root, { recursive: true }));

  test("what one SAE draws the other redeems; mutual TLS stays", async () => {
    const member = (id: string, sae: string) => ({
      id,
      saes: [sae],
      listen: { path: join(root, id) },
      ...trusted.issue(id),
    });
    const [a, b] = [member("kme-a", "sae-a"), member("kme-b", "sae-b")];
    const pair = await startPair({ ca: trusted.ca, a, b, link: { initialKeys: 5, keysPerSecond: 0 } });
    const at = (path: string | undefined) => ({ url: "https://localhost", socketPath: path! });
    const master = client({ ...at(pair.a.path), kmeId: "kme-a" });
    const slave = client({ ...at(pair.b.path), sae: "sae-b", ...saeB });
    const key = await master.draw("sae-b");
    expect(key.kmes).toEqual({ source: "kme-a", target: "kme-b" });
    expect((await slave.redeem("sae-a", key.id)).key).toEqual(key.key);
    const stranger = client({ ...at(pair.a.path), ...authority().issue("sae-a") });
    // The socket may be closed before the alert that says so was read.
    expect((await failure(stranger.draw("sae-b"))).code).toMatch(/^ERR_QKD_UN(AUTHORIZED|REACHABLE)$/);
    const distrustful = client({ ...at(pair.a.path), url: "https://elsewhere.example" });
    expect((await failure(distrustful.draw("sae-b"))).code).toBe("ERR_QKD_UNTRUSTED");
    for (const source of opened.splice(0)) source.close();
    await pair.close();
    const late = await failure(client(at(a.listen.path)).draw("sae-b"));
    expect(late).toMatchObject({
      code: "ERR_QKD_UNREACHABLE",
      message: expect.stringContaining(`unix:${root}`),
    });
  });

  test("a path that is none is refused", () => {
    for (const socketPath of ["", "a\0b", 7 as never])
      expect(() => client({ socketPath })).toThrow(expect.objectContaining({ option: "socketPath" }));
  });
});

describe("between two real KMEs", () => {
  test.each(["POST", "GET"] as const)("what one SAE draws the other redeems, once (%s)", async (method) => {
    const member = (id: string, sae: string) => ({
      id,
      saes: [sae],
      listen: { port: 0 },
      ...trusted.issue(id),
    });
    const a = member("kme-a", "sae-a");
    const b = member("kme-b", "sae-b");
    const pair = await startPair({ ca: trusted.ca, a, b, link: { initialKeys: 50 } });
    const master = client({ url: pair.a.url, kmeId: "kme-a", method });
    const slave = client({ url: pair.b.url, kmeId: "kme-b", method, sae: "sae-b", ...saeB });
    try {
      const drawn = await master.draw("sae-b");
      const redeemed = await slave.redeem("sae-a", drawn.id.toUpperCase());
      expect(redeemed.key).toEqual(drawn.key);
      expect(drawn.key).toHaveLength(32);
      const kmes = { source: "kme-a", target: "kme-b" };
      expect(drawn).toMatchObject({ simulated: true, kind: "etsi-qkd-014", kmes });
      expect(redeemed).toMatchObject({ id: drawn.id, simulated: true, kmes });
      expect(master.simulated).toBe(true);

      expect(await failure(slave.redeem("sae-a", drawn.id))).toMatchObject({
        code: "ERR_QKD_UNKNOWN_KEY",
        fatal: false,
        status: 400,
        message: expect.stringContaining("one or more keys specified are not found on KME"),
      });
      expect(master.counters).toEqual({ drawn: 1, redeemed: 0, lost: 0, expired: 0, failures: 0 });
      expect(slave.counters).toEqual({ drawn: 0, redeemed: 1, lost: 0, expired: 0, failures: 1 });

      const long = await master.drawMany("sae-b", 3, { bytes: 64 });
      expect(new Set(long.map(({ id }) => id)).size).toBe(3);
      const third = await slave.redeem("sae-a", long[2]!.id, { bytes: 64 });
      expect(third.key).toEqual(long[2]!.key);
    } finally {
      await pair.close();
    }
  });

  test("status tells the stock and the KMEs", async () => {
    expect(await client().status("sae-b")).toEqual({
      peer: "sae-b",
      stored: stores.a.stored,
      perRequest: 128,
      keyBits: 256,
      simulated: true,
      kmes: { source: "kme-a", target: "kme-b" },
    });
  });

  test("one key_ID redeemed twice at once is given exactly once", async () => {
    const member = (id: string, sae: string) => ({
      id,
      saes: [sae],
      listen: { port: 0 },
      ...trusted.issue(id),
    });
    const pair = await startPair({
      ca: trusted.ca,
      a: member("kme-a", "sae-a"),
      b: member("kme-b", "sae-b"),
      link: { initialKeys: 50 },
    });
    try {
      const { id } = await client({ url: pair.a.url }).draw("sae-b");
      const slave = client({ url: pair.b.url, sae: "sae-b", ...saeB });
      const all = await Promise.allSettled(Array.from({ length: 8 }, () => slave.redeem("sae-a", id)));
      expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      expect(slave.counters).toMatchObject({ redeemed: 1, failures: 7, lost: 0 });
    } finally {
      await pair.close();
    }
  });

  test("draws at once on few connections give different keys", async () => {
    const source = client({ maxConnections: 2 });
    const keys = await Promise.all(Array.from({ length: 40 }, () => source.draw("sae-b")));
    expect(new Set(keys.map(({ id }) => id)).size).toBe(40);
    expect(source.counters).toMatchObject({ drawn: 40, lost: 0 });
  });
});

describe("both spellings of the key array", () => {
  test("Keys is read like keys", async () => {
    kme.spoil(
      "enc_keys",
      rewrite(({ keys }) => ({ Keys: keys })),
    );
    expect((await client().draw("sae-b")).key).toHaveLength(32);
  });
});

const oneKey = (change: (key: Record<string, any>) => void): Fault =>
  rewrite((body) => {
    change(body["keys"][0]);
    return body;
  });

/** What the KME does, what the caller sees, and whether the key counts as lost. */
const FAILURES: [name: string, fault: Fault, expected: object, lost: number][] = [
  ["is slow", silence, { code: "ERR_QKD_TIMEOUT", fatal: false }, 1],
  ["hangs up instead of answering", hangUp, { code: "ERR_QKD_UNREACHABLE", fatal: false }, 1],
  [
    "cuts its answer off",
    cutBody,
    { code: "ERR_QKD_UNREACHABLE", message: expect.stringContaining("cut off") },
    1,
  ],
  [
    "is empty, in words of its own, with 400",
    answerWith(400, { message: "Not enough keys available" }),
    { code: "ERR_QKD_EMPTY", status: 400, message: expect.stringContaining("Not enough keys available") },
    0,
  ],
  [
    "is empty, with 503",
    answerWith(503, { message: "insufficient key" }),
    { code: "ERR_QKD_EMPTY", status: 503 },
    0,
  ],
  ["is down behind its proxy", answerWith(503, "<html>"), { code: "ERR_QKD_UNREACHABLE", status: 503 }, 0],
  ["crashes in mid-request", answerWith(500, {}), { code: "ERR_QKD_UNREACHABLE", status: 500 }, 1],
  ["does not authorise us", answerWith(401, ""), { code: "ERR_QKD_UNAUTHORIZED", status: 401 }, 0],
  ["rejects the request", answerWith(400, { message: "no" }), { code: "ERR_QKD_REJECTED", status: 400 }, 0],
  ["redirects", answerWith(302, {}), { code: "ERR_QKD_REJECTED", status: 302 }, 0],
  [
    "refuses the size",
    answerWith(400, { message: "size shall be a multiple of 8" }),
    { code: "ERR_QKD_KEY_SIZE", status: 400 },
    0,
  ],
  [
    "gives a shorter key",
    oneKey((key) => (key["key"] = Buffer.alloc(16, 7).toString("base64"))),
    {
      code: "ERR_QKD_KEY_SIZE",
      message: expect.stringContaining("128 bits in keys[0].key, 256 were asked for"),
    },
    1,
  ],
  ["sends no JSON", answerWith(200, "{"), malformed("not JSON"), 1],
  ["sends no UTF-8", answerWith(200, Buffer.from([0x22, 0xff, 0x22])), malformed("UTF-8"), 1],
  ["sends an array", answerWith(200, []), malformed("key container is not an object"), 1],
  ["sends no keys", answerWith(200, {}), malformed("keys is not an array"), 1],
  ["sends both spellings", rewrite((body) => ({ ...body, Keys: [] })), malformed("both keys and Keys"), 1],
  ["sends too few", answerWith(200, { keys: [] }), malformed("holds 0 entries, 1 were"), 1],
  [
    "sends too many",
    rewrite(({ keys }) => ({ keys: [...keys, ...keys] })),
    malformed("holds 2 entries, 1 were"),
    1,
  ],
  ["sends a key that is no object", answerWith(200, { keys: [7] }), malformed("keys[0] is not an object"), 1],
  ["sends no UUID", oneKey((key) => (key["key_ID"] = "7")), malformed("keys[0].key_ID is not a UUID"), 1],
  ["sends no key_ID", oneKey((key) => delete key["key_ID"]), malformed("keys[0].key_ID"), 1],
  [
    "sends no base64",
    oneKey((key) => (key["key"] = "*".repeat(44))),
    malformed("keys[0].key is not base64"),
    1,
  ],
  ["sends unpadded base64", oneKey((key) => (key["key"] = "A".repeat(43))), malformed("keys[0].key"), 1],
  ["sends a number as key", oneKey((key) => (key["key"] = 1)), malformed("keys[0].key is not base64"), 1],
  [
    "sends zeros",
    oneKey((key) => (key["key"] = Buffer.alloc(32).toString("base64"))),
    malformed("all zeros"),
    1,
  ],
  ["sends an endless answer", answerWith(200, " ".repeat(5000)), malformed("longer than 4096 bytes"), 1],
];

function malformed(text: string): object {
  return { code: "ERR_QKD_MALFORMED", fatal: false, message: expect.stringContaining(text) };
}

describe("a KME that", () => {
  test.each(FAILURES)("%s: a typed error", async (_, fault, expected, lost) => {
    const source = client({ timeoutMs: fault === silence ? 150 : 2000, maxAnswerBytes: 4096 });
    kme.spoil("enc_keys", fault);
    const asked = kme.seen.filter((what) => what === "enc_keys").length;
    const error = await failure(source.draw("sae-b"));
    expect(error).toMatchObject({ name: "KeySourceError", ...expected });
    expect(source.counters).toEqual({ drawn: 0, redeemed: 0, lost, expired: 0, failures: 1 });
    // Never asked again: the request may have been acted on.
    expect(kme.seen.filter((what) => what === "enc_keys")).toHaveLength(asked + 1);
    kme.spoil("enc_keys", undefined);
    expect((await source.draw("sae-b")).key).toHaveLength(32);
  });

  test.each(FAILURES)("%s while redeeming: a typed error", async (_, fault, expected, lost) => {
    const source = client({ timeoutMs: fault === silence ? 150 : 2000, maxAnswerBytes: 4096 });
    const id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    const honest = { keys: [{ key_ID: id, key: Buffer.alloc(32, 5).toString("base64") }] };
    kme.spoil("dec_keys", (response, _, request) => fault(response, { status: 200, body: honest }, request));
    expect(await failure(source.redeem("sae-b", id))).toMatchObject({ name: "KeySourceError", ...expected });
    expect(source.counters).toEqual({ drawn: 0, redeemed: 0, lost, expired: 0, failures: 1 });
  });

  test("repeats a key_ID within a batch is malformed", async () => {
    kme.spoil(
      "enc_keys",
      rewrite(({ keys }) => ({ keys: [keys[0], keys[0]] })),
    );
    const source = client();
    expect(await failure(source.drawMany("sae-b", 2))).toMatchObject(malformed("keys[1].key_ID repeats"));
    expect(source.counters.lost).toBe(2);
  });

  test("hands a key_ID out again is caught", async () => {
    const id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    kme.spoil(
      "enc_keys",
      oneKey((key) => (key["key_ID"] = id)),
    );
    const source = client();
    await source.draw("sae-b");
    expect(await failure(source.draw("sae-b"))).toMatchObject({ code: "ERR_QKD_KEY_USED" });
    expect(source.counters).toMatchObject({ drawn: 1, lost: 1 });
  });

  test("answers dec_keys with another key is malformed", async () => {
    kme.spoil("dec_keys", (response, _, request) => {
      const keys = [
        { key_ID: "00000000-0000-4000-8000-000000000000", key: Buffer.alloc(32, 1).toString("base64") },
      ];
      answerWith(200, { keys })(response, { status: 200, body: {} }, request);
    });
    const error = await failure(client().redeem("sae-b", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"));
    expect(error).toMatchObject(malformed("lacks a key_ID that was asked for"));
  });

  test("says control characters at length gets one tame line", async () => {
    kme.spoil("enc_keys", answerWith(400, { message: `a\r\n\u001b[31m\u202e${"x".repeat(500)}` }));
    const { message } = await failure(client().draw("sae-b"));
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(message.length).toBeLessThan(320);
  });

  test("serves no status still serves keys, without the KMEs' names", async () => {
    kme.spoil("status", answerWith(404, {}));
    const key = await client().draw("sae-b");
    expect(key.kmes).toBeUndefined();
    expect(key.simulated).toBe(true);
  });

  test("says simulated in its status alone is believed", async () => {
    kme.spoil(
      "enc_keys",
      rewrite(({ keys }) => ({ keys })),
    );
    expect((await client().draw("sae-b")).simulated).toBe(true);
  });

  test.each(["source_KME_ID", "key_size", "max_key_per_request"])(
    "has no %s in its status",
    async (field) => {
      kme.spoil(
        "status",
        rewrite((body) => ({ ...body, [field]: undefined })),
      );
      expect(await failure(client().status("sae-b"))).toMatchObject(malformed(field));
    },
  );
});

describe("trust", () => {
  test("a KME certificate from another CA is fatal, and no request was made", async () => {
    const before = kme.seen.length;
    const error = await failure(client({ ca: authority("other").ca }).draw("sae-b"));
    expect(error).toMatchObject({ code: "ERR_QKD_UNTRUSTED", fatal: true });
    expect(kme.seen).toHaveLength(before);
  });

  test("a KME of another name is fatal", async () => {
    const source = client({ kmeId: "kme-z" });
    expect(await failure(source.draw("sae-b"))).toMatchObject({
      code: "ERR_QKD_UNTRUSTED",
      fatal: true,
      message: expect.stringContaining("kme-z"),
    });
    expect(source.counters.lost).toBe(0);
    expect(await failure(client({ servername: "elsewhere.example" }).status("sae-b"))).toMatchObject({
      code: "ERR_QKD_UNTRUSTED",
    });
    expect((await client({ kmeId: "localhost" }).draw("sae-b")).key).toHaveLength(32);
  });

  test("an expired KME certificate is fatal", async () => {
    const api = kmeApi({ id: "kme-a", saes: [], links: [] });
    const expired = trusted.issue("kme-a", { notAfter: new Date(Date.now() - 3_600_000) });
    const old = await startFaultyKme({ api, ca: trusted.ca, ...expired });
    const error = await failure(client({ url: old.url }).draw("sae-b"));
    expect(error).toMatchObject({ code: "ERR_QKD_UNTRUSTED", fatal: true });
    await old.close();
  });

  test("an endpoint that speaks no TLS is fatal", async () => {
    const plain = http.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => plain.once("listening", resolve));
    const { port } = plain.address() as AddressInfo;
    const error = await failure(client({ url: `https://127.0.0.1:${port}` }).draw("sae-b"));
    expect(error).toMatchObject({ code: "ERR_QKD_UNTRUSTED", fatal: true });
    plain.close();
  });

  test("a KME that does not accept our certificate has not taken the request", async () => {
    const stranger = authority("stranger").issue("sae-a");
    const source = client({ ...stranger });
    const error = await failure(source.draw("sae-b"));
    // The alert and the reset race; after a bare reset nobody can tell that nothing was lost.
    expect(["ERR_QKD_UNAUTHORIZED", "ERR_QKD_UNREACHABLE"]).toContain(error.code);
    expect(source.counters.lost).toBe(error.code === "ERR_QKD_UNAUTHORIZED" ? 0 : 1);
  });
});

describe("tries again only what was never sent", () => {
  test("a refused connection is tried until the KME is there", async () => {
    const probe = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));

    const source = client({ url: `https://127.0.0.1:${port}` });
    const drawing = source.draw("sae-b");
    // Up before the third try, which comes 400 ms after the first.
    const forward = net.createServer((socket) => {
      const onwards = net.connect(kme.port, "127.0.0.1");
      socket.pipe(onwards).pipe(socket);
      for (const end of [socket, onwards]) end.on("error", () => undefined);
      onwards.on("close", () => socket.destroy());
      socket.on("close", () => onwards.destroy());
    });
    await new Promise<void>((resolve) => {
      forward.listen(port, "127.0.0.1", resolve);
    });
    expect((await drawing).key).toHaveLength(32);
    expect(source.counters).toEqual({ drawn: 1, redeemed: 0, lost: 0, expired: 0, failures: 0 });
    source.close();
    await new Promise((resolve) => forward.close(resolve));
  });

  test("a KME that stays down is unreachable, and nothing is lost", async () => {
    const probe = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const source = client({ url: `https://127.0.0.1:${port}` });
    const error = await failure(source.draw("sae-b"));
    expect(error).toMatchObject({ code: "ERR_QKD_UNREACHABLE", fatal: false });
    expect(error.message).toContain("ECONNREFUSED");
    expect(source.counters).toMatchObject({ lost: 0, failures: 1 });
  });

  test("a kept-alive connection that breaks after the request was written is not tried again", async () => {
    const source = client();
    await source.draw("sae-b");
    kme.spoil("enc_keys", hangUp);
    const before = kme.seen.length;
    expect(await failure(source.draw("sae-b"))).toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
    expect(kme.seen.slice(before)).toEqual(["enc_keys"]);
    expect(source.counters).toMatchObject({ drawn: 1, lost: 1 });
  });

  test("status is repeated even when it was sent", async () => {
    let times = 0;
    kme.spoil("status", (response, honest, request) => {
      if (times++ === 0) hangUp(response, honest, request);
      else answerWith(honest.status, honest.body)(response, honest, request);
    });
    expect(await client().status("sae-b")).toMatchObject({ peer: "sae-b" });
    expect(times).toBe(2);
  });
});

describe("giving up", () => {
  test("a signal that fired before costs nothing", async () => {
    const source = client();
    const error = await failure(source.draw("sae-b", { signal: AbortSignal.abort() }));
    expect(error.code).toBe("ERR_QKD_TIMEOUT");
    expect(source.counters.lost).toBe(0);
  });

  test("a signal that fires in mid-request counts the key as lost", async () => {
    const source = client();
    const controller = new AbortController();
    kme.spoil("enc_keys", () => controller.abort(new Error("enough")));
    const error = await failure(source.draw("sae-b", { signal: controller.signal }));
    expect(error).toMatchObject({ code: "ERR_QKD_TIMEOUT", cause: { message: "enough" } });
    expect(source.counters.lost).toBe(1);
  });

  test("close ends what is under way and what comes later", async () => {
    const source = client();
    kme.spoil("enc_keys", () => source.close());
    expect((await failure(source.draw("sae-b"))).code).toBe("ERR_QKD_CLOSED");
    expect((await failure(source.draw("sae-b"))).code).toBe("ERR_QKD_CLOSED");
    expect((await failure(source.status("sae-b"))).code).toBe("ERR_QKD_CLOSED");
  });

  test.each(["", ".", "..", "a\0b", "x".repeat(256)])("the peer %j is refused unasked", async (peer) => {
    const before = kme.seen.length;
    expect((await failure(client().draw(peer))).code).toBe("ERR_QKD_REFUSED");
    expect(kme.seen).toHaveLength(before);
  });

  test("a key_ID that is no UUID is refused unasked", async () => {
    expect((await failure(client().redeem("sae-b", "../status"))).code).toBe("ERR_QKD_REFUSED");
  });
});

test("an SAE ID with strange characters stays one path segment", async () => {
  kme.spoil("enc_keys", (response, honest, request) => {
    expect(request.url).toBe("/api/v1/keys/a%2Fb%3F%C3%A9/enc_keys");
    answerWith(400, { message: "unknown" })(response, honest, request);
  });
  expect((await failure(client().draw("a/b?é"))).code).toBe("ERR_QKD_REJECTED");
});

describe("options", () => {
  const good = { url: "https://127.0.0.1:1", sae: "sae-a", ca: trusted.ca, ...saeA };
  const BAD: [string, object, object][] = [
    ["an unknown name", { timeout: 5 }, { code: "ERR_OPTION_UNKNOWN", option: "timeout" }],
    ["no url", { url: undefined }, { code: "ERR_OPTION_MISSING", option: "url" }],
    ["a url that is none", { url: "kme" }, { code: "ERR_OPTION_INVALID", option: "url" }],
    ["a password in the url", { url: "https://a:b@kme" }, { code: "ERR_OPTION_INVALID", option: "url" }],
    ["a query in the url", { url: "https://kme/?a" }, { code: "ERR_OPTION_INVALID", option: "url" }],
    ["plain http", { url: "http://127.0.0.1" }, { code: "ERR_OPTION_INVALID", option: "url" }],
    [
      "plain http to elsewhere",
      { url: "http://192.0.2.1", dangerous: { plaintext: true } },
      { code: "ERR_OPTION_INVALID", option: "url" },
    ],
    ["no ca", { ca: undefined }, { code: "ERR_OPTION_MISSING", option: "ca" }],
    ["no cert", { cert: undefined }, { code: "ERR_OPTION_MISSING", option: "cert" }],
    ["a ca that is no PEM", { ca: "ca.crt" }, { code: "ERR_OPTION_INVALID", option: "ca" }],
    ["a key of another certificate", { key: saeB.key }, { code: "ERR_OPTION_INVALID", option: "key" }],
    ["no SAE ID", { sae: "" }, { code: "ERR_OPTION_INVALID", option: "sae" }],
    ["a key length of nothing", { keyBytes: 0 }, { code: "ERR_OPTION_INVALID", option: "keyBytes" }],
    ["half a millisecond", { timeoutMs: 0.5 }, { code: "ERR_OPTION_INVALID", option: "timeoutMs" }],
    ["another method", { method: "PUT" }, { code: "ERR_OPTION_INVALID", option: "method" }],
  ];
  test.each(BAD)("%s is refused by name", (_, options, expected) => {
    expect(() => etsi014({ ...good, ...options })).toThrow(expect.objectContaining(expected));
  });

  test("plaintext to a loopback address is possible when asked for", async () => {
    const plain = http
      .createServer((_, response) => {
        const key = Buffer.alloc(32, 9).toString("base64");
        response.end(JSON.stringify({ keys: [{ key_ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", key }] }));
      })
      .listen(0, "127.0.0.1");
    await new Promise((resolve) => plain.once("listening", resolve));
    const { port } = plain.address() as AddressInfo;
    const source = etsi014({ url: `http://127.0.0.1:${port}`, sae: "sae-a", dangerous: { plaintext: true } });
    expect(await source.draw("sae-b")).toMatchObject({ simulated: false, key: new Uint8Array(32).fill(9) });
    source.close();
    plain.close();
  });
});
