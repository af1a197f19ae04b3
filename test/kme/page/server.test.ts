import http from "node:http";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { kmeApi } from "../../../src/kme/api.ts";
import { type Page, type PageOptions, startPage } from "../../../src/kme/page/server.ts";
import { linkedStores } from "../../../src/kme/pair.ts";
import type { SimulatedLink } from "../../../src/kme/link.ts";
import { UsageError } from "../../../src/protocol/errors.ts";
import { bed, failed, record } from "./watched.ts";

type Laid = Parameters<SimulatedLink["lay"]>[0];
let parts: ReturnType<typeof bed>;
let laid: Laid[];
let page: Page;
const listen = { host: "127.0.0.1", port: 0 };

/** A page of two KMEs whose fibre can be changed. */
async function start(options: Partial<PageOptions> = {}): Promise<Page> {
  const { watched } = parts;
  const lay = (change: Laid): void => {
    if (change.lengthKm === 13) throw new UsageError("ERR_OPTION_INVALID", "no", { option: "lengthKm" });
    laid.push(change);
  };
  return startPage({ watched: { ...watched, link: { ...watched.link, lay } }, listen, ...options });
}
beforeEach(async () => {
  [parts, laid] = [bed(), []];
  page = await start();
});
afterEach(() => page.close());
const again = async (options: Partial<PageOptions>): Promise<void> => {
  await page.close();
  page = await start(options);
};

interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}
function ask(path: string, options: http.RequestOptions & { body?: string } = {}): Promise<Reply> {
  const { body, ...rest } = options;
  const { host, port } = page;
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, path, agent: false, ...rest }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (text += chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      answer.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** The events of a page that is open. */
async function follow(headers: http.OutgoingHttpHeaders = {}) {
  const { host, port } = page;
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.get({ host, port, path: "/events", agent: false, headers }, resolve);
    request.on("error", reject);
  });
  const ended = new Promise<void>((resolve) => answer.once("close", () => resolve()));
  answer.on("error", () => undefined);
  answer.setEncoding("utf8");
  const events = (async function* () {
    let text = "";
    for await (const chunk of answer) {
      text += String(chunk);
      for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
        const [, name, data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(0, at)) ?? [];
        text = text.slice(at + 2);
        yield { name, figures: JSON.parse(data) };
      }
    }
  })();
  const next = async (): Promise<any> => (await events.next()).value;
  return { status: answer.statusCode, headers: answer.headers, next, ended, stop: () => answer.destroy() };
}

const calm = { lengthKm: 10, interceptShare: 0, splitShare: 0, addedLossDb: 0, cut: false };
async function token(): Promise<string> {
  return /name="token" content="([^"]+)"/.exec((await ask("/")).text)?.[1] ?? "";
}
/** As the page's own script does it. */
async function change(body: unknown, headers: http.OutgoingHttpHeaders = {}, text = JSON.stringify(body)) {
  const origin = `http://127.0.0.1:${page.port}`;
  const ours = { origin, "content-type": "application/json", "x-page-token": await token() };
  return ask("/fibre", { method: "POST", headers: { ...ours, ...headers }, body: text });
}

describe("the page", () => {
  test("is served, with nothing that others could put into it", async () => {
    const { status, headers, text } = await ask("/");
    expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(text).toContain("<h1");
    expect(headers["content-security-policy"]).toMatch(/^default-src 'self';.*frame-ancestors 'none'/);
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect((await ask("/page.js?v=1")).status).toBe(200);
  });

  test.each(["/nowhere", "/index.html", "/../package.json", "/%2e%2e/package.json", "//", "/page.ts", "*"])(
    "%s is not there",
    async (path) => {
      expect((await ask(path)).status).toBe(404);
    },
  );

  test("is to be looked at: other methods are refused", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const { status, headers } = await ask("/", { method });
      expect([status, headers.allow]).toEqual([405, "GET, HEAD"]);
    }
    expect(await ask("/", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect(await ask("/events", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  test("is not shown under a name that may have been pointed here, whatever is asked", async () => {
    for (const path of ["/", "/events", "/metrics", "/healthz", "/fibre"]) {
      expect((await ask(path, { headers: { host: "evil.example" } })).status).toBe(421);
    }
  });

  test("has another token after each start", async () => {
    const before = await token();
    await again({});
    expect(before).toMatch(/^[\w-]{43}$/);
    expect(await token()).not.toBe(before);
  });

  test("noise is refused, and disturbs nobody", async () => {
    const heard = await new Promise<string>((resolve) => {
      const socket = net.connect(page.port, page.host, () => socket.write("\x16\x03\x01 noise\r\n\r\n"));
      let text = "";
      socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
      socket.on("close", () => resolve(text));
    });
    expect(heard).toMatch(/^HTTP\/1\.1 400 /);
    expect((await ask("/")).status).toBe(200);
  });
});

describe("where it listens", () => {
  test.each(["0.0.0.0", "::"])("%s is refused unless it is exposed", async (host) => {
    const starting = start({ listen: { host, port: 0 } });
    await expect(starting).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "ui" });
  });

  test("localhost will do", async () => {
    await again({ listen: { host: "localhost", port: 0 } });
    expect(page.url).toMatch(/^http:\/\/(?:127\.0\.0\.1|\[::1\]):\d+$/);
    expect((await ask("/", { headers: { host: "localhost" } })).status).toBe(200);
  });

  test("a name that is none, and a port that is taken, are named", async () => {
    const nowhere = start({ listen: { host: "no.such.host.invalid", port: 0 } });
    await expect(nowhere).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "ui" });
    const taken = start({ listen: { host: "127.0.0.1", port: page.port } });
    await expect(taken).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "ui" });
  });

  test("exposed it has the names it was given, and no controls", async () => {
    await again({ expose: ["KME.example"] });
    expect((await ask("/", { headers: { host: "kme.example:8480" } })).status).toBe(200);
    expect((await ask("/", { headers: { host: "evil.example" } })).status).toBe(421);
    expect(await change(calm)).toMatchObject({ status: 404 });
    expect(laid).toEqual([]);
    const events = await follow();
    expect((await events.next()).figures.link.hasControls).toBe(false);
    events.stop();
  });
});

describe("/events", () => {
  test("tells the whole, and then what is new", async () => {
    await again({ limits: { everyMs: 10 } });
    parts.history.push(record(1));
    const events = await follow();
    expect([events.status, events.headers["content-type"]]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
    ]);
    const whole = await events.next();
    expect(whole).toMatchObject({ name: "whole", figures: { link: { hasControls: true } } });
    parts.history.push(record(2, "qber_over_threshold", 0.07));
    const seen: number[] = whole.figures.blocks.map(({ block }: { block: number }) => block);
    while (!seen.includes(2)) {
      const { name, figures } = await events.next();
      expect([name, figures.samples.length]).toEqual(["news", 1]);
      seen.push(...figures.blocks.map(({ block }: { block: number }) => block));
    }
    expect(seen).toEqual([1, 2]);
    events.stop();
  });

  test("a reading of the metrics takes nothing away from it", async () => {
    const events = await follow();
    await events.next();
    parts.history.push(record(1));
    await ask("/metrics");
    await ask("/healthz");
    await change(calm);
    expect((await events.next()).figures.blocks).toMatchObject([{ block: 1 }]);
    events.stop();
  });

  test("has room for so many readers", async () => {
    await again({ limits: { maxReaders: 1 } });
    const events = await follow();
    const more = await ask("/events");
    expect([more.status, more.headers["retry-after"]]).toEqual([503, "10"]);
    events.stop();
  });

  test("ends with the page", async () => {
    const events = await follow();
    await events.next();
    await page.close();
    await events.ended;
  });
});

describe("/healthz", () => {
  const health = async () => {
    const { status, text } = await ask("/healthz");
    return [status, JSON.parse(text)];
  };
  test("is 200 while all is well", async () => {
    expect(await health()).toEqual([200, { status: "ok", reasons: [], simulated: true }]);
  });

  test("is 200 and says degraded without keys: no restart would make some", async () => {
    parts.stock.a = 0;
    expect(await health()).toMatchObject([200, { status: "degraded", reasons: [{ code: "stock_empty" }] }]);
  });

  test("is 503 when a store fails, and names no directory", async () => {
    parts.failures.a = failed();
    const [status, body] = await health();
    expect([status, body.status, body.reasons[0].code]).toEqual([503, "failing", "store_failed"]);
    expect(JSON.stringify(body)).not.toContain("/secret");
  });
});

test("/metrics are in the text format of Prometheus", async () => {
  const { status, headers, text } = await ask("/metrics");
  expect([status, headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  expect(text).toContain('\nqkd_tls_kme_stock_blocks{kme="kme-a",direction="outgoing"} 10\n');
});

describe("the controls", () => {
  test("change the fibre, and every page hears of it at once", async () => {
    const events = await follow();
    await events.next();
    expect(await change({ ...calm, interceptShare: 0.2 })).toMatchObject({ status: 204, text: "" });
    expect(laid).toEqual([{ lengthKm: 10, adversary: { interceptShare: 0.2, addedLossDb: 0, cut: false } }]);
    expect((await events.next()).name).toBe("news");
    events.stop();
  });

  test("what is out of range is refused by name, and nothing is laid", async () => {
    const [ours, links] = [
      await change({ ...calm, interceptShare: 2 }),
      await change({ ...calm, lengthKm: 13 }),
    ];
    expect([ours.status, JSON.parse(ours.text)]).toEqual([
      400,
      {
        code: "ERR_OPTION_INVALID",
        option: "interceptShare",
        message: "interceptShare must be a number from 0 to 1",
      },
    ]);
    expect([links.status, JSON.parse(links.text).option]).toEqual([400, "lengthKm"]);
    expect(laid).toEqual([]);
  });

  test.each(["", "{", "\xff", "[]", "null"])("%j is no change", async (body) => {
    expect((await change(undefined, {}, body)).status).toBe(400);
  });

  test("a body that is too long is refused, whether it says so or not", async () => {
    expect((await change(undefined, {}, " ".repeat(2000))).status).toBe(413);
    expect((await change(undefined, { "transfer-encoding": "chunked" }, " ".repeat(2000))).status).toBe(413);
  });

  test("nobody but our own page may touch them", async () => {
    const others = [
      { origin: "http://evil.example" },
      { "sec-fetch-site": "cross-site" },
      { "x-page-token": "x".repeat(43) },
      { "content-type": "text/plain" },
    ];
    for (const headers of others) expect([403, 415]).toContain((await change(calm, headers)).status);
    expect((await ask("/fibre", { method: "POST", body: JSON.stringify(calm) })).status).toBe(403);
    const { status, headers } = await ask("/fibre");
    expect([status, headers.allow]).toEqual([405, "POST"]);
    expect(laid).toEqual([]);
  });

  test("are not there where nothing can be laid", async () => {
    await again({ watched: { ...parts.watched, link: { status: parts.watched.link.status } } });
    expect((await change(calm)).status).toBe(404);
  });
});

test("no key and no key_ID is ever told", async () => {
  const stores = linkedStores({ initialKeys: 20, keysPerSecond: 0 });
  const api = kmeApi({
    id: "kme-a",
    saes: ["sae-a"],
    links: [{ kme: "kme-b", saes: ["sae-b"], store: stores.a }],
  });
  const target = "/api/v1/keys/sae-b/enc_keys";
  const { body } = await api.answer({ caller: "sae-a", method: "GET", target, body: new Uint8Array() });
  const { key_ID: id, key } = (body as { keys: { key_ID: string; key: string }[] }).keys[0]!;
  const kme = { id: "kme-a", peer: "kme-b", saes: ["sae-a"], store: stores.a, deliveries: api.deliveries };
  await again({ watched: { kmes: [kme] } });
  const events = await follow();
  const told = [(await events.next()).figures, (await ask("/metrics")).text, (await ask("/healthz")).text];
  events.stop();
  const text = JSON.stringify(told);
  expect(text).toContain("sae-b");
  for (const secret of [id, key, Buffer.from(key, "base64").toString("hex")])
    expect(text).not.toContain(secret);
  await Promise.all([stores.a.close(), stores.b.close()]);
});

test("options are refused by name", async () => {
  for (const [options, option] of [
    [{ uii: 1 }, "uii"],
    [{ limits: { readers: 1 } }, "readers"],
    [{ limits: { maxReaders: 0 } }, "maxReaders"],
    [{ limits: { everyMs: 0 } }, "everyMs"],
    [{ expose: [1] }, "expose"],
    [{ listen: { host: "127.0.0.1", port: 65_536 } }, "port"],
  ] as const) {
    await expect(start(options as object)).rejects.toMatchObject({ option });
  }
});
