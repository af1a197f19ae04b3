/** What the ETSI 014 client is told about its KME, checked when the source is made. */

import tls from "node:tls";
import { wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import type { Endpoint } from "./exchange.ts";
import { ownSae } from "./names.ts";
import { isText, LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";

type Pem = string | Uint8Array;

export interface Etsi014Options {
  /** `https://host:port`, with a path when the KME's API lies below one. */
  readonly url: string | URL;
  /** The Unix domain socket to reach it at; the certificate is still that of the URL's host. */
  readonly socketPath?: string;
  /** Our own SAE ID: the one that the KME reads from `cert`. */
  readonly sae: string;
  /** PEM: whom we trust to name the KME; our certificate chain; its private key. */
  readonly ca?: Pem;
  readonly cert?: Pem;
  readonly key?: Pem;
  readonly passphrase?: string;
  /** The name to look for in the KME's certificate instead of the URL's host. */
  readonly servername?: string;
  /** The KME ID that the certificate must also carry, as CN or subjectAltName. */
  readonly kmeId?: string;
  /** For one call with all its tries; default 5000. */
  readonly timeoutMs?: number;
  /** Key length when a call names none; default 32. */
  readonly keyBytes?: number;
  /** Default 8. */
  readonly maxConnections?: number;
  /** Default 1 MiB. */
  readonly maxAnswerBytes?: number;
  /** How long an unused connection is kept; default 4000. */
  readonly idleMs?: number;
  /** GET where the standard permits it; default POST. */
  readonly method?: "POST" | "GET";
  readonly dangerous?: { /** Plain http, to a loopback address only. */ readonly plaintext?: boolean };
}

export interface Etsi014Settings {
  readonly sae: string;
  readonly method: "POST" | "GET";
  readonly timeoutMs: number;
  readonly keyBytes: number;
  readonly endpoint: Endpoint;
}

/** The options with their defaults. Throws UsageError naming the option at fault. */
export function readOptions(options: Etsi014Options): Etsi014Settings {
  onlyKnown(options, OPTIONS, "etsi014");
  return {
    sae: ownSae(options.sae),
    method: methodOf(options.method),
    timeoutMs: whole(options, "timeoutMs", 5000, 1, LONGEST_MS),
    keyBytes: whole(options, "keyBytes", 32, 16, 8192),
    endpoint: endpointOf(options),
  };
}

const OPTIONS = (
  "url socketPath sae ca cert key passphrase servername kmeId timeoutMs keyBytes maxConnections maxAnswerBytes idleMs " +
  "method dangerous"
).split(" ");

function methodOf(method: unknown = "POST"): "POST" | "GET" {
  if (method === "POST" || method === "GET") return method;
  throw new UsageError("ERR_OPTION_INVALID", "method must be POST or GET", { option: "method" });
}

function endpointOf(options: Etsi014Options): Endpoint {
  const url = urlOf(options.url);
  const secureContext = url.protocol === "https:" ? contextOf(options) : undefined;
  if (secureContext === undefined) allowPlaintext(url, options);
  return {
    url,
    ...socketOf(options),
    ...(secureContext && { secureContext }),
    ...(options.servername === undefined ? {} : { servername: options.servername }),
    ...(options.kmeId === undefined ? {} : { kmeId: ownSae(options.kmeId, "kmeId") }),
    maxConnections: whole(options, "maxConnections", 8, 1, 1024),
    maxAnswerBytes: whole(options, "maxAnswerBytes", 2 ** 20, 1024, 2 ** 28),
    idleMs: whole(options, "idleMs", 4000, 1, LONGEST_MS),
  };
}

function socketOf({ socketPath }: Etsi014Options): { socketPath?: string } {
  if (socketPath === undefined) return {};
  if (isText(socketPath) && socketPath !== "" && !socketPath.includes("\0")) return { socketPath };
  const text = "socketPath must be the path of a Unix domain socket";
  throw new UsageError("ERR_OPTION_INVALID", text, { option: "socketPath" });
}

function urlOf(given: string | URL | undefined): URL {
  const fail = (why: string): UsageError =>
    new UsageError("ERR_OPTION_INVALID", `url ${why}`, { option: "url" });
  if (given === undefined) throw new UsageError("ERR_OPTION_MISSING", "url is missing", { option: "url" });
  const text = String(given);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw fail("must be https://host:port");
  if (url.username !== "" || url.password !== "") throw fail("must not hold a password");
  if (url.search !== "" || url.hash !== "") throw fail("must not have a query or a fragment");
  return url;
}

function allowPlaintext(url: URL, { dangerous = {}, kmeId }: Etsi014Options): void {
  const fail = (why: string): UsageError => new UsageError("ERR_OPTION_INVALID", why, { option: "url" });
  onlyKnown(dangerous, ["plaintext"], "etsi014 dangerous");
  if (dangerous.plaintext !== true) throw fail("url must be https: a key is never fetched in the clear");
  if (!/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname))
    throw fail("plaintext needs a loopback address");
  if (kmeId !== undefined) throw fail("kmeId needs https: in plaintext nobody proves a name");
}

function contextOf(options: Etsi014Options): tls.SecureContext {
  const pem = (option: "ca" | "cert" | "key"): Buffer => {
    const value: unknown = options[option];
    if (value === undefined) {
      throw new UsageError("ERR_OPTION_MISSING", `${option} is missing: a KME asks for mutual TLS`, {
        option,
      });
    }
    if (typeof value === "string") return Buffer.from(value);
    if (value instanceof Uint8Array) return Buffer.from(value);
    throw new UsageError("ERR_OPTION_INVALID", `${option} must be PEM text`, { option });
  };
  const [ca, cert, key] = [pem("ca"), pem("cert"), pem("key")];
  const { passphrase } = options;
  for (const [option, value] of Object.entries({ ca, cert })) {
    if (value.includes("-----BEGIN CERTIFICATE-----")) continue;
    throw new UsageError("ERR_OPTION_INVALID", `${option} holds no PEM certificate`, { option });
  }
  try {
    return tls.createSecureContext({
      ca,
      cert,
      key,
      minVersion: "TLSv1.2",
      ...(passphrase && { passphrase }),
    });
  } catch (cause) {
    const option = "key";
    const text = "ca, cert and key do not make a TLS identity: one is not PEM, or key does not fit cert";
    throw new UsageError("ERR_OPTION_INVALID", text, { cause, option });
  } finally {
    wipe(key);
  }
}
