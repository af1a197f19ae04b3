/** The server's side: `createServer` and `upgradeServer`, in the form of node:tls. */
import { Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { serverConfig, type ServerConfig } from "../channel/config.ts";
import { Channel } from "../channel/channel.ts";
import { TicketKeys } from "../channel/tickets.ts";
import type { Degradation } from "../handshake/policy.ts";
import { UsageError } from "../protocol/errors.ts";
import { flag } from "../protocol/options.ts";
import { redeemer, type Redeemer } from "../qkd/redeemer.ts";
import { borrowReads, type Reader } from "./borrowed-reads.ts";
import { peerTypes } from "./raw-keys.ts";
import { contextFor, contextOf, createSecureContext, inOurWords, SecureContext } from "./context.ts";
import { host, type ServerParts } from "./host.ts";
import type { OcspRequest } from "./ocsp.ts";
import { checkOptionNames, CONTEXT_OPTIONS, NET_OPTIONS, SERVER_OPTIONS } from "./option-names.ts";
import { streamOptions, type ContextOptions, type QkdOptions, type ServerOptions } from "./options.ts";
import { outputMemory } from "./slabs.ts";
import { QkdTlsSocket } from "./socket.ts";

/** One for all connections of a process; below it nobody is throttled who is not attacking. */
const LOOKUPS_PER_PEER_PER_MINUTE = 6000;

/** What the connections of one server share: context, configuration, ticket keys and the guard of the key source. */
export class ServerSide {
  #context: SecureContext;
  /** By server name, the newest first. */
  readonly #named: { readonly name: string; readonly context: SecureContext }[] = [];
  #keyLog: boolean;
  readonly #stream: ReturnType<typeof streamOptions>;
  readonly #options: ServerOptions;
  #parts: ServerParts;
  #closed = false;
  readonly #tickets: TicketKeys | undefined;
  #config: ServerConfig;

  /** Throws a UsageError for an option that is wrong, unknown or not supported. */
  constructor(options: ServerOptions, where: string) {
    checkOptionNames(options, [...SERVER_OPTIONS, ...NET_OPTIONS], where);
    this.#options = options;
    this.#context = contextOf(options);
    this.#stream = streamOptions(options);
    flag(options, "requestCert", false);
    const { qkd } = this.#context.options;
    const { SNICallback = (name, done) => done(null, this.#contextFor(name)) } = options;
    this.#parts = {
      options: { ...options, SNICallback },
      ...(qkd === undefined ? {} : { redeemer: guard(qkd) }),
    };
    this.#tickets =
      options.tickets === false || options.tickets === 0 || options.ticketStore !== undefined
        ? undefined
        : new TicketKeys({
            provider: this.#context.provider,
            now: Date.now,
            ...(options.ticketKeys === undefined ? {} : { shared: options.ticketKeys }),
          });
    this.#keyLog = this.#context.options.keylog ?? false;
    this.#config = this.#makeConfig();
  }

  /** Begins a server's handshake over a connected stream; `feed` is another way than `data` events to get its bytes. */
  accept(transport: Duplex, feed?: (reader: Reader) => boolean): QkdTlsSocket {
    const options = this.#options;
    const { lend, sent } = outputMemory(transport);
    return new QkdTlsSocket({
      channel: Channel.server(this.#config, lend),
      host: host(this.#context, this.#parts, options.signal === undefined ? {} : { signal: options.signal }),
      transport,
      provider: this.#context.provider,
      ...this.#stream,
      sent,
      ...(feed === undefined ? {} : { feed }),
    });
  }

  /** From now on whoever listens is asked what to staple. */
  answerOcsp(ocspRequest: OcspRequest): void {
    this.#parts = { ...this.#parts, ocspRequest };
    this.#config = this.#makeConfig();
  }

  /** Key log lines are made only while somebody wants them. */
  logKeys(): void {
    this.#keyLog = true;
    this.#config = this.#makeConfig();
  }

  /** The certificates to show to clients that ask for this name. */
  addContext(hostname: string, context: SecureContext | ContextOptions): void {
    const own = context instanceof SecureContext ? context : createSecureContext(context);
    this.#named.unshift({ name: hostname.toLowerCase(), context: own });
    this.#config = this.#makeConfig();
  }

  #contextFor(serverName: string): SecureContext | undefined {
    const parent = serverName.slice(serverName.indexOf("."));
    return this.#named.find(({ name }) => name === serverName || name === `*${parent}`)?.context;
  }

  /** What new connections are served with; what is not given stays as it was. */
  setSecureContext(options: ContextOptions): void {
    checkOptionNames(options, CONTEXT_OPTIONS, "setSecureContext");
    if (options.qkd !== undefined) {
      throw new UsageError(
        "ERR_OPTION_UNSUPPORTED",
        "setSecureContext: the key source of a server stays the same",
        { option: "qkd" },
      );
    }
    const before = this.#context;
    this.#context = contextFor({ ...before.options, ...options });
    try {
      this.#config = this.#makeConfig();
    } catch (error) {
      this.#context = before;
      throw error;
    }
  }

  /** 48 bytes; tickets under the keys before them are still opened once more. */
  setTicketKeys(keys: Uint8Array): void {
    if (this.#tickets === undefined)
      throw new UsageError("ERR_STATE", "setTicketKeys: this server issues no stateless tickets");
    this.#tickets.replace(keys);
  }

  get redeemer(): Redeemer | undefined {
    return this.#parts.redeemer;
  }

  close(): void {
    this.#parts.redeemer?.close();
    this.#closed = true;
  }

  /** After `close`: a new guard, for the source itself hands out each key only once. */
  reopen(): void {
    const { qkd } = this.#context.options;
    if (this.#closed && qkd !== undefined) this.#parts = { ...this.#parts, redeemer: guard(qkd) };
    this.#closed = false;
  }

  #makeConfig(): ServerConfig {
    const options = this.#options;
    const own = this.#context.options;
    const { qkd } = own;
    const reject = own.rejectUnauthorized ?? true;
    const make = (): ServerConfig =>
      serverConfig({
        ...this.#context.shared,
        credentials: this.#context.credentials,
        asksForIdentity: options.SNICallback !== undefined || this.#named.length > 0,
        asksForPsk: options.pskCallback !== undefined,
        asksForOcsp: this.#parts.ocspRequest !== undefined,
        clientAuth: options.requestCert === true ? (reject ? "require" : "request") : "none",
        clientCertificateTypes: peerTypes(own, "clientCertificateTypes", options.clientCertificateTypes),
        ...(qkd === undefined
          ? {}
          : {
              qkd: {
                sae: qkd.sae ?? qkd.source.sae,
                ...(qkd.form === undefined ? {} : { form: qkd.form }),
                ...(qkd.rawHash === undefined ? {} : { rawHash: qkd.rawHash }),
                ...(qkd.authenticates === undefined ? {} : { authenticates: qkd.authenticates }),
              },
            }),
        requestSCT: options.requestSCT ?? false,
        tickets: this.#ticketOptions(),
        honorOwnOrder: options.honorCipherOrder ?? true,
        demandsCookie: options.demandsCookie ?? false,
        keyLog: this.#keyLog,
      });
    return inOurWords(make);
  }

  #ticketOptions() {
    const { tickets, sessionTimeout, ticketStore } = this.#options;
    if (this.#tickets === undefined && ticketStore === undefined) return false as const;
    return {
      ...(typeof tickets === "number" ? { count: tickets } : {}),
      ...(sessionTimeout === undefined ? {} : { lifetimeSeconds: sessionTimeout }),
      ...(this.#tickets === undefined ? {} : { sealer: this.#tickets }),
    };
  }
}

function guard(qkd: QkdOptions): Redeemer {
  return redeemer(qkd.source, {
    allow: qkd.allow ?? (() => true),
    maxPerPeerPerMinute: qkd.maxPerPeerPerMinute ?? LOOKUPS_PER_PEER_PER_MINUTE,
    ...(qkd.timeoutMs === undefined ? {} : { timeoutMs: qkd.timeoutMs }),
    ...(qkd.maxConcurrent === undefined ? {} : { maxConcurrent: qkd.maxConcurrent }),
  });
}

/**
 * A server of channels, in the form of tls.Server: `secureConnection` brings each socket whose handshake is done,
 * `tlsClientError` each handshake that failed, and `degraded` what a connection is about to do without, with its socket.
 * `OCSPRequest` asks for the OCSP answer to show a client that wants one: certificate, issuer or null, callback.
 */
export class QkdTlsServer extends NetServer {
  readonly #side: ServerSide;

  constructor(options: ServerOptions, listener?: (socket: QkdTlsSocket) => void) {
    const side = new ServerSide(options, "createServer");
    super({ noDelay: true, ...netOptions(options), allowHalfOpen: true });
    this.#side = side;
    this.on("connection", (transport: Socket) => this.#accept(transport));
    this.on("newListener", (event: string) => {
      if (event === "keylog") side.logKeys();
      if (event === "OCSPRequest") side.answerOcsp((...request) => this.emit("OCSPRequest", ...request));
    });
    this.on("close", () => side.close());
    this.on("listening", () => side.reopen());
    if (listener !== undefined) this.on("secureConnection", listener);
    if (options.signal !== undefined) this.#closeOn(options.signal);
  }

  /** As net.Server's `listen` does with its own signal. */
  #closeOn(signal: AbortSignal): void {
    const close = (): void => void this.close();
    if (signal.aborted) this.on("listening", close);
    else {
      signal.addEventListener("abort", close, { once: true });
      this.once("close", () => signal.removeEventListener("abort", close));
    }
  }

  #accept(transport: Socket): void {
    const socket = this.#side.accept(transport, (reader) => borrowReads(transport, reader));
    const failed = (error: Error): void => {
      this.emit("tlsClientError", error, socket);
    };
    const cut = (): void => {
      if (!socket.errored)
        failed(Object.assign(new Error("the client left during the handshake"), { code: "ECONNRESET" }));
    };
    socket.once("error", failed);
    socket.once("close", cut);
    socket.on("keylog", (line: Buffer) => this.emit("keylog", line, socket));
    socket.on("degraded", (degraded: readonly Degradation[]) => this.emit("degraded", degraded, socket));
    socket.once("secure", () => {
      socket.removeListener("error", failed);
      socket.removeListener("close", cut);
      this.emit("secureConnection", socket);
    });
  }

  /** 48 bytes that servers share. As in node:tls. */
  setTicketKeys(keys: Uint8Array): void {
    this.#side.setTicketKeys(keys);
  }

  /** Ticket keys are not given out: make 48 random bytes and give them to each server. Throws a UsageError. */
  getTicketKeys(): never {
    throw new UsageError(
      "ERR_OPTION_UNSUPPORTED",
      "getTicketKeys: ticket keys are never given out; give the same 48 random bytes to each server",
    );
  }

  /** Certificates for clients that ask for this name, or for `*.` and one label. As in node:tls. */
  addContext(hostname: string, context: SecureContext | ContextOptions): void {
    this.#side.addContext(hostname, context);
  }

  /** Certificates, anchors and the like for new connections; what is not given stays. Throws a UsageError. */
  setSecureContext(options: ContextOptions): void {
    this.#side.setSecureContext(options);
  }

  /** The guard of the key source, with its counters; undefined without QKD. */
  get redeemer(): Redeemer | undefined {
    return this.#side.redeemer;
  }
}

/** Throws a UsageError for an option that is wrong, unknown or not supported. */
export function createServer(
  options: ServerOptions,
  listener?: (socket: QkdTlsSocket) => void,
): QkdTlsServer {
  return new QkdTlsServer(options, listener);
}

/** Wraps a stream that a client is connected to. `secure` says that the channel stands. */
export function upgradeServer(stream: Duplex, options: ServerOptions | ServerSide): QkdTlsSocket {
  const side = options instanceof ServerSide ? options : new ServerSide(options, "upgradeServer");
  return side.accept(stream);
}

function netOptions(options: ServerOptions): object {
  const { noDelay, keepAlive, keepAliveInitialDelay, pauseOnConnect } = options;
  return Object.fromEntries(
    Object.entries({ noDelay, keepAlive, keepAliveInitialDelay, pauseOnConnect }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}
