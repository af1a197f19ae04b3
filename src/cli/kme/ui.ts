/** `qkd-tls kme --ui`: the page, the metrics and the health of the KMEs that run here. */

import type { Command } from "commander";
import { type Page, startPage } from "../../kme/page/server.ts";
import type { Watched } from "../../kme/page/watched.ts";
import { needed, parseEndpoint } from "../value.ts";

export interface UiFlags {
  /** True without a value. */
  readonly ui?: string | true;
  readonly uiExpose?: readonly string[] | true;
}

const DEFAULT = "127.0.0.1:8480";

/** Adds its options to a command. */
export function uiOptions(command: Command): Command {
  return command
    .option(
      "--ui [host:port]",
      `serve a page of live figures, /metrics and /healthz over plain HTTP (default: ${DEFAULT})`,
    )
    .option(
      "--ui-expose [name...]",
      "let --ui be reached from other machines, by address or under these names: to look at, without the controls",
    );
}

/** Starts the page where --ui asks for one. Throws UsageError. */
export async function startUi({ ui, uiExpose }: UiFlags, watched: Watched): Promise<Page | undefined> {
  if (ui === undefined) {
    if (uiExpose !== undefined) throw needed("--ui", "--ui-expose says who may see it");
    return undefined;
  }
  const listen = parseEndpoint(ui === true ? DEFAULT : ui, "--ui");
  return startPage({ watched, listen, ...(uiExpose && { expose: uiExpose === true ? [] : uiExpose }) });
}

/** Where the page is, for people or programs. */
export function uiLine({ url }: Page, json: boolean): string {
  return json ? JSON.stringify({ event: "ui", url }) : `Page: ${url} (metrics, healthz)`;
}
