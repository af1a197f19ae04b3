import { describe, expect, test } from "vitest";
import type { ClientOptions } from "../../src/channel/options.ts";
import { concat, EMPTY } from "../../src/protocol/bytes.ts";
import { NewSessionTicket } from "../../src/wire/handshake.ts";
import { changing, engines, rewriting, type Edit } from "../support/engines.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { provider } from "../support/credentials.ts";

/** A handshake with one ticket, which a test may change. */
function issued(edit?: Edit, client: Partial<ClientOptions> = {}) {
  const tickets = { count: 1, sealer: new TicketKeys({ provider, now: Date.now }) };
  const outcome = engines({ client, server: { tickets }, ...(edit === undefined ? {} : { edit }) });
  const sessions = outcome.client.flatMap((effect) => (effect.do === "session" ? [effect.session] : []));
  return { ...outcome, sessions };
}

const ticket = (change: object): Edit =>
  changing("new_session_ticket", NewSessionTicket, (value) => ({ ...value, ...change }));

describe("§4.7.1: what a client makes of a ticket", () => {
  test("a session with its lifetime and age_add, under the secret that the server sealed", () => {
    expect(issued().sessions).toMatchObject([
      { lifetimeSeconds: 7200, serverName: "localhost", authorized: true },
    ]);
  });

  test("a lifetime of over seven days is illegal_parameter; seven days are fine", () => {
    expect(issued(ticket({ ticket_lifetime: 604_800 })).sessions).toHaveLength(1);
    expect(issued(ticket({ ticket_lifetime: 604_801 })).failed).toMatchObject({
      side: "client",
      error: { alert: "illegal_parameter" },
    });
  });

  test("a lifetime of zero means that it is thrown away at once", () => {
    const { failed, sessions } = issued(ticket({ ticket_lifetime: 0 }));
    expect([failed, sessions]).toEqual([undefined, []]);
  });

  test("without resumption one is ignored, whatever is in it", () => {
    const psks = [{ identity: "one", key: new Uint8Array(32).fill(1) }];
    const sealer = new TicketKeys({ provider, now: Date.now });
    for (const edit of [ticket({ ticket_lifetime: 604_801 }), rewriting("new_session_ticket", () => EMPTY)]) {
      const { failed, client, flow } = engines({
        client: { psks, authentication: "psk", resumption: false },
        server: { psks, tickets: { sealer } },
        edit,
      });
      expect(failed).toBeUndefined();
      expect(flow).toContain("server new_session_ticket");
      expect(client.some((effect) => effect.do === "session")).toBe(false);
    }
  });

  test("without resumption the server is told that none is wanted", () => {
    const none = issued(undefined, { resumption: false });
    expect(none.flow).not.toContain("server new_session_ticket");
  });

  test("§4.3.10: early_data in it is no invitation to us", () => {
    expect(issued(ticket({ extensions: { early_data: 0xffffffff } })).sessions).toHaveLength(1);
  });

  test("GREASE: an unknown extension in it is passed over", () => {
    const greased = rewriting("new_session_ticket", (body) =>
      concat([body.subarray(0, body.length - 2), Uint8Array.of(0, 6, 0x3a, 0x3a, 0, 2, 1, 2)]),
    );
    expect(issued(greased).sessions).toHaveLength(1);
  });

  test("an empty ticket, and one that is cut, are decode_error", () => {
    for (const edit of [
      rewriting("new_session_ticket", (body) => body.subarray(0, 12)),
      rewriting("new_session_ticket", (body) => concat([body.subarray(0, 10), Uint8Array.of(0, 0, 0, 0)])),
    ]) {
      expect(issued(edit).failed).toMatchObject({ side: "client", error: { alert: "decode_error" } });
    }
  });
});

test("GREASE: unknown schemes and extensions in CertificateRequest are passed over", () => {
  const greased = rewriting("certificate_request", (body) => {
    // context, the block's length, then signature_algorithms as the only extension.
    const schemes = body.subarray(3);
    const unknown = Uint8Array.of(0x5a, 0x5a, 0, 1, 7);
    const length = schemes.length + unknown.length;
    return concat([Uint8Array.of(0, length >> 8, length & 0xff), unknown, schemes]);
  });
  const { flow, failed } = engines({ server: { clientAuth: "request" }, edit: greased });
  expect(flow).not.toContain("client certificate");
  // The client read on, up to the Finished that belongs to another transcript.
  expect(failed).toMatchObject({ side: "client", error: { alert: "decrypt_error" } });
});
