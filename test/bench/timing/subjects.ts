/** What an attacker may vary and time: what must not show, what shows by design, and two controls of the method. */
import { Channel } from "../../../src/channel/channel.ts";
import { clientConfig, serverConfig } from "../../../src/channel/config.ts";
import { TicketKeys } from "../../../src/channel/tickets.ts";
import { checkFinished } from "../../../src/handshake/authenticate.ts";
import { concat, equal } from "../../../src/protocol/bytes.ts";
import { Output } from "../../../src/record/output.ts";
import { RecordOpener, RecordSealer } from "../../../src/record/protection.ts";
import { Source } from "../../../src/record/source.ts";
import { finishedData } from "../../../src/schedule/stages.ts";
import { credentials, provider } from "../../support/credentials.ts";
import type { Subject } from "./dudect.ts";

/** `silent` must not show; `design` shows, and the protocol says as much; `control` shows that the method sees. */
export type Expectation = "silent" | "design" | "control";

export interface Question extends Subject {
  readonly expect: Expectation;
}

const hash = provider.hash("sha256");
const filled = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value);

/** The bytes with one of them changed. */
function bent(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] as number) ^ 0x55;
  return copy;
}

/** Both kinds are copied to the same place. */
function inPlace(kinds: readonly [Uint8Array, Uint8Array]): { at: Uint8Array; put: (kind: 0 | 1) => void } {
  const at = new Uint8Array(Math.max(kinds[0].length, kinds[1].length));
  return { at, put: (kind) => at.set(kinds[kind]) };
}

/** Not ours: what `equal` is there to replace. */
function hasty(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

function comparing(
  name: string,
  expect: Expectation,
  compare: (a: Uint8Array, b: Uint8Array) => boolean,
  kinds: (right: Uint8Array) => [Uint8Array, Uint8Array],
): Question {
  const right = provider.random(32).slice();
  const { at, put } = inPlace(kinds(right));
  const answers = [false];
  const run = (): void => {
    // Kept, or the compiler would leave the comparison out.
    answers[0] = compare(at, right);
  };
  return { name, expect, calls: 50, prepare: put, run };
}

const firstOrLast = (right: Uint8Array): [Uint8Array, Uint8Array] => [bent(right, 0), bent(right, -1)];

/** What a server may make of such a hello. */
type Outcome = "ERR_TLS_DECRYPT" | "ERR_TLS_MISSING_EXTENSION";

/** A server that is given a whole ClientHello, as its bytes come from the network. Throws when it makes something else of it. */
function hello(
  name: string,
  expect: Expectation,
  kinds: (right: Uint8Array) => [Uint8Array, Uint8Array],
  outcomes: readonly [Outcome, Outcome],
): Question {
  const now = Date.now;
  const psk = { identity: IDENTITY, key: filled(32, 7) };
  const client = Channel.client(clientConfig({ provider, now, psks: [psk], authentication: "psk" }));
  client.start();
  const { at, put } = inPlace(kinds(concat(client.takeOutput())));
  const config = serverConfig({
    provider,
    now,
    credentials: [credentials().identity],
    psks: [psk],
  });
  let server = Channel.server(config);
  const prepare = (kind: 0 | 1): void => {
    put(kind);
    server = Channel.server(config);
  };
  for (const kind of [0, 1] as const) {
    prepare(kind);
    const [event] = server.receive(at);
    const was = event?.event === "error" && "code" in event.error ? event.error.code : event?.event;
    if (was !== outcomes[kind]) throw new Error(`${name}: ${String(was)} instead of ${outcomes[kind]}`);
  }
  return { name, expect, prepare, run: () => void server.receive(at) };
}
const IDENTITY = "an identity of 32 characters ....";

/** Where the identity stands in the hello. */
function identityAt(bytes: Uint8Array): number {
  const at = Buffer.from(bytes).indexOf(IDENTITY);
  if (at < 0) throw new Error("the hello offers no such identity");
  return at;
}

function finished(): Question {
  const [secret, transcript] = [filled(32, 1), filled(32, 2)];
  const { at, put } = inPlace(firstOrLast(finishedData(hash, secret, transcript)));
  return {
    name: "Finished wrong at its first or its last byte",
    expect: "silent",
    calls: 4,
    prepare: put,
    run() {
      try {
        checkFinished(at, hash, secret, transcript);
      } catch {
        return;
      }
      throw new Error("a wrong Finished was taken");
    },
  };
}

function ticket(
  name: string,
  expect: Expectation,
  kinds: (right: Uint8Array) => [Uint8Array, Uint8Array],
): Question {
  const keys = new TicketKeys({ provider, now: Date.now });
  const { at, put } = inPlace(kinds(keys.seal(filled(200, 3))));
  return { name, expect, calls: 4, prepare: put, run: () => void keys.open(at) };
}

/** Records of one size, whose content is all of it or one byte. */
function padding(): Question {
  const BYTES = 16_000;
  const keys = { key: provider.aead("aes-128-gcm").key(filled(16, 9)), iv: filled(12, 4) };
  const sealed = (content: Uint8Array): Uint8Array => {
    const output = new Output((least) => new Uint8Array(least));
    new RecordSealer(keys, () => BYTES).seal(23, new Source([content]), output);
    return concat(output.take());
  };
  const { at, put } = inPlace([sealed(filled(BYTES, 1)), sealed(filled(1, 1))]);
  let opener = new RecordOpener(keys);
  return {
    name: `a record of ${BYTES} bytes: content alone, or one byte and padding`,
    expect: "design",
    prepare(kind) {
      put(kind);
      opener = new RecordOpener(keys);
    },
    run: () => void opener.open({ type: 23, header: at.subarray(0, 5), fragment: at.subarray(5) }),
  };
}

/** A hello that counts on its PSK offers no signature algorithms, so without one the server ends there. */
const NO_PSK = "ERR_TLS_MISSING_EXTENSION";
const WRONG_BINDER: readonly [Outcome, Outcome] = ["ERR_TLS_DECRYPT", "ERR_TLS_DECRYPT"];
const TICKET_KEY_NAME_BYTES = 16;

export const questions = (): readonly Question[] => [
  comparing("control: the same input twice", "silent", equal, (right) => [bent(right, 0), bent(right, 0)]),
  comparing("control: a comparison that stops early", "control", hasty, firstOrLast),
  comparing("equal: wrong at the first or the last of 32 bytes", "silent", equal, firstOrLast),
  comparing("equal: wrong at the last byte or everywhere", "silent", equal, (right) => [
    bent(right, -1),
    right.map((byte) => byte ^ 0xff),
  ]),
  hello("binder wrong at its first or its last byte", "silent", firstOrLastOfBinder, WRONG_BINDER),
  hello(
    "binder wrong at its last byte or everywhere",
    "silent",
    (right) => [bent(right, -1), right.map((byte, at) => (at < right.length - 32 ? byte : byte ^ 0xff))],
    WRONG_BINDER,
  ),
  hello(
    "unknown identity, different at its first or its last byte",
    "silent",
    (right) => {
      const at = identityAt(right);
      return [bent(right, at), bent(right, at + IDENTITY.length - 1)];
    },
    [NO_PSK, NO_PSK],
  ),
  hello(
    "known identity with a wrong binder, or unknown identity",
    "design",
    (right) => [bent(right, -1), bent(right, identityAt(right))],
    ["ERR_TLS_DECRYPT", NO_PSK],
  ),
  ticket("ticket changed at the first or the last byte of its sealed part", "silent", (right) => [
    bent(right, TICKET_KEY_NAME_BYTES + 12),
    bent(right, -1),
  ]),
  ticket("ticket under our key but changed, or under an unknown key", "design", (right) => [
    bent(right, -1),
    bent(right, 0),
  ]),
  ticket(
    "ticket under an unknown key, different at the first or last byte of its name",
    "silent",
    (right) => [bent(right, 0), bent(right, TICKET_KEY_NAME_BYTES - 1)],
  ),
  finished(),
  padding(),
];

function firstOrLastOfBinder(right: Uint8Array): [Uint8Array, Uint8Array] {
  return [bent(right, -32), bent(right, -1)];
}
