import { expect, test } from "vitest";
import { example } from "./run.ts";

test("link: the more is intercepted, the higher the error rate and the less key, until there is none", async () => {
  const { code, stdout, stderr } = await example("link");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [head, ...rows] = stdout.trimEnd().split("\n");
  expect(head).toContain("QBER");
  const cells = rows.map((row) => row.split(/\s{2,}/));
  const qber = cells.map(([, errors]) => Number.parseFloat(errors ?? ""));
  expect(qber).toHaveLength(5);
  const [none = 0, little = 0, more = 0, much = 0, again = 0] = qber;
  expect(none < little && little < more && more < 5 && much > 5 && again < little).toBe(true);
  expect(Number(cells[0]?.[2])).toBeGreaterThan(Number(cells[1]?.[2]));
  expect(cells[3]?.[2]).toBe("qber_over_threshold");
  expect(Number(cells[4]?.[2])).toBeGreaterThan(0);
});
