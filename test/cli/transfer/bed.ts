/** Two ends of a loopback connection, a relay that misbehaves, and directories that go away. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { afterEach } from "vitest";
import { type ReceiveOptions, receiveInto } from "../../../src/cli/transfer/receive.ts";
import type { Report } from "../../../src/cli/transfer/report.ts";
import { type SendOptions, sendPath } from "../../../src/cli/transfer/send.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  undo.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Both ends of a TCP connection on loopback. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect({ ...(server.address() as { port: number }), host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  undo.push(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

export interface Mischief {
  /** The connection breaks after so many bytes from the sender. */
  readonly cutAfterBytes?: number;
  /** Changes what the sender sent. */
  readonly alter?: (chunk: Buffer, offset: number) => Buffer;
}

/** A sender's and a receiver's socket with a relay between them. */
export async function relayed({ cutAfterBytes, alter }: Mischief = {}): Promise<[Socket, Socket]> {
  const [sender, left] = await socketPair();
  const [right, receiver] = await socketPair();
  let offset = 0;
  const through = new Transform({
    transform(chunk: Buffer, _, done) {
      const passed = alter?.(chunk, offset) ?? chunk;
      offset += chunk.length;
      if (cutAfterBytes === undefined || offset <= cutAfterBytes) return done(null, passed);
      this.push(passed.subarray(0, passed.length - (offset - cutAfterBytes)));
      // What came before the cut arrives.
      right.write("", () => {
        right.end();
        left.destroy();
      });
    },
  });
  for (const each of [left, right, through]) each.on("error", () => undefined);
  left.pipe(through).pipe(right);
  right.pipe(left);
  return [sender, receiver];
}

export interface Outcome {
  readonly sent: Report | Error;
  readonly received: Report | Error;
}

/** A whole transfer; what each side returned or threw. */
export async function transfer(
  from: string,
  into: string,
  options: { send?: SendOptions; receive?: ReceiveOptions; mischief?: Mischief } = {},
): Promise<Outcome> {
  const [sender, receiver] = await relayed(options.mischief);
  const [sent, received] = await Promise.all([
    sendPath(sender, from, options.send).catch((error: Error) => error),
    receiveInto(receiver, into, options.receive).catch((error: Error) => error),
  ]);
  return { sent, received };
}

/** The report of both sides, which must have succeeded and agree. */
export async function transferred(...args: Parameters<typeof transfer>): Promise<Report> {
  const { sent, received } = await transfer(...args);
  if (sent instanceof Error) throw sent;
  if (received instanceof Error) throw received;
  return sent;
}

/** All names below a directory, sorted; directories end in a slash. */
export function tree(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .map((name) => (statSync(join(path, name)).isDirectory() ? `${name}/` : name))
    .sort();
}

export const noise = (length: number): Buffer => randomBytes(length);
