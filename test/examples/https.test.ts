import { expect, test } from "vitest";
import { example, HYBRID } from "./run.ts";

test("https: a stock agent and a stock server share one hybrid connection", async () => {
  const { code, stdout, stderr } = await example("https");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [, first, second] =
    new RegExp(`^/first came over ${HYBRID}\n/second came over ${HYBRID}\n$`).exec(stdout) ?? [];
  expect(first).toBeDefined();
  expect(second).toBe(first);
});
