/** What shows in all answers together, and how quickly they come. */
import { type Examination, Fault, isObject, Unexamined, wipeKeys } from "./examination.ts";
import type { Point } from "./point.ts";

const AT_ONCE = 8;

export const SUMMARY: readonly Point[] = [
  {
    id: "keys-fresh",
    source: "§5.3",
    level: "must",
    title: "no key and no key_ID comes twice",
    async examine({ seen: { count, ids, keys } }) {
      if (count === 0) throw new Unexamined("no key came");
      if (ids + keys > 0) throw new Fault(`of ${count}, ${ids} key_IDs and ${keys} keys came before`);
      return `${count} keys`;
    },
  },
  {
    id: "error-body",
    source: "§6.5",
    level: "must",
    title: "an error is JSON with a message",
    async examine({ errors }) {
      // The standard leaves open what a 401 says.
      const judged = [...errors].filter(([, { status }]) => status !== 401);
      if (judged.length === 0) throw new Unexamined("no error came");
      const bad = judged.filter(([, { json }]) => !isObject(json) || typeof json["message"] !== "string");
      const [first] = bad;
      if (first === undefined) return `${judged.length} errors`;
      throw new Fault(
        `${bad.length} of ${judged.length} have none, as HTTP ${first[1].status} to ${plain(first[0])}`,
      );
    },
  },
  {
    id: "keys-spelling",
    source: "§6.3",
    level: "should",
    title: "the array is spelt `keys`, as in the standard's examples",
    async examine({ containers }) {
      if (containers.length === 0) throw new Unexamined("no key came");
      if (containers.some(({ spelling }) => spelling !== "keys")) throw new Fault("it is spelt `Keys`");
    },
  },
  {
    id: "keys-cache",
    source: "RFC 9111 §5.2.2.5",
    level: "should",
    title: "answers with keys say that nobody may store them",
    async examine({ containers }) {
      if (containers.length === 0) throw new Unexamined("no key came");
      if (containers.some(({ cacheControl }) => !/\bno-store\b/i.test(cacheControl))) {
        throw new Fault("without Cache-Control: no-store");
      }
    },
  },
  {
    id: "pace-enc",
    source: "measured",
    level: "figure",
    title: `Get key, ${AT_ONCE} at a time`,
    examine: (exam) =>
      paced(exam, () => exam.ask(exam.master, { method: "GET", path: exam.path("enc_keys") })),
  },
  {
    id: "pace-dec",
    source: "measured",
    level: "figure",
    title: `Get key and then Get key with key IDs, ${AT_ONCE} at a time`,
    async examine(exam) {
      const { slave, figures } = exam;
      return paced(exam, async () => {
        const drawn = await exam.ask(exam.master, { method: "GET", path: exam.path("enc_keys") });
        if (drawn.status !== 200) return drawn;
        const keys = exam.keysIn(drawn, { number: 1, bits: figures.key_size });
        wipeKeys(keys);
        const path = `${exam.path("dec_keys")}?key_ID=${keys[0]?.id ?? ""}`;
        const fetched = await exam.ask(slave, { method: "GET", path });
        return { ...fetched, milliseconds: drawn.milliseconds + fetched.milliseconds };
      });
    },
  },
  {
    id: "pace-status",
    source: "measured",
    level: "figure",
    title: `Get status, ${AT_ONCE} at a time`,
    examine: (exam) => paced(exam, () => exam.ask(exam.master, { method: "GET", path: exam.path("status") })),
  },
];

/** A request without what its query tells. */
const plain = (request: string): string => request.replace(/\?.*$/, "");

async function paced(exam: Examination, ask: () => ReturnType<Examination["ask"]>): Promise<string> {
  const { rounds } = exam.patient;
  const times: number[] = [];
  let left = rounds;
  const from = performance.now();
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await ask();
      if (answer.status !== 200) {
        if (times.length > 0) return;
        await exam.demandSupply();
        continue;
      }
      times.push(answer.milliseconds);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const seconds = (performance.now() - from) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.ceil(share * times.length) - 1] ?? 0).toFixed(1);
  const dry = times.length < rounds ? `; dry after ${times.length}` : "";
  return `${(times.length / seconds).toFixed(0)}/s, median ${at(0.5)} ms, p99 ${at(0.99)} ms${dry}`;
}
