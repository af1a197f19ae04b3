import { spawn } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { Watch } from "./watch.ts";

const watch = new URL("watch.ts", import.meta.url).href;
/** Two inputs come to their end; the third does not. */
const HANGS = `
  import { Watch } from ${JSON.stringify(watch)};
  const watch = await Watch.start("a loop", 0.2, 4);
  watch.during(Uint8Array.of(1), () => {});
  watch.during(Uint8Array.of(2), () => {});
  watch.during(Uint8Array.of(0xca, 0xfe, 0, 1, 2), () => { for (;;); });
`;

test("an input that does not come to an end ends the process, which says what it was, as far as there is room", async () => {
  const words = ["--import", "tsx", "--input-type=module", "-e", HANGS];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
  // Also where the test is given up because it takes too long.
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const signal = await new Promise((resolve) => child.once("close", (_, by) => resolve(by)));
  expect(signal).toBe("SIGKILL");
  expect(said).toContain("a loop did not come to an end");
  expect(said).toContain("the input cafe0001\n");
});

test("what an input throws comes through, and the next one is watched again", async () => {
  const quick = await Watch.start("quick", 60, 4);
  const fails = (): void => {
    throw new TypeError("as it was");
  };
  expect(() => quick.during(new Uint8Array(1), fails)).toThrow(TypeError);
  let ran = 0;
  quick.during(new Uint8Array(9), () => void ran++);
  expect(ran).toBe(1);
  await quick.stop();
});
