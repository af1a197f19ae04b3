/** A browser for tests: the one that QKD_TLS_CHROMIUM names, or one on the PATH. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** Where it is; undefined, and said why on standard error, where there is none. */
export function findChromium(): string | undefined {
  const named = process.env["QKD_TLS_CHROMIUM"];
  if (named !== undefined) return named;
  const places = (process.env["PATH"] ?? "").split(delimiter);
  const found = NAMES.flatMap((name) => places.map((place) => join(place, name))).find(isProgram);
  if (found === undefined)
    process.stderr.write(
      "No browser tests: there is no chromium on the PATH, and QKD_TLS_CHROMIUM names none\n",
    );
  return found;
}

/** It ends with `close`. */
export function openChromium(executablePath: string): Promise<Browser> {
  // Its sandbox does not work for root.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
