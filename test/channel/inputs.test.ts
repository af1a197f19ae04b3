import { expect, test } from "vitest";
import { ANSWERS, isForKey, refusalOf } from "../../src/channel/inputs.ts";
import { client } from "../../src/handshake/client.ts";
import type { Question } from "../../src/handshake/question.ts";
import { server } from "../../src/handshake/server.ts";

const draw: Question = { ask: "draw_qkd_key", peer: "sae-b" };
const redeem: Question = { ask: "redeem_qkd_key", initiator: "sae-a", keyId: "1" };
const shown = { purpose: "server", chain: [], certificateType: "X509" } as const;

test("every answer is an input that some state waits for", () => {
  const inputs = [client, server].flatMap((machine) =>
    Object.values(machine).flatMap((row) => Object.keys(row)),
  );
  for (const input of Object.values(ANSWERS)) expect(inputs).toContain(input);
});

test("a missing key is the policy's to judge, and a session that is not to be resumed is done without", () => {
  expect([draw, redeem].map(refusalOf)).toEqual(["qkd_failure", "qkd_failure"]);
  expect(refusalOf({ ask: "verify_peer", ...shown, resumes: true })).toBe("refusal");
});

test("any other question without an answer ends the connection", () => {
  expect(refusalOf({ ask: "verify_peer", ...shown })).toBeUndefined();
  expect(refusalOf({ ask: "find_psk", identity: Uint8Array.of(1) })).toBeUndefined();
});

test("two questions are for a key, which is wiped when it comes too late", () => {
  expect([draw, redeem].every(isForKey)).toBe(true);
  expect(isForKey({ ask: "choose_identity", serverName: "x" })).toBe(false);
  expect(isForKey(undefined)).toBe(false);
});
