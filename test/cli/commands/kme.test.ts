import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Command } from "commander";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { registerKme } from "../../../src/cli/commands/kme.ts";
import { etsi014 } from "../../../src/qkd/etsi014.ts";
import { authority } from "../../support/certificates.ts";
import { postgresServer, type PostgresServer } from "../../support/postgres.ts";

const trusted = authority();
const pki = mkdtempSync(join(tmpdir(), "qkd-tls-kme-"));
writeFileSync(join(pki, "ca.crt"), trusted.ca);
for (const id of ["kme-a", "kme-b"]) {
  const { cert, key } = trusted.issue(id);
  writeFileSync(join(pki, `${id}.crt`), cert);
  writeFileSync(join(pki, `${id}.key`), key, { mode: 0o600 });
}
const postgres = await postgresServer();
if (typeof postgres === "string") console.log(`no KMEs share a database: ${postgres}`);
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => {
  rmSync(pki, { recursive: true });
  if (typeof postgres !== "string") await postgres.close();
});

/** The command in a process of its own; its first `lines` lines. */
async function start(args: string[], lines: number) {
  const program = [
    'import { Command } from "commander";',
    'import { registerKme } from "./src/cli/commands/kme.ts";',
    "const program = new Command();",
    "registerKme(program);",
    'await program.parseAsync(["node", "qkd-tls", "kme", ...process.argv.slice(1)]);',
  ];
  const flags = ["--import", "tsx", "--input-type=module", "--eval", program.join("\n"), "--"];
  const child = spawn(process.execPath, [...flags, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const warned = new Promise<string>((resolve) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (line.startsWith("The link ")) resolve(line);
      else process.stderr.write(`${line}\n`);
    });
  });
  running.push(child);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.length === lines) break;
  }
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { child, said, ended, warned };
}
const anywhere = ["--pki", pki, "--listen-a", "127.0.0.1:0", "--listen-b", "127.0.0.1:0"];
const client = (url: string, sae: string) => etsi014({ url, sae, ca: trusted.ca, ...trusted.issue(sae) });

describe("qkd-tls kme", () => {
  test("runs a pair that other processes can wait for and use, and ends cleanly", async () => {
    const { child, said, ended } = await start([...anywhere, "--json", "--stock", "3", "--rate", "0"], 2);
    const [a, b] = said.map((line) => JSON.parse(line));
    expect(a).toEqual({
      event: "listening",
      kme: "kme-a",
      host: "127.0.0.1",
      port: expect.any(Number),
      url: `https://127.0.0.1:${a.port}`,
      saes: ["sae-a"],
      simulated: true,
    });
    expect(b).toMatchObject({ kme: "kme-b", saes: ["sae-b"] });

    const [master, slave] = [client(a.url, "sae-a"), client(b.url, "sae-b")];
    expect(await master.status("sae-b")).toMatchObject({ stored: 3, simulated: true });
    const key = await master.draw("sae-b");
    expect((await slave.redeem("sae-a", key.id)).key).toEqual(key.key);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    master.close();
    slave.close();
  });

  test("runs one KME for all, and speaks to people", async () => {
    const { child, said, ended } = await start(
      [...anywhere, "--single", "--sae-b", "x", "y", "--stock", "0"],
      1,
    );
    const [line = ""] = said;
    expect(line).toMatch(
      /^KME kme-a listens on https:\/\/127\.0\.0\.1:\d+ for sae-a, x, y \(simulated keys\)$/,
    );
    const source = client(/https:\S+/.exec(line)?.[0] ?? "", "x");
    await expect(source.draw("y")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
    source.close();
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });
});

test("--max-age, --max-key-size and --allow reach the KMEs", async () => {
  const policy = [
    "--max-age",
    "1",
    "--max-key-size",
    "4096",
    "--allow",
    "sae-a=sae-b",
    "--sae-b",
    "sae-b",
    "sae-c",
  ];
  const { child, said, ended } = await start(
    [...anywhere, "--json", "--stock", "20", "--rate", "0", ...policy],
    2,
  );
  const master = client(JSON.parse(said[0]!).url, "sae-a");
  await expect(master.draw("sae-c")).rejects.toMatchObject({ code: "ERR_QKD_UNAUTHORIZED" });
  await expect.poll(async () => (await master.status("sae-b")).stored, { timeout: 20_000 }).toBe(0);
  await expect(master.draw("sae-b", { bytes: 512 })).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
  await expect(master.draw("sae-b", { bytes: 513 })).rejects.toMatchObject({ code: "ERR_QKD_KEY_SIZE" });
  master.close();
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
});

describe.skipIf(process.platform === "win32")("on Unix domain sockets (Windows has none)", () => {
  test("it serves this machine alone, and removes them when it ends", async () => {
    const paths = ["a", "b"].map((name) => join(pki, `${name}.sock`));
    const where = ["--listen-a", `unix:${paths[0]}`, "--listen-b", `unix:${paths[1]}`];
    const flags = ["--pki", pki, ...where, "--json", "--stock", "2", "--rate", "0"];
    const { child, said, ended } = await start(flags, 2);
    expect(JSON.parse(said[0]!)).toEqual({
      event: "listening",
      kme: "kme-a",
      path: paths[0],
      url: `unix:${paths[0]}`,
      saes: ["sae-a"],
      simulated: true,
    });
    const [master, slave] = paths.map((socketPath, at) => {
      const sae = ["sae-a", "sae-b"][at]!;
      return etsi014({ url: "https://localhost", socketPath, sae, ca: trusted.ca, ...trusted.issue(sae) });
    });
    const key = await master!.draw("sae-b");
    expect((await slave!.redeem("sae-a", key.id)).key).toEqual(key.key);
    for (const source of [master, slave]) source!.close();
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(paths.filter((path) => existsSync(path))).toEqual([]);
  });
});

describe("the link of qkd-tls kme", () => {
  test("gives the same keys at both ends as soon as the KMEs listen", async () => {
    const { child, said, ended } = await start([...anywhere, "--json", "--stock", "20"], 2);
    const [a, b] = said.map((line) => JSON.parse(line));
    const [master, slave] = [client(a.url, "sae-a"), client(b.url, "sae-b")];
    const key = await master.draw("sae-b");
    expect(key.simulated).toBe(true);
    expect((await slave.redeem("sae-a", key.id)).key).toEqual(key.key);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    for (const source of [master, slave]) source.close();
  });

  test("gives none with somebody in the fibre, and says why", async () => {
    const eavesdropped = ["--link", "metro-10km", "--length-km", "9", "--eavesdrop", "intercept=0.2"];
    const { child, said, ended, warned } = await start([...anywhere, "--json", ...eavesdropped], 2);
    const [a] = said.map((line) => JSON.parse(line));
    expect(await warned).toMatch(
      /^The link makes no keys \(block 1, qber_over_threshold: QBER [67]\.\d %, threshold 5\.0 %\)$/,
    );
    const master = client(a.url, "sae-a");
    await expect(master.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    master.close();
  });
});

describe("refuses", () => {
  const run = (args: string[]): Promise<unknown> => {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
    registerKme(program);
    for (const command of program.commands) command.copyInheritedSettings(program);
    return program.parseAsync(["node", "qkd-tls", "kme", ...args]);
  };

  test.each([
    [["--listen-a", "8443"], "--listen-a"],
    [["--listen-a", "host:99999"], "--listen-a"],
    [["--rate", "fast"], "--rate"],
    [["--stock", "-1"], "--stock"],
    [["--length-km", "far"], "--length-km"],
    [["--length-km", "1001"], "--length-km"],
    [["--eavesdrop", "loudly"], "--eavesdrop"],
    [["--link", "moon"], "--link"],
  ])("%j", async (args, named) => {
    await expect(run(args)).rejects.toMatchObject({
      code: "commander.invalidArgument",
      message: expect.stringContaining(named),
    });
  });

  test.each([
    ["--link", "metro-10km"],
    ["--length-km", "5"],
    ["--eavesdrop", "cut"],
    ["--seed", "x"],
  ])("a generator and a link at once: %s", async (option, value) => {
    const conflict = { code: "commander.conflictingOption", message: expect.stringContaining(option) };
    await expect(run(["--rate", "1", option, value])).rejects.toMatchObject(conflict);
  });

  test("a seed in production, and keys of a seed in a store that lasts", async () => {
    vi.stubEnv("NODE_ENV", "production");
    await expect(run([...anywhere, "--seed", "x"])).rejects.toMatchObject({ option: "seed" });
    vi.unstubAllEnvs();
    vi.stubEnv("QKD_TLS_STORE_KEY", "5a".repeat(32));
    const stored = [...anywhere, "--seed", "x", "--store", join(pki, "seeded")];
    await expect(run(stored)).rejects.toMatchObject({ option: "seed" });
    await expect(run([...stored, "--single"])).rejects.toMatchObject({ option: "seed" });
    vi.unstubAllEnvs();
  });

  test("no certificates, and files that are not there", async () => {
    await expect(run([])).rejects.toMatchObject({ code: "ERR_OPTION_MISSING", option: "--ca" });
    await expect(run(["--pki", pki, "--cert-b", "/nowhere/b.crt"])).rejects.toMatchObject({
      code: "ERR_FILE_INVALID",
      option: "--cert-b",
      message: "--cert-b: /nowhere/b.crt cannot be read (ENOENT)",
    });
  });

  describe("with --store", () => {
    const keyFile = join(pki, "store.key");
    writeFileSync(keyFile, `${"5a".repeat(32)}\n`, { mode: 0o600 });
    const quiet = [...anywhere, "--json", "--stock", "3", "--rate", "0"];

    test("gives a key that was drawn before it was killed, once", async () => {
      const flags = [...quiet, "--store", join(pki, "keys"), "--store-key-file", keyFile];
      let { child, said, ended } = await start(flags, 2);
      const [a = ""] = said;
      const master = client(JSON.parse(a).url, "sae-a");
      const key = await master.draw("sae-b");
      child.kill("SIGKILL");
      await ended;
      ({ child, said, ended } = await start(flags, 2));
      const [, b = ""] = said;
      const slave = client(JSON.parse(b).url, "sae-b");
      expect((await slave.redeem("sae-a", key.id)).key).toEqual(key.key);
      await expect(slave.redeem("sae-a", key.id)).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
      for (const source of [master, slave]) source.close();
    });

    test.skipIf(typeof postgres === "string")(
      "two processes share a database: what one issued the other gives",
      async () => {
        const url = (postgres as PostgresServer).url();
        const flags = [...quiet, "--store", url, "--store-key-file", keyFile];
        const [one, two] = [await start(flags, 2), await start(flags, 2)];
        const [a, otherB] = [JSON.parse(one.said[0]!), JSON.parse(two.said[1]!)];
        const [master, slave] = [client(a.url, "sae-a"), client(otherB.url, "sae-b")];
        const key = await master.draw("sae-b");
        expect((await slave.redeem("sae-a", key.id)).key).toEqual(key.key);
        const sameAgain = client(JSON.parse(one.said[1]!).url, "sae-b");
        await expect(sameAgain.redeem("sae-a", key.id)).rejects.toMatchObject({
          code: "ERR_QKD_UNKNOWN_KEY",
        });
        for (const source of [master, slave, sameAgain]) source.close();
        for (const { child, ended } of [one, two]) {
          child.kill("SIGTERM");
          expect(await ended).toBe(0);
        }
      },
    );

    const run = (...args: string[]): Promise<unknown> => {
      const program = new Command().exitOverride();
      registerKme(program);
      return program.parseAsync(["node", "qkd-tls", "kme", ...args]);
    };
    const store = ["--store", join(pki, "other keys")];

    test("needs a key, and the key needs a store", async () => {
      vi.stubEnv("QKD_TLS_STORE_KEY", undefined);
      const missing = { code: "ERR_OPTION_MISSING" };
      await expect(run(...quiet, ...store)).rejects.toMatchObject({ ...missing, option: "store-key-file" });
      await expect(run(...quiet, "--store-key-file", keyFile)).rejects.toMatchObject(missing);
      vi.unstubAllEnvs();
    });

    test("says what is wrong with the key or the store", async () => {
      const bad = join(pki, "bad.key");
      writeFileSync(bad, "5a5a", { mode: 0o600 });
      const short = { code: "ERR_FILE_INVALID" };
      await expect(run(...quiet, ...store, "--store-key-file", bad)).rejects.toMatchObject(short);
      const single = [...quiet, "--single", "--store-key-file", keyFile, "--store", keyFile];
      await expect(run(...single)).rejects.toMatchObject({ code: "ERR_STORE_UNWRITABLE" });
      const nowhere = ["--store", "postgres://me:hush@127.0.0.1:1/keys", "--store-key-file", keyFile];
      await expect(run(...quiet, ...nowhere)).rejects.toMatchObject({
        code: "ERR_STORE_UNREACHABLE",
        message: expect.not.stringContaining("hush"),
      });
    });
  });
});
