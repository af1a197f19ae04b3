/** Two sites and the fibre between them as people run them: three processes of the built command. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { authority } from "../../support/certificates.ts";

export type Name = "a" | "b" | "fibre";
export type Side = "a" | "b";
export const SIDES = ["a", "b"] as const;
export const other = (side: Side): Side => (side === "a" ? "b" : "a");

export interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- a body of ETSI 014, which the test looks into
  readonly body: any;
}

export class Processes {
  /** In memory where there is such a place: what a killed process wrote is there all the same, and it is quicker. */
  readonly root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "qkd-tls-sites-"));
  readonly storeKey = "07".repeat(32);
  readonly #running = new Map<Name, ChildProcessWithoutNullStreams>();
  readonly #agents: Record<Side, Agent>;
  readonly #words: Record<Name, string[]>;
  /** JSON events of each process, in all its lives. */
  readonly said: Record<Name, Record<string, unknown>[]> = { a: [], b: [], fibre: [] };
  #told: () => void = () => undefined;

  static async prepare(): Promise<Processes> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return new Processes(port);
  }

  private constructor(port: number) {
    const trusted = authority();
    const file = (name: string, text: string): void =>
      writeFileSync(join(this.root, name), text, { mode: 0o600 });
    file("ca.crt", trusted.ca);
    const agents: Partial<Record<Side, Agent>> = {};
    for (const side of SIDES) {
      const kme = trusted.issue(`kme-${side}`);
      file(`kme-${side}.crt`, kme.cert);
      file(`kme-${side}.key`, kme.key);
      // A connection each, so that a killed process is noticed by the one that was asked.
      agents[side] = new Agent({ keepAlive: false, ca: trusted.ca, ...trusted.issue(`sae-${side}`) });
    }
    this.#agents = agents as Record<Side, Agent>;
    const fibre = `unix:${join(this.root, "fibre")}`;
    const kme = ["kme", "--json", "--pki", this.root, "--fibre", fibre];
    const where = (side: Side): string => `unix:${this.socket(side)}`;
    this.#words = {
      fibre: ["fibre", "--json", "--listen", fibre],
      a: [...kme, "--site", "a", "--listen-a", where("a"), "--listen-link", `127.0.0.1:${port}`],
      b: [...kme, "--site", "b", "--listen-b", where("b"), "--peer", `127.0.0.1:${port}`],
    };
  }

  /** More words for these. */
  add(names: readonly Name[], words: readonly string[]): void {
    for (const name of names) this.#words[name].push(...words);
  }

  socket(side: Side): string {
    return join(this.root, `kme-${side}`);
  }

  /** Fulfilled once it listens. */
  async start(name: Name): Promise<void> {
    const child = spawn(process.execPath, ["dist/cli/main.js", ...this.#words[name]], {
      env: { ...process.env, QKD_TLS_STORE_KEY: this.storeKey },
    });
    this.#running.set(name, child);
    child.stdin.on("error", () => undefined);
    const errors: string[] = [];
    const hear = (line: string): void => {
      errors.push(line);
      if (!line.startsWith("{")) return;
      this.said[name].push(JSON.parse(line) as Record<string, unknown>);
      this.#told();
    };
    createInterface({ input: child.stderr }).on("line", hear);
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        hear(line);
        resolve();
      });
      child.once("exit", (code) => reject(new Error(`${name} ended with ${code}: ${errors.join("\n")}`)));
    });
  }

  async end(name: Name, signal: NodeJS.Signals): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  tell(name: Name, line: string): void {
    this.#running.get(name)?.stdin.write(`${line}\n`);
  }

  /** Fulfilled once a process has said so, from `since` on in what it said. */
  async hears(
    name: Name,
    fits: (event: Record<string, unknown>) => boolean,
    since = 0,
  ): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.said[name].slice(since).find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const before = this.#told;
        this.#told = () => {
          before();
          resolve();
        };
      });
    }
  }

  /** Ends what still runs, and removes what is left. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.end(name, "SIGKILL")));
    for (const side of SIDES) this.#agents[side].destroy();
    rmSync(this.root, { recursive: true });
  }

  /** An SAE asks its KME. Rejects when there is no answer. */
  async ask(side: Side, verb: string, body?: object): Promise<Answer> {
    const asked = request({
      agent: this.#agents[side],
      socketPath: this.socket(side),
      servername: "localhost",
      path: `/api/v1/keys/sae-${other(side)}/${verb}`,
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json" },
      timeout: 20_000,
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    return { status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) };
  }
}
