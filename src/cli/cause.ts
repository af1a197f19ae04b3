/** The error and its causes, outermost first; at most eight. */
export function causesOf(error: unknown): readonly unknown[] {
  const found: unknown[] = [];
  let each = error;
  while (each !== undefined && each !== null && found.length < 8 && !found.includes(each)) {
    found.push(each);
    each = each instanceof AggregateError ? each.errors[0] : each instanceof Error ? each.cause : undefined;
  }
  return found;
}

/** The stable code of an error, ours or the system's. */
export function codeOf(error: unknown): string | undefined {
  const from: unknown = error instanceof AggregateError && !("code" in error) ? error.errors[0] : error;
  return from instanceof Error && "code" in from && typeof from.code === "string" ? from.code : undefined;
}
