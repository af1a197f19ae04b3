import { createHash, createPrivateKey, createPublicKey, createSecretKey } from "node:crypto";
import { once } from "node:events";
import { describe, expect, test, vi } from "vitest";
import type { ConnectOptions, PeerToVerify, ServerOptions } from "../../src/index.ts";
import { checkRawKey, peerTypes, readPublicKeys } from "../../src/node/raw-keys.ts";
import { toPem } from "../../src/pki/pem.ts";
import { credentials } from "../support/credentials.ts";
import { connected, failure, listen, reach } from "../support/sockets.ts";

const own = credentials();
const theirs = credentials("ed25519");
const spkiOf = ({ identity }: typeof own): Uint8Array => identity.leaf.spki;
const publicPem = (of: typeof own): string => toPem("PUBLIC KEY", spkiOf(of));

describe("what is read", () => {
  test("PEM, DER, and public or private KeyObjects", () => {
    const key = createPrivateKey(own.keyPem);
    expect(readPublicKeys([publicPem(own), spkiOf(theirs), key, createPublicKey(key)])).toEqual([
      spkiOf(own),
      spkiOf(theirs),
      spkiOf(own),
      spkiOf(own),
    ]);
  });

  test.each([
    ["a certificate", own.certPem],
    ["nothing", ""],
    ["a number", 5],
    ["no key", null],
    ["a secret key", createSecretKey(Buffer.alloc(32))],
  ])("%s is refused by name", (_, key) => {
    expect(() => readPublicKeys([key as string])).toThrow(
      expect.objectContaining({ option: "rawPublicKeys" }),
    );
  });
});

describe("what a peer may show", () => {
  const rawPublicKeys = publicPem(own);
  const verifyPeer = (): boolean => true;
  test.each([
    ["X.509 where nothing is said", {}, undefined, ["X509"]],
    ["a trusted key alone, where keys are trusted", { rawPublicKeys }, undefined, ["RawPublicKey"]],
    [
      "either, where there are anchors too",
      { rawPublicKeys, ca: own.caPem },
      undefined,
      ["RawPublicKey", "X509"],
    ],
    ["what is said", { rawPublicKeys }, ["X509", "RawPublicKey"], ["X509", "RawPublicKey"]],
    ["any key, where verifyPeer judges it", { verifyPeer }, ["RawPublicKey"], ["RawPublicKey"]],
    [
      "any key, where nobody is to be verified",
      { rejectUnauthorized: false },
      ["RawPublicKey"],
      ["RawPublicKey"],
    ],
  ] as const)("%s", (_, options, given, types) => {
    expect(peerTypes(options, "serverCertificateTypes", given)).toEqual(types);
  });

  test("keys that nobody vouches for, and trusted keys that nobody may show, are refused by name", () => {
    expect(() => peerTypes({}, "clientCertificateTypes", ["RawPublicKey"])).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_MISSING", option: "rawPublicKeys" }),
    );
    expect(() => peerTypes({ rawPublicKeys }, "clientCertificateTypes", ["X509"])).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "clientCertificateTypes" }),
    );
  });

  test("a key has to be among those that are trusted", () => {
    checkRawKey([spkiOf(theirs), spkiOf(own)], spkiOf(own));
    expect(() => checkRawKey([spkiOf(theirs)], spkiOf(own))).toThrow(
      expect.objectContaining({ code: "ERR_CERT_UNTRUSTED" }),
    );
    expect(() => checkRawKey([], spkiOf(own))).toThrow(
      expect.objectContaining({ code: "ERR_CERT_UNTRUSTED" }),
    );
  });
});

// Without the defaults of the two functions, which are certificates.
const raw = { cert: undefined, key: undefined, rawKey: own.keyPem } as unknown as ServerOptions;
const trusting = (options: ConnectOptions): ConnectOptions =>
  ({ ca: undefined, ...options }) as unknown as ConnectOptions;

describe("a connection with raw public keys", () => {
  test("both sides by their keys; what they are told of each other", async () => {
    const { server, port } = await listen({ ...raw, requestCert: true, rawPublicKeys: publicPem(theirs) });
    const accepted = once(server, "secureConnection");
    const socket = await connected(
      reach(port, trusting({ rawPublicKeys: publicPem(own), rawKey: theirs.keyPem })),
    );
    expect(socket.authorized).toBe(true);
    expect(socket.getPeerRawPublicKey()?.export({ type: "spki", format: "der" })).toEqual(
      Buffer.from(spkiOf(own)),
    );
    expect(socket.getPeerCertificate()).toEqual({});
    expect(socket.getPeerX509Certificate()).toBeUndefined();
    expect(socket.getCertificate()).toEqual({});
    const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    expect(socket.security?.authentication.peer.sha256).toBe(digest(spkiOf(own)));
    expect(socket.security?.authentication).toMatchObject({
      authorized: true,
      local: { by: "rawPublicKey", scheme: "ed25519", certificates: 0 },
      peer: { by: "rawPublicKey", scheme: "ecdsa_secp256r1_sha256", certificates: 0 },
    });
    const [peer] = (await accepted) as [typeof socket];
    expect(peer.security?.authentication.peer.by).toBe("rawPublicKey");
    expect(peer.getPeerRawPublicKey()?.asymmetricKeyType).toBe("ed25519");
  });

  test("a server whose key is another is refused, and a client too", async () => {
    const { port } = await listen({ ...raw, requestCert: true, rawPublicKeys: publicPem(theirs) });
    const mistaken = reach(port, trusting({ rawPublicKeys: publicPem(theirs), rawKey: theirs.keyPem }));
    expect(await failure(mistaken)).toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
    const stranger = reach(port, trusting({ rawPublicKeys: publicPem(own), rawKey: own.keyPem }));
    expect(await failure(stranger)).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "unknown_ca" });
  });

  test("a certificate does not do where a key is pinned, not even a valid one", async () => {
    const { port } = await listen();
    const socket = reach(port, trusting({ rawPublicKeys: publicPem(own) }));
    expect(await failure(socket)).toMatchObject({ alert: "unsupported_certificate" });
    const either = await connected(reach(port, { rawPublicKeys: publicPem(own) }));
    expect(either.security?.authentication.peer.by).toBe("certificate");
  });

  test("verifyPeer may judge a key that no list holds: only true will do", async () => {
    const { port } = await listen(raw);
    const asked = (verifyPeer: ConnectOptions["verifyPeer"] & object) =>
      reach(port, trusting({ serverCertificateTypes: ["RawPublicKey"], verifyPeer }));
    const seen = vi.fn<(peer: PeerToVerify) => boolean>(() => true);
    expect((await connected(asked(seen))).authorized).toBe(true);
    expect(seen).toHaveBeenCalledWith(
      expect.objectContaining({ certificateType: "RawPublicKey", chain: [spkiOf(own)], purpose: "server" }),
    );
    for (const verifyPeer of [() => undefined, () => false, async () => undefined, async () => false]) {
      expect(await failure(asked(verifyPeer))).toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
    }
  });

  test("verifyPeer has the last word on a key that a list holds", async () => {
    const { port } = await listen(raw);
    const options = { rawPublicKeys: publicPem(own) };
    expect(
      (await connected(reach(port, trusting({ ...options, verifyPeer: () => undefined })))).authorized,
    ).toBe(true);
    const refused = reach(port, trusting({ ...options, verifyPeer: () => false }));
    expect(await failure(refused)).toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
  });

  test("rejectUnauthorized: false goes on, and says why it should not", async () => {
    const { port } = await listen(raw);
    const options = { rawPublicKeys: publicPem(theirs), rejectUnauthorized: false };
    const socket = await connected(reach(port, trusting(options)));
    expect(socket.authorized).toBe(false);
    expect(socket.authorizationError).toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
    const unasked = { serverCertificateTypes: ["RawPublicKey" as const], rejectUnauthorized: false };
    expect((await connected(reach(port, trusting(unasked)))).authorizationError).toMatchObject({
      code: "ERR_CERT_UNTRUSTED",
    });
  });

  test("a resumed session is judged anew by the keys that are trusted then", async () => {
    const { port } = await listen(raw, (socket) => void socket.resume());
    const first = reach(port, trusting({ rawPublicKeys: publicPem(own) }));
    const [session] = (await once(first, "session")) as [Buffer];
    const again = await connected(reach(port, trusting({ rawPublicKeys: publicPem(own), session })));
    expect(again.security).toMatchObject({ resumed: true, authentication: { peer: { by: "resumption" } } });
    expect(again.getPeerRawPublicKey()?.asymmetricKeyType).toBe("ec");
    const changed = reach(port, trusting({ rawPublicKeys: publicPem(theirs), session }));
    expect(await failure(changed)).toMatchObject({ code: "ERR_CERT_UNTRUSTED" });
  });

  test("a session that a certificate began does not do where a key is pinned, on either side", async () => {
    const { port } = await listen({ rawKey: own.keyPem, ca: own.caPem }, (socket) => void socket.resume());
    const first = reach(port);
    const [session] = (await once(first, "session")) as [Buffer];
    expect((await connected(reach(port, { session }))).security?.resumed).toBe(true);
    const pinned = await connected(reach(port, { rawPublicKeys: publicPem(own), ca: own.caPem, session }));
    expect(pinned.security?.resumed).toBe(true);
    const only = await connected(reach(port, trusting({ rawPublicKeys: publicPem(own), session })));
    expect(only.security).toMatchObject({ resumed: false, authentication: { peer: { by: "rawPublicKey" } } });
  });

  test("no OCSP answer is looked for beside a raw key, for nobody issued it", async () => {
    const { server, port } = await listen(raw);
    const asked = vi.fn();
    server.on("OCSPRequest", asked);
    const socket = reach(port, trusting({ rawPublicKeys: publicPem(own), requestOCSP: true }));
    const [answer] = (await once(socket, "OCSPResponse")) as [Buffer | null];
    expect(answer).toBeNull();
    expect(asked).not.toHaveBeenCalled();
  });

  test("an encrypted raw key needs its passphrase, and is named", async () => {
    const rawKey = createPrivateKey(own.keyPem).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "word",
    });
    const { port } = await listen({ ...raw, rawKey, passphrase: "word" });
    await connected(reach(port, trusting({ rawPublicKeys: publicPem(own) })));
    await expect(listen({ ...raw, rawKey })).rejects.toMatchObject({ option: "rawKey" });
    await expect(listen({ ...raw, rawKey: own.certPem })).rejects.toMatchObject({ option: "rawKey" });
  });
});
