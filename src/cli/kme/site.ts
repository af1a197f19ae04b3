/** `qkd-tls kme --site`: the KME of one site in a process of its own. */

import { type Command, Option } from "commander";
import { within } from "../../kme/place.ts";
import { type Kme, type Listen, startKme } from "../../kme/server.ts";
import { type Endpoint, endpointText } from "../../kme/site/endpoint.ts";
import type { Site } from "../../kme/site/fibre-messages.ts";
import { readLinkPsk } from "../../kme/site/link-psk.ts";
import { type SiteLink, startSiteLink } from "../../kme/site/site-link.ts";
import type { Part } from "../../kme/site/site-options.ts";
import { type KeyStore, keyStore, openKeyStore } from "../../kme/store.ts";
import { AUTHENTICATION_METHODS, type AuthenticationMethod } from "../../link/authentication.ts";
import { wipe } from "../../protocol/bytes.ts";
import { UsageError } from "../../protocol/errors.ts";
import { say } from "../output.ts";
import { blockTeller } from "./blocks.ts";
import { type CredentialFlags, identity, pem } from "./credentials.ts";
import { endpointOption } from "./endpoint.ts";
import { type PlaceFlags, placeOf } from "./place.ts";
import { lifeOf, type PolicyFlags, policyOf } from "./policy.ts";

export interface SiteFlags {
  readonly site?: Site;
  readonly fibre?: Endpoint;
  readonly listenLink?: Endpoint;
  readonly peer?: Endpoint;
  readonly linkPskFile?: string;
  readonly linkAuth?: AuthenticationMethod;
}

/** What a site needs of the other options of `qkd-tls kme`. */
interface Flags extends SiteFlags, CredentialFlags, PlaceFlags, PolicyFlags {
  readonly listenA: Listen;
  readonly listenB: Listen;
  readonly idA: string;
  readonly idB: string;
  readonly saeA: string[];
  readonly saeB: string[];
  readonly stock: number;
  readonly json?: boolean;
}

/** Adds `--site` and what belongs to it. */
export function siteOptions(command: Command): void {
  command
    .addOption(
      new Option(
        "--site <site>",
        "this process is one site's KME alone; --listen-a and the like name it",
      ).choices(["a", "b"]),
    )
    .addOption(endpointOption("--fibre", "where qkd-tls fibre listens; with --site"))
    .addOption(endpointOption("--listen-link", "wait here for the other site, which has --peer"))
    .addOption(endpointOption("--peer", "where the other site's --listen-link is"))
    .option(
      "--link-psk-file <file>",
      "32 bytes or more in hex or base64 that begin the classical channel (mode 0600); default: the KMEs' certificates",
    )
    .addOption(
      new Option(
        "--link-auth <method>",
        "how the classical channel is authenticated (default: wegman-carter)",
      ).choices(AUTHENTICATION_METHODS),
    );
}

const OF_SITE = ["fibre", "listenLink", "peer", "linkPskFile", "linkAuth"];
const OF_ONE_PROCESS = ["single", "rate", "link", "lengthKm", "eavesdrop", "seed"];

/** The KME of one site, its store and its link; undefined without --site. Throws UsageError and StoreError. */
export async function startSite(flags: Flags) {
  const { site, fibre } = flags;
  demandTogether(flags);
  if (site === undefined || fibre === undefined) return undefined;
  const [own, other] = site === "a" ? (["A", "B"] as const) : (["B", "A"] as const);
  const saes = flags[`sae${own}`];
  const ca = pem(flags, "ca", "ca.crt");
  const credentials = identity(flags, own);
  const link = await startLink(flags, { site, fibre, peer: flags[`id${other}`], ca, ...credentials });
  let store: KeyStore | undefined;
  let kme: Kme;
  try {
    const opened = (store = await openStore(flags, site, link));
    link.open(opened);
    kme = await startKme({
      id: flags[`id${own}`],
      saes,
      listen: flags[`listen${own}`],
      ca,
      ...credentials,
      ...policyOf(flags),
      links: [{ kme: flags[`id${other}`], saes: flags[`sae${other}`], store: opened }],
    });
  } catch (error) {
    await store?.close();
    await link.close();
    throw error;
  }
  if (link.endpoint !== undefined) {
    const text = `Site ${own} waits for site ${other} on ${endpointText(link.endpoint)}`;
    say(flags.json === true, { event: "link_listening", ...link.endpoint }, text);
  }
  return {
    kmes: [{ kme, saes }],
    watched: {
      kmes: [{ id: kme.id, peer: flags[`id${other}`], saes, store, deliveries: kme.deliveries }],
      link,
    },
    async close(): Promise<void> {
      await kme.close();
      await store.close();
      await link.close();
    },
  };
}

async function startLink(
  flags: Flags,
  options: Omit<Parameters<typeof startSiteLink>[0], "meet">,
): Promise<SiteLink> {
  const json = flags.json === true;
  const psk = flags.linkPskFile === undefined ? undefined : readLinkPsk(flags.linkPskFile);
  const { listenLink, peer, linkAuth } = flags;
  const link = await startSiteLink({
    ...options,
    meet: listenLink === undefined ? { connect: peer as Endpoint } : { listen: listenLink }, // one of them is there
    ...(psk && { psk }),
    ...(linkAuth && { method: linkAuth }),
    onBlock: blockTeller(json),
    onChange: changeTeller(json),
  });
  return link;
}

async function openStore(flags: Flags, site: Site, { feed }: SiteLink): Promise<KeyStore> {
  const place = placeOf(flags);
  const options = { feed, maxStored: flags.stock, ...lifeOf(flags) };
  if (place === undefined) return keyStore(options);
  try {
    return await openKeyStore({ ...options, place: within(place, site) });
  } finally {
    wipe(place.key);
  }
}

const PARTS: Readonly<Record<Part, string>> = {
  fibre: "The fibre",
  channel: "The classical channel",
  peer: "The other KME",
};

/** A line whenever something comes or goes, and not for each attempt. */
function changeTeller(json: boolean): (part: Part, isThere: boolean, why: string | undefined) => void {
  const last: Partial<Record<Part, string>> = {};
  return (part, isThere, why) => {
    const text = `${PARTS[part]} is ${isThere ? "there" : `not there${why === undefined ? "" : ` (${why})`}`}`;
    if (last[part] === text) return;
    last[part] = text;
    say(json, { event: "link", part, there: isThere, ...(why !== undefined && { why }) }, text);
  };
}

/** Refuses what does not go together. Throws UsageError. */
function demandTogether(flags: Flags): void {
  const given = (name: string): boolean => Reflect.get(flags, name) !== undefined;
  const wrong = (
    name: string,
    fault: string,
    code: "ERR_OPTION_INVALID" | "ERR_OPTION_MISSING",
  ): UsageError => {
    const option = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return new UsageError(code, `${option} ${fault}`, { option });
  };
  if (flags.site === undefined) {
    const odd = OF_SITE.find(given);
    if (odd !== undefined)
      throw wrong(odd, "belongs to one site: give --site a or --site b", "ERR_OPTION_INVALID");
    return;
  }
  const odd = OF_ONE_PROCESS.find(given);
  if (odd === "single" || odd === "rate") throw wrong(odd, "does not go with --site", "ERR_OPTION_INVALID");
  if (odd !== undefined)
    throw wrong(odd, "belongs to the fibre: give it to qkd-tls fibre", "ERR_OPTION_INVALID");
  if (!given("fibre"))
    throw wrong("fibre", "is missing: a site needs its end of a fibre", "ERR_OPTION_MISSING");
  if (given("listenLink") === given("peer")) {
    const fault = given("peer")
      ? "does not go with --listen-link: one site waits, and the other connects"
      : "is missing: give --peer at one site, and --listen-link at the other";
    throw wrong("peer", fault, given("peer") ? "ERR_OPTION_INVALID" : "ERR_OPTION_MISSING");
  }
  if (flags.linkAuth === "signature" && given("linkPskFile")) {
    throw wrong("linkAuth", "signature needs the certificates, not a key file", "ERR_OPTION_INVALID");
  }
}
