/** What a person is told of the link's blocks. */

import type { BlockOutcome, BlockRecord } from "../../link/block.ts";
import { say } from "../output.ts";

/** A line when keys stop coming, with the reason, and when they come again. */
export function blockTeller(json: boolean): (record: BlockRecord) => void {
  let before: BlockOutcome = "key";
  return (record) => {
    // What changes is worth a line; what stays as it is would be one each second.
    if (record.outcome !== before) say(json, { event: "block", ...record }, blockText(record));
    before = record.outcome;
  };
}

function blockText({ block, outcome, qber, qberThreshold }: BlockRecord): string {
  if (outcome === "key") return `The link makes keys again (block ${block})`;
  const percent = (rate: number): string => `${(100 * rate).toFixed(1)} %`;
  const errors =
    qber === undefined ? "" : `: QBER ${percent(qber.check)}, threshold ${percent(qberThreshold)}`;
  return `The link makes no keys (block ${block}, ${outcome}${errors})`;
}
