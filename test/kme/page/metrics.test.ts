import { describe, expect, test } from "vitest";
import { History } from "../../../src/kme/page/history.ts";
import { metricsOf } from "../../../src/kme/page/metrics.ts";
import type { Watched } from "../../../src/kme/page/watched.ts";
import { bed, failed, record } from "./watched.ts";

function setUp(change: (watched: ReturnType<typeof bed>["watched"]) => Watched = (watched) => watched) {
  const parts = bed();
  const watched = change(parts.watched);
  const history = new History(watched, { hasControls: false });
  const registry = metricsOf(watched, history);
  const read = async () => {
    history.look();
    return registry.metrics();
  };
  /** The samples, without what is said about them. */
  const lines = async (): Promise<string[]> =>
    (await read()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return { ...parts, read, lines };
}

describe("the metrics", () => {
  test("of the KMEs", async () => {
    const { lines, deliveries, failures } = setUp();
    deliveries.a.countKeys({ verb: "enc_keys", master: "sae-a", slave: "sae-b", keys: 5 });
    deliveries.a.countRefusal(503);
    failures.b = failed();
    const found = await lines();
    expect(found).toEqual(
      expect.arrayContaining([
        'qkd_tls_kme_simulated{kme="kme-a"} 1',
        'qkd_tls_kme_store_up{kme="kme-a"} 1',
        'qkd_tls_kme_store_up{kme="kme-b"} 0',
        'qkd_tls_kme_stock_blocks{kme="kme-a",direction="outgoing"} 10',
        'qkd_tls_kme_stock_blocks{kme="kme-a",direction="incoming"} 7',
        'qkd_tls_kme_stock_capacity_blocks{kme="kme-a"} 50',
        'qkd_tls_kme_block_bytes{kme="kme-a"} 32',
        'qkd_tls_kme_keys_made_total{kme="kme-a"} 100',
        'qkd_tls_kme_keys_spent_total{kme="kme-a",fate="delivered"} 40',
        'qkd_tls_kme_keys_spent_total{kme="kme-a",fate="expired"} 3',
        'qkd_tls_kme_keys_spent_total{kme="kme-a",fate="wasted"} 2',
        'qkd_tls_kme_keys_spent_total{kme="kme-a",fate="lost"} 1',
        'qkd_tls_kme_keys_delivered_total{kme="kme-a",verb="enc_keys",master="sae-a",slave="sae-b"} 5',
        'qkd_tls_kme_refusals_total{kme="kme-a",status="503"} 1',
      ]),
    );
  });

  test("of the link", async () => {
    const { lines, history } = setUp();
    history.push(record(1), record(2, "qber_over_threshold", 0.07), record(3, "too_few_detections"));
    history[2] = { ...history[2]!, qber: undefined };
    expect(await lines()).toEqual(
      expect.arrayContaining([
        "qkd_tls_kme_qber_ratio 0.07",
        "qkd_tls_kme_qber_threshold_ratio 0.05",
        'qkd_tls_kme_link_blocks_total{outcome="key"} 1',
        'qkd_tls_kme_link_blocks_total{outcome="qber_over_threshold"} 1',
        'qkd_tls_kme_link_blocks_total{outcome="too_few_detections"} 1',
        "qkd_tls_kme_link_sessions_total 2",
        "qkd_tls_kme_secret_bits_total 3000",
        "qkd_tls_kme_authentication_earned_bits_total 1000",
        'qkd_tls_kme_authentication_reserve_bits{direction="send"} 100',
        'qkd_tls_kme_authentication_reserve_bits{direction="receive"} 90',
        'qkd_tls_kme_authentication_spent_bits{direction="send"} 30',
      ]),
    );
  });

  test("of one end of a link, whether it is connected", async () => {
    const connected = { fibre: false, channel: true, peer: true };
    const { lines } = setUp(({ kmes, link }) => ({ kmes, link: { status: { ...link.status, connected } } }));
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'qkd_tls_kme_link_connected{part="fibre"} 0',
        'qkd_tls_kme_link_connected{part="peer"} 1',
      ]),
    );
  });

  test("are counted on from one reading to the next, not added up again", async () => {
    const { lines, history, deliveries } = setUp();
    const labels = { verb: "enc_keys", master: "sae-a", slave: "sae-b" } as const;
    history.push(record(1));
    deliveries.a.countKeys({ ...labels, keys: 5 });
    await lines();
    history.push(record(2));
    deliveries.a.countKeys({ ...labels, keys: 1 });
    const found = await lines();
    expect(found).toContain("qkd_tls_kme_secret_bits_total 6000");
    expect(found.filter((line) => line.startsWith("qkd_tls_kme_keys_delivered_total"))).toEqual([
      'qkd_tls_kme_keys_delivered_total{kme="kme-a",verb="enc_keys",master="sae-a",slave="sae-b"} 6',
    ]);
  });

  test("have nothing of a link where a generator stands in for one", async () => {
    const { lines } = setUp(({ kmes }) => ({ kmes }));
    const found = await lines();
    expect(found.length).toBeGreaterThan(10);
    expect(found.filter((line) => /link|qber|secret|authentication/.test(line))).toEqual([]);
  });

  test("each say what they are, and the unit that their name has", async () => {
    const { read } = setUp();
    const text = await read();
    const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    expect(names.length).toBeGreaterThan(15);
    for (const [, name = "", type] of names) {
      expect(text).toMatch(new RegExp(`^# HELP ${name} [A-Z].{10,}\\.$`, "m"));
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      expect(name).toMatch(/^qkd_tls_kme_(?:simulated|store_up|\w+_(?:total|blocks|bytes|bits|ratio))$/);
    }
  });
});
