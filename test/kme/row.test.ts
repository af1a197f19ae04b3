import { describe, expect, test } from "vitest";
import { decodeRow, encodeRow } from "../../src/kme/row.ts";
import { isWiped } from "../support/scripted-source.ts";

const key = Uint8Array.from({ length: 32 }, (_, n) => n);
const held = { key, at: 7, master: "sae-a", slaves: ["sae-b", "ß"], waiting: ["ß"], blocks: 2 };

describe("a row as bytes", () => {
  test.each([
    ["outgoing", { key, at: 1.5 }],
    ["incoming", { key, at: 0 }],
    ["held", held],
    ["doubt", { key: new Uint8Array(0), at: 3, blocks: ["one", "two"] }],
  ] as const)("of the table %s comes back", (table, row) => {
    expect(decodeRow(table, encodeRow(row))).toEqual(row);
  });

  test("has a key of its own, also when the bytes are a Buffer", () => {
    const bytes = Buffer.from(encodeRow({ key, at: 1 }));
    const row = decodeRow("outgoing", bytes);
    bytes.fill(0);
    expect(isWiped(row!.key)).toBe(false);
  });

  test.each([
    ["nothing", new Uint8Array(0)],
    ["a length beyond the end", Uint8Array.of(0, 0, 0, 9, 123, 125)],
    ["no JSON", Uint8Array.of(0, 0, 0, 1, 123)],
    ["no time", Uint8Array.of(0, 0, 0, 2, 123, 125)],
  ])("that is %s is none", (_, bytes) => {
    expect(decodeRow("incoming", bytes)).toBeUndefined();
  });

  test.each([{ blocks: -1 }, { blocks: 0.5 }, { master: 7 }, { slaves: "sae-b" }, { waiting: [1] }])(
    "of a key that waits is none with %j",
    (fault) => {
      expect(decodeRow("held", encodeRow({ ...held, ...(fault as object) }))).toBeUndefined();
    },
  );
});
