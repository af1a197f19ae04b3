/** Handshakes in which both sides show certificates, and what a test changes in them. */
import { Certificate } from "../../src/wire/handshake.ts";
import { credentials } from "./credentials.ts";
import { changing, type Edit, type EnginesOptions } from "./engines.ts";
import type { Side } from "./pair.ts";

export const mutual: EnginesOptions = {
  client: { credentials: [credentials().identity] },
  server: { clientAuth: "require" },
};

/** The edit of what one side sends; the other side must refuse it. */
export const from =
  (side: Side, edit: Edit): Edit =>
  (name, body, sender) =>
    sender === side ? edit(name, body, sender) : undefined;

/** An edit of a Certificate message. */
export const certificate = (change: (value: Certificate) => object): Edit =>
  changing("certificate", Certificate, (value) => ({ ...value, ...change(value) }));

/** An answer of a certificate status, of this type. */
export const stapled = (status_type: number) => ({ status_type, response: Uint8Array.of(1, 2, 3) });
