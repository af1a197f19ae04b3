import * as fc from "fast-check";
import { expect, test } from "vitest";
import { RecentMap } from "../../src/pki/recent.ts";

test("holds the last ones used, never more than its limit", () => {
  const key = fc.nat(9);
  const step = fc.oneof(fc.record({ set: key }), fc.record({ get: key }), fc.record({ delete: key }));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
      const map = new RecentMap<number, string>(limit);
      let model: number[] = []; // least recently used first
      for (const item of steps) {
        const touched = "set" in item ? item.set : "get" in item ? item.get : item.delete;
        const present = model.includes(touched);
        if ("get" in item) expect(map.get(touched)).toBe(present ? `v${touched}` : undefined);
        else if ("set" in item) map.set(touched, `v${touched}`);
        else map.delete(touched);
        model = model.filter((other) => other !== touched);
        if ("set" in item || ("get" in item && present)) model.push(touched);
        model = model.slice(-limit);
        expect(map.size).toBe(model.length);
      }
      for (let at = 0; at < 10; at++) expect(map.get(at) !== undefined).toBe(model.includes(at));
    }),
  );
});
