/** Who may look at the page and who may touch its controls. */

import type { IncomingMessage } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import { equal, utf8 } from "../../protocol/bytes.ts";

/** Where the page's script sends back what the page was given; no other site's page can read it. */
export const TOKEN_HEADER = "x-page-token";

export interface Refusal {
  readonly status: number;
  readonly message: string;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether only this machine reaches this address. */
export function isLoopback(address: string): boolean {
  return isIP(address) !== 0 && loopback.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/**
 * Refuses a request under a name that is not ours: a web page elsewhere whose name was pointed at this address (DNS
 * rebinding) would read it all. An address in place of a name cannot be pointed anywhere.
 */
export function refuseHost({ headers }: IncomingMessage, names: readonly string[]): Refusal | undefined {
  const name = /^(?<name>\[[\da-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(headers.host ?? "")?.groups?.["name"];
  const plain = name?.replace(/^\[|\]$/g, "").toLowerCase() ?? "";
  if (isIP(plain) !== 0 || plain === "localhost" || names.includes(plain)) return undefined;
  return { status: 421, message: "this server has no page of that name" };
}

/** Refuses a change that our own page did not ask for, whatever site or program did. */
export function refuseChange({ headers }: IncomingMessage, token: string): Refusal | undefined {
  const from = headers["sec-fetch-site"];
  if (headers.origin !== `http://${headers.host}` || (from !== undefined && from !== "same-origin")) {
    return { status: 403, message: "only this page's own controls may do that" };
  }
  const given = headers[TOKEN_HEADER];
  if (typeof given !== "string" || !equal(utf8(given), utf8(token))) {
    return { status: 403, message: "the page is of an earlier start: load it again" };
  }
  if (headers["content-type"]?.split(";", 1)[0]?.trim() !== "application/json") {
    return { status: 415, message: "the controls are sent as application/json" };
  }
  return undefined;
}
