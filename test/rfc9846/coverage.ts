/** Which requirements have a test, and which of the tests they name are there. */
import { existsSync } from "node:fs";
import type { Requirement } from "./requirement.ts";
import { titlesIn } from "./titles.ts";

/** What is wrong with a requirement; nothing when it is checked, or says why it cannot be. */
export function faultsOf({ tests, without, must }: Requirement): readonly string[] {
  const faults: string[] = [];
  if (tests.length === 0 && without === undefined) faults.push("no test");
  if (must.split(" ").length > 15) faults.push("more than 15 words");
  return [...faults, ...tests.flatMap((test) => missing(test))];
}

const known = new Map<string, readonly string[]>();

function missing(test: string): readonly string[] {
  const [file, words] = split(test);
  if (!existsSync(file)) return [`no file ${file}`];
  let titles = known.get(file);
  if (titles === undefined) known.set(file, (titles = titlesIn(file)));
  if (titles.filter((title) => title === words).length === 1) return [];
  const hits = titles.filter((title) => title.includes(words)).length;
  return hits === 1 ? [] : [`${hits} titles in ${file} have the words "${words}"`];
}

function split(test: string): readonly [string, string] {
  const at = test.indexOf(": ");
  return [test.slice(0, at), test.slice(at + 2)];
}

export interface ChapterFigures {
  readonly chapter: string;
  readonly requirements: number;
  readonly tested: number;
  readonly exempt: number;
}

/** The figures of each chapter and appendix. */
export function figures(requirements: readonly Requirement[]): readonly ChapterFigures[] {
  const chapterOf = ({ section }: Requirement): string => section.split(".")[0] as string;
  return [...new Set(requirements.map(chapterOf))].map((chapter) => {
    const rules = requirements.filter((requirement) => chapterOf(requirement) === chapter);
    return {
      chapter,
      requirements: rules.length,
      tested: rules.filter(({ tests }) => tests.length > 0).length,
      exempt: rules.filter(({ without }) => without !== undefined).length,
    };
  });
}
