/** The element that the page has for this. Throws a RangeError where it has none. */
export const element = (selector: string): HTMLElement => elementOf(HTMLElement, selector);

/** The same where its kind matters. */
export function elementOf<T extends HTMLElement>(kind: new () => T, selector: string): T {
  const found = document.querySelector(selector);
  if (found instanceof kind) return found;
  throw new RangeError(`the page has no ${selector}`);
}

/** Changes the text only where it differs: what stays is not read out again. */
export function setText(selector: string, text: string): void {
  const found = element(selector);
  if (found.textContent !== text) found.textContent = text;
}

export interface Cell {
  readonly text: string;
  /** Header cells name their row or their column. */
  readonly head?: "row" | "col";
  readonly kind?: "number" | "time" | "name";
}

/** A row of a table. */
export function rowOf(cells: readonly Cell[], outcome?: string): HTMLTableRowElement {
  const row = document.createElement("tr");
  if (outcome !== undefined) row.dataset["outcome"] = outcome;
  for (const { text, head, kind } of cells) {
    const cell = document.createElement(head === undefined ? "td" : "th");
    cell.textContent = text;
    if (head !== undefined) cell.scope = head;
    if (kind !== undefined) cell.className = kind;
    row.append(cell);
  }
  return row;
}
