// One panel of curves by dygraphs: groups with bands, seeds, the target, and labels at the ends of the lines.
// dygraphs draws lines and axes; bands' meaning, labels and marks are ours.

import { el, svg } from "./dom.js";
import { error as errorText, short } from "./format.js";
import { decadeTicks, linearTicks, logTicks, thin } from "./scale.js";
import { drawMark, stub } from "./series.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const BOTTOM_SPACE = 0.9;
const LABEL_GAP = 17;
const MOST_LABELS = 12;
const MOST_LETTERS = 10; // of a label beside the figure
const NEAR = 24; // pixels
const MARK_EVERY = 90; // pixels

// dygraphs is no module; it is fetched when the first figure is drawn.
export const ready = new Promise((resolve, reject) => {
  const script = el("script", { src: new URL("dygraph.js", import.meta.url).href, onload: resolve, onerror: () => reject(new Error("The curves' program could not be loaded; load the page again.")) });
  document.head.append(script);
}).then(() => {
  // The labels at the ends are ours, and its own would need styles that the page's policy forbids.
  globalThis.Dygraph.PLUGINS = globalThis.Dygraph.PLUGINS.filter((plugin) => plugin !== globalThis.Dygraph.Plugins.Legend);
});

// groups: [{label, short, look, plain, points: [{x, epoch, mean, std, n}], smooth: [..] or null, seeds: [[[x, error]..]..], reachedX}]
// view: {title, log, unit, target, seeds, top, whole, xlog, xKind, xName, xMost, zoom: [x, x, y, y] or null}
// What the pointer is at lies on a canvas of its own, so that hovering draws no curve again.
export class Figure {
  constructor(holder, options) {
    this.holder = holder;
    this.options = options; // {small, onHover(epoch or null), onZoom(window)}
    this.plot = el("div", { class: "plot" });
    this.labels = options.small ? null : el("div", { class: "end-labels" });
    this.title = el("p", { class: "figure-title" });
    this.overlay = el("canvas", { class: "overlay", "aria-hidden": "true" });
    holder.replaceChildren(this.title, el("div", { class: "panel" }, this.plot, this.overlay, this.labels));
    this.hovered = null;
    this.near = null; // one of many curves, at the pointer
    this.ends = [];
    if (!options.small) { this.plot.addEventListener("pointermove", (event) => { if (this.hovered != null) { this.hover(this.hovered, this.pointerY(event)); } }); }
  }

  pointerY(event) {
    return event.clientY - this.plot.getBoundingClientRect().top;
  }

  set(groups, view) {
    this.near = null;
    this.groups = groups;
    this.view = view;
    this.title.textContent = view.title;
    const { rows, labels, series } = this.table();
    const range = this.range();
    const options = {
      file: rows, labels: [view.xName, ...labels], series, customBars: true, connectSeparatedPoints: true, legend: "never",
      logscale: view.log, valueRange: range, animatedZooms: false, drawGapEdgePoints: true, highlightCircleSize: 0,
      xRangePad: 4, axisLineColor: css("--line"), gridLineColor: css("--rule"), gridLineWidth: 1, axisLabelFontSize: 12, rightGap: 4, fillAlpha: 0.13,
      axes: {
        x: { drawGrid: false, logscale: Boolean(view.xlog), axisLabelFormatter: (x) => this.xText(x), ticker: (a, b, pixels) => this.xTicks(a, b, pixels), axisLabelWidth: 60 },
        y: { axisLineColor: "transparent", axisLabelWidth: 34, axisLabelFormatter: (y) => this.yText(y), ticker: (a, b, pixels) => this.yTicks(a, b, pixels) },
      },
      dateWindow: view.zoom ? [view.zoom[0], view.zoom[1]] : this.window(),
      underlayCallback: (context, area, g) => this.under(context, area, g),
      drawCallback: (g) => { this.placeLabels(g); this.mark(); },
      highlightCallback: (event, x) => this.hover(x, this.pointerY(event)),
      unhighlightCallback: () => this.hover(null),
      zoomCallback: (from, to, y) => this.options.onZoom?.([from, to, ...y[0]]),
      ...(this.options.small ? { interactionModel: {} } : {}),
    };
    if (view.zoom) { options.valueRange = [view.zoom[2], view.zoom[3]]; }
    if (this.graph) {
      this.graph.updateOptions(options);
    } else {
      const { file, ...rest } = options;
      this.graph = new globalThis.Dygraph(this.plot, file, rest);
    }
  }

  // Rows of x with [low, value, high] a series; groups first, then raw lines and seeds behind them.
  table() {
    const { view, groups } = this;
    const columns = [];
    const series = {};
    const add = (label, points, look) => {
      columns.push(new Map(points.map(([x, ...triple]) => [x, triple])));
      series[label] = look;
      return label;
    };
    const labels = [];
    const width = this.options.small ? 1.5 : 2;
    const pixels = Math.max(100, this.plot.clientWidth);
    const place = view.xlog ? (x) => Math.log(Math.max(x, 1e-9)) : (x) => x;
    const [from, to] = (view.zoom || this.window()).map(place);
    const at = (p) => place(p[0]);
    this.drawn = this.total = 0;
    const thinned = (points, value) => {
      const kept = thin(points, from, to, pixels, at, value);
      this.total += points.length;
      this.drawn += kept.length;
      return kept;
    };
    groups.forEach((group, i) => {
      const line = { color: group.look.color, strokeWidth: group.plain ? 1 : width, strokePattern: group.look.dash, drawPoints: group.points.length === 1, pointSize: 3, ...this.marks(group) };
      if (group.smooth) {
        labels.push(add(`raw ${i}`, thin(group.points.map((p) => [p.x, p.mean, p.mean, p.mean]), from, to, pixels, at, (p) => p[2]), { ...line, color: this.faint(group.look.color, 0.35), strokePattern: null, strokeWidth: 1 }));
      }
      if (view.seeds === "each") {
        group.seeds.forEach((seed, k) => labels.push(add(`seed ${i}.${k}`, thinned(seed.map(([x, v]) => [x, v, v, v]), (p) => p[2]), { color: this.faint(group.look.color, 0.32), strokeWidth: 1, strokePattern: null })));
      }
      labels.push(add(`group ${i}`, thinned(group.points.map((p, k) => {
        const value = group.smooth ? group.smooth[k] : p.mean;
        const band = view.seeds !== "each" && !group.smooth && !group.plain && !this.options.small && p.n >= 2 && p.std != null ? p.std : 0;
        return [p.x, value == null ? null : Math.max(value - band, view.log ? 1e-4 : 0), value, value == null ? null : value + band];
      }), (p) => p[2]), line));
    });
    const xs = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort((a, b) => a - b);
    const nothing = [null, null, null];
    const rows = xs.map((x) => [x, ...columns.map((column) => column.get(x) || nothing)]);
    return { rows: rows.length > 0 ? rows : [[view.xlog ? 1 : 0, ...labels.map(() => nothing)]], labels: labels.length > 0 ? labels : ["none"], series };
  }

  // Of the best three of many: a mark at every so many pixels.
  marks(group) {
    const { rank } = group.look;
    if (rank == null || this.options.small) { return {}; }
    const paper = css("--paper");
    let place = null;
    return { drawPoints: true, drawPointCallback: (g, name, context, x, y) => {
      const step = Math.floor((x - g.getArea().x) / MARK_EVERY + rank / 3);
      if (place !== null && step > place) { drawMark(context, x, y, group.look, paper); }
      place = step;
    } };
  }

  faint(color, alpha) {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  }

  window() {
    const { view } = this;
    const last = Math.max(...this.groups.flatMap((group) => group.points.map((p) => p.x)), view.xMost || 0, 1e-9);
    const first = Math.min(...this.groups.flatMap((group) => group.points.map((p) => p.x)));
    return view.xlog ? [Math.max(first, 1e-6) * 0.8, last * 1.15] : [0, last * (1 + 1e-6)];
  }

  range() {
    const values = this.groups.flatMap((group) => group.points.map((p) => p.mean)).filter((v) => v != null && v > 0);
    if (values.length === 0) { return [0.01, 1]; }
    const { target } = this.view;
    const least = Math.min(...values);
    const low = target > least / 100 && target < least ? target : least;
    const top = this.view.whole ? Math.max(...values) : Math.min(this.view.top, Math.max(...values) * 1.04);
    const high = Math.max(top, target && target < top * 100 ? target : 0) * (this.view.whole ? 1.05 : 1);
    return this.view.log ? [low * BOTTOM_SPACE, Math.max(high, low * 1.3) * (1 + 1e-6)] : [0, high * (1 + 1e-6)];
  }

  domX(g, x) {
    const [low, high] = g.xAxisRange();
    const { x: left, w } = g.getArea();
    return left + w * (this.view.xlog ? Math.log(x / low) / Math.log(high / low) : (x - low) / (high - low));
  }

  xText(x) {
    if (this.view.xKind === "epoch") { return String(Math.round(x * 100) / 100); }
    return this.view.xKind === "images" ? short(x) : String(Number(x.toPrecision(2)));
  }

  yText(y) {
    return this.view.unit === "percent" ? String(Number((y * 100).toPrecision(3))) : String(Number(y.toPrecision(3)));
  }

  yTicks(low, high, pixels) {
    const ticks = this.view.log ? logTicks(low * 100, high * 100, pixels, (tick) => tick / 100).map(({ v }) => v) : linearTicks(low, high, Math.max(3, pixels / 60));
    return (ticks.length >= 3 ? ticks : linearTicks(low, high, 5)).map((v) => ({ v, label: this.yText(v) }));
  }

  xTicks(low, high, pixels) {
    const ticks = this.view.xlog ? decadeTicks(low, high) : linearTicks(low, high, pixels / 70).filter((v) => this.view.xKind !== "epoch" || Number.isInteger(v));
    return ticks.map((v) => ({ v, label: this.xText(v) }));
  }

  // Beneath the lines: the target, where each group first reached it, where n falls.
  under(context, area, g) {
    const { target } = this.view;
    const ink = css("--ink");
    context.save();
    context.font = `12px ${css("--sans")}`;
    if (target) {
      const y = g.toDomYCoord(target);
      if (y >= area.y && y <= area.y + area.h) {
        context.strokeStyle = ink;
        context.lineWidth = 1;
        context.beginPath();
        context.moveTo(area.x, Math.round(y) + 0.5);
        context.lineTo(area.x + area.w, Math.round(y) + 0.5);
        context.stroke();
        if (!this.options.small) {
          context.fillStyle = ink;
          context.fillText(`target ${errorText(target, this.view.unit, 0)}${this.view.unit === "percent" ? " %" : ""}`, area.x + 6, y - 6);
        }
      }
      this.drops(context, area, g, y);
    }
    this.rungs(context, area, g);
    for (const group of this.groups) {
      group.points.forEach((p, i) => {
        if (p.paused && p.mean != null) { this.bars(context, this.domX(g, p.x), g.toDomYCoord(p.mean), group.look.color); }
        if (i > 0 && p.n < group.points[i - 1].n && group.points[i - 1].mean != null) {
          context.strokeStyle = group.look.color;
          context.lineWidth = 1.5;
          context.beginPath();
          context.arc(this.domX(g, group.points[i - 1].x), g.toDomYCoord(group.points[i - 1].mean), 4, 0, 7);
          context.stroke();
        }
      });
    }
    context.restore();
  }

  // Where runs of a sweep by halving were compared, and how many of how many went on.
  rungs(context, area, g) {
    let free = area.x;
    for (const { epochs, text } of this.view.rungs || []) {
      const x = this.domX(g, epochs);
      if (x < area.x || x > area.x + area.w) { continue; }
      context.strokeStyle = css("--line");
      context.lineWidth = 1;
      context.setLineDash([1.5, 3]);
      context.beginPath();
      context.moveTo(x, area.y);
      context.lineTo(x, area.y + area.h);
      context.stroke();
      context.setLineDash([]);
      const width = context.measureText(text).width;
      if (x + 4 >= free && x + 4 + width <= area.x + area.w) {
        context.fillStyle = css("--ink-2");
        context.fillText(text, x + 4, area.y + area.h - 18);
        free = x + 12 + width;
      }
    }
  }

  // Paused, as the state is shown everywhere.
  bars(context, x, y, color) {
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.beginPath();
    for (const side of [-2.5, 2.5]) {
      context.moveTo(x + side, y - 6);
      context.lineTo(x + side, y + 6);
    }
    context.stroke();
  }

  // From the target down to the axis: where each group first reached it, on average of its seeds.
  drops(context, area, g, y) {
    if (y < area.y || y > area.y + area.h) { return; }
    const reached = this.groups.filter((group) => group.reachedX != null && !group.plain).map((group) => ({ group, x: this.domX(g, group.reachedX) }))
      .filter(({ x }) => x >= area.x && x <= area.x + area.w).sort((a, b) => a.x - b.x);
    context.font = `11px ${css("--sans")}`;
    let free = area.x;
    reached.forEach(({ group, x }, i) => {
      context.strokeStyle = context.fillStyle = group.look.color;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x, area.y + area.h);
      context.stroke();
      context.beginPath();
      context.arc(x, y, 3.5, 0, 7);
      context.fill();
      const width = context.measureText(group.short).width;
      const room = (reached[i + 1]?.x ?? area.x + area.w) - x;
      const left = room >= width + 9 ? x + 5 : x - width - 5 >= free ? x - width - 5 : null;
      if (left !== null && left + width <= area.x + area.w && area.y + area.h - y > 14) {
        context.fillStyle = css("--ink");
        context.fillText(group.short, left, area.y + area.h - 4);
        free = Math.max(x, left + width) + 4;
      } else { free = x + 4; }
    });
  }

  // What the pointer or a key is at: a hairline, and a ring on each curve.
  mark() {
    const g = this.graph;
    const ratio = globalThis.devicePixelRatio || 1;
    const { overlay } = this;
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight];
    if (overlay.width !== Math.round(width * ratio) || overlay.height !== Math.round(height * ratio)) {
      overlay.width = Math.round(width * ratio);
      overlay.height = Math.round(height * ratio);
      overlay.style.width = `${width}px`;
      overlay.style.height = `${height}px`;
    }
    const context = overlay.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (this.hovered == null || !g) { return; }
    const area = g.getArea();
    context.beginPath();
    context.rect(area.x - 5, area.y - 5, area.w + 10, area.h + 10);
    context.clip();
    if (!this.options.small) {
      const x = Math.round(this.domX(g, this.hovered)) + 0.5;
      context.strokeStyle = css("--ink");
      context.beginPath();
      context.moveTo(x, area.y);
      context.lineTo(x, area.y + area.h);
      context.stroke();
    }
    if (this.near) { this.trace(context, g, this.near); }
    for (const group of this.groups) {
      const point = group.plain && group !== this.near ? null : this.at(group);
      if (point) {
        context.strokeStyle = group.look.color;
        context.fillStyle = css("--paper");
        context.lineWidth = 2;
        context.beginPath();
        context.arc(this.domX(g, point.x), g.toDomYCoord(point.mean), 4, 0, 7);
        context.fill();
        context.stroke();
      }
    }
  }

  at(group) {
    if (this.hovered == null) { return null; }
    group.places ??= new Map(group.points.filter((p) => p.mean != null).map((p) => [this.options.small ? p.epoch : p.x, p]));
    return group.places.get(this.hovered);
  }

  // One of many curves, in its own colour.
  trace(context, g, group) {
    context.strokeStyle = group.look.color;
    context.lineWidth = 2;
    context.setLineDash(group.look.dash || []);
    context.beginPath();
    for (const p of group.points) { if (p.mean != null) { context.lineTo(this.domX(g, p.x), g.toDomYCoord(p.mean)); } }
    context.stroke();
    context.setLineDash([]);
  }

  // The curve at the pointer, where there are too many to give each a colour.
  nearest(y) {
    const g = this.graph;
    const away = (group) => { const point = this.at(group); return point ? Math.abs(g.toDomYCoord(point.mean) - y) : Infinity; };
    const best = y == null || !g ? null : this.groups.reduce((near, group) => (away(group) < (near ? away(near) : NEAR) ? group : near), null);
    return best?.plain ? best : null;
  }

  hover(x, y = null) {
    if (this.options.small) { return; }
    const before = [this.hovered, this.near];
    this.hovered = x;
    this.near = this.nearest(y);
    if (before[0] === x && before[1] === this.near) { return; }
    this.options.onHover?.(x);
    if (this.graph) {
      this.mark();
      this.placeLabels(this.graph);
    }
  }

  // Another panel is read at this epoch.
  showEpoch(epoch) {
    if (epoch !== this.hovered) {
      this.hovered = epoch;
      this.mark();
    }
  }

  // Labels at the ends of the lines, pushed apart; under the pointer they read out the epoch instead.
  placeLabels(g) {
    if (!this.labels || !this.groups) { return; }
    const unit = this.view.unit === "percent" ? ", %" : "";
    const head = el("p", { class: "quiet small end-head" }, this.hovered == null ? `mean${unit}` : `at ${this.xText(this.hovered)}${unit}`);
    const area = g.getArea();
    const inside = (y) => Math.min(Math.max(y, area.y), area.y + area.h);
    const ends = this.groups.filter((group) => !group.plain || group === this.near).map((group) => ({ group, last: group.points.findLast((p) => p.mean != null) })).filter(({ last }) => last)
      .map(({ group, last }) => ({ group, value: this.hovered == null ? last.mean : this.at(group)?.mean, at: inside(g.toDomYCoord(last.mean)), y: inside(g.toDomYCoord(last.mean)), touches: this.domX(g, last.x) > area.x + area.w - 6 }))
      .sort((a, b) => a.y - b.y).slice(0, MOST_LABELS);
    for (let i = 1; i < ends.length; i++) { ends[i].y = Math.max(ends[i].y, ends[i - 1].y + LABEL_GAP); }
    for (let i = ends.length - 1, limit = area.y + area.h; i >= 0; i--, limit = ends[i + 1].y - LABEL_GAP) { ends[i].y = Math.min(ends[i].y, limit); }
    this.ends = ends.map(({ group, value, y }) => ({ look: group.look, name: group.label, value: errorText(value, this.view.unit, 1), y })); // also for files
    const leaders = svg("svg", { class: "leaders", "aria-hidden": "true" }, ...ends.filter(({ touches }) => touches).map(({ at, y }) => svg("line", { x1: 0, x2: 12, y1: at, y2: y, stroke: "var(--line)", "stroke-width": 0.75 })));
    const whole = ends.every(({ group }) => group.label.length <= MOST_LETTERS); // else the values alone: what they are of stands beside "Group by"
    this.labels.replaceChildren(leaders, head, ...ends.map(({ group, value, y }) => {
      const label = el("p", { class: "end-label" }, stub(group.look), el("span", { class: "strong end-name", title: group.label }, el("span", { class: "desk" }, whole ? group.label : group.short), el("span", { class: "phone" }, group.short)), el("span", { class: "second" }, errorText(value, this.view.unit, 1)));
      label.style.top = `${y - 10}px`;
      return label;
    }));
    const above = (ends[0]?.y ?? 40) - 32;
    head.style.top = `${above >= 0 ? above : ends.at(-1).y + 12}px`;
  }

  end() {
    this.graph?.destroy();
    this.graph = null;
  }
}
