import { expect, test } from "vitest";
import { Bootstrap } from "../../src/link/bootstrap.ts";
import type { BootstrapSettings } from "../../src/link/bootstrap-settings.ts";
import { classicalChannel } from "../../src/link/session.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { provider } from "../support/credentials.ts";

test("signatures need the certificates of a bootstrap by PKI", () => {
  const trust = { kind: "psk", identity: "x", key: new Uint8Array(32), exchange: false } as const;
  const settings = (party: "alice" | "bob"): BootstrapSettings => ({
    provider,
    party,
    trust,
    method: "gmac",
  });
  const [alice, bob] = [new Bootstrap(settings("alice")), new Bootstrap(settings("bob"))];
  const toAlice = alice.start().flatMap((message) => bob.receive(message));
  toAlice.flatMap((message) => alice.receive(message)).forEach((message) => bob.receive(message));
  expect(() => classicalChannel({ ...settings("bob"), method: "signature" }, bob.result!)).toThrow(
    UsageError,
  );
  expect(classicalChannel(settings("bob"), bob.result!).closed).toBe(false);
});
