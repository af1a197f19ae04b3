import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { ServerOptions } from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";
import { connected, failure, listen, reach } from "../support/sockets.ts";

const stapled = Uint8Array.of(1, 2, 3);
type Callback = (error: Error | null, response?: unknown) => void;

/** A server with these options and this listener of OCSPRequest. */
async function answering(answer: (callback: Callback) => void, options: ServerOptions = {}) {
  const { server, port } = await listen(options);
  server.on("OCSPRequest", (_certificate: Buffer, _issuer: Buffer | null, callback: Callback) =>
    answer(callback),
  );
  return { server, port };
}

/** What OCSPResponse tells a client that asks. */
async function response(port: number): Promise<Buffer | null> {
  const socket = reach(port, { requestOCSP: true });
  const told = once(socket, "OCSPResponse") as Promise<[Buffer | null]>;
  await connected(socket);
  return (await told)[0];
}

describe("RFC 6066 §8: what a server staples", () => {
  test("is the option ocspResponse, and what a listener of OCSPRequest says goes before it", async () => {
    const { port } = await listen({ ocspResponse: stapled });
    expect(await response(port)).toEqual(Buffer.from(stapled));
    const listening = await answering((done) => done(null, Buffer.from("newer")), { ocspResponse: stapled });
    expect(await response(listening.port)).toEqual(Buffer.from("newer"));
    const silent = await answering((done) => done(null, null), { ocspResponse: stapled });
    expect(await response(silent.port)).toBeNull();
  });

  test("is the credential's own again when the listener has gone", async () => {
    const { server, port } = await answering((done) => done(null, Buffer.from("newer")), {
      ocspResponse: stapled,
    });
    server.removeAllListeners("OCSPRequest");
    expect(await response(port)).toEqual(Buffer.from(stapled));
  });

  test("goes with the certificate that the name asks for", async () => {
    const other = credentials("secp384r1");
    const { server, port } = await listen({ ocspResponse: stapled });
    const named = { cert: other.certPem, key: other.keyPem, ocspResponse: Uint8Array.of(9) };
    server.addContext("localhost", named);
    expect(await response(port)).toEqual(Buffer.of(9));
    const asked = once(server, "OCSPRequest") as Promise<[Buffer, Buffer | null, Callback]>;
    const told = response(port);
    const [certificate, , callback] = await asked;
    expect(certificate).toEqual(Buffer.from(other.identity.leaf.der));
    callback(null, Buffer.of(7));
    expect(await told).toEqual(Buffer.of(7));
  });

  test("text in answer, or a listener that throws, ends that connection alone, and says why", async () => {
    const answers: ((callback: Callback) => void)[] = [
      (done) => done(null, "MAMKAQE="),
      () => {
        throw new Error("no responder");
      },
      (done) => done(null, Buffer.of(5)),
    ];
    const { server, port } = await answering((done) => answers.shift()?.(done));
    const errors: unknown[] = [];
    server.on("tlsClientError", (error: Error) => errors.push(error));
    for (let left = 2; left > 0; left--) await failure(reach(port, { requestOCSP: true }));
    expect(errors).toMatchObject([
      { code: "ERR_OPTION_INVALID", option: "OCSPRequest" },
      { message: "no responder" },
    ]);
    expect(await response(port)).toEqual(Buffer.of(5));
  });
});

test("a client that leaves at OCSPResponse is not told that it is secure", async () => {
  const { port } = await listen({ ocspResponse: stapled });
  const socket = reach(port, { requestOCSP: true });
  const told: string[] = [];
  socket.on("OCSPResponse", () => socket.destroy());
  for (const event of ["secure", "secureConnect"]) socket.on(event, () => told.push(event));
  await once(socket, "close");
  expect(told).toEqual([]);
});
