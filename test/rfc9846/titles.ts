/** The titles of a test file, read from its source: nothing is run. */
import { readFileSync } from "node:fs";
import { type Node, parseSync, Visitor } from "oxc-parser";

/**
 * What may be a title: the text at the front of a call, as in `test("…", …)`, and at the front of a row, as `test.each`
 * has them. A template keeps its `${…}`.
 */
export function titlesIn(file: string): readonly string[] {
  const source = readFileSync(file, "utf8");
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const titles: string[] = [];
  const note = (node: Node | null | undefined): void => {
    if (node?.type === "Literal" && typeof node.value === "string") titles.push(node.value);
    if (node?.type === "TemplateLiteral") titles.push(source.slice(node.start + 1, node.end - 1));
  };
  new Visitor({
    CallExpression: (call) => note(call.arguments[0]),
    ArrayExpression: (row) => note(row.elements[0]),
  }).visit(program);
  return titles;
}
