// Which group needs the fewest epochs, images and hours: the answer as a sentence, the curves, the table.

import { address, complain } from "./frame.js";
import { all, get, link, prefix, save, saveAs } from "./api.js";
import { errorIn, groupName, groupShort, sentence } from "./answer.js";
import { copy, el, say } from "./dom.js";
import { differing, same, title, valueText } from "./fields.js";
import { Figure, ready } from "./figure.js";
import { count, error as errorText, fixed, plain, plural } from "./format.js";
import { groupsTable } from "./groups.js";
import { onKey } from "./keys.js";
import { listen } from "./live.js";
import { note } from "./note.js";
import { median, topOf } from "./scale.js";
import { looksOfGroups } from "./series.js";
import { hasEnded } from "./states.js";
import { rungTable, sweepActions } from "./sweep.js";

const AXES = { epoch: "epochs", step: "steps", images: "images", seconds: "time" };
const FIELDS = "id,name,state,config,best,last,epochs_done,sweep,halving";
const METRICS = { val_error: "validation error", val_error_tta: "validation error with the mirror image", val_error_ema: "validation error of the averaged weights" };
const DEFAULTS = { metric: "val_error", group_by: "", x: "epoch", y: "", unit: "percent", target: "0.06", seeds: "mean", smooth: "0" };
const MOST_COLOURED = 12;
const MOST_DRAWN = 32;
const LOG_FROM = 5; // the greatest error by the least, from which on the axis is logarithmic

class Compare {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.values = { ...DEFAULTS, ...context.values };
    if (!METRICS[this.values.metric]) { this.values.metric = DEFAULTS.metric; }
    if (context.match[1]) { this.values.sweep = context.match[1]; }
    this.figures = {};
    this.histories = new Map(); // id of a run -> {done, points}
    this.changed = new Set(); // ids of runs that something happened to since they were read
  }

  async start() {
    if (!this.values.sweep && !this.values.ids) { return this.choose(); }
    await Promise.all([this.load(), ready]);
    if (!this.context.alive()) { return () => {}; }
    this.build();
    this.paint();
    const onVisible = () => { if (!document.hidden && this.stale) { this.soon(); } };
    document.addEventListener("visibilitychange", onVisible);
    const stop = [listen((event) => this.hear(event)), onKey((key) => this.key(key)), () => document.removeEventListener("visibilitychange", onVisible)];
    return () => { stop.forEach((end) => end()); clearTimeout(this.timer); Object.values(this.figures).forEach((figure) => figure.end()); };
  }

  // No runs named: the newest sweeps.
  async choose() {
    const sweeps = await get("/sweeps", { limit: 50 });
    document.title = "Compare · cutoutd";
    const grid = (sweep) => Object.entries(sweep.spec?.grid || {}).map(([key, list]) => `${title(key)} ${[].concat(list).map(valueText).join(", ")}`).join("; ");
    this.view.replaceChildren(el("h1", {}, "Compare"), el("p", { class: "second" }, sweeps.items.length > 0 ? "A sweep, or runs chosen under Runs." : "No sweep yet: several values in a field of New make one. Runs can also be chosen under Runs."),
      ...(sweeps.items.length === 0 ? [] : [el("table", { class: "sweeps" }, el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "number" }, "No."), el("th", { scope: "col" }, "Sweep"), el("th", { scope: "col" }, "Grid"), el("th", { scope: "col", class: "number" }, "Runs"), el("th", { scope: "col", class: "number" }, "Done, %"))),
        el("tbody", {}, ...sweeps.items.map((sweep) => el("tr", {}, el("td", { class: "number quiet" }, sweep.id), el("td", {}, el("a", { href: `${prefix}/compare?sweep=${sweep.id}` }, plain(sweep.name) || `sweep ${sweep.id}`)),
          el("td", { class: "second" }, grid(sweep)), el("td", { class: "number" }, el("a", { class: "plainlink", href: `${prefix}/runs?sweep=${sweep.id}` }, count(sweep.progress.runs))), el("td", { class: "number" }, fixed(sweep.progress.fraction * 100, 0))))))]));
    return () => {};
  }

  // ---- loading ----

  select() {
    return this.values.sweep ? { sweep: this.values.sweep } : { ids: this.values.ids };
  }

  // As an argument: the plain error unless another one was asked for.
  metric() {
    return this.values.metric === DEFAULTS.metric ? {} : { metric: this.values.metric };
  }

  // The errors that some run has: by the weights as they are, and beside them by other means.
  metrics() {
    const configs = [...this.runs.values()].map((run) => run.config);
    const has = { val_error_tta: configs.some((config) => config.tta && config.tta !== "none"), val_error_ema: configs.some((config) => config.ema > 0) };
    return Object.entries(METRICS).filter(([name]) => has[name] !== false || name === this.values.metric);
  }

  // The chosen axis is large; two others stand beside it.
  axes() {
    const others = ["epoch", "images", "seconds"].filter((x) => x !== this.values.x).slice(-2);
    return [this.values.x, ...others];
  }

  async load() {
    const { group_by, target, baseline } = this.values;
    const asked = { ...this.select(), ...this.metric(), group_by, target, baseline };
    const axes = [...new Set(["epoch", ...this.axes()])];
    const [sweep, , ...answers] = await Promise.all([this.values.sweep ? get(`/sweeps/${this.values.sweep}`) : null, this.loadRuns(), ...axes.map((x) => get("/compare", { ...asked, x }))]);
    this.sweep = sweep;
    this.answers = Object.fromEntries(axes.map((x, i) => [x, answers[i]]));
    answers.forEach(dropImplied);
    this.answer = this.answers.epoch;
    this.varies = this.answer.varies ?? differing([...this.runs.values()].map((run) => run.config));
    await this.loadSeeds();
  }

  // All of them at first, then those that something happened to.
  async loadRuns() {
    const changed = [...this.changed];
    this.changed.clear();
    const one = (id) => get(`/runs/${encodeURIComponent(id)}`, { fields: FIELDS });
    if (this.runs && changed.length <= 10) {
      for (const run of await Promise.all(changed.map(one))) { this.runs.set(run.id, run); }
      return;
    }
    const list = this.values.sweep ? await all("/runs", { sweep: this.values.sweep, fields: FIELDS }) : await Promise.all(this.values.ids.split(",").map(one));
    this.runs = new Map(list.sort((a, b) => a.id - b.id).map((run) => [run.id, run]));
  }

  // Each seed's own curve, against all axes.
  async loadSeeds() {
    if (this.values.seeds !== "each") { return; }
    const wanted = [...this.runs.values()].filter((run) => (this.histories.get(run.id)?.done ?? -1) < run.epochs_done);
    await Promise.all(wanted.slice(0, 200).map(async (run) => {
      const items = await all(`/runs/${run.id}/epochs`, { limit: 500 }, 100000);
      const sum = { step: 0, images: 0, seconds: 0 };
      const points = items.map((item) => {
        sum.step += item.steps ?? 0;
        sum.images += item.images ?? item.images_per_second * item.seconds;
        sum.seconds += item.seconds;
        return { epoch: item.epoch, ...sum, value: item[this.values.metric] };
      });
      this.histories.set(run.id, { done: run.epochs_done, points });
    }));
  }

  // ---- building ----

  choice(name, options) {
    return el("span", { class: "segments", role: "group", "data-name": name }, ...options.map(([value, text]) => el("button", { type: "button", value, onclick: () => this.change({ [name]: value, ...(name === "x" ? { zoom: "" } : {}) }) }, text)));
  }

  pick(text, name, options, reload) {
    return el("label", { class: "quiet" }, `${text} `, el("select", { name, onchange: (event) => this.change({ [name]: event.target.value }, reload) }, ...options.map(([value, what]) => el("option", { value, selected: value === (this.values[name] ?? "") }, what))));
  }

  groupings() {
    const grid = this.values.sweep ? Object.keys(this.sweep.spec?.grid || {}).filter((name) => name !== "seed" && this.varies.includes(name)) : [];
    const fields = [...new Set([...grid, ...this.varies, ...(this.values.group_by && this.values.group_by !== "none" ? [this.values.group_by] : [])])];
    return [["", this.answer.group_by.map(title).join(" and ") || (this.answer.groups.length > 1 ? "each run" : "nothing")], ...fields.map((name) => [name, name.split(",").map(title).join(" and ")]), ["none", "each run"]];
  }

  build() {
    const name = plain(this.sweep?.name) || (this.sweep ? `Sweep ${this.sweep.id}` : "Compare");
    document.title = `${name} · cutoutd`;
    this.subtitle = el("p", { class: "second" });
    this.sentence = el("p", { class: "answer", id: "answer" });
    this.axisChoice = this.choice("x", Object.entries({ epoch: "Epochs", step: "Steps", images: "Images", seconds: "Time" }));
    this.controls = el("details", { class: "controls", open: matchMedia("(min-width: 701px)").matches }, el("summary", { class: "button" }, "View"), el("div", { class: "bar" },
      this.pick("Group by", "group_by", this.groupings(), true), this.metrics().length > 1 ? this.pick("Of", "metric", this.metrics(), true) : "",
      el("label", { class: "quiet" }, "Target ", el("input", { size: 5, name: "target", value: this.values.target, inputMode: "decimal", onchange: (event) => this.change({ target: event.target.value.trim() }, true) })),
      this.choice("seeds", [["mean", "mean ± sd"], ["each", "each seed"]]), this.choice("y", [["log", "log"], ["linear", "linear"]]), this.choice("unit", [["percent", "%"], ["fraction", "0.06"]]),
      this.pick("Smooth", "smooth", [["0", "off"], ["5", "median of 5"], ["11", "median of 11"]]),
      el("span", { class: "bar push" }, el("span", { class: "quiet" }, "This view as"), ...["csv", "svg", "png", "pdf"].map((format) => el("button", { type: "button", onclick: () => this.download(format).catch(complain) }, format.toUpperCase())),
        this.copyButton = el("button", { type: "button", onclick: () => copy(location.href, this.copyButton) }, "Copy link"))));
    this.panels = el("div", { class: "panels" });
    this.table = el("table", { class: "groups" });
    this.foot = el("p", { class: "small foot" });
    this.halving = el("div", {});
    this.view.replaceChildren(el("div", { class: "bar title" }, el("h1", {}, name), this.subtitle, this.sweep && !link ? sweepActions(this.sweep, () => this.soon()) : ""), this.sentence, this.controls, this.panels, this.foot,
      el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Groups" }, this.table), this.halving, this.sweep && !link ? el("div", { class: "sweep-note" }, note(`/sweeps/${this.sweep.id}/note`, this.sweep.has_note)) : "");
    this.arrange();
  }

  arrange() {
    Object.values(this.figures).forEach((figure) => figure.end());
    this.figures = {};
    const holders = this.axes().map((x, i) => {
      const holder = el("div", { class: "figure", role: "img", "aria-label": `Validation error against ${AXES[x]}`, "aria-describedby": "answer" });
      const small = i > 0;
      if (small) { holder.addEventListener("click", () => this.change({ x, zoom: "" })); } else { holder.addEventListener("dblclick", () => this.change({ zoom: "" })); }
      this.figures[x] = new Figure(holder, { small, onHover: small ? null : (at) => this.readOut(at), onZoom: small ? null : (zoom) => this.change({ zoom: zoom.map((v) => Number(v.toPrecision(5))).join(",") }) });
      return holder;
    });
    this.panels.replaceChildren(el("div", { class: "big" }, el("div", { class: "axes" }, el("span", { class: "small" }, "against"), this.axisChoice), holders[0]), el("div", { class: "side" }, ...holders.slice(1)));
  }

  readOut(at) {
    const per = this.per(this.values.x);
    const point = at == null ? null : this.answers[this.values.x].groups.flatMap((group) => group.points).find((p) => p.x / per === at);
    for (const [x, figure] of Object.entries(this.figures)) { if (x !== this.values.x) { figure.showEpoch(point?.epoch ?? null); } }
  }

  // ---- painting ----

  hidden() {
    return (this.values.hide || "").split(",").filter(Boolean).map(Number);
  }

  // What an axis of time counts in: [seconds, its name].
  timeUnit() {
    const most = Math.max(0, ...(this.answers.seconds?.groups || []).flatMap((group) => group.points.map((p) => p.x)));
    return most < 120 ? [1, "seconds"] : most < 7200 ? [60, "minutes"] : [3600, "hours"];
  }

  per(x) {
    return x === "seconds" ? this.timeUnit()[0] : 1;
  }

  axisName(x) {
    return x === "seconds" ? `${this.timeUnit()[1]} of training` : AXES[x];
  }

  // Logarithmic where the errors span much, unless it was chosen.
  yAxis() {
    if (this.values.y) { return this.values.y; }
    const means = this.answer.groups.flatMap((group) => group.points.map((p) => p.mean)).filter((v) => v > 0);
    return Math.max(...means) / Math.min(...means) > LOG_FROM ? "log" : "linear";
  }

  paint() {
    const { groups } = this.answer;
    this.subtitle.replaceChildren(...this.says());
    say(this.sentence, sentence(groups, this.runs, Number(this.values.target) || null, this.values.unit));
    const now = { ...this.values, y: this.yAxis() };
    for (const button of this.view.querySelectorAll(".segments button")) { button.setAttribute("aria-pressed", String(now[button.parentElement.dataset.name] === button.value)); }
    this.looks = looksOfGroups(groups.map((group) => group.key));
    this.drawn = this.chooseDrawn(groups);
    const top = topOf(groups.filter((_, i) => this.drawn.has(i)).map((group) => group.points));
    this.axes().forEach((x, i) => this.paintFigure(x, i > 0, top));
    const hidden = this.hidden();
    groupsTable(this.table, { answer: this.answer, runs: this.runs, looks: this.looks, hidden, unit: this.values.unit, plainError: this.values.metric === DEFAULTS.metric, aim: this.values.target ? errorIn(this.values.unit, Number(this.values.target), 0) : "target",
      onBaseline: (label) => this.change({ baseline: label }, true),
      onHide: (i) => this.change({ hide: (hidden.includes(i) ? hidden.filter((other) => other !== i) : [...hidden, i]).join(",") }) });
    this.halving.replaceChildren(this.sweep ? rungTable(this.sweep.halving) : "");
    this.sayFoot(top);
  }

  // Which groups are drawn: of very many the best; of many only the best three in their colours.
  chooseDrawn(groups) {
    const hidden = this.hidden();
    const order = groups.map((_, i) => i).filter((i) => !hidden.includes(i)).sort((a, b) => (groups[a].best.mean ?? Infinity) - (groups[b].best.mean ?? Infinity)).slice(0, MOST_DRAWN);
    const coloured = order.length > MOST_COLOURED ? order.slice(0, 3) : order;
    if (order.length > MOST_COLOURED) { coloured.forEach((i, rank) => { this.looks[i] = { ...this.looks[i], rank }; }); }
    return new Map(order.map((i) => [i, coloured.includes(i)]));
  }

  says() {
    const runs = [...this.runs.values()];
    const live = runs.filter((run) => run.state === "running").length;
    const done = runs.filter(hasEnded).length;
    const alike = runs.length > 0 ? same(runs[0].config, this.varies) : [];
    return [`${this.sweep ? `sweep ${this.sweep.id}: ` : ""}${count(done)} of ${plural(runs.length, "run")} done${live > 0 ? `, ${live} live` : ""}. Differs: `,
      el("span", { class: "ink" }, this.varies.map(title).join(", ") || "nothing"), `.${alike.length > 0 ? ` Same: ${alike.join(", ")}.` : ""}`];
  }

  // Of a sweep by halving: where its rungs are, and at which epochs runs of a group were left behind.
  rungs() {
    return (this.sweep?.halving?.rungs || []).map(({ epochs, ranking }) => ({ epochs, text: `${ranking.filter((entry) => entry.promoted).length} of ${ranking.length}`,
      left: new Set(ranking.filter((entry) => !entry.promoted).flatMap((entry) => entry.runs.map(String))) }));
  }

  paintFigure(x, small, top) {
    const rungs = this.rungs();
    const width = Number(this.values.smooth);
    const per = this.per(x);
    const ink = { color: getComputedStyle(document.documentElement).getPropertyValue("--ink-3").trim(), dash: null };
    const groups = this.answers[x].groups.map((group, i) => ({ group, i })).filter(({ i }) => this.drawn.has(i)).map(({ group, i }) => {
      const paused = rungs.filter((rung) => group.runs.some((id) => rung.left.has(String(id)))).map((rung) => rung.epochs);
      const points = group.points.map((p) => ({ ...p, x: p.x / per, paused: paused.includes(p.epoch) }));
      const reached = group.to_target?.[x === "epoch" ? "epochs" : x]?.mean;
      return { label: groupName(group), short: groupShort(group), look: this.drawn.get(i) ? this.looks[i] : ink, plain: !this.drawn.get(i), points, smooth: width > 1 ? median(points, width) : null, reachedX: reached == null ? null : reached / per,
        seeds: small ? [] : group.runs.map((id) => (this.histories.get(id)?.points || []).map((p) => [p[x] / per, p.value])).filter((seed) => seed.length > 0) };
    });
    const percent = this.values.unit === "percent" ? ", %" : "";
    const heading = small ? `the same${percent}, against ${this.axisName(x)}` : `${METRICS[this.values.metric]}${percent}, against ${this.axisName(x)}`;
    const epochs = Math.max(...[...this.runs.values()].map((run) => run.config.epochs), 1);
    this.figures[x].set(groups.sort((a, b) => Number(b.plain) - Number(a.plain)), { title: heading, log: this.yAxis() === "log", unit: this.values.unit, target: Number(this.values.target) || null, seeds: small ? "mean" : this.values.seeds, top, whole: this.values.whole === "1",
      rungs: x === "epoch" && !small ? rungs : [], xKind: x, xName: AXES[x], xlog: x !== "epoch" && x !== "step", xMost: x === "epoch" ? epochs : 0, zoom: small || !this.values.zoom ? null : this.values.zoom.split(",").map(Number) });
  }

  sayFoot(top) {
    const { groups } = this.answer;
    const falls = groups.map((group) => ({ group, at: group.points.find((p, i) => i > 0 && p.n < group.points[i - 1].n) })).filter(({ at }) => at);
    const parts = [this.values.seeds === "each" ? "The mean, and each seed thin." : groups.some((group) => group.n > 1) ? "Mean, and a band of ± 1 sd where n is 2 or more." : "One seed each: no band."];
    if (Number(this.values.smooth) > 1) { parts.push(`Smoothed by the median of ${this.values.smooth}, the mean as it is behind it.`); }
    falls.slice(0, 3).forEach(({ group, at }) => parts.push(`${groupName(group)} has n = ${at.n} from epoch ${at.epoch} (hollow).`));
    if (this.rungs().length > 0) { parts.push("Dotted: rungs, and how many of how many went on; \u2016 runs paused there."); }
    if (groups.some((group) => group.to_target?.epochs.n_reached > 0)) { parts.push(`Dots on the line of ${errorIn(this.values.unit, Number(this.values.target), 0)}: mean of the runs that reached it.`); }
    if (top < 1 && this.values.whole !== "1" && groups.some((group) => group.points.some((p) => p.mean > top))) { parts.push(`Above ${errorIn(this.values.unit, top, 0)}: not drawn (0 shows all).`); }
    if (this.drawn.size + this.hidden().length < groups.length) { parts.push(`The best ${count(this.drawn.size)} of ${plural(groups.length, "group")}.`); }
    const { drawn, total } = this.figures[this.values.x];
    parts.push(`${count(drawn)} of ${plural(total, "point")}.`);
    say(this.foot, total > 0 ? parts.join(" ") : "");
  }

  // ---- changes ----

  shown() {
    const values = { ...this.values };
    if (this.context.match[1]) { delete values.sweep; }
    return Object.fromEntries(Object.entries(values).filter(([key, value]) => value !== "" && DEFAULTS[key] !== value));
  }

  async change(values, reload = false) {
    const axis = values.x && values.x !== this.values.x;
    Object.assign(this.values, values);
    if ("group_by" in values) { Object.assign(this.values, { hide: "", baseline: "" }); }
    if ("metric" in values) { this.histories.clear(); }
    address.set(this.shown());
    try {
      if (reload || (axis && this.axes().some((x) => !this.answers[x]))) { await this.load(); } else { await this.loadSeeds(); }
    } catch (problem) {
      complain(problem);
      return;
    }
    if (!this.context.alive()) { return; }
    if ("group_by" in values) { this.build(); }
    if (axis) { this.arrange(); }
    this.paint();
  }

  hear({ event, data, again }) {
    const ours = data?.run && this.runs.has(data.run);
    if (ours && ["epoch", "state", "edit"].includes(event)) {
      this.changed.add(data.run);
      this.soon();
    } else if (event === "connection" && again) {
      this.runs.forEach((_, id) => this.changed.add(id));
      this.soon();
    }
  }

  // Not more often than reading takes a tenth of the time, and not while nobody looks.
  soon() {
    if (document.hidden) { this.stale = true; return; }
    this.timer ??= setTimeout(async () => {
      const begun = performance.now();
      this.stale = false;
      try {
        await this.load();
        if (this.context.alive()) { this.paint(); }
      } catch (problem) { complain(problem); }
      this.wait = Math.max(500, 10 * (performance.now() - begun));
      this.timer = null;
      if (this.changed.size > 0) { this.soon(); }
    }, this.wait ?? 500);
  }

  // ---- taking it away ----

  async download(format) {
    const name = `cutoutd-${this.values.sweep ? `sweep-${this.values.sweep}` : "runs"}.${format}`;
    if (format === "csv") { saveAs(URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" })), name); return; }
    await save(`/figures/validation-error.${format}`, this.figureArguments(), name);
  }

  // The same view of the daemon's figure.
  figureArguments() {
    const { group_by, target, baseline, x, unit, seeds, smooth, zoom } = this.values;
    const per = this.per(x);
    const [from, to, ...errors] = zoom ? zoom.split(",").map(Number) : [];
    const hidden = this.hidden().map((i) => this.answer.groups[i]?.label).filter(Boolean); // of very many it takes the best itself, and says so
    return { ...this.select(), ...this.metric(), group_by, target, baseline, x, unit, seeds, smooth: Number(smooth) > 1 ? smooth : null, y: this.yAxis(), x_log: x === "images" || x === "seconds" ? "true" : null, hide: hidden.join(","),
      zoom: zoom ? [from * per, to * per, ...errors].join(",") : null, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : null, title: plain(this.sweep?.name), width: 720, height: 420 };
  }

  // What is drawn, as numbers: every point of every shown curve between the edges of the zoom, none thinned.
  csv() {
    const figure = this.figures[this.values.x];
    const zoom = figure.view.zoom || [-Infinity, Infinity];
    const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const rows = [["group", "run", "epoch", this.axisName(this.values.x).split(" ")[0], this.values.metric, "sd", "n", ...(figure.groups[0]?.smooth ? ["smoothed"] : [])]];
    const within = (p) => p.x >= zoom[0] && p.x <= zoom[1];
    for (const group of figure.groups) {
      group.points.forEach((p, i) => { if (within(p)) { rows.push([quote(group.label), "", p.epoch, p.x, p.mean, p.std, p.n, ...(group.smooth ? [group.smooth[i]] : [])]); } });
    }
    if (this.values.seeds === "each") {
      const per = this.per(this.values.x);
      const shown = new Set(figure.groups.map((group) => group.label));
      for (const group of this.answer.groups.filter((one) => shown.has(groupName(one)))) {
        for (const id of group.runs) {
          for (const p of this.histories.get(id)?.points || []) { if (within({ x: p[this.values.x] / per })) { rows.push([quote(groupName(group)), id, p.epoch, p[this.values.x] / per, p.value, "", 1, ...(figure.groups[0]?.smooth ? [""] : [])]); } }
        }
      }
    }
    return `${rows.map((row) => row.map((cell) => cell ?? "").join(",")).join("\n")}\n`;
  }

  key(key) {
    const axes = Object.keys(AXES);
    const next = { x: () => ({ x: axes[(axes.indexOf(this.values.x) + 1) % axes.length], zoom: "" }), l: () => ({ y: this.yAxis() === "log" ? "linear" : "log" }),
      u: () => ({ unit: this.values.unit === "percent" ? "fraction" : "percent" }), s: () => ({ seeds: this.values.seeds === "mean" ? "each" : "mean" }),
      0: () => (this.values.zoom ? { zoom: "" } : { whole: this.values.whole === "1" ? "" : "1" }) }[key];
    if (next) { this.change(next()); return true; }
    if (key === "y") { copy(location.href, this.copyButton); return true; }
    if (key === "[" || key === "]") { this.point(key === "]" ? 1 : -1); return true; }
    return false;
  }

  // Reads out the next or previous epoch, as the pointer would.
  point(by) {
    const epochs = [...new Set(this.answer.groups.flatMap((group) => group.points.map((p) => p.epoch)))].sort((a, b) => a - b);
    if (epochs.length === 0) { return; }
    const at = epochs.indexOf(this.epoch ?? (by > 0 ? -1 : epochs.at(-1) + 1));
    this.epoch = epochs[Math.min(epochs.length - 1, Math.max(0, at + by))];
    const texts = this.answer.groups.map((group) => `${groupName(group)} ${errorText(group.points.find((p) => p.epoch === this.epoch)?.mean, this.values.unit)}`);
    say(document.getElementById("announce"), `Epoch ${this.epoch}: ${texts.join("; ")}`);
    const here = this.figures[this.values.x].groups.flatMap((group) => group.points).find((p) => p.epoch === this.epoch);
    this.figures[this.values.x].hover(here?.x ?? null);
  }
}

// A schedule that follows the learning rate names no group: where each rate has one schedule, it is left out of the keys.
function dropImplied({ groups }) {
  const schedules = new Map();
  const follows = groups.every(({ key }) => {
    if (!("lr" in key && "lr_schedule" in key)) { return false; }
    const text = JSON.stringify(key.lr_schedule);
    if (!schedules.has(key.lr)) { schedules.set(key.lr, text); }
    return schedules.get(key.lr) === text;
  });
  if (follows && schedules.size > 1) { groups.forEach(({ key }) => { delete key.lr_schedule; }); }
}

export async function show(view, context) {
  return new Compare(view, context).start();
}
