import { describe, expect, test } from "vitest";
import { type Chapter, eavesdropped } from "../../../src/cli/demo/eavesdropped.ts";
import type { Account, Orders } from "../../../src/cli/demo/orders.ts";
import type { Cast } from "../../../src/cli/demo/stage.ts";
import type { BlockOutcome, BlockRecord } from "../../../src/link/block.ts";
import type { SecurityRecord } from "../../../src/observe/evidence.ts";

const blockOf = (outcome: BlockOutcome): BlockRecord => ({
  simulated: true,
  block: 1,
  outcome,
  pulses: 1,
  detections: 1,
  siftedBits: 1,
  qber: { check: outcome === "key" ? 0.01 : 0.07 },
  qberThreshold: 0.05,
  leakedBits: 0,
  secretBits: outcome === "key" ? 512 : 0,
  authentication: { spentBits: 0, earnedBits: 0 },
});

/** KMEs, a server and a client in a few lines: each connection takes a key, and a block is made whenever it may. */
function cast(link: { stock: number; isDeaf?: boolean; leaks?: number }): Cast {
  const blocks: BlockRecord[] = [blockOf("key")];
  let isDisturbed = false;
  const refill = (): void => {
    const gives = !isDisturbed || link.isDeaf === true;
    blocks.push(blockOf(gives ? "key" : "qber_over_threshold"));
    if (gives) link.stock = 3;
    else if ((link.leaks ?? 0) > 0) {
      link.leaks = (link.leaks ?? 0) - 1;
      link.stock = 3;
    }
  };
  const attempt = ({ flags }: Orders["attempt"]["ask"]): Account => {
    if (link.stock > 0) {
      link.stock--;
      return { security: { degraded: [], secrets: {} } as unknown as SecurityRecord };
    }
    const missing = "qkd" as const;
    if (flags.policy === "hybrid") {
      return { error: { error: "TrustError", message: "no QKD", missing, code: "ERR_QKD_EMPTY" } as never };
    }
    const degraded = [{ missing, reason: "empty", code: "ERR_QKD_EMPTY" }];
    const off = { standing: "off", present: false };
    const security = { degraded, secrets: { ecdh: off, mlkem: off, qkd: off } };
    return { security: security as unknown as SecurityRecord, event: degraded };
  };
  const answers: { readonly [order: string]: (ask: never) => unknown } = {
    listen: () => ({ port: 1 }),
    eavesdrop({ adversary }: Orders["eavesdrop"]["ask"]) {
      isDisturbed = Object.keys(adversary).length > 0;
      return null;
    },
    figures() {
      if (link.stock < 2) refill();
      return { blocks: [...blocks], stock: link.stock };
    },
    attempt(ask: Orders["attempt"]["ask"]) {
      const account = attempt(ask);
      if (link.stock < 1) refill();
      return { port: 2, account };
    },
    account: () => ({ security: {} }),
  };
  const ask = async (order: string, asked: unknown): Promise<never> => {
    const answer = answers[order];
    if (answer === undefined) throw new Error(`nobody is asked to ${order}`);
    return answer(asked as never) as never;
  };
  return { kmes: { ask }, server: { ask }, client: { ask } };
}

const bed = { directory: "/nowhere", kmeA: "https://127.0.0.1:1", kmeB: "https://127.0.0.1:2" };
const tell = async (link: Parameters<typeof cast>[0]): Promise<readonly Chapter[]> => {
  const told: Chapter[] = [];
  const chapters = await eavesdropped(cast(link), bed, { interceptShare: 0.2 }, (chapter) =>
    told.push(chapter),
  );
  expect(told).toEqual(chapters);
  return chapters;
};

describe("the story of an eavesdropper", () => {
  test("has four chapters when all goes as it must", async () => {
    const chapters = await tell({ stock: 6 });
    expect(chapters.map(({ name, ok }) => [name, ok])).toEqual([
      ["keys flow", true],
      ["an eavesdropper arrives", true],
      ["the stock runs dry", true],
      ["hybrid comes back", true],
    ]);
    const [, , dry] = chapters;
    expect(dry?.connections.map(({ outcome }) => outcome)).toEqual([
      "client refuses: no QKD",
      "connected without QKD",
    ]);
    expect(dry?.connections[1]?.event?.[0]?.code).toBe("ERR_QKD_EMPTY");
  });

  test("ends where the link does not notice her", async () => {
    const chapters = await tell({ stock: 6, isDeaf: true });
    expect(chapters.at(-1)).toMatchObject({ name: "an eavesdropper arrives", ok: false });
    expect(chapters.at(-1)?.fault).toContain("the link goes on making keys");
  });

  test("ends where keys are made while she listens", async () => {
    const chapters = await tell({ stock: 6, leaks: 5 });
    expect(chapters.at(-1)).toMatchObject({ name: "the stock runs dry", ok: false });
    expect(chapters.at(-1)?.fault).toContain("while somebody listened");
  });
});
