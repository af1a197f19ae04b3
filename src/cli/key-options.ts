/** The options that name pre-shared keys, and the KME that QKD keys come from. */
import type { PskOption } from "../channel/psk.ts";
import type { ContextOptions, QkdOptions } from "../node/options.ts";
import { EMPTY, fromHex, utf8 } from "../protocol/bytes.ts";
import { etsi014 } from "../qkd/etsi014.ts";
import { readPskFile } from "../qkd/file.ts";
import { reserve } from "../qkd/reserve.ts";
import type { ChannelFlags, ClientFlags } from "./channel-options.ts";
import { bad, needed, oneOf, readPem, wholeNumber } from "./value.ts";

export const PSK_HASHES = ["sha256", "sha384"] as const;
type Passphrase = Pick<ContextOptions, "passphrase">;

/** The static keys. Messages name the identity and never the key. */
export function pskOptions(flags: ChannelFlags): readonly PskOption[] {
  const given = [
    ...(flags.psk ?? []).map(parsePsk),
    ...(flags.pskFile === undefined ? [] : readPskFile(flags.pskFile)),
  ];
  const hash = flags.pskHash === undefined ? undefined : oneOf(flags.pskHash, "--psk-hash", PSK_HASHES);
  const imports = flags.pskImport === true || flags.pskContext !== undefined;
  const lonely = [
    [hash !== undefined, "--psk-hash"],
    [imports, flags.pskContext === undefined ? "--psk-import" : "--psk-context"],
    [flags.pskKe === true, "--psk-ke"],
  ] as const;
  const [, option] = (given.length === 0 && lonely.find(([set]) => set)) || [];
  if (option !== undefined && !(option === "--psk-ke" && flags.kme !== undefined)) {
    throw needed("--psk", `${option} needs --psk or --psk-file`);
  }
  const identities = given.map((each) => each.identity);
  const twice = identities.find((each, index) => identities.indexOf(each) !== index);
  if (twice !== undefined) throw bad("--psk", `the identity ${JSON.stringify(twice)} stands for two keys`);
  return given.map((each) => ({
    ...each,
    ...(hash === undefined ? {} : { hash }),
    ...(imports ? { importContext: flags.pskContext === undefined ? EMPTY : utf8(flags.pskContext) } : {}),
  }));
}

function parsePsk(text: string, index: number): { readonly identity: string; readonly key: Uint8Array } {
  // Identities may hold colons, hexadecimal cannot. A value without a colon may be a key, so it is not repeated.
  const colon = text.lastIndexOf(":");
  if (colon < 1) throw bad("--psk", `value ${index + 1} is not identity:hex`);
  const identity = text.slice(0, colon);
  const key = fromHex(text.slice(colon + 1));
  const which = JSON.stringify(identity);
  if (key === undefined) throw bad("--psk", `the key of ${which} is not hexadecimal`);
  if (key.length < 16)
    throw bad("--psk", `the key of ${which} has ${key.length} bytes; 16 are the least (RFC 9257)`);
  return { identity, key };
}

/** Where QKD keys come from; `own` gives what opens the private key that the KME knows us by. */
export function qkdOptions(flags: ChannelFlags, own: () => Passphrase): QkdOptions | undefined {
  if (flags.kme === undefined) {
    const { sae, kmeCa, kmeCert, kmeKey, qkdRaw, qkdAuthenticates } = flags;
    const [stray] = Object.entries({
      "--sae": sae,
      "--peer-sae": flags.peerSae,
      "--kme-ca": kmeCa,
      "--kme-cert": kmeCert,
      "--kme-key": kmeKey,
      "--qkd-raw": qkdRaw,
      "--qkd-authenticates": qkdAuthenticates,
    }).filter(([, value]) => value !== undefined);
    if (stray !== undefined) throw needed("--kme", `${stray[0]} needs a KME`);
    return undefined;
  }
  if (flags.sae === undefined) throw needed("--sae", "--kme needs our own SAE ID");
  return {
    source: keySource(flags, flags.kme, flags.sae, own),
    ...(flags.qkdRaw === true ? { form: "raw" } : {}),
    ...(flags.pskHash === undefined ? {} : { rawHash: oneOf(flags.pskHash, "--psk-hash", PSK_HASHES) }),
    ...(flags.qkdAuthenticates === true ? { authenticates: true } : {}),
  };
}

function keySource(
  flags: ChannelFlags,
  kme: string,
  sae: string,
  own: () => Passphrase,
): QkdOptions["source"] {
  const at = kmeAddress(kme);
  const { kmeCa, kmeCert = flags.cert, kmeKey = flags.key } = flags;
  const ca = kmeCa === undefined ? flags.ca : [kmeCa];
  if (ca === undefined) throw needed("--kme-ca", "--kme needs to know whom to trust (--kme-ca or --ca)");
  if (kmeCert === undefined)
    throw needed("--kme-cert", "a KME knows us by a certificate (--kme-cert or --cert)");
  if (kmeKey === undefined)
    throw needed("--kme-key", "a KME knows us by a certificate and its key (--kme-key or --key)");
  return etsi014({
    ...at,
    sae,
    ca: Buffer.concat(
      ca.flatMap((path) => [readPem(path, kmeCa === undefined ? "--ca" : "--kme-ca"), Buffer.from("\n")]),
    ),
    cert: readPem(kmeCert, flags.kmeCert === undefined ? "--cert" : "--kme-cert"),
    key: readPem(kmeKey, flags.kmeKey === undefined ? "--key" : "--kme-key"),
    ...own(),
  });
}

/** Over a Unix domain socket the KME is known by a certificate for localhost. */
export function kmeAddress(
  text: string,
  option = "--kme",
): { readonly url: string; readonly socketPath?: string } {
  if (/^unix:./.test(text)) return { url: "https://localhost", socketPath: text.slice(5) };
  if (URL.canParse(text) && new URL(text).protocol === "https:") return { url: text };
  const rule = "is neither https://host:port nor unix:/path; a key is never fetched in the clear";
  throw bad(option, `${JSON.stringify(text)} ${rule}`);
}

/** The same, with keys drawn ahead where that is wanted. */
export function reserved(qkd: QkdOptions, flags: ClientFlags, peer: string): QkdOptions {
  if (flags.qkdReserve === undefined) return qkd;
  return {
    ...qkd,
    source: reserve(qkd.source, {
      peers: peer,
      high: wholeNumber(flags.qkdReserve, "--qkd-reserve", 1, 1024),
    }),
  };
}
