import { describe, expect, test } from "vitest";
import { serverConfig } from "../../src/channel/config.ts";
import { ticketPsk } from "../../src/handshake/opened-ticket.ts";
import type { Draft } from "../../src/handshake/server-state.ts";
import { encodeTicketState, type TicketState } from "../../src/handshake/session.ts";
import { credentials, provider } from "../support/credentials.ts";

const NOW = 1_800_000_000_000;
const settings = (more: object = {}) =>
  serverConfig({ provider, now: () => NOW, credentials: [credentials().identity], tickets: {}, ...more })
    .settings;
const state: TicketState = {
  suite: 0x1301,
  psk: new Uint8Array(32).fill(5),
  ageAdd: 1000,
  issuedMs: NOW - 60_000,
  sinceMs: NOW - 60_000,
  lifetimeSeconds: 120,
  serverName: "localhost",
  alpn: "",
  authorized: true,
  peerCertificateType: "X509",
  peerChain: [Uint8Array.of(1)],
};
/** Of a draft no more than the name and the offered identities are looked at. */
const draft = (serverName = "localhost", age = 61_000) =>
  ({
    received: {
      serverName,
      hello: { extensions: { pre_shared_key: { identities: [{ obfuscated_ticket_age: age }] } } },
    },
  }) as unknown as Draft;
const open = (change: Partial<TicketState> = {}, from = draft(), more: object = {}) =>
  ticketPsk(from, 0, encodeTicketState({ ...state, ...change }), settings(more));

describe("a ticket that was opened", () => {
  test("gives its PSK, and how far the client's clock says it is off", () => {
    expect(open()).toMatchObject({
      index: 0,
      ready: { secret: state.psk, hash: "sha256", binder: "res binder" },
      ticketAgeSkewMs: 0,
    });
    expect(open({}, draft("localhost", 66_000))?.ticketAgeSkewMs).toBe(5000);
  });

  test("is wiped, whatever came of it", () => {
    for (const name of ["localhost", "elsewhere"]) {
      const bytes = encodeTicketState(state);
      ticketPsk(draft(name), 0, bytes, settings());
      expect(bytes).toEqual(new Uint8Array(bytes.length));
    }
  });

  test.each([
    ["is too old", { issuedMs: NOW - 121_000 }],
    ["is of the future", { issuedMs: NOW + 1 }],
    ["is for another name", { serverName: "elsewhere" }],
    ["is of a suite that is not offered", { suite: 0x1303 }],
  ])("§4.3.11: one that %s serves no more", (_, change) => {
    expect(open(change, draft(), { suites: ["TLS_AES_128_GCM_SHA256"] })).toBeUndefined();
  });

  test("of a client that showed no certificate, or none that was good, does not do where one is required", () => {
    const require = { clientAuth: "require" };
    expect(open({}, draft(), require)).toBeDefined();
    expect(open({ peerChain: [] }, draft(), require)).toBeUndefined();
    expect(open({ authorized: false }, draft(), require)).toBeUndefined();
    expect(ticketPsk(draft(), 0, Uint8Array.of(1, 2, 3), settings())).toBeUndefined();
  });

  test("of a client that showed another type of certificate than is taken now does not do, unless none is asked for", () => {
    const raw = { peerCertificateType: "RawPublicKey" } as const;
    expect(open(raw)).toBeDefined();
    for (const clientAuth of ["request", "require"]) {
      expect(open(raw, draft(), { clientAuth })).toBeUndefined();
      expect(open(raw, draft(), { clientAuth, clientCertificateTypes: ["RawPublicKey"] })).toBeDefined();
      expect(open({}, draft(), { clientAuth, clientCertificateTypes: ["RawPublicKey"] })).toBeUndefined();
    }
  });
});
