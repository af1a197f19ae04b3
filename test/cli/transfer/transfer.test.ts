import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { TransferError } from "../../../src/cli/transfer/error.ts";
import { DATA_BYTES, encodeMessage, PROTOCOL, VERSION } from "../../../src/cli/transfer/messages.ts";
import { receiveInto } from "../../../src/cli/transfer/receive.ts";
import type { Progress } from "../../../src/cli/transfer/report.ts";
import { sendPath } from "../../../src/cli/transfer/send.ts";
import { directory, noise, socketPair, transfer, transferred, tree } from "./bed.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
const failure = (code: string) => expect.objectContaining({ code });

/** A directory with a file of so many random bytes. */
function oneFile(length: number, name = "file.bin") {
  const from = directory();
  const content = noise(length);
  const path = join(from, name);
  writeFileSync(path, content);
  return { from, path, content };
}

const parts = (path: string): string[] => readdirSync(path).filter((name) => name.endsWith(".part"));

describe("one file", () => {
  test.each([0, 1, DATA_BYTES - 1, DATA_BYTES, 3 * DATA_BYTES + 17])(
    "of %d bytes arrives",
    async (length) => {
      const { path, content } = oneFile(length);
      chmodSync(path, 0o640);
      utimesSync(path, 1_700_000_000, 1_700_000_000);
      const into = directory();
      const report = await transferred(path, into);
      expect(report.files).toEqual([
        { path: "file.bin", sizeBytes: length, outcome: "stored", sha256: sha256(content), resumedBytes: 0 },
      ]);
      expect(report.bytes).toBe(length);
      expect(readFileSync(join(into, "file.bin")).equals(content)).toBe(true);
      const { mode, mtimeMs } = statSync(join(into, "file.bin"));
      expect(mode & 0o777).toBe(0o640 & ~process.umask());
      expect(mtimeMs).toBe(1_700_000_000_000);
      expect(tree(into)).toEqual(["file.bin"]);
    },
  );

  test("reports its progress up to the whole", async () => {
    const { path } = oneFile(3 * DATA_BYTES);
    const seen: Progress[] = [];
    await transferred(path, directory(), { send: { onProgress: (progress) => seen.push(progress) } });
    const bytes = seen.map((each) => each.bytes);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toEqual({
      path: "file.bin",
      bytes: 3 * DATA_BYTES,
      totalBytes: 3 * DATA_BYTES,
      carriedBytes: 3 * DATA_BYTES,
      files: 1,
      totalFiles: 1,
    });
  });

  test("is skipped when it is there already, empty ones too", async () => {
    for (const length of [0, 1000]) {
      const { path, content } = oneFile(length);
      const into = directory();
      await transferred(path, into);
      utimesSync(path, 1, 1);
      const { files, carriedBytes } = await transferred(path, into);
      expect(files).toEqual([
        expect.objectContaining({ outcome: "skipped", sha256: sha256(content), sizeBytes: length }),
      ]);
      expect(carriedBytes).toBe(0);
    }
  });

  test.each([[999], [1000], [0]])(
    "is not replaced by another of %d bytes, unless told to",
    async (length) => {
      const { path, content } = oneFile(1000);
      const into = directory();
      const old = noise(length);
      writeFileSync(join(into, "file.bin"), old);
      const { sent, received } = await transfer(path, into);
      expect(sent).toEqual(failure("ERR_TRANSFER_EXISTS"));
      expect(received).toEqual(failure("ERR_TRANSFER_EXISTS"));
      expect(sent).toMatchObject({ report: { files: [{ outcome: "failed" }] } });
      expect(readFileSync(join(into, "file.bin")).equals(old)).toBe(true);
      await transferred(path, into, { receive: { overwrite: true } });
      expect(readFileSync(join(into, "file.bin")).equals(content)).toBe(true);
      expect(tree(into)).toEqual(["file.bin"]);
    },
  );

  test("never goes where a directory or, without leave, a link is; with leave the link itself is replaced", async () => {
    const { path, content } = oneFile(10);
    const into = directory();
    const victim = oneFile(10).path;
    mkdirSync(join(into, "file.bin"));
    for (const overwrite of [false, true]) {
      expect((await transfer(path, into, { receive: { overwrite } })).sent).toEqual(
        failure("ERR_TRANSFER_EXISTS"),
      );
    }
    const linked = directory();
    symlinkSync(victim, join(linked, "file.bin"));
    const before = readFileSync(victim);
    expect((await transfer(path, linked)).sent).toEqual(failure("ERR_TRANSFER_EXISTS"));
    await transferred(path, linked, { receive: { overwrite: true } });
    expect(readFileSync(join(linked, "file.bin")).equals(content)).toBe(true);
    expect(readFileSync(victim).equals(before)).toBe(true);
  });

  test("does not follow a link that took the place of its beginning", async () => {
    const { path } = oneFile(3 * DATA_BYTES);
    const into = directory();
    await transfer(path, into, { mischief: { cutAfterBytes: DATA_BYTES * 2 } });
    const [part = ""] = parts(into);
    const victim = oneFile(10);
    rmSync(join(into, part));
    symlinkSync(victim.path, join(into, part));
    await transferred(path, into);
    expect(readFileSync(victim.path).equals(victim.content)).toBe(true);
  });
});

describe("a directory", () => {
  test("arrives with its empty parts and names in every script; links stay behind and are named", async () => {
    const from = join(directory(), "tree");
    mkdirSync(join(from, "sub/empty"), { recursive: true });
    mkdirSync(join(from, "你好"));
    writeFileSync(join(from, "sub/a.txt"), "a");
    writeFileSync(join(from, "sub/zero"), "");
    writeFileSync(join(from, "你好/Grüße 🗝️.txt"), "g");
    writeFileSync(join(from, ".x.0123456789abcdef.part"), "rest");
    symlinkSync("/etc/hostname", join(from, "link"));
    symlinkSync("..", join(from, "loop"));
    const into = directory();
    const report = await transferred(from, into);
    expect(tree(into)).toEqual([
      "tree/",
      "tree/sub/",
      "tree/sub/a.txt",
      "tree/sub/empty/",
      "tree/sub/zero",
      "tree/你好/",
      "tree/你好/Grüße 🗝️.txt",
    ]);
    expect(report.directories).toBe(4);
    expect(report.omitted.map((each) => each.path)).toEqual([
      "tree/.x.0123456789abcdef.part",
      "tree/link",
      "tree/loop",
    ]);
  });

  test("goes on after a file that is refused, and says which", async () => {
    const from = join(directory(), "d");
    mkdirSync(from);
    for (const name of ["a", "b", "c"]) writeFileSync(join(from, name), name);
    writeFileSync(join(from, "new\nline"), "x");
    const into = directory();
    mkdirSync(join(into, "d"));
    writeFileSync(join(into, "d/b"), "other");
    const { sent, received } = await transfer(from, into);
    expect(sent).toEqual(failure("ERR_TRANSFER_INCOMPLETE"));
    expect(received).toEqual(failure("ERR_TRANSFER_EXISTS"));
    const { report } = sent as TransferError;
    expect(report?.files.map((each) => [each.path, each.outcome, each.error?.code])).toEqual([
      ["d/new\nline", "failed", "ERR_TRANSFER_PATH"],
      ["d/a", "stored", undefined],
      ["d/b", "failed", "ERR_TRANSFER_EXISTS"],
      ["d/c", "stored", undefined],
    ]);
    expect(readFileSync(join(into, "d/b"), "utf8")).toBe("other");
  });

  test("must exist", async () => {
    const { sent } = await transfer(join(directory(), "nothing"), directory());
    expect(sent).toEqual(failure("ERR_TRANSFER_FILE"));
  });
});

describe("a cut", () => {
  test("anywhere leaves nothing under the final name, and the next connection goes on", async () => {
    const length = 5 * DATA_BYTES + 123;
    const { path, content } = oneFile(length);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: length }), { minLength: 1, maxLength: 3 }),
        async (cuts) => {
          const into = directory();
          for (const cutAfterBytes of cuts) {
            const { sent, received } = await transfer(path, into, { mischief: { cutAfterBytes } });
            // Later cuts may lie behind the rest that is still to come.
            if (!(sent instanceof Error)) break;
            expect(sent).toEqual(failure("ERR_TRANSFER_CUT"));
            expect(received).toEqual(failure("ERR_TRANSFER_CUT"));
            expect((sent as TransferError).resumable).toBe(true);
            expect(readdirSync(into).filter((name) => !name.endsWith(".part"))).toEqual([]);
          }
          const [part] = parts(into);
          const heldBytes = part === undefined ? 0 : statSync(join(into, part)).size;
          const { files, carriedBytes } = await transferred(path, into);
          if (files[0]?.outcome === "stored") {
            expect(files[0].resumedBytes).toBe(heldBytes);
            expect(carriedBytes).toBe(length - heldBytes);
          }
          expect(readFileSync(join(into, "file.bin")).equals(content)).toBe(true);
          expect(parts(into)).toEqual([]);
        },
      ),
      { numRuns: 8 },
    );
  });

  test("whose beginning was damaged on the disk starts anew", async () => {
    const { path, content } = oneFile(4 * DATA_BYTES);
    const into = directory();
    await transfer(path, into, { mischief: { cutAfterBytes: 3 * DATA_BYTES } });
    const [part = ""] = parts(into);
    const file = await open(join(into, part), "r+");
    await file.write(Buffer.from([content[5]! ^ 1]), 0, 1, 5);
    await file.close();
    const { files } = await transferred(path, into);
    expect(files[0]).toMatchObject({ outcome: "stored", resumedBytes: 0 });
    expect(readFileSync(join(into, "file.bin")).equals(content)).toBe(true);
  });

  test("while an older file is replaced keeps that file and still goes on", async () => {
    const { path, content } = oneFile(4 * DATA_BYTES);
    const into = directory();
    const old = noise(4 * DATA_BYTES);
    writeFileSync(join(into, "file.bin"), old);
    const receive = { overwrite: true };
    await transfer(path, into, { receive, mischief: { cutAfterBytes: 3 * DATA_BYTES } });
    expect(readFileSync(join(into, "file.bin")).equals(old)).toBe(true);
    const { files } = await transferred(path, into, { receive });
    expect(files[0]?.resumedBytes).toBeGreaterThan(0);
    expect(readFileSync(join(into, "file.bin")).equals(content)).toBe(true);
  });

  test("between directories resumes by skipping what is there", async () => {
    const from = join(directory(), "d");
    mkdirSync(from);
    for (let i = 0; i < 20; i++) writeFileSync(join(from, `f${String(i).padStart(2, "0")}`), noise(10_000));
    const into = directory();
    await transfer(from, into, { mischief: { cutAfterBytes: 105_000 } });
    const there = tree(into).filter((name) => /f\d\d$/.test(name)).length;
    expect(there).toBeGreaterThan(5);
    const { files } = await transferred(from, into);
    expect(files.filter((each) => each.outcome === "skipped")).toHaveLength(there);
    expect(tree(into)).toHaveLength(21);
  });
});

describe("what goes wrong", () => {
  test("content changed on the way is refused and leaves nothing behind", async () => {
    const { path } = oneFile(3 * DATA_BYTES);
    const into = directory();
    const flipAt = DATA_BYTES;
    const alter = (chunk: Buffer, offset: number): Buffer => {
      if (offset > flipAt || offset + chunk.length <= flipAt) return chunk;
      const altered = Buffer.from(chunk);
      altered[flipAt - offset]! ^= 1;
      return altered;
    };
    const { sent, received } = await transfer(path, into, { mischief: { alter } });
    expect(sent).toEqual(failure("ERR_TRANSFER_DIGEST"));
    expect(received).toEqual(failure("ERR_TRANSFER_DIGEST"));
    expect(tree(into)).toEqual([]);
  });

  test("a file that becomes shorter or changes while it is sent is given up", async () => {
    for (const change of [
      (path: string) => truncateSync(path, DATA_BYTES),
      (path: string) => appendFileSync(path, "more"),
    ]) {
      const { path } = oneFile(40 * DATA_BYTES);
      const into = directory();
      let changed = false;
      const onProgress = ({ bytes }: Progress): void => {
        if (bytes > 0 && !changed) change(path);
        changed ||= bytes > 0;
      };
      const { sent, received } = await transfer(path, into, { send: { onProgress } });
      expect(sent).toEqual(failure("ERR_TRANSFER_CHANGED"));
      expect(received).toEqual(failure("ERR_TRANSFER_CHANGED"));
      expect(tree(into)).toEqual([]);
    }
  });

  test("a full disk, known beforehand or met on the way, is named on both sides", async () => {
    const { path } = oneFile(3 * DATA_BYTES);
    const handle = await open(path);
    const prototype = Object.getPrototypeOf(handle) as { write(): Promise<never> };
    await handle.close();
    const into = directory();
    vi.spyOn(prototype, "write").mockRejectedValue(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }));
    const { sent, received } = await transfer(path, into);
    expect(sent).toEqual(failure("ERR_TRANSFER_DISK_FULL"));
    expect(received).toEqual(failure("ERR_TRANSFER_DISK_FULL"));
    vi.restoreAllMocks();
    expect(tree(into).filter((name) => !name.endsWith(".part"))).toEqual([]);

    const sparse = join(directory(), "huge");
    writeFileSync(sparse, "");
    truncateSync(sparse, 2 ** 43);
    expect((await transfer(sparse, directory())).sent).toEqual(failure("ERR_TRANSFER_DISK_FULL"));
  });

  test("more than is allowed is refused: bytes, then files", async () => {
    const { path, from } = oneFile(1000);
    expect((await transfer(path, directory(), { receive: { maxBytes: 999 } })).sent).toEqual(
      failure("ERR_TRANSFER_LIMIT"),
    );
    const { sent, received } = await transfer(from, directory(), { receive: { maxEntries: 1 } });
    expect(sent).toEqual(failure("ERR_TRANSFER_LIMIT"));
    expect(received).toEqual(failure("ERR_TRANSFER_LIMIT"));
  });

  test("silence ends in a timeout on either side", async () => {
    const [sender] = await socketPair();
    await expect(sendPath(sender, oneFile(10).path, { idleTimeoutMs: 50 })).rejects.toThrow(
      failure("ERR_TRANSFER_TIMEOUT"),
    );
    const [, receiver] = await socketPair();
    await expect(receiveInto(receiver, directory(), { idleTimeoutMs: 50 })).rejects.toThrow(
      failure("ERR_TRANSFER_TIMEOUT"),
    );
  });

  test("a receiver that stops reading ends in a timeout of the sender", async () => {
    const [sender, deaf] = await socketPair();
    for (const message of [
      encodeMessage("welcome", { version: VERSION }),
      encodeMessage("held", { bytes: 0 }),
    ]) {
      deaf.write(message);
    }
    deaf.pause();
    const path = join(directory(), "sparse");
    writeFileSync(path, "");
    truncateSync(path, 2 ** 30);
    await expect(sendPath(sender, path, { idleTimeoutMs: 200 })).rejects.toThrow(
      failure("ERR_TRANSFER_TIMEOUT"),
    );
  });

  test("calling it off tells the other side", async () => {
    const { path } = oneFile(40 * DATA_BYTES);
    const controller = new AbortController();
    const onProgress = ({ bytes }: Progress): void => {
      if (bytes > 3 * DATA_BYTES) controller.abort();
    };
    const into = directory();
    const { sent, received } = await transfer(path, into, {
      send: { onProgress, signal: controller.signal },
    });
    expect(sent).toMatchObject({ code: "ERR_TRANSFER_ABORTED", fromPeer: false });
    expect(received).toMatchObject({ code: "ERR_TRANSFER_ABORTED", fromPeer: true });
    expect(parts(into)).toHaveLength(1);
  });
});

describe("a hostile sender", () => {
  const hello = encodeMessage("hello", { protocol: PROTOCOL, version: VERSION, entries: 1, bytes: 1 });
  const file = (path: string, size = 1): Uint8Array =>
    encodeMessage("file", { path, size, mtimeMs: 0, mode: 0o777 });
  const content = (length: number): Uint8Array => encodeMessage("data", { content: new Uint8Array(length) });
  const end = encodeMessage("end", { digest: new Uint8Array(32) });

  test.each([
    ["speaks HTTP", [Buffer.from("GET / HTTP/1.1\r\n\r\n")], "ERR_TRANSFER_MALFORMED"],
    [
      "speaks another protocol",
      [encodeMessage("hello", { protocol: new Uint8Array(16), version: 1, entries: 0, bytes: 0 })],
      "ERR_TRANSFER_MALFORMED",
    ],
    [
      "speaks another version",
      [encodeMessage("hello", { protocol: PROTOCOL, version: 9, entries: 0, bytes: 0 })],
      "ERR_TRANSFER_VERSION",
    ],
    ["skips the greeting", [file("a")], "ERR_TRANSFER_UNEXPECTED"],
    ["greets twice", [hello, hello], "ERR_TRANSFER_UNEXPECTED"],
    ["sends content without a file", [hello, content(1)], "ERR_TRANSFER_UNEXPECTED"],
    ["sends more than it announced", [hello, file("a"), content(2)], "ERR_TRANSFER_MALFORMED"],
    [
      "sends less than it announced",
      [hello, file("a", 2), content(1), end, encodeMessage("finish", {})],
      "ERR_TRANSFER_DIGEST",
    ],
    ["sends more files than it announced", [hello, file("../a"), file("b")], "ERR_TRANSFER_LIMIT"],
    ["shows a digest nobody asked for", [hello, file("a"), end, end], "ERR_TRANSFER_UNEXPECTED"],
    ["climbs out", [hello, file("../a"), encodeMessage("finish", {})], "ERR_TRANSFER_PATH"],
    [
      "makes a directory outside",
      [hello, encodeMessage("directory", { path: "/tmp/x", mode: 0 }), encodeMessage("finish", {})],
      "ERR_TRANSFER_PATH",
    ],
    ["leaves in the middle", [hello, file("a")], "ERR_TRANSFER_CUT"],
  ])("that %s is refused", async (_, messages, code) => {
    const [sender, receiver] = await socketPair();
    const root = directory();
    const into = join(root, "into");
    for (const message of messages) sender.write(message);
    sender.end();
    sender.resume();
    await expect(receiveInto(receiver, into)).rejects.toThrow(failure(code));
    expect(readdirSync(root)).toEqual(["into"]);
    expect(readdirSync(into).filter((name) => !name.endsWith(".part"))).toEqual([]);
  });

  test("that sends any bytes ends in a typed error", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }),
        fc.boolean(),
        async (bytes, greets) => {
          const [sender, receiver] = await socketPair();
          if (greets) sender.write(hello);
          for (const each of bytes) sender.write(each);
          sender.end();
          sender.resume();
          await expect(receiveInto(receiver, directory())).rejects.toBeInstanceOf(TransferError);
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe("a hostile receiver", () => {
  const welcome = encodeMessage("welcome", { version: VERSION });
  const digest = new Uint8Array(32);

  test.each([
    [
      "holds more than the file has",
      [welcome, encodeMessage("held", { bytes: 1001 })],
      "ERR_TRANSFER_MALFORMED",
    ],
    [
      "goes on elsewhere",
      [welcome, encodeMessage("held", { bytes: 500 }), encodeMessage("from", { offset: 7 })],
      "ERR_TRANSFER_MALFORMED",
    ],
    [
      "skips what it lacks",
      [welcome, encodeMessage("held", { bytes: 500 }), encodeMessage("done", { skipped: 1, digest })],
      "ERR_TRANSFER_MALFORMED",
    ],
    [
      "confirms another content",
      [welcome, encodeMessage("held", { bytes: 0 }), encodeMessage("done", { skipped: 0, digest })],
      "ERR_TRANSFER_DIGEST",
    ],
    ["is done before the end", [welcome, encodeMessage("finished", {})], "ERR_TRANSFER_UNEXPECTED"],
    ["speaks another version", [encodeMessage("welcome", { version: 2 })], "ERR_TRANSFER_VERSION"],
    ["never confirms", [welcome, encodeMessage("held", { bytes: 0 })], "ERR_TRANSFER_CUT"],
    [
      "gives a fault that nobody knows",
      [welcome, encodeMessage("abort", { fault: 200, message: "\u001b[31mred" })],
      "ERR_TRANSFER_PEER",
    ],
  ])("that %s is refused", async (_, messages, code) => {
    const [sender, receiver] = await socketPair();
    for (const message of messages) receiver.write(message);
    if (code === "ERR_TRANSFER_CUT") receiver.end();
    receiver.resume();
    const failed = await sendPath(sender, oneFile(1000).path).catch((error: Error) => error);
    expect(failed).toEqual(failure(code));
    expect((failed as Error).message).not.toMatch(/\p{Cc}/u);
  });
});

describe("several senders", () => {
  test("fill one directory at once", async () => {
    const into = directory();
    const files = Array.from({ length: 4 }, (_, i) => oneFile(2 * DATA_BYTES, `file-${i}`));
    await Promise.all(files.map(({ path }) => transferred(path, into)));
    for (const [i, { content }] of files.entries()) {
      expect(readFileSync(join(into, `file-${i}`)).equals(content)).toBe(true);
    }
  });

  test("of one name do not meet in one file: the second is told, the first goes on", async () => {
    const into = directory();
    const [sender, receiver] = await socketPair();
    const receiving = receiveInto(receiver, into);
    const content = noise(2);
    sender.write(encodeMessage("hello", { protocol: PROTOCOL, version: VERSION, entries: 1, bytes: 2 }));
    sender.write(encodeMessage("file", { path: "file.bin", size: 2, mtimeMs: 0, mode: 0o600 }));
    sender.write(encodeMessage("data", { content: content.subarray(0, 1) }));
    await vi.waitFor(() => expect(parts(into)).toHaveLength(1));
    const { sent } = await transfer(oneFile(2).path, into);
    expect(sent).toEqual(failure("ERR_TRANSFER_BUSY"));
    sender.write(encodeMessage("data", { content: content.subarray(1) }));
    sender.write(encodeMessage("end", { digest: createHash("sha256").update(content).digest() }));
    sender.write(encodeMessage("finish", {}));
    sender.end();
    sender.resume();
    await receiving;
    expect(readFileSync(join(into, "file.bin")).equals(content)).toBe(true);
  });
});
