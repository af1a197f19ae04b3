/** Requests to a KME as anybody could send them: nothing is checked here, everything is reported. */
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { TLSSocket, type SecureVersion } from "node:tls";
import { codeOf } from "../cause.ts";

export interface Identity {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
}

/** Where a KME is. */
export interface KmePlace {
  readonly url: URL;
  /** Of a Unix domain socket, in place of the URL's host and port. */
  readonly socketPath?: string;
}

export const kmeText = ({ url, socketPath }: KmePlace): string =>
  socketPath === undefined ? url.host : `unix:${socketPath}`;

/** The host and the port, or the socket, for a request. */
export function targetOf({ url, socketPath }: KmePlace) {
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  if (socketPath !== undefined) return { socketPath, servername: hostname };
  return { hostname, port: url.port === "" ? 443 : url.port };
}

/** How a KME is reached and as whom. */
export interface Way extends KmePlace {
  readonly ca: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly identity?: Identity;
  /** TLS versions to offer; what Node offers without it. */
  readonly versions?: { readonly min: SecureVersion; readonly max: SecureVersion };
}

export interface Question {
  readonly method: "GET" | "POST";
  /** Below the KME's URL. */
  readonly path: string;
  /** Sent as JSON, or as it is when it is text. */
  readonly body?: object | string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** The body, where it is JSON. */
  readonly json: unknown;
  readonly milliseconds: number;
  readonly protocol: string | null;
  /** CN of the subject of the KME's certificate. */
  readonly kmeName: string | undefined;
}

/** What came of a question: an answer, or why there is none. */
export type Outcome =
  | { readonly answer: Answer; readonly failure?: never }
  | { readonly answer?: never; readonly failure: { readonly code: string; readonly message: string } };

const MOST_BYTES = 2 ** 22;

/** One caller of one KME; its connections are kept open. */
export class Caller {
  readonly #way: Way;
  readonly #agent: Agent;

  constructor(way: Way) {
    this.#way = way;
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: 16,
      // A resumed session shows no certificate.
      maxCachedSessions: 0,
      ...(way.ca && { ca: Buffer.from(way.ca) }),
      ...(way.identity && { cert: pem(way.identity.cert), key: pem(way.identity.key) }),
      ...(way.versions && {
        minVersion: way.versions.min,
        maxVersion: way.versions.max,
        // OpenSSL keeps the signatures of old versions behind this.
        ciphers: "DEFAULT@SECLEVEL=0",
      }),
    });
  }

  /** Never rejects. */
  ask({ method, path, body }: Question): Promise<Outcome> {
    const { url, timeoutMs } = this.#way;
    const content = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const from = performance.now();
    return new Promise((resolve) => {
      const fail = (error: Error): void =>
        resolve({ failure: { code: codeOf(error) ?? "unknown", message: error.message } });
      const asking = request(
        {
          agent: this.#agent,
          ...targetOf(this.#way),
          path: `${url.pathname.replace(/\/+$/, "")}${path}`,
          method,
          signal: AbortSignal.timeout(timeoutMs),
          headers: {
            accept: "application/json",
            ...(content !== undefined && {
              "content-type": "application/json",
              "content-length": Buffer.byteLength(content),
            }),
          },
        },
        (response) => {
          // Now, for a connection that goes back to the agent is not the response's any more.
          const seen = about(response);
          read(response).then((text) => {
            const milliseconds = performance.now() - from;
            return resolve({ answer: { ...seen, json: parsed(text), milliseconds } });
          }, fail);
        },
      );
      asking.on("error", fail);
      asking.end(content);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new Error(`the answer is longer than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const pem = (value: string | Uint8Array): Buffer => Buffer.from(value as Uint8Array); // of either

function about(response: IncomingMessage): Omit<Answer, "milliseconds" | "json"> {
  const { socket } = response;
  const secure = socket instanceof TLSSocket ? socket : undefined;
  const name: unknown = secure?.getPeerCertificate().subject?.CN;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    protocol: secure?.getProtocol() ?? null,
    kmeName: typeof name === "string" ? name : undefined,
  };
}
