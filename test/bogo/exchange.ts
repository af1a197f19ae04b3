/** One connection: the handshake, what is said after it, and the checks that the runner leaves to us. */
import { connect, type Socket } from "node:net";
import { Channel } from "../../src/channel/channel.ts";
import type { ChannelEvent } from "../../src/channel/events.ts";
import type { ClientConfig, ServerConfig } from "../../src/channel/config.ts";
import type { Question } from "../../src/handshake/question.ts";
import { encodeSession } from "../../src/handshake/session.ts";
import type { Setting } from "./configure.ts";
import { checkEnd, checkHandshake } from "./expectations.ts";
import type { Flags } from "./flags.ts";
import { answer } from "./host.ts";

/** What a connection leaves behind; `session` is the newest one that a client was given. */
export interface Left {
  readonly session?: Uint8Array;
}

/** Runs a connection to its end. Rejects with what went wrong, on the wire or in what was expected. */
export function exchange(flags: Flags, setting: Setting, resumes: boolean): Promise<Left> {
  return new Promise((resolve, reject) => new Exchange(flags, setting, resumes).run(resolve, reject));
}

class Exchange {
  readonly #flags: Flags;
  readonly #setting: Setting;
  readonly #resumes: boolean;
  readonly #socket: Socket;
  readonly #channel: Channel;
  #session: Uint8Array | undefined;
  #failed: Error | undefined;
  #over = false;
  /** What we sent is not let go before something came. */
  #holding = false;

  constructor(flags: Flags, setting: Setting, resumes: boolean) {
    this.#flags = flags;
    this.#setting = setting;
    this.#resumes = resumes;
    this.#socket = connect({ port: flags.port, host: flags.ipv6 ? "::1" : "127.0.0.1", allowHalfOpen: true });
    this.#channel = flags.server
      ? Channel.server(setting.config as ServerConfig)
      : Channel.client(setting.config as ClientConfig);
  }

  run(resolve: (left: Left) => void, reject: (error: Error) => void): void {
    this.#socket.setNoDelay(true);
    this.#socket.on("connect", () => {
      const id = Buffer.alloc(8);
      id.writeBigUInt64LE(this.#flags.shimId);
      this.#socket.write(id);
      if (!this.#flags.server) this.#take(this.#channel.start());
      this.#flush();
    });
    this.#socket.on("data", (bytes) => this.#receive(bytes));
    this.#socket.on("end", () => this.#onEnd());
    // The runner may go before it has read our last words.
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      if (!this.#over) this.#onEnd();
      if (this.#failed !== undefined) reject(this.#failed);
      else resolve(this.#session === undefined ? {} : { session: this.#session });
    });
  }

  #receive(bytes: Uint8Array): void {
    const step = this.#flags.async ? 1 : bytes.length;
    for (let at = 0; at < bytes.length && !this.#over; at += step) {
      this.#take(this.#channel.receive(bytes.subarray(at, at + step)));
    }
    this.#flush();
  }

  /** A peer that leaves without close_notify is a truncation, which only some tests want to hear of. */
  #onEnd(): void {
    if (!this.#over) {
      const forgiven = this.#channel.state === "connected" && !this.#flags.checkCloseNotify;
      if (forgiven) this.#finish();
      else this.#take(this.#channel.endOfInput());
    }
    this.#flush();
    this.#socket.end();
  }

  #take(events: readonly ChannelEvent[]): void {
    for (const event of events) {
      if (this.#over) return;
      this.#guard(() => this.#on(event));
    }
  }

  #on(event: ChannelEvent): void {
    switch (event.event) {
      case "question":
        this.#reply(event.question);
        return;
      case "connected":
        checkHandshake(event.established, this.#flags, this.#setting.credentials, this.#resumes);
        this.#begin();
        return;
      case "data":
        this.#echo(event.bytes);
        return;
      case "session":
        this.#session = encodeSession(event.session);
        return;
      case "end":
        this.#finish();
        return;
      case "error":
        this.#fail(event.error);
        return;
      case "store_ticket":
      case "qkd_key_used":
      case "key_update":
      case "key_log":
        return;
    }
  }

  #reply(question: Question): void {
    const reply = (): void => {
      try {
        this.#take(this.#channel.answer(answer(question, this.#flags, this.#setting.credentials)));
      } catch (error) {
        this.#take(this.#channel.refuse(error as Error));
      }
      this.#flush();
    };
    if (this.#flags.async) setImmediate(reply);
    else reply();
  }

  /** What the runner wants said before it is listened to. */
  #begin(): void {
    const flags = this.#flags;
    const channel = this.#channel;
    if (flags.exportBytes > 0) {
      const context = flags.useExportContext ? Buffer.from(flags.exportContext, "latin1") : new Uint8Array(0);
      channel.send(channel.exportKeyingMaterial(flags.exportLabel, context, flags.exportBytes));
    }
    if (flags.exportTrafficSecrets) this.#sendSecrets();
    // The handshake goes first.
    this.#flush();
    this.#holding = flags.readsBeforeWriting;
    if (flags.differentRecordSizes) {
      for (const bytes of [0, 1, 255, 256, 257, 16383, 16384, 16385, 32767, 32768, 32769]) {
        channel.send(new Uint8Array(bytes).fill(0x42));
      }
    } else if (flags.shimWritesFirst) {
      for (let sent = 0; sent < flags.initialWrites; sent++)
        channel.send(Buffer.from(flags.initialWrite, "latin1"));
    }
    if (flags.keyUpdateBeforeRead) this.#take(channel.updateKeys());
    if (!flags.shimShutsDown) return;
    channel.close();
    if (!flags.checkCloseNotify) this.#finish();
  }

  #sendSecrets(): void {
    const secrets = this.#channel.established?.secrets;
    if (secrets === undefined) return;
    const { clientTraffic, serverTraffic } = secrets;
    const length = Buffer.alloc(2);
    length.writeUInt16LE(clientTraffic.length);
    const [read, write] = this.#flags.server
      ? [clientTraffic, serverTraffic]
      : [serverTraffic, clientTraffic];
    this.#channel.sendAll([length, read, write]);
  }

  #echo(bytes: Uint8Array): void {
    this.#holding = false;
    if (this.#flags.shimShutsDown) throw new Error("application data after our close_notify");
    if (this.#flags.keyUpdate) this.#take(this.#channel.updateKeys());
    this.#channel.send(bytes.map((byte) => byte ^ 0xff));
    if (this.#flags.keyUpdateBeforeRead) this.#take(this.#channel.updateKeys());
  }

  #finish(): void {
    this.#over = true;
    checkEnd(this.#session !== undefined, this.#flags);
    this.#channel.close();
    this.#flush();
    this.#socket.end();
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#over = true;
    this.#holding = false;
    this.#failed ??= error;
    this.#flush();
    this.#socket.end();
  }

  #flush(): void {
    if (this.#holding) return;
    for (const bytes of this.#channel.takeOutput()) if (this.#socket.writable) this.#socket.write(bytes);
  }
}
