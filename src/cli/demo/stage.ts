import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makePki } from "../pki-files.ts";
import { unreadable } from "../value.ts";
import type { Role } from "./orders.ts";
import { Part } from "./part.ts";
import { STRANGER, type Bed } from "./scenes.ts";

/** For orders that take no time of their own. */
export const ORDER_MS = 20_000;
const CHUNK_BYTES = 2 ** 20;

/** Whom the acts of the demo ask. */
export type Cast = Readonly<Record<Role, Pick<Part, "ask">>>;

/** The demo's processes and files. `clear` removes them all, and so does the end of this process. */
export class Stage implements Cast {
  readonly directory = mkdtempSync(join(tmpdir(), "qkd-tls-demo-"));
  readonly kmes: Part;
  readonly server: Part;
  readonly client: Part;
  readonly #last = (): void => {
    for (const part of this.#parts) part.kill();
    rmSync(this.directory, { recursive: true, force: true });
  };

  constructor() {
    process.once("exit", this.#last);
    this.kmes = new Part("kmes");
    this.server = new Part("server");
    this.client = new Part("client");
  }

  get #parts(): readonly Part[] {
    // Some may be missing when the constructor failed half-way.
    return [this.kmes, this.server, this.client].filter((part) => part !== undefined);
  }

  /** Makes the certificates and starts the KMEs, with room for so many keys each way. */
  async prepare(stock: number): Promise<Bed> {
    const { directory } = this;
    makePki({ directory, days: 1 });
    makePki({ directory: join(directory, STRANGER), days: 1 });
    const { a, b } = await this.kmes.ask("pair", { directory, stock }, ORDER_MS);
    return { directory, kmeA: a, kmeB: b };
  }

  /** Writes a file of random bytes; its path. */
  async randomFile(sizeBytes: number, signal: AbortSignal): Promise<string> {
    const path = join(this.directory, "random.bin");
    const file = await open(path, "wx", 0o600);
    try {
      for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES) {
        signal.throwIfAborted();
        await file.write(randomBytes(Math.min(left, CHUNK_BYTES)));
      }
    } finally {
      await file.close();
    }
    return path;
  }

  async clear(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.stop()));
    rmSync(this.directory, { recursive: true, force: true });
    process.off("exit", this.#last);
  }
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer); // Without an encoding it reads buffers.
  } catch (cause) {
    throw unreadable("--file", path, cause);
  }
  return hash.digest("hex");
}
