/** The client's side: `connect`, in the form of tls.connect. */
import { connect as netConnect, type NetConnectOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { clientConfig, forConnection, type ClientConfig } from "../channel/config.ts";
import { Channel } from "../channel/channel.ts";
import { UsageError } from "../protocol/errors.ts";
import { LONGEST_MS, whole } from "../protocol/options.ts";
import { onread, type Reader } from "./borrowed-reads.ts";
import { callbackPsk, contextOf, inOurWords, SecureContext } from "./context.ts";
import { host } from "./host.ts";
import { checkOptionNames, CLIENT_OPTIONS, CONNECTION_OPTIONS, NET_OPTIONS } from "./option-names.ts";
import { listOf, streamOptions, type ConnectOptions } from "./options.ts";
import { NextKeyShares } from "./key-shares.ts";
import { peerTypes } from "./raw-keys.ts";
import { outputMemory } from "./slabs.ts";
import { QkdTlsSocket } from "./socket.ts";

/**
 * Connects, and wraps the connection in a channel. `secureConnect` says that it stands; `security` what protects it.
 * Throws a UsageError for an option that is wrong, unknown or not supported.
 */
export function connect(options: ConnectOptions, listener?: () => void): QkdTlsSocket;
export function connect(
  port: number,
  host?: string,
  options?: ConnectOptions,
  listener?: () => void,
): QkdTlsSocket;
export function connect(port: number, options?: ConnectOptions, listener?: () => void): QkdTlsSocket;
export function connect(...args: readonly unknown[]): QkdTlsSocket {
  const { options, listener } = readArguments(args);
  checkOptionNames(options, [...CLIENT_OPTIONS, ...NET_OPTIONS], "connect");
  const context = contextOf(options);
  const { config, shares } = inOurWords(() => connectionConfig(context, options));
  // The last of the options that may be refused; from here on there is a transport to look after.
  const stream = streamOptions(options);
  const timeoutMs = whole(options, "timeout", 0, 0, LONGEST_MS);
  const { transport, feed } = open(options);
  const { lend, sent } = outputMemory(transport);
  const socket = new QkdTlsSocket({
    channel: Channel.client(config, lend),
    host: host(context, undefined, options),
    transport,
    provider: context.provider,
    requestOCSP: options.requestOCSP ?? false,
    ...stream,
    sent,
    ...(feed === undefined ? {} : { feed }),
  });
  if (listener !== undefined) socket.once("secureConnect", listener);
  if (timeoutMs > 0) socket.setTimeout(timeoutMs);
  begin(socket, transport, options.signal, () => shares.handshakeBegun());
  return socket;
}

/** Wraps a stream that is already connected; the client's side. The same as `connect({ ...options, socket })`. */
export function upgradeClient(
  stream: Duplex,
  options: Omit<ConnectOptions, "socket">,
  listener?: () => void,
): QkdTlsSocket {
  return connect({ ...options, socket: stream }, listener);
}

function readArguments(args: readonly unknown[]): {
  readonly options: ConnectOptions;
  readonly listener?: () => void;
} {
  const last = args.at(-1);
  const listener = typeof last === "function" ? (last as () => void) : undefined;
  const rest = listener === undefined ? args : args.slice(0, -1);
  let options: ConnectOptions = {};
  for (const [index, arg] of rest.entries()) {
    if (typeof arg === "number" && index === 0) options = { ...options, port: arg };
    else if (typeof arg === "string" && index <= 1) options = { ...options, host: arg };
    else if (typeof arg === "object" && arg !== null) options = { ...options, ...arg };
    else if (arg !== undefined)
      throw new UsageError("ERR_OPTION_INVALID", `connect: argument ${index + 1} is a ${typeof arg}`);
  }
  return listener === undefined ? { options } : { options, listener };
}

/** Throws a UsageError for a callback that is none. */
function asksForIdentity({
  certificateCallback: callback,
}: {
  readonly certificateCallback?: unknown;
}): boolean {
  if (callback === undefined || callback === null) return false;
  if (typeof callback === "function") return true;
  const what = "certificateCallback must be a function";
  throw new UsageError("ERR_OPTION_INVALID", what, { option: "certificateCallback" });
}

const configs = new WeakMap<SecureContext, Map<string, NextKeyShares>>();

/** The configuration of this connection; all but the name and the session is computed once per context. */
function connectionConfig(
  context: SecureContext,
  options: ConnectOptions,
): { readonly config: ClientConfig; readonly shares: NextKeyShares } {
  const called = options.pskCallback?.(null) ?? undefined;
  const key = JSON.stringify([asksForIdentity(options), ...CONNECTION_OPTIONS.map((name) => options[name])]);
  const known = called === undefined ? configs.get(context)?.get(key) : undefined;
  const shares = known ?? new NextKeyShares(makeConfig(context, options, called));
  if (known === undefined && called === undefined) {
    const ofContext = configs.get(context) ?? new Map<string, NextKeyShares>();
    configs.set(context, ofContext.set(key, shares));
  }
  const { servername, host: name = "localhost", socket } = options;
  // As in node:tls a name is verified in any case. `servername: ""`, which https.Agent gives for addresses, only sends none.
  const silent =
    servername === "" || (servername === undefined && options.host === undefined && socket !== undefined);
  const config = forConnection(shares.config, {
    serverName: servername === undefined || servername === "" ? name : servername,
    ...(silent ? { sendServerName: false } : {}),
    ...(options.session === undefined ? {} : { session: options.session }),
  });
  return { config, shares };
}

function makeConfig(
  context: SecureContext,
  options: ConnectOptions,
  called: { readonly psk: Uint8Array; readonly identity: string } | undefined,
): ClientConfig {
  const own = context.options;
  const psks = [
    ...listOf(own.psk),
    ...(called === undefined ? [] : [callbackPsk(called.identity, called.psk)]),
  ];
  const qkd = own.qkd;
  if (qkd !== undefined && qkd.peer === undefined) {
    throw new UsageError("ERR_OPTION_MISSING", "qkd.peer: a client must name the SAE of its peer", {
      option: "qkd.peer",
    });
  }
  // With pre-shared keys and no anchors of its own, the caller means the keys to authenticate.
  const anchored = [own.ca, own.cert, own.rawPublicKeys, own.rawKey].some((given) => given !== undefined);
  const byPsk = psks.length > 0 && !anchored;
  return clientConfig({
    ...context.shared,
    psks,
    authentication: options.authentication ?? (byPsk ? "psk" : "certificate"),
    ...(qkd === undefined
      ? {}
      : {
          qkd: {
            sae: qkd.sae ?? qkd.source.sae,
            peer: qkd.peer as string,
            ...(qkd.form === undefined ? {} : { form: qkd.form }),
            ...(qkd.rawHash === undefined ? {} : { rawHash: qkd.rawHash }),
            ...(qkd.authenticates === undefined ? {} : { authenticates: qkd.authenticates }),
          },
        }),
    credentials: context.credentials,
    serverCertificateTypes: peerTypes(own, "serverCertificateTypes", options.serverCertificateTypes),
    ...(options.clientCertificateTypes === undefined
      ? {}
      : { clientCertificateTypes: options.clientCertificateTypes }),
    ...(options.keyShares === undefined ? {} : { keyShares: options.keyShares }),
    ...(options.middleboxCompatibility === undefined
      ? {}
      : { middleboxCompatibility: options.middleboxCompatibility }),
    asksForIdentity: asksForIdentity(options),
    insistsOnCertificate: options.insistsOnCertificate ?? false,
    permuteExtensions: options.permuteExtensions ?? false,
    requestOCSP: options.requestOCSP ?? false,
    requestSCT: options.requestSCT ?? false,
    resumption: options.resumption ?? true,
    acceptsUnverified: own.rejectUnauthorized === false,
    keyLog: own.keylog ?? true,
  });
}

/** The transport, and a way to have its bytes delivered without a copy where node:net offers one. */
function open(options: ConnectOptions): {
  readonly transport: Duplex;
  readonly feed?: (reader: Reader) => true;
} {
  if (options.socket !== undefined) return { transport: options.socket };
  const net: Record<string, unknown> = {};
  for (const name of NET_OPTIONS) {
    const value: unknown = options[name as never];
    if (value !== undefined && value !== null) net[name] = value;
  }
  if (net["path"] === undefined && net["port"] === undefined) {
    throw new UsageError("ERR_OPTION_MISSING", "connect: a port, a path or a socket is needed", {
      option: "port",
    });
  }
  let target: Reader = () => true;
  const transport: Socket = netConnect({
    noDelay: true,
    ...net,
    allowHalfOpen: true,
    onread: onread((bytes) => target(bytes)),
  } as unknown as NetConnectOpts); // The port or path is among the options copied above.
  const feed = (reader: Reader): true => {
    target = reader;
    return true;
  };
  return { transport, feed };
}

function begin(
  socket: QkdTlsSocket,
  transport: Duplex,
  signal: AbortSignal | undefined,
  begun: () => void,
): void {
  if (signal !== undefined) {
    const abort = (): void =>
      void socket.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
    if (signal.aborted) process.nextTick(abort);
    else {
      signal.addEventListener("abort", abort, { once: true });
      socket.once("close", () => signal.removeEventListener("abort", abort));
    }
  }
  const start = (): void => {
    if (socket.destroyed) return;
    socket.emit("connect");
    socket.emit("ready");
    socket.startHandshake();
    begun();
  };
  if ("connecting" in transport && transport.connecting === true) transport.once("connect", start);
  else process.nextTick(start);
}
