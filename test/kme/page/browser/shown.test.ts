import { expect, test } from "vitest";
import { joined } from "../../../../src/kme/page/browser/shown.ts";
import { History } from "../../../../src/kme/page/history.ts";
import { bed, record } from "../watched.ts";

test("the whole and then the news are what the whole would be now, and as bounded", () => {
  const { watched, history, stock } = bed();
  let at = 0;
  const seen = new History(watched, { hasControls: false, now: () => at });
  history.push(record(1));
  seen.look();
  let shown = seen.whole;
  for (let second = 1; second < 400; second++) {
    at += 1000;
    stock.a++;
    history.push(record(second + 1));
    shown = joined(shown, seen.look());
  }
  expect(shown).toEqual(seen.whole);
  expect([shown.blocks.length, shown.samples.length]).toEqual([256, 300]);
});
