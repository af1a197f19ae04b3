import { join } from "node:path";
import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Deliveries } from "../../../../src/kme/deliveries.ts";
import { type Page, startPage } from "../../../../src/kme/page/server.ts";
import type { Watched } from "../../../../src/kme/page/watched.ts";
import { type LinkedStores, linkedStores } from "../../../../src/kme/pair.ts";
import { findChromium, openChromium } from "../../../support/chromium.ts";

const program = findChromium();
/** Where somebody wants to look at what was drawn. */
const screenshots = process.env["QKD_TLS_SCREENSHOTS"];
const LIMIT_MS = 60_000;

describe.skipIf(program === undefined)("in Chromium (QKD_TLS_CHROMIUM, or on the PATH)", () => {
  let browser: Browser;
  let stores: LinkedStores;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    browser = await openChromium(program ?? "");
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    complaints = [];
    // Small blocks of a stock that never fills: there is always something to see soon.
    stores = linkedStores({ maxStored: 1_000_000, blockBits: 360_000 });
    page = await start({ link: stores.link });
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await page.close();
    await Promise.all([stores.a.close(), stores.b.close()]);
  });

  function start({ link }: Pick<Watched, "link">, port = 0): Promise<Page> {
    const deliveries = new Deliveries();
    deliveries.countKeys({ verb: "enc_keys", master: "sae-a", slave: "sae-b", keys: 3 });
    const kmes = [
      { id: "kme-a", peer: "kme-b", saes: ["sae-a"], store: stores.a, deliveries },
      { id: "kme-b", peer: "kme-a", saes: ["sae-b"], store: stores.b, deliveries: new Deliveries() },
    ];
    return startPage({
      watched: { kmes, link },
      listen: { host: "127.0.0.1", port },
      limits: { everyMs: 200 },
    });
  }

  async function open(width: number, colorScheme: "light" | "dark"): Promise<Tab> {
    const tab = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    tab.setDefaultTimeout(LIMIT_MS);
    tab.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    tab.on("pageerror", (error) => complaints.push(error.message));
    tab.on("request", (request) => {
      if (!request.url().startsWith(`${page.url}/`)) complaints.push(`asks for ${request.url()}`);
    });
    await tab.goto(page.url);
    return tab;
  }
  const shoot = async (tab: Tab, name: string): Promise<void> => {
    if (screenshots !== undefined) await tab.screenshot({ path: join(screenshots, name), fullPage: true });
  };
  const headline = (tab: Tab, text: RegExp) => tab.getByRole("heading", { name: text }).waitFor();
  /** The figure of a tile, in digits. */
  async function figure(tab: Tab, name: RegExp): Promise<number> {
    const tile = tab.locator("#tiles > div").filter({ has: tab.locator("dt", { hasText: name }) });
    return Number((await tile.locator(".figure").innerText()).replaceAll(/[^\d.]/g, ""));
  }
  const stockOf = async (tab: Tab) => [await figure(tab, /^Stock kme-a/), await figure(tab, /^Stock kme-b/)];
  /** Blocks that gave no key, once there are more than so many. */
  async function aborted(tab: Tab, more: number): Promise<number> {
    const found = async (): Promise<number> =>
      Number(/over threshold: (\d+)/.exec(await tab.locator("#outcomes").innerText())?.[1] ?? 0);
    await expect.poll(found, { timeout: LIMIT_MS }).toBeGreaterThan(more);
    return found();
  }
  const ground = (tab: Tab) => tab.evaluate("getComputedStyle(document.body).backgroundColor");
  const width = (tab: Tab) => tab.evaluate("document.documentElement.scrollWidth");

  test("an eavesdropper comes and goes", { timeout: 2 * LIMIT_MS }, async () => {
    const tab = await open(1280, "light");
    await headline(tab, /Keys are being made/);
    await tab.getByRole("img", { name: /^Latest \d/ }).waitFor();
    await expect
      .poll(async () => Math.min(...(await stockOf(tab))), { timeout: LIMIT_MS })
      .toBeGreaterThan(0);
    expect(await figure(tab, /^QBER/)).toBeLessThan(5);

    // By the keyboard alone.
    await tab.getByRole("slider", { name: "Eavesdropper intercepts" }).focus();
    for (let step = 0; step < 20; step++) await tab.keyboard.press("ArrowRight");
    const atApply = tab.locator("button[type=submit]:focus");
    for (let stop = 0; stop < 9 && (await atApply.count()) === 0; stop++) await tab.keyboard.press("Tab");
    await tab.keyboard.press("Enter");
    await tab.getByText("20.0 % of the pulses are intercepted").waitFor();

    await headline(tab, /No keys: QBER over threshold/);
    await expect.poll(() => figure(tab, /^QBER/), { timeout: LIMIT_MS }).toBeGreaterThan(5);
    const [dry, first] = [await stockOf(tab), await aborted(tab, 0)];
    await aborted(tab, first + 1);
    expect(await stockOf(tab)).toEqual(dry);
    expect(await tab.locator("#qber figcaption").innerText()).toMatch(
      /^Latest [6-9]\.\d %, threshold 5\.0 %; [1-9]/,
    );
    expect(await tab.locator("#blocks tbody tr").first().innerText()).toContain("✕ QBER over threshold");
    await shoot(tab, "eavesdropper-desktop-light.png");

    await tab.getByRole("button", { name: "Leave the fibre alone" }).click();
    await tab.getByText("nobody is in it").waitFor();
    await headline(tab, /Keys are being made/);
    await expect
      .poll(async () => (await stockOf(tab)).some((blocks, at) => blocks > (dry[at] ?? 0)), {
        timeout: LIMIT_MS,
      })
      .toBe(true);
    await shoot(tab, "keys-desktop-light.png");
    expect(await width(tab)).toBe(1280);
    expect(complaints).toEqual([]);
  });

  test("a phone shows all of it, without sideways scroll, also in the dark", async () => {
    const tab = await open(360, "dark");
    await headline(tab, /Keys are being made/);
    expect(await width(tab)).toBe(360);
    for (const box of await tab.locator(".chart, table, form").all()) {
      const { x = 0, width = 0 } = (await box.boundingBox()) ?? {};
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(360);
    }
    expect(await ground(tab)).toBe("rgb(16, 20, 27)");
    await shoot(tab, "keys-phone-dark.png");
    await tab.emulateMedia({ colorScheme: "light" });
    await expect.poll(() => ground(tab), { timeout: LIMIT_MS }).toBe("rgb(243, 245, 248)");
    expect(complaints).toEqual([]);
  });

  test("whoever does not see it is told all of it", async () => {
    const tab = await open(1280, "light");
    await headline(tab, /Keys are being made/);
    // The headline tells the link's state at once, the charts what was noted at the last look: they follow it.
    for (const name of [/^Latest \d/, /^Now .*bit\/s/, /^kme-a → kme-b: Now/])
      await tab.getByRole("img", { name }).waitFor();
    for (const name of [/latest blocks/, /pays for the tags/, /pair of SAEs/, /what became of them/])
      expect(await tab.getByRole("table", { name }).count(), String(name)).toBe(1);
    for (const name of ["Length", "Added loss"])
      expect(await tab.getByRole("spinbutton", { name }).count(), name).toBe(1);
    expect(await tab.getByRole("slider").count()).toBe(2);
    expect(await tab.getByRole("checkbox", { name: "Fibre cut" }).count()).toBe(1);
    expect(await tab.getByRole("heading", { level: 1 }).innerText()).toBe("QKD keys: kme-a ⇄ kme-b");
    expect(await tab.locator("[role=status]").count()).toBe(3);
    await expect
      .poll(() => tab.getByText("simulated", { exact: true }).count(), { timeout: LIMIT_MS })
      .toBeGreaterThan(7);
    expect(await tab.getByRole("cell", { name: "sae-a", exact: true }).first().isVisible()).toBe(true);
  });

  test("a value out of range is refused, in words", async () => {
    const tab = await open(1280, "light");
    await tab.getByLabel("Length").fill("10");
    await tab.getByLabel("Added loss").evaluate((node) => node.removeAttribute("max"));
    await tab.getByLabel("Added loss").fill("999");
    await tab.getByRole("button", { name: "Apply" }).click();
    await tab.getByText("Refused: addedLossDb must be a number from 0 to 200.").waitFor();
  });

  test("without a link it shows the stock alone", async () => {
    await page.close();
    page = await start({ link: undefined });
    const tab = await open(1280, "light");
    await headline(tab, /[✓▲] Keys (?:in stock|are short)/);
    expect(
      await tab.locator("#controls, #qber, #rate, #blocks, #authentication").locator("visible=true").count(),
    ).toBe(0);
    expect(await tab.locator("#stock canvas").count()).toBe(1);
    expect((await tab.locator("#deliveries").boundingBox())?.x).toBeLessThan(100);
    expect(complaints).toEqual([]);
  });

  test("it says when the KME has gone, and goes on when it is back", async () => {
    const tab = await open(1280, "light");
    await tab.getByText("live", { exact: true }).waitFor();
    await page.close();
    await tab.getByText("connection lost, trying again").waitFor();
    page = await start({ link: stores.link }, page.port);
    await tab.getByText("live", { exact: true }).waitFor();
  });
});
