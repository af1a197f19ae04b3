/** `--listen-a` and `--listen-b`. */

import { InvalidArgumentError, Option } from "commander";
import type { Listen } from "../../kme/listen.ts";

/** An option for where a KME listens. */
export function listenOption(name: string, description: string, port: number): Option {
  const local: Listen = { host: "127.0.0.1", port };
  return new Option(`${name} <where>`, `${description}: host:port, or unix:/path for this machine alone`)
    .argParser(address)
    .default(local, `127.0.0.1:${port}`);
}

function address(text: string): Listen {
  if (text.startsWith("unix:") && text.length > 5) return { path: text.slice(5) };
  const { host, port } = /^(?<host>\[[^\]]+\]|[^:]+):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new InvalidArgumentError("It must be host:port, as in 127.0.0.1:8443 or [::1]:0, or unix:/path.");
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}
