/** What a KME answers, without the network: ETSI GS QKD 014 V1.1.1, clause by clause. */

import { fromUtf8, wipe } from "../protocol/bytes.ts";
import { StoreError, UsageError } from "../protocol/errors.ts";
import { SIMULATED } from "../qkd/container.ts";
import { ownSae, parseKeyId, tame } from "../qkd/names.ts";
import { onlyKnown, whole } from "../protocol/options.ts";
import { Deliveries } from "./deliveries.ts";
import { type Route, SaeRegistry } from "./saes.ts";
import type { IssuedKey } from "./issue.ts";
import type { KeyStore } from "./store.ts";

export interface KmeRequest {
  /** The SAE ID that the client's certificate proves. */
  readonly caller: string;
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly target: string;
  readonly body: Uint8Array;
}

export interface KmeAnswer {
  readonly status: number;
  readonly body: object;
  readonly allow?: string;
}

export interface KmeApi {
  readonly deliveries: Deliveries;
  /** Never rejects for anything that a caller sends. */
  answer(request: KmeRequest): Promise<KmeAnswer>;
}

export interface KmeLimits {
  /** Sizes in bits, multiples of 8; defaults 256, 64 and 1024. */
  readonly keyBits?: number;
  readonly minKeyBits?: number;
  readonly maxKeyBits?: number;
  /** Default 128. */
  readonly maxKeysPerRequest?: number;
  /** additional_slave_SAE_IDs in one request; default 4, 0 for none. */
  readonly maxSaeIds?: number;
}

export interface KmeIdentity {
  /** Our KME ID. */
  readonly id: string;
  /** The SAEs that are served here. */
  readonly saes: readonly string[];
  /** The SAEs that each link leads to, by the KME that serves them; ours, where a link leads back. */
  readonly links: readonly {
    readonly kme: string;
    readonly saes: readonly string[];
    readonly store: KeyStore;
  }[];
  /**
   * The pairs of SAEs that may share keys, whichever of the two draws them; the others may not. Default: every SAE served
   * here with every one that a link leads to.
   */
  readonly allow?: readonly (readonly [sae: string, sae: string])[];
  readonly limits?: KmeLimits;
}

/** The API of one KME. Throws UsageError for options out of range. */
export function kmeApi(identity: KmeIdentity): KmeApi {
  return new Api(identity);
}

/** Ends the handling of a request with an error answer. ETSI GS QKD 014 §6.5. */
class Refusal extends Error {
  readonly answer: KmeAnswer;

  constructor(
    status: number,
    message: string,
    { allow, details }: { readonly allow?: string; readonly details?: readonly object[] } = {},
  ) {
    super(message);
    const body = { message, ...(details && { details }) };
    this.answer = { status, body, ...(allow !== undefined && { allow }) };
  }
}

class Api implements KmeApi {
  readonly deliveries = new Deliveries();
  readonly #id: string;
  readonly #registry: SaeRegistry;
  readonly #limits: Required<KmeLimits>;

  constructor(identity: KmeIdentity) {
    this.#id = ownSae(identity.id, "id");
    this.#registry = new SaeRegistry(identity);
    this.#limits = limitsOf(identity.limits ?? {});
  }

  async answer(request: KmeRequest): Promise<KmeAnswer> {
    const answer = await this.#answer(request);
    if (answer.status >= 400) this.deliveries.countRefusal(answer.status);
    return answer;
  }

  async #answer(request: KmeRequest): Promise<KmeAnswer> {
    try {
      const { sae, what, query } = parseTarget(request.target);
      const methods = what === "status" ? ["GET"] : ["GET", "POST"];
      if (!methods.includes(request.method)) {
        throw new Refusal(405, "method not allowed", { allow: methods.join(", ") });
      }
      if (!this.#registry.serves(request.caller)) throw new Refusal(401, "the SAE is not served by this KME");
      if (what === "status") return this.#status(request.caller, sae);
      if (what === "enc_keys") return await this.#encKeys(request.caller, sae, keyRequest(request, query));
      return await this.#decKeys(request.caller, sae, keyIds(request, query, this.#limits.maxKeysPerRequest));
    } catch (error) {
      if (error instanceof Refusal) return error.answer;
      if (error instanceof StoreError)
        return { status: 503, body: { message: "the key store is unavailable" } };
      throw error;
    }
  }

  /** ETSI GS QKD 014 §5.2 and §6.1. */
  #status(master: string, slave: string): KmeAnswer {
    const { kme, store } = this.#route(master, slave);
    const { keyBits, minKeyBits, maxKeyBits, maxKeysPerRequest, maxSaeIds } = this.#limits;
    // A key is made of whole blocks: what is left over of the last one goes to nobody.
    const perKey = Math.ceil(keyBits / 8 / store.blockBytes);
    const inKeys = (blocks: number): number => Math.floor(blocks / perKey);
    const body = {
      source_KME_ID: this.#id,
      target_KME_ID: kme,
      master_SAE_ID: master,
      slave_SAE_ID: slave,
      key_size: keyBits,
      stored_key_count: inKeys(store.stored),
      max_key_count: inKeys(store.maxStored),
      max_key_per_request: maxKeysPerRequest,
      max_key_size: maxKeyBits,
      min_key_size: minKeyBits,
      max_SAE_ID_count: maxSaeIds,
      ...(store.simulated && { status_extension: { [SIMULATED]: true } }),
    };
    return { status: 200, body };
  }

  /** ETSI GS QKD 014 §5.3. */
  async #encKeys(master: string, slave: string, asked: KeyRequest): Promise<KmeAnswer> {
    const { store } = this.#route(master, slave);
    const { keyBits, minKeyBits, maxKeyBits, maxKeysPerRequest, maxSaeIds } = this.#limits;
    const { number = 1, size = keyBits, additional } = asked;
    if (size % 8 !== 0) throw new Refusal(400, "size shall be a multiple of 8");
    if (size < minKeyBits || size > maxKeyBits) {
      throw new Refusal(400, `size shall be between ${minKeyBits} and ${maxKeyBits}`);
    }
    if (number < 1 || number > maxKeysPerRequest) {
      throw new Refusal(400, `number shall be between 1 and ${maxKeysPerRequest}`);
    }
    if (additional.length > maxSaeIds) {
      throw new Refusal(400, `additional_slave_SAE_IDs shall have at most ${maxSaeIds} entries`);
    }
    const slaves = new Set([slave, ...additional]);
    if (slaves.size !== 1 + additional.length) throw new Refusal(400, "a slave SAE ID is named twice");
    for (const each of slaves) {
      // One key can only lie in the two KMEs of one link.
      if (this.#route(master, each).store !== store)
        throw new Refusal(400, "the slave SAEs are served by different KMEs");
    }
    const issued = await store.issue({ master, slaves: [...slaves], number, bytes: size / 8 });
    if (issued === "insufficient") throw new Refusal(503, "insufficient keys are available");
    if (issued === "unlinked") throw new Refusal(503, "the KME at the other end cannot be reached");
    this.deliveries.countKeys({ verb: "enc_keys", master, slave, keys: issued.length });
    return delivery(issued, store);
  }

  /** ETSI GS QKD 014 §5.4. */
  async #decKeys(slave: string, master: string, ids: readonly string[]): Promise<KmeAnswer> {
    if (!this.#registry.allows(slave, master)) throw new Refusal(401, NOT_ALLOWED);
    const store = this.#registry.route(master)?.store;
    const found = (await store?.deliver(slave, master, ids)) ?? "unknown";
    if (found === "unauthorized") throw new Refusal(401, "the SAE was not named as slave for these keys");
    if (found === "unknown" || store === undefined) {
      throw new Refusal(400, "one or more keys specified are not found on KME");
    }
    this.deliveries.countKeys({ verb: "dec_keys", master, slave, keys: found.length });
    return delivery(found, store);
  }

  #route(master: string, slave: string): Route {
    const route = this.#registry.route(slave);
    if (route === undefined) throw new Refusal(400, "the slave SAE is not known to this KME");
    if (!this.#registry.allows(master, slave)) throw new Refusal(401, NOT_ALLOWED);
    return route;
  }
}

const NOT_ALLOWED = "these SAEs may not share keys";

interface KeyRequest {
  readonly number?: number;
  readonly size?: number;
  readonly additional: readonly string[];
}

/** ETSI GS QKD 014 §6.2. */
function keyRequest({ method, body }: KmeRequest, query: URLSearchParams): KeyRequest {
  if (method === "GET") {
    const asked = parameters(query, ["number", "size"]);
    return {
      ...count("number", digits(asked["number"])),
      ...count("size", digits(asked["size"])),
      additional: [],
    };
  }
  const fields = body.length === 0 ? {} : json(body);
  const additional = fields["additional_slave_SAE_IDs"] ?? [];
  if (!Array.isArray(additional) || !additional.every((sae) => typeof sae === "string")) {
    throw new Refusal(400, "additional_slave_SAE_IDs shall be an array of strings");
  }
  for (const member of ["extension_mandatory", "extension_optional"]) {
    const extension = fields[member] ?? [];
    if (!Array.isArray(extension) || !extension.every(isObject)) {
      throw new Refusal(400, `${member} shall be an array of objects`);
    }
    // We support none. What is optional the KME may ignore.
    const names = extension.flatMap((parameters: object) => Object.keys(parameters));
    if (member === "extension_mandatory" && names.length > 0) {
      const details = names.slice(0, MOST_DETAILS).map((name) => ({
        extension_mandatory_unsupported: `${tame(name)} is not supported`,
      }));
      throw new Refusal(400, "not all extension_mandatory parameters are supported", { details });
    }
  }
  return { ...count("number", fields["number"]), ...count("size", fields["size"]), additional };
}

/** Names that a refusal repeats. */
const MOST_DETAILS = 16;

/** ETSI GS QKD 014 §6.4. */
function keyIds({ method, body }: KmeRequest, query: URLSearchParams, most: number): string[] {
  const request =
    method === "GET" ? { key_IDs: [{ key_ID: parameters(query, ["key_ID"])["key_ID"] }] } : json(body);
  extensionOf(request, "key_IDs_extension");
  const list = request["key_IDs"];
  if (!Array.isArray(list) || list.length === 0)
    throw new Refusal(400, "key_IDs shall be an array of key IDs");
  if (list.length > most) throw new Refusal(400, `key_IDs shall have at most ${most} entries`);
  return list.map((entry: unknown) => {
    const fields = isObject(entry) ? entry : {};
    const id = parseKeyId(fields["key_ID"]);
    if (id === undefined) throw new Refusal(400, "key_ID shall be a UUID");
    extensionOf(fields, "key_ID_extension");
    return id;
  });
}

/** For future use: whatever it holds is ignored. */
function extensionOf(fields: Record<string, unknown>, name: string): void {
  const extension = fields[name];
  if (extension !== undefined && !isObject(extension)) throw new Refusal(400, `${name} shall be an object`);
}

/** ETSI GS QKD 014 §6.3. The table spells the array "Keys", every example "keys". */
function delivery(issued: readonly IssuedKey[], store: KeyStore): KmeAnswer {
  const keys = issued.map(({ id, key }) => {
    const text = Buffer.from(key.buffer, key.byteOffset, key.length).toString("base64");
    wipe(key);
    return { key_ID: id, key: text };
  });
  return {
    status: 200,
    body: { keys, ...(store.simulated && { key_container_extension: { [SIMULATED]: true } }) },
  };
}

function parseTarget(target: string): { sae: string; what: string; query: URLSearchParams } {
  const at = target.indexOf("?");
  const path = at < 0 ? target : target.slice(0, at);
  const match = /^\/api\/v1\/keys\/([^/]+)\/(status|enc_keys|dec_keys)$/.exec(path);
  const [, sae, what] = match ?? [];
  if (sae === undefined || what === undefined) throw new Refusal(404, "no such resource");
  try {
    return {
      sae: decodeURIComponent(sae),
      what,
      query: new URLSearchParams(at < 0 ? "" : target.slice(at + 1)),
    };
  } catch {
    throw new Refusal(400, "the SAE ID in the path is not URL-encoded UTF-8");
  }
}

function parameters(query: URLSearchParams, known: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of query) {
    if (!known.includes(name)) throw new Refusal(400, `the query may have ${known.join(" and ")} alone`);
    if (Object.hasOwn(found, name)) throw new Refusal(400, `${name} is given twice`);
    found[name] = value;
  }
  return found;
}

const digits = (text: string | undefined): unknown =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : text;

function count<Name extends string>(name: Name, value: unknown): { [K in Name]?: number } {
  if (value === undefined) return {};
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new Refusal(400, `${name} shall be an integer`);
  }
  return { [name]: value } as { [K in Name]?: number }; // a computed key loses its literal type
}

function json(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(body));
  } catch {
    throw new Refusal(400, "the request body is not JSON in UTF-8");
  }
  if (!isObject(value)) throw new Refusal(400, "the request body shall be an object");
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function limitsOf(limits: KmeLimits): Required<KmeLimits> {
  onlyKnown(limits, "keyBits minKeyBits maxKeyBits maxKeysPerRequest maxSaeIds".split(" "), "KME limits");
  const bits = (option: keyof KmeLimits, fallback: number, min: number, max: number): number => {
    const value = whole(limits, option, fallback, min, max);
    if (value % 8 === 0) return value;
    throw new UsageError("ERR_OPTION_INVALID", `${option} must be a multiple of 8`, { option });
  };
  const minKeyBits = bits("minKeyBits", 64, 8, 65_536);
  const maxKeyBits = bits("maxKeyBits", Math.max(1024, minKeyBits), minKeyBits, 65_536);
  return {
    minKeyBits,
    maxKeyBits,
    keyBits: bits("keyBits", Math.min(Math.max(256, minKeyBits), maxKeyBits), minKeyBits, maxKeyBits),
    maxKeysPerRequest: whole(limits, "maxKeysPerRequest", 128, 1, 4096),
    maxSaeIds: whole(limits, "maxSaeIds", 4, 0, 64),
  };
}
