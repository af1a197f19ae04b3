/**
 * A fast Fourier transform for multiplying polynomials with real coefficients modulo z^(2 points) + 1. In floating
 * point: sums of up to 10^7 products of bits stay exact by many orders of magnitude.
 */

/** The coefficients folded into complex points, then their values; in an order of its own. */
export interface Spectrum {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

export interface Transform {
  /** How many complex points; twice as many real coefficients. */
  readonly points: number;
  blank(): Spectrum;
  /** Coefficients to values, in place: coefficient j is `re[j]`, coefficient points + j is `im[j]`. */
  forward(spectrum: Spectrum): void;
  /** Values to coefficients, in place. */
  backward(spectrum: Spectrum): void;
}

const made = new Map<number, Transform>();

/** The transform with this many points. Throws a RangeError for a number that is no power of 4. */
export function transform(points: number): Transform {
  let known = made.get(points);
  if (known === undefined) {
    if (!Number.isInteger(Math.log2(points) / 2)) throw new RangeError(`${points} is no power of 4`);
    made.set(points, (known = prepare(points)));
  }
  return known;
}

function prepare(points: number): Transform {
  const twist = circle(points, Math.PI / (2 * points));
  const stages: { readonly quarter: number; readonly twiddles: Float64Array }[] = [];
  for (let quarter = points / 4; quarter >= 1; quarter /= 4) {
    stages.push({ quarter, twiddles: twiddlesOf(quarter) });
  }
  return {
    points,
    blank: () => ({ re: new Float64Array(points), im: new Float64Array(points) }),
    forward({ re, im }) {
      // z^points = i; with z = t e^(i pi / 2 points) that is t^points = 1, which a transform can do.
      rotate(re, im, twist, 1, 1);
      for (const { quarter, twiddles } of stages) splitStage(re, im, quarter, twiddles);
    },
    backward({ re, im }) {
      for (const { quarter, twiddles } of stages.toReversed()) joinStage(re, im, quarter, twiddles);
      rotate(re, im, twist, -1, 1 / points);
    },
  };
}

/** into += a b, value by value. */
export function addProduct(into: Spectrum, a: Spectrum, b: Spectrum): void {
  const { re, im } = into;
  const { re: ar, im: ai } = a;
  const { re: br, im: bi } = b;
  for (let at = 0; at < re.length; at++) {
    const x = ar[at] as number;
    const y = ai[at] as number;
    const u = br[at] as number;
    const v = bi[at] as number;
    re[at] = (re[at] as number) + x * u - y * v;
    im[at] = (im[at] as number) + x * v + y * u;
  }
}

/** cos and sin of 0, step, 2 step …, in turn. */
function circle(count: number, step: number): Float64Array {
  const out = new Float64Array(2 * count);
  for (let at = 0; at < count; at++) {
    out[2 * at] = Math.cos(at * step);
    out[2 * at + 1] = Math.sin(at * step);
  }
  return out;
}

/** w, w^2 and w^3 for each place of a stage, w = e^(-2 pi i place / 4 quarter). */
function twiddlesOf(quarter: number): Float64Array {
  const out = new Float64Array(6 * quarter);
  for (let at = 0; at < quarter; at++) {
    for (let power = 1; power <= 3; power++) {
      const angle = (-Math.PI * power * at) / (2 * quarter);
      out[6 * at + 2 * power - 2] = Math.cos(angle);
      out[6 * at + 2 * power - 1] = Math.sin(angle);
    }
  }
  return out;
}

function rotate(re: Float64Array, im: Float64Array, by: Float64Array, sense: 1 | -1, scale: number): void {
  for (let at = 0; at < re.length; at++) {
    const c = (by[2 * at] as number) * scale;
    const s = (by[2 * at + 1] as number) * scale * sense;
    const x = re[at] as number;
    const y = im[at] as number;
    re[at] = x * c - y * s;
    im[at] = x * s + y * c;
  }
}

/** One radix-4 step, decimation in frequency: natural order in, digits reversed out. */
function splitStage(re: Float64Array, im: Float64Array, quarter: number, twiddles: Float64Array): void {
  for (let start = 0; start < re.length; start += 4 * quarter) {
    for (let at = 0, w = 0; at < quarter; at++, w += 6) {
      const [p, q, r, s] = [
        start + at,
        start + at + quarter,
        start + at + 2 * quarter,
        start + at + 3 * quarter,
      ];
      const sumR = (re[p] as number) + (re[r] as number);
      const sumI = (im[p] as number) + (im[r] as number);
      const gapR = (re[p] as number) - (re[r] as number);
      const gapI = (im[p] as number) - (im[r] as number);
      const oddR = (re[q] as number) + (re[s] as number);
      const oddI = (im[q] as number) + (im[s] as number);
      const turnR = (im[q] as number) - (im[s] as number);
      const turnI = (re[s] as number) - (re[q] as number);
      re[p] = sumR + oddR;
      im[p] = sumI + oddI;
      store(re, im, q, gapR + turnR, gapI + turnI, twiddles[w] as number, twiddles[w + 1] as number);
      store(re, im, r, sumR - oddR, sumI - oddI, twiddles[w + 2] as number, twiddles[w + 3] as number);
      store(re, im, s, gapR - turnR, gapI - turnI, twiddles[w + 4] as number, twiddles[w + 5] as number);
    }
  }
}

/** Undoes one `splitStage`, but for a factor of 4. */
function joinStage(re: Float64Array, im: Float64Array, quarter: number, twiddles: Float64Array): void {
  for (let start = 0; start < re.length; start += 4 * quarter) {
    for (let at = 0, w = 0; at < quarter; at++, w += 6) {
      const [p, q, r, s] = [
        start + at,
        start + at + quarter,
        start + at + 2 * quarter,
        start + at + 3 * quarter,
      ];
      store(re, im, q, re[q] as number, im[q] as number, twiddles[w] as number, -(twiddles[w + 1] as number));
      store(
        re,
        im,
        r,
        re[r] as number,
        im[r] as number,
        twiddles[w + 2] as number,
        -(twiddles[w + 3] as number),
      );
      store(
        re,
        im,
        s,
        re[s] as number,
        im[s] as number,
        twiddles[w + 4] as number,
        -(twiddles[w + 5] as number),
      );
      const evenR = (re[p] as number) + (re[r] as number);
      const evenI = (im[p] as number) + (im[r] as number);
      const oddR = (re[p] as number) - (re[r] as number);
      const oddI = (im[p] as number) - (im[r] as number);
      const sumR = (re[q] as number) + (re[s] as number);
      const sumI = (im[q] as number) + (im[s] as number);
      const turnR = (im[s] as number) - (im[q] as number);
      const turnI = (re[q] as number) - (re[s] as number);
      re[p] = evenR + sumR;
      im[p] = evenI + sumI;
      re[r] = evenR - sumR;
      im[r] = evenI - sumI;
      re[q] = oddR + turnR;
      im[q] = oddI + turnI;
      re[s] = oddR - turnR;
      im[s] = oddI - turnI;
    }
  }
}

/** [at] = (x + i y)(c + i s) */
function store(
  re: Float64Array,
  im: Float64Array,
  at: number,
  x: number,
  y: number,
  c: number,
  s: number,
): void {
  re[at] = x * c - y * s;
  im[at] = x * s + y * c;
}
