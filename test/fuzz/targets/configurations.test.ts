import { expect, test } from "vitest";
import { toHex } from "../../../src/protocol/bytes.ts";
import { tamperedPair } from "../../support/tamper.ts";
import type { Pair } from "../../support/pair.ts";
import { converse, expectConversation } from "../scenarios.ts";
import { genuine, handshakes } from "./configurations.ts";

/** What shows that a handshake is the one that its name promises. */
const SHOWS: Readonly<Record<string, (pair: Pair) => unknown>> = {
  "all that may be asked for": ({ client }) => client.established?.peer.ocspResponse?.length === 3,
  "raw public keys on both sides": ({ server }) =>
    server.established?.peer.certificateType === "RawPublicKey",
  psk_ke: ({ server }) => server.established?.group === undefined,
  "a host that is asked for everything": ({ events }) =>
    ["choose_identity", "find_ocsp_response", "sign"].every((ask) =>
      events.server.some((event) => event.event === "question" && event.question.ask === ask),
    ),
  "resumption out of a store": ({ server }) => server.established?.resumed,
  "a pre-shared key that the host knows": ({ client }) => client.established?.peer.by === "psk",
  "a raw QKD key alone": ({ server }) => server.established?.qkd?.form === "raw",
  "delegated credentials on both sides": ({ client, server }) =>
    client.established?.peer.scheme === "ed25519" && server.established?.peer.scheme === "ed25519",
};

test.each(handshakes)("$name: untouched, it connects, and is what it is called", ({ name, options }) => {
  for (let times = 0; times < 2; times++) {
    const pair = tamperedPair(options(), (_, __, message) => [message]);
    converse(pair);
    expect(expectConversation(pair, name)).toBe("connected");
    expect((SHOWS[name] ?? (() => true))(pair), name).toBe(true);
    for (const side of ["client", "server"] as const) {
      const { by, chain } = pair[side].established!.peer;
      if (by === "certificate") expect(genuine).toContain(toHex(chain[0]!));
    }
  }
});
