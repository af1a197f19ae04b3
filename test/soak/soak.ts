/** The soak: connections with every kind of fault, honest ones among them, and a count of what is left afterwards. */
import { inProcessPair } from "../../src/qkd/pair.ts";
import { type Census, census, same } from "./census.ts";
import { converse, portOf, reach, Served } from "./ends.ts";
import type { Bed, Ending, Fault } from "./fault.ts";
import { hostFaults } from "./host-faults.ts";
import { kmeFaults, startKmes } from "./kme-faults.ts";
import { peerFaults } from "./peer-faults.ts";
import { wireFaults } from "./wire-faults.ts";

const allFaults: readonly Fault[] = [...wireFaults, ...peerFaults, ...hostFaults, ...kmeFaults];

/** One honest connection to the shared server for so many with a fault. */
const FAULTY_PER_HONEST = 4;
const HUNG_MS = 90_000;

export interface Tally {
  readonly name: string;
  count: number;
  /** How many ended in which way, as `client / server`. */
  readonly ends: Record<string, number>;
  /** Endings that this fault must not have. */
  readonly wrong: Record<string, number>;
}

export interface Report {
  readonly connections: number;
  readonly honest: { readonly done: number; readonly lost: Readonly<Record<string, number>> };
  readonly tallies: readonly Tally[];
  /** Unhandled rejections, uncaught exceptions and warnings. */
  readonly surprises: readonly string[];
  readonly before: Census;
  readonly after: Census;
  readonly findings: readonly string[];
}

/** What caches with a bound and the report itself may have more; one object for each of 10000 connections is beyond it. */
const SLACK_OBJECTS = 5000;
/** Buffers that are kept for the next connection. */
const SLACK_BUFFER_BYTES = 1_500_000;
/** Code that the engine compiles on the way: snapshots show that nothing else grows. */
const SLACK_HEAP_BYTES = 10_000_000;

/** `connections` with a fault, spread evenly over the kinds whose name has `only` in it, `atOnce` at a time. */
export async function soak(connections: number, atOnce: number, only = ""): Promise<Report> {
  const faults = allFaults.filter(({ name }) => name.includes(only));
  if (faults.length === 0) throw new Error(`no fault has "${only}" in its name`);
  const surprises: string[] = [];
  const surprise = (what: string) => (error: unknown) =>
    void surprises.push(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
  process.on("unhandledRejection", surprise("unhandled rejection"));
  process.on("uncaughtException", surprise("uncaught exception"));
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") surprise("warning")(warning);
  });
  // What is loaded, compiled and pooled once is there before the count.
  await round(faults, Math.max(faults.length, Math.ceil(connections / 10)), atOnce, new Map(), {
    done: 0,
    lost: {},
  });
  const before = await census();
  const tallies = new Map<string, Tally>();
  const honest = { done: 0, lost: {} };
  await round(faults, connections, atOnce, tallies, honest);
  const after = await census();
  const report = { connections, honest, tallies: [...tallies.values()], surprises, before, after };
  return { ...report, findings: findings(report) };
}

function findings({ honest, tallies, surprises, before, after }: Omit<Report, "findings">): string[] {
  const found = [...surprises];
  for (const [how, count] of Object.entries(honest.lost)) found.push(`${count} honest connections: ${how}`);
  for (const { name, wrong } of tallies)
    for (const [how, count] of Object.entries(wrong)) found.push(`${name}: ${count} ended ${how}`);
  for (const { left, watched } of [before, after])
    if (left > 0) found.push(`${left} of ${watched} objects of connections were not collected`);
  if (!same(after.handles, {})) found.push(`handles are left: ${JSON.stringify(after.handles)}`);
  if (!same(before.active, after.active)) found.push(`${JSON.stringify(after.active)} holds the process`);
  const bounds = {
    objects: SLACK_OBJECTS,
    bufferBytes: SLACK_BUFFER_BYTES,
    heapBytes: SLACK_HEAP_BYTES,
  } as const;
  for (const what of ["objects", "bufferBytes", "heapBytes"] as const) {
    const grown = after[what] - before[what];
    if (grown > bounds[what]) found.push(`${what} grew by ${grown}`);
  }
  return found;
}

async function round(
  faults: readonly Fault[],
  connections: number,
  atOnce: number,
  tallies: Map<string, Tally>,
  honest: { done: number; lost: Record<string, number> },
): Promise<void> {
  const keys = inProcessPair({ a: "sae-a", b: "sae-b" });
  const shared = await Served.start({ qkd: { source: keys.b, maxPerPeerPerMinute: 1_000_000 } });
  const kmes = await startKmes();
  const bed: Bed = {
    shared,
    kmes,
    asClient: { qkd: { source: keys.a, peer: "sae-b" } },
    asServer: { qkd: { source: keys.b } },
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let turn = next++; turn < connections; turn = next++) {
      const beside = turn % FAULTY_PER_HONEST === 0 ? neighbour(bed, honest) : undefined;
      const fault = faults[turn % faults.length] as Fault;
      note(fault, await unlessHung(fault.run(bed, turn)), tallies);
      await beside;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await shared.close();
  await kmes.close();
  keys.a.close();
  keys.b.close();
}

async function neighbour(bed: Bed, honest: { done: number; lost: Record<string, number> }): Promise<void> {
  const socket = reach(bed.shared.port, bed.asClient);
  const port = portOf(socket).then((own) => bed.shared.ending(own));
  const { client, server } = await unlessHung(
    converse(socket).then(async (how) => ({ client: how, server: await port })),
  );
  const how = `${client} / ${server}`;
  if (how === "done / closed") honest.done++;
  else honest.lost[how] = (honest.lost[how] ?? 0) + 1;
}

function note(fault: Fault, ending: Ending, tallies: Map<string, Tally>): void {
  const tally = tallies.get(fault.name) ?? { name: fault.name, count: 0, ends: {}, wrong: {} };
  tallies.set(fault.name, tally);
  tally.count++;
  const how = `${ending.client ?? "-"} / ${ending.server ?? "-"}`;
  tally.ends[how] = (tally.ends[how] ?? 0) + 1;
  const right = (pattern: RegExp | undefined, end: string | undefined): boolean =>
    pattern === undefined || end === "never came" || pattern.test(end ?? "");
  if (!right(fault.client, ending.client) || !right(fault.server, ending.server))
    tally.wrong[how] = (tally.wrong[how] ?? 0) + 1;
}

async function unlessHung(ending: Promise<Ending>): Promise<Ending> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<Ending>((resolve) => {
    timer = setTimeout(() => resolve({ client: "hung", server: "hung" }), HUNG_MS);
  });
  try {
    return await Promise.race([ending, hung]);
  } catch (error) {
    return { client: `threw ${String(error)}` };
  } finally {
    clearTimeout(timer);
  }
}
