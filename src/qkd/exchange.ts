/** One HTTP exchange with a KME over mutual TLS, and whether the request may have been acted on when it failed. */

import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import tls from "node:tls";
import { KeySourceError } from "../protocol/errors.ts";
import { tame } from "./names.ts";

export interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** `sent` is false only when no byte of the request can have reached the KME's application. */
export type Outcome =
  | { readonly ok: true; readonly status: number; readonly body: Buffer }
  | { readonly ok: false; readonly error: KeySourceError; readonly sent: boolean };

export interface Endpoint {
  readonly url: URL;
  /** A Unix domain socket instead of the URL's host and port. */
  readonly socketPath?: string;
  /** Absent for plaintext. */
  readonly secureContext?: tls.SecureContext;
  readonly servername?: string;
  readonly kmeId?: string;
  readonly maxConnections: number;
  readonly maxAnswerBytes: number;
  readonly idleMs: number;
}

export interface Line {
  readonly host: string;
  /** Never rejects. */
  exchange(call: Call): Promise<Outcome>;
  close(): void;
}

/** Opens keep-alive connections to one KME as they are needed. */
export function line(endpoint: Endpoint): Line {
  const agent = agentFor(endpoint);
  const open = new Set<(error: KeySourceError) => void>();
  let closed = false;
  return {
    host: nameOf(endpoint),
    exchange(call) {
      if (closed) return Promise.resolve(failed(shut(), false));
      if (call.signal?.aborted === true) return Promise.resolve(failed(givenUp(call.signal), false));
      return exchange(endpoint, agent, call, open);
    },
    close() {
      closed = true;
      for (const stop of open) stop(shut());
      agent.destroy();
    },
  };
}

function agentFor(endpoint: Endpoint): http.Agent {
  // An idle connection is dropped before the KME would drop it, so that no request races with its closing.
  const { maxConnections: maxSockets, idleMs: timeout } = endpoint;
  const pool = { keepAlive: true, maxSockets, timeout, scheduling: "lifo" } as const;
  if (endpoint.secureContext === undefined) return new http.Agent(pool);
  const { secureContext, servername, kmeId } = endpoint;
  return new https.Agent({
    ...pool,
    secureContext,
    rejectUnauthorized: true,
    ...(servername === undefined ? {} : { servername }),
    checkServerIdentity: (host, certificate) =>
      tls.checkServerIdentity(servername ?? host, certificate) ?? checkKmeId(kmeId, certificate),
  });
}

/** ETSI GS QKD 014 §5.1: the SAE takes the KME ID from the certificate and stops when it is another. */
function checkKmeId(kmeId: string | undefined, certificate: tls.PeerCertificate): Error | undefined {
  if (kmeId === undefined) return undefined;
  const common: unknown = certificate.subject.CN;
  if (common === kmeId || (Array.isArray(common) && common.includes(kmeId))) return undefined;
  const names = (certificate.subjectaltname ?? "")
    .split(", ")
    .map((entry) => entry.replace(/^[A-Za-z ]+:/, ""));
  if (names.includes(kmeId)) return undefined;
  return new Error(`its certificate does not name the KME ${tame(kmeId)}`);
}

function exchange(
  endpoint: Endpoint,
  agent: http.Agent,
  call: Call,
  open: Set<(error: KeySourceError) => void>,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const request = ask(endpoint, agent, call);
    const progress = watch(request);
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", abort);
      open.delete(stop);
      resolve(outcome);
      if (!outcome.ok) request.destroy();
    };
    const stop = (error: KeySourceError): void => settle(failed(error, progress.sent()));
    const abort = (): void => stop(givenUp(call.signal));
    const timer = setTimeout(() => {
      const text = `the KME ${nameOf(endpoint)} did not answer within ${call.timeoutMs} ms`;
      stop(new KeySourceError("ERR_QKD_TIMEOUT", text));
    }, call.timeoutMs);
    open.add(stop);
    call.signal?.addEventListener("abort", abort);
    request.on("error", (error) => settle(explain(endpoint, error, progress)));
    request.on("response", (answer) => collect(endpoint, answer, settle));
    request.end(call.body);
  });
}

function ask(endpoint: Endpoint, agent: http.Agent, call: Call): http.ClientRequest {
  const { hostname, port } = endpoint.url;
  const { socketPath } = endpoint;
  const headers: http.OutgoingHttpHeaders = { accept: "application/json" };
  if (call.body !== undefined) {
    headers["content-type"] = "application/json";
    headers["content-length"] = Buffer.byteLength(call.body);
  }
  const options = {
    agent,
    host: hostname.replace(/^\[|\]$/g, ""),
    ...(port === "" ? {} : { port }),
    ...(socketPath === undefined ? {} : { socketPath }),
    method: call.method,
    path: call.path,
    headers,
  };
  return endpoint.secureContext === undefined ? http.request(options) : https.request(options);
}

const nameOf = ({ url, socketPath }: Endpoint): string =>
  socketPath === undefined ? url.host : `unix:${tame(socketPath)}`;

interface Progress {
  sent(): boolean;
  established(): boolean;
  socket: Socket | undefined;
}

/** Connections that finished connecting (and their handshake) while some request watched. */
const ready = new WeakSet<Socket>();

function watch(request: http.ClientRequest): Progress {
  let writtenBefore = 0;
  const progress: Progress = {
    socket: undefined,
    // Before the handshake is done nothing of the request leaves: there is no early data here.
    sent: () => progress.established() && (progress.socket?.bytesWritten ?? 0) > writtenBefore,
    established: () => progress.socket !== undefined && ready.has(progress.socket),
  };
  request.on("socket", (socket) => {
    progress.socket = socket;
    if (ready.has(socket)) {
      writtenBefore = socket.bytesWritten;
    } else {
      socket.once(socket instanceof tls.TLSSocket ? "secureConnect" : "connect", () => ready.add(socket));
    }
  });
  return progress;
}

function collect(endpoint: Endpoint, answer: http.IncomingMessage, settle: (outcome: Outcome) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  const drop = (): void => {
    for (const chunk of chunks.splice(0)) chunk.fill(0);
  };
  const cut = (): void => {
    drop();
    const text = `the answer of the KME ${nameOf(endpoint)} was cut off after ${length} bytes`;
    settle(failed(new KeySourceError("ERR_QKD_UNREACHABLE", text), true));
  };
  answer.on("data", (chunk: Buffer) => {
    length += chunk.length;
    chunks.push(chunk);
    if (length <= endpoint.maxAnswerBytes) return;
    drop();
    const text = `the KME's answer is malformed: it is longer than ${endpoint.maxAnswerBytes} bytes`;
    settle(failed(new KeySourceError("ERR_QKD_MALFORMED", text), true));
  });
  answer.on("error", cut);
  answer.on("end", () => {
    if (!answer.complete) return cut();
    const body = Buffer.concat(chunks);
    drop();
    settle({ ok: true, status: answer.statusCode ?? 0, body });
  });
}

function explain(endpoint: Endpoint, cause: Error, progress: Progress): Outcome {
  const host = nameOf(endpoint);
  const code = tame(String(Reflect.get(cause, "code") ?? cause.message));
  const { socket } = progress;
  if (socket instanceof tls.TLSSocket) {
    // Both a certificate of ours that the KME refuses and whatever else it objects to arrive as TLS alerts.
    if (/ALERT_.*(?:CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
      const text = `the KME ${host} does not accept our certificate (${code})`;
      return failed(new KeySourceError("ERR_QKD_UNAUTHORIZED", text, { cause }), false);
    }
    const distrusted: unknown = socket.authorizationError;
    if (!progress.established() && (distrusted || /^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(code))) {
      const text = `the KME ${host} is not trusted (${tame(cause.message) || code})`;
      return failed(new KeySourceError("ERR_QKD_UNTRUSTED", text, { cause }), false);
    }
  }
  const text = `the KME ${host} cannot be reached (${code})`;
  return failed(new KeySourceError("ERR_QKD_UNREACHABLE", text, { cause }), progress.sent());
}

export const failed = (error: KeySourceError, sent: boolean): Outcome => ({ ok: false, error, sent });

export const shut = (): KeySourceError => new KeySourceError("ERR_QKD_CLOSED", "the key source is closed");

export function givenUp(signal: AbortSignal | undefined): KeySourceError {
  return new KeySourceError("ERR_QKD_TIMEOUT", "the call was given up by its caller", {
    cause: signal?.reason,
  });
}
