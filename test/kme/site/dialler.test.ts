import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { expect, test } from "vitest";
import { Dialler } from "../../../src/kme/site/dialler.ts";
import { closing, until } from "./site-bed.ts";

async function listening(port = 0): Promise<{ server: Server; port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  closing({
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  return { server, port: (server.address() as { port: number }).port, sockets };
}

test("connects, and again when the connection is gone", async () => {
  const { port, sockets } = await listening();
  const made: Socket[] = [];
  const dialler = closing(new Dialler({ host: "127.0.0.1", port }, (socket) => void made.push(socket)));
  await until(() => made.length === 1 && sockets.length === 1);
  dialler.isGood();
  sockets[0]!.destroy();
  await until(() => made.length === 2);
  made[1]!.destroy();
  await until(() => made.length === 3);
});

test("goes on trying where nobody listens, until somebody does", async () => {
  const { server, port } = await listening();
  server.close();
  await once(server, "close");
  const made: Socket[] = [];
  const dialler = closing(new Dialler({ host: "127.0.0.1", port }, (socket) => void made.push(socket)));
  await listening(port);
  await until(() => {
    dialler.hurry();
    return made.length === 1;
  });
});

test("that is closed makes no connection any more, whoever hurries it", async () => {
  const { port, sockets } = await listening();
  const made: Socket[] = [];
  const dialler = new Dialler({ host: "127.0.0.1", port }, (socket) => void made.push(socket));
  await until(() => made.length === 1 && sockets.length === 1);
  dialler.close();
  dialler.hurry();
  await once(sockets[0]!.resume(), "close");
  expect([made.length, made[0]!.destroyed]).toEqual([1, true]);
});
