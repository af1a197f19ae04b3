import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  changesOf,
  describeMessage,
  expectNoHarm,
  tamperedPair,
  type Ending,
  type Tamper,
} from "../support/tamper.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { PeerAlert, type ProtocolError } from "../../src/protocol/errors.ts";
import { someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { Pair } from "../support/pair.ts";
import {
  afterwards,
  converse,
  expectConversation,
  places,
  scenarios,
  type Place,
  type Scenario,
} from "./scenarios.ts";

const only =
  (place: Place, change: (message: Uint8Array) => readonly Uint8Array[]): Tamper =>
  (side, at, message) =>
    side === place.side && at === place.at ? change(message) : [message];

function endingOf(scenario: Scenario, tamper: Tamper, what: string): Ending {
  const pair = tamperedPair(scenario.options(), tamper);
  pair.run();
  const ending = expectNoHarm(pair, what);
  expect(
    [...pair.events.client, ...pair.events.server].some(({ event }) => event === "data"),
    `${what}: application data came out`,
  ).toBe(false);
  return ending;
}

/** Messages that may be missing as far as order goes, and those after which nothing comes. */
const WHEN_DELETED: Readonly<Record<string, string>> = {
  "client client_hello": "stalled",
  "server hello_retry_request": "stalled",
  "server finished": "stalled",
  "client finished": "stalled",
  // It is optional, so the signature is the first to tell that something is missing.
  "server certificate_request": "ERR_TLS_DECRYPT",
};

/** The code of the fault that one side found by itself. */
function faultOf(pair: Pair): string {
  const errors = [pair.error("client"), pair.error("server")];
  return (errors.find((error) => !(error instanceof PeerAlert)) as ProtocolError).code;
}

describe.each(scenarios)("$name", (scenario) => {
  test("untouched, it connects by these messages", () => {
    const seen: string[] = [];
    const pair = tamperedPair(scenario.options(), (side, _, message) => {
      seen.push(describeMessage(side, message));
      return [message];
    });
    pair.run();
    expect(pair.connected).toBe(true);
    expect(seen.filter((name) => !name.endsWith("new_session_ticket"))).toEqual(scenario.messages);
    expect(expectNoHarm(pair, "untouched")).toBe("connected");
  });

  test.each(places(scenario).map((place, i) => [i, scenario.messages[i]!, place] as const))(
    "message %i, %s: no change to any field is believed by both ends",
    (_, name, place) => {
      let count = 0;
      for (let n = 0; ; n++) {
        let what: string | undefined;
        let changed = false;
        const tamper = only(place, (message) => {
          const change = changesOf(message)[n];
          if (change === undefined) return [message];
          what = `${name}, ${change.what}`;
          const other = change.apply();
          changed = other !== undefined && !Buffer.from(other).equals(message);
          return [changed ? other! : message];
        });
        const pair = tamperedPair(scenario.options(), tamper);
        pair.run();
        if (what === undefined) break;
        if (!changed) continue;
        count++;
        // Only a message that announces more than follows leaves both ends waiting.
        const stalls = what.endsWith("length one more");
        expect(expectNoHarm(pair, what), what).toBeOneOf(stalls ? ["refused", "stalled"] : ["refused"]);
      }
      expect(count).toBeGreaterThan(20);
    },
  );

  test("§4.3.11: a binder that does not match ends at the server, before it answers", () => {
    const last = scenario.messages.lastIndexOf("client client_hello");
    const place = places(scenario)[last]!;
    const flip = "extensions.pre_shared_key.binders[first] first bit";
    const seen: string[] = [];
    const pair = tamperedPair(scenario.options(), (side, at, message) => {
      seen.push(describeMessage(side, message));
      if (side !== place.side || at !== place.at) return [message];
      return [
        changesOf(message)
          .find(({ what }) => what === flip)!
          .apply()!,
      ];
    }).run();
    expect(expectNoHarm(pair, flip)).toBe("refused");
    expect(pair.error("server")).toMatchObject({ code: "ERR_TLS_DECRYPT", alert: "decrypt_error" });
    expect(seen).toEqual(scenario.messages.slice(0, last + 1));
  });

  test("any message deleted: the next one is out of order, or the wait goes on", () => {
    for (const [i, place] of places(scenario).entries()) {
      const name = scenario.messages[i]!;
      const pair = tamperedPair(
        scenario.options(),
        only(place, () => []),
      ).run();
      const ending = expectNoHarm(pair, `${name} deleted`);
      expect(ending === "refused" ? faultOf(pair) : ending, name).toBe(
        WHEN_DELETED[name] ?? "ERR_TLS_UNEXPECTED_MESSAGE",
      );
    }
  });

  test("any message sent twice is out of order the second time", () => {
    for (const [i, place] of places(scenario).entries()) {
      const name = scenario.messages[i]!;
      const pair = tamperedPair(
        scenario.options(),
        only(place, (message) => [message, message]),
      ).run();
      expect(expectNoHarm(pair, `${name} twice`)).toBe("refused");
      expect(faultOf(pair), name).toBe("ERR_TLS_UNEXPECTED_MESSAGE");
    }
  });

  test("any message sent after the one behind it", () => {
    const all = places(scenario);
    for (const [i, place] of all.entries()) {
      const next = all.find(({ side, at }) => side === place.side && at === place.at + 1);
      if (next === undefined) continue;
      let held: Uint8Array | undefined;
      const what = `${scenario.messages[i]} after the next`;
      const ending = endingOf(
        scenario,
        (side, at, message) => {
          if (side !== place.side) return [message];
          if (at === place.at) {
            held = message;
            return [];
          }
          return at === next.at && held !== undefined ? [message, held] : [message];
        },
        what,
      );
      expect(ending, what).not.toBe("connected");
    }
  });

  test("any message replaced by any other one of the handshake", () => {
    const sent: Uint8Array[] = [];
    tamperedPair(scenario.options(), (_, __, message) => {
      sent.push(message);
      return [message];
    }).run();
    for (const [i, place] of places(scenario).entries()) {
      for (const [j, other] of sent.slice(0, scenario.messages.length).entries()) {
        const what = `${scenario.messages[i]} replaced by an old ${scenario.messages[j]}`;
        let changed = false;
        const tamper = only(place, (message) => {
          changed = !Buffer.from(other).equals(message);
          return [other];
        });
        const ending = endingOf(scenario, tamper, what);
        if (changed) expect(ending, what).not.toBe("connected");
      }
    }
  });

  test("any message with a random part in it", () => {
    const all = places(scenario);
    fc.assert(
      fc.property(fc.nat(all.length - 1), fc.nat(), fc.nat(8), someBytes(0, 8), (i, at, cut, bytes) => {
        const what = `${scenario.messages[i]} with ${bytes.length} bytes for ${cut} at ${at}`;
        let changed = false;
        const ending = endingOf(
          scenario,
          only(all[i]!, (message) => {
            const body = message.subarray(4);
            const from = at % (body.length + 1);
            const other = concat([body.subarray(0, from), bytes, body.subarray(from + cut)]);
            changed = !Buffer.from(other).equals(body);
            const header = Uint8Array.of(message[0]!, 0, other.length >> 8, other.length & 0xff);
            return [concat([header, other])];
          }),
          what,
        );
        if (changed) expect(ending, what).not.toBe("connected");
      }),
      fuzz(30),
    );
  });
});

describe("after the handshake", () => {
  const AFTER = [
    ["server new_session_ticket", { side: "server", at: 5 }],
    ["server new_session_ticket", { side: "server", at: 6 }],
    ["client key_update", { side: "client", at: 2 }],
    ["server key_update", { side: "server", at: 7 }],
  ] as const;

  test("untouched, both tickets and both key updates are sent and all data arrives", () => {
    const seen: string[] = [];
    const pair = tamperedPair(afterwards.options(), (side, at, message) => {
      seen.push(`${describeMessage(side, message)} ${at}`);
      return [message];
    });
    converse(pair);
    expect(expectConversation(pair, "untouched")).toBe("connected");
    expect(seen).toEqual(expect.arrayContaining(AFTER.map(([name, { at }]) => `${name} ${at}`)));
  });

  test.each(AFTER)("%s %o: a change to any field is refused, or does no harm", (name, place) => {
    const endings = new Set<Ending>();
    for (let n = 0; ; n++) {
      let what: string | undefined;
      const tamper = only(place, (message) => {
        const change = changesOf(message)[n];
        if (change === undefined) return [message];
        what = `${name}, ${change.what}`;
        return [change.apply() ?? message];
      });
      const pair = tamperedPair(afterwards.options(), tamper);
      converse(pair);
      if (what === undefined) break;
      endings.add(expectConversation(pair, what));
      if (pair.session === undefined) continue;
      // What came of the ticket is a full handshake, a resumption both agree on, or a clean refusal.
      const { client, server } = afterwards.options();
      const second = new Pair({ client: { ...client, session: pair.session }, server: server! }).run();
      expect(expectNoHarm(second, `resumed after ${what}`)).not.toBe("stalled");
    }
    expect(endings).toContain("refused");
  });

  test.each(AFTER)("%s %o deleted, twice, or late is refused, or does no harm", (name, place) => {
    const isUpdate = name.endsWith("key_update");
    for (const [how, change] of [
      ["deleted", () => []],
      ["twice", (message: Uint8Array) => [message, message]],
    ] as const) {
      const pair = tamperedPair(afterwards.options(), only(place, change));
      converse(pair);
      expect(expectConversation(pair, `${name} ${how}`)).toBe(isUpdate ? "refused" : "connected");
    }
  });
});
