import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { readBody } from "../../src/kme/body.ts";

async function respond(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const body = await readBody(asked, 8);
  answer.setHeader("connection", "close");
  answer.end(body === undefined ? "too long" : `read ${body.toString()}`);
}
const server = createServer((asked, answer) => void respond(asked, answer));
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function send(...chunks: readonly string[]): Promise<string> {
  const asking = request({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", method: "POST" });
  asking.on("error", () => undefined);
  for (const chunk of chunks) asking.write(chunk);
  asking.end();
  const [answer] = (await once(asking, "response")) as [AsyncIterable<Buffer>];
  let text = "";
  for await (const part of answer) text += part.toString();
  return text;
}

test("a body is read up to its bound, and one that is longer still gets its answer", async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  expect(await send()).toBe("read ");
  expect(await send("1234", "5678")).toBe("read 12345678");
  expect(await send("1234", "5678", "9")).toBe("too long");
});
