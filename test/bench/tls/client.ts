/** The measuring client in a process of its own. */
import { download, handshakes, hold, resumptions, roundTrips, sleep, upload } from "./load.ts";
import { stack, type Identity, type StackName } from "./stacks.ts";

export interface Job {
  readonly stack: StackName;
  readonly identity: Identity;
  readonly port: number;
  readonly seconds: number;
  readonly row: "handshakes" | "resumptions" | "download" | "upload" | "roundTrips" | "hold";
  readonly inFlight?: number;
  readonly chunkBytes?: number;
  readonly count?: number;
}

process.on("message", (job: Job) => {
  run(job).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ failed: error instanceof Error ? error.message : String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));

async function run(job: Job): Promise<number> {
  const { identity, port, seconds } = job;
  const measured = stack(job.stack);
  switch (job.row) {
    case "handshakes":
      return handshakes(measured, identity, port, seconds, job.inFlight ?? 1);
    case "resumptions":
      return resumptions(measured, identity, port, seconds);
    case "download":
      return download(measured, identity, port, seconds);
    case "upload":
      await upload(measured, identity, port, seconds, job.chunkBytes ?? 65_536);
      return 0;
    case "roundTrips":
      return roundTrips(measured, identity, port, seconds);
    case "hold": {
      const sockets = await hold(measured, identity, port, job.count ?? 500);
      await sleep(0.2);
      process.send?.({ held: sockets.length });
      await sleep(60);
      return sockets.length;
    }
  }
}
