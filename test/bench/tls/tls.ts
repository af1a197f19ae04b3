/** This library beside node:tls and lemon-tls, client and server in processes of their own. */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { credentials } from "../../support/credentials.ts";
import { only, rounds, say, seconds, withLemon } from "../options.ts";
import type { Job } from "./client.ts";
import type { Behaviour } from "./server.ts";
import { nodeGroup, type Identity, type StackName } from "./stacks.ts";

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly stacks: readonly StackName[];
  readonly smallerIsBetter?: boolean;
  measure(stack: StackName): Promise<number>;
}

const { caPem: ca, certPem: cert, keyPem: key } = credentials("secp256r1");
const identity: Identity = { ca, cert, key };
const THREE: readonly StackName[] = ["qkd-tls", "node:tls", "lemon-tls"];
const FOUR: readonly StackName[] = ["qkd-tls", "qkd-tls+qkd", "node:tls", "lemon-tls"];

const handshakeRow = (name: string, inFlight: number): Row => ({
  name,
  unit: "/s",
  stacks: FOUR,
  measure: (stack) => pair(stack, "hold", { row: "handshakes", inFlight }),
});
const rows: readonly Row[] = [
  handshakeRow("full handshakes, one at a time", 1),
  handshakeRow("full handshakes, 32 in flight", 32),
  {
    name: "resumed handshakes",
    unit: "/s",
    stacks: THREE,
    measure: (stack) => pair(stack, "hold", { row: "resumptions" }),
  },
  ...[1024, 16_384, 65_536, 1_048_576].flatMap((chunkBytes): readonly Row[] => [
    {
      name: `download, ${chunkBytes / 1024} KiB writes`,
      unit: "MB/s",
      stacks: THREE,
      measure: async (stack) => (await pair(stack, "source", { row: "download" }, chunkBytes)) / 1e6,
    },
    {
      name: `upload, ${chunkBytes / 1024} KiB writes`,
      unit: "MB/s",
      stacks: THREE,
      measure: async (stack) => (await pair(stack, "sink", { row: "upload", chunkBytes })) / 1e6,
    },
  ]),
  {
    name: "64-byte round trips",
    unit: "/s",
    stacks: THREE,
    measure: (stack) => pair(stack, "echo", { row: "roundTrips" }),
  },
  {
    name: "memory per idle connection",
    unit: "kB",
    stacks: THREE,
    smallerIsBetter: true,
    measure: (stack) => idleMemory(stack, 2000),
  },
];

const children = new Set<ChildProcess>();
process.on("exit", () => children.forEach((child) => child.kill()));

export async function bench(): Promise<object> {
  say(
    `node:tls with ${nodeGroup}, qkd-tls with X25519MLKEM768, lemon-tls with X25519; TLS_AES_256_GCM_SHA384, ECDSA P-256`,
  );
  say(`median of ${rounds} rounds of ${seconds} s; ratios are to node:tls in the same run\n`);
  const results: { row: string; unit: string; values: Partial<Record<StackName, number>> }[] = [];
  for (const row of rows.filter(({ name }) => name.includes(only))) {
    const values = await measureRow(row);
    results.push({ row: row.name, unit: row.unit, values });
    say(line(row, values));
  }
  return results;
}

/** The stacks take turns, so that a drift of the machine meets them all. */
async function measureRow(row: Row): Promise<Partial<Record<StackName, number>>> {
  const stacks = row.stacks.filter((stack) => stack !== "lemon-tls" || withLemon);
  const samples = new Map<StackName, number[]>(stacks.map((stack) => [stack, []]));
  for (let round = 0; round < rounds; round++) {
    for (const stack of stacks) {
      try {
        samples.get(stack)?.push(await row.measure(stack));
      } catch (error) {
        process.stderr.write(`${stack}: ${row.name}: ${(error as Error).message}\n`);
      }
    }
  }
  return Object.fromEntries(
    [...samples].filter(([, each]) => each.length > 0).map(([stack, each]) => [stack, median(each)]),
  );
}

function line(row: Row, values: Partial<Record<StackName, number>>): string {
  const base = values["node:tls"];
  const cells = Object.entries(values).map(([stack, value]) => {
    const ratio = base === undefined || stack === "node:tls" ? "" : ` (${(value / base).toFixed(2)})`;
    return `${stack} ${value >= 100 ? value.toFixed(0) : value.toFixed(1)}${row.unit}${ratio}`;
  });
  return `${row.name.padEnd(34)} ${cells.join("   ")}`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function child(file: string, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const made = fork(path, args, { execArgv: ["--expose-gc", "--import", "tsx"] });
  children.add(made);
  made.once("exit", () => children.delete(made));
  return made;
}

function answerOf<T extends object>(from: ChildProcess, field: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: T & { failed?: string }): void => {
      if (message.failed !== undefined) reject(new Error(message.failed));
      else if (field in message) resolve(message);
      else return;
      from.removeListener("message", onMessage);
    };
    from.on("message", onMessage);
    from.once("exit", () => reject(new Error("the measured process ended")));
  });
}

async function startServer(stack: StackName, behaviour: Behaviour, chunkBytes: number) {
  const server = child("server.ts", stack, behaviour, String(chunkBytes));
  server.send({ identity });
  const { port } = await answerOf<{ port: number }>(server, "port");
  return { server, port };
}

async function pair(
  stack: StackName,
  behaviour: Behaviour,
  job: Pick<Job, "row" | "inFlight" | "chunkBytes">,
  chunkBytes = 65_536,
): Promise<number> {
  const { server, port } = await startServer(stack, behaviour, chunkBytes);
  const client = child("client.ts");
  try {
    client.send({ stack, identity, port, seconds, ...job } satisfies Job);
    if (job.row === "upload") return await countUpload(server);
    return (await answerOf<{ value: number }>(client, "value")).value;
  } finally {
    client.kill();
    server.kill();
  }
}

/** The server tells every 50 ms what it has received; the slope between the first and the last counts. */
async function countUpload(server: ChildProcess): Promise<number> {
  const marks: [number, number][] = [];
  server.on("message", ({ received }: { received?: number }) => {
    if (received !== undefined) marks.push([performance.now() / 1000, received]);
  });
  await new Promise((resolve) => void setTimeout(resolve, 1000 * seconds + 300));
  const [from, to] = [marks[Math.floor(marks.length / 5)], marks.at(-1)];
  if (from === undefined || to === undefined) throw new Error("nothing was received");
  return (to[1] - from[1]) / (to[0] - from[0]);
}

/** What each further connection takes of a server that has been at work before, so that its heap has its size. */
async function idleMemory(stack: StackName, count: number): Promise<number> {
  const { server, port } = await startServer(stack, "hold", 0);
  const client = child("client.ts");
  try {
    const job: Job = { stack, identity, port, seconds: 2, row: "handshakes", inFlight: 32 };
    client.send(job);
    await answerOf(client, "value");
    // The first thousand fill the room that the handshakes before left behind.
    client.send({ ...job, row: "hold", count: 1000 } satisfies Job);
    await answerOf(client, "held");
    const before = await measured(server);
    const second = child("client.ts");
    second.send({ ...job, row: "hold", count } satisfies Job);
    await answerOf(second, "held");
    const after = await measured(server);
    second.kill();
    // What is resident hides what fits into room that was freed before; the heap hides what is native.
    const larger = Math.max(after.rss - before.rss, after.heap - before.heap);
    return larger / (after.sockets - before.sockets) / 1000;
  } finally {
    client.kill();
    server.kill();
  }
}

async function measured(server: ChildProcess): Promise<{ rss: number; heap: number; sockets: number }> {
  server.send({ measure: true });
  return answerOf(server, "heap");
}
