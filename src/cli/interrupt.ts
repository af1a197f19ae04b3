import { Interrupted } from "./output.ts";

/** A signal that the first SIGINT or SIGTERM aborts; the second one ends the process at once, as usual. */
export function interruption(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = (name: "SIGINT" | "SIGTERM"): void => {
    release();
    controller.abort(new Interrupted(name));
  };
  const release = (): void => {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return { signal: controller.signal, release };
}
