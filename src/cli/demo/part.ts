import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Progress } from "../transfer/report.ts";
import { needed } from "../value.ts";
import type { Handlers, Order, Orders, Reply, Request, Role } from "./orders.ts";

/** The command that a process of the demo is started with. */
export const PART_COMMAND = "demo-part";
/** How long a process may take to end before it is made to. */
const GRACE_MS = 1500;
const MAX_STDERR_CHARS = 4000;

/** A process of the demo, seen from the demo. */
export class Part {
  readonly role: Role;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  #asked = 0;
  #stderr = "";
  onProgress: ((progress: Progress) => void) | undefined;

  constructor(role: Role) {
    this.role = role;
    const main = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));
    this.#child = fork(main, [PART_COMMAND, role], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-MAX_STDERR_CHARS);
    });
    this.#child.on("message", (reply: Reply) => this.#onReply(reply));
    this.#child.once("error", (error) => this.#fail(error));
    this.#child.once("exit", (code, signal) => {
      this.#fail(
        new Error(
          `the process of the ${role} ended early (${signal ?? `exit code ${code}`}) ${this.#stderr}`,
        ),
      );
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Throws an Error when the process fails, ends or takes longer than the time limit. */
  ask<O extends Order>(order: O, ask: Orders[O]["ask"], timeoutMs: number): Promise<Orders[O]["answer"]> {
    const id = this.#asked++;
    const answered = new Promise<unknown>((resolve, reject) => {
      const late = new Error(
        `the process of the ${this.role} did not answer to "${order}" within ${timeoutMs / 1000} s`,
      );
      const timer = setTimeout(() => reject(late), timeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, {
        resolve: (answer) => (settle(), resolve(answer)),
        reject: (error) => (settle(), reject(error)),
      });
      const request: Request = { id, order, ask };
      if (this.#child.connected) this.#child.send(request);
      else this.#fail(new Error(`the process of the ${this.role} has ended ${this.#stderr}`));
    });
    return answered as Promise<Orders[O]["answer"]>; // Both ends are this program, and this order's handler answers.
  }

  #onReply(reply: Reply): void {
    if ("progress" in reply) this.onProgress?.(reply.progress);
    else if ("error" in reply) this.#waiting.get(reply.id)?.reject(new Error(reply.error));
    else this.#waiting.get(reply.id)?.resolve(reply.answer);
  }

  #fail(error: Error): void {
    for (const each of this.#waiting.values()) each.reject(error);
  }

  /** Ends the process; resolves once it is gone. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    await gone;
    clearTimeout(timer);
  }

  /** Ends the process now, for the last moments of ours. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Serves the demo in the process that it started; ends with the demo, however that ended. */
export function servePart(handlers: Handlers): Promise<void> {
  const send = (reply: Reply): void => {
    if (process.connected) process.send?.(reply);
  };
  if (process.send === undefined)
    throw needed("demo", `${PART_COMMAND} is started by \`qkd-tls demo\` alone`);
  process.on("message", ({ id, order, ask }: Request) => {
    const handler = handlers[order] as
      | ((ask: unknown, progress: (progress: Progress) => void) => Promise<unknown>)
      | undefined; // The table pairs each order with its type.
    const answered =
      handler?.(ask, (progress) => send({ progress })) ?? Promise.reject(new Error(`no part for ${order}`));
    answered.then(
      (answer) => send({ id, answer }),
      (error: unknown) => send({ id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.once("disconnect", () => process.exit());
  // Interrupted at the keyboard, the demo ends its processes itself.
  process.on("SIGINT", () => undefined);
  process.once("SIGTERM", () => process.exit());
  return new Promise(() => undefined);
}
