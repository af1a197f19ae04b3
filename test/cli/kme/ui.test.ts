import { Command as Program } from "commander";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startUi, type UiFlags, uiLine, uiOptions } from "../../../src/cli/kme/ui.ts";
import { bed } from "../../kme/page/watched.ts";
import { Command, qkdTls, stopAll } from "../command.ts";

const { watched } = bed();
const parse = (...words: string[]): UiFlags => uiOptions(new Program()).parse(words, { from: "user" }).opts();

describe("--ui", () => {
  test.each<[string[], UiFlags]>([
    [[], {}],
    [["--ui"], { ui: true }],
    [["--ui", "localhost:0"], { ui: "localhost:0" }],
    [["--ui", "--ui-expose"], { ui: true, uiExpose: true }],
    [["--ui", "--ui-expose", "a.example", "b.example"], { ui: true, uiExpose: ["a.example", "b.example"] }],
  ])("%j is understood", (words, flags) => {
    expect(parse(...words)).toEqual(flags);
  });

  test("starts nothing unless it is given", async () => {
    expect(await startUi({}, watched)).toBeUndefined();
  });

  test("starts a page, and exposes it where that is asked for", async () => {
    for (const flags of [{}, { uiExpose: true as const }, { uiExpose: ["kme.example"] }]) {
      const page = await startUi({ ui: "127.0.0.1:0", ...flags }, watched);
      const { status } = await fetch(`${page?.url}/healthz`);
      expect(status).toBe(200);
      await page?.close();
    }
  });

  test.each<[UiFlags, object]>([
    [{ ui: "nowhere" }, { code: "ERR_OPTION_INVALID", option: "--ui" }],
    [{ ui: "0.0.0.0:0" }, { code: "ERR_OPTION_INVALID", option: "ui" }],
    [{ uiExpose: true }, { code: "ERR_OPTION_MISSING", option: "--ui" }],
  ])("%j is refused by name", async (flags, error) => {
    await expect(startUi(flags, watched)).rejects.toMatchObject(error);
  });

  test("says where the page is", () => {
    const page = { host: "127.0.0.1", port: 1, url: "http://127.0.0.1:1", close: async () => undefined };
    expect(uiLine(page, false)).toBe("Page: http://127.0.0.1:1 (metrics, healthz)");
    expect(JSON.parse(uiLine(page, true))).toEqual({ event: "ui", url: "http://127.0.0.1:1" });
  });
});

describe("qkd-tls kme --ui", () => {
  const pki = mkdtempSync(join(tmpdir(), "qkd-tls-ui-"));
  beforeAll(async () => {
    expect(await qkdTls(["pki", "--out", pki])).toMatchObject({ code: 0 });
  });
  afterEach(stopAll);
  afterAll(() => rmSync(pki, { recursive: true }));
  const kme = (...words: string[]) =>
    new Command(
      ["kme", "--pki", pki, "--listen-a", "127.0.0.1:0", "--listen-b", "127.0.0.1:0", ...words],
      null,
    );

  /** The address of the page, once it is there. */
  async function urlOf(command: Command): Promise<string> {
    for await (const _ of command.child.stdout) {
      const found = /"event":"ui","url":"([^"]+)"/.exec(command.bytes.toString())?.[1];
      if (found !== undefined) return found;
    }
    throw new Error(`no page: ${(await command.ended).stderr}`);
  }

  test.each([
    ["a pair", [], 2],
    ["one KME", ["--single"], 1],
    ["a pair without a link", ["--rate", "10"], 2],
  ])("serves the page of %s from what was built, and ends with the KMEs", async (_, words, kmes) => {
    const command = kme("--json", "--ui", "127.0.0.1:0", "--stock", "5", ...words);
    const url = await urlOf(command);
    expect(await (await fetch(url)).text()).toContain("<h1");
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics.match(/^qkd_tls_kme_store_up\{/gm)).toHaveLength(kmes);
    expect(metrics.includes("qkd_tls_kme_qber_threshold_ratio 0.05")).toBe(!words.includes("--rate"));
    expect(await command.stop()).toMatchObject({ code: 0 });
  });

  test("an address beyond loopback is a mistake of the command line; the KMEs do not stay", async () => {
    const { code, stderr } = await kme("--rate", "0", "--ui", "0.0.0.0:0").ended;
    expect(code).toBe(2);
    expect(stderr).toContain("--ui-expose");
  });
});
