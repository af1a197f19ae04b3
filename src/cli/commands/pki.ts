import { type Command, InvalidArgumentError, Option } from "commander";
import { makePki, type PkiAlgorithm, type PkiEntry, pkiAlgorithms, pkiDefaults } from "../pki-files.ts";

/** Adds `qkd-tls pki` to the program. */
export function registerPki(program: Command): void {
  const defaults = pkiDefaults;
  program
    .command("pki")
    .summary("make a CA and certificates for a test bed")
    .description(
      "Make a CA and certificates for a server, a client, KMEs and SAEs, as PEM files.\n" +
        "Keys are PKCS #8 with mode 0600. The CA's own key is not kept: to add a certificate, make all anew.",
    )
    .option("--out <directory>", "where the files go", "certs")
    .addOption(
      new Option("--algorithm <name>", "key algorithm (ml-dsa is ML-DSA-65, ecdsa is P-256)")
        .choices(Object.keys(pkiAlgorithms))
        .default(defaults.algorithm),
    )
    .option("--days <n>", "lifetime of the certificates", wholeNumber, defaults.days)
    .option(
      "--host <name...>",
      `names and addresses of server and KMEs (default: ${defaults.hosts.join(" ")})`,
    )
    .option("--sae <id...>", `SAE IDs, one client certificate each (default: ${defaults.saeIds.join(" ")})`)
    .option("--kme <id...>", `KME IDs, one certificate each (default: ${defaults.kmeIds.join(" ")})`)
    .option("--force", "replace files that exist", false)
    .option("--json", "print the list as JSON", false)
    .addHelpText(
      "after",
      "\nExample:\n  qkd-tls pki --out certs --algorithm ml-dsa --host localhost 192.0.2.7 --force",
    )
    .action((options: PkiFlags) => {
      const entries = makePki({
        directory: options.out,
        algorithm: options.algorithm,
        days: options.days,
        hosts: options.host,
        saeIds: options.sae,
        kmeIds: options.kme,
        force: options.force,
      });
      process.stdout.write(
        options.json ? `${JSON.stringify({ certificates: entries })}\n` : listing(entries),
      );
    });
}

interface PkiFlags {
  readonly out: string;
  readonly algorithm: PkiAlgorithm;
  readonly days: number;
  readonly host?: readonly string[];
  readonly sae?: readonly string[];
  readonly kme?: readonly string[];
  readonly force: boolean;
  readonly json: boolean;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** A table with one line per certificate. */
function listing(entries: readonly PkiEntry[]): string {
  const rows = [
    ["role", "name", "certificate", "key", "for"],
    ...entries.map((entry) => [
      entry.role,
      entry.commonName,
      entry.certificatePath,
      entry.keyPath ?? "(not kept)",
      entry.names.join(" "),
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const until = entries[0]?.notAfter.slice(0, 10) ?? "";
  return `${lines.join("\n")}\n\nValid until ${until}. Keys are readable by you alone; keep them out of version control.\n`;
}
