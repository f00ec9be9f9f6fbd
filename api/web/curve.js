// The small curve in a row: the validation error of a run on its full length of epochs, all rows on one scale.

import { get } from "./api.js";
import { svg } from "./dom.js";
import { lookOfM } from "./series.js";

const MOST_POINTS = 100;
const cache = new Map(); // run id -> {done, points: [[epoch, error]]}
const asked = new Map(); // run id -> promise

export const scale = { top: 0.9, bottom: 0.05, target: 0.06 };

// All rows share one scale: it ends below the best of them, and begins where most are after the first epochs.
export function fit(errors) {
  const least = Math.min(...errors, scale.target * 1.1);
  scale.bottom = Math.max(least * 0.85, 0.001);
  scale.top = least < 0.2 ? 0.4 : 0.9;
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
  drawing.append(svg("line", { x1: 0, x2: width, y1: y(scale.target), y2: y(scale.target), stroke: "var(--rule)" }));
  const good = points.filter(([, error]) => error != null);
  if (good.length > 0) {
    const path = good.map(([epoch, error]) => `${x(epoch).toFixed(1)},${y(error).toFixed(1)}`).join(" ");
    drawing.append(svg("polyline", { points: path, fill: "none", stroke: look.color, "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" }));
    const [epoch, error] = good.at(-1);
    drawing.append(svg("circle", { cx: x(epoch), cy: y(error), r: 2.5, fill: look.color }));
  }
  if (run.epochs_done < run.epochs) { // the track: how much of the way is done
    const at = height - 2;
    drawing.append(svg("path", { d: `M1 ${at - 3}v3h${width - 4}v-3`, fill: "none", stroke: "var(--line)" }));
    drawing.append(svg("path", { d: `M1 ${at}H${x(run.epochs_done)}`, stroke: "var(--ink)", "stroke-width": 2 }));
  }
  holder.replaceChildren(drawing);
}
