import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type KmeApi, kmeApi, type KmeIdentity, type KmeLimits } from "../../src/kme/api.ts";
import { type LinkedStores, linkedStores } from "../../src/kme/pair.ts";
import { isWiped } from "../support/scripted-source.ts";

let stores: LinkedStores;
let a: KmeApi;
let b: KmeApi;

async function setUp(limits: KmeLimits = {}, rest: Pick<KmeIdentity, "allow"> = {}): Promise<void> {
  await close();
  stores = linkedStores({ initialKeys: 20, keysPerSecond: 0, maxStored: 40 });
  const [atA, atB] = [
    ["sae-a", "sae-a2"],
    ["sae-b", "sae-c", "sae-d"],
  ];
  a = kmeApi({
    id: "kme-a",
    saes: atA,
    links: [{ kme: "kme-b", saes: atB, store: stores.a }],
    limits,
    ...rest,
  });
  b = kmeApi({
    id: "kme-b",
    saes: atB,
    links: [{ kme: "kme-a", saes: atA, store: stores.b }],
    limits,
    ...rest,
  });
}
const close = async (): Promise<unknown> => Promise.all([stores?.a.close(), stores?.b.close()]);
beforeEach(() => setUp());
afterEach(close);

type Answer = { status: number; body: any; allow?: string };

/** POSTs when there is a body (an object, or text as it stands), otherwise GETs. */
function ask(api: KmeApi, caller: string, path: string, body?: unknown, method?: string): Promise<Answer> {
  const bytes = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  return api.answer({
    caller,
    method: method ?? (body === undefined ? "GET" : "POST"),
    target: `/api/v1/keys/${path}`,
    body: Buffer.from(bytes, "latin1"),
  });
}
const ids = (answer: Answer) => ({ key_IDs: answer.body.keys.map(({ key_ID }: any) => ({ key_ID })) });
const refused = (status: number, message: string) => ({ status, body: { message } });
const NOT_FOUND = refused(400, "one or more keys specified are not found on KME");

describe("status, ETSI GS QKD 014 §6.1", () => {
  test("has every field", async () => {
    expect(await ask(a, "sae-a", "sae-b/status")).toEqual({
      status: 200,
      body: {
        source_KME_ID: "kme-a",
        target_KME_ID: "kme-b",
        master_SAE_ID: "sae-a",
        slave_SAE_ID: "sae-b",
        key_size: 256,
        stored_key_count: 20,
        max_key_count: 40,
        max_key_per_request: 128,
        max_key_size: 1024,
        min_key_size: 64,
        max_SAE_ID_count: 4,
        status_extension: { qkdtls_simulated: true },
      },
    });
  });

  test.each([
    [64, 20, 40],
    [256, 20, 40],
    [352, 10, 20],
    [512, 10, 20],
    [1024, 5, 10],
  ])("counts in keys of the default size, %i bits, as many as can be had", async (keyBits, stored, most) => {
    await setUp({ keyBits });
    const count = async () => (await ask(a, "sae-a", "sae-b/status")).body.stored_key_count;
    expect((await ask(a, "sae-a", "sae-b/status")).body).toMatchObject({
      key_size: keyBits,
      stored_key_count: stored,
      max_key_count: most,
    });
    expect((await ask(a, "sae-a", "sae-b/enc_keys?number=2")).body.keys).toHaveLength(2);
    expect(await count()).toBe(stored - 2);
    expect((await ask(a, "sae-a", `sae-b/enc_keys?number=${stored - 2}`)).status).toBe(200);
    expect(await count()).toBe(0);
  });
});

describe("enc_keys and dec_keys, ETSI GS QKD 014 §6.2 to §6.4", () => {
  test.each([[undefined], [""], [{}], [{ number: 1 }], [{ size: 256, extension_mandatory: [] }]])(
    "the defaults are one key of the default size (%j)",
    async (body) => {
      const answer = await ask(a, "sae-a", "sae-b/enc_keys", body, body === undefined ? "GET" : "POST");
      expect(answer).toEqual({
        status: 200,
        body: {
          keys: [
            { key_ID: expect.stringMatching(/^[0-9a-f-]{36}$/), key: expect.stringMatching(/^.{43}=$/) },
          ],
          key_container_extension: { qkdtls_simulated: true },
        },
      });
      expect(stores.a.stored).toBe(19);
    },
  );

  test.each([64, 256, 352, 1024])("%i bits, three at once, are the same at both ends", async (size) => {
    const issued = await ask(a, "sae-a", `sae-b/enc_keys?number=3&size=${size}`);
    expect(issued.body.keys.map(({ key }: any) => 8 * Buffer.from(key, "base64").length)).toEqual([
      size,
      size,
      size,
    ]);
    expect(new Set(issued.body.keys.map(({ key }: any) => key)).size).toBe(3);
    const delivered = await ask(b, "sae-b", "sae-a/dec_keys", ids(issued));
    expect(delivered).toEqual(issued);
  });

  test("a key of 4096 bits is joined from sixteen blocks; of 64 bits it takes one, whose rest goes to nobody", async () => {
    await setUp({ maxKeyBits: 4096 });
    const [large, small] = [
      await ask(a, "sae-a", "sae-b/enc_keys", { size: 4096 }),
      await ask(a, "sae-a", "sae-b/enc_keys", { size: 64, number: 2 }),
    ];
    expect(large.body.keys.map(({ key }: any) => Buffer.from(key, "base64").length)).toEqual([512]);
    expect(stores.a.stored).toBe(20 - 16 - 2);
    expect(stores.a.counters.delivered).toBe(18);
    for (const issued of [large, small])
      expect(await ask(b, "sae-b", "sae-a/dec_keys", ids(issued))).toEqual(issued);
    const all = [...large.body.keys, ...small.body.keys].map(({ key }: any) => Buffer.from(key, "base64"));
    expect(new Set(all.map((key) => key.subarray(0, 8).toString("hex"))).size).toBe(3);
  });

  test("GET takes one key_ID, in either case", async () => {
    const issued = await ask(a, "sae-a", "sae-b/enc_keys");
    const { key_ID } = issued.body.keys[0];
    expect(await ask(b, "sae-b", `sae-a/dec_keys?key_ID=${key_ID.toUpperCase()}`)).toEqual(issued);
  });

  test("keys leave once: never issued twice, never delivered twice", async () => {
    const issued = await ask(a, "sae-a", "sae-b/enc_keys?number=2");
    const both = ids(issued);
    const one = { key_IDs: both.key_IDs.slice(0, 1) };
    expect((await ask(b, "sae-b", "sae-a/dec_keys", one)).status).toBe(200);
    expect(await ask(b, "sae-b", "sae-a/dec_keys", one)).toEqual(NOT_FOUND);
    // All or none: the second key is still there afterwards.
    expect(await ask(b, "sae-b", "sae-a/dec_keys", both)).toEqual(NOT_FOUND);
    expect((await ask(b, "sae-b", "sae-a/dec_keys", { key_IDs: both.key_IDs.slice(1) })).status).toBe(200);
  });

  test("one key_ID twice in a request is not found", async () => {
    const { key_IDs } = ids(await ask(a, "sae-a", "sae-b/enc_keys"));
    const twice = { key_IDs: [...key_IDs, ...key_IDs] };
    expect(await ask(b, "sae-b", "sae-a/dec_keys", twice)).toEqual(NOT_FOUND);
  });

  test("the two directions do not share blocks", async () => {
    const [there, back] = await Promise.all([
      ask(a, "sae-a", "sae-b/enc_keys?number=20"),
      ask(b, "sae-b", "sae-a/enc_keys?number=20"),
    ]);
    const keys = [...there.body.keys, ...back.body.keys].map(({ key }: any) => key);
    expect(new Set(keys).size).toBe(40);
    expect(await ask(a, "sae-a", "sae-b/dec_keys", ids(back))).toEqual(back);
  });

  test("additional slaves get the key too, each once, and nobody else", async () => {
    const issued = await ask(a, "sae-a", "sae-b/enc_keys", { additional_slave_SAE_IDs: ["sae-c"] });
    expect(await ask(b, "sae-c", "sae-a/dec_keys", ids(issued))).toEqual(issued);
    expect(await ask(b, "sae-c", "sae-a/dec_keys", ids(issued))).toEqual(NOT_FOUND);
    expect(await ask(b, "sae-d", "sae-a/dec_keys", ids(issued))).toEqual(
      refused(401, "the SAE was not named as slave for these keys"),
    );
    expect(await ask(b, "sae-b", "sae-a/dec_keys", ids(issued))).toEqual(issued);
  });

  test("a key is found under its own master alone", async () => {
    const issued = await ask(a, "sae-a", "sae-b/enc_keys");
    expect(await ask(b, "sae-b", "sae-a2/dec_keys", ids(issued))).toEqual(NOT_FOUND);
    expect(await ask(b, "sae-b", "nobody/dec_keys", ids(issued))).toEqual(NOT_FOUND);
    expect((await ask(b, "sae-b", "sae-a/dec_keys", ids(issued))).status).toBe(200);
  });

  test("an empty stock is 503, and takes nothing", async () => {
    expect(await ask(a, "sae-a", "sae-b/enc_keys?number=21")).toEqual(
      refused(503, "insufficient keys are available"),
    );
    expect(stores.a.stored).toBe(20);
    await stores.a.drain();
    expect((await ask(a, "sae-a", "sae-b/enc_keys")).status).toBe(503);
    expect((await ask(a, "sae-a", "sae-b/status")).body.stored_key_count).toBe(0);
  });

  test("an other end that lost its blocks is 503, and its key is given to nobody", async () => {
    await stores.b.drain();
    expect(await ask(a, "sae-a", "sae-b/enc_keys")).toEqual(
      refused(503, "the KME at the other end cannot be reached"),
    );
    expect(stores.a.stored).toBe(19);
  });

  test("a store that cannot be used is 503, whatever is asked of it", async () => {
    const issued = await ask(a, "sae-a", "sae-b/enc_keys");
    await Promise.all([stores.a.drain(), stores.b.close()]);
    stores.fill(1);
    const unavailable = refused(503, "the key store is unavailable");
    expect(await ask(b, "sae-b", "sae-a/dec_keys", ids(issued))).toEqual(unavailable);
    // The other end's store is none that we can hand a key to.
    expect((await ask(a, "sae-a", "sae-b/enc_keys")).status).toBe(503);
  });

  test("extensions of key_IDs are objects, and ignored", async () => {
    const [one] = ids(await ask(a, "sae-a", "sae-b/enc_keys")).key_IDs;
    const wrong = [
      [{ key_IDs: [one], key_IDs_extension: 7 }, "key_IDs_extension shall be an object"],
      [{ key_IDs: [{ ...one, key_ID_extension: [] }] }, "key_ID_extension shall be an object"],
    ] as const;
    for (const [body, message] of wrong)
      expect(await ask(b, "sae-b", "sae-a/dec_keys", body)).toEqual(refused(400, message));
    const body = { key_IDs: [{ ...one, key_ID_extension: { abc_x: 1 } }], key_IDs_extension: {} };
    expect((await ask(b, "sae-b", "sae-a/dec_keys", body)).status).toBe(200);
  });

  test("extension_mandatory that names nothing asks for nothing", async () => {
    expect((await ask(a, "sae-a", "sae-b/enc_keys", { extension_mandatory: [{}] })).status).toBe(200);
  });

  test("extension_mandatory is refused, and each parameter named in the details", async () => {
    const body = { extension_mandatory: [{ abc_route: "direct" }, { "abc_\u0007way": 1 }] };
    expect(await ask(a, "sae-a", "sae-b/enc_keys", body)).toEqual({
      status: 400,
      body: {
        message: "not all extension_mandatory parameters are supported",
        details: [
          { extension_mandatory_unsupported: "abc_route is not supported" },
          { extension_mandatory_unsupported: "abc_ way is not supported" },
        ],
      },
    });
    const many = { extension_mandatory: Array.from({ length: 99 }, (_, n) => ({ [`abc_${n}`]: n })) };
    expect((await ask(a, "sae-a", "sae-b/enc_keys", many)).body.details).toHaveLength(16);
    expect(stores.a.stored).toBe(20);
  });

  test("extension_optional is ignored", async () => {
    const body = { extension_optional: [{ vendor_mood: "good" }] };
    expect((await ask(a, "sae-a", "sae-b/enc_keys", body)).status).toBe(200);
  });
});

const UUID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
const REFUSED: [name: string, path: string, body: unknown, status: number, message: string | RegExp][] = [
  ["a size of odd bits", "sae-b/enc_keys", { size: 250 }, 400, "size shall be a multiple of 8"],
  ["a size of odd bits by GET", "sae-b/enc_keys?size=250", undefined, 400, "size shall be a multiple of 8"],
  ["too small a size", "sae-b/enc_keys", { size: 56 }, 400, "size shall be between 64 and 1024"],
  ["too large a size", "sae-b/enc_keys", { size: 1032 }, 400, "size shall be between 64 and 1024"],
  ["a negative size", "sae-b/enc_keys", { size: -8 }, 400, "size shall be between 64 and 1024"],
  ["a size in words", "sae-b/enc_keys", { size: "256" }, 400, "size shall be an integer"],
  ["a size in words by GET", "sae-b/enc_keys?size=0x100", undefined, 400, "size shall be an integer"],
  ["half a key", "sae-b/enc_keys", { number: 0.5 }, 400, "number shall be an integer"],
  ["null keys", "sae-b/enc_keys", { number: null }, 400, "number shall be an integer"],
  ["no keys", "sae-b/enc_keys", { number: 0 }, 400, "number shall be between 1 and 128"],
  ["too many keys", "sae-b/enc_keys?number=129", undefined, 400, "number shall be between 1 and 128"],
  [
    "extensions that are no array",
    "sae-b/enc_keys",
    { extension_mandatory: {} },
    400,
    /shall be an array of objects/,
  ],
  [
    "extensions of numbers",
    "sae-b/enc_keys",
    { extension_optional: [7] },
    400,
    /shall be an array of objects/,
  ],
  [
    "slaves that are no array",
    "sae-b/enc_keys",
    { additional_slave_SAE_IDs: "x" },
    400,
    /an array of strings/,
  ],
  [
    "too many slaves",
    "sae-b/enc_keys",
    { additional_slave_SAE_IDs: ["v", "w", "x", "y", "z"] },
    400,
    /at most 4 entries/,
  ],
  ["a slave twice", "sae-b/enc_keys", { additional_slave_SAE_IDs: ["sae-b"] }, 400, /named twice/],
  [
    "an unknown slave beside",
    "sae-b/enc_keys",
    { additional_slave_SAE_IDs: ["x"] },
    400,
    /not known to this KME/,
  ],
  ["an unknown slave", "sae-x/enc_keys", {}, 400, "the slave SAE is not known to this KME"],
  ["an unknown slave's status", "sae-x/status", undefined, 400, "the slave SAE is not known to this KME"],
  ["a foreign parameter", "sae-b/enc_keys?count=1", undefined, 400, /number and size alone/],
  ["a parameter twice", "sae-b/enc_keys?size=64&size=64", undefined, 400, "size is given twice"],
  ["a parameter named like an object's own", "sae-b/enc_keys?__proto__=1", undefined, 400, /alone/],
  ["a body that is no JSON", "sae-b/enc_keys", "{", 400, /not JSON/],
  ["a body that is no UTF-8", "sae-b/enc_keys", '{"size":"\xff"}', 400, /not JSON in UTF-8/],
  ["a body that is an array", "sae-b/enc_keys", [], 400, "the request body shall be an object"],
  ["dec_keys without ids", "sae-b/dec_keys", {}, 400, /key_IDs shall be an array/],
  ["dec_keys with no id", "sae-b/dec_keys", { key_IDs: [] }, 400, /key_IDs shall be an array/],
  ["dec_keys with an empty body", "sae-b/dec_keys", "", 400, /not JSON/],
  [
    "dec_keys with too many",
    "sae-b/dec_keys",
    { key_IDs: Array.from({ length: 129 }, () => ({ key_ID: UUID })) },
    400,
    /at most 128/,
  ],
  [
    "a key_ID that is no UUID",
    "sae-b/dec_keys",
    { key_IDs: [{ key_ID: "7" }] },
    400,
    "key_ID shall be a UUID",
  ],
  ["a key_ID outside an object", "sae-b/dec_keys", { key_IDs: [UUID] }, 400, "key_ID shall be a UUID"],
  ["dec_keys by GET without id", "sae-b/dec_keys", undefined, 400, "key_ID shall be a UUID"],
  ["a key that nobody issued", `sae-b/dec_keys?key_ID=${UUID}`, undefined, 400, NOT_FOUND.body.message],
  ["a path that is not URL-encoded", "%ff/status", undefined, 400, /not URL-encoded/],
  ["another path", "sae-b/keys", undefined, 404, "no such resource"],
  ["a path too long", "sae-b/status/x", undefined, 404, "no such resource"],
  ["a path without SAE ID", "/status", undefined, 404, "no such resource"],
];

describe("refuses", () => {
  test.each(REFUSED)("%s", async (_, path, body, status, message) => {
    expect(await ask(a, "sae-a", path, body)).toEqual({
      status,
      body: { message: typeof message === "string" ? message : expect.stringMatching(message) },
    });
    expect(stores.a.stored).toBe(20);
  });

  test("a caller that it does not serve", async () => {
    for (const caller of ["sae-b", "sae-x", ""]) {
      expect(await ask(a, caller, "sae-b/enc_keys", {})).toEqual(
        refused(401, "the SAE is not served by this KME"),
      );
    }
  });

  test("SAEs that may not share keys, whichever of them asks", async () => {
    await setUp(
      {},
      {
        allow: [
          ["sae-a", "sae-b"],
          ["sae-c", "sae-a2"],
        ],
      },
    );
    const NOT_ALLOWED = refused(401, "these SAEs may not share keys");
    const issued = await ask(a, "sae-a", "sae-b/enc_keys");
    expect(issued.status).toBe(200);
    expect((await ask(b, "sae-b", "sae-a/dec_keys", ids(issued))).status).toBe(200);
    expect((await ask(b, "sae-b", "sae-a/enc_keys")).status).toBe(200);
    expect((await ask(a, "sae-a2", "sae-c/status")).status).toBe(200);
    for (const what of ["status", "enc_keys"])
      expect(await ask(a, "sae-a", `sae-c/${what}`)).toEqual(NOT_ALLOWED);
    const both = { additional_slave_SAE_IDs: ["sae-c"] };
    expect(await ask(a, "sae-a", "sae-b/enc_keys", both)).toEqual(NOT_ALLOWED);
    expect(await ask(b, "sae-d", "sae-a/dec_keys", ids(issued))).toEqual(NOT_ALLOWED);
    expect(stores.a.stored).toBe(19);
  });

  test.each([
    ["status", "POST", "GET"],
    ["enc_keys", "PUT", "GET, POST"],
    ["dec_keys", "DELETE", "GET, POST"],
    ["status", "HEAD", "GET"],
  ])("%s by %s, and says which methods there are", async (what, method, allow) => {
    expect(await ask(a, "sae-a", `sae-b/${what}`, {}, method)).toEqual({
      ...refused(405, "method not allowed"),
      allow,
    });
  });
});

describe("the counters", () => {
  test("have the keys that each pair of SAEs was given, by verb, on either side", async () => {
    const two = await ask(a, "sae-a", "sae-b/enc_keys", { number: 2, additional_slave_SAE_IDs: ["sae-c"] });
    await ask(a, "sae-a", "sae-b/enc_keys");
    await ask(b, "sae-b", "sae-a/dec_keys", ids(two));
    await ask(b, "sae-c", "sae-a/dec_keys", ids(two));
    const row = (verb: string, slave: string, keys: number) => ({ verb, master: "sae-a", slave, keys });
    expect(a.deliveries.delivered).toEqual([row("enc_keys", "sae-b", 3)]);
    expect(b.deliveries.delivered).toEqual([row("dec_keys", "sae-b", 2), row("dec_keys", "sae-c", 2)]);
    expect([a.deliveries.refused, b.deliveries.refused]).toEqual([new Map(), new Map()]);
  });

  test("have refusals by status, and no name that a caller made up", async () => {
    await ask(a, "stranger", "sae-b/enc_keys");
    await ask(a, "sae-a", "stranger/enc_keys");
    await ask(a, "sae-a", "sae-b/enc_keys", "no JSON");
    await ask(a, "sae-a", "nowhere");
    await ask(a, "sae-a", "sae-b/enc_keys", { number: 21 });
    expect(a.deliveries.delivered).toEqual([]);
    expect(Object.fromEntries(a.deliveries.refused)).toEqual({ 400: 2, 401: 1, 404: 1, 503: 1 });
  });
});

test("keys are wiped once they stand in the answer", async () => {
  const given = [1, 2].map((fill) => ({ id: `key ${fill}`, key: new Uint8Array(32).fill(fill) }));
  const store = Object.assign(Object.create(stores.a), {
    simulated: true,
    issue: async () => given.slice(0, 1),
    deliver: async () => given.slice(1),
  });
  const links = [{ kme: "kme-b", saes: ["sae-b"], store }];
  const kme = kmeApi({ id: "kme-a", saes: ["sae-a"], links });
  const issued = await ask(kme, "sae-a", "sae-b/enc_keys");
  expect(issued.body.keys[0].key).toBe(Buffer.alloc(32, 1).toString("base64"));
  const delivered = await ask(kme, "sae-a", `sae-b/dec_keys?key_ID=${UUID}`);
  expect(delivered.body.keys[0].key).toBe(Buffer.alloc(32, 2).toString("base64"));
  expect(given.map(({ key }) => isWiped(key))).toEqual([true, true]);
});

test("options are refused by name", () => {
  const make = (rest: object) => () => kmeApi({ id: "kme-a", saes: ["sae-a"], links: [], ...rest });
  expect(make({ id: "" })).toThrow(expect.objectContaining({ option: "id" }));
  expect(make({ saes: [""] })).toThrow(expect.objectContaining({ option: "saes" }));
  expect(make({ limits: { keyBits: 7 } })).toThrow(expect.objectContaining({ option: "keyBits" }));
  for (const option of ["keyBits", "minKeyBits", "maxKeyBits"])
    expect(make({ limits: { [option]: 1020 } })).toThrow(expect.objectContaining({ option }));
  expect(make({ limits: { keybits: 7 } })).toThrow(expect.objectContaining({ code: "ERR_OPTION_UNKNOWN" }));
  const link = { kme: "kme-b", saes: ["sae-b"], store: stores.a };
  expect(make({ links: [link, link] })).toThrow("two links lead to the SAE sae-b");
});
