/** What a search has to find: nothing happens before all four bytes are right, and each right one leads one step further. */
export function planted([a, b, c, d]: Uint8Array): void {
  if (a === 0x7f && b === 0x80 && c === 0xff && d === 0x01) throw new Error("found");
}
