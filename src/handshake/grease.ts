/**
 * Values that stand for nothing, sent so that peers go on passing over what they do not know. RFC 8701.
 * Nothing looks out for them in answers: what was not offered in earnest is refused there as anything else is.
 */
import type { CryptoProvider } from "../crypto/provider.ts";
import type { UnnamedExtension } from "../wire/extensions.ts";
import type { ClientExtensions, ClientHello } from "../wire/hello.ts";

type Random = Pick<CryptoProvider, "random">;

/** One of 0x0a0a, 0x1a1a … 0xfafa, which are kept free wherever a value has two bytes. RFC 8701 §2. */
export const reservedValue = (provider: Random): number => valueAt(byte(provider));

/** An extension of a reserved type; none of its kind may stand beside it. */
export const reservedExtension = (provider: Random, body: Uint8Array): UnnamedExtension => ({
  type: reservedValue(provider),
  body,
});

/** One of 0x0b, 0x2a … 0xe4, which are kept free among the PskKeyExchangeModes. RFC 8701 §2. */
const reservedMode = (provider: Random): number => 0x0b + 0x1f * (byte(provider) % 8);

/**
 * A ClientHello with a reserved value at the head of each of its lists, a key share for the reserved group, and two
 * reserved extensions, one of them empty. Which values they are is random; where they stand is not, so that whoever
 * cannot bear them fails each time. RFC 8701 §3.1 and §5.
 */
export function greased(hello: ClientHello, provider: Random): ClientHello {
  const value = (): number => reservedValue(provider);
  const group = value();
  const { extensions } = hello;
  return {
    ...hello,
    cipher_suites: [value(), ...hello.cipher_suites],
    extensions: {
      ...extensions,
      ...before(extensions, "supported_versions", value),
      ...before(extensions, "supported_groups", () => group),
      ...before(extensions, "key_share", () => ({ group, key_exchange: Uint8Array.of(0) })),
      ...before(extensions, "signature_algorithms", value),
      ...before(extensions, "application_layer_protocol_negotiation", () => bytesOf(value())),
      ...before(extensions, "psk_key_exchange_modes", () => reservedMode(provider)),
      unnamed: twoExtensions(provider),
    },
  };
}

type List =
  | "supported_versions"
  | "supported_groups"
  | "key_share"
  | "signature_algorithms"
  | "application_layer_protocol_negotiation"
  | "psk_key_exchange_modes";

/** The same list with an item before all others; nothing where there is no such list. */
function before<Name extends List>(
  extensions: ClientExtensions,
  name: Name,
  item: () => NonNullable<ClientExtensions[Name]>[number],
): object {
  const list = extensions[name];
  return list === undefined ? {} : { [name]: [item(), ...list] };
}

function twoExtensions(provider: Random): readonly UnnamedExtension[] {
  const nth = byte(provider);
  // Any other of the sixteen, for no type may be there twice.
  const other = nth + 1 + (byte(provider) % 15);
  return [
    { type: valueAt(nth), body: new Uint8Array(0) },
    { type: valueAt(other), body: new Uint8Array(1) },
  ];
}

const valueAt = (nth: number): number => 0x0a0a + 0x1010 * (nth % 16);
const bytesOf = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
const byte = (provider: Random): number => provider.random(1)[0] as number;
