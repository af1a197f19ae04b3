/** A KME whose answers can be spoilt: the real API behind a real socket, with a fault in between. */

import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { KmeApi } from "../../src/kme/api.ts";

/** What to do to one answer. `honest` is what the KME would have said. */
export type Fault = (
  response: ServerResponse,
  honest: { status: number; body: Record<string, any> },
  request: IncomingMessage,
) => void;

export interface FaultyKme {
  readonly url: string;
  readonly port: number;
  /** Requests for keys that arrived, by the last part of the path. */
  readonly seen: string[];
  /** Spoils answers of this kind until told otherwise. */
  spoil(what: "enc_keys" | "dec_keys" | "status", fault: Fault | undefined): void;
  close(): Promise<void>;
}

export interface FaultyOptions {
  readonly api: KmeApi;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export const answerWith =
  (status: number, body: unknown): Fault =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body));
  };

/** Changes what the honest KME said. */
export const rewrite =
  (change: (body: Record<string, any>) => unknown): Fault =>
  (response, { status, body }, request) =>
    answerWith(status, change(structuredClone(body)))(response, { status, body }, request);

/** Never answers. */
export const silence: Fault = () => undefined;

/** Sends the head and half of the body, then ends the connection. */
export const cutBody: Fault = (response, { body }) => {
  const text = JSON.stringify(body);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
};

/** Ends the connection instead of answering. */
export const hangUp: Fault = (response) => void response.socket?.destroy();

export async function startFaultyKme({ api, ...tls }: FaultyOptions): Promise<FaultyKme> {
  const faults = new Map<string, Fault>();
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = https.createServer(
    { ...tls, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      void (async () => {
        // What stands before the API names the fault that this caller wants.
        const target = (request.url ?? "").replace(/^\/[^/]+(?=\/api\/)/, "");
        const what = /(status|enc_keys|dec_keys)/.exec(target)?.[0] ?? "";
        seen.push(what);
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const caller = String((request.socket as TLSSocket).getPeerCertificate().subject.CN);
        const method = request.method ?? "";
        const honest = await api.answer({ caller, method, target, body: Buffer.concat(chunks) });
        const fault = faults.get(what) ?? answerWith(honest.status, honest.body);
        fault(response, { status: honest.status, body: honest.body as Record<string, any> }, request);
      })();
    },
  );
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    seen,
    spoil(what, fault) {
      if (fault === undefined) faults.delete(what);
      else faults.set(what, fault);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
