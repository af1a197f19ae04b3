/** The page's files: ours as they were built, and the charts' from their package. */

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { extname } from "node:path";

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml; charset=utf-8",
};
/** The same place as seen from `src` and from `dist`: a browser runs no TypeScript. */
const BUILT = new URL("../../../dist/kme/page/browser/", import.meta.url);
const CHARTS = { "/uplot.js": "uplot/dist/uPlot.iife.min.js", "/uplot.css": "uplot/dist/uPlot.min.css" };
const TOKEN = "{{token}}";

/** Every file that is served, by its path; nothing is read later. The page itself carries the token. */
export function assets(token: string): ReadonlyMap<string, Asset> {
  const found = new Map<string, Asset>();
  const add = (path: string, bytes: Buffer): void => {
    const type = TYPES[extname(path)];
    if (type !== undefined) found.set(path, { type, bytes });
  };
  for (const name of readdirSync(BUILT)) add(`/${name}`, readFileSync(new URL(name, BUILT)));
  const { resolve } = createRequire(import.meta.url);
  for (const [path, file] of Object.entries(CHARTS)) add(path, readFileSync(resolve(file)));
  const page = found.get("/index.html");
  if (page === undefined) throw new Error("the page is not built: npm run build");
  found.delete("/index.html");
  found.set("/", { ...page, bytes: Buffer.from(page.bytes.toString().replace(TOKEN, token)) });
  return found;
}
