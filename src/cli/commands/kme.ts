import { type Command, InvalidArgumentError, Option } from "commander";
import { type LinkOptions, loopStore, openLoopStore, startPair } from "../../kme/pair.ts";
import { blockTeller } from "../kme/blocks.ts";
import { type CredentialFlags, identity, pem } from "../kme/credentials.ts";
import { kilometres } from "../kme/kilometres.ts";
import { listenOption } from "../kme/listen.ts";
import { placeOf } from "../kme/place.ts";
import { addPolicyOptions, lifeOf, type PolicyFlags, policyOf } from "../kme/policy.ts";
import { type SiteFlags, siteOptions, startSite } from "../kme/site.ts";
import { type Kme, type Listen, startKme } from "../../kme/server.ts";
import { STORE_KEY_VARIABLE } from "../../kme/store-key.ts";
import type { Adversary } from "../../link/fibre.ts";
import { PRESET_NAMES, type PresetName } from "../../link/presets.ts";
import { wipe } from "../../protocol/bytes.ts";
import type { Watched } from "../../kme/page/watched.ts";
import { stopped } from "../kme/stopped.ts";
import { eavesdropper } from "../eavesdropper.ts";
import { startUi, type UiFlags, uiLine, uiOptions } from "../kme/ui.ts";

interface KmeFlags extends CredentialFlags, PolicyFlags, SiteFlags, UiFlags {
  readonly single?: boolean;
  readonly listenA: Listen;
  readonly listenB: Listen;
  readonly idA: string;
  readonly idB: string;
  readonly saeA: string[];
  readonly saeB: string[];
  readonly rate?: number;
  readonly stock: number;
  readonly link?: PresetName;
  readonly lengthKm?: number;
  readonly eavesdrop?: Adversary;
  readonly seed?: string;
  readonly store?: string;
  readonly storeKeyFile?: string;
  readonly json?: boolean;
}

/** Adds `qkd-tls kme`: a linked pair of reference KMEs, or a single one. */
export function registerKme(program: Command): void {
  const command = program.command("kme");
  command
    .summary("run a linked pair of ETSI 014 key-management entities, or one")
    .description(
      "Runs two ETSI GS QKD 014 key-management entities (KMEs) that share simulated key material, over mutual TLS.\n" +
        "An application is known by the common name (CN) of its client certificate: its SAE ID.\n" +
        "Prints a line for each KME once it listens; ends on SIGINT or SIGTERM.",
    )
    .option("--single", "one KME (the A side) that serves all SAEs itself")
    .addOption(listenOption("--listen-a", "where KME A listens (port 0 takes a free one)", 8443))
    .addOption(listenOption("--listen-b", "where KME B listens", 8444))
    .option("--pki <dir>", "take ca.crt, kme-a.crt, kme-a.key, kme-b.crt and kme-b.key from here")
    .option("--ca <file>", "PEM certificates that vouch for the SAEs")
    .option("--cert-a <file>", "PEM certificate chain of KME A")
    .option("--key-a <file>", "PEM private key of KME A")
    .option("--cert-b <file>", "PEM certificate chain of KME B")
    .option("--key-b <file>", "PEM private key of KME B")
    .option("--id-a <id>", "KME ID of A", "kme-a")
    .option("--id-b <id>", "KME ID of B", "kme-b")
    .option("--sae-a <id...>", "SAEs that A serves", ["sae-a"])
    .option("--sae-b <id...>", "SAEs that B serves", ["sae-b"])
    .addOption(
      linkOption("--link <preset>", "the simulated link (default: metro-10km)").choices(PRESET_NAMES),
    )
    .addOption(linkOption("--length-km <km>", "another length of its fibre").argParser(kilometres))
    .addOption(
      linkOption(
        "--eavesdrop <what>",
        "who sits in the fibre: intercept=0.2, split=0.5, loss=3 (dB) or cut",
      ).argParser(eavesdropper),
    )
    .addOption(linkOption("--seed <text>", "the same keys again for the same text; for tests alone"))
    .option(
      "--rate <keys/s>",
      "a random generator instead of the link: 256-bit keys a second, each way",
      amount,
    )
    .option(
      "--stock <n>",
      "keys held at most each way, with --rate from the start; 0 is an empty KME",
      amount,
      1000,
    )
    .option(
      "--store <place>",
      "keep keys, encrypted, in this directory, or in a database that KMEs share (postgres://user@host/db); otherwise in memory",
    )
    .option(
      "--store-key-file <file>",
      `32 bytes in hex or base64 that encrypt --store (mode 0600); or set ${STORE_KEY_VARIABLE}`,
    )
    .option("--json", "one JSON object a line, for programs");
  addPolicyOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  qkd-tls pki --out certs && qkd-tls kme --pki certs\n" +
        "  (umask 077; openssl rand -hex 32 > store.key)\n" +
        "  qkd-tls kme --pki certs --store keys --store-key-file store.key\n" +
        "Two sites in two processes, with the fibre between them in a third:\n" +
        "  qkd-tls fibre --listen 127.0.0.1:7000\n" +
        "  qkd-tls kme --pki certs --site a --fibre 127.0.0.1:7000 --listen-link 127.0.0.1:7001\n" +
        "  qkd-tls kme --pki certs --site b --fibre 127.0.0.1:7000 --peer 127.0.0.1:7001",
    )
    .action((flags: KmeFlags) => run(flags));
  siteOptions(command);
  uiOptions(command);
}

async function run(flags: KmeFlags): Promise<void> {
  const site = await startSite(flags);
  const running = site ?? (flags.single === true ? await startSingle(flags) : await startBoth(flags));
  const json = flags.json === true;
  try {
    const page = await startUi(flags, running.watched);
    for (const kme of running.kmes) process.stdout.write(`${line(kme, json)}\n`);
    if (page !== undefined) process.stdout.write(`${uiLine(page, json)}\n`);
    await stopped();
    await page?.close();
  } finally {
    await running.close();
  }
}

interface Running {
  readonly kmes: readonly { readonly kme: Kme; readonly saes: readonly string[] }[];
  readonly watched: Watched;
  close(): Promise<void>;
}

async function startBoth(flags: KmeFlags): Promise<Running> {
  const place = placeOf(flags);
  const pair = await startPair({
    ca: pem(flags, "ca", "ca.crt"),
    a: { id: flags.idA, listen: flags.listenA, saes: flags.saeA, ...identity(flags, "A") },
    b: { id: flags.idB, listen: flags.listenB, saes: flags.saeB, ...identity(flags, "B") },
    link: { ...linkOf(flags), ...lifeOf(flags) },
    ...policyOf(flags),
    ...(place && { place }),
  }).finally(() => wipe(place?.key));
  const kmes = [
    { kme: pair.a, saes: flags.saeA },
    { kme: pair.b, saes: flags.saeB },
  ];
  const { a, b, link: laid } = pair.stores;
  const watched = {
    kmes: [
      { ...own(pair.a, flags.saeA), peer: flags.idB, store: a },
      { ...own(pair.b, flags.saeB), peer: flags.idA, store: b },
    ],
    link: laid,
  };
  return { kmes, watched, close: () => pair.close() };
}

async function startSingle(flags: KmeFlags): Promise<Running> {
  const saes = [...new Set([...flags.saeA, ...flags.saeB])];
  const place = placeOf(flags);
  const link = { ...linkOf(flags), ...lifeOf(flags) };
  const { store, link: laid } =
    place === undefined ? loopStore(link) : await openLoopStore(link, place).finally(() => wipe(place.key));
  let kme: Kme;
  try {
    const links = [{ kme: flags.idA, saes, store }];
    const ca = pem(flags, "ca", "ca.crt");
    const own = { id: flags.idA, saes, listen: flags.listenA, ...identity(flags, "A") };
    kme = await startKme({ ...own, links, ca, ...policyOf(flags) });
  } catch (error) {
    await store.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    await kme.close();
    await store.close();
  };
  const watched = { kmes: [{ ...own(kme, saes), peer: flags.idA, store }], link: laid };
  return { kmes: [{ kme, saes }], watched, close };
}

/** What a page shows of a KME by itself. */
const own = ({ id, deliveries }: Kme, saes: readonly string[]) => ({ id, saes, deliveries });

/** The link, or the generator in place of it. */
function linkOf({ rate, stock, link, lengthKm, eavesdrop, seed }: KmeFlags): LinkOptions {
  if (rate !== undefined) return { keysPerSecond: rate, maxStored: stock, initialKeys: stock };
  return {
    maxStored: stock,
    ...(link !== undefined && { preset: link }),
    ...(lengthKm !== undefined && { lengthKm }),
    ...(eavesdrop !== undefined && { adversary: eavesdrop }),
    ...(seed !== undefined && { seed }),
    onBlock: blockTeller(false),
  };
}

function line({ kme, saes }: Running["kmes"][number], json: boolean): string {
  const { id, host, port, path, url } = kme;
  const address = path === undefined ? { host, port, url } : { path, url };
  if (json) return JSON.stringify({ event: "listening", kme: id, ...address, saes, simulated: true });
  return `KME ${id} listens on ${url} for ${saes.join(", ")} (simulated keys)`;
}

const linkOption = (flags: string, description: string): Option =>
  new Option(flags, description).conflicts("rate");

function amount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number up to 999999.");
  return Number(text);
}
