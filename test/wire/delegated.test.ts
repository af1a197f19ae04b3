import * as fc from "fast-check";
import { concat } from "../../src/protocol/bytes.ts";
import { DelegatedCredential, DelegatedKey } from "../../src/wire/delegated.ts";
import { code16, field, filled, holdsCodecRules, number, someBytes } from "../support/codec-rules.ts";

const cred = { valid_time: 86_400, dc_cert_verify_algorithm: 0x0403, ASN1_subjectPublicKeyInfo: filled(9) };
const head = concat([number(4, 86_400), number(2, 0x0403)]);
const keys = fc.record({
  valid_time: fc.nat(0xffffffff),
  dc_cert_verify_algorithm: code16,
  ASN1_subjectPublicKeyInfo: someBytes(1, 60),
});

holdsCodecRules("RFC 9345 §4: the key that is delegated to", {
  codec: DelegatedKey,
  values: keys,
  bounds: [
    {
      field: "ASN1_subjectPublicKeyInfo",
      min: 1,
      max: 0xffffff,
      sized: (n) => ({ ...cred, ASN1_subjectPublicKeyInfo: filled(n) }),
      wire: (n) => concat([head, field(3, filled(n))]),
    },
  ],
});

holdsCodecRules("RFC 9345 §4: DelegatedCredential", {
  codec: DelegatedCredential,
  values: fc.record({ cred: keys, algorithm: code16, signature: someBytes(1, 60) }),
  bounds: [
    {
      field: "signature",
      min: 1,
      max: 0xffff,
      sized: (n) => ({ cred, algorithm: 0x0804, signature: filled(n) }),
      wire: (n) => concat([head, field(3, filled(9)), number(2, 0x0804), field(2, filled(n))]),
    },
  ],
});
