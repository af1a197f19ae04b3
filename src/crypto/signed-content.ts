import { concat, utf8 } from "../protocol/bytes.ts";

const PREFIX = new Uint8Array(64).fill(0x20);

/** What stands before all that is signed in TLS 1.3: 64 spaces, what it is for, and a zero. RFC 9846 §4.5.2, RFC 9345 §4. */
export const signatureContext = (purpose: string): Uint8Array =>
  concat([PREFIX, utf8(purpose), Uint8Array.of(0)]);
