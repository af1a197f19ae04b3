/** Which paths a receiver takes, and where they lie in its directory. */
import { createHash } from "node:crypto";
import { lstat, mkdir, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { utf8 } from "../../protocol/bytes.ts";
import { codeOf } from "../cause.ts";
import { fileFault, TransferError } from "./error.ts";
import { identityBytes, PATH_BYTES } from "./messages.ts";

const NAME_BYTES = 255;
const DEPTH = 64;
const PART = /^\..*\.[0-9a-f]{16}\.part$/su;
const DEVICES = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)$/i;

/**
 * The names in a path from the wire, which uses `/`. Throws a TransferError (ERR_TRANSFER_PATH) when it is absolute,
 * climbs, hides a separator or a control character, or has a name that this platform or we reserve.
 */
export function checkPath(path: string, platform: NodeJS.Platform = process.platform): readonly string[] {
  const refuse = (why: string): TransferError =>
    new TransferError("ERR_TRANSFER_PATH", `the path ${shown(path)} is refused: ${why}`, { path });
  if (utf8(path).length > PATH_BYTES) throw refuse(`it is longer than ${PATH_BYTES} bytes`);
  if (path.startsWith("/")) throw refuse("it is absolute");
  if (/^[A-Za-z]:/.test(path)) throw refuse("it begins with a drive letter");
  if (path.includes("\\")) throw refuse("it holds a backslash");
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(path)) throw refuse("it holds a control character");
  const names = path.split("/");
  if (names.length > DEPTH) throw refuse(`it is deeper than ${DEPTH} names`);
  for (const name of names) {
    const why = faultOf(name, platform);
    if (why !== undefined) throw refuse(why);
  }
  return names;
}

function faultOf(name: string, platform: NodeJS.Platform): string | undefined {
  if (name === "") return "it holds an empty name";
  if (name === "." || name === "..") return `it holds the name ${name}`;
  if (utf8(name).length > NAME_BYTES) return `a name is longer than ${NAME_BYTES} bytes`;
  if (isPart(name)) return "names of unfinished files are reserved";
  if (platform !== "win32") return undefined;
  if (/[<>:"|?*]/.test(name)) return "it holds a character that Windows reserves";
  if (/[ .]$/.test(name)) return "a name ends in a dot or a space";
  if (DEVICES.test(name.split(".")[0]?.trimEnd() ?? "")) return "it names a device";
  return undefined;
}

/** True for the name of an unfinished file. */
export const isPart = (name: string): boolean => PART.test(name);

/** What makes a file the same file on the next connection. */
export interface Identity {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** The name of an unfinished file: the same again for the same path, size and time, so that it can go on. */
export function partName({ path, size, mtimeMs }: Identity): string {
  const id = createHash("sha256")
    .update(identityBytes(path, size, mtimeMs))
    .digest("hex")
    .slice(0, 16);
  let name = path.split("/").at(-1) ?? "";
  while (utf8(name).length > NAME_BYTES - id.length - ".".length * 2 - ".part".length) {
    name = Array.from(name).slice(0, -1).join("");
  }
  return `.${name}.${id}.part`;
}

/**
 * The directory at these names below the root, made where it is missing.
 * Throws a TransferError (ERR_TRANSFER_PATH) when a symbolic link on the way leads out of the root.
 */
export async function makeDirectory(root: string, names: readonly string[], mode = 0o777): Promise<string> {
  let at = root;
  for (const [index, name] of names.entries()) {
    const next = join(at, name);
    const path = names.slice(0, index + 1).join("/");
    try {
      at = await step(root, next, path, index === names.length - 1 ? mode | 0o700 : 0o777);
    } catch (cause) {
      throw fileFault(cause, `the directory ${shown(path)} cannot be made`, path);
    }
  }
  return at;
}

async function step(root: string, next: string, path: string, mode: number): Promise<string> {
  const found = await lstat(next).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) {
    await mkdir(next, { mode }).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error; // another transfer was faster
    });
    return next;
  }
  if (found.isDirectory()) return next;
  if (!found.isSymbolicLink()) {
    throw new TransferError("ERR_TRANSFER_EXISTS", `${shown(path)} exists and is no directory`, { path });
  }
  const real = await realpath(next);
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return makeInside(real, path);
  throw new TransferError(
    "ERR_TRANSFER_PATH",
    `the path ${shown(path)} is refused: a symbolic link leads out`,
    { path },
  );
}

async function makeInside(real: string, path: string): Promise<string> {
  if ((await lstat(real)).isDirectory()) return real;
  throw new TransferError("ERR_TRANSFER_EXISTS", `${shown(path)} exists and is no directory`, { path });
}

/** A path as one prints it: quoted, without anything that would drive a terminal, and not endless. */
export function shown(path: string): string {
  const clipped = path.length > 120 ? `${path.slice(0, 100)}…` : path;
  return JSON.stringify(clipped).replaceAll(
    /[\p{Cf}\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`,
  );
}
