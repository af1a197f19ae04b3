/** A pair of KMEs, with one thing wrong about them. */
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { type KmeAnswer, kmeApi, type KmeRequest } from "../../../src/kme/api.ts";
import { linkedStores } from "../../../src/kme/pair.ts";
import type { Authority } from "../../support/certificates.ts";

type Answering = (request: KmeRequest) => Promise<KmeAnswer>;

export type Wrong = (healthy: Answering) => Answering;

export interface Defect {
  /** What is done with each request in place of answering it well. */
  readonly answering?: Wrong;
  readonly tls?: https.ServerOptions;
  /** Speaks without TLS too, on the same port. */
  readonly plain?: boolean;
  readonly headers?: (headers: Record<string, string>) => Record<string, string>;
  /** In stock at the start, and made a second. */
  readonly keys?: number;
  readonly perSecond?: number;
}

export interface DefectivePair {
  readonly a: URL;
  readonly b: URL;
  close(): Promise<void>;
}

export async function defectivePair(authority: Authority, defect: Defect = {}): Promise<DefectivePair> {
  const stores = linkedStores({ initialKeys: defect.keys ?? 300, keysPerSecond: defect.perSecond ?? 0 });
  const limits = { maxKeysPerRequest: 16 };
  const link = (kme: string, saes: readonly string[], store: typeof stores.a) => [{ kme, saes, store }];
  const a = kmeApi({ id: "kme-a", saes: ["sae-a"], links: link("kme-b", ["sae-b"], stores.a), limits });
  const b = kmeApi({ id: "kme-b", saes: ["sae-b"], links: link("kme-a", ["sae-a"], stores.b), limits });
  const servers = [
    serve(authority, "kme-a", (request) => a.answer(request), defect),
    serve(authority, "kme-b", (request) => b.answer(request), defect),
  ];
  const [urlA, urlB] = await Promise.all(servers.map(async ({ listening }) => listening));
  return {
    a: urlA as URL,
    b: urlB as URL,
    async close() {
      for (const { close } of servers) close();
      await Promise.all([stores.a.close(), stores.b.close()]);
    },
  };
}

function serve(authority: Authority, id: string, healthy: Answering, defect: Defect) {
  const answering = defect.answering?.(healthy) ?? healthy;
  const handler: http.RequestListener = (request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const subject = (request.socket as Partial<TLSSocket>).getPeerCertificate?.().subject;
      const caller = String(subject?.CN ?? "sae-a");
      const { method = "", url = "" } = request;
      const asked = { caller, method, target: url, body: new Uint8Array(Buffer.concat(chunks)) };
      const { status, body } = await answering(asked);
      const headers = { "content-type": "application/json", "cache-control": "no-store" };
      response.writeHead(status, defect.headers?.(headers) ?? headers);
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    })();
  };
  const options = { ca: authority.ca, ...authority.issue(id), requestCert: true, ...defect.tls };
  const secure = https.createServer(options, handler);
  const front = defect.plain === true ? eitherServer(secure, http.createServer(handler)) : secure;
  const listening = new Promise<URL>((resolve) => {
    front.listen(0, "127.0.0.1", () =>
      resolve(new URL(`https://localhost:${(front.address() as AddressInfo).port}`)),
    );
  });
  return {
    listening,
    close: () => {
      secure.closeAllConnections();
      front.close();
    },
  };
}

/** A port that answers HTTP and HTTPS, by the first byte. */
function eitherServer(secure: https.Server, plain: http.Server): https.Server {
  const front = https.createServer({});
  front.removeAllListeners("connection");
  front.on("connection", (socket) => {
    socket.once("readable", () => {
      const first = socket.read(1) as Buffer | null;
      if (first === null) return;
      socket.unshift(first);
      (first[0] === 22 ? secure : plain).emit("connection", socket);
    });
  });
  return front;
}
