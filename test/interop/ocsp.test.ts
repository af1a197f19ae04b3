/** OCSPRequest and OCSPResponse beside node:tls of the Node that runs this: the same events, whichever end is whose. */
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import tls from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { connect, createServer } from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";

const own = credentials();
const identity = { cert: own.certPem, key: own.keyPem };
const classical = { dangerous: { allowClassical: true } } as const;
type Answer = (callback: (error: Error | null, response?: Buffer | null) => void) => void;

const ends = {
  ours: {
    serve: (options: object) => createServer({ ...identity, ...classical, ...options }),
    // A HelloRetryRequest makes a Node without ML-KEM forget the answer that it was given.
    call: (options: object) => connect({ ...classical, groups: ["x25519"], ...options }),
  },
  theirs: {
    serve: (options: object) => tls.createServer({ ...identity, ...options }),
    call: (options: object) => tls.connect(options),
  },
};

const servers = new Set<Server>();
afterEach(() => {
  for (const server of servers) server.close();
  servers.clear();
});

describe.each([
  ["ours", "theirs"],
  ["theirs", "ours"],
  ["theirs", "theirs"],
  ["ours", "ours"],
] as const)("the server is %s, the client %s", (server, client) => {
  /** Where a server listens that answers so, and what it saw. */
  async function listen(answer?: Answer, options: object = {}) {
    const seen: unknown[] = [];
    const made: Server = ends[server].serve(options);
    servers.add(made);
    made.on("secureConnection", (socket: tls.TLSSocket) => {
      socket.on("error", () => undefined);
      socket.write("x");
    });
    made.on("tlsClientError", (error: Error) => seen.push(error.message));
    if (answer !== undefined) {
      made.on("OCSPRequest", (certificate: Buffer, issuer: Buffer | null, callback) => {
        seen.push([certificate, issuer]);
        answer(callback);
      });
    }
    made.listen(0, "127.0.0.1");
    await once(made, "listening");
    return { port: (made.address() as AddressInfo).port, seen };
  }

  /** What a client tells of, in this order, and the session that it was given. */
  async function call(port: number, options: object = {}) {
    const told: unknown[] = [];
    let session: Buffer | undefined;
    const to = { port, host: "127.0.0.1", servername: "localhost", ca: own.caPem };
    const socket = ends[client].call({ ...to, requestOCSP: true, ...options });
    socket.on("OCSPResponse", (response: Buffer | null) => told.push(response));
    socket.on("secureConnect", () => told.push(socket.isSessionReused() ? "resumed" : "secure"));
    socket.on("session", (given: Buffer) => (session = given));
    socket.on("error", () => told.push("error"));
    // What stands behind the tickets, so that the session is there.
    socket.on("data", () => socket.destroy());
    await new Promise<unknown>((resolve) => socket.on("close", resolve));
    return { told, session };
  }

  const response = Buffer.from("an OCSP response");

  test("the server is told certificate and issuer, and the client the answer, before secureConnect", async () => {
    const { port, seen } = await listen((callback) => setImmediate(callback, null, response), {
      ca: own.caPem,
    });
    expect((await call(port)).told).toEqual([response, "secure"]);
    expect(seen).toEqual([[Buffer.from(own.identity.leaf.der), Buffer.from(own.ca.der)]]);
  });

  test("an issuer that is not known is null", async () => {
    const { port, seen } = await listen((callback) => callback(null, response));
    expect((await call(port)).told).toEqual([response, "secure"]);
    expect(seen).toEqual([[Buffer.from(own.identity.leaf.der), null]]);
  });

  test.each<[string, Answer | undefined]>([
    ["null", (callback) => callback(null, null)],
    ["nothing", (callback) => callback(null)],
    ["no bytes", (callback) => callback(null, Buffer.alloc(0))],
    ["nobody", undefined],
  ])("%s in answer is null to the client", async (_, answer) => {
    const { port } = await listen(answer);
    expect((await call(port)).told).toEqual([null, "secure"]);
  });

  test("an error in answer ends the connection, as tlsClientError", async () => {
    const { port, seen } = await listen((callback) => callback(new Error("responder down")));
    expect((await call(port)).told).toEqual(["error"]);
    expect(seen.slice(1)).toEqual(["responder down"]);
  });

  test("a client that does not ask hears nothing, and its server neither", async () => {
    const { port, seen } = await listen((callback) => callback(null, response));
    expect((await call(port, { requestOCSP: false })).told).toEqual(["secure"]);
    expect(seen).toEqual([]);
  });

  test("a resumed connection brings none", async () => {
    const { port, seen } = await listen((callback) => callback(null, response));
    const { session } = await call(port);
    expect((await call(port, { session })).told).toEqual([null, "resumed"]);
    expect(seen).toHaveLength(1);
  });
});
