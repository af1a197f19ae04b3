import { Command } from "commander";
import { expect, test } from "vitest";
import { addPolicyOptions, lifeOf, type PolicyFlags, policyOf } from "../../../src/cli/kme/policy.ts";

function flags(...args: string[]): PolicyFlags {
  const command = addPolicyOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(args, { from: "user" }).opts();
}

test("nothing said leaves every default to the KME and its store", () => {
  expect([policyOf(flags()), lifeOf(flags())]).toEqual([{ limits: {} }, {}]);
});

test("each option reaches its limit; times are in seconds", () => {
  const given = "--key-size 512 --min-key-size 128 --max-key-size 4096 --max-keys 7 --max-slaves 0";
  expect(policyOf(flags(...given.split(" ")))).toEqual({
    limits: { keyBits: 512, minKeyBits: 128, maxKeyBits: 4096, maxKeysPerRequest: 7, maxSaeIds: 0 },
  });
  expect(lifeOf(flags("--max-age", "60", "--hold", "5"))).toEqual({ maxAgeMs: 60_000, holdMs: 5000 });
});

test("--allow names an SAE and its peers, and may come again", () => {
  expect(policyOf(flags("--allow", "a=b,c", "--allow", "d=b")).allow).toEqual([
    ["a", "b"],
    ["a", "c"],
    ["d", "b"],
  ]);
});

test.each([
  ["--allow", "a"],
  ["--allow", "a="],
  ["--allow", "=b"],
  ["--allow", "a=b,"],
  ["--allow", "a=b=c"],
  ["--max-age", "-1"],
  ["--max-age", "soon"],
  ["--key-size", "1e3"],
])("%s %s is refused by name", (option, value) => {
  expect(() => flags(option, value)).toThrow(
    expect.objectContaining({
      code: "commander.invalidArgument",
      message: expect.stringContaining(option),
    }),
  );
});
