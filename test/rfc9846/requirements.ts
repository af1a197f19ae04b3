/** Every MUST, MUST NOT and SHALL of RFC 9846, in its order. */
import { afterwards } from "./afterwards.ts";
import { appendices } from "./appendices.ts";
import { authentication } from "./authentication.ts";
import { cryptography } from "./cryptography.ts";
import { extensions } from "./extensions.ts";
import { hello } from "./hello.ts";
import { keyExchange } from "./key-exchange.ts";
import { overview } from "./overview.ts";
import { records } from "./records.ts";
import type { Requirement } from "./requirement.ts";

export const requirements: readonly Requirement[] = [
  ...overview,
  ...hello,
  ...extensions,
  ...keyExchange,
  ...authentication,
  ...afterwards,
  ...records,
  ...cryptography,
  ...appendices,
];
