// One panel of curves by dygraphs: groups with bands, seeds, the target, and labels at the ends of the lines.
// dygraphs draws lines and axes; bands' meaning, labels and marks are ours.

import { el } from "./dom.js";
import { error as errorText, short } from "./format.js";
import { decadeTicks, linearTicks, logTicks } from "./scale.js";
import { stub } from "./series.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const BOTTOM_SPACE = 0.9;

// The labels at the ends are ours, and its own would need styles that the page's policy forbids.
globalThis.Dygraph.PLUGINS = globalThis.Dygraph.PLUGINS.filter((plugin) => plugin !== globalThis.Dygraph.Plugins.Legend);

// groups: [{label, look, points: [{x, epoch, mean, std, n}], smooth: [..] or null, seeds: [[[x, error]..]..], live}]
// view: {log, unit, target, seeds, top, whole, xlog, unitOfX}
export class Figure {
  constructor(holder, options) {
    this.holder = holder;
    this.options = options; // {small, onHover(epoch or null), onZoom(window)}
    this.plot = el("div", { class: "plot" });
    this.labels = options.small ? null : el("div", { class: "end-labels" });
    this.title = el("p", { class: "figure-title" });
    holder.replaceChildren(this.title, el("div", { class: "panel" }, this.plot, this.labels));
    this.hovered = null;
  }

  set(groups, view) {
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
        y: { axisLabelWidth: 34, axisLabelFormatter: (y) => this.yText(y), ticker: (a, b, pixels) => this.yTicks(a, b, pixels) },
      },
      dateWindow: view.zoom ? [view.zoom[0], view.zoom[1]] : this.window(),
      underlayCallback: (context, area, g) => this.under(context, area, g),
      drawCallback: (g) => this.placeLabels(g),
      highlightCallback: (event, x) => this.hover(x),
      unhighlightCallback: () => this.hover(null),
      zoomCallback: (from, to, y) => this.options.onZoom?.(this.graph.isZoomed() ? [from, to, ...(this.graph.isZoomed("y") ? y[0] : range)] : null),
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
    groups.forEach((group, i) => {
      const line = { color: group.look.color, strokeWidth: group.plain ? 1 : width, strokePattern: group.look.dash, drawPoints: group.points.length === 1, pointSize: 3 };
      if (group.smooth) {
        labels.push(add(`raw ${i}`, group.points.map((p) => [p.x, p.mean, p.mean, p.mean]), { ...line, color: this.faint(group.look.color, 0.35), strokePattern: null, strokeWidth: 1 }));
      }
      if (view.seeds === "each" || group.plain) {
        group.seeds.forEach((seed, k) => labels.push(add(`seed ${i}.${k}`, seed.map(([x, v]) => [x, v, v, v]), { color: this.faint(group.look.color, 0.32), strokeWidth: 1, strokePattern: null })));
      }
      labels.push(add(`group ${i}`, group.points.map((p, k) => {
        const value = group.smooth ? group.smooth[k] : p.mean;
        const band = view.seeds !== "each" && !group.smooth && !this.options.small && p.n >= 2 && p.std != null ? p.std : 0;
        return [p.x, value == null ? null : Math.max(value - band, view.log ? 1e-4 : 0), value, value == null ? null : value + band];
      }), line));
    });
    const xs = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort((a, b) => a - b);
    const nothing = [null, null, null];
    const rows = xs.map((x) => [x, ...columns.map((column) => column.get(x) || nothing)]);
    return { rows: rows.length > 0 ? rows : [[view.xlog ? 1 : 0, ...labels.map(() => nothing)]], labels: labels.length > 0 ? labels : ["none"], series };
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
    return (ticks.length >= 3 ? ticks : linearTicks(low, high, 3)).map((v) => ({ v, label: this.yText(v) }));
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
      for (const group of this.groups) {
        if (group.reachedX == null) { continue; }
        const x = this.domX(g, group.reachedX);
        context.strokeStyle = context.fillStyle = group.look.color;
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(x, area.y + area.h);
        context.stroke();
        context.beginPath();
        context.arc(x, y, 3.5, 0, 7);
        context.fill();
      }
    }
    for (const group of this.groups) {
      group.points.forEach((p, i) => {
        if (i > 0 && p.n < group.points[i - 1].n && group.points[i - 1].mean != null) {
          context.strokeStyle = group.look.color;
          context.lineWidth = 1.5;
          context.beginPath();
          context.arc(this.domX(g, group.points[i - 1].x), g.toDomYCoord(group.points[i - 1].mean), 4, 0, 7);
          context.stroke();
        }
      });
    }
    if (this.hovered != null) { this.mark(context, area, g); }
    context.restore();
  }

  mark(context, area, g) {
    if (!this.options.small) {
      const x = Math.round(this.domX(g, this.hovered)) + 0.5;
      context.strokeStyle = css("--ink");
      context.beginPath();
      context.moveTo(x, area.y);
      context.lineTo(x, area.y + area.h);
      context.stroke();
    }
    for (const group of this.groups) {
      const point = this.at(group);
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
    return this.hovered == null ? null : group.points.find((p) => (this.options.small ? p.epoch : p.x) === this.hovered && p.mean != null);
  }

  hover(x) {
    if (x === this.hovered) { return; }
    this.hovered = x;
    this.options.onHover?.(x);
    this.redraw();
  }

  // Another panel is read at this epoch.
  showEpoch(epoch) {
    if (epoch !== this.hovered) {
      this.hovered = epoch;
      this.redraw();
    }
  }

  redraw() {
    this.graph?.updateOptions({}, false);
  }

  // Labels at the ends of the lines, pushed apart; under the pointer they read out the epoch instead.
  placeLabels(g) {
    if (!this.labels || !this.groups) { return; }
    const head = el("p", { class: "quiet small end-head" }, this.hovered == null ? `mean, ${this.view.unit === "percent" ? "%" : "ratio"}` : `at ${this.xText(this.hovered)}`);
    const most = 12;
    const area = g.getArea();
    const ends = this.groups.map((group) => ({ group, last: group.points.findLast((p) => p.mean != null) })).filter(({ last }) => last)
      .map(({ group, last }) => ({ group, value: this.hovered == null ? last.mean : this.at(group)?.mean, y: Math.min(Math.max(g.toDomYCoord(last.mean), area.y), area.y + area.h) }))
      .sort((a, b) => a.y - b.y).slice(0, most);
    for (let i = 1; i < ends.length; i++) { ends[i].y = Math.max(ends[i].y, ends[i - 1].y + 17); }
    for (let i = ends.length - 1, limit = area.y + area.h; i >= 0; i--, limit = ends[i + 1].y - 17) { ends[i].y = Math.min(ends[i].y, limit); }
    this.labels.replaceChildren(head, ...ends.map(({ group, value, y }) => {
      const label = el("p", { class: "end-label" }, stub(group.look), el("span", { class: "strong end-name" }, group.label), el("span", { class: "second" }, errorText(value, this.view.unit, 1)));
      label.style.top = `${y - 10}px`;
      return label;
    }));
    const above = (ends[0]?.y ?? 40) - 30;
    head.style.top = `${above >= 0 ? above : ends.at(-1).y + 12}px`;
  }

  end() {
    this.graph?.destroy();
    this.graph = null;
  }
}
