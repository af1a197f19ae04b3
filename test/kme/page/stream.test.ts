import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { History } from "../../../src/kme/page/history.ts";
import { Stream } from "../../../src/kme/page/stream.ts";
import { bed } from "./watched.ts";

const { watched } = bed();
const figures = new History(watched, { hasControls: false }).look();

/** A reader that takes what it is sent, or leaves it all unread. */
function reader(isSlow = false) {
  let heard = "";
  const sink = new Writable({
    decodeStrings: false,
    write(chunk: string, _, done) {
      heard += chunk;
      if (!isSlow) done();
    },
  });
  const response = Object.assign(sink, { writeHead: () => sink }) as unknown as ServerResponse; // all that is used of it
  return { response, heard: () => heard };
}
const closed = ({ response }: ReturnType<typeof reader>) =>
  new Promise((resolve) => response.once("close", resolve));

describe("a reader", () => {
  test("hears the whole, and then what is new", () => {
    const stream = new Stream({ maxReaders: 2, maxUnreadBytes: 10_000 });
    const one = reader();
    expect(stream.join(one.response, figures)).toBe(true);
    stream.tell({ ...figures, at: 7 });
    const events = one.heard().split("\n\n").slice(0, -1);
    const parsed = events.map((event) => /^event: (\w+)\ndata: (.*)$/.exec(event)?.slice(1));
    expect(parsed.map((event) => [event?.[0], JSON.parse(event?.[1] ?? "").at])).toEqual([
      ["whole", figures.at],
      ["news", 7],
    ]);
  });

  test("that is one too many is not let in, until another has gone", async () => {
    const stream = new Stream({ maxReaders: 1, maxUnreadBytes: 10_000 });
    const [one, two] = [reader(), reader()];
    expect([stream.join(one.response, figures), stream.join(two.response, figures)]).toEqual([true, false]);
    expect(two.heard()).toBe("");
    const gone = closed(one);
    one.response.destroy();
    await gone;
    expect(stream.join(two.response, figures)).toBe(true);
  });

  test("that does not keep up is dropped, and the others are not", async () => {
    const stream = new Stream({ maxReaders: 2, maxUnreadBytes: 10_000 });
    const [slow, quick] = [reader(true), reader()];
    for (const { response } of [slow, quick]) stream.join(response, figures);
    const gone = closed(slow);
    const bytes = JSON.stringify(figures).length;
    for (let sent = 0; sent < 10_000 + 3 * bytes; sent += bytes) stream.tell(figures);
    await gone;
    expect(stream.readers).toBe(1);
    stream.tell({ ...figures, at: 8 });
    expect(quick.heard()).toContain('"at":8');
  });

  test("is let go when the page ends", async () => {
    const stream = new Stream({ maxReaders: 2, maxUnreadBytes: 10_000 });
    const one = reader();
    stream.join(one.response, figures);
    const gone = closed(one);
    stream.close();
    await gone;
    expect(stream.readers).toBe(0);
  });
});
