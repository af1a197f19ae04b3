/** npx tsx examples/link/main.ts: what an eavesdropper costs, block by block, over 10 km of fibre. */
import { nodeProvider } from "qkd-tls";
import {
  Alice,
  Bob,
  type BlockRecord,
  Bootstrap,
  classicalChannel,
  preset,
  QuantumChannel,
  type Step,
} from "qkd-tls/link";

const provider = nodeProvider();
const random = (length: number): Uint8Array => provider.random(length);
const { optics } = preset("metro-10km");
const PULSES = 6_000_000;
const BATCHES = 10;

// The two parties prove to each other who they are, by a key that they were given beforehand.
const psk = provider.random(32);
const [alice, bob] = introduced("alice", "bob");
const fibre = new QuantumChannel(optics, random);

console.log("intercepted   QBER     secret bits   authentication bits spent");
for (const interceptShare of [0, 0.03, 0.1, 0.2, 0]) {
  fibre.lay({ ...optics.fibre, adversary: { interceptShare } });
  const { outcome, qber, secretBits, authentication } = block();
  const errors = qber === undefined ? "?" : `${(100 * qber.check).toFixed(1)} %`;
  const made = outcome === "key" ? String(secretBits) : outcome;
  console.log(
    `${`${100 * interceptShare} %`.padEnd(13)} ${errors.padEnd(8)} ${made.padEnd(21)} ${authentication.spentBits}`,
  );
}

/** One block of key: everything that the parties know of each other are these messages. */
function block(): BlockRecord {
  const toBob: Uint8Array[] = [];
  const toAlice: Uint8Array[] = [];
  let record: BlockRecord | undefined;
  const take = ({ send, ended, stopped }: Step, to: Uint8Array[]): void => {
    if (stopped !== undefined) throw stopped;
    to.push(...send);
    record = ended?.record ?? record;
    ended?.key?.fill(0); // Here it would go to a KME.
  };
  const carry = (): void => {
    while (toBob.length + toAlice.length > 0) {
      for (const message of toBob.splice(0)) take(bob.receive(message), toAlice);
      for (const message of toAlice.splice(0)) take(alice.receive(message), toBob);
    }
  };
  take(alice.open(BATCHES), toBob);
  carry();
  for (let batch = 0; batch < BATCHES; batch++) {
    const seen = fibre.send(PULSES);
    take(alice.sent(seen.alice), toBob);
    take(bob.detected(seen.bob), toAlice);
    carry();
  }
  if (record === undefined) throw new Error("the block did not end");
  return record;
}

function introduced(...names: readonly ["alice", "bob"]): [Alice, Bob] {
  const settings = names.map(
    (party) =>
      ({
        provider,
        party,
        trust: { kind: "psk", identity: "example", key: psk.slice(), exchange: true },
        method: "wegman-carter",
      }) as const,
  );
  const [ours, theirs] = settings;
  if (ours === undefined || theirs === undefined) throw new Error("two names, two settings");
  const [a, b] = [new Bootstrap(ours), new Bootstrap(theirs)];
  let [to, from] = [b, a];
  for (let messages = a.start(); messages.length > 0; [to, from] = [from, to]) {
    const receiver = to;
    messages = messages.flatMap((message) => receiver.receive(message));
  }
  if (a.result === undefined || b.result === undefined) throw new Error("the bootstrap did not end");
  const shared = {
    hash: provider.hash("sha256"),
    random,
    source: optics.source,
    qberThreshold: 0.05,
  };
  return [
    new Alice({ ...shared, channel: classicalChannel(ours, a.result), ledger: a.result.ledger }),
    new Bob({ ...shared, channel: classicalChannel(theirs, b.result), ledger: b.result.ledger }),
  ];
}
