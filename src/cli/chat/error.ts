import { QkdTlsError } from "../../protocol/errors.ts";

export type ChatErrorCode =
  /** The other side sent something that is no line of ours. */
  | "ERR_CHAT_LINE"
  /** A name that nobody can have. */
  | "ERR_CHAT_NAME"
  /** The room does not take us, or no longer. */
  | "ERR_CHAT_REFUSED"
  | "ERR_CHAT_CUT";

/** A chat failed. `code` is stable. */
export class ChatError extends QkdTlsError<ChatErrorCode> {}
