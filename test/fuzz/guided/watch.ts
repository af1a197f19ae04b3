/** A second thread that ends the process when an input takes for ever, and says which one it was. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const [COUNT, LENGTH] = [0, 1];
const HEADER_BYTES = 8;

/** Runs in the other thread, which sees the memory and nothing else. */
const WATCHING = `
  const { workerData: { memory, seconds, name, room } } = require("node:worker_threads");
  const { writeSync } = require("node:fs");
  const words = new Int32Array(memory, 0, 2);
  let last = -1;
  setInterval(() => {
    const now = Atomics.load(words, ${COUNT});
    if (now === last && now % 2 === 1) {
      const length = Math.min(Atomics.load(words, ${LENGTH}), room);
      const input = Buffer.from(memory, ${HEADER_BYTES}, length).toString("hex");
      writeSync(2, "fuzz: " + name + " did not come to an end within " + seconds + " s on the input " + input + "\\n");
      process.kill(process.pid, "SIGKILL");
    }
    last = now;
  }, 1000 * seconds);
`;

export class Watch {
  readonly #words: Int32Array;
  readonly #input: Uint8Array;
  readonly #worker: Worker;

  private constructor(memory: SharedArrayBuffer, worker: Worker) {
    this.#words = new Int32Array(memory, 0, 2);
    this.#input = new Uint8Array(memory, HEADER_BYTES);
    this.#worker = worker;
  }

  /** An input may take as long as this, or at most twice as long; `room` is for so many bytes of it. */
  static async start(name: string, seconds: number, room: number): Promise<Watch> {
    const memory = new SharedArrayBuffer(HEADER_BYTES + room);
    const workerData = { memory, seconds, name, room };
    const worker = new Worker(WATCHING, { eval: true, execArgv: [], workerData });
    // A thread that is still being made needs the one that makes it.
    await once(worker, "online");
    worker.unref();
    return new Watch(memory, worker);
  }

  /** Runs one input under watch. */
  during(input: Uint8Array, run: () => void): void {
    this.#input.set(input.subarray(0, this.#input.length));
    Atomics.store(this.#words, LENGTH, input.length);
    Atomics.add(this.#words, COUNT, 1);
    try {
      run();
    } finally {
      Atomics.add(this.#words, COUNT, 1);
    }
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
