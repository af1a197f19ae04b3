import { expect, test } from "vitest";
import { example, HYBRID } from "./run.ts";

test("minimal: a server and a client agree on X25519MLKEM768 and one QKD key", async () => {
  const { code, stdout, stderr } = await example("minimal");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const keys = [...stdout.matchAll(new RegExp(`^${HYBRID}$`, "gm"))].map(([, key]) => key);
  expect(keys).toHaveLength(2);
  expect(new Set(keys).size).toBe(1);
  expect(stdout).toMatch(/^hello$/m);
});
