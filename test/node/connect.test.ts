import { once } from "node:events";
import { connect as netConnect, createServer as netServer, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import { connect, createSecureContext, inProcessPair, KeySourceError, UsageError } from "../../src/index.ts";
import type { ConnectOptions, PeerToVerify } from "../../src/index.ts";
import { issueDelegatedCredential } from "../../src/pki/delegated-credential.ts";
import { DELEGATION_USAGE } from "../../src/pki/extensions.ts";
import { toPem } from "../../src/pki/pem.ts";
import { authority, issue } from "../pki/bed.ts";
import { credentials } from "../support/credentials.ts";
import { connected, failure, listen, reach, read } from "../support/sockets.ts";
import { fails, scriptedSource } from "../support/scripted-source.ts";

const own = credentials();
const { caPem: ca } = own;

describe("the ways to call connect", () => {
  test("(port, host, options, listener), (port, options, listener), (port, host) and (options, listener)", async () => {
    const { port } = await listen();
    const options = { ca, servername: "localhost" };
    const calls = [
      (done: () => void) => connect(port, "127.0.0.1", options, done),
      (done: () => void) => connect(port, { ...options, host: "127.0.0.1" }, done),
      (done: () => void) => connect({ ...options, host: "127.0.0.1", port }, done),
    ];
    for (const call of calls) {
      await new Promise<void>((resolve, reject) => {
        const socket = call(() => {
          socket.destroy();
          resolve();
        });
        socket.on("error", reject);
      });
    }
  });

  test("without a place to connect to, or with nonsense, is a UsageError", () => {
    expect(() => connect({})).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_MISSING", option: "port" }),
    );
    expect(() => connect(1, 2 as never)).toThrow(UsageError);
    const { a } = inProcessPair({ a: "sae-a", b: "sae-b" });
    expect(() => connect({ port: 1, qkd: { source: a } })).toThrow(
      expect.objectContaining({ option: "qkd.peer" }),
    );
  });

  test("a wrong option of the channel is thrown at the call", () => {
    expect(() => connect({ port: 1, ca, recordSizeLimit: 1 })).toThrow(
      expect.objectContaining({ option: "recordSizeLimit" }),
    );
    expect(() => connect({ port: 1, ca, session: Buffer.from("x") })).toThrow(
      expect.objectContaining({ option: "session" }),
    );
  });
});

describe("what cannot connect is an error event, never thrown", () => {
  test("nobody listens", async () => {
    const idle = netServer().listen(0, "127.0.0.1");
    await once(idle, "listening");
    const { port } = idle.address() as AddressInfo;
    idle.close();
    await once(idle, "close");
    const socket = reach(port);
    expect(await failure(socket)).toMatchObject({ code: "ECONNREFUSED" });
    expect(socket.destroyed).toBe(true);
  });

  test("a peer that speaks something else", async () => {
    const plain = netServer((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")).listen(
      0,
      "127.0.0.1",
    );
    await once(plain, "listening");
    const socket = reach((plain.address() as AddressInfo).port);
    expect(await failure(socket)).toMatchObject({ code: "ERR_TLS_DECODE" });
    plain.close();
  });

  test("a peer that hangs up during the handshake", async () => {
    const plain = netServer((socket) => void socket.end()).listen(0, "127.0.0.1");
    await once(plain, "listening");
    expect(await failure(reach((plain.address() as AddressInfo).port))).toMatchObject({
      code: "ERR_TLS_TRUNCATED",
    });
    plain.close();
  });

  test("a peer that says nothing: handshakeTimeout", async () => {
    const silent = netServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const socket = reach((silent.address() as AddressInfo).port, { handshakeTimeout: 50 });
    expect(await failure(socket)).toMatchObject({ code: "ERR_TLS_TIMEOUT" });
    silent.close();
  });

  test("an AbortSignal, before, during and after", async () => {
    const { port } = await listen();
    const reason = new Error("changed my mind");
    expect(await failure(reach(port, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const during = new AbortController();
    const socket = reach(port, { signal: during.signal });
    during.abort(reason);
    expect(await failure(socket)).toBe(reason);
    const after = new AbortController();
    const open = await connected(reach(port, { signal: after.signal }));
    after.abort(reason);
    expect(await failure(open)).toBe(reason);
  });
});

/** Finds every host on loopback. */
const loopback: ConnectOptions["lookup"] = (_, __, found) =>
  found(null, [{ address: "127.0.0.1", family: 4 }]);

describe("whom a client trusts", () => {
  const rows: readonly (readonly [string, ConnectOptions, string])[] = [
    ["a server of another name", { servername: "other.test" }, "ERR_CERT_NAME_MISMATCH"],
    [
      'a server of another name although servername is "", as https.Agent has it for addresses',
      { servername: "", host: "other.test", lookup: loopback },
      "ERR_CERT_NAME_MISMATCH",
    ],
    ["a server of an unknown CA", { ca: credentials("ed25519", "stranger").certPem }, "ERR_CERT_UNTRUSTED"],
    [
      "a server that verifyPeer refuses",
      { verifyPeer: () => Promise.reject(new Error("not you")) },
      "ERR_CERT_UNTRUSTED",
    ],
    [
      "a server that verifyPeer refuses at once",
      {
        verifyPeer: () => {
          throw new Error("not you");
        },
      },
      "ERR_CERT_UNTRUSTED",
    ],
    [
      "a server that checkServerIdentity refuses",
      { checkServerIdentity: () => new Error("no") },
      "ERR_CERT_NAME_MISMATCH",
    ],
  ]; // prettier-ignore
  test.each(rows)("refuses %s", async (_, options, code) => {
    const { port, server } = await listen();
    const told = once(server, "tlsClientError");
    const error = await failure(reach(port, options));
    expect(error.code).toBe(code);
    if ("verifyPeer" in options) {
      expect(error.message).toBe("not you");
      expect((await told)[0]).toMatchObject({ alert: "certificate_unknown" });
    }
    expect((await told)[0]).toMatchObject({ code: "ERR_TLS_PEER_ALERT" });
  });

  test.each([null, undefined])(
    "refuses it with rejectUnauthorized: %s as well",
    async (rejectUnauthorized) => {
      const { port } = await listen();
      const options = { servername: "other.test", rejectUnauthorized } as never;
      expect(await failure(reach(port, options))).toMatchObject({ code: "ERR_CERT_NAME_MISMATCH" });
    },
  );

  test('a name is verified in any case: servername, else the host, else localhost; only servername: "" sends none', async () => {
    const asked: (string | undefined)[] = [];
    const { port } = await listen({}, (socket) => {
      asked.push(socket.security?.serverName ?? undefined);
      socket.end();
    });
    const verified: string[] = [];
    const checkServerIdentity = (name: string) => void verified.push(name);
    const over = () => netConnect(port, "127.0.0.1");
    const calls: ConnectOptions[] = [
      { port, host: "example.test", lookup: loopback, servername: "" },
      { port, host: "127.0.0.1" },
      { socket: over() },
      { socket: over(), host: "example.test" },
      { socket: over(), servername: "" },
    ];
    for (const call of calls) {
      const socket = await connected(connect({ ca, checkServerIdentity, ...call }));
      socket.resume();
      await once(socket, "close");
    }
    expect(verified).toEqual(["example.test", "127.0.0.1", "localhost", "example.test", "localhost"]);
    expect(asked).toEqual([undefined, undefined, undefined, "example.test", undefined]);
  });

  test("goes on with rejectUnauthorized: false, and says why it should not", async () => {
    const { port } = await listen();
    const socket = await connected(reach(port, { servername: "other.test", rejectUnauthorized: false }));
    expect(socket.authorized).toBe(false);
    expect(socket.authorizationError).toMatchObject({ code: "ERR_CERT_NAME_MISMATCH" });
    expect(socket.security?.authentication.authorized).toBe(false);
  });

  test("checkServerIdentity replaces the name check; verifyPeer may take its time", async () => {
    const { port } = await listen();
    const seen: unknown[] = [];
    const socket = await connected(
      reach(port, {
        servername: "other.test",
        checkServerIdentity: (name, certificate) => void seen.push(name, certificate.subject.CN),
        verifyPeer: async (peer) => {
          await new Promise((resolve) => void setImmediate(resolve));
          seen.push(peer.purpose, peer.chain.length);
        },
      }),
    );
    expect(socket.authorized).toBe(true);
    expect(seen).toEqual(["other.test", "localhost", "server", 1]);
  });

  test("RFC 6066 §8: requestOCSP brings verifyPeer the server's OCSP answer, where it has one", async () => {
    const ocspResponse = Uint8Array.of(1, 2, 3);
    const stapled = { ...own.identity, ocspResponse };
    const { port } = await listen({ cert: [], key: [], credentials: [stapled] });
    const plain = await listen();
    const seen: (Uint8Array | undefined)[] = [];
    for (const [at, requestOCSP] of [
      [port, true],
      [port, false],
      [plain.port, true],
    ] as const) {
      const verifyPeer = (peer: { readonly ocspResponse?: Uint8Array }): void =>
        void seen.push(peer.ocspResponse);
      await connected(reach(at, { requestOCSP, verifyPeer }));
    }
    expect(seen).toEqual([ocspResponse, undefined, undefined]);
  });

  test("RFC 9345: a server's delegated key is taken by clients that accept one, and is said in verifyPeer and security", async () => {
    const { cert, ca, key, delegatedCredential } = delegation();
    const { port } = await listen({
      delegatedCredentials: [{ cert, key, delegatedCredential }],
    });
    const seen: (Uint8Array | undefined)[] = [];
    const verifyPeer = (peer: PeerToVerify): void => void seen.push(peer.delegatedCredential);
    const trusted = { ca: [own.caPem, ca], verifyPeer };
    const party = async (options: ConnectOptions) =>
      (await connected(reach(port, { ...trusted, ...options }))).security?.authentication.peer;
    expect(await party({ acceptDelegatedCredentials: true })).toMatchObject({
      by: "certificate",
      scheme: "ed25519",
      delegated: true,
    });
    expect(await party({})).not.toHaveProperty("delegated");
    expect(seen).toEqual([delegatedCredential, undefined]);
  });

  test("RFC 6962 §3.3.1: requestSCT brings verifyPeer the timestamps of the other side, on both sides", async () => {
    const signedCertificateTimestampList = [Uint8Array.of(1, 2), Uint8Array.of(3)];
    const stamped = { ...own.identity, signedCertificateTimestampList };
    const seen: [string, readonly Uint8Array[] | undefined][] = [];
    const options = {
      credentials: [stamped],
      verifyPeer: (peer: PeerToVerify): void =>
        void seen.push([peer.purpose, peer.signedCertificateTimestampList]),
    };
    for (const requestSCT of [true, false]) {
      const { server, port } = await listen({
        ...options,
        cert: [],
        key: [],
        ca: own.caPem,
        requestCert: true,
        requestSCT,
      });
      const secured = once(server, "secureConnection");
      await connected(reach(port, { requestSCT, ...options }));
      await secured;
    }
    expect(seen).toEqual([
      ["server", signedCertificateTimestampList],
      ["client", signedCertificateTimestampList],
      ["server", undefined],
      ["client", undefined],
    ]);
  });
});

test("insistsOnCertificate: a client that is asked for a certificate and has none that fits does not go on as nobody", async () => {
  const { port } = await listen({ requestCert: true, rejectUnauthorized: false, ca });
  expect((await connected(reach(port))).security?.authentication.local.by).toBe("none");
  expect(await failure(reach(port, { insistsOnCertificate: true }))).toMatchObject({
    code: "ERR_TLS_NO_COMMON_PARAMETERS",
  });
  const shown = { cert: own.certPem, key: own.keyPem, insistsOnCertificate: true };
  expect((await connected(reach(port, shown))).security?.authentication.local.by).toBe("certificate");
});

test("certificateCallback: what a server is shown is chosen when it asks, connection by connection", async () => {
  const { port } = await listen({ requestCert: true, rejectUnauthorized: false, ca });
  const context = createSecureContext({ cert: own.certPem, key: own.keyPem });
  const by = async (certificateCallback: ConnectOptions["certificateCallback"]) =>
    (await connected(reach(port, certificateCallback === undefined ? {} : { certificateCallback }))).security
      ?.authentication.local.by;
  expect(await by(undefined)).toBe("none");
  expect(await by(async ({ signatureSchemes }) => (signatureSchemes.length > 0 ? context : null))).toBe(
    "certificate",
  );
  expect(await by(() => undefined)).toBe("none");
  const failing = () => {
    throw new Error("no card");
  };
  await expect(failure(reach(port, { certificateCallback: failing }))).resolves.toMatchObject({
    message: "no card",
  });
});

describe("keys that live elsewhere", () => {
  test("an external signer signs for either side, at once or later, each with its own credential", async () => {
    const signer = (kind: "secp256r1" | "ml-dsa-65") => {
      const { identity } = credentials(kind);
      const asked: string[] = [];
      const credential = {
        chain: identity.chain,
        schemes: identity.schemes,
        key: "external" as const,
        sign: async (algorithm: string, message: Uint8Array) => {
          asked.push(algorithm);
          return identity.key.sign(algorithm as never, message);
        },
      };
      return { asked, credential };
    };
    const [first, second, ofClient] = [signer("ml-dsa-65"), signer("secp256r1"), signer("secp256r1")];
    const { port, server } = await listen({
      cert: undefined,
      key: undefined,
      credentials: [first.credential, second.credential],
      requestCert: true,
      ca,
    } as never);
    const secure = once(server, "secureConnection");
    const socket = await connected(
      reach(port, { credentials: [ofClient.credential], signatureSchemes: ["ecdsa_secp256r1_sha256"] }),
    );
    expect(socket.authorized).toBe(true);
    await secure;
    expect([first.asked, second.asked, ofClient.asked]).toEqual([[], ["ecdsa-sha256"], ["ecdsa-sha256"]]);
  });

  test("a signer that fails ends the connection with its own error", async () => {
    const { identity } = own;
    const credential = {
      ...identity,
      key: "external" as const,
      sign: () => Promise.reject(new Error("HSM locked")),
    };
    const { port, server } = await listen({
      cert: undefined,
      key: undefined,
      credentials: [credential],
    } as never);
    const failed = once(server, "tlsClientError");
    expect(await failure(reach(port))).toMatchObject({ alert: "internal_error" });
    expect((await failed)[0]).toMatchObject({ message: "HSM locked" });
  });
});

describe("pre-shared keys", () => {
  const psk = Buffer.alloc(32, 7);

  test("pskCallback on both sides, without any certificate", async () => {
    const asked: string[] = [];
    const { port } = await listen(
      {
        cert: undefined,
        key: undefined,
        pskCallback: async (_: unknown, identity: string) => {
          asked.push(identity);
          return identity === "client-7" ? psk : null;
        },
      } as never,
      (socket) => socket.end("in"),
    );
    const pskCallback = () => ({ psk, identity: "client-7" });
    const socket = connect({ port, host: "127.0.0.1", pskCallback });
    expect((await read(socket)).toString()).toBe("in");
    expect(socket.security?.authentication.peer).toMatchObject({ by: "psk", pskIdentity: "client-7" });
    expect(asked).toEqual(["client-7"]);
    const stranger = reach(port, {
      ca: undefined,
      pskCallback: () => ({ psk, identity: "client-8" }),
    } as never);
    expect(await failure(stranger)).toMatchObject({ alert: "handshake_failure" });
  });

  test("a callback that gives a short key fails closed", async () => {
    const { port, server } = await listen({
      cert: undefined,
      key: undefined,
      pskCallback: () => Buffer.alloc(3),
    } as never);
    const failed = once(server, "tlsClientError");
    await failure(reach(port, { ca: undefined, psk: { identity: "x", key: psk } } as never));
    expect((await failed)[0]).toMatchObject({ code: "ERR_OPTION_INVALID", option: "pskCallback" });
  });
});

describe("a client's key source", () => {
  test.each([
    ["ERR_QKD_UNREACHABLE", "degraded"],
    ["ERR_QKD_TIMEOUT", "degraded"],
    ["ERR_QKD_EMPTY", "degraded"],
    ["ERR_QKD_KEY_SIZE", "degraded"],
    ["ERR_QKD_MALFORMED", "degraded"],
    ["ERR_QKD_UNAUTHORIZED", "degraded"],
    ["ERR_QKD_UNTRUSTED", "refused"],
  ] as const)("%s: hybrid refuses, prefer-hybrid is %s", async (code, outcome) => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { port } = await listen({ qkd: { source: link.b }, policy: "prefer-hybrid" });
    const failing = scriptedSource();
    failing.script = fails(code);
    const strict = await failure(reach(port, { qkd: { source: failing, peer: "sae-b" } }));
    expect(strict).toMatchObject(
      outcome === "refused" ? { code } : { code: "ERR_POLICY_QKD_REQUIRED", missing: "qkd", cause: { code } },
    );
    const lenient = scriptedSource();
    lenient.script = fails(code);
    const socket = reach(port, { qkd: { source: lenient, peer: "sae-b" }, policy: "prefer-hybrid" });
    if (outcome === "refused") {
      expect(await failure(socket)).toMatchObject({ code });
      return;
    }
    const degraded: unknown[] = [];
    socket.on("degraded", (reasons) => degraded.push(reasons));
    await connected(socket);
    expect(degraded).toMatchObject([[{ missing: "qkd", code }]]);
    expect(socket.security?.degraded).toMatchObject([{ missing: "qkd", code }]);
    expect(failing.asked.length).toBe(1);
  });

  test("that never answers is given up after timeoutMs", async () => {
    const { port } = await listen();
    const silent = scriptedSource();
    silent.script = () => new Promise(() => undefined);
    const socket = reach(port, { qkd: { source: silent, peer: "sae-b", timeoutMs: 30 } });
    expect(await failure(socket)).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
      cause: { code: "ERR_QKD_TIMEOUT" },
    });
  });

  test("that throws something of its own is a missing key as well", async () => {
    const { port } = await listen();
    const odd = scriptedSource();
    odd.script = () => {
      throw new TypeError("a bug in the source");
    };
    expect(await failure(reach(port, { qkd: { source: odd, peer: "sae-b" } }))).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
    });
    expect(new KeySourceError("ERR_QKD_UNTRUSTED", "x").fatal).toBe(true);
  });

  test("a simulated key is refused in production, on either side", async () => {
    const link = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { port, server } = await listen({ qkd: { source: link.b } });
    const client = { source: link.a, peer: "sae-b" };
    expect(await failure(reach(port, { qkd: client, production: true }))).toMatchObject({
      code: "ERR_POLICY_SIMULATED_KEY",
    });
    const strict = await listen({ qkd: { source: link.b }, production: true });
    const refused = once(strict.server, "tlsClientError");
    expect(await failure(reach(strict.port, { qkd: client }))).toMatchObject({
      alert: "insufficient_security",
    });
    expect((await refused)[0]).toMatchObject({ code: "ERR_POLICY_SIMULATED_KEY", missing: "qkd" });
    expect(server.listening).toBe(true);
  });
});

/** A certificate that may delegate, in PEM, and a key that it delegated to for an hour. */
function delegation() {
  const period = { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() + 3_600_000 };
  const root = authority(period);
  const leaf = issue(root, {
    ...period,
    dnsNames: ["localhost"],
    extensions: [{ oid: DELEGATION_USAGE, critical: false, value: Uint8Array.of(5, 0) }],
  });
  const { spki, pkcs8 } = generateKeyPair("ed25519");
  const delegatedCredential = issueDelegatedCredential({
    signer: "server",
    leaf: leaf.certificate,
    signingKey: leaf.key,
    algorithm: "ecdsa_secp256r1_sha256",
    spki,
    scheme: "ed25519",
    notAfterMs: period.notAfterMs,
  });
  return {
    cert: toPem("CERTIFICATE", leaf.certificate.der),
    ca: toPem("CERTIFICATE", root.certificate.der),
    key: toPem("PRIVATE KEY", pkcs8),
    delegatedCredential,
  };
}
