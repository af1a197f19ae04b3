/** What is alive in this process: every socket of ours that was made, every timer and handle, and the heap. */
import { createHook } from "node:async_hooks";
import v8 from "node:v8";
import type { QkdTlsSocket } from "../../src/index.ts";

/** Kinds of handle that belong to connections; `process.getActiveResourcesInfo()` leaves out the unref'd ones. */
const HANDLES = new Set(["Timeout", "TCPWRAP", "TCPSERVERWRAP", "TLSWRAP", "PIPEWRAP"]);
const alive = new Map<number, string>();
createHook({
  init(id, type) {
    if (HANDLES.has(type)) alive.set(id, type);
  },
  destroy(id) {
    alive.delete(id);
  },
}).enable();

const watched: WeakRef<object>[] = [];

/** Counts this socket, its channel and its transport among what has to go. */
export function watch<T extends QkdTlsSocket>(socket: T): T {
  const { channel, transport } = socket as unknown as { channel: object; transport: object };
  for (const each of [socket, channel, transport]) watched.push(new WeakRef(each));
  return socket;
}

export interface Census {
  /** Timers and handles by kind, the unref'd ones too. */
  readonly handles: Readonly<Record<string, number>>;
  /** What holds the process. */
  readonly active: Readonly<Record<string, number>>;
  /** Sockets, channels and transports that were watched, and those of them that garbage collection leaves. */
  readonly watched: number;
  readonly left: number;
  /** All objects of the process. */
  readonly objects: number;
  /** With the code that the engine compiled, of which there is more the longer it runs. */
  readonly heapBytes: number;
  readonly bufferBytes: number;
  readonly rssBytes: number;
}

const PATIENCE_MS = 15_000;

/** Counts after garbage collection, once nothing is left or nothing goes any more. Needs `--expose-gc`. */
export async function census(): Promise<Census> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("run with --expose-gc");
  const end = Date.now() + PATIENCE_MS;
  const collect = async (): Promise<number> => {
    for (let turn = 0; turn < 5; turn++) {
      await new Promise((resolve) => void setImmediate(resolve));
      gc();
    }
    return watched.filter((each) => each.deref() !== undefined).length;
  };
  let left = await collect();
  // No event tells that the last handle has closed or the last object is gone.
  while (left + alive.size > 0 && Date.now() < end) {
    await new Promise((resolve) => void setTimeout(resolve, 50));
    left = await collect();
  }
  const total = watched.splice(0).length;
  await collect();
  const objects = v8.queryObjects(Object, { format: "count" });
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return {
    handles: counted([...alive.values()]),
    active: counted(process.getActiveResourcesInfo()),
    watched: total,
    left,
    objects,
    heapBytes: heapUsed,
    bufferBytes: arrayBuffers,
    rssBytes: rss,
  };
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

export const same = (a: Census["handles"], b: Census["handles"]): boolean =>
  JSON.stringify(a) === JSON.stringify(b);
