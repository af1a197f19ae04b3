import { expect, test, vi } from "vitest";
import { bootstrapper, demandKnown, type SiteLinkOptions } from "../../../src/kme/site/site-options.ts";
import { ANYWHERE, trusted } from "./site-bed.ts";

const options = (changes: Partial<SiteLinkOptions> = {}): SiteLinkOptions => ({
  site: "b",
  peer: "kme-a",
  ca: trusted.ca,
  ...trusted.issue("kme-b"),
  fibre: ANYWHERE,
  meet: { listen: ANYWHERE },
  ...changes,
});

test("B is Bob, begins with its certificate and asks for that of the other KME, as of now", () => {
  const settings = bootstrapper(options());
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ["Date"] });
  const { party, method, trust } = settings();
  vi.useRealTimers();
  expect([party, method]).toEqual(["bob", "wegman-carter"]);
  expect(trust).toMatchObject({ kind: "pki", peerCommonName: "kme-a", nowMs: 1_700_000_000_000 });
});

test("a pre-shared key takes the place of the certificates", () => {
  const key = new Uint8Array(32).fill(3);
  const { party, method, trust } = bootstrapper(options({ site: "a", psk: key, method: "gmac" }))();
  expect([party, method]).toEqual(["alice", "gmac"]);
  expect(trust).toMatchObject({ kind: "psk", key });
});

test("an option that a site's link does not have is refused by name", () => {
  expect(() => demandKnown(options({ qberThreshold: 0.05 }))).not.toThrow();
  expect(() => demandKnown({ ...options(), seed: "x" } as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_UNKNOWN", option: "seed" }),
  );
});
