/** Where a KME listens: a TCP port, or a Unix domain socket for callers on the same machine. */

import { lstatSync, rmSync } from "node:fs";
import { connect, type AddressInfo, type ListenOptions, type Server } from "node:net";
import { resolve as absolute } from "node:path";
import { isMainThread } from "node:worker_threads";
import { UsageError } from "../protocol/errors.ts";
import { onlyKnown, whole } from "../protocol/options.ts";

export type Listen =
  | {
      /** Default 127.0.0.1. */
      readonly host?: string;
      /** 0 takes a free one. */
      readonly port: number;
    }
  | {
      /** Of a Unix domain socket. It is made there, and removed when the KME closes. */
      readonly path: string;
      /** Who may connect, as the mode of a file; default 0600: its owner alone. */
      readonly mode?: number;
    };

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  readonly url: string;
}

/** Fulfilled once the server listens. Throws UsageError ERR_OPTION_INVALID, naming `option`, when it cannot. */
export async function listen(server: Server, where: Listen, option = "listen"): Promise<Address> {
  if ("path" in where) {
    onlyKnown(where, ["path", "mode"], "listen");
    const mode = whole(where, "mode", 0o600, 0, 0o777);
    const path = await socketPath(where.path);
    await begin(server, { path }, { what: `the socket ${path}`, mode, option });
    return { host: "localhost", port: 0, path, url: `unix:${path}` };
  }
  onlyKnown(where, ["host", "port"], "listen");
  const { host = "127.0.0.1" } = where;
  const port = whole(where, "port", -1, 0, 65_535);
  await begin(server, { host, port }, { what: `${host} port ${port}`, option });
  const { address, port: bound } = server.address() as AddressInfo; // it listens on TCP
  const name = address.includes(":") ? `[${address}]` : address;
  return { host: address, port: bound, url: `https://${name}:${bound}` };
}

function begin(
  server: Server,
  options: ListenOptions,
  { what, mode, option }: { readonly what: string; readonly mode?: number; readonly option: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      const code = "code" in cause ? String(cause.code) : cause.message;
      reject(invalid(`cannot listen on ${what} (${code})`, cause, option));
    };
    server.once("error", fail);
    const listening = (): void => {
      server.off("error", fail);
      resolve();
    };
    // The socket is made within this call: there is no moment when it has other rights.
    const umask = mode === undefined ? undefined : process.umask(0o777 & ~mode);
    try {
      server.listen(options, listening);
    } finally {
      if (umask !== undefined) process.umask(umask);
    }
  });
}

/** What `sun_path` of a socket address holds, less the zero at its end. */
const MOST_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** A path where a socket can be made: what a KME that was killed left there is removed. */
async function socketPath(given: string): Promise<string> {
  if (process.platform === "win32") throw invalid("Windows has no Unix domain sockets for a KME");
  // There would be a moment when others could use it.
  if (!isMainThread) throw invalid("a worker thread cannot make a Unix domain socket with rights of its own");
  if (typeof given !== "string" || given === "" || given.includes("\0")) {
    throw invalid("the path of a Unix domain socket must be that of a file");
  }
  const path = absolute(given);
  const bytes = Buffer.byteLength(path);
  if (bytes > MOST_PATH_BYTES) {
    throw invalid(`the socket path ${path} has ${bytes} bytes, and ${MOST_PATH_BYTES} are the most`);
  }
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return path;
  if (!there.isSocket()) throw invalid(`${path} is there already, and is no socket`);
  if (await isAlive(path)) throw invalid(`another process listens on the socket ${path}`);
  rmSync(path, { force: true });
  return path;
}

/** Only a socket that refuses a connection has nobody behind it: one that we may not use may be somebody else's. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(Reflect.get(error, "code") !== "ECONNREFUSED"));
  });
}

const invalid = (text: string, cause?: Error, option = "listen"): UsageError =>
  new UsageError("ERR_OPTION_INVALID", text, { cause, option });
