/** What a KME gave to which SAEs, and how often it refused: counts for its operator. */

export type Verb = "enc_keys" | "dec_keys";

export interface Delivery {
  readonly verb: Verb;
  readonly master: string;
  /** With additional slave SAEs, the one in the path. */
  readonly slave: string;
  /** Keys, not requests. */
  readonly keys: number;
}

/** Counts since the start. No key_ID, and no name that a caller made up: SAEs are those of the registry. */
export interface DeliveryFigures {
  readonly delivered: readonly Delivery[];
  /** Answers that were errors, by their HTTP status. */
  readonly refused: ReadonlyMap<number, number>;
}

/** The counters behind the figures. Whoever counts a delivery has checked that this KME knows both SAEs. */
export class Deliveries implements DeliveryFigures {
  readonly #delivered = new Map<string, Delivery>();
  readonly #refused = new Map<number, number>();

  get delivered(): readonly Delivery[] {
    return [...this.#delivered.values()];
  }

  get refused(): ReadonlyMap<number, number> {
    return new Map(this.#refused);
  }

  countKeys({ verb, master, slave, keys }: Delivery): void {
    const row = JSON.stringify([verb, master, slave]);
    const before = this.#delivered.get(row)?.keys ?? 0;
    this.#delivered.set(row, { verb, master, slave, keys: before + keys });
  }

  countRefusal(status: number): void {
    this.#refused.set(status, (this.#refused.get(status) ?? 0) + 1);
  }
}
