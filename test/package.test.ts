import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

interface Manifest {
  readonly version: string;
  readonly bin: Record<string, string>;
  readonly exports: Record<string, unknown>;
  readonly dependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const run = promisify(execFile);
const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".ts"),
);
let consumer = "";
let packed: string[] = [];
const inPackage = (path: string): string => join(consumer, "node_modules/qkd-tls", path);

/** A project of somebody else, with what `npm pack` makes in its node_modules. */
beforeAll(async () => {
  consumer = mkdtempSync(join(tmpdir(), "qkd-tls-consumer-"));
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", consumer];
  const { stdout } = await run("npm", pack);
  const [tarball] = Object.values(JSON.parse(stdout)) as [
    { filename: string; files: readonly { path: string }[] },
  ];
  packed = tarball.files.map(({ path }) => path);
  mkdirSync(inPackage("."), { recursive: true });
  const into = ["-C", inPackage("."), "--strip-components=1"];
  await run("tar", ["-xzf", join(consumer, tarball.filename), ...into]);
  for (const name of [...Object.keys(manifest.dependencies), "@types/node", "@types/ws"]) {
    const path = join(consumer, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(resolve("node_modules", name), path);
  }
  writeFileSync(join(consumer, "package.json"), '{ "type": "module" }');
});
afterAll(() => rmSync(consumer, { recursive: true }));

const node = (...words: string[]): Promise<{ stdout: string }> =>
  run(process.execPath, words, { cwd: consumer });

test("it holds the built code, its sources and what one must be told, and nothing else", () => {
  // What a browser gets of the KME's page has neither types nor maps, and has files of other kinds beside it.
  const ofBrowser = (file: string) => file.replaceAll("\\", "/").startsWith("kme/page/browser/");
  const endings = (file: string) => (ofBrowser(file) ? [".js"] : [".js", ".js.map", ".d.ts", ".d.ts.map"]);
  const built = sources.flatMap((file) => endings(file).map((end) => `dist/${file.replace(/\.ts$/, end)}`));
  const page = ["icon.svg", "index.html", "page.css"].map((name) => `kme/page/browser/${name}`);
  const expected = [
    "LICENSE",
    "README.md",
    "package.json",
    ...sources.map((file) => `src/${file}`),
    ...built,
    ...page.flatMap((file) => [`src/${file}`, `dist/${file}`]),
    "src/kme/page/browser/tsconfig.json",
  ];
  expect(packed.toSorted()).toEqual(expected.toSorted());
});

test("its source maps lead to the sources in it", () => {
  for (const file of packed.filter((path) => path.endsWith(".js.map"))) {
    const { sources: named } = JSON.parse(readFileSync(inPackage(file), "utf8")) as { sources: string[] };
    for (const each of named) expect(packed).toContain(posix.join(posix.dirname(file), each));
  }
});

const ENTRIES: Record<string, readonly string[]> = {
  "qkd-tls": ["connect", "createServer", "etsi014"],
  "qkd-tls/core": ["Channel", "clientConfig", "nobleProvider"],
  "qkd-tls/kme": ["startKme", "startPair", "startSiteLink", "startFibre", "startPage"],
  "qkd-tls/link": ["QuantumChannel", "Alice", "Bob", "estimate"],
  "qkd-tls/websocket": ["connectWebSocket", "createWebSocketServer"],
};

test("every export is tried here", () => {
  const named = Object.keys(manifest.exports).filter((path) => path !== "./package.json");
  expect(named.map((path) => posix.join("qkd-tls", path)).toSorted()).toEqual(
    Object.keys(ENTRIES).toSorted(),
  );
});

test.each(["import", "require"] as const)("by %s every entry gives what it promises", async (way) => {
  const lines = Object.entries(ENTRIES).map(([entry, names]) => {
    const load = way === "import" ? `await import("${entry}")` : `require("${entry}")`;
    return `{ const { ${names.join(", ")} } = ${load}; console.log([${names.join(", ")}].map((each) => typeof each).join()); }`;
  });
  const type = way === "import" ? "module" : "commonjs";
  const { stdout } = await node(`--input-type=${type}`, "--eval", lines.join("\n"));
  const functions = Object.values(ENTRIES).map((names) => `${names.map(() => "function").join()}\n`);
  expect(stdout).toBe(functions.join(""));
});

test("what is not exported is out of reach", async () => {
  await expect(
    node("--input-type=module", "--eval", 'import "qkd-tls/dist/cli/program.js"'),
  ).rejects.toMatchObject({
    stderr: expect.stringContaining("ERR_PACKAGE_PATH_NOT_EXPORTED"),
  });
});

test("a strict consumer compiles against its types", async () => {
  const use = `
    import { createInterface } from "node:readline";
    import { connect, createServer, etsi014, inProcess, type QkdTlsSocket, type SecurityRecord, TrustError } from "qkd-tls";
    import { Channel, nobleProvider } from "qkd-tls/core";
    import { kmeApi, linkedStores, StoreError } from "qkd-tls/kme";
    import { preset, QuantumChannel } from "qkd-tls/link";
    import { connectWebSocket, createWebSocketServer } from "qkd-tls/websocket";
    const { a: store } = linkedStores();
    const kme = kmeApi({ id: "kme-a", saes: ["sae-a"], links: [{ kme: "kme-b", saes: ["sae-b"], store }] });
    connect({ host: "localhost", port: 1, qkd: { source: inProcess({ kme, sae: "sae-a" }), peer: "sae-b" } });
    new QuantumChannel(preset("metro-10km").optics, (length) => new Uint8Array(length)).send(1000);
    export const isStore = (error: unknown) => error instanceof StoreError;
    const source = etsi014({ url: "https://kme", sae: "a", ca: "", cert: "", key: "" });
    const socket: QkdTlsSocket = connect({ host: "localhost", port: 1, qkd: { source, peer: "b" } });
    export const security: SecurityRecord | undefined = socket.security;
    socket.on("error", (error) => error instanceof TrustError && error.missing === "qkd");
    createInterface({ input: socket, output: socket });
    // @ts-expect-error: an option that does not exist.
    connect({ host: "localhost", port: 1, quantum: true });
    export const all = [createServer, Channel, nobleProvider, connectWebSocket, createWebSocketServer];
  `;
  writeFileSync(join(consumer, "use.ts"), use);
  const compilerOptions = {
    module: "nodenext",
    target: "es2023",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    types: ["node"],
    noEmit: true,
  };
  writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
  const tsc = run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", consumer]);
  await expect(tsc).resolves.toMatchObject({ stdout: "" });
});

test("its command tells how it is used, and its version", async () => {
  const main = inPackage(manifest.bin["qkd-tls"] ?? "");
  expect(existsSync(main)).toBe(true);
  expect(readFileSync(main, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  // As npm links it.
  mkdirSync(join(consumer, "node_modules/.bin"));
  const linked = join(consumer, "node_modules/.bin/qkd-tls");
  symlinkSync(main, linked);
  expect((await node(linked, "--version")).stdout).toBe(`${manifest.version}\n`);
  expect((await node(linked, "--help")).stdout).toMatch(/^Usage: qkd-tls .*^Exit codes:$/ms);
});
