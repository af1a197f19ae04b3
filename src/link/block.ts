/** What a block of key is made under, what becomes of it, and the messages about it. */
import type { HashAlgorithm } from "../crypto/provider.ts";
import { utf8 } from "../protocol/bytes.ts";
import type { LinkError } from "../protocol/errors.ts";
import { oneOf, onlyKnown, real, whole } from "../protocol/options.ts";
import { empty, type Of, opaque, rest, struct, u16, u32, u8 } from "../wire/codec.ts";
import type { ProofName } from "./bounds.ts";
import { CASCADE_VARIANTS, type CascadeVariant } from "./cascade-plan.ts";
import { confirmationBits } from "./confirmation.ts";
import { estimate } from "./estimate.ts";
import { messages } from "./message.ts";
import type { RandomBytes } from "./random.ts";
import type { Source } from "./source.ts";

/** Sifted bits of a block, at most: its Toeplitz seed then fits one message. */
export const MOST_KEY_BITS = 2 ** 25;
export const MOST_BATCHES = 64;
/** Messages about one block that are taken; each costs a tag. */
export const MOST_MESSAGES = 4096;
/** Wegman-Carter: a tag each way, and the hash keys' part. */
const ROUND_TRIP_BITS = 260;

/** What both parties must be given alike; `hash` and `random` are each one's own. */
export interface BlockSettings {
  /** SHA-256 does. */
  readonly hash: HashAlgorithm;
  /** For public seeds. */
  readonly random: RandomBytes;
  readonly source: Source;
  /** How far from uniform and unknown to an adversary a block's key may be. Default 1e-10. */
  readonly epsilonSec?: number;
  /** How likely the two keys of a block may differ. Default 1e-15. */
  readonly epsilonCor?: number;
  /** Error rate above which there is no key. Default 0.08. */
  readonly qberThreshold?: number;
  /** Detections in either basis below which nothing is judged. Default 400. */
  readonly fewestDetections?: number;
  /** Default `wiesemann-2026`. */
  readonly proof?: ProofName;
  /** The share of a block's secret bits that may become authentication key. Default 0.25. */
  readonly authenticationShare?: number;
  /** Link-made authentication key that is aimed at, in bits each way. Default 65536. */
  readonly authenticationReserveBits?: number;
  /**
   * How Bob corrects. Default `original`: where each round trip is paid for, its four passes cost least of all, parities
   * and tags together (1.25 n h(Q) for 10^6 bits at 2 to 3 %, against 1.37 of `opt8`).
   */
  readonly cascade?: CascadeVariant;
  /** What a round trip of Cascade costs in bits of key. Default 260, as for Wegman-Carter tags. */
  readonly roundTripBits?: number;
}

export type CheckedSettings = Readonly<Required<BlockSettings>>;

/** The settings with their defaults. Throws a UsageError that names the option out of range. */
export function checkedSettings(settings: BlockSettings): CheckedSettings {
  const known = ["hash", "random", "source", "proof", "epsilonSec", "epsilonCor", "qberThreshold"];
  known.push(
    "cascade",
    "fewestDetections",
    "authenticationShare",
    "authenticationReserveBits",
    "roundTripBits",
  );
  onlyKnown(settings, known, "a block");
  const checked = {
    hash: settings.hash,
    random: settings.random,
    source: settings.source,
    epsilonSec: settings.epsilonSec ?? 1e-10,
    epsilonCor: real(settings, "epsilonCor", { fallback: 1e-15, min: 2 ** -99, max: 0.1 }),
    qberThreshold: settings.qberThreshold ?? 0.08,
    fewestDetections: whole(settings, "fewestDetections", 1000, 100),
    proof: settings.proof ?? "wiesemann-2026",
    authenticationShare: real(settings, "authenticationShare", { fallback: 0.25, min: 0, max: 0.9 }),
    authenticationReserveBits: whole(settings, "authenticationReserveBits", 65_536, 0, 2 ** 24),
    cascade: oneOf(settings, "cascade", CASCADE_VARIANTS, "original"),
    roundTripBits: whole(settings, "roundTripBits", ROUND_TRIP_BITS, 0, 2 ** 16),
  };
  const { source, epsilonSec, epsilonCor, qberThreshold, proof } = checked;
  const none = { key: { detections: NONE }, check: { detections: NONE, errors: NONE } };
  estimate({ source, counts: none, leakedBits: 0, epsilonSec, epsilonCor, qberThreshold, proof });
  confirmationBits(MOST_KEY_BITS, epsilonCor);
  return checked;
}

const NONE = [0, 0, 0] as const;

/** A digest of what both must have alike. */
export function settingsDigest({ hash, source, ...settings }: CheckedSettings): Uint8Array {
  const { epsilonSec, epsilonCor, qberThreshold, fewestDetections, proof, authenticationShare } = settings;
  const agreed = [
    source.intensities,
    source.intensityProbabilities,
    source.keyBasisProbability,
    [epsilonSec, epsilonCor, qberThreshold, fewestDetections, proof, authenticationShare],
  ];
  return hash.digest(utf8(JSON.stringify(agreed)));
}

/** Why a block gave no key, though the link may go on with the next one. */
export const BLOCK_ABORTS = [
  "qber_over_threshold",
  "too_few_detections",
  "not_accepted",
  "no_positive_length",
  /** The keys differed after reconciliation. */
  "confirmation_failed",
  /** Reconciliation would have told more than the bound, or the block was too long. */
  "limit_exceeded",
  /** The host of either party stopped it. */
  "stopped",
] as const;
export type BlockAbort = (typeof BLOCK_ABORTS)[number];

/** Why a link stopped, and the block under way with it. */
export type LinkStop = "authentication_failed" | "ledger_empty" | "protocol_violated" | "closed";

export type BlockOutcome = "key" | BlockAbort | LinkStop;

/** One line of a party's history: public figures, no key. */
export interface BlockRecord {
  readonly simulated: true;
  readonly block: number;
  readonly outcome: BlockOutcome;
  readonly pulses: number;
  readonly detections: number;
  /** Bits of key before correction. */
  readonly siftedBits: number;
  /** Error rates in Z, and in X once reconciliation found it; undefined before anything was judged. */
  readonly qber: { readonly check: number; readonly key?: number } | undefined;
  readonly qberThreshold: number;
  /** Parities told. */
  readonly leakedBits: number;
  /** All that privacy amplification gave; the authentication key is taken out of them. */
  readonly secretBits: number;
  /** Authentication key in bits, both ways together. */
  readonly authentication: { readonly spentBits: number; readonly earnedBits: number };
}

/** A block that has ended at one party. Whoever takes the key owns and wipes it. */
export interface EndedBlock {
  readonly record: BlockRecord;
  /** Whole bytes, only where the outcome is `key`. */
  readonly key?: Uint8Array;
}

/** What a party wants done. */
export interface Step {
  /** Frames for the peer, in order. */
  readonly send: readonly Uint8Array[];
  readonly ended?: EndedBlock;
  /** The link has stopped for good, after this. */
  readonly stopped?: LinkError;
  /** Work is left for `goOn`; whatever is asked of the party before it is done does it all at once. */
  readonly more?: true;
}

/** Alice's last word: how long the key is, and the matrix that makes it. */
const Settle = struct({
  secret_bits: u32,
  /** How many of them become authentication key. */
  authentication_bits: u32,
  /** Whether what is left of the bootstrap's key is thrown away after this block. */
  retire_bootstrap: u8,
  toeplitz_seed: opaque(3),
});
export type Settlement = Of<typeof Settle>;

/** Alice's first word: how many batches come, and a digest of what both must have alike. */
const Open = struct({ batches: u16, settings: opaque(1, 32, 64) });
export type Opening = Of<typeof Open>;

/** The messages about a block; those of sifting, Cascade and confirmation travel inside. */
export const BlockMessages = messages("block", {
  open: { code: 1, body: Open },
  sifting: { code: 2, body: rest },
  cascade: { code: 3, body: rest },
  confirmation: { code: 4, body: rest },
  settle: { code: 5, body: Settle },
  /** Bob's: he has the key, so Alice may use hers. */
  kept: { code: 6, body: empty },
  abort: { code: 7, body: struct({ reason: u8 }) },
});
export type BlockMessage = ReturnType<typeof BlockMessages.read>;
