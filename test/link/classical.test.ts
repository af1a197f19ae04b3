import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClassicalChannel, FRAME_BYTES } from "../../src/link/classical.ts";
import { wegmanCarter } from "../../src/link/authentication.ts";
import { Ledger } from "../../src/link/ledger.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";
import { bootstrapKey, METHODS, party } from "./parties.ts";

const text = (message: string) => utf8(message);

describe.each(METHODS)("the classical channel under %s", (method) => {
  const both = () => ({ alice: party("alice", method), bob: party("bob", method) });

  test("carries messages both ways in the clear, each with its block", () => {
    const { alice, bob } = both();
    for (let round = 0; round < 3; round++) {
      const frame = alice.channel.seal(round, text(`question ${round}`));
      expect(Buffer.from(frame).includes(`question ${round}`)).toBe(true);
      expect(bob.channel.open(frame)).toEqual({ block: round, message: text(`question ${round}`) });
      const answer = alice.channel.open(bob.channel.seal(round, text("answer")));
      expect(answer).toEqual({ block: round, message: text("answer") });
    }
    expect(alice.channel.counts).toEqual({ sent: 3, received: 3 });
  });

  test("a man in the middle without the key is refused at his first message, either way", () => {
    const { alice, bob } = both();
    expect(linkCodeOf(() => bob.channel.open(party("alice", method, 2).channel.seal(0, text("hello"))))).toBe(
      "ERR_LINK_FORGED",
    );
    expect(linkCodeOf(() => alice.channel.open(party("bob", method, 2).channel.seal(0, text("hello"))))).toBe(
      "ERR_LINK_FORGED",
    );
    expect(linkCodeOf(() => alice.channel.seal(0, text("anything")))).toBe("ERR_LINK_CLOSED");
  });

  test("a replayed, a reordered, a missing and a reflected message close the channel", () => {
    const frames = () => {
      const { alice, bob } = both();
      const [first, second] = ["first", "second"].map((each) => alice.channel.seal(1, text(each)));
      return { alice: alice.channel, bob: bob.channel, first: first!, second: second! };
    };
    const replayed = frames();
    replayed.bob.open(replayed.first);
    expect(linkCodeOf(() => replayed.bob.open(replayed.first))).toBe("ERR_LINK_SEQUENCE");
    expect(linkCodeOf(() => replayed.bob.open(replayed.second))).toBe("ERR_LINK_CLOSED");
    const missing = frames();
    expect(linkCodeOf(() => missing.bob.open(missing.second))).toBe("ERR_LINK_SEQUENCE");
    expect(linkCodeOf(() => missing.bob.open(missing.first))).toBe("ERR_LINK_CLOSED");
    const reflected = frames();
    expect(linkCodeOf(() => reflected.alice.open(reflected.first))).toBe("ERR_LINK_SEQUENCE");
  });

  test("every altered byte, every cut and every byte too many is refused", () => {
    const { channel } = party("alice", method);
    const frame = channel.seal(3, text("parities"));
    const code = (bytes: Uint8Array) => linkCodeOf(() => party("bob", method).channel.open(bytes));
    expect(code(frame)).toBeUndefined();
    const refused = ["ERR_LINK_FORGED", "ERR_LINK_MALFORMED", "ERR_LINK_SEQUENCE"];
    const step = frame.length > 500 ? 97 : 1;
    for (let at = 0; at < frame.length; at += at < FRAME_BYTES + 8 ? 1 : step) {
      const altered = frame.map((byte, index) => (index === at ? byte ^ 4 : byte));
      expect(refused, `byte ${at}`).toContain(code(altered));
      expect(code(frame.subarray(0, at)), `cut at ${at}`).toBe("ERR_LINK_MALFORMED");
    }
    expect(code(Uint8Array.of(...frame, 0))).toBe("ERR_LINK_MALFORMED");
  });

  test("any bytes are refused with a LinkError, and the channel is closed after them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const { channel } = party("bob", method);
        expect(linkCodeOf(() => channel.open(bytes))).toBeDefined();
        expect(channel.closed).toBe(true);
      }),
      fuzz(30),
    );
  });
});

describe("the classical channel", () => {
  test("a message of another session is refused, even under the same keys", () => {
    const end = (name: "alice" | "bob", context: number) =>
      new ClassicalChannel(
        name,
        new Uint8Array(32).fill(context),
        wegmanCarter(new Ledger(name, bootstrapKey(1))),
      );
    expect(linkCodeOf(() => end("bob", 2).open(end("alice", 1).seal(0, text("x"))))).toBe("ERR_LINK_FORGED");
  });

  test("blocks never go back, on either side", () => {
    const { channel: alice } = party("alice", "hmac");
    alice.seal(5, text("a"));
    expect(() => alice.seal(4, text("b"))).toThrow(RangeError);
    expect(() => alice.seal(5, new Uint8Array(2 ** 24))).toThrow(RangeError);
  });

  test("a message of the peer's own that goes back to an earlier block is refused", () => {
    const { channel: bob } = party("bob", "hmac");
    bob.open(party("alice", "hmac").channel.seal(5, text("a")));
    // HMAC's tags do not depend on what was sent before, so another Alice can count up to the second message.
    const { channel: again } = party("alice", "hmac");
    again.seal(0, text("a"));
    expect(linkCodeOf(() => bob.open(again.seal(4, text("b"))))).toBe("ERR_LINK_SEQUENCE");
  });

  test("when no tag can be paid the message is not sent; with new key it goes on where it stood", () => {
    const make = (name: "alice" | "bob") =>
      party(name, "wegman-carter", 1, new Ledger(name, bootstrapKey(1, 32)));
    const [alice, bob] = [make("alice"), make("bob")];
    bob.channel.open(alice.channel.seal(0, text("paid")));
    const spent = alice.ledger.account("send");
    expect(linkCodeOf(() => alice.channel.seal(0, text("unpaid")))).toBe("ERR_LINK_KEY_EXHAUSTED");
    expect(alice.ledger.account("send")).toEqual(spent);
    for (const { ledger } of [alice, bob]) ledger.deposit(new Uint8Array(64).fill(3));
    expect(bob.channel.open(alice.channel.seal(0, text("paid again"))).message).toEqual(text("paid again"));
  });
});
