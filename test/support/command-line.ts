/** The words of a command line as options of the library, beside the files of `qkd-tls pki`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll } from "vitest";
import {
  addClientOptions,
  addServerOptions,
  clientOptions,
  serverOptions,
  type ClientFlags,
  type ServerFlags,
} from "../../src/cli/channel-options.ts";
import { makePki } from "../../src/cli/pki-files.ts";
import type { ConnectOptions, ServerOptions } from "../../src/node/options.ts";

let directory = "";
/** A file of the test's own directory, which holds certificates and keys and goes when the tests are done. */
export const file = (name: string): string => join(directory, name);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  makePki({ directory });
});
afterAll(() => rmSync(directory, { recursive: true }));

function parse(add: (command: Command) => Command, words: readonly string[]): ClientFlags & ServerFlags {
  const command = add(new Command("test"))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(words, { from: "user" }).opts();
}
export const client = (...words: string[]): ConnectOptions => clientOptions(parse(addClientOptions, words));
export const server = (...words: string[]): ServerOptions => serverOptions(parse(addServerOptions, words));

/** The words that name a KME. */
export const kme = (sae: string): string[] =>
  [
    ["--kme", "https://localhost:8443", "--sae", sae, "--ca", file("ca.crt")],
    ["--kme-cert", file(`${sae}.crt`), "--kme-key", file(`${sae}.key`)],
  ].flat();
