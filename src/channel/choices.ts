/** Policy, groups, key shares and signature schemes out of the options, as far as policy and provider allow them. */
import { UsageError } from "../protocol/errors.ts";
import {
  CertificateType,
  NamedGroup,
  nameOf,
  SignatureScheme,
  type CertificateTypeName,
  type NamedGroupName,
  type SignatureSchemeName,
} from "../protocol/iana.ts";
import { flag, isObject, list, onlyKnown, whole } from "../protocol/options.ts";
import { keyExchangeGroup, primitivesOf as partsOf, type KeyExchangeGroup } from "../crypto/groups.ts";
import type { PrimitiveName } from "../crypto/provider.ts";
import { verifiableSchemes } from "../crypto/schemes.ts";
import type { Suite } from "../crypto/suites.ts";
import { MAX_PLAINTEXT_BYTES } from "../record/framer.ts";
import { allowsExchange, checkPolicy, PRESETS, type Policy } from "../handshake/policy.ts";
import type { CertificateCompressor } from "../handshake/settings.ts";
import { CLASSICAL_GROUPS, GROUPS, KEY_SHARES } from "./defaults.ts";
import type { ClientOptions, SharedOptions } from "./options.ts";
import { invalid, missing } from "./psk.ts";

/** The policy in force: a source given without a word means that it is required, for silent downgrade is the fear. */
export function policyOf(options: SharedOptions, hasSource: boolean): Policy {
  const wanted = options.policy ?? (hasSource ? "hybrid" : "pqc");
  if (typeof wanted === "string" && !Object.hasOwn(PRESETS, wanted)) {
    throw new UsageError(
      "ERR_OPTION_INVALID",
      `policy: ${JSON.stringify(wanted)} is none of ${Object.keys(PRESETS).join(", ")}`,
      { option: "policy" },
    );
  }
  if (typeof wanted !== "string" && !isObject(wanted))
    throw invalid("policy", "is neither a name nor an object");
  if (typeof wanted === "object") onlyKnown(wanted, ["ecdh", "mlkem", "qkd"], "policy");
  if (options.dangerous !== undefined) onlyKnown(options.dangerous, ["allowClassical"], "dangerous");
  const allowClassical = flag(options.dangerous ?? {}, "allowClassical", false);
  const legs = typeof wanted === "string" ? PRESETS[wanted] : { ...PRESETS.pqc, ...wanted };
  const mlkem = allowClassical && legs.mlkem === "required" ? "preferred" : legs.mlkem;
  const policy = checkPolicy({
    name: typeof wanted === "string" ? wanted : "custom",
    ...legs,
    mlkem,
    allowClassical,
    production: flag(options, "production", false),
  });
  if (policy.qkd === "required" && !hasSource) {
    throw missing("qkd", `policy ${policy.name} requires QKD, so a key source must be given`);
  }
  return Object.freeze(policy);
}

export function groupsOf(options: SharedOptions, policy: Policy): readonly KeyExchangeGroup[] {
  const wanted: readonly NamedGroupName[] = flat(options.groups) ?? [...GROUPS, ...CLASSICAL_GROUPS];
  const groups = named(wanted, "groups", NamedGroup).map((code) => {
    const name = Object.entries(NamedGroup).find(([, value]) => value === code)?.[0] as NamedGroupName;
    const absent = partsOf(name).find((part) => options.provider.backends[part] === undefined);
    if (absent !== undefined)
      throw invalid("groups", `${name} is not available with ${options.provider.name}`);
    return keyExchangeGroup(options.provider, name);
  });
  const allowed = groups.filter((group) => allowsExchange(policy, group));
  const refused = groups.find((group) => !allowed.includes(group));
  if (options.groups !== undefined && refused !== undefined) {
    throw invalid("groups", `policy ${policy.name} does not allow ${refused.name}`);
  }
  if (allowed.length === 0) throw invalid("groups", `policy ${policy.name} leaves no group`);
  return allowed;
}

/** What is no list is refused by `named`. */
const flat = (groups: SharedOptions["groups"]): readonly NamedGroupName[] | undefined =>
  Array.isArray(groups) ? groups.flat() : (groups as undefined);

/** The lists of groups that rank equal, by code. */
export const equalGroupsOf = ({ groups = [] }: SharedOptions): readonly (readonly number[])[] =>
  groups.flatMap((each) => (typeof each === "string" ? [] : [each.map((name) => NamedGroup[name])]));

export function sharesOf(options: ClientOptions, groups: readonly KeyExchangeGroup[]): readonly number[] {
  if (!Array.isArray(options.keyShares)) {
    const count = whole(options, "keyShares", KEY_SHARES, 0, groups.length);
    return groups.slice(0, count).map(({ code }) => code);
  }
  const names = options.keyShares as readonly NamedGroupName[];
  const codes = names.length === 0 ? [] : named(names, "keyShares", NamedGroup);
  const stray = codes.find((code) => !groups.some((group) => group.code === code));
  if (stray !== undefined) throw invalid("keyShares", `${nameOf(NamedGroup, stray)} is none of the groups`);
  // In the order of the groups, whatever the order of the names. RFC 9846 §4.3.8.
  return groups.filter(({ code }) => codes.includes(code)).map(({ code }) => code);
}

export function schemesOf(options: SharedOptions): readonly SignatureSchemeName[] {
  const usable = verifiableSchemes(options.provider);
  if (options.signatureSchemes === undefined) return usable;
  named(options.signatureSchemes, "signatureSchemes", SignatureScheme);
  const unusable = options.signatureSchemes.find((name) => !usable.includes(name));
  if (unusable !== undefined)
    throw invalid("signatureSchemes", `${unusable} is not available with ${options.provider.name}`);
  return options.signatureSchemes;
}

/** The types of certificate that one side may show. */
export function certificateTypesOf<Option extends string>(
  options: { readonly [K in Option]?: readonly CertificateTypeName[] },
  option: Option,
  fallback: readonly CertificateTypeName[],
): readonly CertificateTypeName[] {
  const wanted = options[option];
  if (wanted === undefined) return fallback;
  named(wanted, option, CertificateType);
  return wanted;
}

/** The most content of a record that we send, as in OpenSSL. Throws a UsageError. */
export const maxSendFragmentOf = (options: Pick<SharedOptions, "maxSendFragment">): number =>
  whole(options, "maxSendFragment", MAX_PLAINTEXT_BYTES, 512, MAX_PLAINTEXT_BYTES);

/** Throws a UsageError for what is no compressor, or for two of one algorithm. */
export function compressorsOf(options: SharedOptions): readonly CertificateCompressor[] {
  const option = "certificateCompression";
  const compressors = list(options, option, "algorithms with compress or decompress", isCompressor);
  const algorithms = compressors.map(({ algorithm }) => algorithm);
  if (new Set(algorithms).size !== algorithms.length) throw invalid(option, "names something twice");
  return compressors;
}

function isCompressor(value: unknown): value is CertificateCompressor {
  if (!isObject(value)) return false;
  const algorithm: unknown = Reflect.get(value, "algorithm");
  const halves = ["compress", "decompress"].map((name): unknown => Reflect.get(value, name));
  const known = typeof algorithm === "number" && Number.isInteger(algorithm);
  const usable = halves.every((half) => half === undefined || typeof half === "function");
  return known && algorithm > 0 && algorithm <= 0xffff && usable && halves.some((half) => half !== undefined);
}

/** Code points of names; an unknown or repeated name is refused. */
export function named<T extends Record<string, number>>(
  names: readonly (keyof T)[],
  option: string,
  registry: T,
): number[] {
  if (!Array.isArray(names) || names.length === 0)
    throw invalid(option, "is not a list with at least one name");
  if (new Set(names).size !== names.length) throw invalid(option, "names something twice");
  return names.map((name) => {
    // A list of one name reads like the name.
    const code = typeof name === "string" && Object.hasOwn(registry, name) ? registry[name] : undefined;
    if (code === undefined)
      throw invalid(option, `${String(name)} is none of ${Object.keys(registry).join(", ")}`);
    return code;
  });
}

export function primitivesOf(suites: readonly Suite[], groups: readonly KeyExchangeGroup[]): PrimitiveName[] {
  return [
    ...new Set<PrimitiveName>([
      ...suites.flatMap((suite) => [suite.hash, suite.aead]),
      ...groups.flatMap((group) => partsOf(group.name)),
    ]),
  ];
}
