/** Sessions and tickets that come back other than they were kept, by the handshake that they lead to. */
import { expect } from "vitest";
import { expectNoHarm } from "../../support/tamper.ts";
import { decodeSession, decodeTicketState, encodeSession } from "../../../src/handshake/session.ts";
import { concat, equal } from "../../../src/protocol/bytes.ts";
import { UsageError } from "../../../src/protocol/errors.ts";
import { Pair } from "../../support/pair.ts";
import type { Target } from "../guided/search.ts";
import { afterwards, recorded, sealer } from "../scenarios.ts";

const { session, ticket } = recorded();

/** A client with this session meets the server that gave it: both agree on something, or it ends at once. */
function resumed(bytes: Uint8Array): void {
  const { client, server } = afterwards.options();
  let pair: Pair;
  try {
    pair = new Pair({ client: { ...client, session: bytes }, server: server! });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return;
  }
  const ending = expectNoHarm(pair.run(), "resumed");
  expect(ending).not.toBe("stalled");
  if (pair.client.established?.resumed) expect(ending).toBe("connected");
}

/** What a server sealed itself, in other versions and with other faults than it has now. */
function sealedState(bytes: Uint8Array): void {
  const psk = decodeTicketState(bytes)?.psk;
  const mine = decodeSession(session);
  resumed(encodeSession({ ...mine, psk: psk ?? mine.psk, ticket: sealer.seal(bytes) }));
}

/** Nobody else seals a ticket. */
function changedTicket(bytes: Uint8Array): void {
  const opened = sealer.open(bytes);
  if (opened !== undefined) expect(equal(bytes, decodeSession(session).ticket)).toBe(true);
}

const WAYS = [resumed, sealedState, changedTicket];
const seed = (way: (typeof WAYS)[number], bytes: Uint8Array): Uint8Array =>
  concat([Uint8Array.of(WAYS.indexOf(way)), bytes]);

export const stored: Target = {
  name: "sessions and tickets",
  seeds: () => [
    seed(resumed, session),
    seed(sealedState, ticket),
    seed(changedTicket, decodeSession(session).ticket),
  ],
  run: (input) => WAYS[(input[0] ?? 0) % WAYS.length]!(input.subarray(1)),
};
