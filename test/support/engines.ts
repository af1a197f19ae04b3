/** Both handshakes without records between them, so that a test can change any message, the encrypted ones too. */

import { clientConfig, serverConfig } from "../../src/channel/config.ts";
import type { ClientOptions, ServerOptions } from "../../src/channel/options.ts";
import { ANSWERS } from "../../src/channel/inputs.ts";
import { clientEngine, serverEngine, type Engine } from "../../src/channel/engine.ts";
import type { Effect } from "../../src/handshake/machine.ts";
import type { Question } from "../../src/handshake/question.ts";
import { HandshakeType, nameOf } from "../../src/protocol/iana.ts";
import { decode, encode, type Codec } from "../../src/wire/codec.ts";
import { credentials, provider } from "./credentials.ts";
import { saes, type Side } from "./pair.ts";
import { inProcessPair } from "../../src/qkd/pair.ts";

/** A message on its way, by name; what comes back is delivered in its place. */
export type Edit = (name: string, body: Uint8Array, from: Side) => Uint8Array | undefined;

export interface EnginesOptions {
  readonly client?: Partial<ClientOptions>;
  readonly server?: Partial<ServerOptions>;
  readonly edit?: Edit;
  /** Replaces the answer to a question. */
  readonly onQuestion?: (question: Question, side: Side) => unknown;
}

export interface Outcome {
  readonly client: readonly Effect[];
  readonly server: readonly Effect[];
  /** The first error of either side, and whose it was. */
  readonly failed?: { readonly side: Side; readonly error: Error };
  /** The names of the messages in the order in which they went. */
  readonly flow: readonly string[];
}

/** Runs the two handshakes against each other until both are silent or one has failed. */
export function engines({ client = {}, server = {}, edit, onQuestion }: EnginesOptions = {}): Outcome {
  const link = inProcessPair(saes);
  const now = Date.now;
  const sides: Record<Side, Engine> = {
    client: clientEngine(clientConfig({ provider, now, serverName: "localhost", ...client }).settings),
    server: serverEngine(
      serverConfig({ provider, now, credentials: [credentials().identity], ...server }).settings,
    ),
  };
  const done: Record<Side, Effect[]> = { client: [], server: [] };
  const flow: string[] = [];
  const waiting: { readonly to: Side; readonly name: string; readonly input: unknown }[] = [
    { to: "client", name: "start", input: true },
  ];
  const answer = (question: Question, side: Side): unknown => {
    const given = onQuestion?.(question, side);
    if (given !== undefined) return given;
    if (question.ask === "draw_qkd_key") return link.a.drawNow(question.peer);
    if (question.ask === "redeem_qkd_key") return link.b.redeemNow(question.initiator, question.keyId);
    return question.ask === "verify_peer" ? { authorized: true } : undefined;
  };
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { to, name, input } = next;
    let effects: readonly Effect[];
    try {
      effects = sides[to].step(name, input);
    } catch (error) {
      return { ...done, flow, failed: { side: to, error: error as Error } };
    }
    done[to].push(...effects);
    const other: Side = to === "client" ? "server" : "client";
    for (const effect of effects) {
      if (effect.do === "ask") {
        const given = answer(effect.question, to);
        const failed = given instanceof Error;
        const refusal = effect.question.ask === "verify_peer" ? "refusal" : "qkd_failure";
        waiting.unshift({ to, name: failed ? refusal : ANSWERS[effect.question.ask], input: given });
      }
      if (effect.do !== "send") continue;
      const sent = nameOf(HandshakeType, effect.message[0]!);
      flow.push(`${to} ${sent}`);
      const body = edit?.(sent, effect.message.slice(4), to) ?? effect.message.slice(4);
      const bytes = Uint8Array.from([effect.message[0]!, 0, body.length >> 8, body.length & 0xff, ...body]);
      waiting.push({ to: other, name: sent, input: { type: bytes[0], bytes, body: bytes.subarray(4) } });
    }
  }
  return { ...done, flow };
}

/** An edit of one message through its own codec. */
export const changing =
  <T>(message: string, codec: Codec<T>, change: (value: T) => T): Edit =>
  (name, body) =>
    name === message ? encode(codec, change(decode(codec, body))) : undefined;

/** An edit of the bytes of one message. */
export const rewriting =
  (message: string, change: (body: Uint8Array) => Uint8Array): Edit =>
  (name, body) =>
    name === message ? change(body) : undefined;
