import { createHash, randomBytes } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { registerReceive } from "../../../src/cli/commands/receive.ts";
import { registerSend } from "../../../src/cli/commands/send.ts";
import { credentials } from "../../support/credentials.ts";

let directory = "";
let printed = { out: "", err: "" };
const relays: Server[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  const { caPem, certPem, keyPem } = credentials();
  for (const [name, pem] of Object.entries({
    "ca.crt": caPem,
    "server.crt": certPem,
    "server.key": keyPem,
  })) {
    writeFileSync(join(directory, name), pem);
  }
  printed = { out: "", err: "" };
  vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((printed.out += String(text))));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((printed.err += String(text))));
});
afterEach(() => {
  vi.restoreAllMocks();
  for (const relay of relays.splice(0)) relay.close();
  rmSync(directory, { recursive: true });
});

const at = (name: string): string => join(directory, name);

async function run(...words: string[]): Promise<void> {
  const program = new Command("qkd-tls").exitOverride();
  registerSend(program);
  registerReceive(program);
  for (const command of program.commands)
    command.exitOverride().configureOutput({ writeErr: () => undefined });
  await program.parseAsync(words, { from: "user" });
}

/** Starts `receive --once`; where it listens, and how it ended. */
async function receiver(...words: string[]): Promise<{ port: number; ended: Promise<unknown> }> {
  const identity = ["--cert", at("server.crt"), "--key", at("server.key")];
  const ended = run("receive", at("in"), "--listen", "127.0.0.1:0", "--once", ...identity, ...words).catch(
    (error: unknown) => error,
  );
  const port = await vi.waitFor(() => {
    const [, found] = /listening on 127\.0\.0\.1:(\d+)/.exec(printed.err) ?? [];
    if (found === undefined) throw new Error(printed.err);
    return Number(found);
  });
  return { port, ended };
}

const send = (path: string, port: number, ...words: string[]): Promise<void> =>
  run("send", path, `127.0.0.1:${port}`, "--ca", at("ca.crt"), ...words);

/** A TCP relay that cuts its first connections after so many bytes from the client. */
async function cutting(port: number, ...cutsAfterBytes: number[]): Promise<number> {
  const relay = createServer((near: Socket) => {
    const far = connect(port, "127.0.0.1");
    const limit = cutsAfterBytes.shift() ?? Number.POSITIVE_INFINITY;
    let passed = 0;
    for (const each of [near, far]) {
      each.on("error", () => undefined);
      each.once("close", () => [near, far].forEach((socket) => socket.destroy()));
    }
    near.on("data", (chunk: Buffer) => {
      passed += chunk.length;
      if (passed > limit) near.destroy();
    });
    near.pipe(far);
    far.pipe(near);
  });
  relays.push(relay);
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  return (relay.address() as AddressInfo).port;
}

function file(length: number) {
  const content = randomBytes(length);
  writeFileSync(at("film.bin"), content);
  return { path: at("film.bin"), content, sha256: createHash("sha256").update(content).digest("hex") };
}

describe("qkd-tls send and receive", () => {
  test("carry a file and tell its SHA-256 and what protected it", async () => {
    const { path, content, sha256 } = file(1_000_000);
    const { port, ended } = await receiver();
    await send(path, port);
    expect(await ended).toBeUndefined();
    expect(readFileSync(at("in/film.bin")).equals(content)).toBe(true);
    expect(printed.out).toBe(`${sha256}  film.bin\n`.repeat(2));
    expect(printed.err).toMatch(/ECDH \(x25519\) \+ ML-KEM \(ml-kem-768\)/i);
    expect(printed.err).toMatch(/sent 1 file, 977 KiB in .* SHA-256 the same on both sides/);
    // Nobody watches, so nothing moves.
    expect(printed.err).not.toMatch(/\p{Cc}(?<!\n)|%/u);
  });

  test("carry a file in a WebSocket as well", async () => {
    const { path, content } = file(2_000_000);
    const { ended } = await receiver("--websocket", "127.0.0.1:0");
    const url = await vi.waitFor(() => {
      const [, found] = /listening on (ws:\S+)/.exec(printed.err) ?? [];
      if (found === undefined) throw new Error(printed.err);
      return found;
    });
    await run("send", path, url, "--ca", at("ca.crt"));
    expect(await ended).toBeUndefined();
    expect(readFileSync(at("in/film.bin")).equals(content)).toBe(true);
    expect(printed.err).toMatch(/^a WebSocket ECDH/m);
  });

  test("say the same to programs", async () => {
    const { path, sha256 } = file(10);
    const { port, ended } = await receiver();
    await send(path, port, "--json");
    await ended;
    const [, line = ""] = /^(\{"event":"sent".*\})$/m.exec(printed.out) ?? [];
    expect(JSON.parse(line)).toMatchObject({
      files: [{ path: "film.bin", sizeBytes: 10, outcome: "stored", sha256 }],
      security: { protocol: "TLSv1.3", secrets: { mlkem: { present: true } } },
    });
  });

  test("go on after cuts, and give up after the last try", async () => {
    const { path, content } = file(3_000_000);
    const { port, ended } = await receiver();
    await expect(send(path, await cutting(port, 1_000_000))).rejects.toMatchObject({
      code: "ERR_TRANSFER_CUT",
    });
    expect(readdirSync(at("in")).filter((name) => !name.endsWith(".part"))).toEqual([]);
    await send(path, await cutting(port, 1_200_000), "--retry", "5");
    expect(await ended).toBeUndefined();
    expect(readFileSync(at("in/film.bin")).equals(content)).toBe(true);
    expect(readdirSync(at("in"))).toEqual(["film.bin"]);
    expect(printed.err).toMatch(/again in 0\.5 s \(5 tries left\)/);
  });

  test("remove what nobody went on with, and tell what may be", async () => {
    mkdirSync(at("in"));
    const then = new Date(Date.now() - 3 * 86_400_000);
    for (const name of [".old.0123456789abcdef.part", ".new.0123456789abcdef.part"]) {
      writeFileSync(at(`in/${name}`), "half");
    }
    utimesSync(at("in/.old.0123456789abcdef.part"), then, then);
    const { port, ended } = await receiver("--keep-parts", "2");
    await send(file(10).path, port);
    await ended;
    expect(printed.err).toMatch(/^removed 1 unfinished file \(4 B\), not gone on with for 2 days$/m);
    expect(printed.err).toMatch(/^1 unfinished file \(4 B\) may be gone on with$/m);
    expect(readdirSync(at("in")).toSorted()).toEqual([".new.0123456789abcdef.part", "film.bin"]);
  });

  test("name every file that failed, and end with a failure on both sides", async () => {
    mkdirSync(at("in/dir"), { recursive: true });
    mkdirSync(at("dir"));
    writeFileSync(at("in/dir/a"), "old");
    writeFileSync(at("dir/a"), "new!");
    writeFileSync(at("dir/b"), "b");
    const { port, ended } = await receiver();
    await expect(send(at("dir"), port)).rejects.toMatchObject({ code: "ERR_TRANSFER_EXISTS" });
    expect(await ended).toMatchObject({ exitCode: 1 });
    expect(printed.err).toMatch(/failed: dir\/a: .*exists with another size/);
    expect(printed.out).toMatch(/^[0-9a-f]{64} {2}dir\/b$/m);
    expect(readFileSync(at("in/dir/a"), "utf8")).toBe("old");
  });

  test("do not send to a server that nobody vouches for", async () => {
    const { path } = file(10);
    const { port, ended } = await receiver("--idle-timeout", "5");
    await expect(run("send", path, `127.0.0.1:${port}`, "--retry", "3")).rejects.toMatchObject({
      code: "ERR_CERT_UNTRUSTED",
    });
    await send(path, port);
    await ended;
    expect(printed.err).not.toMatch(/again in/);
  });

  test("stop at the size that is allowed", async () => {
    const { path } = file(1025);
    const { port, ended } = await receiver("--max-size", "1k");
    await expect(send(path, port)).rejects.toMatchObject({ code: "ERR_TRANSFER_LIMIT" });
    expect(await ended).toMatchObject({ exitCode: 1 });
    expect(readdirSync(at("in"))).toEqual([]);
  });

  test("a SIGINT ends a receiver that waits", async () => {
    const { ended } = await receiver();
    process.emit("SIGINT", "SIGINT");
    expect(await ended).toMatchObject({ exitCode: 130 });
  });

  test.each([
    [["send", "x", "localhost"], /host:port/],
    [["send", "x", "localhost:0"], /port 0/],
    [["send", "x", "https://localhost"], /neither host:port nor a ws: or wss: URL/],
    [["receive", "x", "--listen", "localhost:0", "--websocket", "ws://a"], /--websocket/],
    [["send", "x", "localhost:1", "--retry", "often"], /--retry/],
    [["send", "x", "localhost:1", "--idle-timeout", "-1"], /--idle-timeout/],
    [["receive", "x"], /--listen/],
    [["receive", "x", "--listen", "4433"], /--listen/],
    [["receive", "x", "--listen", "localhost:0", "--max-size", "big"], /--max-size/],
    [["receive", "x", "--listen", "localhost:0", "--max-connections", "0"], /--max-connections/],
    [["receive", "x", "--listen", "localhost:0", "--keep-parts", "-1"], /--keep-parts/],
  ])("refuse %j by name", async (words, why) => {
    const failed = await run(...words).catch((error: Error) => error);
    expect(failed).toMatchObject({
      code: expect.stringMatching(/^ERR_OPTION_/),
      message: expect.stringMatching(why),
    });
  });
});
