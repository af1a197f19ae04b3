import type { Target } from "../guided/search.ts";
import { certificates } from "./certificates.ts";
import { liars, meddlers } from "./handshakes.ts";
import { hellos } from "./hellos.ts";
import { keys } from "./keys.ts";
import { records, wire } from "./records.ts";
import { stored } from "./stored.ts";
import { structures } from "./structures.ts";

export const targets: readonly Target[] = [
  structures,
  certificates,
  keys,
  stored,
  hellos,
  liars,
  meddlers,
  records,
  wire,
];
