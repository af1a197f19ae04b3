/** The body of an HTTP request, up to a bound. */

import type { IncomingMessage } from "node:http";

/** Undefined when it is longer; then the connection is to be closed once the answer is out. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Stopping early must leave the connection up for the answer.
  const arriving: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of arriving) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
