/** What the caller's own code may do to a connection that asked it something: answer twice, late, never, or fail. */
import {
  createSecureContext,
  type ConnectOptions,
  type QkdTlsSocket,
  type ServerOptions,
} from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";
import { converse, portOf, reach, Served } from "./ends.ts";
import type { Fault } from "./fault.ts";

const own = credentials();
const context = createSecureContext({ cert: own.certPem, key: own.keyPem });

/** What one run has in hand: whoever is asked calls `asked`, and what `later` is given is done when all is over. */
interface Moment {
  readonly asked: () => void;
  readonly later: (act: () => void) => void;
}

interface Host {
  readonly server?: (moment: Moment) => Partial<ServerOptions>;
  readonly client?: (moment: Moment) => Partial<ConnectOptions>;
  /** The client leaves as soon as somebody was asked. */
  readonly leaves?: true;
  /** Without QKD, where the question would not come up. */
  readonly plain?: true;
}

const fault = (name: string, ends: Pick<Fault, "client" | "server">, host: Host): Fault => ({
  name,
  ...ends,
  async run({ asClient, asServer }) {
    const acts: (() => void)[] = [];
    // The last few sets of options are remembered, so what a function among them holds must be let go.
    const held: { client?: QkdTlsSocket } = {};
    const moment: Moment = { asked: () => void held.client?.destroy(), later: (act) => void acts.push(act) };
    const keys = host.plain !== true;
    const served = await Served.start({ ...(keys && asServer), ...host.server?.(moment) });
    const client = reach(served.port, { ...(keys && asClient), ...host.client?.(moment) });
    if (host.leaves === true) held.client = client;
    const port = await portOf(client);
    const ending = { client: await converse(client), server: await served.ending(port) };
    for (const act of acts.splice(0)) act();
    delete held.client;
    await served.close();
    return ending;
  },
});

type Sni = NonNullable<ServerOptions["SNICallback"]>;
type ServerHost = NonNullable<Host["server"]>;
const sni =
  (answer: (done: Parameters<Sni>[1], moment: Moment) => void): ServerHost =>
  (moment) => ({ SNICallback: (_, done) => answer(done, moment), handshakeTimeout: 400 });

const patient =
  (answer: (done: Parameters<Sni>[1], moment: Moment) => void): ServerHost =>
  (moment) => ({ SNICallback: (_, done) => answer(done, moment) });

const failure = (): Error => new Error("the host fails");
const DONE = { client: /^done$/, server: /^closed$/ };
const LEFT = /^(ERR_TLS_TRUNCATED|ECONNRESET|EPIPE)$/;
const TOLD = /^ERR_TLS_PEER_ALERT$/;

export const hostFaults: readonly Fault[] = [
  fault("SNICallback answers twice", DONE, {
    server: patient((done) => {
      done(null, context);
      done(null, context);
    }),
  }),
  fault("SNICallback answers, and then fails", DONE, {
    server: patient((done) => {
      done(null, context);
      done(failure());
    }),
  }),
  fault("SNICallback answers again when all is over", DONE, {
    server: patient((done, { later }) => {
      done(null, context);
      later(() => done(null, context));
    }),
  }),
  fault(
    "SNICallback fails",
    { client: TOLD, server: /^ERR_CERT_REQUIRED$/ },
    {
      server: patient((done) => done(failure())),
    },
  ),
  fault(
    "SNICallback answers what is no context",
    { client: TOLD, server: /^ERR_OPTION_INVALID$/ },
    {
      server: patient((done) => done(null, {} as never)),
    },
  ),
  fault(
    "SNICallback throws",
    { client: TOLD, server: /^untyped: the host fails$/ },
    {
      server: patient(() => {
        throw failure();
      }),
    },
  ),
  fault(
    "SNICallback never answers",
    { client: TOLD, server: /^ERR_TLS_TIMEOUT$/ },
    {
      server: sni(() => undefined),
    },
  ),
  fault(
    "SNICallback answers when the time is over",
    { client: TOLD, server: /^ERR_TLS_TIMEOUT$/ },
    {
      server: sni((done, { later }) => later(() => done(null, context))),
    },
  ),
  fault(
    "SNICallback answers when the client has left",
    { client: /^closed$/, server: LEFT },
    {
      server: patient((done, { asked, later }) => {
        later(() => done(null, context));
        asked();
      }),
      leaves: true,
    },
  ),
  fault(
    "verifyPeer fails",
    { client: /^ERR_CERT_UNTRUSTED$/, server: TOLD },
    {
      client: () => ({ verifyPeer: () => Promise.reject(failure()) }),
    },
  ),
  fault(
    "verifyPeer never answers",
    { client: /^ERR_TLS_TIMEOUT$/, server: /^(ERR_TLS_PEER_ALERT|ERR_TLS_TRUNCATED|ECONNRESET)$/ },
    {
      client: () => ({ verifyPeer: () => new Promise(() => undefined), handshakeTimeout: 400 }),
    },
  ),
  fault(
    "verifyPeer fails when its client has left",
    { client: /^closed$/, server: LEFT },
    {
      client: ({ asked, later }) => ({
        verifyPeer: () =>
          new Promise((_, reject) => {
            later(() => reject(failure()));
            setImmediate(asked);
          }),
      }),
      leaves: true,
    },
  ),
  fault(
    "pskCallback fails",
    { client: TOLD, server: /^untyped: the host fails$/ },
    {
      server: () => ({ pskCallback: () => Promise.reject(failure()) }),
      client: () => ({ ca: undefined as never, psk: { identity: "some", key: new Uint8Array(32) } }),
      plain: true,
    },
  ),
  fault(
    "pskCallback knows another key",
    { client: TOLD, server: /^ERR_TLS_DECRYPT$/ },
    {
      server: () => ({ pskCallback: () => new Uint8Array(32).fill(1) }),
      client: () => ({ ca: undefined as never, psk: { identity: "some", key: new Uint8Array(32) } }),
      plain: true,
    },
  ),
  fault("the ticket store fails", DONE, {
    server: () => ({
      ticketStore: { get: () => Promise.reject(failure()), set: () => Promise.reject(failure()) },
    }),
    plain: true,
  }),
  fault(
    "an external key never signs",
    { client: TOLD, server: /^ERR_TLS_TIMEOUT$/ },
    {
      server: () => ({ ...external(() => new Promise(() => undefined)), handshakeTimeout: 400 }),
    },
  ),
  fault(
    "an external key refuses",
    { client: TOLD, server: /^untyped: the host fails$/ },
    {
      server: () => external(() => Promise.reject(failure())),
    },
  ),
  fault(
    "an external key signs wrongly",
    { client: /^ERR_TLS_(DECRYPT|DECODE)$/, server: TOLD },
    {
      server: () => external(() => new Uint8Array(70).fill(7)),
    },
  ),
];

function external(
  sign: (algorithm: string, message: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Partial<ServerOptions> {
  const credential = { ...own.identity, key: "external" as const, sign };
  return { cert: undefined as never, key: undefined as never, credentials: [credential] };
}
