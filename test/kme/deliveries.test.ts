import { expect, test } from "vitest";
import { Deliveries } from "../../src/kme/deliveries.ts";

test("keys are summed for each verb and pair; what was read before stays as it was", () => {
  const deliveries = new Deliveries();
  const pair = { verb: "enc_keys", master: "a", slave: "b" } as const;
  deliveries.countKeys({ ...pair, keys: 2 });
  const before = deliveries.delivered;
  deliveries.countKeys({ ...pair, keys: 3 });
  deliveries.countKeys({ ...pair, verb: "dec_keys", keys: 1 });
  deliveries.countKeys({ ...pair, master: "b", slave: "a", keys: 4 });
  expect(deliveries.delivered).toEqual([
    { ...pair, keys: 5 },
    { ...pair, verb: "dec_keys", keys: 1 },
    { ...pair, master: "b", slave: "a", keys: 4 },
  ]);
  expect(before).toEqual([{ ...pair, keys: 2 }]);
});

test("refusals are counted by status", () => {
  const deliveries = new Deliveries();
  for (const status of [400, 503, 400]) deliveries.countRefusal(status);
  expect(deliveries.refused).toEqual(
    new Map([
      [400, 2],
      [503, 1],
    ]),
  );
});
