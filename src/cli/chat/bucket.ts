/** How many lines somebody may send: a few at once, and then so many a second. Times are milliseconds. */
export class Bucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** 0 when one more is allowed, which it then counts; otherwise how long to wait, in milliseconds. */
  take(nowMs: number): number {
    const earned = ((nowMs - this.#atMs) * this.#perSecond) / 1000;
    this.#left = Math.min(this.#burst, this.#left + earned);
    this.#atMs = nowMs;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) * 1000) / this.#perSecond);
    this.#left -= 1;
    return 0;
  }
}
