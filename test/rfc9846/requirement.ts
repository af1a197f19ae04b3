/** What RFC 9846 demands, in our own words, and where it is checked. */

export type Who = "client" | "server" | "both";

/** One MUST, MUST NOT or SHALL. */
export interface Requirement {
  readonly section: string;
  readonly who: Who;
  /** At most 15 words of our own. */
  readonly must: string;
  /** `test/handshake/offer.test.ts: words of a title`, the words in one title of that file alone. */
  readonly tests: readonly string[];
  /** Why nothing here can be tested. */
  readonly without?: string;
}

type Rule = Omit<Requirement, "section">;

/** The rules of one section, in its order. */
export const section = (number: string, ...rules: readonly Rule[]): readonly Requirement[] =>
  rules.map((rule) => ({ section: number, ...rule }));

const rule =
  (who: Who) =>
  (must: string, ...tests: readonly string[]): Rule => ({
    who,
    must,
    tests: tests.map((test) => `test/${test.replace(": ", ".test.ts: ")}`),
  });

/** A rule with the tests that check it, each as `room/file: words of its title`. */
export const client = rule("client");
export const server = rule("server");
export const both = rule("both");

/** A rule that binds somebody else, or what we do not do at all. */
export const exempt = (who: Who, must: string, without: string): Rule => ({ who, must, tests: [], without });

export const NO_TLS12 = "no version but TLS 1.3 is spoken";
export const NO_EARLY_DATA = "early data is never offered and never accepted";
export const NO_LATE_AUTHENTICATION = "post_handshake_auth is neither offered nor used";
export const OTHER_AUTHORS = "binds those who write other specifications";
export const APPLICATION = "binds the application, not the TLS library";
