import { expect, test } from "vitest";
import { assets } from "../../../src/kme/page/assets.ts";

const found = assets("the-token");
const text = (path: string): string => found.get(path)?.bytes.toString() ?? "";

test("everything that the page loads is served here, and nothing else", () => {
  const loaded = [...text("/").matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => `/${path}`);
  const pages = ["/metrics", "/healthz"];
  const imported = [...found]
    .filter(([path]) => path.endsWith(".js"))
    .flatMap(([, { bytes }]) => [...bytes.toString().matchAll(/from "\.\/([^"]+)"/g)])
    .map(([, path]) => `/${path}`);
  const wanted = [...new Set(["/", ...loaded, ...imported])].filter((path) => !pages.includes(path));
  expect([...found.keys()].sort()).toEqual(wanted.sort());
});

test("each has its type", () => {
  const types = Object.fromEntries([...found].map(([path, { type }]) => [path, type]));
  expect(types).toMatchObject({
    "/": "text/html; charset=utf-8",
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/uplot.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml; charset=utf-8",
  });
});

test("the page carries the token, no script or style of its own, and no address of another host", () => {
  expect(text("/")).toContain('<meta name="token" content="the-token" />');
  expect(text("/")).not.toMatch(/<style|style=|\son\w+=|<script[^>]*>[^<]|https?:/);
});
