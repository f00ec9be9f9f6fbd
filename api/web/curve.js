// The small curve in a row: the validation error of a run on its full length of epochs, all rows on one scale.

import { get } from "./api.js";
import { svg } from "./dom.js";
import { lookOfM } from "./series.js";

const MOST_POINTS = 100;
const cache = new Map(); // run id -> {done, points: [[epoch, error]]}
const asked = new Map(); // run id -> promise

export const scale = { top: 0.9, bottom: 0.05, target: 0.06 }; // target: null when it lies far below all of them

const TARGET = 0.06;
const FAR = 4; // times the target

// All rows share one scale: it ends below the best of them, and begins where half of them have come below it.
export function fit(errors) {
  const sorted = [...errors].sort((a, b) => a - b);
  const least = sorted[0] ?? TARGET;
  scale.target = least > FAR * TARGET ? null : TARGET;
  scale.bottom = Math.max(Math.min(least, scale.target ? TARGET * 1.1 : 1) * 0.85, 0.001);
  scale.top = (sorted[Math.floor(sorted.length / 2)] ?? 0) < 0.25 ? 0.4 : 1;
}

export function known(id) {
  return cache.get(id)?.points;
}

export function addPoint(id, epoch, error) {
  const entry = cache.get(id);
  if (entry) {
    entry.points = entry.points.filter(([at]) => at !== epoch);
    entry.points.push([epoch, error]);
    entry.done = epoch;
  }
}

export function forget(id) {
  cache.delete(id);
}

export async function load(run) {
  const entry = cache.get(run.id);
  if (entry && entry.done >= run.epochs_done) { return entry.points; }
  if (!asked.has(run.id)) {
    asked.set(run.id, get(`/runs/${run.id}/validation-error`, { points: MOST_POINTS }).then((curve) => {
      cache.set(run.id, { done: run.epochs_done, points: curve.epochs.map((epoch, i) => [epoch, curve.val_error[i]]) });
      return cache.get(run.id).points;
    }).finally(() => asked.delete(run.id)));
  }
  return asked.get(run.id);
}

export function draw(holder, run, points) {
  const width = 360;
  const height = holder.classList.contains("tall") ? 56 : 26;
  const x = (epoch) => (epoch / Math.max(1, run.epochs)) * (width - 6) + 2;
  const log = (value) => Math.log(Math.max(value, 1e-4));
  const span = log(scale.top) - log(scale.bottom);
  const y = (error) => 2 + (log(scale.top) - log(Math.min(Math.max(error, scale.bottom), scale.top))) / span * (height - 8);
  const look = lookOfM(run.m);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width: "100%", height, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (scale.target) { drawing.append(svg("line", { x1: 0, x2: width, y1: y(scale.target), y2: y(scale.target), stroke: "var(--rule)" })); }
  const good = points.filter(([, error]) => error != null);
  if (good.length > 0) {
    const path = good.map(([epoch, error]) => `${x(epoch).toFixed(1)},${y(error).toFixed(1)}`).join(" ");
    drawing.append(svg("polyline", { points: path, fill: "none", stroke: look.color, "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" }));
    const [epoch, error] = good.at(-1);
    drawing.append(svg("path", { d: `M${x(epoch).toFixed(1)} ${y(error).toFixed(1)}h0`, stroke: look.color, "stroke-width": 5, "stroke-linecap": "round", "vector-effect": "non-scaling-stroke" }));
  }
  if (run.epochs_done < run.epochs) { // the track: how much of the way is done
    const at = height - 2;
    drawing.append(svg("path", { d: `M1 ${at - 3}v3h${width - 4}v-3`, fill: "none", stroke: "var(--line)" }));
    drawing.append(svg("path", { d: `M1 ${at}H${x(run.epochs_done)}`, stroke: "var(--ink)", "stroke-width": 2 }));
  }
  holder.replaceChildren(drawing);
}
