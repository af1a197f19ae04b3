/** A file over any channel, in constant memory: one side streams it, the other answers with the SHA-256 of what came. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { QkdTlsSocket } from "qkd-tls";

/** Sends a file and ends our half; returns its SHA-256, on which both sides agree. */
export async function send(socket: QkdTlsSocket, path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), through(hash), socket);
  const sent = hash.digest("hex");
  let arrived = "";
  for await (const chunk of socket) arrived += String(chunk);
  if (arrived !== sent) throw new Error(`sent ${sent}, but ${arrived} arrived`);
  return sent;
}

/** Stores what comes under `path`; a connection that is cut is an error, so half a file never gets that name. */
export async function receive(socket: QkdTlsSocket, path: string): Promise<void> {
  const hash = createHash("sha256");
  // The end of what comes must not destroy the socket: the answer is still to be sent.
  const chunks = socket.iterator({ destroyOnReturn: false });
  await pipeline(chunks, through(hash), createWriteStream(`${path}.part`));
  await rename(`${path}.part`, path);
  socket.end(hash.digest("hex"));
}

const through = (hash: Hash) =>
  async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
