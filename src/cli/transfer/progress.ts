/** Progress bars on standard error; none where nobody watches. */
import { type MultiBar, MultiBar as Bars, type SingleBar } from "cli-progress";
import { printable } from "../output.ts";
import type { Progress } from "./report.ts";

const WINDOW_MS = 8000;

/** The speed of the last few seconds. Times are milliseconds of any clock that only goes forward. */
export class Rate {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** Bytes per second; 0 until there is something to measure. */
  perSecond(bytes: number, nowMs: number): number {
    this.#samples.push({ atMs: nowMs, bytes });
    while (this.#samples.length > 2 && nowMs - (this.#samples[0]?.atMs ?? 0) > WINDOW_MS)
      this.#samples.shift();
    const { atMs, bytes: before } = this.#samples[0] ?? { atMs: nowMs, bytes };
    return nowMs > atMs ? ((bytes - before) * 1000) / (nowMs - atMs) : 0;
  }
}

/** Bytes for people, in powers of 1024. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `1:02:03`, or `0:07`; `--:--` when nobody can say. */
export function timeText(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds > 359_999) return "--:--";
  const whole = Math.ceil(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}

export interface Bar {
  update(progress: Progress): void;
  end(): void;
}

/** The bars of all transfers that are under way, and the lines that scroll past above them. */
export class ProgressBars {
  readonly #bars: MultiBar | undefined;
  readonly #write: (text: string) => void;
  #live = 0;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#write = (text) => stream.write(text);
    if (!stream.isTTY) return;
    this.#bars = new Bars({
      stream,
      format: "{bar} {percentage}%  {done} of {all}  {rate}/s  {left} left  {name}",
      barsize: 24,
      fps: 8,
      clearOnComplete: true,
      forceRedraw: true,
      gracefulExit: false,
      autopadding: true,
    });
  }

  start(label: string): Bar {
    const bars = this.#bars;
    if (bars === undefined) return { update: () => undefined, end: () => undefined };
    const rate = new Rate();
    const name = printable(label);
    const bar: SingleBar = bars.create(1, 0, { done: "", all: "", rate: "-", left: "--:--", name });
    this.#live++;
    let drawnMs = Number.NEGATIVE_INFINITY;
    return {
      update: (progress) => {
        const nowMs = performance.now();
        // A bar is read by people; every message would be too often.
        if (nowMs - drawnMs < 100 && progress.bytes < progress.totalBytes) return;
        drawnMs = nowMs;
        bar.setTotal(Math.max(1, progress.totalBytes));
        bar.update(progress.bytes, payload(progress, rate.perSecond(progress.carriedBytes, nowMs), label));
      },
      end: () => {
        bars.remove(bar);
        this.#live--;
        this.#rest();
      },
    };
  }

  /** A line above the bars. */
  log(line: string): void {
    if (this.#bars !== undefined && this.#live > 0) this.#bars.log(`${line}\n`);
    else this.#write(`${line}\n`);
  }

  /** Ends all that is drawn, also where a transfer was interrupted. */
  stop(): void {
    this.#live = 0;
    this.#rest();
  }

  /** Without a bar the terminal is as it was, and nothing redraws it. */
  #rest(): void {
    if (this.#live > 0 || this.#bars?.isActive !== true) return;
    this.#bars.update(); // Lines that wait are shown.
    this.#bars.stop();
  }
}

function payload(
  { bytes, totalBytes, path, files, totalFiles }: Progress,
  perSecond: number,
  label: string,
): object {
  const current = totalFiles > 1 ? `${path} (${files}/${totalFiles})` : path;
  return {
    done: sizeText(bytes),
    all: sizeText(totalBytes),
    rate: sizeText(perSecond),
    left: timeText((totalBytes - bytes) / perSecond),
    name: printable(label === "" ? current : `${label}: ${current}`).slice(0, 80),
  };
}
