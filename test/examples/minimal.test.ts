import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";
import { makePki } from "../../src/cli/pki-files.ts";
import { startPair } from "../../src/kme/pair.ts";

const certs = mkdtempSync(join(tmpdir(), "qkd-tls-minimal-"));
const running: ChildProcess[] = [];
afterAll(() => {
  for (const child of running) child.kill();
  rmSync(certs, { recursive: true });
});

/** An example in a process of its own, against the sources. */
function run(file: string, ...args: string[]) {
  const flags = ["--conditions=qkd-tls-source", "--import", "tsx", `examples/minimal/${file}.ts`];
  const child = spawn(process.execPath, [...flags, ...args, certs], { stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  return { child, lines: createInterface({ input: child.stdout }) };
}

test("minimal: a server and a client agree on X25519MLKEM768 and one QKD key", async () => {
  makePki({ directory: certs });
  const pem = (name: string): string => readFileSync(join(certs, name), "utf8");
  const member = (id: string, sae: string) => ({
    id,
    listen: { host: "localhost", port: 0 },
    cert: pem(`${id}.crt`),
    key: pem(`${id}.key`),
    saes: [sae],
  });
  const pair = await startPair({
    ca: pem("ca.crt"),
    a: member("kme-a", "sae-a"),
    b: member("kme-b", "sae-b"),
  });
  const server = run("server", pair.b.url, "0");
  const said: string[] = [];
  const port = await new Promise<string>((resolve) => {
    server.lines.on("line", (line) => {
      said.push(line);
      const found = /port: (\d+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  const client = run("client", pair.a.url, port);
  const heard: string[] = [];
  client.lines.on("line", (line) => heard.push(line));
  await new Promise((resolve) => void client.child.once("exit", resolve));
  expect(heard).toEqual([expect.stringMatching(/^X25519MLKEM768 and the QKD key [0-9a-f-]{36}$/), "hello"]);
  expect(said.some((line) => line === heard[0])).toBe(true);
  await pair.close();
});
