import { execFile, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ClassicLevel } from "classic-level";
import { afterAll, describe, expect, test, vi } from "vitest";
import { diskBackend } from "../../src/kme/disk.ts";
import type { Content } from "../../src/kme/format.ts";
import { type Backend, NOTHING } from "../../src/kme/records.ts";

const root = mkdtempSync(join(tmpdir(), "qkd-tls-disk-"));
afterAll(() => rmSync(root, { recursive: true }));

const KEY = Uint8Array.from({ length: 32 }, (_, n) => n);
const CONTENT: Content = { blockBytes: 8, simulated: true };
let made = 0;
const fresh = (): string => join(root, `store-${made++}`);
const open = (directory: string, options: object = {}, content = CONTENT): Promise<Backend> =>
  diskBackend({ directory, key: KEY, ...options }, content);

const SECRET = Uint8Array.from(Buffer.from("8Bytes!!"));
const block = (at: number) => ({ key: new Uint8Array(SECRET), at });
const put = (backend: Backend, ...ids: string[]): Promise<void> =>
  backend.transact(async (records) => {
    for (const [at, id] of ids.entries()) records.put("outgoing", id, block(at));
    records.count("made", ids.length);
  });
const ids = (backend: Backend): Promise<readonly string[]> =>
  backend.transact((records) => records.oldest("outgoing", Infinity));

/** A store as a killed process leaves it, every batch in its log: 200 blocks, of which 30 are taken out again, one after the other. */
async function used(): Promise<string> {
  const directory = fresh();
  const backend = await open(directory);
  await put(backend, ...Array.from({ length: 200 }, (_, n) => `block ${n}`));
  for (let n = 0; n < 30; n++) {
    await backend.transact(async (records) => records.remove("outgoing", `block ${n}`));
  }
  const killed = fresh();
  cpSync(directory, killed, { recursive: true });
  await backend.close();
  return killed;
}
const inside = (directory: string, end: string): string[] =>
  readdirSync(join(directory, "records"))
    .filter((name) => name.endsWith(end))
    .map((name) => join(directory, "records", name));
/** The file with the latest batches: none of them may be lost unseen. */
const log = (directory: string): string => inside(directory, ".log").find((path) => statSync(path).size > 0)!;

describe("records in a directory", () => {
  test("are there again with what was counted, oldest first", async () => {
    const directory = fresh();
    let backend = await open(directory);
    const held = { master: "m", slaves: ["s", "t"], waiting: ["t"], blocks: 0 };
    await backend.transact(async (records) => {
      records.put("outgoing", "z", block(1));
      records.put("outgoing", "a", block(2));
      records.put("incoming", "i", block(3));
      records.put("held", "h", { ...block(4), ...held });
      records.put("doubt", "d", { ...block(5), blocks: ["x"] });
      records.count("made", 5);
    });
    await backend.transact(async (records) => {
      records.remove("incoming", "i");
      records.count("lost", 1);
    });
    await backend.close();
    backend = await open(directory);
    expect(backend.tally).toEqual({ ...NOTHING, made: 5, lost: 1 });
    expect(await ids(backend)).toEqual(["z", "a"]);
    await backend.transact(async (records) => {
      expect(await records.has("incoming", "i")).toBe(false);
      expect(await records.get("held", "h")).toEqual({ ...block(4), ...held });
      expect(await records.get("doubt", "d")).toEqual({ ...block(5), blocks: ["x"] });
    });
    await backend.close();
    await expect(ids(backend)).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
  });

  test("can be read while they are being written", async () => {
    const backend = await open(fresh());
    const writing = put(backend, "one");
    const key = await backend.transact(async (records) => (await records.get("outgoing", "one"))?.key);
    expect(key).toEqual(SECRET);
    await writing;
    await backend.close();
  });

  test("that are written at once share a flush: each is there when its promise is fulfilled", async () => {
    const directory = fresh();
    const backend = await open(directory);
    const batch = vi.spyOn(ClassicLevel.prototype, "batch");
    await Promise.all(Array.from({ length: 50 }, (_, n) => put(backend, `block ${n}`)));
    const calls: readonly unknown[][] = batch.mock.calls;
    const batches = calls.map(([operations]) => (operations as unknown[]).length - 1);
    for (const [, options] of calls) expect(options).toEqual({ sync: true });
    batch.mockRestore();
    expect(batches.reduce((sum, each) => sum + each)).toBe(50);
    expect(batches.length).toBeLessThan(50);
    await backend.close();
  });

  test("are encrypted: neither a key nor a name of an SAE is in any file, and others cannot read the directory", async () => {
    const directory = fresh();
    const backend = await open(directory);
    await put(backend, "one", "two");
    const held = { master: "the-master", slaves: ["the-slave"], waiting: ["the-slave"], blocks: 1 };
    await backend.transact(async (records) => records.put("held", "k", { ...block(1), ...held }));
    await backend.close();
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile());
    const bytes = Buffer.concat(files.map((path) => readFileSync(path)));
    expect(bytes.includes("two")).toBe(true);
    for (const secret of [SECRET, "the-master", "the-slave", KEY])
      expect(bytes.includes(Buffer.from(secret))).toBe(false);
    if (process.platform !== "win32") expect(statSync(directory).mode & 0o077).toBe(0);
  });

  test("leave the files, too: once the store is closed, and when it opens after a crash", async () => {
    const directory = fresh();
    let backend = await open(directory);
    await put(backend, "here-and-gone", "here");
    await backend.transact(async (records) => records.remove("outgoing", "here-and-gone"));
    const traces = (of: string): string[] =>
      [...inside(of, ".log"), ...inside(of, ".ldb")].filter((path) =>
        readFileSync(path).includes("here-and-gone"),
      );
    const killed = fresh();
    cpSync(directory, killed, { recursive: true });
    await backend.close();
    expect(traces(directory)).toEqual([]);
    expect(traces(killed)).toHaveLength(1);
    backend = await open(killed);
    expect(traces(killed)).toEqual([]);
    await backend.close();
  });
});

describe("a store does not open", () => {
  const refused = (directory: string, code: string, options: object = {}, content = CONTENT) =>
    expect(open(directory, options, content)).rejects.toMatchObject({ name: "StoreError", code });

  test("with another key, and its own opens it afterwards", async () => {
    const directory = await used();
    await refused(directory, "ERR_STORE_KEY", { key: new Uint8Array(32) });
    await (await open(directory)).close();
  });

  test("with a key of another length", async () => {
    await expect(open(fresh(), { key: new Uint8Array(16) })).rejects.toMatchObject({
      name: "UsageError",
      code: "ERR_OPTION_INVALID",
      option: "key",
    });
  });

  test("for another kind of link", async () => {
    const directory = await used();
    await refused(directory, "ERR_STORE_MISMATCH", {}, { ...CONTENT, blockBytes: 16 });
    await refused(directory, "ERR_STORE_MISMATCH", {}, { ...CONTENT, simulated: false });
  });

  test("twice in one process", async () => {
    const directory = fresh();
    const backend = await open(directory);
    await refused(directory, "ERR_STORE_LOCKED");
    await backend.close();
    await (await open(directory)).close();
  });

  test("in a second process, until the first has ended, however it did", async () => {
    const directory = fresh();
    await (await open(directory)).close();
    const script =
      'import { ClassicLevel } from "classic-level";' +
      'await new ClassicLevel(process.argv[1]).open(); console.log("open"); setInterval(() => {}, 1000);';
    const flags = ["--input-type=module", "--eval", script, "--", join(directory, "records")];
    const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
    const gone = new Promise((resolve) => child.once("exit", resolve));
    try {
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await refused(directory, "ERR_STORE_LOCKED");
    } finally {
      child.kill("SIGKILL");
      await gone;
    }
    await (await open(directory)).close();
  });

  test("where no directory can be made", async () => {
    const file = join(root, "a file");
    writeFileSync(file, "");
    await refused(file, "ERR_STORE_UNWRITABLE");
    await refused(join(file, "below"), "ERR_STORE_UNWRITABLE");
  });

  test.skipIf(process.platform === "win32")("where others may write (Windows has no such bits)", async () => {
    const directory = await used();
    for (const mode of [0o720, 0o702]) {
      chmodSync(directory, mode);
      await expect(open(directory)).rejects.toMatchObject({ code: "ERR_FILE_UNSAFE", option: "directory" });
    }
    chmodSync(directory, 0o755);
    await (await open(directory)).close();
  });

  test("of a later version", async () => {
    const directory = await used();
    const level = new ClassicLevel(join(directory, "records"), { valueEncoding: "json" });
    const format: any = await level.get("format");
    await level.put("format", { ...format, version: 2 });
    await level.close();
    await refused(directory, "ERR_STORE_VERSION");
  });

  test.each<[name: string, spoil: (level: ClassicLevel<string, Buffer>) => Promise<void>]>([
    ["a record is changed", async (level) => level.put("outgoing!block 150", Buffer.alloc(80, 7))],
    [
      "a record is put under another id",
      async (level) => level.put("outgoing!other", (await level.get("outgoing!block 150"))!),
    ],
    [
      "a record stands in another table",
      async (level) => level.put("incoming!block 150", (await level.get("outgoing!block 150"))!),
    ],
    ["a record is gone", async (level) => level.del("outgoing!block 150")],
    [
      "one record takes the place of two",
      async (level) =>
        level.batch([
          { type: "del", key: "outgoing!block 150" },
          { type: "put", key: "outgoing!block 151", value: (await level.get("outgoing!block 150"))! },
        ]),
    ],
    ["a foreign record is there", async (level) => level.put("note", Buffer.from("hello"))],
    ["the head is gone", async (level) => level.del("head")],
    ["the format is gone", async (level) => level.del("format")],
    ["the format is no JSON", async (level) => level.put("format", Buffer.from("{"))],
    ["the format lacks a member", async (level) => level.put("format", Buffer.from('{"version":1}'))],
  ])("when %s", async (_, spoil) => {
    const directory = await used();
    const level = new ClassicLevel<string, Buffer>(join(directory, "records"), { valueEncoding: "buffer" });
    await spoil(level);
    await level.close();
    await refused(directory, "ERR_STORE_CORRUPT");
  });

  test("when a block that was taken is put back as it was", async () => {
    const directory = fresh();
    const backend = await open(directory);
    await put(backend, "one", "two");
    await backend.close();
    let level = new ClassicLevel<string, Buffer>(join(directory, "records"), { valueEncoding: "buffer" });
    const taken = (await level.get("outgoing!one"))!;
    await level.close();
    const later = await open(directory);
    await later.transact(async (records) => records.remove("outgoing", "one"));
    await later.close();
    level = new ClassicLevel(join(directory, "records"), { valueEncoding: "buffer" });
    await level.put("outgoing!one", taken);
    await level.close();
    await refused(directory, "ERR_STORE_CORRUPT");
  });

  test.each([0.25, 0.5, 0.75, 0.999])("when its log ends after %d of its length", async (part) => {
    const directory = await used();
    const path = log(directory);
    truncateSync(path, Math.floor(part * statSync(path).size));
    await refused(directory, "ERR_STORE_CORRUPT");
  });

  test.each([0.25, 0.5, 0.75, 0.999])("when its log is damaged after %d of its length", async (part) => {
    const directory = await used();
    const path = log(directory);
    const bytes = readFileSync(path);
    bytes[Math.floor(part * bytes.length)]! ^= 0x10;
    writeFileSync(path, bytes);
    await refused(directory, "ERR_STORE_CORRUPT");
  });

  test("when its witness is gone, is older than nothing, or is no witness", async () => {
    const directory = await used();
    const witness = join(directory, "witness");
    const bytes = readFileSync(witness);
    writeFileSync(witness, bytes.subarray(1));
    await refused(directory, "ERR_STORE_CORRUPT");
    rmSync(witness);
    await refused(directory, "ERR_STORE_CORRUPT");
    writeFileSync(witness, bytes);
    await (await open(directory)).close();
  });

  test("when LevelDB's own files are gone", async () => {
    for (const name of ["CURRENT", "MANIFEST"]) {
      const directory = await used();
      for (const file of readdirSync(join(directory, "records"))) {
        if (file.startsWith(name)) rmSync(join(directory, "records", file));
      }
      await refused(directory, "ERR_STORE_CORRUPT");
    }
    const directory = await used();
    rmSync(join(directory, "records"), { recursive: true });
    await refused(directory, "ERR_STORE_CORRUPT");
  });
});

describe("a store that cannot be written any more", () => {
  test("says so, gives nothing out, and opens again with what was durable", async () => {
    const directory = fresh();
    const backend = await open(directory);
    await put(backend, "one", "two");
    expect(backend.failure).toBeUndefined();
    const batch = vi.spyOn(ClassicLevel.prototype, "batch");
    batch.mockRejectedValue(new Error("no space left on device"));
    const take = backend.transact(async (records) => {
      const row = await records.get("outgoing", "one");
      records.remove("outgoing", "one");
      return row;
    });
    await expect(take).rejects.toMatchObject({ code: "ERR_STORE_UNWRITABLE" });
    batch.mockRestore();
    expect(backend.failure).toMatchObject({ code: "ERR_STORE_UNWRITABLE" });
    // What the disk holds is not what was meant to be there: nothing is given out any more.
    await expect(put(backend, "three")).rejects.toMatchObject({ code: "ERR_STORE_UNWRITABLE" });
    await backend.close();
    const again = await open(directory);
    expect(await ids(again)).toEqual(["one", "two"]);
    await again.close();
  });

  test("begun but not finished is begun anew", async () => {
    const directory = fresh();
    const [records, witness] = [join(directory, "records"), join(directory, "witness")];
    mkdirSync(records, { recursive: true });
    const level = new ClassicLevel(records);
    await level.open();
    await level.close();
    await (await open(directory)).close();
    // Its first two records are written before its witness is.
    rmSync(witness);
    await (await open(directory)).close();
    writeFileSync(witness, "");
    const backend = await open(directory);
    await put(backend, "one");
    await backend.close();
    expect(readFileSync(witness)).toHaveLength(8);
  });

  const canLimit = process.platform !== "win32";
  test.skipIf(!canLimit)(
    "because the disk is full loses one key at most (no ulimit on Windows)",
    async () => {
      const directory = fresh();
      const script = `
      const { openLoopStore } = await import("./dist/kme/pair.js");
      const disk = { directory: process.argv[1], key: new Uint8Array(32).fill(5) };
      const { store } = await openLoopStore({ keysPerSecond: 0, initialKeys: 200 }, disk);
      const request = { master: "m", slaves: ["s"], number: 1, bytes: 32 };
      let given = 0, ended;
      try {
        for (;;) {
          const keys = await store.issue(request);
          if (typeof keys === "string") { ended = keys; break; }
          given += keys.length;
        }
      } catch (error) { ended = error.code; }
      const counters = store.counters;
      const again = await store.issue(request).catch((error) => error.code);
      await store.close();
      console.log(JSON.stringify({ given, ended, again, counters }));`;
      const run = async (limit: string): Promise<any> => {
        const flags = [
          "-c",
          `${limit} exec "$@"`,
          "sh",
          process.execPath,
          "--input-type=module",
          "--eval",
          script,
        ];
        const { stdout } = await promisify(execFile)("sh", [...flags, "--", directory]);
        return JSON.parse(stdout);
      };
      // 512 bytes each: 100 kB.
      const full = await run("ulimit -f 200;");
      expect(full).toMatchObject({ ended: "ERR_STORE_UNWRITABLE", again: "ERR_STORE_UNWRITABLE" });
      expect(full.given).toBeGreaterThan(0);
      expect(full.counters).toMatchObject({ made: 400, delivered: full.given });
      const rest = await run("");
      expect(rest).toMatchObject({ ended: "insufficient" });
      // In the loop each block lies twice: to issue from, and to deliver.
      const { delivered, lost, waiting, made } = rest.counters;
      expect(delivered).toBe(full.given + rest.given);
      expect(lost).toBeLessThanOrEqual(2);
      expect(delivered + lost + waiting).toBe(made);
    },
  );
});
