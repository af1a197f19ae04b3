import { statSync } from "node:fs";
import { resolve } from "node:path";
import { SingleBar, Presets } from "cli-progress";
import { type Command, Option } from "commander";
import type { Adversary } from "../../link/fibre.ts";
import { carry, takeAway, type Carried, type Trial } from "../demo/acts.ts";
import { type Chapter, eavesdropped, STORY_STOCK } from "../demo/eavesdropped.ts";
import type { Role } from "../demo/orders.ts";
import { PART_COMMAND, servePart } from "../demo/part.ts";
import { carriedText, mebibytes, trialsText } from "../demo/report.ts";
import { handlersOf } from "../demo/roles.ts";
import { POLICIES, SCENES, type Bed } from "../demo/scenes.ts";
import { Stage } from "../demo/stage.ts";
import { chapterText } from "../demo/story-report.ts";
import { eavesdropper, eavesdropperText } from "../eavesdropper.ts";
import { interruption } from "../interrupt.ts";
import { ExitCode, Reported } from "../output.ts";
import { badFile, byteCount, unreadable, oneOf } from "../value.ts";

interface DemoFlags {
  readonly size?: string;
  readonly file?: string;
  readonly eavesdrop?: Adversary | true;
  readonly json?: boolean;
}

const DEFAULT_SIZE = "64M";
const MAX_SIZE_BYTES = 64 * 2 ** 30;
const DEFAULT_STOCK = 200;
const DEFAULT_EAVESDROPPER: Adversary = { interceptShare: 0.2 };

/** Adds `qkd-tls demo`: the main job, and what happens when a secret is missing. */
export function registerDemo(program: Command): void {
  program
    .command("demo")
    .summary("see it work: two KMEs, a server and a client carry a file; then the secrets are taken away")
    .description(
      "Starts a linked pair of KMEs, a server and a client in processes of their own, carries a file over a channel " +
        "that depends on X25519, ML-KEM-768 and a QKD key, and shows what protected it. Then takes each secret away " +
        "under each policy, to show which connections are refused and which go on with less. With --eavesdrop it tells " +
        "another story: keys flow, somebody listens, the link stops, and comes back. Leaves nothing behind.",
    )
    .option(
      "--size <bytes>",
      `size of the random file, as in 65536, 64k, 64M or 2G (default: ${DEFAULT_SIZE})`,
    )
    .option("--file <file>", "carry this file instead")
    .addOption(
      new Option(
        "--eavesdrop [what]",
        "put somebody into the fibre: intercept=0.2 (the default), split=0.5, loss=3 (dB) or cut",
      )
        .argParser(eavesdropper)
        .conflicts(["size", "file"]),
    )
    .option("--json", "the results as one JSON object")
    .action((flags: DemoFlags) => run(flags));
  program
    .command(PART_COMMAND, { hidden: true })
    .argument("<role>")
    .action((role: string) => servePart(handlersOf(oneOf<Role>(role, "role", ["kmes", "server", "client"]))));
}

async function run(flags: DemoFlags): Promise<void> {
  const show = showOf(flags);
  const say =
    flags.json === true ? () => undefined : (text: string) => void process.stdout.write(`${text}\n`);
  const stop = interruption();
  const stage = new Stage();
  try {
    const aborted = new Promise<never>((_, reject) => {
      stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error)); // An Interrupted.
    });
    const shown = await Promise.race([show(stage, say, stop.signal), aborted]);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(shown)}\n`);
    if (!shown.ok) throw new Reported(ExitCode.failed);
  } finally {
    await stage.clear();
    stop.release();
  }
}

/** What is performed on the stage, and whether all went as it must. */
type Show = (
  stage: Stage,
  say: (text: string) => void,
  signal: AbortSignal,
) => Promise<{ readonly ok: boolean }>;

/** What the flags ask for. Throws UsageError before anything is started. */
function showOf({ eavesdrop, size, file }: DemoFlags): Show {
  if (eavesdrop !== undefined) {
    const adversary = eavesdrop === true ? DEFAULT_EAVESDROPPER : eavesdrop;
    return (stage, say) => tell(stage, adversary, say);
  }
  const sizeBytes = byteCount(size ?? DEFAULT_SIZE, "--size", MAX_SIZE_BYTES);
  const path = file === undefined ? undefined : regularFile(file);
  return (stage, say, signal) => perform(stage, path ?? sizeBytes, say, signal);
}

function regularFile(file: string): string {
  const path = resolve(file);
  try {
    if (statSync(path).isFile()) return path;
  } catch (cause) {
    throw unreadable("--file", file, cause);
  }
  throw badFile("--file", `${file} is not a regular file`);
}

/** Both acts, with the file at a path or a random one of so many bytes. */
async function perform(
  stage: Stage,
  given: string | number,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<{ readonly ok: boolean; readonly carried: Carried; readonly trials: readonly Trial[] }> {
  const bed = await stage.prepare(DEFAULT_STOCK);
  say(`1. ${castText(stage, bed)}\n`);
  const path = typeof given === "string" ? given : await stage.randomFile(given, signal);
  say("2. A file goes from the client to the server, under the policy hybrid\n");
  const bar = progressBar(statSync(path).size);
  const carried = await carry(stage, bed, path, ({ bytes }) => bar.update(bytes, mebibytes(bytes))).finally(
    bar.stop,
  );
  say(`${carriedText(carried)}\n`);
  say("3. One secret after the other is taken away, under each policy\n");
  const count = progressBar(SCENES.length * POLICIES.length);
  const trials = await takeAway(stage, bed, (done) => count.update(done, "connections")).finally(count.stop);
  say(trialsText(trials, process.stdout.isTTY ? process.stdout.columns : undefined));
  const ok = carried.faults.length === 0 && trials.every((trial) => trial.ok);
  return { ok, carried, trials };
}

/** The story of an eavesdropper, chapter by chapter. */
async function tell(
  stage: Stage,
  adversary: Adversary,
  say: (text: string) => void,
): Promise<{ readonly ok: boolean; readonly chapters: readonly Chapter[] }> {
  const bed = await stage.prepare(STORY_STOCK);
  say(`${castText(stage, bed)}\n`);
  let number = 0;
  const deed = eavesdropperText(adversary);
  const chapters = await eavesdropped(stage, bed, adversary, (chapter) =>
    say(chapterText(chapter, ++number, deed)),
  );
  return { ok: chapters.every((chapter) => chapter.ok), chapters };
}

const castText = ({ kmes, server, client }: Stage, { kmeA, kmeB }: Bed): string =>
  `Two KMEs (${kmeA} for sae-a, ${kmeB} for sae-b; process ${kmes.pid ?? "?"}), linked by a simulated QKD link,\n` +
  `   a server (sae-b; process ${server.pid ?? "?"}) and a client (sae-a; process ${client.pid ?? "?"})`;

interface Gauge {
  readonly update: (value: number, text: string) => void;
  readonly stop: () => void;
}

/** A progress bar on a terminal, none elsewhere. */
function progressBar(total: number): Gauge {
  if (!process.stderr.isTTY || total === 0) return { update: () => undefined, stop: () => undefined };
  const format = "   {bar} {percentage}%  {text}  {eta_formatted} left";
  const bar = new SingleBar(
    { format, stream: process.stderr, hideCursor: true, clearOnComplete: true },
    Presets.shades_classic,
  );
  bar.start(total, 0, { text: "" });
  return { update: (value, text) => bar.update(value, { text }), stop: () => bar.stop() };
}
