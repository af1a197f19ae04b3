import { describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/protocol/bytes.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { credentials, provider } from "../support/credentials.ts";
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
    expect(pair.client.established?.qkd).toMatchObject({
      initiator: "sae-a",
      responder: "sae-b",
      simulated: true,
    });
    expect(pair.server.established?.qkd?.keyId).toBe(pair.client.established?.qkd?.keyId);
    expect(pair.client.established?.peer.by).toBe("certificate");
  });

  test("resumes", () => {
    const tickets = { sealer: new TicketKeys({ provider, now: Date.now }) };
    const first = new Pair({ server: { tickets } }).run();
    const session = first.session;
    expect(session).toBeDefined();
    // A Buffer, as it comes from a file or an event: its `slice` does not copy.
    const second = new Pair({ client: { session: Buffer.from(session!) }, server: { tickets } }).run();
    expect(second.error("client")).toBeUndefined();
    expect(second.connected).toBe(true);
    expect(second.client.established?.resumed).toBe(true);
    expect(second.client.established?.peer.by).toBe("resumption");
  });

  test("borrows what it receives: the transport may overwrite it at once", () => {
    const shared = Buffer.alloc(65_536);
    const pair = new Pair({
      ...withQkd,
      wire: {
        onBytes: (_, bytes) => {
          shared.fill(0);
          shared.set(bytes);
          return shared.subarray(0, bytes.length);
        },
      },
    });
    pair.borrowing = true;
    pair.run();
    expect(pair.error("server")).toBeUndefined();
    expect(pair.connected).toBe(true);
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
