import { describe, expect, test } from "vitest";
import { serverConfig } from "../../src/channel/config.ts";
import { readQkdIdentity, redeemedPsk } from "../../src/handshake/qkd-identity.ts";
import type { Draft } from "../../src/handshake/server-state.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { TLS12, TLS13 } from "../../src/protocol/iana.ts";
import { qkdContext, qkdIdentity, rawQkdIdentity } from "../../src/schedule/psk.ts";
import { encode } from "../../src/wire/codec.ts";
import { ImportedIdentity } from "../../src/wire/psk.ts";
import { credentials, provider } from "../support/credentials.ts";

const settings = (form: "imported" | "raw") =>
  serverConfig({
    provider,
    now: Date.now,
    credentials: [credentials().identity],
    qkd: { sae: "sae-b", form },
  }).settings;
const draft = { suite: { hash: "sha256" } } as Draft; // Of a draft no more than the hash of its suite is looked at.
const keyId = "01234567-89ab-4def-8123-456789abcdef";
const identity = (change: object = {}) =>
  encode(ImportedIdentity, {
    external_identity: qkdIdentity(keyId),
    context: qkdContext("sae-a", "sae-b"),
    target_protocol: TLS13,
    target_kdf: 1,
    ...change,
  });

describe("an identity in a ClientHello", () => {
  test("tells the key_ID and both SAEs", () => {
    const said = { keyId, initiator: "sae-a", responder: "sae-b" };
    expect(readQkdIdentity(draft, identity(), settings("imported"))).toEqual({ form: "imported", ...said });
    const raw = rawQkdIdentity("sae-a", "sae-b", keyId);
    expect(readQkdIdentity(draft, raw, settings("raw"))).toEqual({ form: "raw", ...said });
  });

  test.each([
    ["of another kind of name", identity({ external_identity: utf8("one") })],
    ["of another kind of context", identity({ context: utf8("context") })],
    ["for another protocol", identity({ target_protocol: TLS12 })],
    ["for another hash than the suite's", identity({ target_kdf: 2 })],
    ["that is no text", identity({ external_identity: Uint8Array.of(0xff) })],
    ["that nobody imported", rawQkdIdentity("sae-a", "sae-b", keyId)],
    ["of a ticket", new Uint8Array(96)],
  ])("%s is none", (_, bytes) => {
    expect(readQkdIdentity(draft, bytes, settings("imported"))).toBeUndefined();
  });
});

describe("a redeemed key", () => {
  const delivered = () => ({ id: keyId, key: new Uint8Array(32).fill(7), simulated: true, kind: "etsi-014" });

  test.each(["imported", "raw"] as const)(
    "becomes the PSK that both ends share (%s), and is wiped",
    (form) => {
      const given = delivered();
      const announced = { form, initiator: "sae-a", keyId };
      const { ready, qkd } = redeemedPsk(announced, given, "sha256", settings(form));
      expect(given.key).toEqual(new Uint8Array(32));
      expect(qkd).toEqual({
        keyId,
        initiator: "sae-a",
        responder: "sae-b",
        simulated: true,
        kind: "etsi-014",
        form,
      });
      expect(ready).toMatchObject({
        hash: "sha256",
        binder: form === "imported" ? "imp binder" : "ext binder",
      });
      const other = redeemedPsk({ ...announced, initiator: "sae-c" }, delivered(), "sha256", settings(form));
      expect(other.ready.identity).not.toEqual(ready.identity);
    },
  );
});
