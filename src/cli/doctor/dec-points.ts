/** Get key with key IDs, by the slave SAE. ETSI GS QKD 014 §5.4 and §6.4. */
import { randomUUID } from "node:crypto";
import type { Answer, Caller } from "./asking.ts";
import { worded } from "./enc-points.ts";
import { type Delivered, demandRefused, type Examination, Fault, sameKeys, wipeKeys } from "./examination.ts";
import type { Point } from "./point.ts";

const NOT_FOUND = "one or more keys specified are not found on KME";

export const DEC_KEYS: readonly Point[] = [
  {
    id: "dec-get",
    source: "§5.4",
    level: "must",
    title: "GET with a key_ID gives the slave the key that the master has",
    async examine(exam) {
      const key = await exam.drawOne();
      demandSame(exam, [key], await fetchOne(exam, exam.slave, key.id));
    },
  },
  {
    id: "dec-post",
    source: "§6.4",
    level: "must",
    title: "POST with several key_IDs gives all of them",
    async examine(exam) {
      const number = Math.min(3, exam.figures.max_key_per_request);
      const bits = exam.figures.key_size;
      const keys = await exam.draw({ method: "POST", body: { number } }, { number, bits });
      demandSame(
        exam,
        keys,
        await fetch(
          exam,
          exam.slave,
          keys.map(({ id }) => id),
        ),
      );
      return `${number} keys`;
    },
  },
  {
    id: "dec-once",
    source: "§5.4",
    level: "must",
    title: "a key is delivered once",
    async examine(exam) {
      const key = await exam.drawOne();
      demandSame(exam, [key], await fetchOne(exam, exam.slave, key.id));
      const [get, post] = [await fetchOne(exam, exam.slave, key.id), await fetch(exam, exam.slave, [key.id])];
      for (const again of [get, post]) if (again.status === 200) throw new Fault("it comes again");
      return worded(demandRefused(get), NOT_FOUND);
    },
  },
  {
    id: "dec-race",
    source: "§5.4",
    level: "must",
    title: "requests at the same moment for one key_ID: one of them gets it",
    async examine(exam) {
      const key = await exam.drawOne();
      wipeKeys([key]);
      const eight = (id: string) =>
        Promise.all(Array.from({ length: 8 }, () => fetchOne(exam, exam.slave, id)));
      // Connections that are there already bring the eight closer together.
      await eight(randomUUID());
      const all = await eight(key.id);
      const given = all.filter(({ status }) => status === 200).length;
      if (given !== 1) throw new Fault(`${given} of ${all.length} got it`);
    },
  },
  {
    id: "dec-rights",
    source: "§5.4",
    level: "must",
    title: "an SAE for which a key is not meant does not get it",
    async examine(exam) {
      const key = await exam.drawOne();
      const answer = await fetchOne(exam, exam.intruder, key.id);
      if (answer.status === 200) throw new Fault("the master SAE fetches it in the slave's place");
      const said = demandRefused(answer, [401, 400]);
      demandSame(
        exam,
        [key],
        await fetchOne(exam, exam.slave, key.id),
        "and now the slave does not get it either",
      );
      return said;
    },
  },
  {
    id: "dec-master",
    source: "§5.4",
    level: "must",
    title: "a key is not found under another master SAE",
    async examine(exam) {
      const key = await exam.drawOne();
      const path = `${exam.path("dec_keys", "sae-that-nobody-knows")}?key_ID=${key.id}`;
      wipeKeys([key]);
      return demandRefused(await exam.ask(exam.slave, { method: "GET", path }), [400, 401]);
    },
  },
  {
    id: "dec-unknown",
    source: "§6.5",
    level: "must",
    title: "a key_ID that was never given out is refused",
    examine: async (exam) => worded(demandRefused(await fetchOne(exam, exam.slave, randomUUID())), NOT_FOUND),
  },
  {
    id: "dec-malformed",
    source: "§6.5",
    level: "must",
    title: "a key_ID that is no UUID is refused",
    examine: async (exam) => demandRefused(await fetchOne(exam, exam.slave, "no-uuid")),
  },
  {
    id: "dec-all-or-none",
    source: "§5.4",
    level: "should",
    title: "of several key_IDs, one of them unknown, none is used up",
    async examine(exam) {
      const key = await exam.drawOne();
      demandRefused(await fetch(exam, exam.slave, [key.id, randomUUID()]));
      demandSame(exam, [key], await fetchOne(exam, exam.slave, key.id), "the known one is lost");
    },
  },
];

const fetchOne = (exam: Examination, caller: Caller, id: string): Promise<Answer> =>
  exam.ask(caller, { method: "GET", path: `${exam.path("dec_keys")}?key_ID=${encodeURIComponent(id)}` });

const fetch = (exam: Examination, caller: Caller, ids: readonly string[]): Promise<Answer> =>
  exam.ask(caller, {
    method: "POST",
    path: exam.path("dec_keys"),
    body: { key_IDs: ids.map((key_ID) => ({ key_ID })) },
  });

function demandSame(exam: Examination, ours: readonly Delivered[], answer: Answer, otherwise?: string): void {
  if (answer.status !== 200 && otherwise !== undefined) throw new Fault(otherwise);
  const first = ours[0];
  const bits = 8 * (first?.key.length ?? 0);
  const theirs = exam.keysIn(answer, { number: ours.length, bits });
  const same = sameKeys(ours, theirs);
  wipeKeys(ours, theirs);
  if (!same) throw new Fault("the two ends have different keys or key_IDs");
}
