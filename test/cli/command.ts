/** Runs the built command as a process of its own, as people do. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";

const LIMIT_MS = 20_000;
const running = new Set<Command>();

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of `qkd-tls`; what it says is kept. */
export class Command {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  #stderr = "";
  readonly #stdout: Buffer[] = [];

  constructor(words: readonly string[], input?: string | Uint8Array | null) {
    this.child = spawn(process.execPath, ["dist/cli/main.js", ...words], { stdio: "pipe" });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.child.stdout.on("data", (bytes: Buffer) => this.#stdout.push(bytes));
    this.child.stdin.on("error", () => undefined);
    if (input !== null) this.child.stdin.end(input ?? "");
    running.add(this);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), LIMIT_MS);
    this.ended = once(this.child, "close").then(([code]) => {
      clearTimeout(timer);
      running.delete(this);
      return { code: code as number | null, stdout: this.bytes.toString(), stderr: this.#stderr };
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  /** The first line on standard error that matches. Throws when the process ends without one. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.#stderr
        .split("\n")
        .slice(0, -1)
        .find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const more = await Promise.race([
        once(this.child.stderr, "data").then(() => true),
        this.ended.then(() => false),
      ]);
      if (!more && !pattern.test(this.#stderr)) throw new Error(`no line ${pattern} in:\n${this.#stderr}`);
    }
  }

  /** A JSON event of this name. */
  async event(name: string): Promise<Record<string, any>> {
    return JSON.parse(await this.line(new RegExp(`^\\{"event":"${name}"`))) as Record<string, any>;
  }

  /** Where a server listens. */
  async address(): Promise<string> {
    return `127.0.0.1:${String((await this.event("listening"))["port"])}`;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Runs to the end. */
export const qkdTls = (words: readonly string[], input?: string | Uint8Array): Promise<Ended> =>
  new Command(words, input).ended;

/** Ends what a failed test left running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((command) => command.stop("SIGKILL")));
}
