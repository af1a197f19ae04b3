/** The page: figures come as server-sent events, and are shown as they come. */

import type { Figures } from "../figures.ts";
import { Charts } from "./charts.ts";
import { Controls } from "./controls.ts";
import { element, setText } from "./elements.ts";
import { joined } from "./shown.ts";
import { showTables } from "./tables.ts";

const charts = new Charts();
const controls = new Controls();
let figures: Figures | undefined;

function show(now: Figures): void {
  figures = now;
  // First what is to be seen at all: a chart takes the width that its place has then.
  showTables(now);
  controls.show(now.link?.fibre, now.link?.hasControls ?? false);
  charts.show(now);
}

function say(state: "live" | "lost", text: string): void {
  element("#connection").dataset["state"] = state;
  setText("#connection", text);
}

const parsed = ({ data }: MessageEvent<string>): Figures => JSON.parse(data) as Figures; // our own server's
const events = new EventSource("events");
events.addEventListener("whole", (event: MessageEvent<string>) => {
  say("live", "live");
  show(parsed(event));
});
events.addEventListener("news", (event: MessageEvent<string>) => {
  const news = parsed(event);
  show(figures === undefined ? news : joined(figures, news));
});
events.addEventListener("error", () => {
  const isOver = events.readyState === EventSource.CLOSED;
  say("lost", isOver ? "refused: reload to try again" : "connection lost, trying again");
});
