/** A stapled OCSP answer, asked for and given as in node:tls. RFC 6066 §8. */
import { UsageError } from "../protocol/errors.ts";
import { isBytes } from "../protocol/options.ts";
import type { Credential } from "../handshake/question.ts";
import type { SecureContext } from "./context.ts";

export type OcspCallback = (error: Error | null | undefined, response?: Uint8Array | null) => void;

/** Hands a client's wish to whoever listens; false when nobody does. `issuer` is null where it is not known. */
export type OcspRequest = (certificate: Buffer, issuer: Buffer | null, callback: OcspCallback) => boolean;

/** What a listener of OCSPRequest answers; the credential's own answer where nobody listens. */
export function ocspResponse(
  credential: Credential,
  context: SecureContext,
  request: OcspRequest | undefined,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const callback: OcspCallback = (error, response) => {
      if (error !== null && error !== undefined) reject(error);
      else if (response === null || response === undefined) resolve(undefined);
      else if (isBytes(response)) resolve(response.length > 0 ? response : undefined);
      else {
        const what = "OCSPRequest: the answer has to be a Buffer with an OCSP response";
        reject(new UsageError("ERR_OPTION_INVALID", what, { option: "OCSPRequest" }));
      }
    };
    const leaf = Buffer.from(credential.chain[0] as Uint8Array);
    const heard = request?.(leaf, issuerOf(credential, context), callback) ?? false;
    if (!heard) resolve(credential.ocspResponse);
  });
}

/** The issuer from the chain, else from the caller's own anchors. */
function issuerOf({ chain }: Credential, context: SecureContext): Buffer | null {
  const [leaf, ...others] = chain.map((der) => context.certificates.parse(der));
  const anchors = context.options.ca === undefined ? [] : context.anchors.certificates;
  const issuer = [...others, ...anchors].find(({ subject }) => subject.key === leaf?.issuer.key);
  return issuer === undefined ? null : Buffer.from(issuer.der);
}
