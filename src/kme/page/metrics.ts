/** The figures for Prometheus. Labels are KMEs and SAEs of the registry and words of ours: their number is bounded. */

import { Counter, Gauge, Registry } from "prom-client";
import type { History } from "./history.ts";
import type { Watched } from "./watched.ts";

type Labels = Readonly<Record<string, string>>;
type Values = Iterable<readonly [labels: Labels, value: number]>;

const PREFIX = "qkd_tls_kme_";
const FATES = ["delivered", "expired", "wasted", "lost"] as const;

/** A registry whose values are read when it is asked for them. */
export function metricsOf(watched: Watched, history: History): Registry {
  const registry = new Registry();
  const gauge: Define = (name, help, labelNames, values) => {
    const metric = new Gauge({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [],
      collect() {
        this.reset();
        for (const [labels, value] of values()) this.set(labels, value);
      },
    });
    registry.registerMetric(metric);
  };
  const counter: Define = (name, help, labelNames, totals) => {
    const metric = new Counter({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [],
      collect() {
        this.reset();
        for (const [labels, total] of totals()) this.inc(labels, total);
      },
    });
    registry.registerMetric(metric);
  };
  aboutKmes(watched, gauge, counter);
  if (watched.link !== undefined) aboutLink(watched.link, history, gauge, counter);
  return registry;
}

type Define = (name: string, help: string, labelNames: readonly string[], values: () => Values) => void;

function aboutKmes({ kmes }: Watched, gauge: Define, counter: Define): void {
  const each = (value: (kme: (typeof kmes)[number]) => number) => (): Values =>
    kmes.map((kme) => [{ kme: kme.id }, value(kme)]);
  gauge(
    "simulated",
    "Whether the keys come from a simulated link (1) or a real one (0).",
    ["kme"],
    each(({ store }) => Number(store.simulated)),
  );
  gauge(
    "store_up",
    "Whether keys can be stored and delivered (1), or the store fails (0).",
    ["kme"],
    each(({ store }) => Number(store.failure === undefined)),
  );
  gauge(
    "stock_blocks",
    "Blocks of key in stock: outgoing ones are this KME's to issue from, incoming ones the other's.",
    ["kme", "direction"],
    () =>
      kmes.flatMap(({ id: kme, store }) => [
        [{ kme, direction: "outgoing" }, store.stored] as const,
        [{ kme, direction: "incoming" }, store.storedIncoming] as const,
      ]),
  );
  gauge(
    "stock_capacity_blocks",
    "Blocks of key that fit, each way.",
    ["kme"],
    each(({ store }) => store.maxStored),
  );
  gauge(
    "block_bytes",
    "Size of a block of key in stock, in bytes.",
    ["kme"],
    each(({ store }) => store.blockBytes),
  );
  counter(
    "keys_made_total",
    "Blocks of key that were put in stock, both ways. Goes on across restarts where the store does.",
    ["kme"],
    each(({ store }) => store.counters.made),
  );
  counter(
    "keys_spent_total",
    "Blocks of key by what became of them. Goes on across restarts where the store does.",
    ["kme", "fate"],
    () =>
      kmes.flatMap(({ id: kme, store }) =>
        FATES.map((fate) => [{ kme, fate }, store.counters[fate]] as const),
      ),
  );
  counter(
    "keys_delivered_total",
    "Keys given to SAEs: enc_keys to the master, dec_keys to the slave.",
    ["kme", "verb", "master", "slave"],
    () =>
      kmes.flatMap(({ id: kme, deliveries }) =>
        deliveries.delivered.map(({ keys, ...labels }) => [{ kme, ...labels }, keys] as const),
      ),
  );
  counter("refusals_total", "Answers that were errors, by their HTTP status.", ["kme", "status"], () =>
    kmes.flatMap(({ id: kme, deliveries }) =>
      [...deliveries.refused].map(([status, count]) => [{ kme, status: String(status) }, count] as const),
    ),
  );
}

function aboutLink(
  link: NonNullable<Watched["link"]>,
  history: History,
  gauge: Define,
  counter: Define,
): void {
  const ways = ["send", "receive"] as const;
  const lastQber = (): Values => {
    const judged = link.status.history.findLast(({ qber }) => qber !== undefined);
    return judged?.qber === undefined ? [] : [[{}, judged.qber.check]];
  };
  gauge("qber_ratio", "Error rate in the check basis of the latest block that was judged.", [], lastQber);
  gauge("qber_threshold_ratio", "Error rate above which a block gives no key.", [], () => [
    [{}, link.status.qberThreshold],
  ]);
  if (link.status.connected !== undefined) {
    gauge(
      "link_connected",
      "Whether this end of the link is connected to the fibre, the classical channel and the other KME (1) or not (0).",
      ["part"],
      () => Object.entries(link.status.connected ?? {}).map(([part, isThere]) => [{ part }, Number(isThere)]),
    );
  }
  counter("link_blocks_total", "Blocks of the link that ended, by outcome.", ["outcome"], () =>
    [...history.totals.outcomes].map(([outcome, count]) => [{ outcome }, count] as const),
  );
  counter("link_sessions_total", "How often the link's parties began anew.", [], () => [
    [{}, link.status.sessions.opened],
  ]);
  counter("secret_bits_total", "Bits that privacy amplification gave, in all.", [], () => [
    [{}, history.totals.secretBits],
  ]);
  counter(
    "authentication_earned_bits_total",
    "Those of them that became authentication key, both ways together.",
    [],
    () => [[{}, history.totals.authenticationBits]],
  );
  gauge(
    "authentication_reserve_bits",
    "Authentication key that is left, as one party sees it.",
    ["direction"],
    () => ways.map((direction) => [{ direction }, link.status.authentication[direction].reserveBits]),
  );
  gauge(
    "authentication_spent_bits",
    "Authentication key that messages have used up in this session.",
    ["direction"],
    () => ways.map((direction) => [{ direction }, link.status.authentication[direction].spentBits]),
  );
}
