import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gmac, hmacAuthentication, signatures, wegmanCarter } from "../../src/link/authentication.ts";
import { Bootstrap } from "../../src/link/bootstrap.ts";
import { BootstrapKeys } from "../../src/link/bootstrap-keys.ts";
import {
  BootstrapMessages,
  type Bootstrapped,
  type BootstrapSettings,
  Chain,
  type PskTrust,
  signaturePart,
} from "../../src/link/bootstrap-settings.ts";
import { ClassicalChannel } from "../../src/link/classical.ts";
import { Ledger, type Party } from "../../src/link/ledger.ts";
import { classicalChannel } from "../../src/link/session.ts";
import { trustAnchors } from "../../src/pki/anchors.ts";
import { EMPTY, utf8 } from "../../src/protocol/bytes.ts";
import { LinkError, TrustError, UsageError } from "../../src/protocol/errors.ts";
import { encode } from "../../src/wire/codec.ts";
import { credentials, provider } from "../support/credentials.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";
import { steadyRandom } from "./noise.ts";

const PSK = new Uint8Array(32).fill(0x42);
const psk = (exchange: boolean, key = PSK): PskTrust => ({ kind: "psk", identity: "link 7", key, exchange });
const pki = (party: Party, kind: "secp256r1" | "ml-dsa-65" = "secp256r1") => {
  const { identity, anchors } = credentials(kind, party);
  return { kind: "pki" as const, identity, anchors, peerName: "example.test", nowMs: Date.now() };
};

type Changes = Partial<BootstrapSettings>;
const WAYS: Record<string, (party: Party) => BootstrapSettings["trust"]> = {
  "PSK alone": () => psk(false),
  "PSK with exchange": () => psk(true),
  "PKI, ECDSA": (party) => pki(party),
  "PKI, ML-DSA": (party) => pki(party, "ml-dsa-65"),
};
const settingsOf = (party: Party, way: string, changes: Changes = {}): BootstrapSettings => ({
  provider,
  party,
  method: "wegman-carter",
  trust: WAYS[way]!(party),
  ...changes,
});

interface Run {
  readonly alice: Bootstrapped;
  readonly bob: Bootstrapped;
  /** All that went over the line: Alice's hello, Bob's hello, Bob's proof, Alice's proof. */
  readonly heard: readonly Uint8Array[];
}

/** Both sides talk; `change` may alter a message on its way, by its number. */
function run(
  alice: BootstrapSettings,
  bob: BootstrapSettings,
  change: (message: Uint8Array, at: number) => Uint8Array = (message) => message,
): Run {
  const [a, b] = [new Bootstrap(alice), new Bootstrap(bob)];
  const heard: Uint8Array[] = [];
  const pass = (messages: readonly Uint8Array[]) =>
    messages.map((message) => {
      heard.push(message);
      return change(message, heard.length - 1);
    });
  const toBob = pass(a.start());
  const toAlice = pass(toBob.flatMap((message) => b.receive(message)));
  const last = pass(toAlice.flatMap((message) => a.receive(message)));
  for (const message of last) expect(b.receive(message)).toEqual([]);
  return { alice: a.result!, bob: b.result!, heard };
}

const both = (way: string, changes: Changes = {}) =>
  run(settingsOf("alice", way, changes), settingsOf("bob", way, changes));

describe.each(Object.keys(WAYS))("a bootstrap by %s", (way) => {
  test("gives both the same ledger and the same context, new ones each time", () => {
    const [one, other] = [both(way), both(way)];
    expect(one.alice.context).toEqual(one.bob.context);
    expect(one.alice.context).not.toEqual(other.alice.context);
    const key = one.alice.ledger.take("send", 64);
    expect(one.bob.ledger.take("receive", 64)).toEqual(key);
    const back = one.alice.ledger.take("receive", 64);
    expect(one.bob.ledger.take("send", 64)).toEqual(back);
    expect(back).not.toEqual(key);
    expect(other.alice.ledger.take("send", 64)).not.toEqual(key);
    expect(one.alice.ledger.account("send").bootstrapBits).toBe(8 * 8192);
  });

  test("any altered, cut or missing byte of any message stops it before both have a result", () => {
    const settings = [settingsOf("alice", way), settingsOf("bob", way)] as const;
    const { heard } = run(...settings);
    const random = steadyRandom(11);
    for (const [number, { length }] of heard.entries()) {
      for (let round = 0; round < (way.includes("alone") ? 60 : 12); round++) {
        const at = Math.floor(random() * (length - 1));
        const flip = (message: Uint8Array) =>
          message.map((byte, index) => (index === at ? byte ^ 0x10 : byte));
        for (const change of [flip, (message: Uint8Array) => message.subarray(0, at)]) {
          expect(() =>
            run(...settings, (message, each) => (each === number ? change(message) : message)),
          ).toThrow(expect.toSatisfy((error) => error instanceof LinkError || error instanceof TrustError));
        }
      }
    }
  });

  test("what a party sent, sent back to it, is refused", () => {
    const alice = new Bootstrap(settingsOf("alice", way));
    const [hello] = alice.start();
    expect(linkCodeOf(() => alice.receive(hello!))).toBe("ERR_LINK_MALFORMED");
    expect(linkCodeOf(() => alice.receive(hello!))).toBe("ERR_LINK_CLOSED");
  });

  test("a recorded bootstrap, played again, gives nobody a result", () => {
    const { heard } = both(way);
    const bob = new Bootstrap(settingsOf("bob", way));
    bob.receive(heard[0]!);
    expect(linkCodeOf(() => bob.receive(heard[3]!))).toBe("ERR_LINK_FORGED");
    expect(bob.result).toBeUndefined();
  });

  test("any bytes at any point are a LinkError or a TrustError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, isSecond) => {
        const bob = new Bootstrap(settingsOf("bob", way));
        if (isSecond) bob.receive(new Bootstrap(settingsOf("alice", way)).start()[0]!);
        expect(linkCodeOf(() => bob.receive(bytes))).toBeDefined();
        expect(bob.result).toBeUndefined();
      }),
      fuzz(8),
    );
  });
});

describe("who does not have the secret is refused", () => {
  test("another PSK: Alice refuses Bob, and Bob refuses Alice", () => {
    const rogue = { trust: psk(true, new Uint8Array(32).fill(1)) };
    for (const [alice, bob] of [
      [{}, rogue],
      [rogue, {}],
    ] as const) {
      const act = () =>
        run(settingsOf("alice", "PSK with exchange", alice), settingsOf("bob", "PSK with exchange", bob));
      expect(linkCodeOf(act)).toBe("ERR_LINK_FORGED");
    }
  });

  test("Bob refuses an Alice who does not check his proof", () => {
    const bob = new Bootstrap(settingsOf("bob", "PSK alone"));
    const mallory = new Bootstrap(
      settingsOf("alice", "PSK alone", { trust: psk(false, new Uint8Array(32)) }),
    );
    bob.receive(mallory.start()[0]!);
    const proof = { chain: [], scheme: 0, signature: EMPTY, mac: new Uint8Array(48) };
    expect(linkCodeOf(() => bob.receive(BootstrapMessages.write("proof", proof)))).toBe("ERR_LINK_FORGED");
  });

  test("a certificate without its key is refused", () => {
    const [owner, thief] = [credentials("secp256r1", "bob"), credentials("secp256r1", "mallory")];
    const identity = { ...owner.identity, key: thief.identity.key };
    const act = () =>
      run(
        settingsOf("alice", "PKI, ECDSA"),
        settingsOf("bob", "PKI, ECDSA", { trust: { ...pki("bob"), identity } }),
      );
    expect(linkCodeOf(act)).toBe("ERR_LINK_FORGED");
  });

  test.each([
    ["of no CA that is trusted", { anchors: trustAnchors([]) }, "ERR_CERT_UNTRUSTED"],
    ["for another name", { peerName: "elsewhere.test" }, "ERR_CERT_NAME_MISMATCH"],
    ["of another common name", { peerCommonName: "kme-c" }, "ERR_CERT_NAME_MISMATCH"],
    ["that has expired", { nowMs: Date.now() + 365 * 86_400_000 }, "ERR_CERT_EXPIRED"],
  ])("a certificate %s is a TrustError", (_, changes, code) => {
    const trust = { ...pki("alice"), ...changes };
    const act = () => run(settingsOf("alice", "PKI, ECDSA", { trust }), settingsOf("bob", "PKI, ECDSA"));
    expect(act).toThrow(expect.objectContaining({ name: "TrustError", code }));
  });

  test("a common name may be all that is asked of a certificate, but something must be", () => {
    const { peerName: _, ...anybody } = pki("alice");
    const bob = settingsOf("bob", "PKI, ECDSA");
    const alice = (trust: BootstrapSettings["trust"]) => settingsOf("alice", "PKI, ECDSA", { trust });
    expect(run(alice({ ...anybody, peerCommonName: "bob" }), bob).alice.peer).toBeDefined();
    expect(() => run(alice(anybody), bob)).toThrow(
      expect.objectContaining({ name: "UsageError", option: "trust" }),
    );
  });

  test.each<[string, Changes, string]>([
    ["another method", { method: "hmac" }, "ERR_LINK_MALFORMED"],
    ["another amount of key", { keyBytes: 4096 }, "ERR_LINK_MALFORMED"],
    ["no exchange", { trust: psk(false) }, "ERR_LINK_MALFORMED"],
    ["certificates", { trust: pki("bob") }, "ERR_LINK_MALFORMED"],
    ["another PSK by name", { trust: { ...psk(true), identity: "link 8" } }, "ERR_PSK_UNKNOWN"],
  ])("a peer who wants %s is refused", (_, changes, code) => {
    const act = () =>
      run(settingsOf("alice", "PSK with exchange"), settingsOf("bob", "PSK with exchange", changes));
    expect(act).toThrow(expect.objectContaining({ code }));
  });
});

/** What a listener to the whole bootstrap derives who is given the PSK later. */
function derive(heard: readonly Uint8Array[], key: Uint8Array, exchanged?: Uint8Array) {
  const keys = new BootstrapKeys(provider.hash("sha384"));
  for (const hello of heard.slice(0, 2)) keys.hear(hello);
  keys.mix(key, exchanged);
  for (const proof of heard.slice(2)) {
    keys.hear(encode(Chain, []));
    keys.hear(signaturePart({ scheme: 0, signature: EMPTY }));
    keys.hear(proof);
  }
  return { context: keys.heard(), key: keys.keys(8192) };
}

/** Key that the link makes: the same at both ends, and known to nobody else. */
const linkKey = () => new Uint8Array(1024).fill(0xa7);
const METHODS = {
  "wegman-carter": wegmanCarter,
  hmac: (ledger: Ledger) => hmacAuthentication(provider.hash("sha384"), ledger),
  gmac: (ledger: Ledger) => gmac(provider.aead("aes-256-gcm"), ledger),
} as const;

describe.each(["wegman-carter", "hmac", "gmac"] as const)(
  "the PSK is published after the bootstrap; %s",
  (method) => {
    const start = (way: string) => {
      const settings = [settingsOf("alice", way, { method }), settingsOf("bob", way, { method })] as const;
      const { alice, bob, heard } = run(...settings);
      const channels = {
        alice: classicalChannel(settings[0], alice),
        bob: classicalChannel(settings[1], bob),
      };
      return { alice, bob, heard, channels };
    };
    const eveAs = (heard: readonly Uint8Array[], exchanged?: Uint8Array) => {
      const { context, key } = derive(heard, PSK, exchanged);
      const ledger = new Ledger("alice", key);
      return { ledger, channel: new ClassicalChannel("alice", context, METHODS[method](ledger)) };
    };

    test("PSK with exchange: it opens nothing, from the end of the bootstrap on", () => {
      const { channels, heard, alice } = start("PSK with exchange");
      for (const guess of [undefined, new Uint8Array(64)]) {
        const { context, key } = derive(heard, PSK, guess);
        expect(context).toEqual(alice.context);
        expect(key.aliceToBob).not.toEqual(alice.ledger.take("send", 8192).key);
        alice.ledger.deposit(new Uint8Array(2 * 8192));
      }
      expect(linkCodeOf(() => channels.bob.open(eveAs(heard).channel.seal(0, utf8("forged"))))).toBe(
        "ERR_LINK_FORGED",
      );
    });

    test("PSK alone: it forges as long as the bootstrap's key pays, and nothing once the link's own does", () => {
      const early = start("PSK alone");
      const forged = eveAs(early.heard).channel.seal(0, utf8("forged"));
      expect(early.channels.bob.open(forged).message).toEqual(utf8("forged"));

      const { alice, bob, channels, heard } = start("PSK alone");
      const eve = eveAs(heard);
      const first = channels.alice.seal(0, utf8("first"));
      expect(channels.bob.open(first).message).toEqual(eve.channel.seal(0, utf8("first")).slice(14, 19));
      for (const { ledger } of [alice, bob]) {
        ledger.deposit(linkKey());
        ledger.retireBootstrap();
        expect([ledger.nextOrigin("send"), ledger.nextOrigin("receive")]).toEqual(["link", "link"]);
      }
      const honest = channels.alice.seal(1, utf8("second"));
      expect(channels.bob.open(honest).message).toEqual(utf8("second"));
      eve.channel.seal(1, utf8("second"));
      expect(linkCodeOf(() => channels.bob.open(eve.channel.seal(1, utf8("third"))))).toBe("ERR_LINK_FORGED");
    });
  },
);

test("PSK alone, tag by tag: forging ends with the last message that the bootstrap's key pays", () => {
  const settings = [0, 1].map((at) => settingsOf(at === 0 ? "alice" : "bob", "PSK alone", { keyBytes: 64 }));
  const { alice, bob } = run(settings[0]!, settings[1]!);
  const channels = { alice: classicalChannel(settings[0]!, alice), bob: classicalChannel(settings[1]!, bob) };
  for (const { ledger } of [alice, bob]) ledger.deposit(linkKey());
  // 64 bytes pay a hash key and three tags; the fourth message has a hash key and a pad of the link's.
  const origins = Array.from({ length: 4 }, () => {
    channels.bob.open(channels.alice.seal(0, utf8("message")));
    return bob.ledger.account("receive").spentBits / 128;
  });
  expect(origins).toEqual([2, 3, 4, 6]);
});

describe("a private key is published after the bootstrap", () => {
  const start = (method: "wegman-carter" | "signature") => {
    const settings = [
      settingsOf("alice", "PKI, ECDSA", { method }),
      settingsOf("bob", "PKI, ECDSA", { method }),
    ] as const;
    const { alice, bob, heard } = run(...settings);
    return { alice, bob, heard, channel: classicalChannel(settings[1], bob) };
  };
  const { identity } = credentials("secp256r1", "alice");

  test("it forges nothing: the thief's own bootstrap as Alice gives other keys", () => {
    const { alice, channel } = start("wegman-carter");
    const thief = both("PKI, ECDSA");
    const forged = new ClassicalChannel("alice", alice.context, wegmanCarter(thief.alice.ledger)).seal(
      0,
      utf8("x"),
    );
    expect(linkCodeOf(() => channel.open(forged))).toBe("ERR_LINK_FORGED");
  });

  test("with signatures as the method it must stay secret: whoever has it signs as Alice", () => {
    const { alice, bob, channel } = start("signature");
    const scheme = bob.peer!.scheme;
    const thief = signatures({
      party: "alice",
      key: identity.key,
      scheme,
      peerKey: alice.peer!.path.key,
      peerScheme: scheme,
    });
    const forged = new ClassicalChannel("alice", alice.context, thief).seal(0, utf8("x"));
    expect(channel.open(forged).message).toEqual(utf8("x"));
  });
});

describe("a bootstrap", () => {
  test("gives a ledger, a public context and the peer's name: no payload key", () => {
    const { bob } = both("PKI, ML-DSA");
    expect(Object.keys(bob).sort()).toEqual(["context", "ledger", "peer"]);
    expect(bob.peer?.path.leaf.subject.text).toContain("alice");
    expect(bob.peer?.scheme.name).toBe("mldsa65");
    expect(both("PSK alone").bob.peer).toBeUndefined();
  });

  test.each(["wegman-carter", "hmac", "gmac", "signature"] as const)("opens a channel under %s", (method) => {
    const settings = [
      settingsOf("alice", "PKI, ECDSA", { method }),
      settingsOf("bob", "PKI, ECDSA", { method }),
    ] as const;
    const { alice, bob } = run(...settings);
    const [ours, theirs] = [classicalChannel(settings[0], alice), classicalChannel(settings[1], bob)];
    expect(theirs.open(ours.seal(0, utf8("question"))).message).toEqual(utf8("question"));
    expect(ours.open(theirs.seal(0, utf8("answer"))).message).toEqual(utf8("answer"));
  });

  test("messages out of order, and after the end, are refused", () => {
    const { heard } = both("PSK alone");
    const bob = new Bootstrap(settingsOf("bob", "PSK alone"));
    expect(linkCodeOf(() => bob.start())).toBe("ERR_LINK_CLOSED");
    expect(linkCodeOf(() => bob.receive(heard[3]!))).toBe("ERR_LINK_UNEXPECTED");
    expect(linkCodeOf(() => bob.receive(heard[0]!))).toBe("ERR_LINK_CLOSED");
    const alice = new Bootstrap(settingsOf("alice", "PSK alone"));
    expect(linkCodeOf(() => alice.receive(heard[1]!))).toBe("ERR_LINK_UNEXPECTED");
  });

  test.each<[string, Changes, string]>([
    ["a PSK of 31 bytes", { trust: psk(true, new Uint8Array(31)) }, "trust"],
    ["a PSK with a name of 256 bytes", { trust: { ...psk(true), identity: "x".repeat(256) } }, "trust"],
    ["signatures without certificates", { method: "signature" }, "method"],
    ["too little key", { keyBytes: 63 }, "keyBytes"],
    ["more key than HKDF gives", { keyBytes: 12_241 }, "keyBytes"],
  ])("%s is a UsageError", (_, changes, option) => {
    const act = () => new Bootstrap(settingsOf("alice", "PSK with exchange", changes));
    expect(act).toThrow(UsageError);
    expect(act).toThrow(expect.objectContaining({ option }));
  });
});
