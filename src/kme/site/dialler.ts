import { connect, type Socket } from "node:net";
import { Pauses } from "../link-pace.ts";
import { netOptions, type Endpoint } from "./endpoint.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
const CONNECT_MS = 5000;
const KEEP_ALIVE_MS = 10_000;

/** Keeps one connection to a place: whenever it is gone, it is made anew after a pause that grows up to a bound. */
export class Dialler {
  readonly #endpoint: Endpoint;
  readonly #onSocket: (socket: Socket) => void;
  readonly #pauses = new Pauses(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `onSocket` is given each connection that stands; whatever it makes of it, it ends it by destroying it. */
  constructor(endpoint: Endpoint, onSocket: (socket: Socket) => void) {
    this.#endpoint = endpoint;
    this.#onSocket = onSocket;
    this.#dial();
  }

  /** The connection is of use: the next pause is short again. */
  isGood(): void {
    this.#pauses.reset();
  }

  /** Ends a pause. */
  hurry(): void {
    if (this.#timer === undefined || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#dial();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #dial(): void {
    this.#timer = undefined;
    const socket = connect({
      ...netOptions(this.#endpoint),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    this.#socket = socket;
    socket.setTimeout(CONNECT_MS, () => socket.destroy());
    // Why it failed is told by its being closed.
    socket.on("error", () => undefined);
    socket.once("connect", () => {
      socket.setTimeout(0);
      this.#onSocket(socket);
    });
    socket.once("close", () => {
      if (this.#isClosed) return;
      this.#timer = setTimeout(() => this.#dial(), this.#pauses.next());
    });
  }
}
