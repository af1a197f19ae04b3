/** The page of a KME, with `/metrics` and `/healthz`: plain HTTP, for this machine unless it is exposed. */

import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { fromUtf8 } from "../../protocol/bytes.ts";
import { UsageError } from "../../protocol/errors.ts";
import { isText, list, LONGEST_MS, onlyKnown, whole } from "../../protocol/options.ts";
import { readBody } from "../body.ts";
import { listen } from "../listen.ts";
import { type Asset, assets } from "./assets.ts";
import { fibreChange } from "./controls.ts";
import { isLoopback, refuseChange, refuseHost } from "./guard.ts";
import { History } from "./history.ts";
import { metricsOf } from "./metrics.ts";
import { Stream } from "./stream.ts";
import type { Watched } from "./watched.ts";

export interface PageOptions {
  readonly watched: Watched;
  readonly listen: { readonly host: string; readonly port: number };
  /**
   * Lets the page be reached from other machines, under these names besides its addresses. Anybody who reaches it may
   * look; the controls are then gone. Without it an address beyond loopback is refused.
   */
  readonly expose?: readonly string[];
  readonly limits?: PageLimits;
}

export interface PageLimits {
  /** Pages open at once; default 16. */
  readonly maxReaders?: number;
  /** Events that a page may leave unread, in bytes; default 1048576. */
  readonly maxUnreadBytes?: number;
  /** Default 64. */
  readonly maxConnections?: number;
  /** How often the figures are looked at, in milliseconds; default 1000. */
  readonly everyMs?: number;
}

export interface Page {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Ends every connection. */
  close(): Promise<void>;
}

const MOST_BODY_BYTES = 1024;
const REQUEST_MS = 10_000;

/** Ours alone: no script, style, picture or connection of another host, no frame around it, nothing inline. */
const HEADERS = {
  "content-security-policy":
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cache-control": "no-store",
};

/** Starts the page; it is listening when the promise is fulfilled. Throws UsageError when it cannot or may not. */
export async function startPage(options: PageOptions): Promise<Page> {
  onlyKnown(options, ["watched", "listen", "expose", "limits"], "startPage");
  const { limits = {}, listen: at, watched } = options;
  onlyKnown(limits, ["maxReaders", "maxUnreadBytes", "maxConnections", "everyMs"], "startPage limits");
  const isExposed = options.expose !== undefined;
  const names = list(options, "expose", "host names", isText).map((name) => name.toLowerCase());
  const token = randomBytes(32).toString("base64url");
  const history = new History(watched, { hasControls: watched.link?.lay !== undefined && !isExposed });
  const stream = new Stream({
    maxReaders: whole(limits, "maxReaders", 16, 1, 10_000),
    maxUnreadBytes: whole(limits, "maxUnreadBytes", 2 ** 20, 1),
  });
  const desk = new Desk({ watched, history, stream, names, token, isExposed });
  const everyMs = whole(limits, "everyMs", 1000, 1, LONGEST_MS);
  const server = createServer(
    { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, maxHeaderSize: 8192 },
    (request, response) => void desk.serve(request, response),
  );
  server.maxConnections = whole(limits, "maxConnections", 64, 1);
  const place = { host: await addressOf(at.host, isExposed), port: at.port };
  const { host, port } = await listen(server, place, "ui");
  history.look();
  const timer = setInterval(() => stream.tell(history.look()), everyMs).unref();
  return {
    host,
    port,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        clearInterval(timer);
        stream.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface DeskParts {
  readonly watched: Watched;
  readonly history: History;
  readonly stream: Stream;
  readonly names: readonly string[];
  readonly token: string;
  readonly isExposed: boolean;
}

/** Answers requests. */
class Desk {
  readonly #parts: DeskParts;
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #metrics: ReturnType<typeof metricsOf>;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#assets = assets(parts.token);
    this.#metrics = metricsOf(parts.watched, parts.history);
  }

  /** Never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    try {
      const refused = refuseHost(request, this.#parts.names);
      if (refused !== undefined) return say(response, refused.status, refused.message);
      // A query means nothing to us.
      const [path = ""] = (request.url ?? "").split("?", 1);
      if (path === "/fibre") return await this.#lay(request, response);
      const isKnown = this.#assets.has(path) || ["/events", "/metrics", "/healthz"].includes(path);
      if (!isKnown) return say(response, 404, "no such page");
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.setHeader("allow", "GET, HEAD");
        return say(response, 405, "method not allowed");
      }
      await this.#show(path, request, response);
    } catch {
      if (response.headersSent || request.errored != null) response.destroy();
      else say(response, 500, "internal error");
    }
  }

  async #show(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { history, stream } = this.#parts;
    const asset = this.#assets.get(path);
    if (asset !== undefined) return send(response, 200, asset.type, asset.bytes);
    if (path === "/metrics") {
      return send(response, 200, this.#metrics.contentType, Buffer.from(await this.#metrics.metrics()));
    }
    const { standing, simulated } = history.whole;
    if (path === "/healthz") {
      // Not where keys are lacking: an orchestrator that restarts such a KME would only make it worse.
      return sendJson(response, standing.status === "failing" ? 503 : 200, { ...standing, simulated });
    }
    if (request.method === "HEAD") return send(response, 200, "text/event-stream", Buffer.alloc(0));
    if (!stream.join(response, history.whole)) {
      response.setHeader("retry-after", "10");
      say(response, 503, "too many pages are open");
    }
  }

  async #lay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { watched, history, stream, token, isExposed } = this.#parts;
    if (request.method !== "POST") {
      response.setHeader("allow", "POST");
      return say(response, 405, "method not allowed");
    }
    const { link } = watched;
    if (link?.lay === undefined || isExposed) return say(response, 404, "there are no controls here");
    const refused = refuseChange(request, token);
    if (refused !== undefined) return say(response, refused.status, refused.message);
    const body = await readBody(request, MOST_BODY_BYTES);
    if (body === undefined) {
      response.setHeader("connection", "close");
      return say(response, 413, `the controls have at most ${MOST_BODY_BYTES} bytes`);
    }
    try {
      link.lay(fibreChange(parsed(body)));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { message, code, option } = error;
      return sendJson(response, 400, { message, code, ...(option !== undefined && { option }) });
    }
    stream.tell(history.look());
    response.writeHead(204).end();
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(fromUtf8(body));
  } catch {
    throw new UsageError("ERR_OPTION_INVALID", "the controls must be JSON in UTF-8");
  }
}

function send(response: ServerResponse, status: number, type: string, bytes: Buffer): void {
  response.writeHead(status, { "content-type": type, "content-length": bytes.length }).end(bytes);
}

const sendJson = (response: ServerResponse, status: number, body: object): void =>
  send(response, status, "application/json; charset=utf-8", Buffer.from(JSON.stringify(body)));

const say = (response: ServerResponse, status: number, message: string): void =>
  sendJson(response, status, { message });

/** A name may lead anywhere: what counts is the address that it stands for. */
async function addressOf(host: string, isExposed: boolean): Promise<string> {
  let address: string;
  try {
    ({ address } = await lookup(host));
  } catch (cause) {
    throw unusable(`the page cannot listen on ${host}: there is no such name`, cause);
  }
  if (isLoopback(address) || isExposed) return address;
  throw unusable(`${host} is reached from other machines, which the page must be exposed for`);
}

const unusable = (text: string, cause?: unknown): UsageError =>
  new UsageError("ERR_OPTION_INVALID", text, { cause, option: "ui" });
