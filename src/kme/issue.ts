/** How the two KMEs of a link agree on keys, and what an SAE asks for and is given. */

/** A key with its key_ID, handed to an SAE. Whoever holds it wipes it. */
export interface IssuedKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/** How to build a key: from these blocks, one after the other. No secret. */
export interface Recipe {
  readonly id: string;
  readonly blocks: readonly string[];
}

/** What one KME tells the other before a key leaves it: how to build the same keys, and for whom. No secret. */
export interface Issue {
  readonly master: string;
  readonly slaves: readonly string[];
  readonly bytes: number;
  readonly keys: readonly Recipe[];
}

/** The way to the KME at the other end. What fails there or is not heard of in time is rejected. */
export interface KmeLink {
  /** Fulfilled once the other end holds the keys, durably. Otherwise nobody knows. */
  announce(issue: Issue): Promise<void>;
  /** Has the other end give up keys whose announcement is in doubt, and their blocks. */
  withdraw(keys: readonly Recipe[]): Promise<void>;
  /** Names all blocks that we may issue from. Fulfilled with those of them that the other end lacks. */
  agree(blocks: readonly string[]): Promise<readonly string[]>;
}

export interface IssueRequest {
  readonly master: string;
  readonly slaves: readonly string[];
  readonly number: number;
  readonly bytes: number;
}
