import { spawn, type ChildProcess } from "node:child_process";
import type { QkdTlsSocket } from "../../node/socket.ts";

/** How long a command may take to end after its connection has. */
const GRACE_MS = 2000;

/**
 * Runs a command of the shell for each connection, with the channel as its standard input and output.
 * It finds what protects the connection as JSON in QKD_TLS_SECURITY, and the peer in QKD_TLS_REMOTE.
 */
export function exec(command: string): (socket: QkdTlsSocket) => void {
  return (socket) => {
    const child = spawn(command, {
      shell: true,
      // A group of its own, so that what the shell started ends with it.
      detached: process.platform !== "win32",
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        ...process.env,
        QKD_TLS_SECURITY: JSON.stringify(socket.security),
        QKD_TLS_REMOTE: `${socket.remoteAddress ?? ""} ${socket.remotePort ?? ""}`,
      },
    });
    child.once("error", (error) => socket.destroy(error));
    // A command that does not read all of its input is no failure.
    child.stdin.on("error", () => socket.resume());
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
    socket.once("close", () => stop(child));
  };
}

function stop(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.destroy();
  child.stdout?.destroy();
  signal(child, "SIGTERM");
  const timer = setTimeout(() => signal(child, "SIGKILL"), GRACE_MS);
  child.once("exit", () => clearTimeout(timer));
}

function signal(child: ChildProcess, name: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === "win32") child.kill(name);
    else process.kill(-child.pid, name);
  } catch {
    // It has ended meanwhile.
  }
}
