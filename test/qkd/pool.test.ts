import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fileKeySource } from "../../src/qkd/pool.ts";

const folder = mkdtempSync(join(tmpdir(), "qkd-tls-pool-"));
afterAll(() => rmSync(folder, { recursive: true }));

const id = (n: number): string => `00000000-0000-4000-8000-${n.toString().padStart(12, "0")}`;
const hex = (n: number, bytes = 32): string => Buffer.alloc(bytes, n).toString("hex");
let count = 0;

/** The two ends' copies of one file. */
function ends(
  entries: { id: string; key: string; initiator?: string }[],
  rest: object = {},
): [string, string] {
  return (["sae-b", "sae-a"] as const).map((peer) => {
    const path = join(folder, `${++count}.json`);
    const keys = entries.map((entry) => ({ ...entry, peer }));
    writeFileSync(path, JSON.stringify({ ...rest, keys }), { mode: 0o600 });
    return path;
  }) as [string, string];
}
const three = (): [string, string] => ends([1, 2, 3].map((n) => ({ id: id(n), key: hex(n) })));

describe("a pool of keys in a file", () => {
  test("one end draws in the file's order, the other redeems, each key once", async () => {
    const [pathA, pathB] = three();
    const a = await fileKeySource(pathA, { sae: "sae-a" });
    const b = await fileKeySource(pathB, { sae: "sae-b" });
    const first = await a.draw("sae-b");
    expect(first).toEqual({ id: id(1), key: new Uint8Array(32).fill(1), simulated: false, kind: "psk-file" });
    expect((await b.redeem("sae-a", id(1))).key).toEqual(first.key);
    await expect(b.redeem("sae-a", id(1))).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
    expect((await a.draw("sae-b")).id).toBe(id(2));
    expect(await a.status("sae-b")).toMatchObject({ stored: 1, keyBits: 256 });
    // What we drew ourselves nobody may announce to us.
    await expect(a.redeem("sae-b", id(2))).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
    await a.draw("sae-b");
    await expect(a.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
    expect(a.counters).toMatchObject({ drawn: 3, failures: 2 });
  });

  test("a restart gives no key again", async () => {
    const [path] = three();
    const before = await fileKeySource(path, { sae: "sae-a" });
    await before.draw("sae-b");
    expect(readdirSync(`${path}.used`)).toEqual([id(1)]);
    before.close();
    const after = await fileKeySource(path, { sae: "sae-a" });
    expect((await after.draw("sae-b")).id).toBe(id(2));
    await expect(after.redeem("sae-b", id(1))).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
  });

  test("two processes over one file never give the same key", async () => {
    const [path] = ends(Array.from({ length: 20 }, (_, n) => ({ id: id(n), key: hex(n + 1) })));
    const [one, two] = await Promise.all([1, 2].map(() => fileKeySource(path, { sae: "sae-a" })));
    const draws = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one! : two!).draw("sae-b"));
    const keys = await Promise.all(draws);
    expect(new Set(keys.map((key) => key.id)).size).toBe(20);
    await expect(one!.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
  });

  test("redeemed twice at once: exactly once", async () => {
    const [path] = three();
    const [one, two] = await Promise.all([1, 2].map(() => fileKeySource(path, { sae: "sae-a" })));
    const all = await Promise.allSettled([one!, two!, one!].map((source) => source.redeem("sae-b", id(2))));
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of all) if (one.status === "rejected") expect(one.reason.code).toBe("ERR_QKD_KEY_USED");
  });

  test("an initiator keeps the two directions apart", async () => {
    const [pathA, pathB] = ends([
      { id: id(1), key: hex(1), initiator: "sae-b" },
      { id: id(2), key: hex(2), initiator: "sae-a" },
    ]);
    const a = await fileKeySource(pathA, { sae: "sae-a" });
    const b = await fileKeySource(pathB, { sae: "sae-b" });
    const [fromA, fromB] = await Promise.all([a.draw("sae-b"), b.draw("sae-a")]);
    expect([fromA.id, fromB.id]).toEqual([id(2), id(1)]);
    await expect(b.draw("sae-a")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
    await b.redeem("sae-a", id(2));
    await a.redeem("sae-b", id(1));
  });

  test("another length is refused before the key is spent", async () => {
    const [path] = ends([{ id: id(1), key: hex(1, 48) }]);
    const a = await fileKeySource(path, { sae: "sae-a" });
    await expect(a.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_KEY_SIZE" });
    await expect(a.redeem("sae-b", id(1))).rejects.toMatchObject({ code: "ERR_QKD_KEY_SIZE" });
    expect((await a.draw("sae-b", { bytes: 48 })).key).toHaveLength(48);
  });

  test("unknown ids and peers are refused", async () => {
    const [path] = ends([{ id: id(1), key: hex(1) }], { simulated: true });
    const a = await fileKeySource(path, { sae: "sae-a" });
    expect(a.simulated).toBe(true);
    await expect(a.redeem("sae-c", id(1))).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
    await expect(a.redeem("sae-b", id(9))).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
    await expect(a.redeem("sae-b", "../../etc/passwd")).rejects.toMatchObject({ code: "ERR_QKD_REFUSED" });
    await expect(a.draw("sae-c")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
    expect((await a.draw("sae-b")).simulated).toBe(true);
  });

  test("a use that cannot be recorded is no use", async () => {
    const [path] = three();
    const usedPath = join(folder, `gone-${++count}`);
    const a = await fileKeySource(path, { sae: "sae-a", usedPath });
    rmSync(usedPath, { recursive: true });
    await expect(a.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_REJECTED" });
    expect(a.counters).toMatchObject({ drawn: 0, lost: 1 });
  });

  test("close wipes; later calls fail", async () => {
    const [path] = three();
    const a = await fileKeySource(path, { sae: "sae-a" });
    a.close();
    await expect(a.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    await expect(a.redeem("sae-b", id(1))).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
  });
});

describe("the file is refused", () => {
  test("without a peer, unless one is given", async () => {
    const path = join(folder, `${++count}.psk`);
    writeFileSync(path, `${id(1)}:${hex(1)}\n`, { mode: 0o600 });
    await expect(fileKeySource(path, { sae: "sae-a" })).rejects.toMatchObject({
      code: "ERR_OPTION_MISSING",
      option: "peer",
      message: expect.stringContaining("line 1"),
    });
    const a = await fileKeySource(path, { sae: "sae-a", peer: "sae-b" });
    expect((await a.draw("sae-b")).id).toBe(id(1));
  });

  test("with an id that is no UUID, or when it is open to others", async () => {
    const [path] = ends([{ id: "one", key: hex(1) }]);
    await expect(fileKeySource(path, { sae: "sae-a" })).rejects.toMatchObject({ code: "ERR_FILE_INVALID" });
    expect(existsSync(`${path}.used`)).toBe(false);
    const [other] = three();
    chmodSync(other, 0o644);
    if (process.platform !== "win32") {
      await expect(fileKeySource(other, { sae: "sae-a" })).rejects.toMatchObject({ code: "ERR_FILE_UNSAFE" });
    }
  });

  test("when the record of used keys is no folder", async () => {
    const [path] = three();
    writeFileSync(`${path}.used`, "");
    await expect(fileKeySource(path, { sae: "sae-a" })).rejects.toMatchObject({ code: "ERR_FILE_INVALID" });
  });
});
