/** What the examples need to run by themselves: certificates and two linked KMEs, as the command makes them. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { etsi014 } from "qkd-tls";

const qkdTls = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Starts them; two SAEs for clients, one for a server. */
export async function testBed({ clients = ["sae-a"], server = "sae-b" } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "qkd-tls-example-"));
  const pki = ["pki", "--out", directory, "--sae", ...clients, server];
  execFileSync(process.execPath, [qkdTls, ...pki], { stdio: ["ignore", "ignore", "inherit"] });

  const ports = ["--listen-a", "localhost:0", "--listen-b", "localhost:0"];
  const kme = ["kme", "--pki", directory, ...ports, "--sae-a", ...clients, "--sae-b", server, "--json"];
  const kmes = spawn(process.execPath, [qkdTls, ...kme], { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => {
    kmes.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  const urls: string[] = [];
  for await (const line of createInterface({ input: kmes.stdout })) {
    if (urls.push((JSON.parse(line) as { url: string }).url) === 2) break;
  }

  const [urlA = "", urlB = ""] = urls;
  const pem = (file: string): Buffer => readFileSync(join(directory, file));
  const ca = pem("ca.crt");
  const identity = (name: string) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) });
  /** Where an SAE gets its QKD keys. */
  const keys = (sae: string) => etsi014({ url: sae === server ? urlB : urlA, sae, ca, ...identity(sae) });
  return { directory, urlA, urlB, ca, identity, keys, close: () => void kmes.kill() };
}
