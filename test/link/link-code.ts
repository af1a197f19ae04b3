import { LinkError, type LinkErrorCode } from "../../src/protocol/errors.ts";

/** The code of the LinkError that an act throws, if it throws one; any other error goes through. */
export function linkCodeOf(act: () => unknown): LinkErrorCode | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof LinkError) return error.code;
    throw error;
  }
  return undefined;
}
