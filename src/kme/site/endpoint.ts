/** Where a process of a link listens or is found: a TCP address, or a Unix socket. */

import { isIPv4, type NetConnectOpts, type Server } from "node:net";
import { UsageError } from "../../protocol/errors.ts";
import { listen } from "../listen.ts";

export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** As options of node:net, to connect with. */
export const netOptions = (endpoint: Endpoint): NetConnectOpts => ({ ...endpoint });

export const endpointText = (endpoint: Endpoint): string => {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  return `${endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
};

/** Fulfilled once the server listens, with its port. Throws UsageError. */
export async function listenAt(server: Server, endpoint: Endpoint): Promise<Endpoint> {
  const { host, port, path } = await listen(server, endpoint);
  // A connection that cannot be taken is no reason to end.
  server.on("error", () => undefined);
  return path === undefined ? { host, port } : { path };
}

/** Throws UsageError for an endpoint that others than this machine's processes could reach. */
export function demandLocal(endpoint: Endpoint, option: string): void {
  if ("path" in endpoint) return;
  const { host } = endpoint;
  if (host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))) return;
  const text = `${option}: what goes through the fibre process is secret, so it may be on loopback or a Unix socket only`;
  throw new UsageError("ERR_OPTION_INVALID", text, { option });
}
