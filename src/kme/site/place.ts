/** Where a process listens or is found: a TCP address, or a Unix socket. */

import { type ListenOptions, isIPv4, type NetConnectOpts } from "node:net";
import { UsageError } from "../../protocol/errors.ts";
import { whole } from "../../protocol/options.ts";

export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

/** As options of node:net, to listen with or to connect. */
export const netOptions = (place: Place): ListenOptions & NetConnectOpts => ({ ...place });

export const placeText = (place: Place): string => {
  if ("path" in place) return `unix:${place.path}`;
  return `${place.host.includes(":") ? `[${place.host}]` : place.host}:${place.port}`;
};

/** Throws UsageError for a place that others than this machine's processes could reach. */
export function demandLocal(place: Place, option: string): void {
  if ("path" in place) {
    if (place.path !== "") return;
    throw new UsageError("ERR_OPTION_INVALID", `${option} is a Unix socket without a path`, { option });
  }
  whole({ [option]: place.port }, option, 0, 0, 65_535);
  const { host } = place;
  if (host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))) return;
  const text = `${option}: what goes through the fibre process is secret, so it may be on loopback or a Unix socket only`;
  throw new UsageError("ERR_OPTION_INVALID", text, { option });
}
