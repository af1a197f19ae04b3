import { describe, expect, test } from "vitest";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { decodeSession, encodeSession } from "../../src/handshake/session.ts";
import { evidence } from "../../src/observe/evidence.ts";
import { toHex } from "../../src/protocol/bytes.ts";
import { credentials, provider } from "../support/credentials.ts";
import { Pair, type Side } from "../support/pair.ts";

const recordOf = (pair: Pair, side: Side) =>
  evidence(pair[side].established!, provider, { sent: 0, received: 0 });

describe("RFC 9846 §4.3.10 and §8.3: how far apart two ends have the age of a ticket", () => {
  const WAIT_MS = 10_000;
  /** Who comes back after ten seconds, as the server has them; `ahead` is what the client's own clock adds. */
  function comeBack(ahead: number): Pair {
    let nowMs = Date.now();
    const now = (): number => nowMs;
    const tickets = { sealer: new TicketKeys({ provider, now }) };
    const first = new Pair({ now, server: { tickets } }).run();
    nowMs += WAIT_MS;
    const session = decodeSession(first.session!);
    const bent = encodeSession({ ...session, receivedMs: session.receivedMs - ahead });
    return new Pair({ now, client: { session: bent }, server: { tickets } }).run();
  }

  test.each([0, 5000, -5000, 3_600_000])("%i ms stand in the server's record", (ahead) => {
    const pair = comeBack(ahead);
    expect(pair.server.established?.resumed).toBe(true);
    expect(recordOf(pair, "server")).toMatchObject({ resumed: true, ticketAgeSkewMs: ahead });
    expect(recordOf(pair, "client")).toMatchObject({ resumed: true, ticketAgeSkewMs: null });
  });

  test("and nothing where nothing was resumed", () => {
    const pair = new Pair().run();
    for (const side of ["client", "server"] as const)
      expect(recordOf(pair, side)).toMatchObject({ resumed: false, ticketAgeSkewMs: null });
  });

  test("a ticket that the host keeps has one too", () => {
    let nowMs = Date.now();
    const now = (): number => nowMs;
    const first = new Pair({ now, server: { tickets: {} } }).run();
    const stored = first.events.server.findLast((event) => event.event === "store_ticket")?.state;
    nowMs += WAIT_MS;
    const second = new Pair({
      now,
      client: { session: first.session! },
      server: { tickets: {} },
      wire: { onQuestion: (_, question) => (question.ask === "load_ticket" ? stored : undefined) },
    }).run();
    expect(recordOf(second, "server")).toMatchObject({ resumed: true, ticketAgeSkewMs: 0 });
  });
});

test("who showed a certificate is named by its SHA-256, also when resumed; who showed none is not", () => {
  const server = { tickets: { sealer: new TicketKeys({ provider, now: Date.now }) } };
  const pair = new Pair({ server }).run();
  const [leaf] = credentials().identity.chain;
  const sha256 = toHex(provider.hash("sha256").digest(leaf as Uint8Array));
  const peer = { by: "certificate", certificates: 1, sha256 };
  expect(recordOf(pair, "client").authentication.peer).toMatchObject(peer);
  expect(recordOf(pair, "server").authentication.local).toMatchObject({ sha256 });
  expect(recordOf(pair, "server").authentication.peer).not.toHaveProperty("sha256");
  const again = recordOf(new Pair({ client: { session: pair.session! }, server }).run(), "client");
  expect(again).toMatchObject({ resumed: true, authentication: { peer: { by: "resumption", sha256 } } });
});
