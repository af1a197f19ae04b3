import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exec } from "../../../src/cli/serve/exec.ts";
import { connect } from "../../../src/node/connect.ts";
import { createServer, type QkdTlsServer } from "../../../src/node/server.ts";
import type { QkdTlsSocket } from "../../../src/node/socket.ts";

const psk = { identity: "me", key: Buffer.alloc(32, 7) };
let server: QkdTlsServer;
let command = "";
beforeAll(async () => {
  server = createServer({ psk, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    exec(command)(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => void server.close());

function dial(): QkdTlsSocket {
  const { port } = server.address() as AddressInfo;
  return connect({ host: "127.0.0.1", port, psk, allowHalfOpen: true });
}

async function all(socket: QkdTlsSocket): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

const posix = process.platform !== "win32";
if (!posix) console.warn("skipped: exec (its commands are for a POSIX shell)");

test.runIf(posix)("carries both directions and tells the command what protects them", async () => {
  command = 'wc -c; printf %s "$QKD_TLS_SECURITY"';
  const socket = dial();
  socket.end(Buffer.alloc(500_000, "x"));
  const [count = "", security = ""] = (await all(socket)).split("\n");
  expect(count.trim()).toBe("500000");
  expect(JSON.parse(security)).toMatchObject({ role: "server", secrets: { mlkem: { present: true } } });
});

test.runIf(posix)("a command that does not read its input still gets its output through", async () => {
  command = "echo enough";
  const socket = dial();
  socket.end(Buffer.alloc(2_000_000));
  expect(await all(socket)).toBe("enough\n");
});

test.runIf(posix)("the command ends with its connection, and what it started with it", async () => {
  command = "echo $$; sleep 1000";
  const socket = dial();
  const pid = Number(String((await once(socket, "data"))[0]));
  expect(pid).toBeGreaterThan(1);
  socket.on("error", () => undefined).destroy();
  await expect.poll(() => runs(-pid), { timeout: 5000, interval: 20 }).toBe(false);
});

/** Whether a process, or with a negative number a group of processes, is there. */
function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
