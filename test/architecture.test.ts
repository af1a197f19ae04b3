import { build } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

/** A file imports its own room and rooms on lower floors, nothing else. */
const FLOORS = [
  ["protocol"],
  ["wire", "crypto"],
  ["schedule", "record", "pki"],
  ["handshake", "link"],
  ["channel"],
  ["qkd", "observe"],
  ["node"],
  ["websocket", "kme"],
  ["cli"],
];
const LAST_PURE_FLOOR = 4;
const ENTRIES = new Set(["index.ts", "core.ts"]);
const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room));

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts") && !ENTRIES.has(file));

/** The room that a relative import of a file in `src` leads to. */
function roomOf(specifier: string, file: string): string {
  const [, room] = new URL(specifier, `file:///${file}`).pathname.split("/");
  return room as string;
}

const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");

/** Of Buffer, of arrays element by element, of hexadecimal text, and by hand. */
const OTHER_COMPARISONS =
  /\btimingSafeEqual\b|\.(?:compare|equals)\(|\.every\(\((\w+), (\w+)\) => [^\n]*[!=]==[^\n]*\[\2\]|toHex\([^)]*\) *[!=]==|[!=]== *toHex\(|\[(\w+)\](?: as number\))? *[!=]== *\(?\w+\[\3\]/;

/** File names, echoed text, options, certificates and numbers of sessions: nothing that an attacker has to guess. */
const COMPARES_WHAT_IS_PUBLIC = new Set([
  "cli/demo/roles.ts",
  "cli/transfer/source.ts",
  "kme/site/fibre-messages.ts",
  "kme/site/peer-calls.ts",
  "node/context.ts",
  "pki/certificate.ts",
  "pki/constraints.ts",
]);

/** Where a MAC, binder, Finished, cookie, ticket, token or key is held against another. */
const CHECKS_SECRETS = new Set([
  "channel/tickets.ts",
  "cli/doctor/examination.ts",
  "crypto/node-agreement.ts",
  "handshake/authenticate.ts",
  "handshake/choose.ts",
  "handshake/server-psk.ts",
  "kme/page/guard.ts",
  "link/authentication.ts",
  "link/bootstrap-keys.ts",
  "qkd/container.ts",
]);
const IMPORTS_EQUAL = /import \{[^}]*\bequal\b[^}]*\} from "[./]+protocol\/bytes\.ts"/;

test("the files that check secrets are there", () => {
  expect(files).toEqual(expect.arrayContaining([...CHECKS_SECRETS, ...COMPARES_WHAT_IS_PUBLIC]));
});

describe.each(files)("src/%s", (file) => {
  const room = file.split("/")[0] as string;
  const text = readFileSync(`src/${file}`, "utf8");
  const imports = [...text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1] as string);

  test("stands on a floor and imports downwards only", () => {
    expect(floorOf(room), `${room} is a room without a floor`).toBeGreaterThanOrEqual(0);
    for (const specifier of imports.filter((each) => each.startsWith("."))) {
      const target = roomOf(specifier, file);
      if (target !== room)
        expect(floorOf(target), `${file} imports ${specifier}`).toBeLessThan(floorOf(room));
    }
  });

  test("compares bytes with `equal` alone, whose time does not tell where they differ", () => {
    const found = withoutComments(text).match(OTHER_COMPARISONS);
    if (!COMPARES_WHAT_IS_PUBLIC.has(file)) expect(found?.[0]).toBeUndefined();
    if (CHECKS_SECRETS.has(file)) expect(text).toMatch(IMPORTS_EQUAL);
  });

  if (floorOf(room) > LAST_PURE_FLOOR) return;
  test("is pure", () => {
    const native = room === "crypto" && /\/node[^/]*\.ts$/.test(`/${file}`);
    if (!native) expect(imports.filter((each) => each.startsWith("node:"))).toEqual([]);
    expect(withoutComments(text)).not.toMatch(
      /\basync\b|\bawait\b|\bDate\.now\b|\bMath\.random\b|\bconsole\.|\bprocess\.|\bsetTimeout\b/,
    );
  });
});

test("the core bundles for any runtime, with nothing of Node in it", async () => {
  const { outputFiles } = await build({
    entryPoints: ["src/core.ts"],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "silent",
  });
  const [bundle] = outputFiles;
  expect(bundle?.text.length).toBeGreaterThan(100_000);
  expect(bundle?.text).not.toMatch(/["']node:/);
});
