import { describe, expect, test } from "vitest";
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
} from "../../../../src/kme/page/browser/words.ts";
import type { BlockFigures, Figures } from "../../../../src/kme/page/figures.ts";
import { History } from "../../../../src/kme/page/history.ts";
import { BLOCK_ABORTS } from "../../../../src/link/block.ts";
import { bed, record } from "../watched.ts";

test("figures are short, with units", () => {
  expect([percent(0.0214), percent(0)]).toEqual(["2.1 %", "0.0 %"]);
  expect([count(0), count(999), count(1234567.4)]).toEqual(["0", "999", "1\u202F234\u202F567"]);
  expect([bits(0), bits(999), bits(1234, "/s"), bits(123_456), bits(2_500_000)]).toEqual([
    "0 bit",
    "999 bit",
    "1.2 kbit/s",
    "123 kbit",
    "2.5 Mbit",
  ]);
  const noon = new Date(2026, 0, 2, 12, 3, 4).getTime();
  expect(timeOfDay(noon)).toBe("12:03:04");
});

test("every way to abort has words", () => {
  for (const name of BLOCK_ABORTS) expect(outcome(name)).not.toContain("_");
  expect(outcome("something_new")).toBe("something new");
});

/** The figures of two KMEs after these blocks; `later` milliseconds after the last one. */
function figures(change: (parts: ReturnType<typeof bed>) => void = () => undefined, later = 0): Figures {
  const parts = bed();
  let at = 1_000_000;
  change(parts);
  const seen = new History(parts.watched, { hasControls: true, now: () => at });
  seen.look();
  at += later;
  return seen.whole;
}

describe("the headline", () => {
  test("keys are made", () => {
    const shown = headline(figures(({ history }) => history.push(record(1))));
    expect(shown).toEqual({ title: "✓ Keys are being made", text: "QBER 2.0 %, threshold 5.0 %." });
  });

  test("the link rests when the stock is full, and not as soon as it is", () => {
    const full = ({ history, stock }: ReturnType<typeof bed>): void => {
      history.push(record(1));
      stock.a = stock.b = 45;
    };
    expect(headline(figures(full, 5001)).title).toBe("✓ Stock is full");
    expect(headline(figures(full, 1000)).title).toBe("✓ Keys are being made");
  });

  test("no keys, why, and whether there is stock left", () => {
    const over = figures(({ history }) => history.push(record(1, "qber_over_threshold", 0.067)));
    expect(headline(over)).toEqual({
      title: "▲ No keys: QBER over threshold",
      text: "QBER 6.7 %, threshold 5.0 %. What is in stock is still delivered.",
    });
    const cut = figures(({ history, stock }) => {
      history.push({ ...record(1, "too_few_detections"), qber: undefined });
      stock.a = 0;
    });
    expect(headline(cut)).toEqual({ title: "▲ No keys: too few detections", text: "Stock has run out." });
  });

  test("keys are short", () => {
    const shown = headline(figures(({ stock }) => (stock.b = 0)));
    expect(shown).toEqual({ title: "▲ Keys are short", text: "kme-b has no key in stock" });
  });

  test("the store fails, whatever else there is", () => {
    const failing: Figures = {
      ...figures(({ history }) => history.push(record(1, "stopped"))),
      standing: { status: "failing", reasons: [{ code: "store_failed", text: "the store of a fails" }] },
    };
    expect(headline(failing)).toEqual({ title: "✕ The key store fails", text: "the store of a fails" });
  });

  test("a link whose end is not connected is interrupted, whatever its latest block gave", () => {
    const apart: Figures = {
      ...figures(({ history }) => history.push(record(1))),
      standing: { status: "degraded", reasons: [{ code: "link_apart", text: "the fibre is not connected" }] },
    };
    expect(headline(apart)).toEqual({
      title: "▲ The link is interrupted",
      text: "the fibre is not connected",
    });
  });

  test("no link", () => {
    const { link: _, ...rest } = figures();
    expect(headline(rest).title).toBe("✓ Keys in stock");
  });
});

test("the fibre in a sentence", () => {
  const link = figures().link!;
  const fibre = link.fibre!;
  expect(fibreText(link)).toBe("10 km (preset metro-10km); nobody is in it.");
  const disturbed = { ...fibre, cut: true, interceptShare: 0.2, splitShare: 0.5, addedLossDb: 3 };
  expect(fibreText({ ...link, fibre: disturbed })).toBe(
    "10 km (preset metro-10km); it is cut, 20.0 % of the pulses are intercepted, " +
      "photon numbers are split, 50.0 % of single photons stopped, 3 dB of loss are added.",
  );
  const { fibre: _, ...unknown } = link;
  expect(fibreText(unknown)).toBe("10 km (preset metro-10km).");
});

test("charts have a text that says the same", () => {
  expect(qberText([], 0.05)).toBe("No block has ended yet.");
  const { blocks } = figures(({ history }) =>
    history.push(record(1), record(2, "qber_over_threshold", 0.07)),
  );
  expect(qberText(blocks, 0.05)).toBe("Latest 7.0 %, threshold 5.0 %; 1 of 2 blocks gave no key.");
  const { qberCheck: _, ...unjudged } = blocks[0] as BlockFigures;
  expect(qberText([unjudged], 0.05)).toMatch(/^Latest not measured,/);
  expect(rangeText([], count)).toBe("No figure yet.");
  expect(rangeText([5, 2000, 7], count)).toBe("Now 7; from 5 to 2\u202F000 in the time shown.");
});
