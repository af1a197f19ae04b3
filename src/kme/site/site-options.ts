/** What a site's link is told, and what its classical channel begins with. */

import { nodeProvider } from "../../crypto/node.ts";
import { AUTHENTICATION_METHODS, type AuthenticationMethod } from "../../link/authentication.ts";
import type { BlockRecord } from "../../link/block.ts";
import { Bootstrap } from "../../link/bootstrap.ts";
import type { BootstrapSettings, PskTrust } from "../../link/bootstrap-settings.ts";
import { trustAnchors } from "../../pki/anchors.ts";
import { loadIdentity } from "../../pki/identity.ts";
import { certificatesFromPem } from "../../pki/pem.ts";
import { oneOf, onlyKnown } from "../../protocol/options.ts";
import { PACE_OPTIONS, type PaceOptions } from "../link-pace.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Site, SITES } from "./fibre-messages.ts";
import type { Meet } from "./meeting.ts";

type Pem = string | Uint8Array;

export interface SiteLinkOptions extends PaceOptions {
  /** A has the laser, B the detectors. */
  readonly site: Site;
  /** The fibre process: on this machine. */
  readonly fibre: Endpoint;
  /** One site listens, the other connects. */
  readonly meet: Meet;
  /** KME ID of the other site: the CN of its certificate. */
  readonly peer: string;
  /** PEM: who vouches for the other KME; our certificate chain; its private key. */
  readonly ca: Pem;
  readonly cert: Pem;
  readonly key: Pem;
  /** 32 bytes or more that both sites were given, to begin the classical channel with; default the certificates. */
  readonly psk?: Uint8Array;
  /** How the classical channel is authenticated; default `wegman-carter`. */
  readonly method?: AuthenticationMethod;
  /** Told of each block that ended, with key or without. */
  readonly onBlock?: (record: BlockRecord) => void;
  /** Told when the fibre, the channel or the other KME is there, or is not any more, and why. */
  readonly onChange?: (what: Part, isThere: boolean, why: string | undefined) => void;
}

export type Part = "fibre" | "channel" | "peer";

const KNOWN = "site fibre meet peer ca cert key psk method onBlock onChange".split(" ");
const PSK_IDENTITY = "qkd-tls link";

/** Throws UsageError for an option that a site's link does not have. */
export function demandKnown(options: SiteLinkOptions): void {
  onlyKnown(options, [...KNOWN, ...PACE_OPTIONS], "the link of a site");
}

/** The settings of one bootstrap after the other. Throws UsageError for options that cannot be. */
export function bootstrapper(options: SiteLinkOptions): () => BootstrapSettings {
  const provider = nodeProvider();
  const { psk, peer } = options;
  const site = oneOf(options, "site", SITES, "a");
  const method = oneOf(options, "method", AUTHENTICATION_METHODS, "wegman-carter");
  const anchors = trustAnchors(certificatesFromPem(options.ca, "ca"));
  const identity = loadIdentity(provider, options);
  const byKey: PskTrust | undefined = psk && { kind: "psk", identity: PSK_IDENTITY, key: psk };
  const settings = (): BootstrapSettings => ({
    provider,
    party: site === "a" ? "alice" : "bob",
    trust: byKey ?? { kind: "pki", identity, anchors, peerCommonName: peer, nowMs: Date.now() },
    method,
  });
  // Their faults are the caller's to hear of now, not at the first connection.
  new Bootstrap(settings()).close();
  return settings;
}
