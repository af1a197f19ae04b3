import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { connect as connectTls } from "../../../src/node/connect.ts";
import { PeerConnections } from "../../../src/kme/site/peer-connections.ts";
import { Sharing } from "../../../src/kme/site/sharing.ts";
import { type KeyStore, keyStore } from "../../../src/kme/store.ts";
import { closing, trusted, until } from "./site-bed.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** One KME's connections, for a store that nothing feeds. */
function kme(site: "a" | "b", tls = trusted.issue(`kme-${site}`)) {
  const store: KeyStore = closing(
    keyStore({ feed: { simulated: true, blockBytes: 32, start: () => undefined, stop: () => undefined } }),
  );
  const changes: string[] = [];
  const peers: PeerConnections = closing(
    new PeerConnections({
      site,
      peer: site === "a" ? "kme-b" : "kme-a",
      blockBytes: 32,
      tls: { ca: trusted.ca, ...tls },
      sharing: () => sharing,
      sink: () => undefined,
      onChange: (isThere, why) =>
        void changes.push(isThere ? "there" : `gone${why === undefined ? "" : `: ${why}`}`),
    }),
  );
  const sharing: Sharing = new Sharing({ site, blockBytes: 32, sink: () => undefined, peer: peers });
  peers.speakFor(store);
  return { peers, store, changes };
}

/** A connection: what either KME, or the test, holds of it. */
async function line(): Promise<readonly [near: Socket, far: Socket]> {
  const server = createServer().listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const near = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  for (const socket of [near, far]) closing({ close: () => socket.on("error", () => undefined).destroy() });
  return [near, far];
}

async function join(
  a: ReturnType<typeof kme>,
  b: ReturnType<typeof kme>,
): Promise<readonly [Socket, Socket]> {
  const [near, far] = await line();
  a.peers.take(far, true);
  b.peers.take(near, false);
  return [near, far];
}

describe("two KMEs", () => {
  test("that know each other's certificates call each other, whichever of them connected", async () => {
    const [a, b] = [kme("a"), kme("b")];
    await join(a, b);
    await until(() => a.peers.isThere && b.peers.isThere);
    expect(await a.peers.room()).toEqual({ outgoing: 0, incoming: 0 });
    expect(await b.peers.agree([])).toEqual([]);
    expect([await a.store.settle(), await b.store.settle()]).toEqual([true, true]);
  });

  test("go on with a newer connection, and the older one is closed", async () => {
    const [a, b] = [kme("a"), kme("b")];
    const [old] = await join(a, b);
    await until(() => a.peers.isThere && b.peers.isThere);
    await join(a, b);
    await until(() => old.destroyed);
    await until(() => a.peers.isThere && b.peers.isThere);
    expect(await a.peers.room()).toEqual({ outgoing: 0, incoming: 0 });
  });

  test("that are apart announce nothing", async () => {
    const a = kme("a");
    await expect(a.peers.room()).rejects.toMatchObject({ code: "ERR_LINK_CLOSED" });
    expect(await a.store.settle()).toBe(false);
    const [a2, b2] = [kme("a"), kme("b")];
    const [near] = await join(a2, b2);
    await until(() => a2.peers.isThere);
    near.destroy();
    await until(() => !a2.peers.isThere);
    expect(await a2.store.settle()).toBe(false);
  });
});

describe("nobody else is called", () => {
  test.each(["sae-b", "kme-a", "kme-bb"])("not %s, though the same CA vouches for it", async (name) => {
    const [a, b] = [kme("a"), kme("b", trusted.issue(name))];
    await join(a, b);
    await until(() => a.changes.length > 0);
    expect(a.changes[0]).toMatch(/^gone: /);
    expect([a.peers.isThere, b.peers.isThere]).toEqual([false, false]);
  });

  test("nor whoever shows no certificate", async () => {
    const a = kme("a");
    const [near, far] = await line();
    a.peers.take(far, true);
    const socket = connectTls({ socket: near, ca: trusted.ca, checkServerIdentity: () => undefined });
    socket.on("error", () => undefined);
    await until(() => a.changes.length > 0);
    expect([a.peers.isThere, a.changes[0]]).toEqual([false, expect.stringMatching(/^gone: /)]);
  });
});

test("a KME that is closed takes no connection", async () => {
  const a = kme("a");
  a.peers.close();
  const [, far] = await line();
  a.peers.take(far, true);
  expect(far.destroyed).toBe(true);
});
