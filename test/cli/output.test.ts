import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { hintFor } from "../../src/cli/hint.ts";
import {
  errorRecord,
  errorText,
  ExitCode,
  exitCodeOf,
  Interrupted,
  messageOf,
  printable,
} from "../../src/cli/output.ts";
import {
  KeySourceError,
  PeerAlert,
  ProtocolError,
  TrustError,
  UsageError,
} from "../../src/protocol/errors.ts";

const down = new KeySourceError("ERR_QKD_UNREACHABLE", "the KME cannot be reached");
const refused = new TrustError(
  "ERR_POLICY_QKD_REQUIRED",
  "insufficient_security",
  "policy hybrid requires QKD",
  { missing: "qkd" },
);
const refusedForKme = new TrustError(
  "ERR_POLICY_QKD_REQUIRED",
  "insufficient_security",
  "policy hybrid requires QKD",
  {
    missing: "qkd",
    cause: down,
  },
);
const system = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" });
const several = new AggregateError([system, new Error("and ::1")]);

test.each<[string, unknown, number, RegExp | undefined]>([
  ["a usage error", new UsageError("ERR_OPTION_INVALID", "--x: no"), ExitCode.usage, undefined],
  [
    "files that are there",
    new UsageError("ERR_FILE_UNSAFE", "already there", { option: "force" }),
    ExitCode.usage,
    /--out/,
  ],
  ["an unsafe file", new UsageError("ERR_FILE_UNSAFE", "open to others"), ExitCode.usage, /chmod 600/],
  [
    "an untrusted peer",
    new TrustError("ERR_CERT_UNTRUSTED", "unknown_ca", "who is it"),
    ExitCode.refused,
    /--ca/,
  ],
  ["a refusing policy", refused, ExitCode.refused, /--kme/],
  ["a policy that lacks its KME", refusedForKme, ExitCode.keySource, /is the KME running/],
  ["a key source", down, ExitCode.keySource, /is the KME running/],
  [
    "a broken rule",
    new ProtocolError("ERR_TLS_DECODE", "decode_error", "junk"),
    ExitCode.protocol,
    undefined,
  ],
  ["an alert", new PeerAlert("unknown_ca"), ExitCode.protocol, /does not know the CA/],
  ["an alert by number", new PeerAlert("alert 77"), ExitCode.protocol, /own log/],
  ["the network", system, ExitCode.failed, /nobody listens/],
  ["several tries", several, ExitCode.failed, /nobody listens/],
  ["anything else", "text", ExitCode.failed, undefined],
  ["a signal", new Interrupted("SIGINT"), ExitCode.interrupted, undefined],
  [
    "the command line",
    new CommanderError(1, "commander.unknownOption", "error: no"),
    ExitCode.usage,
    undefined,
  ],
  ["help", new CommanderError(0, "commander.helpDisplayed", "(outputHelp)"), ExitCode.ok, undefined],
])("%s has its exit code and hint", (_, error, code, hint) => {
  expect(exitCodeOf(error)).toBe(code);
  if (hint === undefined) expect(hintFor(error)).toBeUndefined();
  else expect(hintFor(error)).toMatch(hint);
});

describe("errorText", () => {
  test("is one line and a hint", () => {
    expect(errorText(refusedForKme)).toMatch(
      /^qkd-tls: policy hybrid requires QKD\nhint: is the KME running.*\n$/,
    );
  });

  test("tells causes and stacks when asked", () => {
    const text = errorText(refusedForKme, true);
    expect(text).toMatch(/^error ERR_POLICY_QKD_REQUIRED: TrustError: policy hybrid/m);
    expect(text).toMatch(/^caused by ERR_QKD_UNREACHABLE: KeySourceError: the KME cannot be reached/m);
  });

  test("names the first of several failures, and something when there is nothing to say", () => {
    expect(messageOf(several)).toBe("connect ECONNREFUSED 127.0.0.1:1");
    expect(messageOf(new Error(""))).toBe("it failed without a word");
  });

  test("ends with causes that run in a circle", () => {
    const error = new Error("around");
    error.cause = error;
    expect(errorText(error, true).match(/around/g)?.length).toBeGreaterThan(1);
  });
});

test("errorRecord is for programs", () => {
  expect(errorRecord(refusedForKme)).toEqual({
    error: "TrustError",
    code: "ERR_POLICY_QKD_REQUIRED",
    message: "policy hybrid requires QKD",
    alert: "insufficient_security",
    missing: "qkd",
    hint: hintFor(refusedForKme),
    exitCode: 4,
  });
  expect(errorRecord("text")).toEqual({ error: "Error", message: "text", exitCode: 1 });
});

test("nothing that a peer writes can drive a terminal", () => {
  expect(printable("a\u001b[31mb\u202ec\u0007\u2028d\n\te")).toBe("a\uFFFD[31mb\uFFFDc\uFFFD\uFFFDd\n\te");
  expect(messageOf(new Error("one\n  two\u001b"))).toBe("one two\uFFFD");
});
