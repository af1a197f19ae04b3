import { ahead, type AheadGroup } from "../crypto/ahead.ts";
import type { ClientConfig } from "../channel/config.ts";

/** A private key that waits longer would be worth stealing. */
const KEPT_MS = 1000;

/**
 * Begins the key exchange of a client's next connection while the present one waits for its server. Making a key
 * takes a good part of a handshake, most of all where ML-KEM is not native.
 */
export class NextKeyShares {
  readonly config: ClientConfig;
  readonly #groups: readonly AheadGroup[];
  #timer: NodeJS.Timeout | undefined;
  #used = false;

  /** `config` is the one given, with groups that can begin ahead. */
  constructor(config: ClientConfig) {
    const { settings } = config;
    const groups = settings.groups.map(ahead);
    this.config = { ...config, settings: { ...settings, groups } };
    this.#groups = groups.filter(({ code }) => settings.keyShares.includes(code));
  }

  /** A handshake has begun. Whoever connects a second time is taken to connect again. */
  handshakeBegun(): void {
    if (this.#used) setImmediate(() => this.#prepare());
    this.#used = true;
  }

  #prepare(): void {
    for (const group of this.#groups) group.prepare();
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#forget(), KEPT_MS).unref();
    else this.#timer.refresh();
  }

  #forget(): void {
    this.#timer = undefined;
    for (const group of this.#groups) group.forget();
  }
}
