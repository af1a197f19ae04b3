/** Server-sent events to the pages that are open. */

import type { ServerResponse } from "node:http";
import type { Figures } from "./figures.ts";

export interface StreamLimits {
  readonly maxReaders: number;
  /** A reader that leaves more than this unread is dropped; it may come back for the whole. */
  readonly maxUnreadBytes: number;
}

export class Stream {
  readonly #limits: StreamLimits;
  readonly #readers = new Set<ServerResponse>();

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Sends the whole, and from now on what is new. False, with nothing sent, when there are too many readers. */
  join(response: ServerResponse, whole: Figures): boolean {
    if (this.#readers.size >= this.#limits.maxReaders) return false;
    this.#readers.add(response);
    response.once("close", () => this.#readers.delete(response));
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write(eventOf("whole", whole));
    return true;
  }

  tell(news: Figures): void {
    if (this.#readers.size === 0) return;
    const event = eventOf("news", news);
    for (const reader of this.#readers) {
      if (reader.writableLength > this.#limits.maxUnreadBytes) reader.destroy();
      else reader.write(event);
    }
  }

  close(): void {
    for (const reader of this.#readers) reader.destroy();
  }
}

/** JSON has no line ends of its own. */
const eventOf = (name: "whole" | "news", figures: Figures): string =>
  `event: ${name}\ndata: ${JSON.stringify(figures)}\n\n`;
