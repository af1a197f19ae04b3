import { ChatError } from "./error.ts";

/** The longest name, in characters. */
export const NAME_LENGTH = 32;
/** The longest thing that can be said at once, in UTF-16 units. */
export const SAY_LENGTH = 1000;

/**
 * Text that cannot drive a terminal: line ends, tabs and separators become a space; control, surrogate and direction
 * characters vanish. The two joiners stay, because scripts and emoji need them.
 */
export function clean(text: string): string {
  return text
    .replaceAll(/[\t\r\n\v\f\u0085\p{Zl}\p{Zp}]+/gu, " ")
    .replaceAll(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu, "")
    .trim();
}

/** A name as the room spells it. Throws a ChatError (ERR_CHAT_NAME) for one that could be taken for something else. */
export function checkName(name: string): string {
  const spelt = clean(name).normalize("NFC").replaceAll(/ +/g, " ");
  if (spelt === "") throw new ChatError("ERR_CHAT_NAME", "a name needs at least one letter or digit");
  if (Array.from(spelt).length > NAME_LENGTH) {
    throw new ChatError("ERR_CHAT_NAME", `a name has at most ${NAME_LENGTH} characters`);
  }
  if (!/^[\p{L}\p{N}](?:[\p{L}\p{N}\p{M} ._'-]|\u200c|\u200d)*$/u.test(spelt)) {
    throw new ChatError(
      "ERR_CHAT_NAME",
      "a name has letters, digits, spaces and . _ ' - and begins with a letter or digit",
    );
  }
  return spelt;
}

/** The same for names that people would take for the same. */
export const nameKey = (name: string): string =>
  name
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll(/[\u200c\u200d]/g, "");
