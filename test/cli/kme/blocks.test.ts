import { afterEach, expect, test, vi } from "vitest";
import type { BlockRecord } from "../../../src/link/block.ts";
import { blockTeller } from "../../../src/cli/kme/blocks.ts";

const record = (block: number, outcome: BlockRecord["outcome"], check?: number): BlockRecord => ({
  simulated: true,
  block,
  outcome,
  pulses: 1,
  detections: 1,
  siftedBits: 1,
  qber: check === undefined ? undefined : { check },
  qberThreshold: 0.05,
  leakedBits: 0,
  secretBits: 0,
  authentication: { spentBits: 0, earnedBits: 0 },
});

afterEach(() => void vi.restoreAllMocks());

test("a person hears when keys stop coming and why, and when they come again; nothing while all stays as it is", () => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const tell = blockTeller(false);
  tell(record(1, "key", 0.02));
  tell(record(2, "qber_over_threshold", 0.07));
  tell(record(3, "qber_over_threshold", 0.07));
  tell(record(4, "too_few_detections"));
  tell(record(5, "key", 0.02));
  expect(write.mock.calls.map(([line]) => line)).toEqual([
    "The link makes no keys (block 2, qber_over_threshold: QBER 7.0 %, threshold 5.0 %)\n",
    "The link makes no keys (block 4, too_few_detections)\n",
    "The link makes keys again (block 5)\n",
  ]);
});

test("a program gets the record", () => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  blockTeller(true)(record(2, "qber_over_threshold", 0.07));
  expect(JSON.parse(String(write.mock.calls[0]?.[0]))).toEqual({
    event: "block",
    ...record(2, "qber_over_threshold", 0.07),
  });
});
