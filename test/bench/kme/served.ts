/** The process that is measured: a pair of KMEs, or node:https alone with answers of the same form. */
import { randomBytes, randomUUID } from "node:crypto";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { type LinkOptions, startPair } from "../../../src/kme/pair.ts";
import type { Issued } from "../../support/certificates.ts";

export interface Order {
  readonly ca: string;
  readonly kmes: readonly [Issued, Issued];
  /** Undefined for the peer. */
  readonly link?: LinkOptions;
  /** Where keys are kept; in memory without it. */
  readonly directory?: string;
}

export interface Serving {
  readonly a: string;
  readonly b: string;
}

process.once("message", (order: Order) => {
  void (order.link === undefined ? peer(order) : kmes(order, order.link)).then((serving) => {
    process.on("message", () => {
      globalThis.gc?.();
      const { rss, heapUsed, external } = process.memoryUsage();
      process.send?.({ rss, heap: heapUsed + external });
    });
    return process.send?.(serving);
  });
});

async function kmes({ ca, kmes: [a, b], directory }: Order, link: LinkOptions): Promise<Serving> {
  const pair = await startPair({
    ca,
    a: { id: "kme-a", listen: { port: 0 }, saes: ["sae-a"], ...a },
    b: { id: "kme-b", listen: { port: 0 }, saes: ["sae-b"], ...b },
    link,
    ...(directory !== undefined && { place: { directory, key: randomBytes(32) } }),
  });
  return { a: pair.a.url, b: pair.b.url };
}

async function peer({ ca, kmes: [own] }: Order): Promise<Serving> {
  const server = https.createServer({ ca, ...own, requestCert: true }, (request, response) => {
    request.resume();
    const body = JSON.stringify({
      keys: [{ key_ID: randomUUID(), key: randomBytes(32).toString("base64") }],
    });
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { a: url, b: url };
}
