/**
 * One end of a link in a process of its own, to be killed at any moment. Its parent is the link, the network to the
 * other end, and the SAEs: whatever it sends there has left. Arguments: a place (without its key) in JSON, and the
 * milliseconds since 1970.
 */
import { openKeyStore } from "../../dist/kme/store.js";

const [place, since] = process.argv.slice(2);
let from = Number(since);
const hex = (key) => Buffer.from(key).toString("hex");
const waiting = new Map();
let asked = 0;

/** Has the parent do something at the other end. */
function ask(what, given) {
  return new Promise((resolve, reject) => {
    const id = `${process.pid}-${asked++}`;
    waiting.set(id, { resolve, reject });
    process.send({ id, what, given });
  });
}

let sink;
const feed = {
  simulated: true,
  blockBytes: 32,
  start: (to) => (sink = to),
  stop: () => undefined,
};
const store = await openKeyStore({
  feed,
  maxStored: 100_000,
  holdMs: 2 ** 31 - 1,
  maxAgeMs: Number.MAX_SAFE_INTEGER,
  now: () => from + performance.now(),
  place: { ...JSON.parse(place), key: new Uint8Array(32).fill(7) },
});
store.connect({
  announce: async (issue) => {
    if (!(await ask("accept", issue))) throw new Error("not accepted");
  },
  withdraw: (keys) => ask("withdraw", keys),
  agree: (blocks) => ask("agree", blocks),
});

const shown = (keys) =>
  typeof keys === "string" ? keys : keys.map(({ id, key }) => ({ id, key: hex(key) }));
const verbs = {
  put(blocks) {
    for (const { direction, id, key } of blocks)
      sink.put(direction, { id, key: Uint8Array.from(Buffer.from(key, "hex")) });
  },
  issue: async (request) => shown(await store.issue(request)),
  deliver: async ({ slave, master, ids }) => shown(await store.deliver(slave, master, ids)),
  accept: (issue) => store.accept(issue),
  withdraw: (keys) => store.withdraw(keys),
  agree: (blocks) => store.agree(blocks),
  /** Once whatever was put before is there. */
  async count() {
    await store.deliver("nobody", "nobody", ["nothing"]);
    return { counters: store.counters, stored: store.stored, incoming: store.storedIncoming };
  },
  time: (ms) => void (from = ms),
  close: () => store.close(),
};

process.on("message", async ({ id, what, given, answer, failed }) => {
  const asking = waiting.get(id);
  if (what === undefined) {
    waiting.delete(id);
    if (failed) asking?.reject(new Error("the other end is gone"));
    else asking?.resolve(answer);
    return;
  }
  try {
    process.send({ id, answer: await verbs[what](given) });
  } catch (error) {
    process.send({ id, failed: error.code ?? String(error) });
  }
});
process.on("disconnect", () => process.exit());
process.send({ what: "open" });
