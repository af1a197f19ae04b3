import { InvalidArgumentError, Option } from "commander";
import type { Endpoint } from "../../kme/site/endpoint.ts";

/** An option for where a process of a link listens or is found. */
export function endpointOption(name: string, description: string): Option {
  return new Option(`${name} <where>`, `${description}: host:port, or unix:/path`).argParser(endpoint);
}

/** Port 0 takes a free one. Throws an InvalidArgumentError. */
export function endpoint(text: string): Endpoint {
  if (text.startsWith("unix:") && text.length > 5) return { path: text.slice(5) };
  const { host, port } = /^(?<host>\[[^\]]+\]|[^:]+):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new InvalidArgumentError("It must be host:port, as in 127.0.0.1:8443 or [::1]:0, or unix:/path.");
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}
