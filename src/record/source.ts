/** Chunks of bytes read as one run, so that many small ones fill a record without being joined first. */
export class Source {
  readonly #chunks: readonly Uint8Array[];
  #chunk = 0;
  #at = 0;
  /** Bytes not read yet. */
  left: number;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
    this.left = 0;
    for (const chunk of chunks) this.left += chunk.length;
  }

  /** Copies the next bytes to `into[start..end)`; there must be as many left. */
  read(into: Uint8Array, start: number, end: number): void {
    this.left -= end - start;
    for (let to = start; to < end; ) {
      const chunk = this.#chunks[this.#chunk] as Uint8Array;
      const count = Math.min(end - to, chunk.length - this.#at);
      into.set(count === chunk.length ? chunk : chunk.subarray(this.#at, this.#at + count), to);
      to += count;
      this.#at += count;
      if (this.#at < chunk.length) return;
      this.#chunk++;
      this.#at = 0;
    }
  }
}
