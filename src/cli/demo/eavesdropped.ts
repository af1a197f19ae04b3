/** The story of `demo --eavesdrop`: what an eavesdropper in the fibre does to the link, the stock and the connections. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Degradation, PolicyName } from "../../handshake/policy.ts";
import type { BlockRecord } from "../../link/block.ts";
import type { Adversary } from "../../link/fibre.ts";
import type { SecurityRecord } from "../../observe/evidence.ts";
import { connectTo, type Trial } from "./acts.ts";
import type { Account } from "./orders.ts";
import { clientFlags, type Outcome, serverFlags, type Bed } from "./scenes.ts";
import { type Cast, ORDER_MS } from "./stage.ts";

/** Keys each way: few, so that they are soon used up. */
export const STORY_STOCK = 60;
/** The link's next block, and the recovery, take a second or two. */
const PATIENCE_MS = 45_000;
const LOOK_MS = 50;
/** Blocks in the presence of an eavesdropper, all with key: she is too weak to be noticed. */
const ENOUGH_BLOCKS = 3;

export type ChapterName =
  | "keys flow"
  | "an eavesdropper arrives"
  | "the stock runs dry"
  | "hybrid comes back";

/** One connection, with what the client can prove and what it was told by the `degraded` event. */
export interface Told extends Trial {
  readonly security?: SecurityRecord;
  readonly event?: readonly Degradation[];
}

/** What the link and the connections showed at one point of the story. */
export interface Chapter {
  readonly name: ChapterName;
  readonly ok: boolean;
  /** The link's latest block. */
  readonly block?: BlockRecord;
  /** Keys that the client can still get. */
  readonly stock: number;
  readonly seconds: number;
  /** Connections under `hybrid` that the chapter itself took. */
  readonly tried: { readonly connected: number; readonly refused: number };
  readonly connections: readonly Told[];
  readonly fault?: string;
}

const POLICIES = ["hybrid", "prefer-hybrid"] as const;
type StoryPolicy = (typeof POLICIES)[number];

/** Tells the story; a chapter that goes wrong is the last one. */
export async function eavesdropped(
  stage: Cast,
  bed: Bed,
  adversary: Adversary,
  onChapter: (chapter: Chapter) => void,
): Promise<readonly Chapter[]> {
  const story = await Story.begin(stage, bed);
  const chapters: Chapter[] = [];
  const acts = [
    () => story.keysFlow(),
    () => story.eavesdropperArrives(adversary),
    () => story.stockRunsDry(),
    () => story.hybridComesBack(),
  ];
  for (const act of acts) {
    const chapter = await act();
    chapters.push(chapter);
    onChapter(chapter);
    if (!chapter.ok) break;
  }
  return chapters;
}

class Story {
  readonly #stage: Cast;
  readonly #bed: Bed;
  readonly #ports: Readonly<Record<StoryPolicy, number>>;

  static async begin(stage: Cast, bed: Bed): Promise<Story> {
    const listen = async (policy: PolicyName): Promise<number> =>
      (await stage.server.ask("listen", { flags: serverFlags(bed, policy) }, ORDER_MS)).port;
    const [hybrid, preferHybrid] = await Promise.all([listen("hybrid"), listen("prefer-hybrid")]);
    return new Story(stage, bed, { hybrid, "prefer-hybrid": preferHybrid });
  }

  private constructor(stage: Cast, bed: Bed, ports: Readonly<Record<StoryPolicy, number>>) {
    this.#stage = stage;
    this.#bed = bed;
    this.#ports = ports;
  }

  async keysFlow(): Promise<Chapter> {
    return this.#chapter("keys flow", { hybrid: "connected", "prefer-hybrid": "connected" });
  }

  /** Keys are drawn until the link has to make some; then it must notice. */
  async eavesdropperArrives(adversary: Adversary): Promise<Chapter> {
    const name = "an eavesdropper arrives";
    const before = (await this.#figures()).blocks.length;
    await this.#stage.kmes.ask("eavesdrop", { adversary }, ORDER_MS);
    const tried = { connected: 0, refused: 0 };
    let isNoticed = false;
    await this.#until(async () => {
      // The block that was under way was disturbed for a part of its time.
      const blocks = (await this.#figures()).blocks.slice(before + 1);
      isNoticed = blocks.some(({ outcome }) => outcome !== "key");
      if (isNoticed || blocks.length >= ENOUGH_BLOCKS) return true;
      await this.#hybrid(name, tried);
      return false;
    });
    const fault = "the link goes on making keys: what she learns is too little, and amplification removes it";
    return this.#chapter(name, {}, tried, isNoticed ? undefined : fault);
  }

  /** What is in stock was made before; once it is used up, every policy does what it promises. */
  async stockRunsDry(): Promise<Chapter> {
    const name = "the stock runs dry";
    const before = (await this.#figures()).stock;
    const tried = { connected: 0, refused: 0 };
    const isDry = await this.#until(async () => !(await this.#hybrid(name, tried)));
    const fault = tried.connected > before ? "keys were made while somebody listened" : undefined;
    const expected = { hybrid: "client refuses: no QKD", "prefer-hybrid": "connected without QKD" } as const;
    return this.#chapter(name, expected, tried, isDry ? fault : "the stock does not run dry");
  }

  async hybridComesBack(): Promise<Chapter> {
    const name = "hybrid comes back";
    await this.#stage.kmes.ask("eavesdrop", { adversary: {} }, ORDER_MS);
    const tried = { connected: 0, refused: 0 };
    const isBack = await this.#until(() => this.#hybrid(name, tried));
    const expected = { hybrid: "connected", "prefer-hybrid": "connected" } as const;
    return this.#chapter(name, expected, tried, isBack ? undefined : "no keys come");
  }

  readonly #began = performance.now();

  async #chapter(
    name: ChapterName,
    expected: Readonly<Partial<Record<StoryPolicy, Outcome>>>,
    tried = { connected: 0, refused: 0 },
    fault?: string,
  ): Promise<Chapter> {
    const connections: Told[] = [];
    for (const policy of POLICIES) {
      const outcome = expected[policy];
      if (outcome !== undefined && fault === undefined) {
        connections.push(await this.#connect(name, policy, outcome));
      }
    }
    const { blocks, stock } = await this.#figures();
    const block = blocks.at(-1);
    const ok = fault === undefined && connections.every((connection) => connection.ok);
    const seconds = (performance.now() - this.#began) / 1000;
    return { name, ok, ...(block && { block }), stock, seconds, tried, connections, ...(fault && { fault }) };
  }

  async #connect(scene: string, policy: StoryPolicy, expected: Outcome): Promise<Told> {
    const flags = clientFlags(this.#bed, policy);
    const attempt = { flags, scene, policy, expected };
    const { account, ...trial } = await connectTo(this.#stage, this.#ports[policy], attempt);
    return { ...trial, ...proof(account) };
  }

  /** Whether one more connection under `hybrid` stood. */
  async #hybrid(scene: string, tried: { connected: number; refused: number }): Promise<boolean> {
    const { ok } = await this.#connect(scene, "hybrid", "connected");
    tried[ok ? "connected" : "refused"]++;
    return ok;
  }

  #figures(): Promise<{ readonly blocks: readonly BlockRecord[]; readonly stock: number }> {
    return this.#stage.kmes.ask("figures", null, ORDER_MS);
  }

  async #until(holds: () => Promise<boolean>): Promise<boolean> {
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(LOOK_MS)) {
      if (await holds()) return true;
    }
    return false;
  }
}

function proof(account: Account): Pick<Told, "security" | "event"> {
  if (account.security === undefined) return {};
  return { security: account.security, ...(account.event && { event: account.event }) };
}
