import { createInterface } from "node:readline";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Endpoint, endpointText } from "../../kme/site/endpoint.ts";
import { type FibreProcess, startFibre } from "../../kme/site/fibre-process.ts";
import type { Adversary, Fibre } from "../../link/fibre.ts";
import { PRESET_NAMES, type PresetName } from "../../link/presets.ts";
import { eavesdropper, eavesdropperText } from "../eavesdropper.ts";
import { endpointOption } from "../kme/endpoint.ts";
import { kilometres } from "../kme/kilometres.ts";
import { stopped } from "../kme/stopped.ts";
import { say } from "../output.ts";

interface FibreFlags {
  readonly listen: Endpoint;
  readonly link?: PresetName;
  readonly lengthKm?: number;
  readonly eavesdrop?: Adversary;
  readonly seed?: string;
  readonly json?: boolean;
}

/** Adds `qkd-tls fibre`: the simulated optics between two sites, where the eavesdropper sits. */
export function registerFibre(program: Command): void {
  program
    .command("fibre")
    .summary("run the simulated optics between two sites that run in processes of their own")
    .description(
      "Runs the simulated laser, fibre and detectors between two `qkd-tls kme --site` processes. It stands for what is " +
        "inside the devices: what it tells the sites is secret, so it listens on loopback or a Unix socket alone.\n" +
        "Lines on standard input change the fibre while it runs: intercept=0.2, split=0.5, loss=3, cut (or several with " +
        "commas), clear, length 50. Ends on SIGINT or SIGTERM.",
    )
    .addOption(
      endpointOption("--listen", "where the sites find it").default(
        { host: "127.0.0.1", port: 7000 },
        "127.0.0.1:7000",
      ),
    )
    .addOption(
      new Option("--link <preset>", "laser, fibre and detectors (default: metro-10km)").choices(PRESET_NAMES),
    )
    .addOption(new Option("--length-km <km>", "another length of the fibre").argParser(kilometres))
    .addOption(
      new Option(
        "--eavesdrop <what>",
        "who sits in it: intercept=0.2, split=0.5, loss=3 (dB) or cut",
      ).argParser(eavesdropper),
    )
    .option(
      "--seed <text>",
      "the same clicks again for the same text; for tests alone, refused in production",
    )
    .option("--json", "one JSON object a line, for programs")
    .addHelpText(
      "after",
      "\nExample:\n  qkd-tls fibre --listen 127.0.0.1:7000 --length-km 25\n" +
        "  qkd-tls kme --pki certs --site a --fibre 127.0.0.1:7000 --listen-link 127.0.0.1:7001\n" +
        "  qkd-tls kme --pki certs --site b --fibre 127.0.0.1:7000 --peer 127.0.0.1:7001",
    )
    .action((flags: FibreFlags) => run(flags));
}

async function run({ listen, link, lengthKm, eavesdrop, seed, json = false }: FibreFlags): Promise<void> {
  const fibre = await startFibre({
    listen,
    ...(link !== undefined && { preset: link }),
    ...(lengthKm !== undefined && { lengthKm }),
    ...(eavesdrop !== undefined && { adversary: eavesdrop }),
    ...(seed !== undefined && { seed }),
    onSite: (site, what) => {
      const text = what === "refused" ? "is there already; another one is refused" : `has ${what}`;
      say(json, { event: "site", site, what }, `Site ${site.toUpperCase()} ${text}`);
    },
  });
  const where = endpointText(fibre.endpoint);
  const listening = { event: "listening", ...fibre.endpoint, simulated: true };
  process.stdout.write(
    json
      ? `${JSON.stringify(listening)}\n`
      : `The fibre listens on ${where}: ${fibreText(fibre.fibre)} (simulated)\n`,
  );
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => change(fibre, line.trim(), json));
  await stopped();
  lines.close();
  await fibre.close();
}

/** Does what a line of standard input says, and says so. */
function change(fibre: FibreProcess, line: string, json: boolean): void {
  if (line === "") return;
  try {
    fibre.lay(changeOf(line));
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    const text = `${JSON.stringify(line)} changes nothing: intercept=0.2, split=0.5, loss=3, cut, clear or length 50`;
    return say(json, { event: "refused", line }, text);
  }
  say(json, { event: "fibre", ...fibre.fibre }, `The fibre is now ${fibreText(fibre.fibre)}`);
}

function changeOf(line: string): { readonly lengthKm?: number; readonly adversary?: Adversary } {
  if (line === "clear") return { adversary: {} };
  if (line.startsWith("length ")) return { lengthKm: kilometres(line.slice("length ".length)) };
  return { adversary: eavesdropper(line) };
}

function fibreText({ lengthKm, adversary = {} }: Fibre): string {
  const deeds = eavesdropperText(adversary);
  return `${lengthKm} km, ${deeds === "" ? "nobody in it" : deeds}`;
}
