import { once } from "node:events";
import { connect as netConnect, createServer as netServer, type AddressInfo, type Socket } from "node:net";
import { duplexPair, Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { inProcessPair, upgradeClient, upgradeServer } from "../../src/index.ts";
import type { ConnectOptions, QkdTlsSocket, ServerOptions } from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";
import { connected, failure, listen, reach, read } from "../support/sockets.ts";
import { gate, isWiped, scriptedSource, settled } from "../support/scripted-source.ts";

const { caPem: ca, certPem: cert, keyPem: key } = credentials();

/** Both ends of a channel over a pair of streams in memory. */
function pair(client: Partial<ConnectOptions> = {}, server: Partial<ServerOptions> = {}) {
  const [left, right] = duplexPair();
  const far = upgradeServer(right, { cert, key, ...server });
  const near = upgradeClient(left, { ca, servername: "localhost", ...client });
  for (const socket of [near, far]) socket.on("error", () => undefined);
  return { near, far, left, right };
}

const closed = (socket: QkdTlsSocket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", resolve);
  });

/** What comes until the peer ends; unlike iteration it leaves the socket open. */
const heard = (socket: QkdTlsSocket): Promise<string> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => resolve(Buffer.concat(chunks).toString()));
  });

/** A connection over TCP, both ends of it. */
async function both(
  options: { client?: Partial<ConnectOptions>; server?: Partial<ServerOptions> } = {},
): Promise<{ client: QkdTlsSocket; server: QkdTlsSocket }> {
  const { server: listening, port } = await listen(options.server);
  const secure = once(listening, "secureConnection") as Promise<[QkdTlsSocket]>;
  const client = await connected(reach(port, options.client));
  const [server] = await secure;
  return { client, server };
}

describe("the order of events", () => {
  const WATCHED = [
    "connect",
    "ready",
    "keylog",
    "degraded",
    "secure",
    "secureConnect",
    "session",
    "keyUpdate",
    "data",
    "end",
    "finish",
    "error",
    "close",
  ]; // prettier-ignore
  const watch = (socket: QkdTlsSocket): string[] => {
    const seen: string[] = [];
    for (const event of WATCHED) {
      socket.on(event, () => {
        if (seen.at(-1) !== event) seen.push(event);
      });
    }
    return seen;
  };

  test("of a client whose connection ends well", async () => {
    const { port } = await listen(
      { policy: "prefer-hybrid", qkd: { source: inProcessPair({ a: "a", b: "b" }).b } },
      (socket) => {
        socket.on("data", () => {
          socket.updateKeys();
          socket.end("bye");
        });
      },
    );
    const socket = reach(port);
    const seen = watch(socket);
    await connected(socket);
    socket.write("hi");
    await closed(socket);
    expect(seen).toEqual([
      "connect",
      "ready",
      "keylog",
      "secure",
      "secureConnect",
      "session",
      "keyUpdate",
      "data",
      "end",
      "finish",
      "close",
    ]); // prettier-ignore
  });

  test("of a client that degrades: before secureConnect, so that it can still leave", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { port } = await listen();
    const socket = reach(port, { policy: "prefer-hybrid", qkd: { source: link.a, peer: "sae-b" } });
    const seen = watch(socket);
    await connected(socket);
    expect(seen.filter((event) => event !== "session")).toEqual([
      "connect",
      "ready",
      "keylog",
      "degraded",
      "secure",
      "secureConnect",
    ]);
  });

  test("of a client that leaves because it is degraded: it never was connected", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { port } = await listen();
    const socket = reach(port, { policy: "prefer-hybrid", qkd: { source: link.a, peer: "sae-b" } });
    const seen = watch(socket);
    socket.on("degraded", () => socket.destroy());
    await closed(socket);
    expect(seen).toEqual(["connect", "ready", "keylog", "degraded", "close"]);
  });

  test("of a connection that fails: error, then close, once", async () => {
    const { port } = await listen();
    const socket = reach(port, { servername: "other.test" });
    let errors = 0;
    socket.on("error", () => errors++);
    const seen = watch(socket);
    await closed(socket);
    expect(seen.slice(-2)).toEqual(["error", "close"]);
    expect(seen).not.toContain("secureConnect");
    expect(errors).toBe(1);
  });
});

describe("ending", () => {
  test("by default the other half ends too; both see end and close without an error", async () => {
    const { client, server } = await both();
    server.resume();
    client.resume();
    client.end("last");
    await Promise.all([closed(client), closed(server)]);
    expect([client.errored, server.errored]).toEqual([null, null]);
  });

  test("allowHalfOpen: one end may go on writing after the other has ended", async () => {
    const half = { allowHalfOpen: true };
    const { client, server } = await both({ client: half, server: half });
    client.end("question");
    expect(await heard(server)).toBe("question");
    expect(server.writable).toBe(true);
    server.write("an ");
    server.end("answer");
    expect(await heard(client)).toBe("an answer");
    await Promise.all([closed(client), closed(server)]);
  });

  test("a write before the handshake waits for it; end after it too", async () => {
    const { port } = await listen({}, (socket) => socket.pipe(socket));
    const socket = reach(port);
    expect(socket.write("early ")).toBe(true);
    socket.end("bird");
    expect((await read(socket)).toString()).toBe("early bird");
  });

  test("a transport that is cut is a truncation, after what came before was read", async () => {
    const { client, server } = await both();
    server.write("half of it");
    await once(client, "readable");
    (server as unknown as { transport: Socket }).transport.destroy();
    const chunks: Buffer[] = [];
    client.on("data", (chunk: Buffer) => chunks.push(chunk));
    expect((await failure(client)).code).toMatch(/ERR_TLS_TRUNCATED|ECONNRESET/);
    expect(Buffer.concat(chunks).toString()).toBe("half of it");
  });

  test("destroy without a word ends the other side with a truncation", async () => {
    const { client, server } = await both();
    server.on("data", () => undefined);
    client.destroy();
    expect((await failure(server)).code).toMatch(/ERR_TLS_TRUNCATED|ECONNRESET/);
  });

  test("destroy with an error emits it, and the peer's connection ends as well", async () => {
    const { client, server } = await both();
    server.resume();
    const mine = new Error("mine");
    client.destroy(mine);
    expect(await failure(client)).toBe(mine);
    await closed(server);
  });

  test("writing after the end, or after the failure, is an error event and never thrown", async () => {
    const { client } = await both();
    client.end();
    expect(() => client.write("late")).not.toThrow();
    expect(await failure(client)).toMatchObject({ code: "ERR_STREAM_WRITE_AFTER_END" });
    const again = await both();
    again.client.destroy();
    const told = await new Promise<Error | null | undefined>(
      (resolve) => void again.client.write("late", resolve),
    );
    expect(told).toMatchObject({ code: "ERR_STREAM_DESTROYED" });
  });

  test.each(["before the handshake", "in a listener of secureConnect"])(
    "a write %s, when the failure comes in the same bytes as the handshake's end, is told that failure",
    async (when) => {
      const [left, near] = duplexPair();
      const [right, far] = duplexPair();
      const server = upgradeServer(right, { cert, key });
      server.on("error", () => undefined);
      const client = upgradeClient(left, { ca, servername: "localhost" });
      client.on("error", () => undefined);
      const told = new Promise<Error | null | undefined>((resolve) => {
        const write = (): void => void client.write("secret", resolve);
        if (when === "before the handshake") write();
        else client.once("secureConnect", write);
      });
      // A second ClientHello: the server's flight and its alert then come in one piece.
      near.on("data", (hello: Buffer) => {
        far.write(hello);
        far.write(hello);
      });
      const flight: Buffer[] = [];
      far.on("data", (bytes: Buffer) => flight.push(bytes));
      await failure(server);
      await settled();
      near.removeAllListeners("data").resume();
      near.write(Buffer.concat(flight));
      expect(await failure(client)).toMatchObject({ code: "ERR_TLS_PEER_ALERT" });
      expect(await told).toMatchObject({ code: "ERR_TLS_PEER_ALERT" });
    },
  );

  test("a write that waits for a handshake that fails is told so", async () => {
    const { port } = await listen();
    const socket = reach(port, { servername: "other.test" });
    const told = new Promise((resolve) => void socket.write("secret", resolve));
    await failure(socket);
    expect(await told).toBeInstanceOf(Error);
  });

  test.each(["destroyed", "cut below"])(
    "a write that is under way when the socket is %s is told so",
    async (how) => {
      const { client, server } = await both();
      const { transport } = client as unknown as { transport: Socket };
      const told: Promise<unknown>[] = [];
      // Nobody reads at the other end, so one write stays under way and others wait behind it.
      server.pause();
      for (let at = 0; at < 3; at++) {
        told.push(new Promise((resolve) => void client.write(Buffer.alloc(8_000_000), resolve)));
      }
      if (how === "destroyed") client.destroy();
      else transport.destroy();
      await closed(client);
      const outcomes = await Promise.all(told);
      expect(outcomes.every((outcome) => outcome instanceof Error)).toBe(true);
    },
  );
});

describe("destroyed in the middle of something", () => {
  const link = () => inProcessPair({ a: "sae-a", b: "sae-b" });

  test("while the transport connects: close without an error, and no secureConnect", async () => {
    const { port } = await listen();
    const socket = reach(port);
    let secure = 0;
    socket.on("secureConnect", () => secure++);
    socket.destroy();
    await closed(socket);
    expect([socket.errored, secure]).toEqual([null, 0]);
  });

  test("while its key is drawn: what comes later goes nowhere, and the key is wiped", async () => {
    const { port } = await listen();
    const source = scriptedSource();
    const asked = gate();
    const answer = gate();
    source.script = () => {
      asked.open();
      return answer.passed;
    };
    const socket = reach(port, { qkd: { source, peer: "sae-b" } });
    await asked.passed;
    socket.destroy();
    await closed(socket);
    answer.open();
    await settled();
    expect(socket.errored).toBeNull();
    expect(source.given.every(({ key: bytes }) => isWiped(bytes))).toBe(true);
  });

  test("a client that leaves while its key is redeemed is a tlsClientError, and the server goes on", async () => {
    const { a, b } = link();
    const asked = gate();
    const answer = gate();
    const slow = Object.assign(Object.create(b) as typeof b, {
      redeem: async (...args: Parameters<typeof b.redeem>) => {
        asked.open();
        await answer.passed;
        return b.redeem(...args);
      },
    });
    const { port, server } = await listen({ qkd: { source: slow, sae: "sae-b" } });
    const failed = once(server, "tlsClientError");
    const leaving = reach(port, { qkd: { source: a, peer: "sae-b" } });
    await asked.passed;
    leaving.destroy();
    expect((await failed)[0]).toMatchObject({ code: expect.stringMatching(/ERR_TLS_TRUNCATED|ECONNRESET/) });
    answer.open();
    await connected(reach(port, { qkd: { source: a, peer: "sae-b" } }));
  });

  test("from a listener of its own events", async () => {
    for (const event of ["connect", "keylog", "secure", "secureConnect", "session", "data"]) {
      const { port } = await listen({}, (socket) => socket.write("x"));
      const socket = reach(port);
      socket.on("data", () => undefined);
      socket.once(event, () => socket.destroy());
      await closed(socket);
      expect(socket.errored, event).toBeNull();
    }
  });

  test("from a listener of secureConnection, with and without a last word", async () => {
    const words = await listen({}, (socket) => {
      socket.end("no room");
    });
    expect((await read(reach(words.port))).toString()).toBe("no room");
    const silent = await listen({}, (socket) => void socket.destroy());
    expect((await failure(reach(silent.port))).code).toMatch(/ERR_TLS_TRUNCATED|ECONNRESET/);
  });
});

describe("timeouts", () => {
  test("setTimeout emits timeout after so long without traffic, and 0 ends that", async () => {
    const { client, server } = await both();
    expect(client.timeout).toBeUndefined();
    await new Promise<void>((resolve) => void client.setTimeout(20, resolve));
    expect(client.timeout).toBe(20);
    expect(client.destroyed).toBe(false);
    client.setTimeout(0);
    expect(client.timeout).toBeUndefined();
    let fired = 0;
    client.on("timeout", () => fired++);
    server.write("x");
    await once(client, "data");
    expect(fired).toBe(0);
  });

  test("the option timeout is the same from the start, during the handshake too", async () => {
    const silent = netServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const socket = reach((silent.address() as AddressInfo).port, { timeout: 20 });
    await once(socket, "timeout");
    socket.destroy();
    silent.close();
  });

  test("the handshake of a server's connection ends in time as well", async () => {
    const [, lonely] = duplexPair();
    const waiting = upgradeServer(lonely, { cert, key, handshakeTimeout: 30 });
    waiting.on("error", () => undefined);
    expect(await failure(waiting)).toMatchObject({ code: "ERR_TLS_TIMEOUT" });
  });
});

describe("back-pressure", () => {
  const CHUNK = Buffer.alloc(65_536, 1);
  /** Far more than all buffers on the way hold. */
  const MANY = 4000;

  /** Writes until the stream holds it back, and on from every drain. */
  function pour(socket: QkdTlsSocket): { readonly written: () => number; readonly done: Promise<void> } {
    let count = 0;
    let finish = (): void => undefined;
    const done = new Promise<void>((resolve) => (finish = resolve));
    const more = (): void => {
      while (count < MANY && !socket.destroyed) {
        count++;
        if (!socket.write(CHUNK)) return;
      }
      if (count === MANY) finish();
    };
    socket.on("drain", more);
    more();
    return { written: () => count, done };
  }

  test.each(["client", "server"] as const)(
    "a slow reader holds the %s back, memory stays bounded, and nothing is lost",
    async (who) => {
      const ends = await both();
      const [writer, reader] = who === "client" ? [ends.client, ends.server] : [ends.server, ends.client];
      const { written, done } = pour(writer);
      // Nobody reads: the writer comes to rest once every buffer on the way is full.
      for (let before = -1; before !== written(); ) {
        before = written();
        await new Promise((resolve) => void setTimeout(resolve, 100));
      }
      expect(written()).toBeLessThan(MANY / 4);
      expect(writer.writableLength).toBeLessThanOrEqual(2 * CHUNK.length + writer.writableHighWaterMark);
      expect(reader.readableLength).toBeLessThanOrEqual(reader.readableHighWaterMark + 2 * 65_536);
      let received = 0;
      reader.on("data", (chunk: Buffer) => (received += chunk.length));
      reader.on("end", () => reader.end());
      await done;
      writer.end();
      await closed(reader);
      expect(received).toBe(MANY * CHUNK.length);
    },
  );

  test("pause and resume, as http and pipe use them", async () => {
    const { client, server } = await both();
    let seen = 0;
    client.on("data", (chunk: Buffer) => {
      seen += chunk.length;
      client.pause();
      setImmediate(() => client.resume());
    });
    server.end(Buffer.alloc(1_000_000));
    await once(client, "end");
    expect(seen).toBe(1_000_000);
  });

  test("many small writes of one turn arrive in order", async () => {
    const { client, server } = await both();
    const text = Array.from({ length: 5000 }, (_, at) => `${at},`);
    for (const part of text) client.write(part);
    client.end();
    expect((await read(server)).toString()).toBe(text.join(""));
  });

  test("a turn of many writes makes the next one share its records; a lone write goes at once", async () => {
    const { near, far, left } = pair();
    await connected(near);
    far.resume();
    const lots: number[] = [];
    const write = left.write.bind(left) as (chunk: Uint8Array, done: () => void) => boolean;
    left.write = ((chunk: Uint8Array, done: () => void) => {
      lots.push(chunk.length);
      return write(chunk, done);
    }) as typeof left.write;
    const turn = async (count: number): Promise<number[]> => {
      lots.length = 0;
      for (let at = 1; at < count; at++) near.write("0123456789");
      const last = new Promise((resolve) => near.write("0123456789", resolve));
      const atOnce = lots.length;
      await last;
      return [atOnce, ...lots];
    };
    expect(await turn(10)).toEqual([1, 10 + 22, 90 + 22]);
    expect(await turn(10)).toEqual([0, 100 + 22]);
    expect(await turn(1)).toEqual([0, 10 + 22]);
    expect(await turn(1)).toEqual([1, 10 + 22]);
    near.cork();
    expect(near.write("corked")).toBe(true);
    near.end();
    await once(far, "end");
    expect(near.errored).toBeNull();
  });

  test("every write is called back, in order", async () => {
    const { client, server } = await both();
    server.resume();
    const order: number[] = [];
    await Promise.all(
      Array.from(
        { length: 50 },
        (_, at) =>
          new Promise<void>((resolve) => {
            client.write(Buffer.alloc(at * 1000), () => {
              order.push(at);
              resolve();
            });
          }),
      ),
    ); // prettier-ignore
    expect(order).toEqual(Array.from({ length: 50 }, (_, at) => at));
  });
});

describe("upgrading a stream that is there", () => {
  test("any Duplex, on both sides", async () => {
    const { near, far } = pair();
    far.pipe(far);
    near.end("through memory");
    expect((await read(near)).toString()).toBe("through memory");
    expect(near.security?.group).toBe("X25519MLKEM768");
  });

  test("a net.Socket that has already carried something, on both sides (STARTTLS)", async () => {
    const listening = netServer((plain) => {
      plain.on("error", () => undefined);
      plain.once("data", () => {
        plain.write("220 go ahead\r\n", () => {
          const secure = upgradeServer(plain, { cert, key });
          secure.on("error", () => undefined);
          secure.pipe(secure);
        });
      });
    }).listen(0, "127.0.0.1");
    await once(listening, "listening");
    const plain = netConnect((listening.address() as AddressInfo).port, "127.0.0.1");
    plain.write("STARTTLS\r\n");
    const [greeting] = (await once(plain, "data")) as [Buffer];
    expect(greeting.toString()).toBe("220 go ahead\r\n");
    const socket = upgradeClient(plain, { ca, servername: "localhost" });
    expect(socket.remotePort).toBe((listening.address() as AddressInfo).port);
    socket.end("now in private");
    expect((await read(socket)).toString()).toBe("now in private");
    listening.close();
  });

  test("bytes that were read ahead and put back belong to the channel", async () => {
    const [left, right] = duplexPair();
    const near = upgradeClient(left, { ca, servername: "localhost" });
    near.on("error", () => undefined);
    // A dispatcher looks at the first bytes, then hands the stream on.
    const [first] = (await once(right, "data")) as [Buffer];
    right.pause();
    expect(first[0]).toBe(22);
    right.removeAllListeners("data");
    right.unshift(first);
    const far = upgradeServer(right, { cert, key });
    far.on("error", () => undefined);
    far.pipe(far);
    near.end("sniffed");
    expect((await read(near)).toString()).toBe("sniffed");
  });

  test("a channel inside a channel", async () => {
    const { near, far } = pair();
    const inner = upgradeServer(far, { cert, key });
    inner.on("error", () => undefined);
    inner.pipe(inner);
    await connected(near);
    const outer = upgradeClient(near, { ca, servername: "localhost" });
    outer.end("twice");
    expect((await read(outer)).toString()).toBe("twice");
  });

  test("an error of the stream below is the socket's error", async () => {
    const { near, left } = pair();
    await connected(near);
    left.destroy(new Error("cable cut"));
    expect((await failure(near)).message).toBe("cable cut");
  });

  test("a stream that is already dead is an error event", async () => {
    const dead = new Duplex({ read: () => undefined, write: (_, __, done) => done() });
    dead.on("error", () => undefined);
    dead.destroy();
    await once(dead, "close");
    const socket = upgradeClient(dead, { ca, servername: "localhost", handshakeTimeout: 100 });
    socket.on("error", () => undefined);
    expect(await failure(socket)).toBeInstanceOf(Error);
  });
});

test("unref and ref reach the handle below, which is what holds the process", async () => {
  const { client } = await both();
  const { transport } = client as unknown as { transport: { _handle: { hasRef(): boolean } } };
  client.setTimeout(60_000);
  client.unref();
  expect(transport._handle.hasRef()).toBe(false);
  client.ref();
  expect(transport._handle.hasRef()).toBe(true);
});

describe("key updates", () => {
  test("asked for by either side while data flows both ways", async () => {
    const { client, server } = await both();
    const turns: string[] = [];
    client.on("keyUpdate", (by: string) => turns.push(by));
    server.pipe(server);
    const sent = Buffer.alloc(500_000, "k");
    client.write(sent.subarray(0, 250_000));
    client.updateKeys({ requestPeer: true });
    client.end(sent.subarray(250_000));
    expect((await read(client)).equals(sent)).toBe(true);
    expect(turns).toEqual(["us", "peer"]);
    expect(client.security?.epochs).toEqual({ sent: 1, received: 1 });
  });
});

test("§6.2: a connection that failed is closed at once, though what came before is not read yet", async () => {
  const raw = netServer().listen(0, "127.0.0.1");
  await once(raw, "listening");
  const accepted = once(raw, "connection") as Promise<[Socket]>;
  const transport = netConnect((raw.address() as AddressInfo).port, "127.0.0.1");
  const [far] = await accepted;
  const server = upgradeServer(far, { cert, key });
  server.on("error", () => undefined);
  const client = await connected(upgradeClient(transport, { ca, servername: "localhost" }));
  client.write("before");
  await once(server, "readable");
  // A peer that hears no alert and never leaves by itself.
  transport.removeAllListeners("data");
  transport.removeAllListeners("end");
  const gone = once(far, "close");
  transport.write(Buffer.of(23, 3, 3, 0, 17, ...new Uint8Array(17)));
  await gone;
  expect(server.destroyed).toBe(false);
  const failed = failure(server);
  expect(server.read()?.toString()).toBe("before");
  expect(await failed).toMatchObject({ code: "ERR_TLS_BAD_RECORD_MAC" });
  client.destroy();
  raw.close();
});
