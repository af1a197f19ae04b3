import { describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/protocol/bytes.ts";
import { credentials } from "../support/credentials.ts";
import { Pair, withQkd } from "../support/pair.ts";

describe("a channel in memory", () => {
  test("connects with the hybrid group by default and carries data both ways", () => {
    const pair = new Pair().run();
    expect(pair.error("client")).toBeUndefined();
    expect(pair.error("server")).toBeUndefined();
    expect(pair.connected).toBe(true);
    expect(pair.client.established?.group?.name).toBe("X25519MLKEM768");
    expect(pair.client.established?.suite.name).toBe("TLS_AES_256_GCM_SHA384");
    pair.client.send(utf8("hello"));
    pair.server.send(utf8("welcome"));
    pair.settle();
    expect(fromUtf8(pair.received("server"))).toBe("hello");
    expect(fromUtf8(pair.received("client"))).toBe("welcome");
  });

  test("mixes the QKD key in beside the certificate (RFC 9973)", () => {
    const pair = new Pair(withQkd).run();
    expect(pair.error("client")).toBeUndefined();
    expect(pair.error("server")).toBeUndefined();
    expect(pair.connected).toBe(true);
    expect(pair.client.established?.qkd).toMatchObject({ initiator: "sae-a", responder: "sae-b", simulated: true });
    expect(pair.server.established?.qkd?.keyId).toBe(pair.client.established?.qkd?.keyId);
    expect(pair.client.established?.peer.by).toBe("certificate");
  });

  test("resumes", () => {
    const first = new Pair().run();
    const session = first.session;
    expect(session).toBeDefined();
    expect(first.connected).toBe(true);
  });

  test("authenticates the client by certificate", () => {
    const pair = new Pair({ server: { clientAuth: "require" }, clientCredentials: credentials() }).run();
    expect(pair.connected).toBe(true);
    expect(pair.server.established?.peer.by).toBe("certificate");
  });

  test("asks again when the first share does not fit", () => {
    const pair = new Pair({ server: { groups: ["SecP384r1MLKEM1024"] } }).run();
    expect(pair.error("client")).toBeUndefined();
    expect(pair.connected).toBe(true);
    expect(pair.client.established?.retried).toBe(true);
  });

  test("works byte by byte", () => {
    const pair = new Pair({ ...withQkd, wire: { pieceBytes: 1 } }).run();
    expect(pair.connected).toBe(true);
  });
});
