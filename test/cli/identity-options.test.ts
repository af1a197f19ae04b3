import { createPublicKey } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/protocol/errors.ts";
import { client, file, server } from "../support/command-line.ts";

test("certificates, each with its key", () => {
  const read = server(
    "--cert",
    file("server.crt"),
    "--key",
    file("server.key"),
    "--cert3",
    file("sae-a.crt"),
    "--key3",
    file("sae-a.key"),
  );
  expect(read.cert).toEqual([readFileSync(file("server.crt")), readFileSync(file("sae-a.crt"))]);
  expect(read.key).toEqual([readFileSync(file("server.key")), readFileSync(file("sae-a.key"))]);
});

test("raw public keys: ours, and those of peers", () => {
  const key = file("server.key");
  const publicKey = file("server.pub");
  writeFileSync(publicKey, createPublicKey(readFileSync(key)).export({ type: "spki", format: "pem" }));
  const words = ["--raw-key", key, "--peer-key", publicKey, "--peer-key", publicKey];
  const read = {
    rawKey: readFileSync(key),
    rawPublicKeys: [readFileSync(publicKey), readFileSync(publicKey)],
  };
  expect(client(...words)).toMatchObject(read);
  expect(server(...words, "--require-cert")).toMatchObject({ ...read, requestCert: true });
  expect(client(...words)).not.toHaveProperty("cert");
});

describe("--ocsp-response", () => {
  const pair = () => ["--cert", file("server.crt"), "--key", file("server.key")];
  const response = () => {
    const path = file("response.der");
    writeFileSync(path, Uint8Array.of(0x30, 3, 0x0a, 1, 0));
    return path;
  };

  test("goes with the one certificate", () => {
    expect(server(...pair(), "--ocsp-response", response()).ocspResponse).toEqual(
      Buffer.of(0x30, 3, 0x0a, 1, 0),
    );
  });

  test("without a certificate, or with several, or no DER, is refused by name", () => {
    const refusal = (...words: string[]): string => {
      try {
        server(...words);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        return (error as UsageError).option ?? "";
      }
      throw new Error("it was accepted");
    };
    const second = ["--cert2", file("sae-a.crt"), "--key2", file("sae-a.key")];
    expect(refusal("--ocsp-response", response())).toBe("--cert");
    expect(refusal(...pair(), ...second, "--ocsp-response", response())).toBe("--cert");
    expect(refusal(...pair(), "--ocsp-response", file("server.crt"))).toBe("--ocsp-response");
    expect(refusal(...pair(), "--ocsp-response", file("absent.der"))).toBe("--ocsp-response");
  });
});
