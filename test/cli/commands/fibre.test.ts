import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { Command as Program } from "commander";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { registerFibre } from "../../../src/cli/commands/fibre.ts";
import { Command, stopAll } from "../command.ts";

const root = mkdtempSync(join(tmpdir(), "qkd-tls-fibre-"));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopAll);

/** The first line of standard output. */
async function firstLine(command: Command): Promise<string> {
  while (!command.bytes.includes("\n")) await once(command.child.stdout, "data");
  return command.bytes.toString().split("\n")[0] as string;
}

describe("qkd-tls fibre", () => {
  test("says where it is and what it is, does what it is told while it runs, and ends cleanly", async () => {
    const where = `unix:${join(root, "fibre")}`;
    const command = new Command(
      ["fibre", "--listen", where, "--length-km", "25", "--eavesdrop", "loss=3"],
      null,
    );
    expect(await firstLine(command)).toBe(`The fibre listens on ${where}: 25 km, loss=3 (simulated)`);
    for (const [line, answer] of [
      ["intercept=0.2", /^The fibre is now 25 km, intercept=0\.2$/m],
      ["length 50", /^The fibre is now 50 km, intercept=0\.2$/m],
      ["clear", /^The fibre is now 50 km, nobody in it$/m],
      ["length far", /^"length far" changes nothing: /m],
      ["dance", /^"dance" changes nothing: /m],
    ] as const) {
      command.child.stdin.write(`${line}\n`);
      await command.line(answer);
    }
    // Whoever closes its input leaves it as it is.
    command.child.stdin.end();
    const site = connect({ path: join(root, "fibre") });
    await once(site, "connect");
    site.destroy();
    expect((await command.stop("SIGINT")).code).toBe(0);
  });

  test("speaks to programs", async () => {
    const command = new Command(["fibre", "--listen", "127.0.0.1:0", "--json"], null);
    const listening = JSON.parse(await firstLine(command));
    expect(listening).toEqual({
      event: "listening",
      host: "127.0.0.1",
      port: expect.any(Number),
      simulated: true,
    });
    command.child.stdin.write("cut\n");
    expect(await command.event("fibre")).toMatchObject({ lengthKm: 10, adversary: { cut: true } });
    command.child.stdin.write("dance\n");
    expect(await command.event("refused")).toMatchObject({ line: "dance" });
    expect((await command.stop()).code).toBe(0);
  });
});

describe("refuses", () => {
  const run = (args: string[]): Promise<unknown> => {
    const program = new Program().exitOverride().configureOutput({ writeErr: () => undefined });
    registerFibre(program);
    for (const command of program.commands) command.copyInheritedSettings(program);
    return program.parseAsync(["node", "qkd-tls", "fibre", ...args]);
  };

  test.each([
    [["--listen", "7000"], "--listen"],
    [["--length-km", "far"], "--length-km"],
    [["--eavesdrop", "loudly"], "--eavesdrop"],
    [["--link", "moon"], "--link"],
  ])("%j", async (args, named) => {
    const message = expect.stringContaining(named);
    await expect(run(args)).rejects.toMatchObject({ code: "commander.invalidArgument", message });
  });

  test("to be reached from other machines", async () => {
    await expect(run(["--listen", "0.0.0.0:7000"])).rejects.toMatchObject({
      name: "UsageError",
      option: "listen",
    });
  });

  test("a seed in production", async () => {
    const before = process.env["NODE_ENV"];
    process.env["NODE_ENV"] = "production";
    try {
      await expect(run(["--seed", "x"])).rejects.toMatchObject({ name: "UsageError", option: "seed" });
    } finally {
      if (before === undefined) delete process.env["NODE_ENV"];
      else process.env["NODE_ENV"] = before;
    }
  });
});
