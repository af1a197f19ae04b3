import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "../src/cli/program.ts";
import { makePki } from "../src/cli/pki-files.ts";
import { PRESETS } from "../src/handshake/policy.ts";
import { startPair } from "../src/kme/pair.ts";
import { KeySourceError, type KeySourceErrorCode } from "../src/protocol/errors.ts";
import { Pair, withQkd } from "./support/pair.ts";

const readme = readFileSync("README.md", "utf8");
const errors = readFileSync("src/protocol/errors.ts", "utf8");
const scripts = (JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> })
  .scripts;

const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map(([, code = ""]) => code);

/** The rows below the head that begins with this cell, cell by cell. */
function table(head: string): string[][] {
  const lines = readme.split("\n");
  const at = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  const end = lines.findIndex((line, index) => index > at && !line.startsWith("|"));
  return lines.slice(at + 2, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("the code", () => {
  const [server = "", client = ""] = blocks("ts");
  /** What a reader fills in. */
  const given = ["kmeCa", "saeCert", "saeKey", "ca", "cert", "key"];
  const keys = ["serverPrivate", "serverPublic", "annaPrivate", "anna", "ben"];
  let directory = "";
  let kmes: Awaited<ReturnType<typeof startPair>>;

  beforeAll(async () => {
    // Inside the project, so that `qkd-tls` is this package.
    mkdirSync(".vitest", { recursive: true });
    directory = mkdtempSync(".vitest/readme-");
    makePki({ directory });
    const pem = (file: string): string => readFileSync(join(directory, file), "utf8");
    const member = (id: string, sae: string) => ({
      id,
      listen: { host: "localhost", port: 0 },
      cert: pem(`${id}.crt`),
      key: pem(`${id}.key`),
      saes: [sae],
    });
    kmes = await startPair({
      ca: pem("ca.crt"),
      a: member("kme-a", "sae-a"),
      b: member("kme-b", "sae-b"),
    });
  });
  afterAll(async () => {
    await kmes.close();
    rmSync(directory, { recursive: true });
  });

  test("a server and a client, of about ten lines each", () => {
    for (const code of [server, client]) expect(code.split("\n").length).toBeLessThanOrEqual(12);
  });

  test("all of it compiles, strictly", async () => {
    const declared = [...given, ...keys].map((name) => `declare const ${name}: string;\n`).join("");
    const files = blocks("ts").map((code, index) => {
      writeFileSync(join(directory, `block${index}.ts`), `${declared}${code}`);
      return `block${index}.ts`;
    });
    const compilerOptions = { noUnusedLocals: false, skipLibCheck: true };
    const config = { extends: "../../tsconfig.json", compilerOptions, include: [], files };
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(config));
    const tsc = promisify(execFile)(process.execPath, ["node_modules/typescript/bin/tsc", "-p", directory]);
    await expect(tsc).resolves.toMatchObject({ stdout: "" });
  });

  test("the server and the client talk", async () => {
    const port = await freePort();
    const filled = (code: string, kme: string, sae: string): string => {
      const files = { kmeCa: "ca.crt", saeCert: `${sae}.crt`, saeKey: `${sae}.key`, ca: "ca.crt" };
      const names = Object.entries({ ...files, cert: "server.crt", key: "server.key" });
      const pem = names.map(
        ([name, file]) => `const ${name} = readFileSync(${JSON.stringify(join(directory, file))}, "utf8");\n`,
      );
      const body = code.replace(/https:\/\/kme-[ab]\.example/, kme).replaceAll("4433", String(port));
      return `import { readFileSync } from "node:fs";\n${pem.join("")}${body}`;
    };
    const run = (name: string, code: string) => {
      writeFileSync(join(directory, name), code);
      return spawn(process.execPath, ["--import", "tsx", join(directory, name)], { stdio: "pipe" });
    };
    const listening = `${filled(server, kmes.b.url, "sae-b")}\nserver.on("listening", () => console.log("up"));`;
    const serving = run("server.ts", listening);
    let said = "";
    for (const stream of [serving.stdout, serving.stderr])
      stream.on("data", (text: Buffer) => (said += text.toString()));
    await once(serving.stdout, "data");
    const asking = run("client.ts", filled(client, kmes.a.url, "sae-a"));
    let heard = "";
    asking.stdout.on("data", (text: Buffer) => (heard += text.toString()));
    asking.stderr.on("data", (text: Buffer) => (heard += text.toString()));
    const [code] = await once(asking, "close");
    serving.kill();
    await once(serving, "close");
    expect(code).toBe(0);
    expect(heard).toBe("hello\n");
    expect(said).toMatch(/^up\nX25519MLKEM768 [0-9a-f-]{36}\n$/);
  });

  test("the KME in the same process tells its stock", async () => {
    const inProcess = blocks("ts").find((code) => code.includes("inProcess(")) ?? "";
    const file = join(directory, "in-process.ts");
    writeFileSync(
      file,
      `${inProcess}\nconsole.log(JSON.stringify(await source.status("sae-b")));\nprocess.exit();`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    expect(JSON.parse(stdout)).toMatchObject({ peer: "sae-b", keyBits: 256, simulated: true });
  });

  test("the pictures are there", () => {
    const pictures = [...readme.matchAll(/!\[([^\]]+)\]\(([^)]+)\)/g)];
    expect(pictures.length).toBeGreaterThan(0);
    for (const [, text = "", path = ""] of pictures) {
      expect(text.length).toBeGreaterThan(40);
      expect(existsSync(path), path).toBe(true);
    }
  });

  test("imports from entry points that are exported", () => {
    const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as { exports: object };
    const named = [...readme.matchAll(/from "qkd-tls(\/[a-z]+)?"/g)].map(([, path = ""]) => `.${path}`);
    expect(named.length).toBeGreaterThan(2);
    for (const each of named) expect(Object.keys(exports)).toContain(each);
  });
});

describe("the commands", () => {
  test("npm's scripts are there, and the first two are what a newcomer types", () => {
    expect(blocks("sh")[0]).toMatch(/^npm ci && npm start .*\nnpm ci && npm test /);
    const named = [...readme.matchAll(/npm (?:run )?(start|test|[a-z]+(?::[a-z]+)*)\b/g)];
    for (const [, name = ""] of named) {
      if (name !== "ci") expect(Object.keys(scripts), name).toContain(name);
    }
    expect(scripts["start"]).toBe("node dist/cli/main.js demo");
  });

  test("every example is named, and is there", () => {
    const named = [...readme.matchAll(/^npx tsx (\S+)/gm)].map(([, path = ""]) => path);
    const there = readdirSync("examples", { withFileTypes: true }).filter((each) => each.isDirectory());
    expect(named.toSorted()).toEqual(there.map(({ name }) => `examples/${name}/main.ts`).toSorted());
    for (const path of named) {
      expect(existsSync(path), path).toBe(true);
      expect(readFileSync(path, "utf8")).toMatch(new RegExp(`^/\\*\\* npx tsx ${path}\\b`));
    }
  });

  test("every subcommand and option of qkd-tls exists, and every subcommand is named", () => {
    const { commands } = program();
    const known = new Map<string, Command>(commands.map((command) => [command.name(), command]));
    const code = [...readme.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
    for (const text of [...code, ...blocks("sh").flatMap((block) => block.split("\n"))]) {
      // What npm's scripts take is theirs.
      if (text.startsWith("npm run")) continue;
      const [, name] = /qkd-tls ([a-z]+)/.exec(text) ?? [];
      if (name !== undefined) expect([...known.keys()], text).toContain(name);
      const of = name === undefined ? commands : [known.get(name) as Command];
      const options = [program(), ...of].flatMap((each) => each.options.map(({ long }) => long));
      for (const [option] of text.matchAll(/(?<=^|\s)--[a-z][a-z-]*/g)) {
        expect([...options, "--help"], text).toContain(option);
      }
    }
    const visible = [...known.keys()].filter((name) => name !== "demo-part");
    for (const name of visible) expect(code, `README names ${name}`).toContain(name);
  });
});

describe("the tables", () => {
  test("the policies are the presets", () => {
    const rows = table("`policy`").map(([name = "", ecdh, mlkem, qkd]) => [
      name.replaceAll("`", ""),
      { ecdh, mlkem, qkd },
    ]);
    expect(Object.fromEntries(rows)).toEqual(PRESETS);
  });

  test("every code exists", () => {
    const codes = readme.match(/\bERR_[A-Z_]+\b/g) ?? [];
    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) expect(errors).toContain(`"${code}"`);
  });

  const failures = table("KME failure");
  test("every failure of a key source has its row", () => {
    const [, union = ""] = /type KeySourceErrorCode =([^;]+);/.exec(errors) ?? [];
    const codes = failures.map(([, code = ""]) => code.replaceAll("`", ""));
    const known = [...union.matchAll(/"(\w+)"/g)].map(([, code = ""]) => code);
    expect(codes.toSorted()).toEqual(known.toSorted());
  });

  describe.each(failures)("%s", (_, cell = "", hybrid = "", prefer = "") => {
    const code = cell.replaceAll("`", "") as KeySourceErrorCode;
    const verdicts = { hybrid, "prefer-hybrid": prefer } as const;
    test.each([
      ["client", "hybrid"],
      ["client", "prefer-hybrid"],
      ["server", "hybrid"],
      ["server", "prefer-hybrid"],
    ] as const)("at the %s under %s", (side, policy) => {
      const ask = side === "client" ? "draw_qkd_key" : "redeem_qkd_key";
      const pair = new Pair({
        client: { ...withQkd.client, policy },
        server: { ...withQkd.server, policy },
        wire: {
          onQuestion: (_side, question) =>
            question.ask === ask ? new KeySourceError(code, "it fails") : undefined,
        },
      }).run();
      if (verdicts[policy].replaceAll("*", "").startsWith("refused")) {
        const error = pair.error(side);
        const failure = error instanceof KeySourceError ? error : error?.cause;
        expect(failure).toMatchObject({ code });
        expect(pair.connected).toBe(false);
        if (policy === "hybrid" && code !== "ERR_QKD_UNTRUSTED")
          expect(error).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED", missing: "qkd" });
      } else {
        expect(verdicts[policy]).toBe("degraded");
        expect(pair.connected).toBe(true);
        expect(pair[side].established?.degraded).toMatchObject([{ missing: "qkd", code }]);
      }
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "localhost");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
