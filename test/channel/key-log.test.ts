import { expect, test } from "vitest";
import { KeyLog } from "../../src/channel/key-log.ts";

const hello = Uint8Array.from({ length: 60 }, (_, at) => at);
const random = "060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425";

test("RFC 9850: a line has the label, the first ClientHello's random and the secret, in hexadecimal", () => {
  const log = new KeyLog();
  expect(log.line("EXPORTER_SECRET", Uint8Array.of(1, 255))).toBeUndefined();
  log.begin(hello);
  log.begin(new Uint8Array(60));
  expect(log.line("EXPORTER_SECRET", Uint8Array.of(1, 255))).toBe(`EXPORTER_SECRET ${random} 01ff`);
});
