import { afterEach, expect, test, vi } from "vitest";
import { linkRandom } from "../../src/kme/link-random.ts";

afterEach(() => void vi.unstubAllEnvs());

test("under one seed the same comes again, and something else for another use", () => {
  const draw = (seed: string, use: string) => linkRandom({ seed })(use)(64);
  expect(draw("s", "fibre")).toEqual(draw("s", "fibre"));
  expect(draw("s", "fibre")).not.toEqual(draw("s", "parties"));
  expect(draw("s", "fibre")).not.toEqual(draw("t", "fibre"));
});

test("without a seed nothing comes again", () => {
  const random = linkRandom({})("fibre");
  expect(random(64)).not.toEqual(random(64));
});

test("a seed is refused in production, by option or by NODE_ENV", () => {
  const refused = expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "seed" });
  expect(() => linkRandom({ seed: "s", production: true })).toThrow(refused);
  vi.stubEnv("NODE_ENV", "production");
  expect(() => linkRandom({ seed: "s" })).toThrow(refused);
  expect(linkRandom({ seed: "s", production: false })("fibre")(1)).toHaveLength(1);
  expect(linkRandom({})("fibre")(1)).toHaveLength(1);
});
