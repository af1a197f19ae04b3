/** `--listen-a` and `--listen-b`. */

import { Option } from "commander";
import type { Listen } from "../../kme/listen.ts";
import { endpoint } from "./endpoint.ts";

/** An option for where a KME listens. */
export function listenOption(name: string, description: string, port: number): Option {
  const local: Listen = { host: "127.0.0.1", port };
  return new Option(`${name} <where>`, `${description}: host:port, or unix:/path for this machine alone`)
    .argParser(endpoint)
    .default(local, `127.0.0.1:${port}`);
}
