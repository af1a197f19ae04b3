/** Get key, by the master SAE. ETSI GS QKD 014 §5.3, §6.2 and §6.3. */
import { parseKeyId } from "../../qkd/names.ts";
import { demandRefused, type Examination, Fault, Unexamined, wipeKeys } from "./examination.ts";
import type { Point } from "./point.ts";

export const ENC_KEYS: readonly Point[] = [
  {
    id: "enc-get",
    source: "§5.3",
    level: "must",
    title: "GET without parameters gives one key of key_size bits",
    async examine(exam) {
      wipeKeys([await exam.drawOne()]);
      return `${exam.figures.key_size} bits`;
    },
  },
  {
    id: "enc-post",
    source: "§6.2",
    level: "must",
    title: "POST with an empty object gives the same",
    async examine(exam) {
      wipeKeys(await exam.draw({ method: "POST", body: {} }, { number: 1, bits: exam.figures.key_size }));
    },
  },
  {
    id: "enc-get-parameters",
    source: "§5.3",
    level: "must",
    title: "GET with number and size gives so many keys of so many bits",
    async examine(exam) {
      const { number, bits } = some(exam);
      wipeKeys(await exam.draw({ method: "GET", query: `?number=${number}&size=${bits}` }, { number, bits }));
      return `${number} × ${bits} bits`;
    },
  },
  {
    id: "enc-post-parameters",
    source: "§6.2",
    level: "must",
    title: "POST with number and size likewise",
    async examine(exam) {
      const { number, bits } = some(exam);
      wipeKeys(await exam.draw({ method: "POST", body: { number, size: bits } }, { number, bits }));
    },
  },
  {
    id: "key-id",
    source: "§6.3",
    level: "must",
    title: "a key_ID is a UUID",
    async examine(exam) {
      const { id, key } = await exam.drawOne();
      wipeKeys([{ id, key }]);
      if (parseKeyId(id) === undefined) throw new Fault(`a key_ID of ${id.length} characters is none`);
    },
  },
  refusal("enc-size-above", "a size above max_key_size is refused", ({ figures }) => ({
    size: 8 * Math.floor(figures.max_key_size / 8) + 8,
  })),
  refusal("enc-size-below", "a size below min_key_size is refused", ({ figures }) => {
    const size = 8 * Math.ceil(figures.min_key_size / 8) - 8;
    if (size < 8) throw new Unexamined(`min_key_size is ${figures.min_key_size}`);
    return { size };
  }),
  {
    id: "enc-size-odd",
    source: "§6.2",
    level: "must",
    title: "a size that is no multiple of 8 is refused in the standard's words, or served to the bit",
    async examine(exam) {
      const { key_size, max_key_size } = exam.figures;
      const size = key_size < max_key_size ? key_size + 1 : key_size - 1;
      const answer = await exam.ask(exam.master, {
        method: "POST",
        path: exam.path("enc_keys"),
        body: { size },
      });
      if (answer.status === 200) {
        wipeKeys(exam.keysIn(answer, { number: 1, bits: size }));
        return `${size} bits served`;
      }
      const said = worded(demandRefused(answer), "size shall be a multiple of 8");
      await exam.demandSupply();
      return said;
    },
  },
  refusal("enc-number-above", "more keys than max_key_per_request are refused", ({ figures }) => ({
    number: figures.max_key_per_request + 1,
  })),
  refusal(
    "enc-saes-above",
    "more additional slave SAEs than max_SAE_ID_count are refused",
    ({ figures }) => ({
      additional_slave_SAE_IDs: Array.from({ length: figures.max_SAE_ID_count + 1 }, (_, at) => `sae-${at}`),
    }),
  ),
  refusal(
    "enc-mandatory",
    "a mandatory extension that it does not know is refused",
    () => ({ extension_mandatory: [{ doctor_unknown: "value" }] }),
    "not all extension_mandatory parameters are supported",
  ),
  {
    id: "enc-optional",
    source: "§6.2",
    level: "must",
    title: "an optional extension that it does not know is ignored",
    async examine(exam) {
      const body = { extension_optional: [{ doctor_unknown: "value" }] };
      wipeKeys(await exam.draw({ method: "POST", body }, { number: 1, bits: exam.figures.key_size }));
    },
  },
  refusal("enc-json", "a body that is no JSON is refused", () => '{"number": 1'),
  {
    id: "enc-unknown-slave",
    source: "§6.5",
    level: "must",
    title: "keys for an SAE that nobody knows are refused",
    async examine(exam) {
      const path = exam.path("enc_keys", "sae-that-nobody-knows");
      return demandRefused(await exam.ask(exam.master, { method: "GET", path }), [400, 401]);
    },
  },
];

/** Two keys of another size than the default, as far as the KME's limits allow. */
function some({ figures: { key_size, min_key_size, max_key_size, max_key_per_request } }: Examination): {
  number: number;
  bits: number;
} {
  const larger = key_size + 64;
  const bits = larger <= max_key_size ? larger : key_size - 64 >= min_key_size ? key_size - 64 : key_size;
  return { number: Math.min(2, max_key_per_request), bits };
}

function refusal(
  id: string,
  title: string,
  body: (exam: Examination) => object | string,
  words?: string,
): Point {
  return {
    id,
    source: words === undefined ? "§6.5" : "§6.2",
    level: "must",
    title,
    async examine(exam) {
      const question = { method: "POST", path: exam.path("enc_keys"), body: body(exam) } as const;
      const answer = await exam.ask(exam.master, question);
      const said = demandRefused(answer);
      // A KME without keys would refuse anything.
      await exam.demandSupply();
      return words === undefined ? said : worded(said, words);
    },
  };
}

/** What was said, and whether these are the standard's words. */
export const worded = (said: string, words: string): string =>
  said.includes(words) ? said : `${said}; the standard's words are "${words}"`;
