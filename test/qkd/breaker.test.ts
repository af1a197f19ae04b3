import { expect, test } from "vitest";
import { KeySourceError } from "../../src/protocol/errors.ts";
import { breaker } from "../../src/qkd/breaker.ts";
import { clock } from "../support/scripted-source.ts";

const down = new KeySourceError("ERR_QKD_UNREACHABLE", "down");

test("opens after so many failures in a row, and a success starts the count anew", () => {
  const guard = breaker({ failures: 3, coolDownMs: 1000 }, clock().now);
  guard.done(down);
  guard.done(down);
  guard.done();
  guard.done(down);
  guard.done(down);
  expect(guard.open).toBe(false);
  guard.enter();
  guard.done(down);
  expect(guard.open).toBe(true);
  expect(() => guard.enter()).toThrow(expect.objectContaining({ code: "ERR_QKD_UNREACHABLE", cause: down }));
});

test("after the cool-down one trial goes through; its outcome decides", () => {
  const time = clock();
  const guard = breaker({ failures: 1, coolDownMs: 1000 }, time.now);
  guard.done(down);
  time.add(999);
  expect(() => guard.enter()).toThrow("not asked");
  time.add(1);
  guard.enter();
  expect(() => guard.enter()).toThrow("not asked");
  guard.done(down);
  expect(() => guard.enter()).toThrow("not asked");
  time.add(1000);
  guard.enter();
  guard.abandon();
  guard.enter();
  guard.done();
  expect(guard.open).toBe(false);
  guard.enter();
});

test("an open breaker stays fatal when the failure was", () => {
  const guard = breaker({ failures: 1 }, clock().now);
  guard.done(new KeySourceError("ERR_QKD_UNTRUSTED", "another certificate"));
  expect(() => guard.enter()).toThrow(expect.objectContaining({ code: "ERR_QKD_UNTRUSTED", fatal: true }));
});

test.each(["ERR_QKD_UNKNOWN_KEY", "ERR_QKD_UNAUTHORIZED", "ERR_QKD_REFUSED", "ERR_QKD_KEY_USED"] as const)(
  "%s, which a peer can provoke, never opens it",
  (code) => {
    const guard = breaker({ failures: 1 }, clock().now);
    guard.done(new KeySourceError(code, "provoked"));
    expect(guard.open).toBe(false);
  },
);

test("options out of range are refused by name", () => {
  expect(() => breaker({ failures: 0 })).toThrow(expect.objectContaining({ option: "failures" }));
  expect(() => breaker({ tries: 3 } as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_UNKNOWN" }),
  );
});
