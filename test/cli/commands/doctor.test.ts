import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startPair } from "../../../src/kme/pair.ts";
import { authority } from "../../support/certificates.ts";
import { qkdTls, stopAll } from "../command.ts";
import { type DefectivePair, defectivePair } from "../doctor/defective-kme.ts";

const trusted = authority();
let pki = "";
let pair: DefectivePair | undefined;
beforeAll(() => {
  pki = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  writeFileSync(join(pki, "ca.crt"), trusted.ca);
  for (const sae of ["sae-a", "sae-b"]) {
    const { cert, key } = trusted.issue(sae);
    writeFileSync(join(pki, `${sae}.crt`), cert);
    writeFileSync(join(pki, `${sae}.key`), key, { mode: 0o600 });
  }
});
afterEach(async () => {
  await pair?.close();
  pair = undefined;
});
afterAll(async () => {
  await stopAll();
  rmSync(pki, { recursive: true });
});

const doctor = async (words: readonly string[]) => {
  if (pair === undefined) throw new Error("no KMEs");
  return qkdTls(["doctor", pair.a.href, pair.b.href, "--pki", pki, "--rounds", "5", ...words]);
};

describe("qkd-tls doctor", () => {
  test("tells each point with its clause, and ends with 0 for a KME without fault", async () => {
    pair = await defectivePair(trusted);
    const { code, stdout, stderr } = await doctor(["--strict"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("\nGet key with key IDs\n");
    expect(stdout).toContain("ok    a key is delivered once (§5.4)");
    expect(stdout).toMatch(/\n\d+ points hold, 0 fail, 0 warnings, 0 not examined\.\n$/);
  });

  test("names the fault and ends with 1", async () => {
    pair = await defectivePair(trusted, {
      answering: (healthy) => (request) =>
        healthy(/dec_keys/.test(request.target) ? { ...request, caller: "sae-b" } : request),
    });
    const { code, stdout } = await doctor(["--json"]);
    expect(code).toBe(1);
    const { ok, count, findings } = JSON.parse(stdout);
    expect({ ok, fail: count.fail }).toEqual({ ok: false, fail: 1 });
    expect(findings.find(({ id }: { id: string }) => id === "dec-rights")).toEqual({
      id: "dec-rights",
      source: "§5.4",
      level: "must",
      title: "an SAE for which a key is not meant does not get it",
      verdict: "fail",
      detail: "the master SAE fetches it in the slave's place",
    });
  });

  test("a warning is a failure with --strict alone", async () => {
    pair = await defectivePair(trusted, { headers: () => ({ "content-type": "application/json" }) });
    expect(await doctor([])).toMatchObject({ code: 0, stdout: expect.stringContaining("1 warnings") });
    expect((await doctor(["--strict"])).code).toBe(1);
  });

  test("no key is printed", async () => {
    const keys: string[] = [];
    pair = await defectivePair(trusted, {
      answering: (healthy) => async (request) => {
        const answer = await healthy(request);
        for (const { key } of (answer.body as { keys?: { key: string }[] }).keys ?? []) keys.push(key);
        // Wrong, so that the doctor has something to complain of.
        return answer.status === 200 && /dec_keys/.test(request.target) ? { ...answer, status: 201 } : answer;
      },
    });
    const { stdout } = await doctor(["--json"]);
    expect(keys.length).toBeGreaterThan(20);
    expect(keys.filter((key) => stdout.includes(key))).toEqual([]);
  });

  test("a pair of ours on Unix domain sockets holds every point", async () => {
    const at = (name: string): string => join(pki, `${name}.sock`);
    const kmes = await startPair({
      ca: trusted.ca,
      a: { id: "kme-a", saes: ["sae-a"], listen: { path: at("a") }, ...trusted.issue("kme-a") },
      b: { id: "kme-b", saes: ["sae-b"], listen: { path: at("b") }, ...trusted.issue("kme-b") },
      link: { initialKeys: 400, keysPerSecond: 100 },
    });
    try {
      const words = ["--pki", pki, "--rounds", "5", "--strict"];
      const { code, stdout } = await qkdTls(["doctor", `unix:${at("a")}`, `unix:${at("b")}`, ...words]);
      expect(stdout).toMatch(/\n\d+ points hold, 0 fail, 0 warnings, 0 not examined\.\n$/);
      expect(code).toBe(0);
    } finally {
      await kmes.close();
    }
  });

  test("ends with 4 where there is no KME", async () => {
    const { code, stderr } = await qkdTls(["doctor", "https://127.0.0.1:9", "--pki", pki]);
    expect(stderr).toContain("the KME 127.0.0.1:9 does not answer (ECONNREFUSED)");
    expect(code).toBe(4);
  });

  test.each([
    ["url", ["http://localhost:1", "--pki", "."]],
    ["--cert", ["https://localhost:1"]],
    ["--key", ["https://localhost:1", "--cert", "a.crt"]],
    ["--peer-sae", ["https://localhost:1", "--pki", ".", "--peer-sae", "sae-a"]],
    ["--rounds", ["https://localhost:1", "--pki", "PKI", "--rounds", "0"]],
    ["--ca", ["https://localhost:1", "--pki", "/nowhere"]],
  ])("%s is refused by name", async (option, words) => {
    const { code, stderr } = await qkdTls(["doctor", ...words.map((word) => (word === "PKI" ? pki : word))]);
    expect(stderr).toContain(option);
    expect(code).toBe(2);
  });
});
