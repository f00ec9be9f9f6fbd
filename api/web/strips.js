// The strips of one run, one above the other on the same epochs: error, learning rate, images a second.

import { el, svg } from "./dom.js";
import { count, error as errorText, plain } from "./format.js";
import { plannedRate } from "./fields.js";
import { linearTicks, logTicks } from "./scale.js";

const LEAST_WIDTH = 340;
const LEFT = 44;
const ERROR = { top: 24, height: 250 };
const RATE = { top: 300, height: 50 };
const SPEED = { top: 380, height: 50 };
const HEIGHT = 452;

export class Strips {
  constructor(holder) {
    this.holder = holder;
    this.resize = new ResizeObserver(() => { if (this.run && holder.clientWidth !== this.width) { this.set(this.run, this.epochs, this.look, this.attempts); } });
    this.resize.observe(holder);
  }

  set(run, epochs, look, attempts = []) {
    Object.assign(this, { run, epochs, look, attempts, width: this.holder.clientWidth });
    const width = Math.max(LEAST_WIDTH, this.width || 900);
    const right = width < 600 ? 34 : 124; // room for the label at the line's end
    this.middle = width / 2;
    const most = Math.max(run.config.epochs, 1);
    const x = (epoch) => LEFT + (width - LEFT - right) * epoch / most;
    this.x = x;
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", class: "strips-svg", "aria-label": this.words(run, epochs) });
    const text = (at, y, words, more = {}) => {
      const node = svg("text", { x: at, y, fill: "var(--ink-3)", "font-size": 12, ...more });
      node.textContent = words;
      return node;
    };
    if (run.epochs_done < most) { drawing.append(svg("rect", { x: x(run.epochs_done), y: ERROR.top, width: x(most) - x(run.epochs_done), height: SPEED.top + SPEED.height - ERROR.top, fill: "var(--well)" })); }
    const values = epochs.flatMap((e) => [e.val_error, 1 - e.train_accuracy]).filter((v) => Number.isFinite(v) && v > 0);
    const low = Math.min(...values, 0.9) * 0.93;
    const high = Math.min(Math.max(...values, low * 1.5) * 1.03, 1);
    const y = (v) => ERROR.top + ERROR.height * (Math.log(high) - Math.log(Math.min(Math.max(v, low), high))) / (Math.log(high) - Math.log(low));
    drawing.append(text(LEFT, 12, "error, %, against epochs"));
    for (const { v } of logTicks(low * 100, high * 100, ERROR.height, (tick) => tick / 100)) {
      drawing.append(svg("line", { x1: LEFT, x2: x(most), y1: y(v), y2: y(v), stroke: "var(--rule)" }), text(LEFT - 8, y(v) + 4, errorText(v, "percent", v < 0.01 ? 1 : 0), { "text-anchor": "end" }));
    }
    const line = (points, attributes) => svg("polyline", { points: points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" "), fill: "none", "stroke-width": 2, ...attributes });
    const trained = epochs.filter((e) => Number.isFinite(e.train_accuracy));
    const valid = epochs.filter((e) => Number.isFinite(e.val_error));
    drawing.append(line(trained.map((e) => [x(e.epoch), y(1 - e.train_accuracy)]), { stroke: "var(--ink-3)", "stroke-width": 1, "stroke-dasharray": "3 3" }));
    drawing.append(line(valid.map((e) => [x(e.epoch), y(e.val_error)]), { stroke: look.color }));
    for (const { epoch, attempt, reason } of attempts) {
      drawing.append(svg("line", { x1: x(epoch), x2: x(epoch), y1: ERROR.top, y2: SPEED.top + SPEED.height, stroke: "var(--line)", "stroke-dasharray": "1 3" }));
      const words = `attempt ${count(attempt)}: ${plain(reason)}`;
      drawing.append(text(x(epoch) + 5, ERROR.top + 10, words.length > 36 ? `${words.slice(0, 35)}…` : words));
    }
    if (valid.length <= 40) { valid.forEach((e) => drawing.append(svg("circle", { cx: x(e.epoch), cy: y(e.val_error), r: 2.5, fill: look.color }))); }
    const best = run.best && valid.find((e) => e.epoch === run.best.epoch);
    if (best) {
      drawing.append(svg("circle", { cx: x(best.epoch), cy: y(best.val_error), r: 6, fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 }));
      const last = valid.at(-1);
      const ended = epochs.at(-1);
      const ends = [[last.epoch, y(last.val_error), `validation ${errorText(last.val_error)}`, { fill: "var(--ink)" }], ...(Number.isFinite(ended.train_accuracy) ? [[ended.epoch, y(1 - ended.train_accuracy), `training ${errorText(1 - ended.train_accuracy)}`, {}]] : [])].sort((a, b) => a[1] - b[1]);
      if (ends.length > 1 && ends[1][1] - ends[0][1] < 16) { ends[1][1] = ends[0][1] + 16; }
      if (right > 100) { ends.forEach(([, at, words, more]) => drawing.append(text(x(most) + 8, at + 4, words, more))); }
      drawing.append(text(x(best.epoch), y(best.val_error) + 22, `best ${errorText(best.val_error)}, epoch ${count(best.epoch)}`, { "text-anchor": x(best.epoch) > this.middle ? "end" : "start", "font-weight": 600, fill: "var(--ink)" }));
    }
    this.strip(drawing, RATE, "learning rate", epochs.map((e) => [e.epoch, e.lr]), x, text, false, this.planned(run));
    this.strip(drawing, SPEED, "images/s", epochs.map((e) => [e.epoch, e.images_per_second]), x, text, true);
    for (const tick of linearTicks(0, most, width / 90).filter(Number.isInteger)) { drawing.append(text(x(tick), HEIGHT - 4, count(tick), { "text-anchor": "middle" })); }
    this.nowLine = svg("line", { y1: ERROR.top - 8, y2: SPEED.top + SPEED.height, stroke: "var(--ink)" });
    this.nowText = text(0, ERROR.top - 10, "", { "font-weight": 600, fill: "var(--ink)" });
    drawing.append(this.nowLine, this.nowText);
    this.now(run.state === "running" ? run.progress : null);
    this.holder.replaceChildren(drawing, el("p", { class: "hidden" }, this.words(run, epochs)));
  }

  // The rate of the epochs that are to come, as far as the schedule alone tells it.
  planned(run) {
    const rates = [];
    for (let epoch = run.epochs_done; epoch < run.config.epochs; epoch++) {
      const rate = plannedRate(run.config, epoch);
      if (rate !== null) { rates.push([epoch + 1, rate]); }
    }
    return rates;
  }

  strip(drawing, place, title, points, x, text, steps, planned = []) {
    const good = points.filter(([, v]) => Number.isFinite(v));
    const high = Math.max(...good.map(([, v]) => v), ...planned.map(([, v]) => v), 1e-12);
    const y = (v) => place.top + place.height * (1 - v / high);
    drawing.append(text(LEFT, place.top - 8, title), svg("line", { x1: LEFT, x2: x(this.run.config.epochs), y1: y(0), y2: y(0), stroke: "var(--line)" }));
    drawing.append(text(LEFT - 8, y(high) + 8, Number(high.toPrecision(2)) >= 1000 ? count(Number(high.toPrecision(2))) : String(Number(high.toPrecision(2))), { "text-anchor": "end" }), text(LEFT - 8, y(0), "0", { "text-anchor": "end" }));
    const path = steps ? good.map(([e, v], i) => `${i === 0 ? `M${x(e - 1).toFixed(1)} ` : "V"}${y(v).toFixed(1)}H${x(e).toFixed(1)}`).join("") : good.length > 0 ? `M${good.map(([e, v]) => `${x(e - 0.5).toFixed(1)} ${y(v).toFixed(1)}`).join("L")}` : "";
    if (planned.length > 0) { drawing.append(svg("path", { d: `M${planned.map(([e, v]) => `${x(e - 0.5).toFixed(1)} ${y(v).toFixed(1)}`).join("L")}`, fill: "none", stroke: "var(--ink-3)", "stroke-dasharray": "1 3" })); }
    drawing.append(svg("path", { d: path || "M0 0", fill: "none", stroke: "var(--ink-2)", "stroke-width": 1.5 }));
  }

  now(progress) {
    const on = progress && progress.epoch > 0;
    this.nowLine.setAttribute("visibility", on ? "visible" : "hidden");
    this.nowText.setAttribute("visibility", on ? "visible" : "hidden");
    if (on) {
      const at = this.x(progress.epoch - 1 + progress.step / Math.max(1, progress.steps_per_epoch));
      this.nowLine.setAttribute("x1", at);
      this.nowLine.setAttribute("x2", at);
      this.nowText.setAttribute("x", at + (at > this.middle ? -4 : 4));
      this.nowText.setAttribute("text-anchor", at > this.middle ? "end" : "start");
      this.nowText.textContent = `now, epoch ${count(progress.epoch)}: step ${count(progress.step)} of ${count(progress.steps_per_epoch)}`;
    }
  }

  words(run, epochs) {
    return epochs.length === 0 ? "No epoch yet." : `Validation error over ${epochs.length} epochs: ${errorText(epochs[0].val_error)} % at first, ${errorText(epochs.at(-1).val_error)} % now, best ${errorText(run.best?.val_error)} %.`;
  }

  end() {
    this.resize.disconnect();
  }
}
