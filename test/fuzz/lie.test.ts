import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changesOf, describeMessage, expectHonest, lyingPair } from "../support/tamper.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { field, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { places, scenarios } from "./scenarios.ts";

/**
 * What a peer may say as it likes, as long as its own transcript has it too: random values, its own wishes and their
 * order, and what is no more than a hint. Everything else must be found out by a check of its own, since here
 * Finished agrees.
 */
const HARMLESS: Readonly<Record<string, readonly RegExp[]>> = {
  "client client_hello": [
    /^random /,
    /^frame: byte (6|37) /,
    /^cipher_suites/,
    /\.(supported_groups|signature_algorithms)/,
    /\.(server_name|application_layer_protocol_negotiation|compress_certificate|record_size_limit)/,
    /\.(supported_versions|psk_key_exchange_modes) doubled$/,
    /\.obfuscated_ticket_age/,
    // The honest binder is written over it afterwards.
    /\.binders/,
    /^frame: byte last /,
  ],
  "server server_hello": [/^random /, /^frame: byte (6|37) /],
  "server encrypted_extensions": [/ left out$/, /\.record_size_limit/, /^frame: byte last /],
  "server certificate_request": [
    /\.(signature_algorithms|compress_certificate)/,
    /^frame: byte (37|38|39|last) /,
  ],
  // §4.5.1: certificates that are not needed may follow.
  "server certificate": [/^certificate_list doubled$/],
  "client certificate": [/^certificate_list doubled$/],
};

/** A first hello of which less is needed. */
const FIRST_HELLO: Readonly<Record<string, readonly RegExp[]>> = {
  // The key is offered for two hashes, and either will do.
  "certificates on both sides with a QKD key": [/\.pre_shared_key\.identities/],
  "compressed certificates on both sides": [/\.pre_shared_key\.identities/],
  // The second one counts.
  "HelloRetryRequest with a QKD key": [
    /\.(key_share|pre_shared_key|tls_cert_with_extern_psk|psk_key_exchange_modes)/,
  ],
  // A ticket that cannot be used leads to a full handshake.
  resumption: [/\.(pre_shared_key|psk_key_exchange_modes)/],
  // Each PSK is offered for two hashes.
  "external PSK alone, with X25519MLKEM768": [/\.pre_shared_key\.identities/],
};

describe.each(scenarios)("$name", (scenario) => {
  test.each(places(scenario).map((place, i) => [i, scenario.messages[i]!, place] as const))(
    "message %i, %s: a lie is found unless it is harmless",
    (i, name, place) => {
      let refused = 0;
      const victim = place.side === "client" ? "server" : "client";
      for (let n = 0; ; n++) {
        let what: string | undefined;
        let changed = false;
        const pair = lyingPair(scenario.options(), (side, at, message) => {
          const here = side === place.side && at === place.at && describeMessage(side, message) === name;
          if (!here) return message;
          const change = changesOf(message)[n];
          if (change === undefined) return message;
          what = change.what;
          const other = change.apply();
          changed = other !== undefined && !Buffer.from(other).equals(message);
          return changed ? other! : message;
        });
        pair.run();
        if (what === undefined) break;
        if (!changed) continue;
        const ending = expectHonest(pair, victim, `${name}, ${what}`);
        if (ending !== "connected") {
          refused++;
          continue;
        }
        const allowed = [...(HARMLESS[name] ?? []), ...(i === 0 ? (FIRST_HELLO[scenario.name] ?? []) : [])];
        expect(
          allowed.some((pattern) => pattern.test(what ?? "")),
          `${name}, ${what} was believed`,
        ).toBe(true);
      }
      expect(refused).toBeGreaterThan(10);
    },
  );

  test("random bytes in any message a peer made up: the honest side ends cleanly or goes on", () => {
    const all = places(scenario);
    fc.assert(
      fc.property(fc.nat(all.length - 1), fc.nat(), fc.nat(8), someBytes(0, 8), (i, at, cut, bytes) => {
        const place = all[i]!;
        const pair = lyingPair(scenario.options(), (side, n, message) => {
          if (side !== place.side || n !== place.at) return message;
          const body = message.subarray(4);
          const from = at % (body.length + 1);
          const other = concat([body.subarray(0, from), bytes, body.subarray(from + cut)]);
          return concat([message.subarray(0, 1), field(3, other)]);
        });
        pair.run();
        const victim = place.side === "client" ? "server" : "client";
        expectHonest(pair, victim, `${scenario.messages[i]} with ${bytes.length} bytes for ${cut} at ${at}`);
      }),
      fuzz(30),
    );
  });
});
