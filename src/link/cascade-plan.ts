/** Which blocks Cascade asks for, pass by pass. */

/**
 * `original`: Brassard and Salvail 1993. `opt7`, `opt8`: Martinez-Mateo et al., arXiv:1407.3257, table 2, for strings of
 * about 10^4 bits.
 */
export type CascadeVariant = "original" | "opt7" | "opt8";

/** The number of each variant on the wire. */
export const CASCADE_VARIANTS: readonly CascadeVariant[] = ["original", "opt7", "opt8"];

export interface CascadePlan {
  /** Passes that are always made. */
  readonly passes: number;
  /** The block length of pass 0, 1, 2 …, in bits. */
  blockBits(pass: number): number;
}

/** The plan for `length` bits of which a share of `errorRate` is expected to differ. */
export function cascadePlan(variant: CascadeVariant, length: number, errorRate: number): CascadePlan {
  const rate = Math.min(0.5, Math.max(1e-5, errorRate));
  const within = (blockBits: number) => Math.max(1, Math.min(length, blockBits));
  const half = within(Math.ceil(length / 2));
  if (variant === "original") {
    const first = Math.ceil(0.73 / rate);
    return { passes: 4, blockBits: (pass) => within(first * 2 ** pass) };
  }
  const sizes = variant === "opt7" ? opt7(rate) : opt8(rate);
  return { passes: 14, blockBits: (pass) => Math.min(half, within(sizes[pass] ?? half)) };
}

function opt7(rate: number): readonly number[] {
  const first = 2 ** Math.ceil(Math.log2(1 / rate));
  return [first, 4 * first];
}

function opt8(rate: number): readonly number[] {
  const alpha = Math.log2(1 / rate) - 0.5;
  return [2 ** Math.ceil(alpha), 2 ** Math.ceil((alpha + 12) / 2), 4096];
}
