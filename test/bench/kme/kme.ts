/** Deliveries of a KME over mutual TLS, beside node:https with answers of the same form, and what a million keys leave. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Caller } from "../../../src/cli/doctor/asking.ts";
import type { LinkOptions } from "../../../src/kme/pair.ts";
import { authority } from "../../support/certificates.ts";
import { say, seconds } from "../options.ts";
import type { Order, Serving } from "./served.ts";

const IN_FLIGHT = 8;
const STOCK = 1_000_000;
const A_MILLION = 1_000_000;
const BATCH = 128;
const ENC = "/api/v1/keys/sae-b/enc_keys";
const DEC = "/api/v1/keys/sae-a/dec_keys";

const trusted = authority();
const identities = { a: trusted.issue("sae-a"), b: trusted.issue("sae-b") };
const kmes = [trusted.issue("kme-a"), trusted.issue("kme-b")] as const;

interface Figures {
  readonly perSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

export async function bench(): Promise<object> {
  say(
    `${IN_FLIGHT} requests in flight for ${seconds} s, one 256-bit key each; ratios are to node:https alone\n`,
  );
  const generator: LinkOptions = { maxStored: STOCK, initialKeys: 100_000, keysPerSecond: 0 };
  const directory = mkdtempSync(join(tmpdir(), "qkd-tls-bench-"));
  try {
    const base = await row("node:https alone", {});
    const rows = [
      await row("keys in memory", { link: generator }, base),
      await row("keys on the disk", { link: { ...generator, initialKeys: 50_000 }, directory }, base),
      await row("fed by the simulated link of 10 km", { link: { maxStored: 100_000 } }, base),
    ];
    return { base, rows, memory: await afterAMillion() };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** `enc_keys` alone, and then each key at both of its ends. */
async function row(
  name: string,
  order: Pick<Order, "link" | "directory">,
  base?: { readonly enc: Figures; readonly both: Figures },
): Promise<{ name: string; enc: Figures; both: Figures }> {
  return served(order, async ({ a, b }) => {
    const enc = await paced(async () => (await drawn(a, 1)).length > 0);
    const both = await paced(async () => {
      const [id] = await drawn(a, 1);
      if (id === undefined) return false;
      await b.ask({ method: "GET", path: `${DEC}?key_ID=${id}` });
      return true;
    });
    const text = (of: Figures, to?: Figures): string =>
      `${of.perSecond.toFixed(0)}/s${to === undefined ? "" : ` (${(of.perSecond / to.perSecond).toFixed(2)})`}, ` +
      `median ${of.medianMs.toFixed(1)} ms, p99 ${of.p99Ms.toFixed(1)} ms`;
    say(`${name.padEnd(36)} enc_keys ${text(enc, base?.enc)}   both ends ${text(both, base?.both)}`);
    return { name, enc, both };
  });
}

/** What stays of a million keys that were delivered at both ends, 128 a request. */
async function afterAMillion(): Promise<object> {
  const link: LinkOptions = { maxStored: 50_000, initialKeys: 50_000, keysPerSecond: 1_000_000 };
  return served({ link }, async ({ a, b, child }) => {
    const deliver = async (count: number): Promise<void> => {
      for (let done = 0; done < count; ) {
        const ids = await drawn(a, BATCH);
        // The generator needs a moment.
        if (ids.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        else await b.ask({ method: "POST", path: DEC, body: { key_IDs: ids.map((key_ID) => ({ key_ID })) } });
        done += ids.length;
      }
    };
    await deliver(50_000);
    const before = await memory(child);
    const start = performance.now();
    await deliver(A_MILLION);
    const perSecond = (1000 * A_MILLION) / (performance.now() - start);
    const after = await memory(child);
    const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
    say(
      `\na million keys at both ends, ${BATCH} a request: ${perSecond.toFixed(0)} keys/s; heap ${mega(before.heap)} before, ` +
        `${mega(after.heap)} after; resident ${mega(before.rss)} and ${mega(after.rss)}`,
    );
    return { perSecond, before, after };
  });
}

/** Key_IDs of so many new keys; none when the stock is dry. */
async function drawn(caller: Caller, number: number): Promise<string[]> {
  const { answer } = await caller.ask({ method: "POST", path: ENC, body: { number } });
  if (answer?.status === 503) return [];
  if (answer?.status !== 200) throw new Error(`enc_keys: HTTP ${answer?.status ?? "nothing"}`);
  return (answer.json as { keys: { key_ID: string }[] }).keys.map(({ key_ID }) => key_ID);
}

async function paced(ask: () => Promise<boolean>): Promise<Figures> {
  const times: number[] = [];
  const run = async (ms: number): Promise<void> => {
    const end = performance.now() + ms;
    const worker = async (): Promise<void> => {
      while (performance.now() < end) {
        const from = performance.now();
        if (await ask()) times.push(performance.now() - from);
        // Dry: a link makes its keys by and by.
        else await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  };
  await run(300);
  times.length = 0;
  const start = performance.now();
  await run(1000 * seconds);
  const perSecond = (1000 * times.length) / (performance.now() - start);
  times.sort((x, y) => x - y);
  const at = (share: number): number => times[Math.ceil(share * times.length) - 1] ?? Number.NaN;
  return { perSecond, medianMs: at(0.5), p99Ms: at(0.99) };
}

async function served<T>(
  order: Pick<Order, "link" | "directory">,
  use: (parts: { readonly a: Caller; readonly b: Caller; readonly child: ChildProcess }) => Promise<T>,
): Promise<T> {
  const path = fileURLToPath(new URL("served.ts", import.meta.url));
  const child = fork(path, [], { execArgv: ["--expose-gc", "--import", "tsx"] });
  const stop = (): boolean => child.kill();
  process.once("exit", stop);
  try {
    child.send({ ca: trusted.ca, kmes, ...order } satisfies Order);
    const serving = (await answered(child)) as Serving;
    const caller = (url: string, identity: (typeof identities)["a"]): Caller =>
      new Caller({ url: new URL(url), ca: Buffer.from(trusted.ca), timeoutMs: 30_000, identity });
    return await use({ a: caller(serving.a, identities.a), b: caller(serving.b, identities.b), child });
  } finally {
    process.off("exit", stop);
    child.kill();
  }
}

async function memory(child: ChildProcess): Promise<{ readonly rss: number; readonly heap: number }> {
  child.send("measure");
  return (await answered(child)) as { rss: number; heap: number };
}

async function answered(child: ChildProcess): Promise<unknown> {
  const failed = once(child, "exit").then(() => Promise.reject(new Error("the measured process ended")));
  const [message] = (await Promise.race([once(child, "message"), failed])) as [unknown];
  return message;
}
