/** What a server chooses once its PSK is found: its certificate, that of the client, the application protocol. */
import type { CertificateTypeName } from "../protocol/iana.ts";
import { type ChosenCredential, chooseCredential, typeOf } from "./authenticate.ts";
import { commonType, typesOf, unsupportedType } from "./certificate-type.ts";
import { chooseProtocol } from "./choose.ts";
import { missingExtension, nothingInCommon } from "./fault.ts";
import { enforce } from "./policy.ts";
import type { Draft, Flight, FoundPsk } from "./server-state.ts";
import type { ServerSettings } from "./settings.ts";
import { wantsOcsp } from "./staple.ts";

export interface Choices {
  readonly degraded: Flight["degraded"];
  readonly own: ChosenCredential | undefined;
  /** The type of certificate that the client is asked for. */
  readonly requested: CertificateTypeName | undefined;
  readonly alpn: string | undefined;
}

/** What is left to choose; throws where policy or the client leaves nothing. */
export function choose(draft: Draft, psk: FoundPsk | undefined, settings: ServerSettings): Choices {
  if (draft.group === undefined && psk === undefined) {
    throw nothingInCommon("client_hello: neither a key exchange group nor a PSK in common");
  }
  const degraded = enforce(
    settings.policy,
    {
      ecdh: draft.group?.ecdh ?? false,
      mlkem: draft.group?.mlkem ?? false,
      qkd: psk?.qkd !== undefined,
      simulated: psk?.qkd?.simulated ?? false,
    },
    { qkd: { reason: qkdReason(draft) }, ...draft.excuses },
  );
  const own = usesCertificate(draft, psk) ? ownCredential(draft, settings) : undefined;
  const { extensions } = draft.received.hello;
  const requested =
    own === undefined || settings.clientAuth === "none"
      ? undefined
      : commonType(settings.clientCertificateTypes, extensions.client_certificate_type);
  return { degraded, own, requested, alpn: chooseProtocol(draft.received.hello, settings) };
}

/** Whether the host is to be asked for an OCSP answer; beside a raw key there is none, for nobody issued it. */
export function asksForOcsp(
  draft: Draft,
  { credential }: ChosenCredential,
  settings: ServerSettings,
): boolean {
  const isOpen = settings.asksForOcsp && draft.ocsp === undefined;
  return isOpen && typeOf(credential) === "X509" && wantsOcsp(draft.received.hello.extensions);
}

function qkdReason(draft: Draft): string {
  return draft.received.hello.extensions.pre_shared_key === undefined
    ? "the client offered no QKD key"
    : "none of the keys that the client offered is a QKD key for us";
}

/** A PSK replaces the certificate unless the client asked for both. RFC 9973 §4. */
function usesCertificate({ received }: Draft, psk: FoundPsk | undefined): boolean {
  return psk === undefined || received.hello.extensions.tls_cert_with_extern_psk === true;
}

function ownCredential(draft: Draft, settings: ServerSettings): ChosenCredential {
  const candidates = draft.credentials ?? settings.credentials;
  if (candidates.length === 0) {
    throw nothingInCommon("client_hello: no PSK in common, and this server has no certificate");
  }
  const { extensions } = draft.received.hello;
  if (extensions.signature_algorithms === undefined) {
    throw missingExtension("client_hello: signature_algorithms");
  }
  const types = typesOf(extensions.server_certificate_type);
  if (!candidates.some((credential) => types.includes(typeOf(credential)))) {
    const what = "client_hello: no type of server certificate in common";
    // RFC 7250 §4.2 is about clients that name types.
    throw extensions.server_certificate_type === undefined ? nothingInCommon(what) : unsupportedType(what);
  }
  const own = chooseCredential(candidates, types, extensions, settings.now());
  if (own === undefined) throw nothingInCommon("client_hello: no certificate that the client can verify");
  return own;
}
