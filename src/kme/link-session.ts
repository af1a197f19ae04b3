import { nodeProvider } from "../crypto/node.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { Alice } from "../link/alice.ts";
import { Bob } from "../link/bob.ts";
import { Bootstrap } from "../link/bootstrap.ts";
import type { Bootstrapped, BootstrapSettings } from "../link/bootstrap-settings.ts";
import type { Ledger } from "../link/ledger.ts";
import { classicalChannel } from "../link/session.ts";
import type { Source } from "../link/source.ts";
import { wipe } from "../protocol/bytes.ts";

/** Two parties that have proven to each other who they are. */
export interface Session {
  readonly alice: { readonly party: Alice; readonly ledger: Ledger };
  readonly bob: { readonly party: Bob; readonly ledger: Ledger };
  /** Public, and this session's own. */
  readonly context: Uint8Array;
  close(): void;
}

export interface SessionOptions {
  readonly random: (length: number) => Uint8Array;
  /** Whether all of it follows from `random`. */
  readonly isRepeatable: boolean;
  readonly source: Source;
  readonly qberThreshold: number;
}

/** A session between two parties in this process, by a pre-shared key that both are given and nobody keeps. */
export function openSession({ random, isRepeatable, source, qberThreshold }: SessionOptions): Session {
  const native = nodeProvider();
  const provider: CryptoProvider = isRepeatable ? { ...native, random } : native;
  const key = random(32);
  const settings = (party: "alice" | "bob"): BootstrapSettings => ({
    provider,
    party,
    // An exchange draws randomness of its own, which no seed reaches.
    trust: { kind: "psk", identity: "simulated link", key: key.slice(), exchange: !isRepeatable },
    method: "wegman-carter",
  });
  const [ours, theirs] = [settings("alice"), settings("bob")];
  const [alice, bob] = introduced(new Bootstrap(ours), new Bootstrap(theirs));
  wipe(key);
  const block = { hash: provider.hash("sha256"), random, source, qberThreshold, inSlices: true };
  const parties = {
    alice: new Alice({ ...block, channel: classicalChannel(ours, alice), ledger: alice.ledger }),
    bob: new Bob({ ...block, channel: classicalChannel(theirs, bob), ledger: bob.ledger }),
  };
  return {
    alice: { party: parties.alice, ledger: alice.ledger },
    bob: { party: parties.bob, ledger: bob.ledger },
    context: alice.context,
    close() {
      parties.alice.close();
      parties.bob.close();
    },
  };
}

function introduced(alice: Bootstrap, bob: Bootstrap): readonly [Bootstrapped, Bootstrapped] {
  let [to, from] = [bob, alice];
  let messages = alice.start();
  while (messages.length > 0) {
    const receiver = to;
    messages = messages.flatMap((message) => receiver.receive(message.slice()));
    [to, from] = [from, to];
  }
  if (alice.result === undefined || bob.result === undefined) throw new Error("the bootstrap did not end");
  return [alice.result, bob.result];
}
