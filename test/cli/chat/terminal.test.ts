import { duplexPair, PassThrough } from "node:stream";
import { expect, test, vi } from "vitest";
import { Room } from "../../../src/cli/chat/room.ts";
import { talk } from "../../../src/cli/chat/terminal.ts";

/** Somebody in a room whose keyboard and screen are streams. */
function sit(room: Room, name: string, { tty = false, json = false } = {}) {
  const [inside, socket] = duplexPair();
  const stay = room.enter(inside, "at a test");
  const input = Object.assign(new PassThrough(), { isTTY: tty, setRawMode: () => undefined });
  const output = Object.assign(new PassThrough(), { isTTY: tty, columns: 80, rows: 24 });
  let screen = "";
  output.on("data", (bytes: Buffer) => (screen += bytes.toString()));
  const controller = new AbortController();
  const talking = talk(socket, { name, json, signal: controller.signal, input, output });
  const shows = (text: string): Promise<void> =>
    vi.waitFor(() => expect(screen).toContain(text), { interval: 2 });
  return { stay, input, controller, talking, shows, screen: () => screen };
}

test("a pipe says each of its lines, and leaves at its end", async () => {
  const room = new Room();
  const anna = sit(room, "anna");
  const ben = sit(room, "ben", { json: true });
  await ben.shows('"welcome"');
  anna.input.end("one\ntwo\n/who");
  await ben.shows('{"kind":"said","name":"anna","text":"two"}\n');
  await ben.shows('{"kind":"left","name":"anna"}\n');
  await anna.talking;
  expect(anna.screen()).toMatch(/^\* you are anna; here are:\n {4}anna \[at a test\]\n/);
  expect(anna.screen()).toContain("* 2 here:\n");
  expect(anna.screen()).not.toContain("\u001b");
  room.close();
  await Promise.all([ben.talking, anna.stay, ben.stay]);
});

test("a terminal keeps its prompt below what is said, and leaves by /quit", async () => {
  const room = new Room();
  const anna = sit(room, "anna", { tty: true });
  await anna.shows("> ");
  const ben = sit(room, "ben");
  await anna.shows("* ben [at a test] joined\n");
  ben.input.write("hello\n");
  await anna.shows("ben [at a test]: hello\n");
  expect(anna.screen().split("hello\n").at(-1)).toContain("> ");
  anna.input.write("/frob\r");
  await anna.shows("there is no /frob");
  anna.input.write("/quit\r");
  await anna.talking;
  await ben.shows("* anna left\n");
  ben.controller.abort();
  await Promise.all([ben.talking, anna.stay, ben.stay]);
});

test("who is called off before the start leaves at once", async () => {
  const [inside, socket] = duplexPair();
  const room = new Room();
  const stay = room.enter(inside, "at a test");
  const input = new PassThrough();
  await talk(socket, {
    name: "x",
    json: false,
    signal: AbortSignal.abort(),
    input,
    output: new PassThrough().resume(),
  });
  await stay;
  expect(room.people).toEqual([]);
});
