/**
 * A search that learns: an input that runs through the code in a way that none did before is kept, and the next ones
 * are made of those that were kept.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import * as fc from "fast-check";
import { toHex } from "../../../src/protocol/bytes.ts";
import { deepEdits, edited, type Edit } from "../edits.ts";
import type { Watch } from "./watch.ts";

/** What is fed. */
export interface Target {
  readonly name: string;
  /** What the search begins with. */
  readonly seeds: () => readonly Uint8Array[];
  /** Throws when something is as it must not be; errors that the code may throw are caught inside. */
  readonly run: (input: Uint8Array) => void;
  /** Inputs grow no longer. Default 4096. */
  readonly maxBytes?: number;
  /** An input takes no more than a few milliseconds. */
  readonly cheap?: boolean;
}

/** What tells the search that an input was new; without one it is blind. */
export interface Guide {
  /** Whether what ran since the last call went a way that nothing went before. */
  take(): boolean;
  /** Whether it came to a place where nothing was before. */
  takeBlocks(): boolean;
}

export interface Limits {
  readonly seed: number;
  /** The search ends at the one or the other. */
  readonly inputs?: number;
  readonly seconds?: number;
  /** It ends after so many findings, too. Default 20. */
  readonly findings?: number;
  /** Where what was kept is stored, and read from at the beginning. */
  readonly directory?: string | undefined;
  readonly watch?: Watch;
}

export interface Finding {
  readonly input: string;
  readonly error: unknown;
}

export interface Report {
  readonly inputs: number;
  readonly perSecond: number;
  /** Inputs that were kept. */
  readonly corpus: number;
  /** One of each kind. */
  readonly findings: readonly Finding[];
}

/** Bytes that one input may leave on the heap before the collector comes round. */
const MOST_HEAP_BYTES = 64 * 2 ** 20;
const DRAWN = 2000;
const TOGETHER = 7;

interface Kept {
  readonly bytes: Uint8Array;
  uses: number;
}

export function search(target: Target, guide: Guide | undefined, limits: Limits): Report {
  const { maxBytes = 4096 } = target;
  const { inputs = Infinity, seconds = Infinity, findings: mostFindings = 20, directory, watch } = limits;
  const findings = new Map<string, Finding>();
  const corpus: Kept[] = [];
  const began = performance.now();
  let count = 0;
  const isOver = (): boolean =>
    count >= inputs || performance.now() - began >= 1000 * seconds || findings.size >= mostFindings;

  const attempt = (input: Uint8Array): void => {
    count++;
    const heap = heapBytes();
    try {
      if (watch === undefined) target.run(input);
      else watch.during(input, () => target.run(input));
      const grown = heapBytes() - heap;
      if (grown > MOST_HEAP_BYTES) throw new Error(`${grown} bytes of memory for ${input.length} of input`);
    } catch (error) {
      const kind = kindOf(error);
      if (!findings.has(kind)) findings.set(kind, { input: toHex(input), error });
    }
  };
  const names = new Set<string>();
  const keep = (bytes: Uint8Array): void => {
    const name = createHash("sha256").update(bytes).digest("hex").slice(0, 20);
    if (names.has(name)) return;
    names.add(name);
    corpus.push({ bytes, uses: 0 });
    if (directory !== undefined) writeFileSync(join(directory, name), bytes);
  };

  guide?.take();
  for (const seed of [...target.seeds(), ...stored(directory)]) {
    if (isOver()) break;
    attempt(seed);
    guide?.take();
    corpus.push({ bytes: seed, uses: 0 });
  }
  if (corpus.length === 0) corpus.push({ bytes: new Uint8Array(0), uses: 0 });

  const draws = drawn(limits.seed);
  const child = (): Uint8Array => {
    const { places, edits } = draws();
    const parent = leastUsed(corpus, places);
    parent.uses++;
    const donor = corpus[places[0] % corpus.length] as Kept;
    let bytes = parent.bytes;
    for (const edit of edits) bytes = edited(bytes, donor.bytes, edit);
    return bytes.slice(0, maxBytes);
  };
  const lookAt = (bytes: Uint8Array): void => {
    attempt(bytes);
    if (guide?.take()) keep(bytes);
  };
  while (!isOver()) {
    lookAt(child());
    // To look costs as much as to run, so that most are looked at together, and one by one only where they led further.
    const together: Uint8Array[] = [];
    while (together.length < TOGETHER && !isOver()) {
      const bytes = child();
      attempt(bytes);
      together.push(bytes);
    }
    if (guide?.takeBlocks()) for (const bytes of together) lookAt(bytes);
  }
  const perSecond = (1000 * count) / (performance.now() - began);
  return { inputs: count, perSecond, corpus: corpus.length, findings: [...findings.values()] };
}

/** The one of a few that was built upon least, so that what is new has its turn. */
function leastUsed(corpus: readonly Kept[], places: readonly number[]): Kept {
  const few = places.map((place) => corpus[place % corpus.length] as Kept);
  return few.reduce((least, each) => (each.uses < least.uses ? each : least));
}

interface Draw {
  readonly places: readonly [number, number, number];
  readonly edits: readonly Edit[];
}

/** What chance says, the same for the same seed. */
function drawn(seed: number): () => Draw {
  const arbitrary = fc.record({
    places: fc.tuple(fc.nat(), fc.nat(), fc.nat()),
    edits: fc.oneof(
      { weight: 3, arbitrary: fc.array(deepEdits, { minLength: 1, maxLength: 2 }) },
      fc.array(deepEdits, { minLength: 1, maxLength: 12 }),
    ),
  });
  let batch: Draw[] = [];
  let batches = 0;
  return () => {
    if (batch.length === 0) batch = fc.sample(arbitrary, { seed: seed + batches++, numRuns: DRAWN });
    return batch.pop() as Draw;
  };
}

/** Findings are of one kind when they come from one place in the code. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const place = error.stack?.split("\n").find((line) => /^\s+at .*\/(src|test)\//.test(line));
  return `${error.name} ${place ?? error.message}`;
}

function heapBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

function stored(directory: string | undefined): Uint8Array[] {
  if (directory === undefined) return [];
  mkdirSync(directory, { recursive: true });
  return readdirSync(directory)
    .sort()
    .map((name) => new Uint8Array(readFileSync(join(directory, name))));
}
