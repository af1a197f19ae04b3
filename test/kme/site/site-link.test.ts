import { expect, test } from "vitest";
import { ANYWHERE, fibre, site, until } from "./site-bed.ts";

const request = { number: 1, bytes: 32 };

test("two sites come to the same keys, both ways, and to the same stock", async () => {
  const { endpoint } = await fibre();
  const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } });
  const b = await site("b", { fibre: endpoint, meet: { connect: a.link.endpoint! } });
  await until(() => a.store.stored > 0 && b.store.stored > 0);
  const keys = await a.store.issue({ ...request, master: "m", slaves: ["s"] });
  if (typeof keys === "string") throw new Error(keys);
  expect(await b.store.deliver("s", "m", [keys[0]!.id])).toEqual(keys);
});
