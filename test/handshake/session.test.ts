import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeSession,
  decodeTicketState,
  encodeSession,
  encodeTicketState,
} from "../../src/handshake/session.ts";
import { toHex } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { CipherSuite } from "../../src/protocol/iana.ts";
import { code16, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const common = {
  psk: fc.oneof(someBytes(32, 32), someBytes(48, 48)),
  ageAdd: fc.integer({ min: 0, max: 0xffffffff }),
  lifetimeSeconds: fc.integer({ min: 0, max: 604_800 }),
  serverName: fc.string({ maxLength: 40 }),
  alpn: fc.string({ unit: "grapheme-ascii", maxLength: 20 }),
  authorized: fc.boolean(),
  peerCertificateType: fc.constantFrom("X509" as const, "RawPublicKey" as const),
  peerChain: fc.array(someBytes(1, 60), { maxLength: 3 }),
};
const moment = fc.integer({ min: 0, max: 2 ** 48 });

const sessions = fc.record({ ...common, suite: code16, ticket: someBytes(1, 80), receivedMs: moment });
const tickets = fc.record({
  ...common,
  suite: fc.constantFrom(...Object.values(CipherSuite)),
  issuedMs: moment,
  sinceMs: moment,
});

/** The bytes with a few of them replaced, cut or followed by others. */
const bent = (encoded: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(encoded, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(), someBytes(0, 3))
    .map(([bytes, changes, cut, more]) => {
      const changed = bytes.slice();
      for (const [at, byte] of changes) changed[at % changed.length] = byte;
      const kept = cut % 4 === 0 ? changed.subarray(0, cut % changed.length) : changed;
      return Uint8Array.from([...kept, ...more]);
    });

describe("a stored session", () => {
  test("comes back as it was, in memory of its own", () => {
    fc.assert(
      fc.property(sessions, (session) => {
        const bytes = encodeSession(session);
        const before = toHex(bytes);
        const back = decodeSession(bytes);
        bytes.fill(0);
        expect(back).toEqual(session);
        expect(toHex(encodeSession(back))).toBe(before);
      }),
      fuzz(60),
    );
  });

  test("any other bytes are a UsageError about `session`", () => {
    fc.assert(
      fc.property(fc.oneof(someBytes(0, 120), bent(sessions.map(encodeSession))), (bytes) => {
        try {
          decodeSession(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect(error).toMatchObject({ code: "ERR_OPTION_INVALID", option: "session" });
        }
      }),
      fuzz(400),
    );
  });

  test("a name that is not UTF-8 is such an error too", () => {
    const session = {
      suite: 0x1302,
      psk: new Uint8Array(48),
      ticket: new Uint8Array(8),
      ageAdd: 0,
      receivedMs: 0,
      lifetimeSeconds: 1,
      serverName: "name",
      alpn: "h2",
      authorized: true,
      peerCertificateType: "X509" as const,
      peerChain: [],
    };
    for (const text of ["name", "h2"]) {
      const bytes = encodeSession(session);
      bytes[Buffer.from(bytes).indexOf(text)] = 0xff;
      expect(() => decodeSession(bytes)).toThrow(
        expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "session" }),
      );
    }
  });
});

describe("a server's ticket", () => {
  test("comes back as it was, in memory of its own", () => {
    fc.assert(
      fc.property(tickets, (ticket) => {
        const bytes = encodeTicketState(ticket);
        const back = decodeTicketState(bytes);
        bytes.fill(0);
        expect(back).toEqual(ticket);
      }),
      fuzz(60),
    );
  });

  test("any other bytes, and a suite we do not speak, are undefined and never an error", () => {
    fc.assert(
      fc.property(fc.oneof(someBytes(0, 120), bent(tickets.map(encodeTicketState))), (bytes) => {
        const state = decodeTicketState(bytes);
        if (state !== undefined) expect(Object.values<number>(CipherSuite)).toContain(state.suite);
      }),
      fuzz(400),
    );
  });
});
