import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { FibreEnd } from "../../../src/kme/site/fibre-end.ts";
import { type BatchTag, FibreMessages } from "../../../src/kme/site/fibre-messages.ts";
import { utf8 } from "../../../src/protocol/bytes.ts";
import { closing, until } from "./site-bed.ts";

const tag: BatchTag = { session: new Uint8Array(16), block: 1, batch: 0 };
const optics = FibreMessages.write("optics", { preset: utf8("metro-10km"), length_metres: 10_000 });

/** A site's end at a fibre process that says what the test has it say. */
async function at(site: "a" | "b", ...says: readonly Uint8Array[]) {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => undefined);
    for (const message of says) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(message.length);
      socket.write(Buffer.concat([length, message]));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing({ close: () => server.close() });
  const down: (Error | undefined)[] = [];
  const records: object[] = [];
  const end = closing(
    new FibreEnd({
      endpoint: { host: "127.0.0.1", port: (server.address() as { port: number }).port },
      site,
      onUp: () => undefined,
      onDown: (why) => void down.push(why),
      onPrepared: (_, record) => void records.push(record),
      onDazzled: () => undefined,
      onDetected: (_, record) => void records.push(record),
    }),
  );
  return { end, down, records };
}

test("what the devices say is taken, and is gone with them", async () => {
  const { end, down } = await at("a", optics);
  await until(() => end.devices !== undefined);
  expect(end.devices).toMatchObject({ preset: { name: "metro-10km" }, fibre: { lengthKm: 10 } });
  end.close();
  expect([end.devices, down]).toEqual([undefined, [undefined]]);
});

test("records are handed on as the site's own", async () => {
  const slots = Uint32Array.of(3, 9);
  const detected = { tag, pulses: 10, slots, outcomes: Uint8Array.of(1, 2), double_clicks: 1 };
  const { records } = await at("b", optics, FibreMessages.write("detected", detected));
  await until(() => records.length === 1);
  const record = { simulated: true, pulses: 10, slots, outcomes: Uint8Array.of(1, 2), doubleClicks: 1 };
  expect(records).toEqual([record]);
});

const empty = new Uint8Array(0);
const none = { tag, pulses: 1, slots: new Uint32Array(0) };
test.each<[string, "a" | "b", Uint8Array, string]>([
  [
    "optics that are not known here",
    "a",
    FibreMessages.write("optics", { preset: utf8("moon"), length_metres: 1 }),
    "ERR_LINK_MALFORMED",
  ],
  [
    "what Bob saw, to Alice",
    "a",
    FibreMessages.write("detected", { ...none, outcomes: empty, double_clicks: 0 }),
    "ERR_LINK_UNEXPECTED",
  ],
  [
    "what Alice sent, to Bob",
    "b",
    FibreMessages.write("prepared", { ...none, choices: empty }),
    "ERR_LINK_UNEXPECTED",
  ],
  ["that the end is taken", "b", FibreMessages.write("taken", { site: 2 }), "ERR_LINK_CLOSED"],
  ["something else", "b", Uint8Array.of(99), "ERR_LINK_MALFORMED"],
])("a fibre process that says %s is left, and tried again", async (_, site, message, code) => {
  const { down } = await at(site, optics, message);
  await until(() => down.length >= 2);
  expect(down.slice(0, 2)).toMatchObject([{ code }, { code }]);
});
