/**
 * The benchmarks, each beside a peer in the same run: `tls` (the default), `link` and `kme`; and `timing`,
 * which asks whether time tells secrets.
 * `npm run bench -- [tls] [link] [kme] [timing] [--seconds N] [--rounds N] [--only WORD] [--no-lemon] [--json]`
 */
import { type Area, areas, json, say } from "./options.ts";

const benches: Readonly<Record<Area, () => Promise<object>>> = {
  tls: async () => (await import("./tls/tls.ts")).bench(),
  link: async () => (await import("./link/link.ts")).bench(),
  kme: async () => (await import("./kme/kme.ts")).bench(),
  timing: async () => (await import("./timing/timing.ts")).bench(),
};

say(`Node ${process.version}, OpenSSL ${process.versions.openssl}`);
const results: Partial<Record<Area, object>> = {};
for (const area of areas) {
  say(`\n${area}`);
  results[area] = await benches[area]();
}
if (json) process.stdout.write(`${JSON.stringify({ node: process.version, results }, null, 2)}\n`);
process.exit(0);
