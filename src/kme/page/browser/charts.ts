/** The three charts, drawn by uPlot, which the page loads as a script of its own. */

import type UPlot from "uplot";
import type { BlockFigures, Figures, Sample } from "../figures.ts";
import { element } from "./elements.ts";
import { count } from "./words.ts";

declare const uPlot: typeof UPlot;

const HEIGHT = 200;
/** What the time axis spans: five minutes at most, one at least. In seconds. */
const LONGEST = 300;
const SHORTEST = 60;
const TICK_GAP = 64;
const FONT = "12px system-ui, sans-serif";

type Range = readonly [from: number, to: number];

interface Chart {
  readonly box: HTMLElement;
  readonly unit: string;
  /** One drawing style for each series. */
  readonly series: readonly UPlot.Series[];
  /** Highest value of the axis. */
  readonly top: (figures: Figures) => number;
  readonly data: (figures: Figures) => UPlot.AlignedData;
  /** On top of the lines. */
  readonly draw?: (plot: UPlot, figures: Figures) => void;
}

/** Charts that are drawn anew with each call. */
export class Charts {
  #plots: { readonly chart: Chart; readonly plot: UPlot }[] = [];
  #figures: Figures | undefined;
  /** What the charts were made for; other series need other charts. */
  #made = "";

  constructor() {
    const again = (): void => {
      this.#made = "";
      if (this.#figures !== undefined) this.show(this.#figures);
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    const fit = new ResizeObserver(() => {
      for (const { chart, plot } of this.#plots)
        plot.setSize({ width: chart.box.clientWidth, height: HEIGHT });
    });
    for (const box of document.querySelectorAll(".chart")) fit.observe(box);
  }

  show(figures: Figures): void {
    this.#figures = figures;
    const wanted = JSON.stringify([figures.link !== undefined, figures.stock.length]);
    if (wanted !== this.#made) this.#make(figures);
    this.#made = wanted;
    for (const { chart, plot } of this.#plots) {
      plot.setData(chart.data(figures), false);
      const [from, to] = spanOf(figures);
      plot.batch(() => {
        plot.setScale("x", { min: from, max: to });
        plot.setScale("y", { min: 0, max: chart.top(figures) });
      });
    }
  }

  #make(figures: Figures): void {
    for (const { plot } of this.#plots) plot.destroy();
    const colours = coloursOf();
    const charts = [stockChart(figures, colours)];
    if (figures.link !== undefined) charts.push(qberChart(colours), rateChart(colours));
    this.#plots = charts.map((chart) => ({
      chart,
      plot: new uPlot(
        optionsOf(chart, colours, () => this.#figures ?? figures),
        chart.data(figures),
        chart.box,
      ),
    }));
  }
}

interface Colours {
  readonly ink: string;
  readonly grid: string;
  readonly bad: string;
  readonly series: readonly [string, string];
}

function coloursOf(): Colours {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: colour("soft"),
    grid: colour("grid"),
    bad: colour("bad"),
    series: [colour("series-1"), colour("series-2")],
  };
}

function spanOf({ at, samples }: Figures): Range {
  const to = at / 1000;
  const since = (samples[0]?.at ?? at) / 1000;
  return [Math.min(Math.max(since, to - LONGEST), to - SHORTEST), to];
}

function optionsOf(chart: Chart, { ink, grid }: Colours, figures: () => Figures): UPlot.Options {
  const { draw } = chart;
  const axis = {
    stroke: ink,
    font: FONT,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
  };
  return {
    width: chart.box.clientWidth,
    height: HEIGHT,
    // Room for half of a time beyond the last tick.
    padding: [10, 30, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { auto: false } },
    axes: [
      { ...axis, space: TICK_GAP, size: 30, values: "{HH}:{mm}:{ss}" },
      {
        ...axis,
        values: (_, ticks) => ticks.map(tickText),
        label: chart.unit,
        labelFont: FONT,
        labelSize: 20,
        size: (_, texts) => widest(texts),
      },
    ],
    series: [{}, ...chart.series],
    hooks: { draw: draw === undefined ? [] : [(plot) => draw(plot, figures())] },
  };
}

function qberChart({ series: [colour], bad }: Colours): Chart {
  const x = (block: BlockFigures): number => block.at / 1000;
  return {
    box: element("#qber .chart"),
    unit: "QBER in %",
    series: [{ stroke: colour, width: 2, points: { show: true, size: 5, fill: colour }, spanGaps: true }],
    top: ({ blocks, link }) =>
      100 * Math.max(2 * (link?.qberThreshold ?? 0), ...blocks.map((block) => 1.15 * (block.qberCheck ?? 0))),
    data: ({ blocks }) => [
      blocks.map(x),
      blocks.map(({ outcome, qberCheck }) =>
        outcome === "key" && qberCheck !== undefined ? 100 * qberCheck : null,
      ),
    ],
    draw(plot, { blocks, link }) {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = bad;
      ctx.lineWidth = 2 * devicePixelRatio;
      for (const block of blocks) {
        if (block.outcome === "key") continue;
        const left = plot.valToPos(x(block), "x", true);
        // One that never got so far as to be judged lies on the ground.
        if (left >= bbox.left) cross(ctx, left, plot.valToPos(100 * (block.qberCheck ?? 0), "y", true));
      }
      if (link !== undefined) {
        const top = plot.valToPos(100 * link.qberThreshold, "y", true);
        ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, top);
        ctx.lineTo(bbox.left + bbox.width, top);
        ctx.stroke();
      }
      ctx.restore();
    },
  };
}

function cross(ctx: CanvasRenderingContext2D, x: number, y: number): void {
  const arm = 4 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x - arm, y - arm);
  ctx.lineTo(x + arm, y + arm);
  ctx.moveTo(x - arm, y + arm);
  ctx.lineTo(x + arm, y - arm);
  ctx.stroke();
}

function rateChart({ series: [colour] }: Colours): Chart {
  const rate = ({ keyBitsPerSecond }: Sample): number => keyBitsPerSecond / 1000;
  return {
    box: element("#rate .chart"),
    unit: "kbit/s",
    series: [{ stroke: colour, width: 2, points: { show: false } }],
    top: ({ samples }) => headroom(samples.map(rate)),
    data: ({ samples }) => [samples.map(({ at }) => at / 1000), samples.map(rate)],
  };
}

function stockChart({ stock }: Figures, { series: colours }: Colours): Chart {
  return {
    box: element("#stock .chart"),
    unit: "blocks of key",
    series: stock.map((_, at) => ({
      stroke: colours[at % 2] ?? "",
      width: 2,
      points: { show: false },
      // Colour is not the only sign.
      ...(at % 2 === 1 && { dash: [6, 4] }),
    })),
    top: ({ samples }) => headroom(samples.flatMap(({ blocks }) => blocks)),
    data: ({ samples }) => [
      samples.map(({ at }) => at / 1000),
      ...stock.map((_, at) => samples.map(({ blocks }) => blocks[at] ?? 0)),
    ],
  };
}

const tickText = (tick: number): string => (Number.isInteger(tick) ? count(tick) : String(tick));

/** What the texts at the ticks need beside the unit; uPlot asks before it has any. */
const widest = (texts: readonly string[] | null): number =>
  16 + 8 * Math.max(3, ...(texts ?? []).map((text) => text.length));

const headroom = (values: readonly number[]): number => Math.max(1, 1.1 * Math.max(0, ...values));
