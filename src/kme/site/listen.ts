import { existsSync, lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, type Server } from "node:net";
import { UsageError } from "../../protocol/errors.ts";
import { netOptions, type Place, placeText } from "./place.ts";

/**
 * Listens there; the place with its port is returned. A Unix socket is for its owner alone, and one that a killed process
 * left behind is replaced. Throws UsageError.
 */
export async function listenAt(server: Server, place: Place, option: string): Promise<Place> {
  if ("path" in place) await removeLeftover(place.path);
  const bound = await new Promise<Place>((resolve, reject) => {
    const failed = (cause: Error): void => {
      const code = "code" in cause ? String(cause.code) : cause.message;
      const text = `${option}: cannot listen on ${placeText(place)} (${code})`;
      reject(new UsageError("ERR_OPTION_INVALID", text, { cause, option }));
    };
    server.once("error", failed);
    const before = process.umask(0o177);
    try {
      server.listen(netOptions(place), () => {
        server.off("error", failed);
        const address = server.address();
        if (address === null || typeof address === "string") return resolve(place);
        resolve(placeOf(address));
      });
    } finally {
      process.umask(before);
    }
  });
  // Connections that fail later are no reason to end.
  server.on("error", () => undefined);
  return bound;
}

const placeOf = ({ address, port }: AddressInfo): Place => ({ host: address, port });

/** A socket that nobody listens at any more. */
async function removeLeftover(path: string): Promise<void> {
  if (!existsSync(path) || !lstatSync(path).isSocket()) return;
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => resolve(true));
    probe.once("error", (error) => resolve(!("code" in error && error.code === "ECONNREFUSED")));
    probe.once("close", () => probe.destroy());
    probe.once("connect", () => probe.destroy());
  });
  if (!isAlive) unlinkSync(path);
}
