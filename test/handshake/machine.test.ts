import { describe, expect, test } from "vitest";
import { client } from "../../src/handshake/client.ts";
import { advance } from "../../src/handshake/machine.ts";
import { server } from "../../src/handshake/server.ts";
import { HandshakeType } from "../../src/protocol/iana.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";

const ANSWERS = [
  "start",
  "qkd_key",
  "qkd_failure",
  "identity",
  "ticket",
  "psk",
  "ocsp_response",
  "signature",
  "verdict",
  "update_keys",
];
const INPUTS = [...Object.keys(HandshakeType), ...ANSWERS, "handshake type 99"];

describe.each([
  ["client", client],
  ["server", server],
] as const)("the %s's table", (_, machine) => {
  const table = machine as unknown as Record<string, Record<string, unknown>>;

  for (const [at, row] of Object.entries(table)) {
    test.each(INPUTS.filter((name) => !(name in row)))(`${at} refuses %s`, (name) => {
      try {
        advance(machine as never, { at } as never, name as never, {} as never, {} as never);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        expect(error).toMatchObject({ code: "ERR_TLS_UNEXPECTED_MESSAGE", alert: "unexpected_message" });
        expect((error as Error).message).toContain(at);
      }
    });
  }
});

test("the tables list what RFC 9846 Appendix A draws, and what waits for the host", () => {
  const rows = (machine: object): string[] =>
    Object.entries(machine).map(([at, row]) => `${at}: ${Object.keys(row as object).join(" ")}`);
  expect(rows(client)).toEqual([
    "START: start",
    "WAIT_QKD_KEY: qkd_key qkd_failure",
    "WAIT_SESSION_VERDICT: verdict refusal",
    "WAIT_SH: server_hello",
    "WAIT_EE: encrypted_extensions",
    "WAIT_CERT_CR: certificate_request certificate compressed_certificate",
    "WAIT_CERT: certificate compressed_certificate",
    "WAIT_CV: certificate_verify",
    "WAIT_VERDICT: verdict",
    "WAIT_FINISHED: finished",
    "WAIT_IDENTITY: identity",
    "WAIT_SIGNATURE: signature",
    "CONNECTED: new_session_ticket key_update update_keys",
  ]);
  expect(rows(server)).toEqual([
    "START: client_hello",
    "WAIT_IDENTITY: identity",
    "WAIT_QKD_KEY: qkd_key qkd_failure",
    "WAIT_TICKET: ticket",
    "WAIT_TICKET_VERDICT: verdict refusal",
    "WAIT_PSK: psk",
    "WAIT_OCSP_RESPONSE: ocsp_response",
    "WAIT_SIGNATURE: signature",
    "WAIT_CERT: certificate compressed_certificate",
    "WAIT_CV: certificate_verify",
    "WAIT_VERDICT: verdict",
    "WAIT_FINISHED: finished",
    "CONNECTED: key_update update_keys",
  ]);
});
