import { describe, expect, test } from "vitest";
import type { ServerOptions } from "../../src/channel/options.ts";
import type { PskOption } from "../../src/channel/psk.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { ClientHello, type OfferedPsks } from "../../src/wire/hello.ts";
import { provider } from "../support/credentials.ts";
import { engines, type EnginesOptions } from "../support/engines.ts";
import { Pair } from "../support/pair.ts";

const psk = (identity: string): PskOption => ({
  identity,
  key: new Uint8Array(32).fill(7),
  importContext: new Uint8Array(0),
});

/** What becomes of a handshake whose second ClientHello offers only these of the client's PSKs. */
function retried(
  keep: (index: number) => boolean,
  client: EnginesOptions["client"],
  server: Partial<ServerOptions>,
): Error | undefined {
  let hellos = 0;
  const edit = (name: string, body: Uint8Array): Uint8Array | undefined => {
    if (name !== "client_hello" || hellos++ === 0) return undefined;
    const hello = decode(ClientHello, body);
    const { identities, binders } = hello.extensions.pre_shared_key as OfferedPsks;
    const { pre_shared_key: _, ...others } = hello.extensions;
    const kept = {
      identities: identities.filter((__, at) => keep(at)),
      binders: binders.filter((__, at) => keep(at)),
    };
    return encode(ClientHello, {
      ...hello,
      extensions: kept.identities.length === 0 ? others : { ...others, pre_shared_key: kept },
    });
  };
  const groups = ["X25519MLKEM768", "SecP384r1MLKEM1024"] as const;
  return engines({
    client: { groups, ...client },
    server: { groups: ["SecP384r1MLKEM1024"], ...server },
    edit,
  }).failed?.error;
}

describe("§4.2.2: the PSKs of a second ClientHello", () => {
  const client = {
    psks: [psk("stranger"), psk("known")],
    authentication: "psk",
    suites: ["TLS_AES_128_GCM_SHA256"],
  } as const;
  const server = { psks: [psk("known")], credentials: [] };

  test("one that the server knows and the suite fits must not be left out", () => {
    expect(retried((index) => index === 0, client, server)).toMatchObject({
      code: "ERR_TLS_ILLEGAL_PARAMETER",
      alert: "illegal_parameter",
    });
  });

  test("nor all of them", () => {
    expect(retried(() => false, client, server)).toMatchObject({
      code: "ERR_TLS_MISSING_EXTENSION",
      alert: "missing_extension",
    });
  });

  test("one that the server does not know may, and the rest counts", () => {
    // The binder is over another hello than the one that was sent, so this far and no further.
    expect(retried((index) => index > 0, client, server)).toMatchObject({ alert: "decrypt_error" });
  });

  test("one that the suite does not fit may, as our own client does", () => {
    const both = { ...client, suites: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] } as const;
    const failed = retried(() => true, both, { ...server, suites: ["TLS_AES_128_GCM_SHA256"] });
    expect(failed).toBeUndefined();
  });

  test("a ticket counts as a PSK that the server knows", () => {
    const tickets = { sealer: new TicketKeys({ provider, now: Date.now }) };
    const first = new Pair({ server: { tickets } }).run();
    const session = first.session as Uint8Array;
    expect(retried(() => false, { session }, { tickets })).toMatchObject({ alert: "missing_extension" });
  });
});
