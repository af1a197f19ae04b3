import { expect, test } from "vitest";
import { toHex } from "../../../src/protocol/bytes.ts";
import { decode } from "../../../src/wire/codec.ts";
import {
  Certificate,
  EncryptedExtensions,
  encodeHandshake,
  Finished,
  NewSessionTicket,
} from "../../../src/wire/handshake.ts";
import { filled } from "../../support/codec-rules.ts";
import { extensionsInstead } from "./extension-block.ts";

const body = (message: Uint8Array): Uint8Array => message.subarray(4);
const early = { type: 42, body: filled(4) };
const message = encodeHandshake("encrypted_extensions", EncryptedExtensions, {
  extensions: { server_name: true, record_size_limit: 64 },
});
const present = (place: number, extension = early): readonly number[] | undefined =>
  decode(EncryptedExtensions, body(extensionsInstead(message, place, extension))).extensions.present;

test("an extension is put in, left out, or given another body or type, and all lengths are right", () => {
  const put = { type: 42, body: filled(0) };
  expect(present(0, put)).toEqual([42, 0, 28]);
  expect(present(5, put)).toEqual([0, 42, 28]);
  expect(present(10, put)).toEqual([0, 28, 42]);
  expect(present(1)).toEqual([28]);
  expect(present(6)).toEqual([0]);
  expect(present(3, put)).toEqual([42, 28]);
  const other = decode(
    EncryptedExtensions,
    body(extensionsInstead(message, 7, { type: 0, body: filled(2, 1) })),
  );
  expect(other.extensions.record_size_limit).toBe(0x0101);
});

test("so are those of tickets and of the first certificate, which may also be doubled", () => {
  const ticket = encodeHandshake("new_session_ticket", NewSessionTicket, {
    ticket_lifetime: 1,
    ticket_age_add: 2,
    ticket_nonce: filled(3),
    ticket: filled(5),
    extensions: {},
  });
  const changed = decode(NewSessionTicket, body(extensionsInstead(ticket, 0, early)));
  expect(changed.extensions.early_data).toBe(0x5a5a5a5a);
  const certificate = encodeHandshake("certificate", Certificate, {
    certificate_request_context: filled(2),
    certificate_list: [filled(7), filled(9)].map((cert_data) => ({ cert_data, extensions: {} })),
  });
  const entries = (place: number) =>
    decode(Certificate, body(extensionsInstead(certificate, place, { type: 0x0a0a, body: filled(1) })))
      .certificate_list;
  expect(entries(0).map(({ extensions }) => extensions.present)).toEqual([[0x0a0a], []]);
  expect(entries(4).map(({ cert_data }) => cert_data.length)).toEqual([7, 7, 9]);
});

test("what has no extensions, or cannot be read, stays as it is", () => {
  const finished = encodeHandshake("finished", Finished, { verify_data: filled(32) });
  for (const each of [finished, message.subarray(0, 7), new Uint8Array(0)]) {
    expect(toHex(extensionsInstead(each, 0, early))).toBe(toHex(each));
  }
});
