/** What the points of an examination share: the callers, what has been learnt of the KME, and how an answer is read. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeProvider } from "../../crypto/node.ts";
import { generateKeyPair } from "../../crypto/node-generate.ts";
import { issueCertificate } from "../../pki/issue.ts";
import { toPem } from "../../pki/pem.ts";
import { equal, wipe } from "../../protocol/bytes.ts";
import { tame } from "../../qkd/names.ts";
import { type Answer, Caller, type Identity, type KmePlace, type Outcome, type Question } from "./asking.ts";

/** The KMEs to be examined, and the SAEs in whose name. */
export interface Patient {
  readonly kme: KmePlace;
  /** The KME of the slave SAE; it may be the same. */
  readonly peerKme: KmePlace;
  /** Whom to trust for the KMEs' certificates; Node's list without it. */
  readonly ca: Uint8Array | undefined;
  readonly master: { readonly sae: string; readonly identity: Identity };
  /** Without an identity nothing is fetched in its name. */
  readonly slave: { readonly sae: string; readonly identity?: Identity };
  readonly timeoutMs: number;
  /** How long a KME that has run dry may take to have keys again. */
  readonly patienceMs: number;
  /** Keys that are drawn and fetched for the figures. */
  readonly rounds: number;
}

/** The KME does not do what the point asks for. */
export class Fault extends Error {}
/** The point cannot be examined here; says why. */
export class Unexamined extends Error {}

export interface Delivered {
  readonly id: string;
  readonly key: Uint8Array;
}

/** What Status said, once it was read. ETSI GS QKD 014 §6.1. */
export interface Figures {
  readonly key_size: number;
  readonly min_key_size: number;
  readonly max_key_size: number;
  readonly max_key_per_request: number;
  readonly max_SAE_ID_count: number;
  readonly source_KME_ID: string;
}

export class Examination {
  readonly patient: Patient;
  /** The master SAE at its KME, and the slave SAE at its own. */
  readonly master: Caller;
  readonly #slave: Caller | undefined;
  /** The master SAE at the slave's KME. */
  readonly intruder: Caller;
  #figures: Figures | undefined;
  /** Answers with an error status, by what was asked. */
  readonly errors = new Map<string, Answer>();
  /** Answers with keys, without these. */
  readonly containers: { readonly spelling: string; readonly cacheControl: string }[] = [];
  /** Of the keys their digests: they themselves are wiped. */
  readonly #seen = { ids: new Set<string>(), keys: new Set<string>(), count: 0 };

  constructor(patient: Patient) {
    this.patient = patient;
    const { kme, peerKme, ca, timeoutMs, master, slave } = patient;
    this.master = new Caller({ ...kme, ca, timeoutMs, identity: master.identity });
    this.intruder = new Caller({ ...peerKme, ca, timeoutMs, identity: master.identity });
    this.#slave = slave.identity && new Caller({ ...peerKme, ca, timeoutMs, identity: slave.identity });
  }

  /** Throws an Unexamined when the slave SAE's certificate was not given. */
  get slave(): Caller {
    if (this.#slave !== undefined) return this.#slave;
    throw new Unexamined("needs the certificate of the slave SAE (--peer-cert and --peer-key)");
  }

  get figures(): Figures {
    if (this.#figures !== undefined) return this.#figures;
    throw new Unexamined("the KME does not say its sizes (see Get status)");
  }

  learn(figures: Figures): void {
    this.#figures = figures;
  }

  /** How many keys came, and how many of them or of their key_IDs came before. */
  get seen(): { readonly count: number; readonly ids: number; readonly keys: number } {
    const { ids, keys, count } = this.#seen;
    return { count, ids: count - ids.size, keys: count - keys.size };
  }

  path(what: "status" | "enc_keys" | "dec_keys", sae?: string): string {
    const { master, slave } = this.patient;
    const other = sae ?? (what === "dec_keys" ? master.sae : slave.sae);
    return `/api/v1/keys/${encodeURIComponent(other)}/${what}`;
  }

  /** The answer to a question. Throws a Fault when there is none. */
  async ask(caller: Caller, question: Question): Promise<Answer> {
    const { answer, failure } = await caller.ask(question);
    if (failure !== undefined) {
      throw new Fault(isLate(failure) ? "no answer in time" : `no answer (${failureText(failure)})`);
    }
    if (answer.status >= 400) this.errors.set(`${question.method} ${question.path}`, answer);
    return answer;
  }

  /** Draws keys for the slave and reads them. */
  async draw(
    question: Omit<Question, "path"> & { readonly query?: string },
    wanted: Wanted,
  ): Promise<Delivered[]> {
    const { query = "", ...rest } = question;
    const asked = { ...rest, path: `${this.path("enc_keys")}${query}` };
    let answer = await this.ask(this.master, asked);
    if (answer.status !== 200) {
      // What it refuses while it has as many keys, it refuses for another reason.
      const plenty = wanted.number * Math.ceil(wanted.bits / this.figures.key_size);
      for (let drawn = 0; drawn < plenty; drawn++) await this.demandSupply();
      answer = await this.ask(this.master, asked);
    }
    return this.#noted(this.keysIn(answer, wanted));
  }

  /**
   * Throws an Unexamined when the KME gives nobody anything: the standard has no status for a stock that is dry, so
   * that the plainest request decides.
   */
  async demandSupply(): Promise<void> {
    const { patienceMs } = this.patient;
    const plain = { method: "GET", path: this.path("enc_keys") } as const;
    const end = performance.now() + patienceMs;
    for (;;) {
      const answer = await this.ask(this.master, plain);
      if (answer.status === 200) {
        wipeKeys(this.#noted(this.keysIn(answer, { number: 1, bits: this.figures.key_size })));
        return;
      }
      const left = end - performance.now();
      if (left <= 0) throw new Unexamined(`the KME gives no keys (${statusText(answer)})`);
      await sleep(Math.min(LOOK_MS, left));
    }
  }

  #noted(keys: Delivered[]): Delivered[] {
    for (const { id, key } of keys) {
      this.#seen.count++;
      this.#seen.ids.add(id.toLowerCase());
      this.#seen.keys.add(createHash("sha256").update(key).digest("base64"));
    }
    return keys;
  }

  /** One key of the default size, for points about its other end. */
  async drawOne(): Promise<Delivered> {
    const [key] = await this.draw({ method: "GET" }, { number: 1, bits: this.figures.key_size });
    return key as Delivered; // as many as were wanted
  }

  /** The keys of a container. Throws a Fault that names the field. ETSI GS QKD 014 §6.3. */
  keysIn(answer: Answer, { number, bits }: Wanted): Delivered[] {
    demandGranted(answer);
    const container = objectIn(answer);
    const spelling = "keys" in container ? "keys" : "Keys";
    this.containers.push({ spelling, cacheControl: answer.headers["cache-control"] ?? "" });
    const list = container[spelling];
    if (!Array.isArray(list)) throw new Fault("the answer has no array `keys`");
    if (list.length !== number) throw new Fault(`${list.length} keys came, ${number} were asked for`);
    return list.map((entry: unknown, at): Delivered => {
      const { key_ID, key } = isObject(entry) ? entry : {};
      if (typeof key_ID !== "string") throw new Fault(`keys[${at}].key_ID is not a string`);
      if (typeof key !== "string") throw new Fault(`keys[${at}].key is not a string`);
      const bytes = base64(key);
      if (bytes === undefined) throw new Fault(`keys[${at}].key is not base64 with padding (RFC 4648 §4)`);
      if (bytes.length !== Math.ceil(bits / 8)) {
        throw new Fault(`keys[${at}].key has ${8 * bytes.length} bits, not ${bits}`);
      }
      return { id: key_ID, key: bytes };
    });
  }

  close(): void {
    for (const caller of [this.master, this.#slave, this.intruder]) caller?.close();
  }
}

const LOOK_MS = 250;

interface Wanted {
  readonly number: number;
  readonly bits: number;
}

export function demandGranted(answer: Answer): void {
  if (answer.status !== 200) throw new Fault(statusText(answer));
}

/** One of these statuses. */
export function demandRefused(answer: Answer, statuses: readonly number[] = [400]): string {
  if (statuses.includes(answer.status)) return statusText(answer);
  throw new Fault(`${statusText(answer)}, not ${statuses.join(" or ")}`);
}

/** Neither was it done nor did the connection tell why: any error status, or a connection that was ended. */
export function turnedAway({ answer, failure }: Outcome): string {
  if (failure !== undefined && isLate(failure)) {
    throw new Fault("neither answered nor refused in time");
  }
  if (failure !== undefined) return `connection refused (${failureText(failure)})`;
  if (answer.status === 401 || answer.status === 403) return statusText(answer);
  throw new Fault(`${statusText(answer)}, not a refusal`);
}

export function objectIn({ json }: Answer): Readonly<Record<string, unknown>> {
  if (isObject(json)) return json;
  throw new Fault("the answer is not a JSON object");
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The status, and the message where there is one; never more, since an answer may hold keys. */
export function statusText({ status, json }: Answer): string {
  const message = isObject(json) && typeof json["message"] === "string" ? json["message"] : undefined;
  return `HTTP ${status}${message === undefined ? "" : ` "${tame(message)}"`}`;
}

/** What a request comes to whose time limit has passed. */
const isLate = ({ code }: { readonly code: string }): boolean => code === "ABORT_ERR";

const failureText = ({ code, message }: { readonly code: string; readonly message: string }): string =>
  code === "unknown" ? tame(message) : code;

export function sameKeys(ours: readonly Delivered[], theirs: readonly Delivered[]): boolean {
  const byId = new Map(theirs.map(({ id, key }) => [id.toLowerCase(), key]));
  return ours.every(({ id, key }) => {
    const other = byId.get(id.toLowerCase());
    return other !== undefined && equal(other, key);
  });
}

export function wipeKeys(...lists: readonly (readonly Delivered[])[]): void {
  for (const list of lists) wipe(...list.map(({ key }) => key));
}

function base64(text: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return new Uint8Array(Buffer.from(text, "base64"));
}

/** A certificate in this SAE's name that vouches for itself. */
export function impostor(sae: string): Identity {
  const provider = nodeProvider();
  const { pkcs8, spki } = generateKeyPair("secp256r1");
  const signingKey = provider.signingKey(pkcs8);
  const notBeforeMs = Date.now() - 60_000;
  const period = { notBeforeMs, notAfterMs: notBeforeMs + 3_600_000 };
  const der = issueCertificate(provider, { ...period, subject: { CN: sae }, spki, signingKey });
  return { cert: toPem("CERTIFICATE", der), key: toPem("PRIVATE KEY", pkcs8) };
}
