/** The program that BoGo's runner starts for each of its tests: our channel, told by flags what to do. */
import { TicketKeys } from "../../src/channel/tickets.ts";
import { nodeProvider } from "../../src/crypto/node.ts";
import { configure } from "./configure.ts";
import { exchange } from "./exchange.ts";
import { parseFlags, Unimplemented } from "./flags.ts";

/** The runner's own number for a test that the shim does not know how to do. */
const UNIMPLEMENTED = 89;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("-is-handshaker-supported")) {
    console.log("No");
    return;
  }
  const { first, resumed } = parseFlags(args);
  const provider = nodeProvider();
  // It stands still but for the delays that the runner asks for, to the millisecond.
  let nowMs = Date.now();
  const now = (): number => nowMs;
  const ticketKeys = new TicketKeys({ provider, now });
  let session: Uint8Array | undefined;
  for (let round = 0; round <= first.resumeCount; round++) {
    const flags = round === 0 ? first : resumed;
    if (round > 0 && !flags.server && session === undefined) throw new Error("no session to offer");
    const setting = configure(flags, {
      provider,
      now,
      ticketKeys,
      ...(session === undefined ? {} : { session }),
    });
    ({ session } = await exchange(flags, setting, round > 0));
    nowMs += 1000 * flags.resumptionDelaySeconds;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const { code, alert, message } = error as Error & { code?: string; alert?: string };
  console.error([code, alert, message].filter((part) => part !== undefined).join(" "));
  process.exitCode = error instanceof Unimplemented ? UNIMPLEMENTED : 1;
}
