import { duplexPair, type Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Bucket } from "../../../src/cli/chat/bucket.ts";
import { Guest } from "../../../src/cli/chat/guest.ts";
import {
  encodeLine,
  type LineFromRoom,
  LineReader,
  type Person,
  readLineFromRoom,
} from "../../../src/cli/chat/lines.ts";
import { render } from "../../../src/cli/chat/render.ts";
import { Room, type RoomOptions } from "../../../src/cli/chat/room.ts";

/** A room with a clock that nobody has to wait for. */
const quick = (options: RoomOptions = {}): Room => new Room({ burst: 1000, perSecond: 1000, ...options });

interface Present {
  readonly guest: Guest;
  readonly heard: string[];
  readonly stay: Promise<unknown>;
  readonly socket: Duplex;
  hears(line: string | RegExp): Promise<void>;
}

/** What a stream keeps of its own accord differs from Node to Node, so the tests say it. */
const streams = { highWaterMark: 1024 } as const;

function enter(room: Room, name: string, protection = "ECDH+ML-KEM, no QKD"): Present {
  const [inside, socket] = duplexPair(streams);
  const stay = room.enter(inside, protection).catch((error: unknown) => error);
  const heard: string[] = [];
  const guest = new Guest(socket, {
    name,
    onLine: (line, people) => heard.push(...render(line, people).split("\n")),
    onHint: (text) => heard.push(`hint: ${text}`),
  });
  guest.ended.catch(() => undefined);
  const found =
    (line: string | RegExp) =>
    (each: string): boolean =>
      typeof line === "string" ? each === line : line.test(each);
  const hears = async (line: string | RegExp): Promise<void> => {
    await vi.waitFor(
      () => expect(heard.some(found(line)), `${line} in ${heard.slice(-5).join()}`).toBe(true),
      {
        interval: 2,
      },
    );
  };
  return { guest, heard, stay, socket, hears };
}

/** A connection that speaks by hand. */
function visit(room: Room): {
  socket: Duplex;
  stay: Promise<unknown>;
  lines: LineFromRoom[];
  ended: Promise<unknown>;
} {
  const [inside, socket] = duplexPair(streams);
  const stay = room.enter(inside, "NOTHING").catch((error: unknown) => error);
  const lines: LineFromRoom[] = [];
  const reader = new LineReader(2 ** 20);
  socket.on("data", (chunk: Buffer) => {
    for (const line of reader.take(chunk)) lines.push(readLineFromRoom(line));
  });
  const ended = new Promise((resolve) => {
    socket.once("end", resolve);
  });
  return { socket, stay, lines, ended };
}

describe("a room", () => {
  test("of three: all hear what one says, with what protects the speaker", async () => {
    const room = quick();
    const anna = enter(room, "anna", "ECDH+ML-KEM+QKD simulated");
    await anna.hears(/you are anna/);
    const ben = enter(room, "ben", "ECDH+ML-KEM, no QKD: the KME is down");
    await ben.hears("    anna [ECDH+ML-KEM+QKD simulated]");
    const carl = enter(room, "carl");
    await anna.hears("* carl [ECDH+ML-KEM, no QKD] joined");
    ben.guest.type("hello, all");
    await Promise.all(
      [anna, carl].map((each) => each.hears("ben [ECDH+ML-KEM, no QKD: the KME is down]: hello, all")),
    );
    anna.guest.type("/who");
    await anna.hears("* 3 here:");
    ben.guest.type("/quit");
    await ben.guest.ended;
    expect(await ben.stay).toBeUndefined();
    await Promise.all([anna, carl].map((each) => each.hears("* ben left")));
    expect(room.people.map((person) => person.name)).toEqual(["anna", "carl"]);
    room.close();
    await Promise.all([anna.guest.ended, carl.guest.ended, anna.stay, carl.stay]);
    expect(anna.heard).toContain("* the room is closed");
    expect(ben.heard.join()).not.toMatch(/hello, all/);
  });

  test("gives a name once, and again when it is free", async () => {
    const room = quick();
    const anna = enter(room, "anna");
    await anna.hears(/you are anna;/);
    const second = enter(room, "ＡＮＮＡ");
    await second.hears(/you are ＡＮＮＡ-2;/);
    const third = enter(room, "anna");
    await third.hears(/you are anna-3;/);
    anna.guest.leave();
    await anna.stay;
    const fourth = enter(room, "anna");
    await fourth.hears(/you are anna;/);
    room.close();
  });

  test("lets nobody forge a line or drive a terminal", async () => {
    const room = quick();
    const anna = enter(room, "anna");
    await anna.hears(/you are/);
    const { socket } = visit(room);
    socket.write(encodeLine({ kind: "join", name: "mallory" }));
    socket.write(encodeLine({ kind: "say", text: "hi\n* anna left\r\u001b[2J\u202egnp" }));
    await anna.hears("mallory [NOTHING]: hi * anna left [2Jgnp");
    expect(anna.heard.filter((line) => line.startsWith("* anna left"))).toEqual([]);
    room.close();
  });

  test.each([
    ["no JSON", [Buffer.from("GET / HTTP/1.1\r\n")], /no JSON/],
    ["a word before the name", [encodeLine({ kind: "who" })], /who came before join/],
    [
      "two names",
      [encodeLine({ kind: "join", name: "a" }), encodeLine({ kind: "join", name: "b" })],
      /twice/,
    ],
    ["no name", [encodeLine({ kind: "join", name: "***" })], /letters, digits/],
    ["an endless line", [Buffer.alloc(9000, 0x20)], /longer than 8192/],
  ])("sends home who says %s, and the others stay", async (_, said, why) => {
    const room = quick();
    const anna = enter(room, "anna");
    await anna.hears(/you are/);
    const { socket, stay, lines, ended } = visit(room);
    for (const each of said) socket.write(each);
    expect(await stay).toMatchObject({
      code: expect.stringMatching(/^ERR_CHAT_/),
      message: expect.stringMatching(why),
    });
    await ended;
    expect(lines.at(-1)).toEqual({ kind: "refused", text: expect.stringMatching(why) });
    expect(room.people.map((person) => person.name)).toEqual(["anna"]);
    room.close();
  });

  test("stands whatever bytes come", async () => {
    const room = quick();
    const anna = enter(room, "anna");
    await anna.hears(/you are/);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
        fc.boolean(),
        async (bytes, joins) => {
          const { socket, stay } = visit(room);
          if (joins) socket.write(encodeLine({ kind: "join", name: "x" }));
          for (const each of bytes) socket.write(each);
          socket.end();
          const outcome = await stay;
          if (outcome !== undefined)
            expect(outcome).toMatchObject({ code: expect.stringMatching(/^ERR_CHAT_/) });
        },
      ),
      { numRuns: 40 },
    );
    expect(room.people.map((person) => person.name)).toEqual(["anna"]);
    room.close();
  });

  test("waits for a name only so long", async () => {
    const { stay, lines, ended } = visit(quick({ joinTimeoutMs: 20 }));
    expect(await stay).toMatchObject({ code: "ERR_CHAT_REFUSED" });
    await ended;
    expect(lines).toEqual([{ kind: "refused", text: "nobody said a name in time" }]);
  });

  test("takes so many people and no more", async () => {
    const room = quick({ maxPeople: 1 });
    const anna = enter(room, "anna");
    await anna.hears(/you are/);
    const ben = enter(room, "ben");
    await expect(ben.guest.ended).rejects.toMatchObject({
      code: "ERR_CHAT_REFUSED",
      message: expect.stringMatching(/full/),
    });
    room.close();
  });

  test("lets nobody in once it is closed", async () => {
    const room = quick();
    room.close();
    const late = enter(room, "late");
    await late.guest.ended;
    expect(late.heard).toEqual(["* the room is closed"]);
  });
});

describe("somebody who", () => {
  test("writes too fast waits, is told so, and loses nothing", async () => {
    const room = new Room({ burst: 3, perSecond: 200 });
    const anna = enter(room, "anna");
    const fast = enter(room, "fast");
    await anna.hears(/fast.* joined/);
    const began = performance.now();
    for (let i = 0; i < 40; i++) fast.guest.type(`line ${i}`);
    await anna.hears(/line 39$/);
    expect(performance.now() - began).toBeGreaterThan(150);
    expect(
      anna.heard.filter((line) => /: line \d+$/.test(line)).map((line) => Number(line.split(" ").at(-1))),
    ).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(fast.heard.filter((line) => line.includes("not so fast"))).toHaveLength(1);
    room.close();
  });

  test("leaves behind a backlog has said it all", async () => {
    const room = new Room({ burst: 2, perSecond: 200 });
    const anna = enter(room, "anna");
    const fast = enter(room, "fast");
    await anna.hears(/fast.* joined/);
    for (let i = 0; i < 10; i++) fast.guest.type(`line ${i}`);
    fast.guest.leave();
    await anna.hears("* fast left");
    expect(anna.heard.filter((line) => /: line \d+$/.test(line))).toHaveLength(10);
    room.close();
  });

  test("reads slowly misses lines and is told how many; the others miss nothing", async () => {
    const room = quick({ maxQueueBytes: 4096 });
    const anna = enter(room, "anna");
    const slow = enter(room, "slow");
    await slow.hears(/you are/);
    const talker = enter(room, "talker");
    await slow.hears(/talker.* joined/);
    slow.socket.pause();
    for (let i = 0; i < 100; i++) {
      talker.guest.type(`${i} ${"x".repeat(500)}`);
      while (!anna.heard.some((line) => line.includes(`: ${i} x`))) await setImmediate();
    }
    const before = slow.heard.length;
    expect(before).toBeLessThan(50);
    slow.socket.resume();
    await slow.hears(/^\* you missed \d+ lines, because you read too slowly$/);
    const [, missed] = /missed (\d+)/.exec(slow.heard.join("\n")) ?? [];
    const said = slow.heard.filter((line) => /^talker .*: \d+ x+$/.test(line)).length;
    expect(said + Number(missed)).toBe(100);
    talker.guest.type("still there?");
    await slow.hears(/still there/);
    room.close();
  });

  test("never reads has to go", async () => {
    const room = quick({ maxQueueBytes: 1024, maxMissed: 20 });
    const deaf = visit(room);
    deaf.socket.write(encodeLine({ kind: "join", name: "deaf" }));
    await vi.waitFor(() => expect(room.people).toHaveLength(1));
    deaf.socket.pause();
    const talker = enter(room, "talker");
    for (let i = 0; i < 200; i++) talker.guest.type(`${i} ${"x".repeat(200)}`);
    expect(await deaf.stay).toMatchObject({ code: "ERR_CHAT_REFUSED", message: "deaf reads too slowly" });
    await talker.hears("* deaf left");
    room.close();
  });

  test("vanishes has left", async () => {
    const room = quick();
    const anna = enter(room, "anna");
    const [inside, outside] = duplexPair();
    const stay = room.enter(inside, "NOTHING");
    outside.write(encodeLine({ kind: "join", name: "ghost" }));
    await anna.hears(/ghost.* joined/);
    inside.destroy(new Error("read ECONNRESET"));
    await stay;
    await anna.hears("* ghost left");
    room.close();
  });
});

describe("a guest", () => {
  test("says what begins with two slashes, and is told of commands that do not exist", async () => {
    const room = quick();
    const anna = enter(room, "anna");
    const ben = enter(room, "ben");
    await anna.hears(/ben.* joined/);
    for (const each of ["//etc/hosts", "/frobnicate", "/help", "", "   ", "x".repeat(1001)])
      ben.guest.type(each);
    await anna.hears(/ben .*: \/etc\/hosts$/);
    expect(ben.heard.filter((line) => line.startsWith("hint: "))).toEqual([
      expect.stringMatching(/there is no \/frobnicate/),
      expect.stringMatching(/^hint: \/who lists/),
      "hint: not sent: 1001 characters, and 1000 can be said at once",
    ]);
    room.close();
  });

  test.each([
    ["speaks another language", Buffer.from("220 smtp ready\r\n"), "ERR_CHAT_LINE"],
    ["never ends a line", Buffer.alloc(600_000, 0x20), "ERR_CHAT_LINE"],
    ["refuses", encodeLine({ kind: "refused", text: "\u001b[31mno" }), "ERR_CHAT_REFUSED"],
  ])("leaves a server that %s", async (_, said, code) => {
    const [server, socket] = duplexPair();
    const guest = new Guest(socket, { name: "anna", onLine: () => undefined, onHint: () => undefined });
    server.resume();
    server.write(said);
    server.end();
    await expect(guest.ended).rejects.toMatchObject({ code, message: expect.not.stringMatching(/\p{Cc}/u) });
  });

  test("knows a cut from an end", async () => {
    const [server, socket] = duplexPair();
    const guest = new Guest(socket, { name: "anna", onLine: () => undefined, onHint: () => undefined });
    server.resume();
    server.end();
    await expect(guest.ended).rejects.toMatchObject({ code: "ERR_CHAT_CUT" });
  });

  test("shows a speaker that it has not met by the name alone", () => {
    const people = new Map<string, Person>();
    expect(render({ kind: "said", name: "x", text: "hi" }, people)).toBe("x: hi");
  });
});

describe("the bucket", () => {
  test("gives no more than the burst and the rate allow", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(500)),
        (burst, rate, steps) => {
          const bucket = new Bucket(burst, rate, 0);
          let nowMs = 0;
          let taken = 0;
          for (const step of steps) {
            nowMs += step;
            const waitMs = bucket.take(nowMs);
            if (waitMs === 0) taken++;
            else expect(new Bucket(0, rate, 0).take(waitMs * 2)).toBeGreaterThanOrEqual(0);
          }
          expect(taken).toBeLessThanOrEqual(burst + (nowMs * rate) / 1000);
        },
      ),
    );
  });

  test("keeps its word on how long to wait", () => {
    const bucket = new Bucket(1, 4, 0);
    expect(bucket.take(0)).toBe(0);
    expect(bucket.take(0)).toBe(250);
    expect(bucket.take(250)).toBe(0);
  });
});
