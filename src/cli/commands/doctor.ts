import { join } from "node:path";
import type { Command } from "commander";
import { kmeAddress } from "../key-options.ts";
import { type Identity, type KmePlace, kmeText } from "../doctor/asking.ts";
import type { Patient } from "../doctor/examination.ts";
import { examine } from "../doctor/examine.ts";
import { countOf, findingText, headingOf, sumText } from "../doctor/findings-report.ts";
import { ExitCode, Reported } from "../output.ts";
import { bad, needed, readPem, seconds, wholeNumber } from "../value.ts";

interface DoctorFlags {
  readonly sae: string;
  readonly peerSae: string;
  readonly pki?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly peerCert?: string;
  readonly peerKey?: string;
  readonly patience: string;
  readonly rounds: string;
  readonly timeout: string;
  readonly strict?: boolean;
  readonly json?: boolean;
}

/** Adds `qkd-tls doctor`: what holds and what does not about a KME that is somebody else's, or ours. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .summary("check a KME against ETSI GS QKD 014, point by point")
    .description(
      "Examines any key-management entity that speaks ETSI GS QKD 014 V1.1.1, in the name of a master SAE, and of a slave " +
        "SAE at the KME of its own: mutual TLS, rights, fields, sizes, both verbs, errors, one-time delivery, pace. " +
        "It draws some dozens of keys, which are lost. Says for each point which clause it comes from.",
    )
    .argument("<url>", "the KME of the master SAE, as in https://localhost:8443 or unix:/run/kme-a")
    .argument("[peer-url]", "the KME of the slave SAE, if it is another one")
    .option("--sae <id>", "SAE ID of the master", "sae-a")
    .option("--peer-sae <id>", "SAE ID of the slave", "sae-b")
    .option("--pki <dir>", "take ca.crt and each SAE's .crt and .key from here")
    .option("--ca <file>", "PEM certificates that vouch for the KMEs (default: the system's)")
    .option("--cert <file>", "PEM certificate chain of the master SAE")
    .option("--key <file>", "its PEM private key")
    .option("--peer-cert <file>", "PEM certificate chain of the slave SAE; without it nothing is fetched")
    .option("--peer-key <file>", "its PEM private key")
    .option("--patience <s>", "how long a KME without keys may take to make some", "3")
    .option("--rounds <n>", "requests for each figure of pace", "50")
    .option("--timeout <s>", "time limit of each request in seconds", "10")
    .option("--strict", "a warning, or a point that could not be examined, is a failure too")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      "\nEnds with 0 when every point that must hold holds, with 1 when one does not, and with 4 when there is no KME to examine." +
        "\n\nExample:\n  qkd-tls doctor https://localhost:8443 https://localhost:8444 --pki certs",
    )
    .action((url: string, peerUrl: string | undefined, flags: DoctorFlags) => run(url, peerUrl, flags));
}

async function run(url: string, peerUrl: string | undefined, flags: DoctorFlags): Promise<void> {
  const patient = patientOf(url, peerUrl, flags);
  const isJson = flags.json === true;
  const findings = await examine(patient, (finding) => {
    if (isJson) return;
    const heading = headingOf(finding);
    process.stdout.write(`${heading === undefined ? "" : `\n${heading}\n`}${findingText(finding)}\n`);
  });
  const count = countOf(findings);
  const ok = count.fail === 0 && (flags.strict !== true || count.warn + count.skip === 0);
  if (isJson) {
    const kmes = { kme: kmeText(patient.kme), peerKme: kmeText(patient.peerKme) };
    process.stdout.write(
      `${JSON.stringify({ ok, standard: "ETSI GS QKD 014 V1.1.1", ...kmes, count, findings })}\n`,
    );
  } else process.stdout.write(`\n${sumText(count)}\n`);
  if (!ok) throw new Reported(ExitCode.failed);
}

/** Throws a UsageError that names the option. */
function patientOf(url: string, peerUrl: string | undefined, flags: DoctorFlags): Patient {
  const { sae, peerSae, pki } = flags;
  if (sae === peerSae) throw bad("--peer-sae", "an SAE shares no keys with itself");
  const [kme, peerKme] = [kmeAt(url, "url"), kmeAt(peerUrl ?? url, "peer-url")];
  const caFile = flags.ca ?? (pki === undefined ? undefined : join(pki, "ca.crt"));
  const ca = caFile === undefined ? undefined : readPem(caFile, "--ca");
  const identity = identityOf({ cert: flags.cert, key: flags.key }, ["--cert", "--key"], pki, sae);
  if (identity === undefined) {
    throw needed("--cert", "a KME wants to see the master SAE's certificate (or give --pki)");
  }
  const peerFiles = { cert: flags.peerCert, key: flags.peerKey };
  const peerIdentity = identityOf(peerFiles, ["--peer-cert", "--peer-key"], pki, peerSae);
  return {
    kme,
    peerKme,
    ca,
    master: { sae, identity },
    slave: { sae: peerSae, ...(peerIdentity && { identity: peerIdentity }) },
    timeoutMs: seconds(flags.timeout, "--timeout"),
    patienceMs: seconds(flags.patience, "--patience"),
    rounds: wholeNumber(flags.rounds, "--rounds", 1, 100_000),
  };
}

function kmeAt(text: string, option: string): KmePlace {
  const { url, socketPath } = kmeAddress(text, option);
  const at = new URL(url);
  if (at.username !== "" || at.search !== "" || at.hash !== "") {
    throw bad(option, "must be the URL of a KME and nothing else, as in https://localhost:8443");
  }
  return { url: at, ...(socketPath !== undefined && { socketPath }) };
}

function identityOf(
  files: { readonly cert: string | undefined; readonly key: string | undefined },
  [certOption, keyOption]: readonly [string, string],
  pki: string | undefined,
  sae: string,
): Identity | undefined {
  const inPki = (ending: string) => (pki === undefined ? undefined : join(pki, `${sae}.${ending}`));
  const [cert, key] = [files.cert ?? inPki("crt"), files.key ?? inPki("key")];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw needed(certOption, `${keyOption} is given`);
  if (key === undefined) throw needed(keyOption, `${certOption} is given`);
  return { cert: readPem(cert, certOption), key: readPem(key, keyOption) };
}
