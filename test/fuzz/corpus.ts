/** ClientHellos of other programs, as they went over the wire: one record each, named for the program and its version. */
import { readdirSync, readFileSync } from "node:fs";
import { fromHex } from "../../src/protocol/bytes.ts";

const RECORD_HEADER_BYTES = 5;

export const corpus = readdirSync(new URL("corpus/", import.meta.url)).map((file) => {
  const text = readFileSync(new URL(`corpus/${file}`, import.meta.url), "utf8");
  const record = fromHex(text.replaceAll(/\s/g, ""));
  if (record === undefined) throw new Error(`${file} is not hexadecimal`);
  return { name: file.replace(/\.hex$/, ""), record, message: record.subarray(RECORD_HEADER_BYTES) };
});
