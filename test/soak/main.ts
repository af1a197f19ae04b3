/**
 * Thousands of connections that go wrong in every way we know of, and a count of what they leave behind.
 * `npm run soak -- [--connections N] [--at-once N] [--only WORDS] [--json]`. Exits 1 when an end was not the right one, an honest
 * connection was lost, something was unhandled, or something did not return to where it was.
 */
import { parseArgs } from "node:util";
import { type Report, soak } from "./soak.ts";

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "500" },
    "at-once": { type: "string", default: "32" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
  },
});
const connections = Number(values.connections);
const atOnce = Number(values["at-once"]);
for (const [name, value] of Object.entries({ connections, "at-once": atOnce })) {
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
}

const start = performance.now();
const report = await soak(connections, atOnce, values.only);
if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
else print(report, (performance.now() - start) / 1000);
process.exit(report.findings.length === 0 ? 0 : 1);

function print({ tallies, honest, before, after, findings }: Report, seconds: number): void {
  const lines = [
    `Node ${process.version}, ${connections} faulty connections, ${atOnce} at a time, ${seconds.toFixed(0)} s`,
    "",
  ];
  for (const { name, count, ends } of tallies) {
    const most = Object.entries(ends).sort(([, a], [, b]) => b - a);
    lines.push(`${String(count).padStart(5)}  ${name}`);
    for (const [how, number] of most) lines.push(`${" ".repeat(9)}${String(number).padStart(5)}  ${how}`);
  }
  const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const row = (what: string, was: unknown, is: unknown): void =>
    void lines.push(`${what.padEnd(34)}${String(was).padEnd(40)}${String(is)}`);
  lines.push("", `honest connections beside them: ${honest.done}, of which lost: ${sum(honest.lost)}`, "");
  row("", "before", "after");
  row("objects", before.objects, after.objects);
  row("heap after collection", mega(before.heapBytes), mega(after.heapBytes));
  row("buffers", mega(before.bufferBytes), mega(after.bufferBytes));
  row("resident", mega(before.rssBytes), mega(after.rssBytes));
  row("timers and sockets", JSON.stringify(before.handles), JSON.stringify(after.handles));
  row("what holds the process", JSON.stringify(before.active), JSON.stringify(after.active));
  lines.push(`sockets, channels and transports: ${after.watched} made, ${after.left} not collected`);
  lines.push("", ...(findings.length === 0 ? ["nothing found"] : ["FOUND", ...findings]));
  process.stdout.write(`${lines.join("\n")}\n`);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
