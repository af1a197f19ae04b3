/** A KME on the wire: HTTPS with mutual TLS in front of the API. ETSI GS QKD 014 §5.1. */

import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { UsageError } from "../protocol/errors.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import { type KmeAnswer, type KmeApi, type KmeIdentity, kmeApi } from "./api.ts";
import type { DeliveryFigures } from "./deliveries.ts";
import { readBody } from "./body.ts";
import { type Listen, listen } from "./listen.ts";

export type { Listen };

type Pem = string | Uint8Array;

export interface ServerLimits {
  /** Default 65536. */
  readonly maxBodyBytes?: number;
  /** For a whole request to arrive; default 10000. */
  readonly requestTimeoutMs?: number;
  /** Default 1000. */
  readonly maxConnections?: number;
}

export interface KmeOptions extends KmeIdentity {
  readonly listen: Listen;
  /** PEM: who vouches for the SAEs; our certificate chain; its private key. */
  readonly ca: Pem;
  readonly cert: Pem;
  readonly key: Pem;
  readonly server?: ServerLimits;
}

export interface Kme {
  readonly id: string;
  /** Where it listens; of a Unix domain socket `localhost` and 0. */
  readonly host: string;
  readonly port: number;
  /** Of a Unix domain socket, its path. */
  readonly path?: string;
  /** `https://host:port`, or `unix:/path`. */
  readonly url: string;
  readonly deliveries: DeliveryFigures;
  /** Ends every connection. The stores stay open. */
  close(): Promise<void>;
}

/**
 * Starts one KME; it is listening when the promise is fulfilled. A caller's SAE ID is the one CN of its
 * certificate's subject. Throws UsageError when it cannot listen or is misconfigured.
 */
export async function startKme(options: KmeOptions): Promise<Kme> {
  onlyKnown(options, "id saes links allow limits listen ca cert key server".split(" "), "startKme");
  const limits = options.server ?? {};
  onlyKnown(limits, ["maxBodyBytes", "requestTimeoutMs", "maxConnections"], "startKme server");
  const api = kmeApi(options);
  const maxBodyBytes = whole(limits, "maxBodyBytes", 65_536, 64, 2 ** 26);
  const requestTimeout = whole(limits, "requestTimeoutMs", 10_000, 1, LONGEST_MS);
  const { ca, cert, key } = pems(options);
  const server = https.createServer(
    {
      ca,
      cert,
      key,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.2",
      handshakeTimeout: requestTimeout,
      headersTimeout: requestTimeout,
      requestTimeout,
      connectionsCheckingInterval: Math.min(1000, requestTimeout),
      maxHeaderSize: 8192,
    },
    (request, response) => void serve(api, maxBodyBytes, request, response),
  );
  server.maxConnections = whole(limits, "maxConnections", 1000, 1);
  // The HTTP server's own list lacks the connections that are still in their TLS handshake.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const address = await listen(server, options.listen);
  return {
    id: options.id,
    ...address,
    deliveries: api.deliveries,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Answers one request. Never rejects. */
async function serve(
  api: KmeApi,
  maxBodyBytes: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (status: number, message: string): KmeAnswer => {
    api.deliveries.countRefusal(status);
    return { status, body: { message } };
  };
  try {
    const caller = callerOf(request);
    if (caller === undefined)
      return reply(response, refuse(401, "the client certificate names no single SAE"));
    const body = await readBody(request, maxBodyBytes);
    if (body === undefined) {
      response.setHeader("connection", "close");
      return reply(response, refuse(400, `the request body is longer than ${maxBodyBytes} bytes`));
    }
    // Nobody is there to take the keys that this would spend.
    if (response.destroyed) return;
    reply(
      response,
      await api.answer({ caller, method: request.method ?? "", target: request.url ?? "", body }),
    );
  } catch {
    if (response.headersSent || request.errored != null) response.destroy();
    else reply(response, refuse(503, "internal error"));
  }
}

function reply(response: ServerResponse, { status, body, allow }: KmeAnswer): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": bytes.length,
    "cache-control": "no-store",
    ...(allow !== undefined && { allow }),
  });
  response.end(bytes, () => bytes.fill(0));
}

/** The SAE ID that the certificate proves: the CN of its subject, of which there must be one. */
function callerOf({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const common: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof common === "string" ? common : undefined;
}

function pems(options: KmeOptions): { ca: Buffer; cert: Buffer; key: Buffer } {
  const pem = (option: "ca" | "cert" | "key"): Buffer => {
    const value: unknown = options[option];
    if (typeof value === "string") return Buffer.from(value);
    if (value instanceof Uint8Array) return Buffer.from(value);
    throw new UsageError("ERR_OPTION_MISSING", `${option} is missing: a KME speaks mutual TLS`, { option });
  };
  return { ca: pem("ca"), cert: pem("cert"), key: pem("key") };
}
