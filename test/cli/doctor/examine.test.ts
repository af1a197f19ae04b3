import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import type { Patient } from "../../../src/cli/doctor/examination.ts";
import { CHAPTERS, examine } from "../../../src/cli/doctor/examine.ts";
import type { Finding } from "../../../src/cli/doctor/point.ts";
import type { KmeAnswer, KmeRequest } from "../../../src/kme/api.ts";
import { authority } from "../../support/certificates.ts";
import { type Defect, type DefectivePair, defectivePair, type Wrong } from "./defective-kme.ts";

const trusted = authority();
const saeA = trusted.issue("sae-a");
const saeB = trusted.issue("sae-b");
let pair: DefectivePair | undefined;
afterEach(async () => {
  await pair?.close();
  pair = undefined;
});

async function examined(defect?: Defect, change: Partial<Patient> = {}): Promise<readonly Finding[]> {
  pair = await defectivePair(trusted, defect);
  return examine({
    kme: { url: pair.a },
    peerKme: { url: pair.b },
    ca: Buffer.from(trusted.ca),
    master: { sae: "sae-a", identity: saeA },
    slave: { sae: "sae-b", identity: saeB },
    timeoutMs: 5000,
    patienceMs: 1,
    rounds: 10,
    ...change,
  });
}

const notHeld = (findings: readonly Finding[]): string[] =>
  findings.filter(({ verdict }) => verdict !== "pass").map(({ id, verdict }) => `${verdict} ${id}`);

describe("a KME without fault", () => {
  test("holds every point", async () => {
    const findings = await examined();
    expect(notHeld(findings)).toEqual([]);
    expect(findings).toHaveLength(CHAPTERS.flatMap(({ points }) => points).length);
    expect(new Set(findings.map(({ id }) => id)).size).toBe(findings.length);
    for (const { source } of findings) expect(source).toMatch(/^(§[56]\.\d|RFC \d+ §[\d.]+|measured)$/);
  });

  test("without the slave's certificate nothing is fetched, and that is said", async () => {
    const findings = await examined({}, { slave: { sae: "sae-b" } });
    expect(notHeld(findings)).toEqual([
      ...["dec-get", "dec-post", "dec-once", "dec-race", "dec-rights", "dec-master"].map(
        (id) => `skip ${id}`,
      ),
      ...["dec-unknown", "dec-malformed", "dec-all-or-none", "pace-dec"].map((id) => `skip ${id}`),
    ]);
  });

  test("with an empty stock the points that need keys are not judged", async () => {
    const findings = await examined({ keys: 0 });
    expect(notHeld(findings).filter((line) => !line.startsWith("skip "))).toEqual([]);
    expect(findings.find(({ id }) => id === "enc-get")?.detail).toContain("no keys");
  });

  test("so it is with one that says 400 when it has no keys, and refuses nothing for its own sake then", async () => {
    const empty = changed(/enc_keys/, (answer) =>
      answer.status === 503 ? { ...answer, status: 400 } : answer,
    );
    const findings = await examined({ keys: 3, answering: empty });
    expect(notHeld(findings).filter((line) => !line.startsWith("skip "))).toEqual([]);
    expect(findings.find(({ id }) => id === "enc-mandatory")).toMatchObject({ verdict: "skip" });
  });

  test("a KME that makes its keys while one waits is examined whole", async () => {
    const findings = await examined({ keys: 4, perSecond: 200 }, { patienceMs: 5000 });
    expect(notHeld(findings)).toEqual([]);
  });
});

/** Answers of these paths, changed. */
function changed(what: RegExp, change: (answer: KmeAnswer, request: KmeRequest) => KmeAnswer): Wrong {
  return (healthy) => async (request) => {
    const answer = await healthy(request);
    return what.test(request.target) ? change(answer, request) : answer;
  };
}

const keysOf = ({ body }: KmeAnswer): { key_ID: string; key: string }[] =>
  (body as { keys: { key_ID: string; key: string }[] }).keys;

const withKeys =
  (change: (key: { key_ID: string; key: string }, at: number) => object) => (answer: KmeAnswer) =>
    answer.status === 200 ? { status: 200, body: { keys: keysOf(answer).map(change) } } : answer;

const textOf = ({ body }: KmeRequest): string => Buffer.from(body).toString();
const reworded = (request: KmeRequest, text: string): KmeRequest => ({ ...request, body: Buffer.from(text) });

/** Answers again what it answered before. */
function repeating(keyOf: (request: KmeRequest) => string | undefined): Wrong {
  const given = new Map<string, KmeAnswer>();
  return (healthy) => async (request) => {
    const key = keyOf(request);
    const before = key === undefined ? undefined : given.get(key);
    if (before !== undefined) return before;
    const answer = await healthy(request);
    if (key !== undefined && answer.status === 200) given.set(key, answer);
    return answer;
  };
}

const PLANTED: readonly (readonly [fault: string, defect: Defect, found: readonly string[]])[] = [
  [
    "asks for no client certificate",
    { tls: { requestCert: true, rejectUnauthorized: false } },
    ["fail certificate-needed", "fail certificate-trusted"],
  ],
  ["speaks TLS 1.1", { tls: { minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } }, ["fail tls-old"]],
  ["answers without TLS on the same port", { plain: true }, ["fail plain-http"]],
  [
    "lacks a field of Status",
    {
      answering: changed(/status/, ({ status, body }) => {
        const { target_KME_ID: _, ...rest } = body as Record<string, unknown>;
        return { status, body: rest };
      }),
    },
    ["fail status-fields"],
  ],
  [
    "tells sizes in bytes",
    {
      answering: changed(/sae-b\/status/, ({ status, body }) => {
        const { key_size, ...rest } = body as Record<string, unknown>;
        const inBytes = { key_size: Number(key_size) / 8, min_key_size: 8, max_key_size: 128 };
        return { status, body: status === 200 ? { ...rest, ...inBytes } : body };
      }),
    },
    ["fail enc-get", "fail enc-post"],
  ],
  [
    "swaps the SAEs in Status",
    {
      answering: changed(/sae-b\/status/, ({ status, body }) => ({
        status,
        body: { ...body, master_SAE_ID: "sae-b", slave_SAE_ID: "sae-a" },
      })),
    },
    ["fail status-names"],
  ],
  [
    "knows no POST",
    { answering: refusing(({ method }) => method === "POST") },
    ["fail enc-post", "fail dec-post"],
  ],
  [
    "takes no notice of number",
    {
      answering: (healthy) => (request) =>
        healthy({
          ...reworded(request, textOf(request).replace(/"number":\d+/, '"number":1')),
          target: request.target.replace(/number=\d+/, "number=1"),
        }),
    },
    ["fail enc-get-parameters", "fail enc-post-parameters", "fail enc-number-above", "fail dec-post"],
  ],
  [
    "gives keys of another length than asked for",
    {
      answering: changed(
        /enc_keys/,
        withKeys(({ key_ID, key }) => ({
          key_ID,
          key: Buffer.from(key, "base64").subarray(1).toString("base64"),
        })),
      ),
    },
    ["fail enc-get"],
  ],
  [
    "rounds a size that is no multiple of 8 down",
    {
      answering: (healthy) => (request) =>
        healthy(
          reworded(
            request,
            textOf(request).replace(
              /"size":(\d+)/,
              (_, size) => `"size":${Number(size) - (Number(size) % 8)}`,
            ),
          ),
        ),
    },
    ["fail enc-size-odd"],
  ],
  [
    "ignores mandatory extensions",
    {
      answering: (healthy) => (request) =>
        healthy(textOf(request).includes("extension_mandatory") ? reworded(request, "{}") : request),
    },
    ["fail enc-mandatory"],
  ],
  [
    "refuses optional extensions",
    { answering: refusing((request) => textOf(request).includes("extension_optional")) },
    ["fail enc-optional"],
  ],
  [
    "has key_IDs that are no UUIDs",
    {
      answering: changed(
        /enc_keys/,
        withKeys(({ key_ID, key }) => ({ key_ID: key_ID.slice(0, 8), key })),
      ),
    },
    ["fail key-id", "fail dec-get"],
  ],
  [
    "writes keys in URL-safe base64",
    {
      answering: changed(
        /enc_keys/,
        withKeys(({ key_ID, key }) => ({ key_ID, key: Buffer.from(key, "base64").toString("base64url") })),
      ),
    },
    ["fail enc-get"],
  ],
  [
    "delivers a key twice",
    {
      answering: repeating(({ target, body }) =>
        /dec_keys/.test(target) ? `${target} ${Buffer.from(body).toString()}` : undefined,
      ),
    },
    ["fail dec-once", "fail dec-race"],
  ],
  [
    "delivers a key twice when asked twice at once",
    {
      answering: (healthy) => {
        const unspent = new Map<string, Promise<KmeAnswer>>();
        return async (request) => {
          if (!/dec_keys\?/.test(request.target)) return healthy(request);
          const answer = unspent.get(request.target) ?? healthy(request);
          unspent.set(request.target, answer);
          // It looks first and spends later, as one does without a transaction.
          await new Promise((resolve) => setTimeout(resolve, 30));
          unspent.delete(request.target);
          return answer;
        };
      },
    },
    ["fail dec-race"],
  ],
  [
    "gives the two ends different keys",
    {
      answering: changed(
        /dec_keys/,
        withKeys(({ key_ID, key }) => ({ key_ID, key: createHash("sha256").update(key).digest("base64") })),
      ),
    },
    ["fail dec-get", "fail dec-post"],
  ],
  [
    "lets any SAE that it trusts fetch any key",
    {
      answering: (healthy) => (request) =>
        healthy(/dec_keys/.test(request.target) ? { ...request, caller: "sae-b" } : request),
    },
    ["fail dec-rights"],
  ],
  [
    "finds a key under whatever master SAE",
    {
      answering: (healthy) => (request) =>
        healthy({ ...request, target: request.target.replace(/sae-that-nobody-knows(?=\/dec)/, "sae-a") }),
    },
    ["fail dec-master"],
  ],
  [
    "says 404 for a key that is not there",
    {
      answering: changed(/dec_keys/, (answer) =>
        answer.status === 400 ? { ...answer, status: 404 } : answer,
      ),
    },
    ["fail dec-once", "fail dec-unknown"],
  ],
  [
    "tells errors in plain text",
    {
      answering: changed(/./, (answer) =>
        answer.status === 400 ? { status: 400, body: "bad" as never } : answer,
      ),
    },
    ["fail error-body"],
  ],
  [
    "gives the same key again under another key_ID",
    {
      answering: changed(
        /_keys/,
        withKeys(({ key_ID, key }) => ({
          key_ID,
          key: Buffer.alloc(Buffer.from(key, "base64").length, 7).toString("base64"),
        })),
      ),
    },
    ["fail keys-fresh"],
  ],
  [
    "uses up what it delivered with one unknown key_ID in the list",
    {
      answering: (healthy) => {
        const lost = new Set<string>();
        return async (request) => {
          const ids = /dec_keys/.test(request.target)
            ? ((textOf(request) + request.target).match(/[0-9a-f-]{36}/g) ?? [])
            : [];
          if (ids.some((id) => lost.has(id))) return { status: 400, body: { message: "gone" } };
          const answer = await healthy(request);
          if (answer.status === 400) for (const id of ids) lost.add(id);
          return answer;
        };
      },
    },
    ["warn dec-all-or-none"],
  ],
  [
    "spells the array Keys and lets caches keep it",
    {
      answering: changed(/_keys/, (answer) =>
        answer.status === 200 ? { status: 200, body: { Keys: keysOf(answer) } } : answer,
      ),
      headers: () => ({ "content-type": "application/json" }),
    },
    ["warn keys-spelling", "warn keys-cache"],
  ],
];

function refusing(which: (request: KmeRequest) => boolean): Wrong {
  return (healthy) => async (request) =>
    which(request) ? { status: 405, body: { message: "method not allowed" } } : healthy(request);
}

describe("a KME that", () => {
  test.each(PLANTED)("%s is found out", async (_, defect, found) => {
    expect(notHeld(await examined(defect))).toEqual(expect.arrayContaining([...found]));
  });

  test("one fault is not taken for others", async () => {
    const alone = PLANTED.filter(([, , found]) => found.length === 1);
    const only = ["plain-http", "status-names", "enc-size-odd", "enc-mandatory", "enc-optional", "dec-race"];
    only.push("dec-rights", "dec-master", "keys-fresh", "dec-all-or-none", "tls-old", "error-body");
    for (const [fault, defect, [found = ""]] of alone) {
      if (!only.includes(found.replace(/^\w+ /, ""))) continue;
      expect([fault, notHeld(await examined(defect))]).toEqual([fault, [found]]);
      await pair?.close();
    }
  });

  test("hangs is given up in time", async () => {
    const findings = await examined(
      {
        answering: (healthy) => (request) =>
          /enc_keys/.test(request.target) ? new Promise(() => undefined) : healthy(request),
      },
      { timeoutMs: 1000, rounds: 1 },
    );
    expect(findings.find(({ id }) => id === "enc-get")).toMatchObject({
      verdict: "fail",
      detail: "no answer in time",
    });
  });
});

describe("no KME at all", () => {
  test("nobody listens", async () => {
    const nowhere = { url: new URL("https://127.0.0.1:9") };
    await expect(examined({}, { kme: nowhere })).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
    await pair?.close();
    await expect(examined({}, { peerKme: nowhere })).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
  });

  test("its certificate is not trusted", async () => {
    const ca = Buffer.from(authority().ca);
    await expect(examined({}, { ca })).rejects.toMatchObject({ code: "ERR_QKD_UNTRUSTED" });
  });
});
