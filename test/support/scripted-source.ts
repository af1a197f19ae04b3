/** A key source whose every answer the test decides, and a clock that only the test moves. */

import { randomBytes, randomUUID } from "node:crypto";
import { KeySourceError, type KeySourceErrorCode } from "../../src/protocol/errors.ts";
import type { CallOptions, KeySource, QkdKey, SourceStatus } from "../../src/qkd/source.ts";

export interface ScriptedSource extends KeySource {
  readonly counters: { drawn: number; redeemed: number; lost: number; expired: number; failures: number };
  /** What was asked, as `draw sae-b 4` or `redeem sae-a <id>`. */
  readonly asked: string[];
  /** Every key that was given, as its holder holds it. */
  readonly given: QkdKey[];
  closed: boolean;
  /** Runs before each answer: waits, or throws what the caller shall see. */
  script: (call: string, signal: AbortSignal | undefined) => Promise<void> | void;
  perRequest: number;
}

export function scriptedSource(): ScriptedSource {
  const make = (id: string, { bytes = 32 }: CallOptions = {}): QkdKey => {
    const key = new Uint8Array(randomBytes(bytes));
    const made = { id, key, simulated: true, kind: "scripted" };
    source.given.push(made);
    return made;
  };
  const ask = async (call: string, options: CallOptions = {}): Promise<void> => {
    source.asked.push(call);
    await source.script(call, options.signal);
  };
  const source: ScriptedSource = {
    kind: "scripted",
    sae: "sae-x",
    simulated: true,
    counters: { drawn: 0, redeemed: 0, lost: 0, expired: 0, failures: 0 },
    asked: [],
    given: [],
    closed: false,
    script: () => undefined,
    perRequest: 128,
    async draw(peer, options) {
      await ask(`draw ${peer} 1`, options);
      source.counters.drawn++;
      return make(randomUUID(), options);
    },
    async drawMany(peer, count, options) {
      await ask(`draw ${peer} ${count}`, options);
      source.counters.drawn += count;
      return Array.from({ length: count }, () => make(randomUUID(), options));
    },
    async redeem(peer, id, options) {
      await ask(`redeem ${peer} ${id}`, options);
      source.counters.redeemed++;
      return make(id, options);
    },
    async status(peer): Promise<SourceStatus> {
      await ask(`status ${peer}`);
      return { peer, perRequest: source.perRequest, keyBits: 256, simulated: true };
    },
    close() {
      source.closed = true;
    },
  };
  return source;
}

export function fails(code: KeySourceErrorCode): () => never {
  return () => {
    throw new KeySourceError(code, `scripted ${code}`);
  };
}

/** A promise with its handles. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

export interface Clock {
  readonly now: () => number;
  add(ms: number): void;
}

export function clock(): Clock {
  let time = 1_000_000;
  return {
    now: () => time,
    add(ms) {
      time += ms;
    },
  };
}

/** Lets everything run that is ready to, several turns deep. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

export const isWiped = (key: Uint8Array): boolean => key.every((byte) => byte === 0);
