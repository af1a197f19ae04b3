/** What the page says in words and tables. */

import type { AccountFigures, Figures, KmeFigures, LinkFigures } from "../figures.ts";
import { type Cell, element, rowOf, setText } from "./elements.ts";
import {
  bits,
  count,
  fibreText,
  headline,
  outcome,
  percent,
  qberText,
  rangeText,
  timeOfDay,
} from "./words.ts";

/** As many as a phone shows without much scrolling. */
const ROWS = 12;

/** Everything but the charts and the controls. */
export function showTables(figures: Figures): void {
  const { link, kmes, standing, stock, samples } = figures;
  const { title, text } = headline(figures);
  setText("#headline", title);
  setText("#reasons", text);
  element("#standing").dataset["status"] = standing.status;
  const name = kmes.map(({ id }) => id).join(" ⇄ ");
  setText("#title", `QKD keys: ${name}`);
  document.title = `${title} (${name})`;
  element("#simulated").hidden = !figures.simulated;
  for (const note of document.querySelectorAll<HTMLElement>(".of-simulation"))
    note.hidden = !figures.simulated;
  element("#tiles").replaceChildren(...tilesOf(figures));
  for (const part of ["#fibre", "#qber", "#rate", "#blocks", "#authentication"])
    element(part).hidden = link === undefined;
  if (link !== undefined) showLink(figures, link);
  const legend = stock.map(({ label }, at) => legendOf(label, at));
  element("#stock-legend").replaceChildren(...legend);
  const ranges = stock.map(
    ({ label }, at) =>
      `${label}: ${rangeText(
        samples.map(({ blocks }) => blocks[at] ?? 0),
        count,
      )}`,
  );
  setText("#stock-text", ranges.join(" "));
  showDeliveries(figures);
  showKmes(kmes);
}

function showLink({ blocks, samples }: Figures, link: LinkFigures): void {
  setText("#fibre-text", fibreText(link));
  setText("#qber-text", qberText(blocks, link.qberThreshold));
  const rates = samples.map(({ keyBitsPerSecond }) => keyBitsPerSecond);
  setText(
    "#rate-text",
    rangeText(rates, (rate) => bits(rate, "/s")),
  );
  const outcomes = link.outcomes.map((each) => `${outcome(each.outcome)}: ${count(each.count)}`);
  setText(
    "#outcomes",
    outcomes.length === 0 ? "None has ended yet." : `Since the start: ${outcomes.join(", ")}.`,
  );
  const rows = blocks
    .slice(-ROWS)
    .reverse()
    .map((block) => {
      const isKey = block.outcome === "key";
      const cells: Cell[] = [
        { text: timeOfDay(block.at), kind: "time" },
        { text: `${isKey ? "✓" : "✕"} ${outcome(block.outcome)}` },
        { text: block.qberCheck === undefined ? "–" : percent(block.qberCheck), kind: "number" },
        { text: count(block.secretBits), kind: "number" },
      ];
      return rowOf(cells, isKey ? "key" : "none");
    });
  element("#blocks tbody").replaceChildren(...rows);
  showAuthentication(link);
}

const ACCOUNT: readonly (readonly [name: keyof AccountFigures, text: string])[] = [
  ["reserveBits", "In reserve"],
  ["earnedBits", "Earned from the link"],
  ["bootstrapBits", "From the bootstrap"],
  ["spentBits", "Spent on tags"],
  ["droppedBits", "Thrown away"],
];

function showAuthentication({ authentication, sessions }: LinkFigures): void {
  const { send, receive } = authentication;
  const rows = ACCOUNT.map(([name, text]) =>
    rowOf([
      { text, head: "row" },
      { text: count(send[name]), kind: "number" },
      { text: count(receive[name]), kind: "number" },
    ]),
  );
  element("#authentication tbody").replaceChildren(...rows);
  const stop = sessions.lastStop === undefined ? "" : `; the last one stopped with ${sessions.lastStop}`;
  setText("#sessions", `Sessions opened: ${count(sessions.opened)}${stop}.`);
}

function showDeliveries({ deliveries }: Figures): void {
  const rows = deliveries.map(({ master, slave, drawn, redeemed }) =>
    rowOf([
      { text: master, kind: "name" },
      { text: slave, kind: "name" },
      { text: count(drawn), kind: "number" },
      { text: count(redeemed), kind: "number" },
    ]),
  );
  const none = rowOf([{ text: "none yet" }, { text: "" }, { text: "" }, { text: "" }]);
  element("#deliveries tbody").replaceChildren(...(rows.length > 0 ? rows : [none]));
}

function showKmes(kmes: readonly KmeFigures[]): void {
  const heads = rowOf([
    { text: "Blocks", head: "col" },
    ...kmes.map(({ id }): Cell => ({ text: id, head: "col", kind: "number" })),
  ]);
  element("#kmes thead").replaceChildren(heads);
  const numbers = (text: string, value: (kme: KmeFigures) => string): HTMLTableRowElement =>
    rowOf([{ text, head: "row" }, ...kmes.map((kme): Cell => ({ text: value(kme), kind: "number" }))]);
  const counters = Object.keys(kmes[0]?.counters ?? {}).map((name) =>
    numbers(name, ({ counters }) => count(counters[name] ?? 0)),
  );
  const refused = numbers("requests refused", (kme) => {
    const each = kme.refused.map(({ status, count: times }) => `${count(times)} × ${status}`);
    return each.length === 0 ? "0" : each.join(", ");
  });
  const saes = rowOf([
    { text: "SAEs", head: "row" },
    ...kmes.map((kme): Cell => ({ text: kme.saes.join(", "), kind: "name" })),
  ]);
  element("#kmes tbody").replaceChildren(...counters, refused, saes);
}

function tilesOf({ link, stock, blocks }: Figures): HTMLElement[] {
  const tiles: HTMLElement[] = [];
  if (link !== undefined) {
    const last = blocks.findLast(({ qberCheck }) => qberCheck !== undefined);
    const qber = last?.qberCheck;
    const isOver = qber !== undefined && qber > link.qberThreshold;
    const threshold = `threshold ${percent(link.qberThreshold)}`;
    tiles.push(
      tile("Secret key rate", bits(link.keyBitsPerSecond, "/s"), "for delivery, latest half minute"),
      tile(
        "QBER",
        qber === undefined ? "–" : percent(qber),
        isOver ? `▲ over the ${threshold}` : threshold,
        isOver,
      ),
    );
  }
  for (const { label, blocks, maxBlocks, blockBytes } of stock) {
    tiles.push(
      tile(`Stock ${label}`, count(blocks), `of ${count(maxBlocks)} keys of ${8 * blockBytes} bits`),
    );
  }
  if (link !== undefined) {
    const { send, receive } = link.authentication;
    const reserve = Math.min(send.reserveBits, receive.reserveBits);
    tiles.push(tile("Authentication reserve", bits(reserve), "of key for tags, the lesser way"));
  }
  return tiles;
}

function tile(name: string, figure: string, more: string, isOver = false): HTMLElement {
  const box = document.createElement("div");
  const add = (tag: "dt" | "dd", text: string, kind = ""): void => {
    const part = document.createElement(tag);
    part.textContent = text;
    part.className = kind;
    box.append(part);
  };
  add("dt", name);
  add("dd", figure, isOver ? "figure over" : "figure");
  add("dd", more, "more");
  return box;
}

function legendOf(label: string, at: number): HTMLElement {
  const item = document.createElement("li");
  const line = document.createElement("span");
  line.className = at % 2 === 1 ? "line dashed" : "line";
  line.dataset["series"] = String((at % 2) + 1);
  item.append(line, label);
  return item;
}
