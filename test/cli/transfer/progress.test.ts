import { PassThrough } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { ProgressBars, Rate, sizeText, timeText } from "../../../src/cli/transfer/progress.ts";
import { checksums, summary } from "../../../src/cli/transfer/summary.ts";
import type { Report } from "../../../src/cli/transfer/report.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [150 * 1024, "150 KiB"],
  [1.5 * 2 ** 30, "1.5 GiB"],
  [2 ** 60, "1024 PiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

test.each([
  [0, "0:00"],
  [6.2, "0:07"],
  [62, "1:02"],
  [3723, "1:02:03"],
  [Number.POSITIVE_INFINITY, "--:--"],
  [Number.NaN, "--:--"],
  [1e9, "--:--"],
])("%d seconds are %s", (seconds, text) => {
  expect(timeText(seconds)).toBe(text);
});

test("the rate is that of the last seconds", () => {
  const rate = new Rate();
  expect(rate.perSecond(0, 0)).toBe(0);
  expect(rate.perSecond(1000, 1000)).toBe(1000);
  for (let second = 2; second <= 30; second++) rate.perSecond(1000 + (second - 1) * 50, second * 1000);
  expect(rate.perSecond(1000 + 30 * 50, 31_000)).toBe(50);
});

describe("bars", () => {
  const progress = {
    path: "a\u001b[31m",
    bytes: 50,
    totalBytes: 100,
    carriedBytes: 50,
    files: 0,
    totalFiles: 1,
  };

  function screen(isTTY: boolean) {
    const stream = Object.assign(new PassThrough(), {
      isTTY,
      columns: 120,
      rows: 24,
      cursorTo: () => true,
      moveCursor: () => true,
      clearLine: () => true,
      clearScreenDown: () => true,
    });
    let text = "";
    stream.on("data", (bytes: Buffer) => (text += bytes.toString()));
    return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
  }

  test("are drawn on a terminal, with rate and time left, and gone at the end", async () => {
    const { stream, text } = screen(true);
    const bars = new ProgressBars(stream);
    const bar = bars.start("peer");
    bar.update({ ...progress, bytes: 0, carriedBytes: 0 });
    bar.update({ ...progress, bytes: 100, carriedBytes: 100 });
    await vi.waitFor(() => expect(text()).toContain("100%"));
    bars.log("a line");
    bar.end();
    bars.stop();
    expect(text()).toMatch(/100%.*100 B of 100 B.*B\/s.*left.*peer/);
    expect(text()).not.toContain("\u001b[31m");
    bars.log("after");
    expect(text()).toMatch(/after\n$/);
  });

  test("that are interrupted are gone, draw no more and leave the cursor to what is said next", () => {
    vi.useFakeTimers();
    try {
      const { stream, text } = screen(true);
      const bars = new ProgressBars(stream);
      const [left, right] = [bars.start("one"), bars.start("two")];
      for (const bar of [left, right]) bar.update(progress);
      vi.advanceTimersByTime(500);
      expect(text()).toContain("50%");
      // As the commands do it: each transfer ends its bar, then all is stopped.
      left.end();
      right.end();
      bars.stop();
      expect(text()).toSatisfy((shown: string) => shown.endsWith("\u001b[0J"));
      // Lines wrap again.
      expect(text().lastIndexOf("\u001b[?7h")).toBeGreaterThan(text().lastIndexOf("\u001b[?7l"));
      const before = text();
      bars.log("qkd-tls: interrupted");
      vi.advanceTimersByTime(5000);
      left.update({ ...progress, bytes: 100 });
      vi.advanceTimersByTime(5000);
      expect(text()).toBe(`${before}qkd-tls: interrupted\n`);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test("are not drawn where nobody watches", () => {
    const { stream, text } = screen(false);
    const bars = new ProgressBars(stream);
    const bar = bars.start("peer");
    bar.update(progress);
    bars.log("a line");
    bar.end();
    bars.stop();
    expect(text()).toBe("a line\n");
  });
});

test("the summary counts, and names what failed and what was left out", () => {
  const report: Report = {
    files: [
      { path: "a", sizeBytes: 10, outcome: "stored", sha256: "aa", resumedBytes: 0 },
      { path: "b", sizeBytes: 5, outcome: "skipped", sha256: "bb", resumedBytes: 0 },
      {
        path: "c",
        sizeBytes: 5,
        outcome: "failed",
        resumedBytes: 0,
        error: { code: "ERR_TRANSFER_EXISTS", message: "exists" },
      },
    ],
    directories: 0,
    bytes: 15,
    carriedBytes: 10,
    seconds: 2,
    omitted: [{ path: "link", reason: "it is a symbolic link" }],
  };
  expect(summary("sent", report)).toBe(
    "sent 1 file, 1 there already, 1 FAILED, 15 B in 2.0 s (5 B/s), SHA-256 the same on both sides\n" +
      "failed: c: exists\nleft out: link: it is a symbolic link",
  );
  expect(checksums(report)).toBe("aa  a\nbb  b\n");
});
