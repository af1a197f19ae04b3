/**
 * One KME process of several over one store, to be killed or raced. It gives out what its parent asks for, as fast as it
 * can. Arguments: the database's URL, the store's name.
 */
import { openKeyStore } from "../../dist/kme/store.js";

const [url, name] = process.argv.slice(2);
const feed = { simulated: true, blockBytes: 32, start: () => undefined, stop: () => undefined };
const store = await openKeyStore({ feed, place: { url, name, key: new Uint8Array(32).fill(7) } });

process.on("message", async ({ id, slave, master, ids }) => {
  const answer = await store.deliver(slave, master, ids).catch((error) => error.code);
  const keys =
    typeof answer === "string" ? answer : answer.map(({ key }) => Buffer.from(key).toString("hex"));
  process.send({ id, keys });
});
process.on("disconnect", () => process.exit());
process.send({ id: "open" });
