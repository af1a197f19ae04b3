/** The options that say who we are: certificates and keys, and what is stapled to them. */
import type { Command } from "commander";
import type { ContextOptions } from "../node/options.ts";
import type { ChannelFlags, ServerFlags } from "./channel-options.ts";
import { collect, needed, readOcspResponse, readPassphrase, readPem } from "./value.ts";

export function addIdentity(command: Command): Command {
  command
    .option("--cert <file>", "PEM certificate chain that we show")
    .option("--key <file>", "its PEM private key");
  for (const nth of [2, 3, 4]) {
    command.option(`--cert${nth} <file>`, `another certificate chain, of another key type`);
    command.option(`--key${nth} <file>`, "its private key");
  }
  return command
    .option("--raw-key <file>", "PEM private key that we show as it is, without a certificate (RFC 7250)")
    .option(
      "--peer-key <file>",
      "PEM public keys of peers that we trust without certificates; repeat for several",
      collect,
    )
    .option("--passphrase-file <file>", "the passphrase of our private keys that are encrypted; mode 0600")
    .option(
      "--ca <file>",
      "PEM certificates that we trust; repeat for several (default: those of Node)",
      collect,
    );
}

/** The pairs of certificate and key, each complete, and the key that has no certificate. */
export function identity(
  flags: ChannelFlags,
): Pick<ContextOptions, "cert" | "key" | "rawKey" | "passphrase"> {
  const { rawKey, cert, key, cert2, key2, cert3, key3, cert4, key4 } = flags;
  const pairs = [
    [cert, key],
    [cert2, key2],
    [cert3, key3],
    [cert4, key4],
  ] as const;
  const read = pairs.flatMap(([certificate, privateKey], index) => {
    const nth = index === 0 ? "" : String(index + 1);
    if (certificate === undefined && privateKey === undefined) return [];
    if (certificate === undefined) throw needed(`--cert${nth}`, `--key${nth} needs its certificate`);
    if (privateKey === undefined) throw needed(`--key${nth}`, `--cert${nth} needs its private key`);
    return [{ cert: readPem(certificate, `--cert${nth}`), key: readPem(privateKey, `--key${nth}`) }];
  });
  if (read.length === 0 && rawKey === undefined) return {};
  return {
    ...(read.length === 0 ? {} : { cert: read.map((each) => each.cert), key: read.map((each) => each.key) }),
    ...(rawKey === undefined ? {} : { rawKey: readPem(rawKey, "--raw-key") }),
    ...passphrase(flags),
  };
}

/** Of all keys that we read: one that is not encrypted has no use for it. */
export const passphrase = ({ passphraseFile }: ChannelFlags): { passphrase?: string } =>
  passphraseFile === undefined ? {} : { passphrase: readPassphrase(passphraseFile, "--passphrase-file") };

/** What a server shows beside its one certificate. */
export function stapled({ ocspResponse, cert, cert2, cert3, cert4 }: ServerFlags): { ocspResponse?: Buffer } {
  if (ocspResponse === undefined) return {};
  if (cert === undefined || [cert2, cert3, cert4].some((other) => other !== undefined))
    throw needed("--cert", "--ocsp-response is about the one certificate that it names");
  return { ocspResponse: readOcspResponse(ocspResponse, "--ocsp-response") };
}
