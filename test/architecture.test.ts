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

  if (floorOf(room) > LAST_PURE_FLOOR) return;
  test("is pure", () => {
    const native = room === "crypto" && /\/node[^/]*\.ts$/.test(`/${file}`);
    if (!native) expect(imports.filter((each) => each.startsWith("node:"))).toEqual([]);
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    expect(code).not.toMatch(
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
