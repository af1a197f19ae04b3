/** KMEs that are slow, dead or lying, for the client that draws and for the server that redeems. */
import { randomUUID } from "node:crypto";
import { etsi014, type KeySource } from "../../src/index.ts";
import { kmeApi } from "../../src/kme/api.ts";
import { linkedStores } from "../../src/kme/pair.ts";
import { authority } from "../support/certificates.ts";
import {
  answerWith,
  cutBody,
  type Fault as Spoil,
  hangUp,
  rewrite,
  silence,
  startFaultyKme,
} from "../support/faulty-kme.ts";
import { converse, portOf, reach, Served } from "./ends.ts";
import type { Bed, Fault } from "./fault.ts";

/** A call's time limit where the KME is slow; elsewhere a loaded machine must not run into it. */
const SHORT_MS = 300;
const LONG_MS = 60_000;

const trusted = authority();
const issued = { a: trusted.issue("sae-a"), b: trusted.issue("sae-b") };
const kmeCertificates = { a: trusted.issue("kme-a"), b: trusted.issue("kme-b") };

interface Trouble {
  readonly spoil: Spoil;
  /** What the source says of it. */
  readonly code: string;
  readonly slow?: true;
}

const dripped: Spoil = (response, { status, body }) => {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": text.length });
  let at = 0;
  const next = (): void => {
    if (at === text.length) response.end();
    else response.write(text[at++], next);
  };
  next();
};

const late: Spoil = (response, { status, body }, request) => {
  setTimeout(() => {
    if (response.writable) answerWith(status, body)(response, { status, body }, request);
  }, 2 * SHORT_MS);
};

const keysLike = (change: (key: { key: string; key_ID: string }) => object): Spoil =>
  rewrite(({ keys }) => ({ keys: keys.map(change) }));

const TROUBLES: Readonly<Record<string, Trouble>> = {
  "never answers": { spoil: silence, code: "ERR_QKD_TIMEOUT", slow: true },
  "answers too late": { spoil: late, code: "ERR_QKD_TIMEOUT", slow: true },
  "hangs up": { spoil: hangUp, code: "ERR_QKD_UNREACHABLE" },
  "stops in mid-answer": { spoil: cutBody, code: "ERR_QKD_UNREACHABLE" },
  fails: { spoil: answerWith(500, { message: "fault" }), code: "ERR_QKD_UNREACHABLE" },
  "has run dry": { spoil: answerWith(503, { message: "insufficient keys" }), code: "ERR_QKD_EMPTY" },
  "does not know us": { spoil: answerWith(401, { message: "who are you" }), code: "ERR_QKD_UNAUTHORIZED" },
  "answers no JSON": { spoil: answerWith(200, "<html>"), code: "ERR_QKD_MALFORMED" },
  "answers no keys": { spoil: answerWith(200, { keys: [] }), code: "ERR_QKD_(MALFORMED|EMPTY)" },
  "answers without end": { spoil: answerWith(200, "[".repeat(3_000_000)), code: "ERR_QKD_MALFORMED" },
  "gives short keys": {
    spoil: keysLike(({ key_ID }) => ({ key_ID, key: Buffer.alloc(8, 1).toString("base64") })),
    code: "ERR_QKD_KEY_SIZE",
  },
  "gives keys of zeros": {
    spoil: keysLike(({ key_ID }) => ({ key_ID, key: Buffer.alloc(32).toString("base64") })),
    code: "ERR_QKD_MALFORMED",
  },
};

type Side = "client" | "server";
/** A client that has no key says so before its first word, or is gone before that is read. */
const LEFT = /^(ERR_TLS_PEER_ALERT|ERR_TLS_TRUNCATED|ECONNRESET|EPIPE)$/;

function fault(name: string, { code, slow }: Trouble, side: Side): Fault {
  const missed = new RegExp(`^ERR_POLICY_QKD_REQUIRED < ${code}$`);
  const ends =
    side === "client" ? { client: missed, server: LEFT } : { client: /^ERR_TLS_PEER_ALERT$/, server: missed };
  return {
    name: `the ${side}'s KME ${name}`,
    ...ends,
    run: (bed) => between(bed, { [side]: name, ...(slow && { timeoutMs: SHORT_MS }) }),
  };
}

/** Keys that are not the other side's, under a key_ID that is. */
const lying = (side: Side): Fault => ({
  name: `the ${side}'s KME gives another key`,
  client: /^ERR_TLS_PEER_ALERT$/,
  server: /^ERR_TLS_DECRYPT$/,
  run: (bed) => between(bed, { [side]: "gives another key" }),
});

const EXTRA: Readonly<Record<string, Spoil>> = {
  "gives another key": keysLike(({ key_ID }) => ({ key_ID, key: Buffer.alloc(32, 7).toString("base64") })),
  "gives another key_ID": keysLike(({ key }) => ({ key, key_ID: randomUUID() })),
  "answers one byte at a time": dripped,
};

const drips = (side: Side): Fault => ({
  name: `the ${side}'s KME answers one byte at a time`,
  client: /^done$/,
  server: /^closed$/,
  run: (bed) => between(bed, { [side]: "answers one byte at a time" }),
});

const SIDES = ["client", "server"] as const;
export const kmeFaults: readonly Fault[] = [
  ...Object.entries(TROUBLES).flatMap(([name, trouble]) => SIDES.map((side) => fault(name, trouble, side))),
  ...SIDES.map(lying),
  ...SIDES.map(drips),
  {
    name: "the client's KME gives a key_ID that the server's does not know",
    client: /^ERR_TLS_PEER_ALERT$/,
    server: /^ERR_POLICY_QKD_REQUIRED < ERR_QKD_UNKNOWN_KEY$/,
    run: (bed) => between(bed, { client: "gives another key_ID" }),
  },
  {
    name: "the server's KME gives a key under another key_ID",
    client: /^ERR_TLS_PEER_ALERT$/,
    server: /^ERR_POLICY_QKD_REQUIRED < ERR_QKD_MALFORMED$/,
    run: (bed) => between(bed, { server: "gives another key_ID" }),
  },
];

/** A connection whose ends each have a source of their own, at a KME that may be at fault. */
async function between(
  { kmes }: Bed,
  faults: { readonly client?: string; readonly server?: string; readonly timeoutMs?: number },
): Promise<{ client: string; server: string }> {
  const { timeoutMs } = faults;
  const source = (end: "a" | "b", name: string | undefined): KeySource =>
    etsi014({
      url: name === undefined ? kmes[end].url : `${kmes[end].url}/${encodeURIComponent(name)}`,
      sae: `sae-${end}`,
      ca: trusted.ca,
      ...issued[end],
      timeoutMs: LONG_MS,
      maxAnswerBytes: 100_000,
    });
  const [a, b] = [source("a", faults.client), source("b", faults.server)];
  const limit = timeoutMs === undefined ? { timeoutMs: LONG_MS } : { timeoutMs };
  const slowServer = faults.server === undefined ? { timeoutMs: LONG_MS } : limit;
  const slowClient = faults.client === undefined ? { timeoutMs: LONG_MS } : limit;
  const served = await Served.start({ qkd: { source: b, ...slowServer }, handshakeTimeout: LONG_MS });
  try {
    const client = reach(served.port, {
      qkd: { source: a, peer: "sae-b", ...slowClient },
      handshakeTimeout: LONG_MS,
    });
    const port = await portOf(client);
    return { client: await converse(client), server: await served.ending(port) };
  } finally {
    a.close();
    b.close();
    await served.close();
  }
}

/** Two KMEs that share keys, and are at fault for whoever asks for it in the path. */
export async function startKmes(): Promise<Bed["kmes"] & { close(): Promise<void> }> {
  const stores = linkedStores({ initialKeys: 1000, keysPerSecond: 2000, maxStored: 2000 });
  const api = (id: "a" | "b", other: "a" | "b") =>
    kmeApi({
      id: `kme-${id}`,
      saes: [`sae-${id}`],
      links: [{ kme: `kme-${other}`, saes: [`sae-${other}`], store: stores[id] }],
    });
  const start = async (id: "a" | "b", other: "a" | "b") => {
    const kme = await startFaultyKme({ api: api(id, other), ca: trusted.ca, ...kmeCertificates[id] });
    for (const what of ["enc_keys", "dec_keys"] as const) kme.spoil(what, wanted);
    return kme;
  };
  const [a, b] = [await start("a", "b"), await start("b", "a")];
  const close = async (): Promise<void> => {
    await Promise.all([a.close(), b.close()]);
    await Promise.all([stores.a.close(), stores.b.close()]);
  };
  return { a, b, close };
}

/** The fault that the request's path names. */
const wanted: Spoil = (response, honest, request) => {
  const name = decodeURIComponent(/^\/([^/]+)\/api\//.exec(request.url ?? "")?.[1] ?? "");
  const spoil = TROUBLES[name]?.spoil ?? EXTRA[name] ?? answerWith(honest.status, honest.body);
  spoil(response, honest, request);
};
