import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { listen } from "../../src/kme/listen.ts";

const root = mkdtempSync(join(tmpdir(), "qkd-tls-listen-"));
afterAll(() => rmSync(root, { recursive: true }));
const open: net.Server[] = [];
const close = (server: net.Server) => new Promise((resolve) => server.close(resolve));
afterEach(async () => {
  for (const server of open.splice(0)) await close(server);
});
function server(): net.Server {
  const made = net.createServer((socket) => socket.on("error", () => undefined).end("hello"));
  open.push(made);
  return made;
}
const invalid = (text: RegExp) => ({
  code: "ERR_OPTION_INVALID",
  option: "listen",
  message: expect.stringMatching(text),
});

test("a port of this machine alone, unless told otherwise", async () => {
  const at = await listen(server(), { port: 0 });
  expect(at).toEqual({ host: "127.0.0.1", port: expect.any(Number), url: `https://127.0.0.1:${at.port}` });
  await expect(listen(server(), { port: at.port })).rejects.toMatchObject(invalid(/EADDRINUSE/));
});

describe.skipIf(process.platform === "win32")("a Unix domain socket (Windows has none)", () => {
  test("is its owner's alone from the start, and gone when the server closes", async () => {
    const path = join(root, "a.sock");
    const one = server();
    const before = process.umask();
    expect(await listen(one, { path })).toEqual({ host: "localhost", port: 0, path, url: `unix:${path}` });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(before);
    await close(one);
    expect(existsSync(path)).toBe(false);
  });

  test("may be opened for others", async () => {
    const path = join(root, "b.sock");
    await listen(server(), { path, mode: 0o660 });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await expect(listen(server(), { path, mode: 0o1777 })).rejects.toMatchObject({ option: "mode" });
  });

  test("that a killed process left is replaced; that of a running one is not", async () => {
    const path = join(root, "c.sock");
    const script = `require("node:net").createServer().listen(process.argv[1], () => console.log("up"))`;
    const child = spawn(process.execPath, ["--eval", script, "--", path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const gone = new Promise((resolve) => child.once("exit", resolve));
    try {
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await expect(listen(server(), { path })).rejects.toMatchObject(invalid(/another process listens/));
      expect(statSync(path).isSocket()).toBe(true);
    } finally {
      child.kill("SIGKILL");
      await gone;
    }
    expect(existsSync(path)).toBe(true);
    await listen(server(), { path });
    const heard = await new Promise((resolve) =>
      net.connect(path).once("data", (data) => resolve(String(data))),
    );
    expect(heard).toBe("hello");
  });

  test("is not made by a worker thread, which cannot give it its rights", async () => {
    const path = join(root, "w.sock");
    const script = `
      const { parentPort, workerData } = require("node:worker_threads");
      import("./dist/kme/listen.js")
        .then(({ listen }) => listen(require("node:net").createServer(), { path: workerData }))
        .then(() => parentPort.postMessage("made"), ({ code, option }) => parentPort.postMessage({ code, option }));`;
    const worker = new Worker(script, { eval: true, workerData: path });
    const said = await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
    expect(said).toEqual({ code: "ERR_OPTION_INVALID", option: "listen" });
    expect(existsSync(path)).toBe(false);
  });

  test("is never put in the place of a file", async () => {
    const path = join(root, "a file");
    writeFileSync(path, "precious");
    await expect(listen(server(), { path })).rejects.toMatchObject(invalid(/is no socket/));
    expect(statSync(path).size).toBe(8);
  });

  test("has a path that fits, in a directory that is there", async () => {
    const long = join(root, "x".repeat(108));
    await expect(listen(server(), { path: long })).rejects.toMatchObject(invalid(/are the most/));
    const nowhere = join(root, "nowhere", "a.sock");
    await expect(listen(server(), { path: nowhere })).rejects.toMatchObject(invalid(/EACCES|ENOENT/));
    for (const path of ["", "a\0b"])
      await expect(listen(server(), { path })).rejects.toMatchObject(invalid(/must be that of a file/));
  });
});
