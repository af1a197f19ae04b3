import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { example, HYBRID } from "./run.ts";

const directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("file-transfer: the same bytes arrive over TCP and over WebSocket, and their SHA-256 is told", async () => {
  const content = randomBytes(5_000_000);
  const file = join(directory, "a file");
  writeFileSync(file, content);
  const { code, stdout, stderr } = await example("file-transfer", [file, directory]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const sha256 = createHash("sha256").update(content).digest("hex");
  const line = `${sha256}  \\S+/a file, by ${HYBRID}\n`;
  const [, first, second] = new RegExp(`^${line}${line}$`).exec(stdout) ?? [];
  expect(first).toBeDefined();
  expect(second).not.toBe(first);
  expect(readdirSync(directory).sort()).toEqual(["a file", "tcp-a file", "websocket-a file"]);
  for (const way of ["tcp", "websocket"]) {
    expect(readFileSync(join(directory, `${way}-a file`)).equals(content)).toBe(true);
  }
});
