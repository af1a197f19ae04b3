/** In which order a client writes its extensions. RFC 9846 §4.3 leaves it open, but for pre_shared_key. */
import type { CryptoProvider } from "../crypto/provider.ts";
import { clientExtensionTypes, type ClientHello } from "../wire/hello.ts";

type Random = Pick<CryptoProvider, "random">;

/**
 * The hello with its extensions in an order of chance, if that is wanted, and with the reserved ones around them.
 * A second hello that is made of this one keeps the order.
 */
export function ordered(hello: ClientHello, permute: boolean, provider: Random): ClientHello {
  const [first, ...others] = (hello.extensions.unnamed ?? []).map(({ type }) => type);
  if (!permute && first === undefined) return hello;
  const named = permute ? shuffled(clientExtensionTypes, provider) : clientExtensionTypes;
  const order = [...(first === undefined ? [] : [first]), ...named, ...others];
  return { ...hello, extensions: { ...hello.extensions, order } };
}

/** Every order is as likely as any other (Fisher and Yates). */
function shuffled(items: readonly number[], provider: Random): readonly number[] {
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = below(at + 1, provider);
    [result[at], result[other]] = [result[other] as number, result[at] as number];
  }
  return result;
}

/** A number from 0 on, drawn again where a remainder would prefer some. */
function below(end: number, provider: Random): number {
  const fair = 256 - (256 % end);
  for (;;) {
    const byte = provider.random(1)[0] as number;
    if (byte < fair) return byte % end;
  }
}
