import type { KeyExchangeGroup, PendingExchange } from "./groups.ts";

/** A group whose next exchange can be begun before it is needed. */
export interface AheadGroup extends KeyExchangeGroup {
  /** Begins the next exchange, unless that was done. */
  prepare(): void;
  /** Drops what was prepared. */
  forget(): void;
}

/** The same group; what was prepared is started once and never again, as a key share must be. RFC 9846 §4.3.8. */
export function ahead(group: KeyExchangeGroup): AheadGroup {
  let next: PendingExchange | undefined;
  return {
    ...group,
    start() {
      const prepared = next;
      next = undefined;
      return prepared ?? group.start();
    },
    prepare() {
      next ??= group.start();
    },
    forget() {
      next = undefined;
    },
  };
}
