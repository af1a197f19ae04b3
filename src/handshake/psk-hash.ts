/** Which hash each PSK on offer goes with, and what that says about the suite and about a second ClientHello. */
import { equal, fromUtf8, wipe } from "../protocol/bytes.ts";
import type { HashName } from "../crypto/provider.ts";
import { suiteOf, type Suite } from "../crypto/suites.ts";
import { parseImportedIdentity } from "../wire/psk.ts";
import { hashOfTarget, parseRawQkdIdentity } from "../schedule/psk.ts";
import { chooseSuite } from "./choose.ts";
import { illegalParameter, missingExtension } from "./fault.ts";
import type { ReceivedHello, Retry } from "./server-state.ts";
import { decodeTicketState } from "./session.ts";
import type { ServerSettings } from "./settings.ts";

/**
 * A second ClientHello may leave out PSKs that the suite of the retry does not fit, and no others. RFC 9846 §4.2.2.
 * Only those that we know are looked for: nothing was promised by the rest.
 */
export function checkKeptPsks({ hello }: ReceivedHello, retry: Retry, settings: ServerSettings): void {
  const identities = retry.first.hello.extensions.pre_shared_key?.identities ?? [];
  const kept = hello.extensions.pre_shared_key?.identities;
  for (const { identity } of identities.slice(0, settings.maxIdentities)) {
    const hash = hashOfKnown(identity, settings) ?? hashOfTicket(identity, settings);
    if (hash !== retry.suite.hash || kept?.some((each) => equal(each.identity, identity))) continue;
    if (kept === undefined) throw missingExtension("client_hello: the second one lacks pre_shared_key");
    throw illegalParameter("client_hello: the second one lacks a PSK that fits the suite");
  }
}

function hashOfKnown(identity: Uint8Array, settings: ServerSettings): HashName | undefined {
  const imported = parseImportedIdentity(identity);
  const known =
    imported === undefined ||
    settings.psks.some(
      (psk) =>
        psk.importContext !== undefined &&
        equal(imported.external_identity, psk.identity) &&
        equal(imported.context, psk.importContext),
    );
  return known ? hashOfIdentity(identity, settings) : undefined;
}

function hashOfTicket(identity: Uint8Array, settings: ServerSettings): HashName | undefined {
  const bytes = settings.tickets?.sealer?.open(identity);
  const state = bytes === undefined ? undefined : decodeTicketState(bytes);
  wipe(bytes, state?.psk);
  return state === undefined ? undefined : suiteOf(state.suite)?.hash;
}

/** Whether an identity is a ticket that we sealed ourselves. */
export function isTicket(identity: Uint8Array, settings: ServerSettings): boolean {
  const state = settings.tickets?.sealer?.open(identity);
  wipe(state);
  return state !== undefined;
}

/** The suite to answer with: our first choice, unless it has the hash of none of the PSKs on offer. */
export function suiteForPsks(received: ReceivedHello, settings: ServerSettings): Suite | undefined {
  const first = chooseSuite(received.hello, settings);
  // Tickets alone need no look here: they are tried with the suite that they were issued for.
  const external = settings.psks.length > 0 || settings.qkd !== undefined || settings.asksForPsk;
  if (!external) return first;
  const hashes = hashesOfPsks(received, settings);
  if (first === undefined || hashes.size === 0 || hashes.has(first.hash)) return first;
  for (const hash of hashes) {
    const suite = chooseSuite(received.hello, settings, hash);
    if (suite !== undefined) return suite;
  }
  return first;
}

/** The hashes that the PSKs on offer go with, as far as their identities tell. */
function hashesOfPsks({ hello }: ReceivedHello, settings: ServerSettings): ReadonlySet<HashName> {
  const identities = hello.extensions.pre_shared_key?.identities ?? [];
  const hashes = identities
    .slice(0, settings.maxIdentities)
    .flatMap(({ identity }) => hashOfIdentity(identity, settings) ?? []);
  return new Set(hashes);
}

function hashOfIdentity(identity: Uint8Array, settings: ServerSettings): HashName | undefined {
  const imported = parseImportedIdentity(identity);
  if (imported !== undefined) return hashOfTarget(imported.target_kdf);
  const known = settings.psks.find((psk) => psk.importContext === undefined && equal(identity, psk.identity));
  if (known !== undefined) return known.hash;
  const isQkd = settings.qkd?.acceptRaw === true && parseRawQkdIdentity(textOf(identity)) !== undefined;
  if (isQkd) return settings.qkd.rawHash;
  // What only the host may know is an external PSK, whose hash is SHA-256 unless said otherwise. RFC 9846 §4.3.11.
  if (!settings.asksForPsk) return undefined;
  return isTicket(identity, settings) ? undefined : "sha256";
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}
