/**
 * Text that cannot drive a terminal: control, format (but for the joiners), surrogate and line-separating characters
 * become nothing, tabs and line ends a space. For everything that a peer wrote.
 */
export function printable(text: string): string {
  return text
    .replaceAll(/[\t\r\n\v\f\u0085\p{Zl}\p{Zp}]+/gu, " ")
    .replaceAll(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu, "");
}
