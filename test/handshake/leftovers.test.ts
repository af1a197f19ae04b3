import { expect, test } from "vitest";
import { wipeServer } from "../../src/handshake/leftovers.ts";
import type { ServerState } from "../../src/handshake/server-state.ts";

test.each(["WAIT_TICKET_VERDICT", "WAIT_OCSP_RESPONSE"])("a PSK that %s still holds is wiped", (at) => {
  const secret = new Uint8Array(32).fill(7);
  // Of the state only what the wiping looks at.
  wipeServer({ at, found: { ready: { secret } } } as unknown as ServerState);
  expect(secret).toEqual(new Uint8Array(32));
  expect(() => wipeServer({ at, found: undefined } as unknown as ServerState)).not.toThrow();
});
