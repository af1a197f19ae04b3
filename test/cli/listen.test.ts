import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listen } from "../../src/cli/listen.ts";
import { echo } from "../../src/cli/serve/echo.ts";
import { connect } from "../../src/node/connect.ts";
import type { QkdTlsSocket } from "../../src/node/socket.ts";
import { connectWebSocket } from "../../src/websocket/connect.ts";
import { credentials } from "../support/credentials.ts";

const { caPem: ca, certPem, keyPem } = credentials();
let directory = "";
let flags = { cert: "", key: "" };
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  flags = { cert: join(directory, "server.crt"), key: join(directory, "server.key") };
  writeFileSync(flags.cert, certPem);
  writeFileSync(flags.key, keyPem);
});
afterAll(() => rmSync(directory, { recursive: true }));

type Event = Readonly<Record<string, unknown>>;

/** An echo that takes so many connections by each way. */
async function start(maxConnections: number) {
  const stop = new AbortController();
  const events: Event[] = [];
  let both: (ports: number[]) => void = () => undefined;
  const listening = new Promise<number[]>((resolve) => (both = resolve));
  const ended = listen({
    endpoint: { host: "127.0.0.1", port: 0 },
    websocket: { host: "127.0.0.1", port: 0 },
    flags,
    maxConnections,
    signal: stop.signal,
    async serve(socket) {
      echo(socket);
      await once(socket, "close");
    },
    tell(event) {
      events.push(event);
      const ports = events
        .filter((each) => each["event"] === "listening")
        .map((each) => Number(each["port"]));
      if (ports.length === 2) both(ports);
    },
  }).catch((error: unknown) => error);
  const [tcp = 0, web = 0] = await listening;
  const ways = {
    TCP: () => connect({ host: "127.0.0.1", port: tcp, servername: "localhost", ca }),
    WebSocket: () => connectWebSocket(`ws://127.0.0.1:${web}`, { servername: "localhost", ca }),
  };
  const end = async (): Promise<void> => {
    const reason = new Error("enough");
    stop.abort(reason);
    expect(await ended).toBe(reason);
  };
  return { ways, end, events };
}

/** What it says comes back. */
async function echoes(socket: QkdTlsSocket): Promise<void> {
  socket.write("hello");
  expect(String((await once(socket, "data"))[0])).toBe("hello");
}

async function gone(socket: QkdTlsSocket): Promise<void> {
  const closed = once(socket, "close");
  socket.end();
  socket.resume();
  await closed;
}

describe.each(["TCP", "WebSocket"] as const)("--max-connections over %s", (way) => {
  test("one more than allowed is turned away, those that are there go on, a place that is free is taken", async () => {
    const { ways, end, events } = await start(2);
    const [first, second] = [ways[way](), ways[way]()];
    await Promise.all([echoes(first), echoes(second)]);
    const third = ways[way]();
    const [error] = (await once(third, "error")) as [Error];
    expect(error).toBeInstanceOf(Error);
    expect(third.security).toBeUndefined();
    await Promise.all([echoes(first), echoes(second)]);
    await gone(first);
    // The server may hear of the end a moment later than we do.
    for (;;) {
      const next = ways[way]();
      const came = await once(next, "secureConnect").then(
        () => true,
        () => false,
      );
      if (!came) continue;
      await echoes(next);
      break;
    }
    expect(events.filter(({ event }) => event === "connection")).toHaveLength(3);
    await end();
  });
});

test("it ends with the signal's reason, and ends the connections that are there", async () => {
  const { ways, end } = await start(8);
  const sockets = [ways.TCP(), ways.WebSocket()];
  await Promise.all(sockets.map(echoes));
  const closed = sockets.map((socket) => {
    socket.resume();
    return once(socket, "end");
  });
  await end();
  await Promise.all(closed);
});
