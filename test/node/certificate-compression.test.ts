import { once } from "node:events";
import * as zlib from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { compressorsNamed } from "../../src/node/certificate-compression.ts";
import { concat, utf8 } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { certificateMessage } from "../../src/handshake/authenticate.ts";
import type { CertificateCompressor } from "../../src/handshake/settings.ts";
import { credentials } from "../support/credentials.ts";
import { connected, listen, reach } from "../support/sockets.ts";

const hasZstd = "zstdCompressSync" in zlib;
const NAMES = ["zlib", "brotli", ...(hasZstd ? ["zstd"] : [])];
if (!hasZstd) console.info("not tried: zstd, which node:zlib of this Node lacks");

const certificate = certificateMessage(credentials().identity.chain).subarray(4);
const [KIB, MIB] = [1024, 1024 * 1024];

describe.each(NAMES)("RFC 8879: %s", (name) => {
  const [compressor] = compressorsNamed([name]);
  const compress = (bytes: Uint8Array): Uint8Array => compressor!.compress!(bytes)!;
  const decompress = (bytes: Uint8Array, length: number): Uint8Array =>
    compressor!.decompress!(bytes, length);

  test("has its number of §7.3", () => {
    expect(compressor?.algorithm).toBe({ zlib: 1, brotli: 2, zstd: 3 }[name]);
  });

  test("makes less of a certificate, and the same again of that", () => {
    const compressed = compress(certificate);
    expect(compressed.length).toBeLessThan(certificate.length);
    expect(new Uint8Array(decompress(compressed, certificate.length))).toEqual(certificate);
  });

  test("leaves alone what it would only make longer", () => {
    const noise = crypto.getRandomValues(new Uint8Array(KIB));
    expect(compressor!.compress!(noise)).toBeUndefined();
  });

  test("§5: stops at the length that was announced, whatever would come out", () => {
    const bomb = compress(new Uint8Array(8 * MIB));
    expect(bomb.length).toBeLessThan(128 * KIB);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decompress(bomb, 10 * KIB)).toThrow(
      expect.objectContaining({ code: "ERR_BUFFER_TOO_LARGE" }),
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
    expect(() => decompress(compress(certificate), certificate.length - 1)).toThrow(/./);
    expect(() => decompress(compress(certificate), 0)).toThrow(/./);
  });

  test.each([
    ["nothing", new Uint8Array(0)],
    ["noise", utf8("this was never compressed")],
    ["one that ends early", compress(certificate).subarray(0, -1)],
    ["one with more behind it", concat([compress(certificate), Uint8Array.of(0)])],
  ])("throws at %s", (_, bytes) => {
    expect(() => decompress(bytes, certificate.length)).toThrow(/./);
  });
});

test.skipIf(!hasZstd)("zstd: a window that needs more than 8 MiB of memory is refused", () => {
  const [zstd] = compressorsNamed(["zstd"]);
  const { zstdCompressSync, constants } = zlib as unknown as {
    readonly zstdCompressSync: (bytes: Uint8Array, options: object) => Uint8Array;
    constants: Record<"ZSTD_c_windowLog" | "ZSTD_c_contentSizeFlag", number>;
  };
  const params = { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 };
  const greedy = zstdCompressSync(new Uint8Array(16 * MIB), { params });
  expect(() => zstd!.decompress!(greedy, 16 * MIB)).toThrow(/./);
});

test("between two ends of ours, on every connection, and each chain is compressed once", async () => {
  const [brotli] = compressorsNamed(["brotli"]) as [Required<CertificateCompressor>];
  const spies = [vi.spyOn(brotli, "compress"), vi.spyOn(brotli, "decompress")];
  const { certPem: cert, keyPem: key, caPem: ca } = credentials("secp256r1", "nobody else's");
  const identity = { cert, key, ca, certificateCompression: ["brotli"] } as const;
  try {
    const { server, port } = await listen({ ...identity, requestCert: true });
    for (let n = 0; n < 3; n++) {
      const secured = once(server, "secureConnection");
      const socket = await connected(reach(port, identity));
      await secured;
      expect(socket.security?.authentication).toMatchObject({
        authorized: true,
        local: { by: "certificate" },
      });
    }
    // Both ends show the same chain, of one context.
    expect(spies.map(({ mock }) => mock.calls.length)).toEqual([1, 6]);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
});

describe("names", () => {
  const refusal = (names: unknown): UsageError => {
    try {
      compressorsNamed(names as string[]);
    } catch (error) {
      if (error instanceof UsageError) return error;
    }
    throw new Error("it was accepted");
  };

  test("are refused that are none, and lists that are no list", () => {
    for (const names of ["zlib", 5, ["gzip"], ["ZLIB"], [1], ["toString"]]) {
      expect(refusal(names)).toMatchObject({
        code: "ERR_OPTION_INVALID",
        option: "certificateCompression",
      });
    }
  });

  test.skipIf(hasZstd)("are refused of what this Node has not", () => {
    expect(refusal(["zstd"])).toMatchObject({
      code: "ERR_OPTION_UNSUPPORTED",
      option: "certificateCompression",
    });
  });
});
