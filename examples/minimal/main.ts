/** npx tsx examples/minimal/main.ts: runs server.ts and client.ts, with KMEs and certificates of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { testBed } from "../test-bed.ts";

const bed = await testBed();
const run = (file: string, kme: string, port: string) => {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", path, kme, port, bed.directory]);
};

const server = run("server.ts", bed.urlB, "0");
server.stderr.pipe(process.stderr);
server.stdout.pipe(process.stdout);
const [line] = await once(server.stdout, "data");
const port = /port: (\d+)/.exec(String(line))?.[1] ?? "";

const client = run("client.ts", bed.urlA, port);
client.stderr.pipe(process.stderr);
client.stdout.pipe(process.stdout);
await once(client, "close");
server.kill();
bed.close();
