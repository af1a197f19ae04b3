import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command as Program } from "commander";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { registerChat } from "../../../src/cli/commands/chat.ts";
import { credentials } from "../../support/credentials.ts";
import { Command, stopAll } from "../command.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  const { caPem, certPem, keyPem } = credentials();
  for (const [name, pem] of Object.entries({
    "ca.crt": caPem,
    "server.crt": certPem,
    "server.key": keyPem,
  })) {
    writeFileSync(join(directory, name), pem);
  }
});
afterEach(stopAll);
afterAll(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);

/** Waits until a line of standard output matches. */
async function prints(command: Command, pattern: RegExp): Promise<void> {
  while (
    !command.bytes
      .toString()
      .split("\n")
      .some((line) => pattern.test(line))
  ) {
    const more = await Promise.race([
      once(command.child.stdout, "data").then(() => true),
      command.ended.then(() => false),
    ]);
    if (!more) throw new Error(`no line ${pattern} in:\n${command.bytes.toString()}`);
  }
}

describe("qkd-tls chat", () => {
  test("brings people together over TCP and WebSocket, from pipes, and ends cleanly", async () => {
    const identity = ["--cert", at("server.crt"), "--key", at("server.key")];
    const listen = ["--listen", "127.0.0.1:0", "--websocket", "127.0.0.1:0"];
    const server = new Command(["chat", ...listen, ...identity, "--json"], null);
    const { port } = JSON.parse(await server.line(/"listening".*"port":\d+\}$/)) as { port: number };
    const { port: wsPort } = JSON.parse(await server.line(/"websocket":true/)) as { port: number };
    const join = (where: string, name: string, ...words: string[]): Command =>
      new Command(["chat", where, "--name", name, "--ca", at("ca.crt"), ...words], null);
    const anna = join(`127.0.0.1:${port}`, "anna");
    const ben = join(`ws://127.0.0.1:${wsPort}`, "ben", "--json");
    await prints(anna, /^( {4}ben \[|\* ben \[)ECDH\+ML-KEM, no QKD\]/);
    await prints(ben, /"kind":"(welcome|joined)".*anna/);
    ben.child.stdin.write("hello \u001b[31mthere\n");
    await prints(anna, /^ben \[ECDH\+ML-KEM, no QKD\]: hello \[31mthere$/);
    anna.child.stdin.write("/who\n");
    await prints(anna, /^\* 2 here:$/);
    anna.child.stdin.end("bye");
    await prints(ben, /^\{"kind":"said","name":"anna","text":"bye"\}$/);
    await prints(ben, /^\{"kind":"left","name":"anna"\}$/);
    expect(await anna.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/ML-KEM/) });
    expect(await server.stop("SIGINT")).toMatchObject({ code: 130 });
    const last = await ben.ended;
    expect(last.code).toBe(0);
    expect(last.stdout).toMatch(/\{"kind":"closed"\}\n$/);
  });

  test.each([
    [["chat"], /host:port is missing/],
    [["chat", "localhost:1", "--listen", "localhost:2"], /not both/],
    [["chat", "localhost:1", "--quiet", "--name", "a"], /--quiet is for who opens a room/],
    [["chat", "localhost:1", "--name", "* a"], /--name: a name has letters/],
    [["chat", "http://localhost:1", "--name", "a"], /neither host:port nor a ws: or wss: URL/],
  ])("refuses %j", async (words, why) => {
    const program = new Program("qkd-tls").exitOverride();
    registerChat(program);
    await expect(program.parseAsync(words, { from: "user" })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_OPTION_/),
      message: expect.stringMatching(why),
    });
  });
});
