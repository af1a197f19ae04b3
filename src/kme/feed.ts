/** Where a KME's key material comes from: a link whose two ends are fed the same blocks. */

import { randomFillSync, randomUUID } from "node:crypto";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";

/** A piece of key that lies at both ends of a link under one id. Whoever is handed it owns and wipes it. */
export interface Block {
  readonly id: string;
  readonly key: Uint8Array;
}

/** Which end may issue keys from a block: this one or the other. So both ends never spend the same block. */
export type Direction = "outgoing" | "incoming";

/** What an end of a link fills. */
export interface BlockSink {
  /** How many more blocks it can take. */
  room(direction: Direction): number;
  put(direction: Direction, block: Block): void;
  /** Fulfilled once what was put before is where it stays, or was refused. */
  landed(): Promise<void>;
}

/** One end of a link. A physical link puts a block at both ends once it has distilled it. */
export interface KeyFeed {
  readonly simulated: boolean;
  readonly blockBytes: number;
  start(sink: BlockSink): void;
  stop(): void;
}

export interface GeneratorOptions {
  /** Blocks of 32 bytes, so keys of the default size; each way. Default 100. */
  readonly keysPerSecond?: number;
  /** Blocks there from the start, each way; default 0. */
  readonly initialKeys?: number;
  readonly blockBytes?: number;
  /** How often it delivers; default 50. */
  readonly tickMs?: number;
}

export interface Generator {
  readonly a: KeyFeed;
  readonly b: KeyFeed;
  /** Delivers up to this many blocks each way at once, as far as both ends have room. */
  fill(count: number): void;
}

/**
 * A stand-in for a link: random bytes of this process, handed to both ends and marked simulated.
 * Throws UsageError for options out of range.
 */
export function sharedGenerator(options: GeneratorOptions = {}): Generator {
  onlyKnown(options, ["keysPerSecond", "initialKeys", "blockBytes", "tickMs"], "sharedGenerator");
  const keysPerSecond = whole(options, "keysPerSecond", 100, 0, 1_000_000);
  const blockBytes = whole(options, "blockBytes", 32, 8, 1024);
  const tickMs = whole(options, "tickMs", 50, 1, LONGEST_MS);
  let initialKeys = whole(options, "initialKeys", 0, 0, 1_000_000);
  const sinks: { a?: BlockSink; b?: BlockSink } = {};
  let timer: NodeJS.Timeout | undefined;
  let due = 0;
  let at = 0;

  const fill = (count: number): void => {
    const { a, b } = sinks;
    if (a === undefined || b === undefined) return;
    deliver(a, b, count, blockBytes);
    // A link that leads back to where it began has one way only.
    if (a !== b) deliver(b, a, count, blockBytes);
  };
  const tick = (): void => {
    const now = performance.now();
    due += ((now - at) / 1000) * keysPerSecond;
    at = now;
    const count = Math.floor(due);
    due -= count;
    fill(count);
  };
  const end = (name: "a" | "b"): KeyFeed => ({
    simulated: true,
    blockBytes,
    start(sink) {
      sinks[name] = sink;
      if (sinks.a === undefined || sinks.b === undefined) return;
      fill(initialKeys);
      initialKeys = 0;
      at = performance.now();
      timer ??= setInterval(tick, tickMs).unref();
    },
    stop() {
      delete sinks[name];
      clearInterval(timer);
      timer = undefined;
    },
  });
  return { a: end("a"), b: end("b"), fill };
}

function deliver(from: BlockSink, to: BlockSink, count: number, blockBytes: number): void {
  const possible = Math.min(count, from.room("outgoing"), to.room("incoming"));
  for (let made = 0; made < possible; made++) {
    const key = randomFillSync(new Uint8Array(blockBytes));
    const id = randomUUID();
    from.put("outgoing", { id, key });
    to.put("incoming", { id, key: new Uint8Array(key) });
  }
}
