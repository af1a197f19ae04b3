import { getEventListeners, once } from "node:events";
import { connect as netConnect, type AddressInfo, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { connect, createSecureContext, createServer, inProcessPair, UsageError } from "../../src/index.ts";
import type { QkdTlsSocket, TicketStore } from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";
import { connected, failure, listen, reach, read } from "../support/sockets.ts";
import { fails, scriptedSource } from "../support/scripted-source.ts";

const own = credentials();

/** Sends these bytes to a port and waits until the server has ended the connection. */
async function poke(port: number, bytes: Uint8Array | string): Promise<Buffer> {
  const socket = netConnect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  socket.write(bytes);
  await once(socket, "close");
  return Buffer.concat(chunks);
}

describe("the server's events", () => {
  test("secureConnection brings each socket whose handshake is done, and nothing before", async () => {
    const { server, port } = await listen();
    const order: string[] = [];
    for (const event of ["connection", "secureConnection", "tlsClientError"])
      server.on(event, () => order.push(event));
    const secure = once(server, "secureConnection") as Promise<[QkdTlsSocket]>;
    const client = await connected(reach(port));
    const [socket] = await secure;
    expect(order).toEqual(["connection", "secureConnection"]);
    expect(socket.security?.role).toBe("server");
    expect(socket.getFinished()).toEqual(client.getPeerFinished());
    expect(socket.getPeerFinished()).toEqual(client.getFinished());
  });

  test("tlsClientError brings a handshake that failed, once, and the server goes on", async () => {
    const { server, port } = await listen({}, (socket) => socket.end("fine"));
    const errors: { code?: string }[] = [];
    server.on("tlsClientError", (error) => errors.push(error));
    const good = reach(port);
    const answer = await poke(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    // A fatal alert in the clear: decode_error.
    expect([...answer]).toEqual([21, 3, 3, 0, 2, 2, 50]);
    expect((await read(good)).toString()).toBe("fine");
    expect((await read(reach(port))).toString()).toBe("fine");
    expect(errors).toMatchObject([{ code: "ERR_TLS_DECODE" }]);
  });

  test("a client that leaves during the handshake, or never begins one, is a tlsClientError", async () => {
    const patient = await listen();
    const left = once(patient.server, "tlsClientError");
    const leaving = netConnect(patient.port, "127.0.0.1", () => leaving.end(Buffer.of(22, 3, 1)));
    leaving.on("error", () => undefined);
    expect((await left)[0]).toMatchObject({ code: "ERR_TLS_TRUNCATED" });
    const hasty = await listen({ handshakeTimeout: 60 });
    const late = once(hasty.server, "tlsClientError");
    const idle = netConnect(hasty.port, "127.0.0.1");
    idle.on("error", () => undefined);
    const told = once(idle, "data") as Promise<[Buffer]>;
    expect((await late)[0]).toMatchObject({ code: "ERR_TLS_TIMEOUT" });
    // Nobody canceled anything, which close_notify would have to follow (§6.1): general_error.
    expect([...(await told)[0]]).toEqual([21, 3, 3, 0, 2, 2, 117]);
    idle.destroy();
  });

  test("keylog brings lines only while somebody listens, with the socket they belong to", async () => {
    const { server, port } = await listen();
    await connected(reach(port));
    const lines: string[] = [];
    server.on("keylog", (line: Buffer, socket: QkdTlsSocket) => {
      expect(socket.encrypted).toBe(true);
      lines.push(line.toString());
    });
    const client = reach(port);
    const ofClient: string[] = [];
    client.on("keylog", (line: Buffer) => ofClient.push(line.toString()));
    const secure = once(server, "secureConnection");
    await connected(client);
    await secure;
    expect(lines.map((line) => line.split(" ")[0])).toEqual([
      "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
      "SERVER_HANDSHAKE_TRAFFIC_SECRET",
      "CLIENT_TRAFFIC_SECRET_0",
      "SERVER_TRAFFIC_SECRET_0",
      "EXPORTER_SECRET",
    ]);
    expect(lines.every((line) => line.endsWith("\n"))).toBe(true);
    expect(ofClient).toEqual(lines);
  });

  test("an AbortSignal closes it, and close waits for nobody's handshake", async () => {
    const stop = new AbortController();
    const { server } = await listen({ signal: stop.signal });
    stop.abort();
    await once(server, "close");
    expect(server.listening).toBe(false);
  });

  test("a signal that was aborted before closes it too, and a server that closed has left its signal", async () => {
    const server = createServer({ cert: own.certPem, key: own.keyPem, signal: AbortSignal.abort() });
    server.listen(0, "127.0.0.1");
    await once(server, "close");
    const stop = new AbortController();
    const { server: other } = await listen({ signal: stop.signal });
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
    other.close();
    await once(other, "close");
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  });

  test("options that are wrong are thrown by createServer", () => {
    expect(() => createServer({})).toThrow(expect.objectContaining({ option: "cert" }));
    const given = { cert: own.certPem, key: own.keyPem };
    for (const [option, value] of [
      ["ticketKeys", Buffer.alloc(47)],
      ["sessionTimeout", 604_801],
      ["tickets", 17],
      ["demandsCookie", "x"],
      ["honorCipherOrder", "x"],
    ] as const) {
      expect(() => createServer({ ...given, [option]: value }), option).toThrow(UsageError);
    }
  });
});

describe("who the server is", () => {
  const contextOf = (kind: "secp384r1" | "ed25519") =>
    createSecureContext({ cert: credentials(kind).certPem, key: credentials(kind).keyPem });

  test("SNICallback chooses by name, at once or later, or leaves the choice", async () => {
    const { port } = await listen({
      SNICallback: (name, done) => {
        if (name === "example.test") setImmediate(() => done(null, contextOf("secp384r1")));
        else done(null);
      },
    });
    const shown = async (servername: string) =>
      (await connected(reach(port, { servername }))).security?.authentication.peer.scheme;
    expect(await shown("example.test")).toBe("ecdsa_secp384r1_sha384");
    expect(await shown("localhost")).toBe("ecdsa_secp256r1_sha256");
  });

  test("all certificates of the chosen context are candidates", async () => {
    const [rsa, ed] = [credentials("rsa"), credentials("ed25519")];
    const both = createSecureContext({ cert: [rsa.certPem, ed.certPem], key: [rsa.keyPem, ed.keyPem] });
    const { port } = await listen({ SNICallback: (_, done) => done(null, both) });
    const socket = await connected(reach(port, { signatureSchemes: ["ed25519", "ecdsa_secp256r1_sha256"] }));
    expect(socket.security?.authentication.peer.scheme).toBe("ed25519");
  });

  test("a name that SNICallback refuses is unrecognized_name", async () => {
    const { port } = await listen({ SNICallback: (_, done) => done(new Error("nobody here")) });
    expect(await failure(reach(port))).toMatchObject({
      code: "ERR_TLS_PEER_ALERT",
      alert: "unrecognized_name",
    });
  });

  test("an SNICallback that throws costs that connection only", async () => {
    let calls = 0;
    const { port } = await listen({
      SNICallback: (_, done) => {
        if (calls++ === 0) throw new Error("a bug");
        done(null);
      },
    });
    expect(await failure(reach(port))).toMatchObject({ alert: "internal_error" });
    await connected(reach(port));
  });

  test("addContext serves a name, a wildcard one label deep, and others as before", async () => {
    const { port, server } = await listen();
    const { certPem, keyPem } = credentials("secp384r1");
    server.addContext("*.example.test", contextOf("ed25519"));
    server.addContext("Example.Test", { cert: certPem, key: keyPem });
    const shown = async (servername: string) => {
      const socket = await connected(reach(port, { servername, rejectUnauthorized: false }));
      return socket.security?.authentication.peer.scheme;
    };
    expect(await shown("example.test")).toBe("ecdsa_secp384r1_sha384");
    expect(await shown("a.example.test")).toBe("ed25519");
    expect(await shown("a.b.example.test")).toBe("ecdsa_secp256r1_sha256");
    expect(await shown("localhost")).toBe("ecdsa_secp256r1_sha256");
  });

  test("setSecureContext changes the certificate of new connections; what is wrong changes nothing", async () => {
    const { port, server } = await listen({ ALPNProtocols: ["kept"] });
    const open = await connected(reach(port));
    const { certPem, keyPem } = credentials("ed25519");
    server.setSecureContext({ cert: certPem, key: keyPem });
    const socket = await connected(reach(port, { ALPNProtocols: ["kept"] }));
    expect(socket.security?.authentication.peer.scheme).toBe("ed25519");
    expect(socket.alpnProtocol).toBe("kept");
    expect(open.destroyed).toBe(false);
    for (const [options, option] of [
      [{ cert: certPem, key: own.keyPem }, "key"],
      [{ recordSizeLimit: 1 }, "recordSizeLimit"],
      [{ pfx: "x" }, "pfx"],
      [{ qkd: { source: scriptedSource() } }, "qkd"],
    ] as const) {
      expect(() => server.setSecureContext(options as object)).toThrow(expect.objectContaining({ option }));
    }
    const after = await connected(reach(port));
    expect(after.security?.authentication.peer.scheme).toBe("ed25519");
  });

  test("getTicketKeys is refused, since ticket keys are never given out", async () => {
    const { server } = await listen();
    expect(() => server.getTicketKeys()).toThrow(expect.objectContaining({ code: "ERR_OPTION_UNSUPPORTED" }));
  });

  test("a secureContext serves many servers; options beside it that it holds itself are refused by name", async () => {
    const secureContext = contextOf("ed25519");
    const { port } = await listen({ secureContext, cert: undefined, key: undefined } as never);
    expect((await connected(reach(port))).security?.authentication.peer.scheme).toBe("ed25519");
    expect(() => createServer({ secureContext, rejectUnauthorized: false })).toThrow(
      expect.objectContaining({ option: "rejectUnauthorized" }),
    );
    expect(() => connect({ port, secureContext, policy: "qkd" })).toThrow(
      expect.objectContaining({ option: "policy" }),
    );
  });

  test("requestCert asks, rejectUnauthorized decides what comes of it", async () => {
    const { certPem: cert, keyPem: key, caPem: ca } = own;
    const strict = await listen({ requestCert: true, ca });
    const refused = once(strict.server, "tlsClientError");
    const nobody = reach(strict.port);
    expect(await failure(nobody)).toMatchObject({ alert: "certificate_required" });
    expect((await refused)[0]).toMatchObject({ code: "ERR_CERT_REQUIRED" });
    const known = once(strict.server, "secureConnection") as Promise<[QkdTlsSocket]>;
    await connected(reach(strict.port, { cert, key }));
    const [socket] = await known;
    expect([socket.authorized, socket.getPeerCertificate().subject?.CN]).toEqual([true, "localhost"]);
    const lax = await listen({ requestCert: true, ca, rejectUnauthorized: false });
    const unknown = once(lax.server, "secureConnection") as Promise<[QkdTlsSocket]>;
    await connected(reach(lax.port));
    expect((await unknown)[0]).toMatchObject({ authorized: false });
  });
});

/** Connects, waits for the ticket behind the first data, and gives the session with what was seen. */
async function visit(port: number, session?: Buffer): Promise<{ session: Buffer; reused: boolean }> {
  const socket = reach(port, session === undefined ? {} : { session });
  const given = once(socket, "session") as Promise<[Buffer]>;
  await connected(socket);
  const reused = socket.isSessionReused();
  const [fresh] = await given;
  expect(socket.getSession()).toBeDefined();
  expect(socket.getTLSTicket()?.length).toBeGreaterThan(0);
  socket.destroy();
  return { session: fresh, reused };
}

describe("sessions", () => {
  test("a session from the session event resumes, and resumes again", async () => {
    const { port } = await listen();
    const first = await visit(port);
    expect(first.reused).toBe(false);
    const second = await visit(port, first.session);
    expect(second.reused).toBe(true);
    expect((await visit(port, second.session)).reused).toBe(true);
  });

  test("servers with the same ticketKeys take each other's tickets; setTicketKeys moves on", async () => {
    const ticketKeys = Buffer.alloc(48, 1);
    const [one, two] = [await listen({ ticketKeys }), await listen({ ticketKeys })];
    const { session } = await visit(one.port);
    expect((await visit(two.port, session)).reused).toBe(true);
    two.server.setTicketKeys(Buffer.alloc(48, 2));
    // The keys before are still good for what they sealed, the ones before those are not.
    expect((await visit(two.port, session)).reused).toBe(true);
    two.server.setTicketKeys(Buffer.alloc(48, 3));
    expect((await visit(two.port, session)).reused).toBe(false);
    expect(() => two.server.setTicketKeys(Buffer.alloc(5))).toThrow(UsageError);
  });

  test("another server's tickets mean a full handshake", async () => {
    const [one, two] = [await listen(), await listen()];
    const { session } = await visit(one.port);
    expect((await visit(two.port, session)).reused).toBe(false);
  });

  test.each([false, 0] as const)("tickets: %s gives none", async (tickets) => {
    const { port, server } = await listen({ tickets }, (socket) => socket.end("bye"));
    const socket = reach(port);
    let sessions = 0;
    socket.on("session", () => sessions++);
    await read(socket);
    expect(sessions).toBe(0);
    expect(() => server.setTicketKeys(Buffer.alloc(48))).toThrow(
      expect.objectContaining({ code: "ERR_STATE" }),
    );
  });

  test("a session is resumed only while both ends still trust the certificates that began it", async () => {
    const { certPem: cert, keyPem: key, caPem: ca } = own;
    const other = credentials("ed25519", "stranger").certPem;
    const ticketKeys = Buffer.alloc(48, 2);
    const { port } = await listen({ requestCert: true, ca, ticketKeys });
    const first = reach(port, { cert, key });
    const [session] = (await once(first, "session")) as [Buffer];
    expect((await connected(reach(port, { cert, key, session }))).isSessionReused()).toBe(true);
    expect(await failure(reach(port, { cert, key, session, ca: other }))).toMatchObject({
      code: "ERR_CERT_UNTRUSTED",
    });
    const refusing = { verifyPeer: () => false as never };
    expect(await failure(reach(port, { cert, key, session, ...refusing }))).toMatchObject({
      code: "ERR_CERT_UNTRUSTED",
    });
    const changed = await listen({ requestCert: true, ca: other, ticketKeys });
    const refused = once(changed.server, "tlsClientError");
    await failure(reach(changed.port, { cert, key, session }));
    expect((await refused)[0]).toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
  });

  test("a ticketStore keeps them instead; one that fails to keep costs no connection", async () => {
    const kept = new Map<string, Uint8Array>();
    const lifetimes: number[] = [];
    const ticketStore: TicketStore = {
      get: async (ticket) => kept.get(Buffer.from(ticket).toString("hex")),
      set: async (ticket, state, lifetimeSeconds) => {
        lifetimes.push(lifetimeSeconds);
        kept.set(Buffer.from(ticket).toString("hex"), state);
      },
    };
    const { port } = await listen({ ticketStore, sessionTimeout: 600 });
    const { session } = await visit(port);
    expect(lifetimes).toEqual([600, 600]);
    expect((await visit(port, session)).reused).toBe(true);
    kept.clear();
    expect((await visit(port, session)).reused).toBe(false);
    const broken = await listen({
      ticketStore: {
        get: () => undefined,
        set: () => {
          throw new Error("disk full");
        },
      },
    }); // prettier-ignore
    expect((await visit(broken.port)).reused).toBe(false);
    const later = await listen({
      ticketStore: { get: () => undefined, set: () => Promise.reject(new Error("disk full")) },
    });
    expect((await visit(later.port)).reused).toBe(false);
  });
});

describe("a server's key source", () => {
  test.each([
    ["ERR_QKD_UNREACHABLE", "internal_error"],
    ["ERR_QKD_TIMEOUT", "internal_error"],
    ["ERR_QKD_UNKNOWN_KEY", "unknown_psk_identity"],
    ["ERR_QKD_KEY_USED", "unknown_psk_identity"],
    ["ERR_QKD_KEY_SIZE", "internal_error"],
    ["ERR_QKD_MALFORMED", "internal_error"],
    ["ERR_QKD_UNAUTHORIZED", "internal_error"],
    ["ERR_QKD_UNTRUSTED", "internal_error"],
  ] as const)(
    "%s: hybrid refuses with %s, prefer-hybrid goes on unless it is about trust",
    async (code, alert) => {
      const link = inProcessPair({ a: "sae-a", b: "sae-b" });
      const failing = scriptedSource();
      failing.script = fails(code);
      const strict = await listen({ qkd: { source: failing, sae: "sae-b" } });
      const refused = once(strict.server, "tlsClientError");
      const client = { source: link.a, peer: "sae-b" };
      expect(await failure(reach(strict.port, { qkd: client }))).toMatchObject({ alert });
      expect((await refused)[0]).toMatchObject(
        code === "ERR_QKD_UNTRUSTED"
          ? { code }
          : { code: "ERR_POLICY_QKD_REQUIRED", missing: "qkd", cause: { code } },
      );
      const lenient = scriptedSource();
      lenient.script = fails(code);
      const soft = await listen({ qkd: { source: lenient, sae: "sae-b" }, policy: "prefer-hybrid" });
      const socket = reach(soft.port, { qkd: client, policy: "prefer-hybrid" });
      if (code === "ERR_QKD_UNTRUSTED") {
        expect(await failure(socket)).toMatchObject({ alert });
        return;
      }
      await connected(socket);
      expect(socket.security?.degraded).toMatchObject([{ missing: "qkd" }]);
    },
  );

  test("a degraded connection is an event of the server before it is one of its connections", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const seen: unknown[] = [];
    const soft = await listen({ qkd: { source: link.b }, policy: "prefer-hybrid" }, () =>
      seen.push("secureConnection"),
    );
    soft.server.once("degraded", (degraded: unknown, socket: QkdTlsSocket) => {
      seen.push(degraded);
      expect(socket.security?.degraded).toEqual(degraded);
    });
    const secure = once(soft.server, "secureConnection");
    reach(soft.port);
    await secure;
    expect(seen).toMatchObject([[{ missing: "qkd" }], "secureConnection"]);
    soft.server.once("degraded", (_: unknown, socket: QkdTlsSocket) => socket.destroy());
    const left = once(soft.server, "tlsClientError");
    await failure(reach(soft.port));
    await left;
    expect(seen).toHaveLength(2);
  });

  test("an initiator that is not on the allow-list costs no look-up", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const source = scriptedSource();
    const { port, server } = await listen({ qkd: { source, sae: "sae-b", allow: ["sae-z"] } });
    const refused = once(server, "tlsClientError");
    await failure(reach(port, { qkd: { source: link.a, peer: "sae-b" } }));
    expect((await refused)[0]).toMatchObject({ cause: { code: "ERR_QKD_REFUSED" } });
    expect(source.asked).toEqual([]);
    expect(server.redeemer?.counters.refused).toBe(1);
  });

  test("a replayed ClientHello is refused, burns no second key, and disturbs nobody", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { port, server } = await listen({ qkd: { source: link.b } }, (socket) => socket.pipe(socket));
    // A relay that writes down what the client says first.
    const first: Buffer[] = [];
    const transport: Socket = netConnect(port, "127.0.0.1");
    const write = transport.write.bind(transport);
    transport.write = (chunk: Uint8Array, ...rest: never[]) => {
      first.push(Buffer.from(chunk));
      return write(chunk, ...rest);
    };
    await once(transport, "connect");
    const open = reach(port, { socket: transport, qkd: { source: link.a, peer: "sae-b" } });
    await connected(open);
    const { lookups } = server.redeemer!.counters;
    const replayed = once(server, "tlsClientError");
    const answer = await poke(port, first[0]!);
    expect((await replayed)[0]).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
      cause: { code: "ERR_QKD_KEY_USED" },
    });
    expect(answer[0]).toBe(21);
    expect(server.redeemer!.counters.lookups).toBe(lookups);
    open.end("still here");
    expect((await read(open)).toString()).toBe("still here");
  });

  test("a server that was closed and listens again takes QKD keys as before", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { server } = await listen({ qkd: { source: link.b } });
    server.close();
    await once(server, "close");
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = await connected(reach(port, { qkd: { source: link.a, peer: "sae-b" } }));
    expect(socket.security?.qkd).toMatchObject({ initiator: "sae-a" });
  });

  test("many clients at once each get a key of their own", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { port, server } = await listen({ qkd: { source: link.b } });
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () => connected(reach(port, { qkd: { source: link.a, peer: "sae-b" } }))),
    );
    expect(new Set(sockets.map(({ security }) => security?.qkd?.keyId)).size).toBe(20);
    expect(server.redeemer?.counters).toMatchObject({ lookups: 20, failed: 0 });
  });
});
