import { toHex } from "../protocol/bytes.ts";

const CLIENT_RANDOM = { from: 6, to: 38 } as const;

/** Lines in the format of RFC 9850, for whoever asked for them. They hold secrets. */
export class KeyLog {
  #clientRandom: string | undefined;

  /** Takes the client's random out of the first ClientHello, whose lines it will begin. */
  begin(clientHello: Uint8Array): void {
    this.#clientRandom ??= toHex(clientHello.subarray(CLIENT_RANDOM.from, CLIENT_RANDOM.to));
  }

  /** Undefined before there was a ClientHello. */
  line(label: string, secret: Uint8Array): string | undefined {
    return this.#clientRandom === undefined ? undefined : `${label} ${this.#clientRandom} ${toHex(secret)}`;
  }
}
