import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { registerPki } from "../../../src/cli/commands/pki.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

/** What the command prints on standard output. */
function run(...words: string[]): string {
  let printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  const program = new Command("qkd-tls").exitOverride().configureOutput({ writeErr: () => {} });
  registerPki(program);
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} });
  program.parse(["pki", "--out", directory, ...words], { from: "user" });
  return printed;
}

describe("qkd-tls pki", () => {
  test("prints a table that names every file and no key", () => {
    const lines = run("--sae", "alice", "bob", "--kme", "kme-1").split("\n");
    expect(lines[0]).toMatch(/^role +name +certificate +key +for$/);
    expect(lines[1]).toMatch(/^ca +qkd-tls test bed CA +.*ca\.crt +\(not kept\)$/);
    expect(lines.find((line) => line.startsWith("sae"))).toMatch(/alice +.*alice\.crt +.*alice\.key$/);
    expect(lines.join("\n")).not.toMatch(/PRIVATE KEY/);
    expect(readdirSync(directory)).toContain("bob.key");
  });

  test("prints JSON for programs", () => {
    const { certificates } = JSON.parse(run("--json", "--algorithm", "ed25519")) as {
      certificates: object[];
    };
    expect(certificates).toHaveLength(7);
    expect(certificates[1]).toMatchObject({
      role: "server",
      commonName: "server",
      certificatePath: join(directory, "server.crt"),
      keyPath: join(directory, "server.key"),
      names: ["localhost", "127.0.0.1", "::1"],
    });
  });

  test.each([[["--algorithm", "dsa"]], [["--days", "soon"]], [["--dyas", "3"]]])("refuses %j", (words) => {
    expect(() => run(...words)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^commander\./) }),
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  test("refuses to replace, and does with --force", () => {
    run();
    expect(() => run()).toThrow(/--force/);
    expect(run("--force")).toMatch(/server\.crt/);
  });
});
