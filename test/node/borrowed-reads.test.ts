import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { borrowReads, onread } from "../../src/node/borrowed-reads.ts";

const open = new Set<Server | Socket>();
afterEach(() => {
  for (const each of open) if (each instanceof Socket) each.destroy();
  for (const each of open) if (!(each instanceof Socket)) each.close();
  open.clear();
});

/** A socket that a server has just accepted, and its client. */
async function accepted(accept: (socket: Socket) => void): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    accept(socket);
  });
  open.add(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  open.add(client);
  await once(client, "connect");
  return client;
}

test("an accepted socket gives its bytes to the reader, in the one buffer, and emits no data", async () => {
  const chunks: string[] = [];
  const buffers = new Set<ArrayBufferLike>();
  let data = 0;
  let borrowed = false;
  const ended = new Promise<void>((resolve) => {
    void accepted((socket) => {
      borrowed = borrowReads(socket, (bytes) => {
        buffers.add(bytes.buffer);
        chunks.push(Buffer.from(bytes).toString());
        return true;
      });
      socket.on("newListener", (event) => (data += event === "data" ? 1 : 0));
      socket.on("end", resolve);
    }).then((client) => client.end("x".repeat(200_000)));
  });
  await ended;
  // Both Nodes that the tests run on have what this needs; elsewhere `data` events do.
  expect(borrowed).toBe(true);
  expect(chunks.join("")).toBe("x".repeat(200_000));
  expect(buffers.size).toBe(1);
  expect(buffers.has(onread(() => true).buffer.buffer)).toBe(true);
  expect(data).toBe(0);
});

test("a reader that says false is not read for until the socket resumes", async () => {
  const seen: number[] = [];
  let socket: Socket | undefined;
  const client = await accepted((made) => {
    socket = made;
    borrowReads(made, (bytes) => {
      seen.push(bytes.length);
      made.pause();
      made.emit("seen");
      return false;
    });
  });
  client.write("first");
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  client.write("second");
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([5]);
  const again = once(socket!, "seen");
  socket!.resume();
  await again;
  expect(seen).toEqual([5, 6]);
});

test("a socket that has read before keeps its ways", async () => {
  let borrowed: boolean | undefined;
  const told = new Promise<void>((resolve) => {
    void accepted((socket) => {
      socket.once("data", () => {
        borrowed = borrowReads(socket, () => true);
        resolve();
      });
    }).then((client) => client.write("hello"));
  });
  await told;
  expect(borrowed).toBe(false);
});

test("a socket that is not connected has nothing to lend", () => {
  expect(borrowReads(new Socket(), () => true)).toBe(false);
});
