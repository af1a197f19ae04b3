/** A fibre and two sites in this process, on loopback, with stores in memory. */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach } from "vitest";
import type { BlockRecord } from "../../../src/link/block.ts";
import { type FibreOptions, type FibreProcess, startFibre } from "../../../src/kme/site/fibre-process.ts";
import type { Endpoint } from "../../../src/kme/site/endpoint.ts";
import { type SiteLink, startSiteLink } from "../../../src/kme/site/site-link.ts";
import type { SiteLinkOptions } from "../../../src/kme/site/site-options.ts";
import { type KeyStore, keyStore, type StoreOptions } from "../../../src/kme/store.ts";
import { authority } from "../../support/certificates.ts";

export const ANYWHERE: Endpoint = { host: "127.0.0.1", port: 0 };
export const trusted = authority();
const identities = { a: trusted.issue("kme-a"), b: trusted.issue("kme-b") };

const open = new Set<{ close(): unknown }>();
/** Closed after the test, the last one first. */
export function closing<T extends { close(): unknown }>(thing: T): T {
  open.add(thing);
  return thing;
}
afterEach(async () => {
  for (const thing of [...open].toReversed()) await thing.close();
  open.clear();
});

export const fibre = async (options: Partial<FibreOptions> = {}): Promise<FibreProcess> =>
  closing(await startFibre({ listen: ANYWHERE, seed: "bed", ...options }));

export interface SiteEnd {
  readonly link: SiteLink;
  readonly store: KeyStore;
  readonly blocks: BlockRecord[];
  /** `fibre there`, `channel gone: why` … */
  readonly changes: string[];
}

/** One site; `a` listens unless told otherwise. */
export async function site(
  name: "a" | "b",
  options: Pick<SiteLinkOptions, "fibre" | "meet"> & Partial<SiteLinkOptions>,
  stock: Partial<StoreOptions> = {},
): Promise<SiteEnd> {
  const blocks: BlockRecord[] = [];
  const changes: string[] = [];
  const link = await startSiteLink({
    site: name,
    peer: name === "a" ? "kme-b" : "kme-a",
    ca: trusted.ca,
    ...identities[name],
    firstBits: 360_000,
    blockBits: 400_000,
    onBlock: (record) => void blocks.push(record),
    onChange: (what, isThere, why) =>
      void changes.push(`${what} ${isThere ? "there" : `gone${why === undefined ? "" : `: ${why}`}`}`),
    ...options,
  });
  const store = closing(keyStore({ feed: link.feed, maxStored: 20, ...stock }));
  link.open(store);
  return { link, store, blocks, changes };
}

/** Fulfilled once it holds; whoever waits in vain is ended by the test's own limit. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A proxy in front of a port; `change` sees each chunk and may alter it. */
export async function tap(
  to: Endpoint,
  change: (chunk: Buffer, way: "in" | "out", connection: number) => Buffer = (chunk) => chunk,
): Promise<{ readonly endpoint: Endpoint; readonly close: () => void; readonly cut: () => void }> {
  if (!("port" in to)) throw new Error("only TCP is tapped");
  const sockets = new Set<Socket>();
  let count = 0;
  const server: Server = createServer((near) => {
    const connection = count++;
    const far = connect(to.port, to.host);
    for (const [from, into, way] of [
      [near, far, "in"],
      [far, near, "out"],
    ] as const) {
      sockets.add(from);
      from.on("error", () => undefined);
      from.on("data", (chunk: Buffer) => into.write(change(chunk, way, connection)));
      from.once("close", () => {
        sockets.delete(from);
        into.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return closing({
    endpoint: { host: "127.0.0.1", port },
    cut,
    close() {
      server.close();
      cut();
    },
  });
}
