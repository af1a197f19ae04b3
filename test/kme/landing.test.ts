import { expect, test } from "vitest";
import { Landing } from "../../src/kme/landing.ts";
import { memoryBackend } from "../../src/kme/memory.ts";
import { isWiped } from "../support/scripted-source.ts";

const block = (id: string) => ({ id, key: new Uint8Array(4).fill(1) });

test("blocks count as there from the moment when they arrive, each once", async () => {
  const backend = memoryBackend();
  const landing = new Landing(backend);
  const count = () => landing.size.outgoing + backend.size("outgoing");
  for (const id of ["one", "two"]) landing.put("outgoing", block(id), 1);
  landing.put("incoming", block("three"), 1);
  expect([count(), landing.size.incoming, backend.size("outgoing")]).toEqual([2, 1, 0]);
  await landing.land();
  expect([count(), landing.size.outgoing, landing.size.incoming]).toEqual([2, 0, 0]);
  expect(backend.tally.made).toBe(3);
});

test("what arrives lands by itself", async () => {
  const backend = memoryBackend();
  new Landing(backend).put("outgoing", block("one"), 1);
  await expect.poll(() => backend.size("outgoing")).toBe(1);
});

test("what cannot be stored is wiped, and counts no more", async () => {
  const backend = memoryBackend();
  const landing = new Landing(backend);
  await backend.close();
  const lost = block("one");
  landing.put("outgoing", lost, 1);
  await landing.land();
  expect([isWiped(lost.key), landing.size.outgoing]).toEqual([true, 0]);
});
