import { MAX_PLAINTEXT_BYTES, PROTECTION_BYTES } from "./framer.ts";

/** Lends memory for records: `least` bytes or more; `wanted` says how much is about to be written in all. */
export type Lend = (least: number, wanted: number) => Uint8Array;

const LOT_RECORDS = 4;
/** The content of four full records. */
export const LOT_CONTENT_BYTES = LOT_RECORDS * MAX_PLAINTEXT_BYTES;
/** Four full records: what a lot has room for where nothing larger is needed. */
export const LOT_BYTES = LOT_CONTENT_BYTES + LOT_RECORDS * PROTECTION_BYTES;

/** Memory of its own for each lot, and no more than is wanted. */
export const lendFresh: Lend = (least, wanted) =>
  new Uint8Array(Math.max(least, Math.min(wanted, LOT_BYTES)));

/** Records in the order of sending, end to end in memory that the host lends. */
export class Output {
  readonly #lend: Lend;
  #lot: Uint8Array | undefined;
  #end = 0;
  #wanted = 0;
  #full: Uint8Array[] = [];

  constructor(lend: Lend = lendFresh) {
    this.#lend = lend;
  }

  /** Says how many bytes are going to be written, so that they find room in one piece. */
  expect(bytes: number): void {
    this.#wanted = bytes;
  }

  /** Room for the next `bytes` bytes. What it holds is arbitrary: the writer fills all of it. */
  room(bytes: number): Uint8Array {
    if (this.#lot === undefined || this.#lot.length - this.#end < bytes) this.#begin(bytes);
    const lot = this.#lot as Uint8Array;
    const start = this.#end;
    this.#end = start + bytes;
    this.#wanted -= bytes;
    return lot.subarray(start, this.#end);
  }

  /** What was written, in order; each piece is all that was written into one loan. */
  take(): readonly Uint8Array[] {
    if (this.#end === 0) return NOTHING;
    const lot = (this.#lot as Uint8Array).subarray(0, this.#end);
    this.#lot = undefined;
    this.#end = 0;
    if (this.#full.length === 0) return [lot];
    const pieces = this.#full;
    this.#full = [];
    pieces.push(lot);
    return pieces;
  }

  #begin(bytes: number): void {
    if (this.#end > 0) this.#full.push((this.#lot as Uint8Array).subarray(0, this.#end));
    this.#lot = this.#lend(bytes, Math.max(bytes, this.#wanted));
    this.#end = 0;
  }
}

const NOTHING: readonly Uint8Array[] = [];
