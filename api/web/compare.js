// Which group needs the fewest epochs, images and hours: the answer as a sentence, the curves, the table.

import { address, complain } from "./frame.js";
import { all, base, get, headers, prefix, query } from "./api.js";
import { copy, el, say } from "./dom.js";
import { Figure } from "./figure.js";
import { count, error as errorText, fixed, plain, plural, short } from "./format.js";
import { onKey } from "./keys.js";
import { listen } from "./live.js";
import { median, topOf } from "./scale.js";
import { looks, stub } from "./series.js";

const AXES = { epoch: "epochs", images: "images", seconds: "hours" };
const FIELDS = "id,name,state,config,best,last,epochs_done,sweep";
const GROUP_FIELDS = ["m", "cutout_size", "cutout_squares", "copies", "seed", "optimizer", "lr", "depth", "batch_size", "preset", "dataset"];
const DEFAULTS = { group_by: "m", x: "epoch", y: "log", unit: "percent", target: "0.06", seeds: "mean", smooth: "0" };
const FINAL = ["succeeded", "failed", "canceled"];
const SAY = { m: "M" };

// The fields in which configs differ, and those in which they do not.
export function varies(configs) {
  const names = [...new Set(configs.flatMap((config) => Object.keys(config)))];
  const texts = (name) => new Set(configs.map((config) => JSON.stringify(config[name])));
  return names.filter((name) => texts(name).size > 1);
}

class Compare {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.values = { ...DEFAULTS, ...context.values };
    if (context.match[1]) { this.values.sweep = context.match[1]; }
    this.figures = {};
    this.histories = new Map();
  }

  async start() {
    if (!this.values.sweep && !this.values.ids) { return this.choose(); }
    await this.load();
    if (!this.context.alive()) { return () => {}; }
    this.build();
    this.paint();
    const stop = [listen((event) => this.hear(event)), onKey((key) => this.key(key))];
    return () => { stop.forEach((end) => end()); clearTimeout(this.timer); Object.values(this.figures).forEach((figure) => figure.end()); };
  }

  // No runs named: the newest sweeps.
  async choose() {
    const sweeps = await get("/sweeps", { limit: 50 });
    document.title = "Compare · cutoutd";
    this.view.replaceChildren(el("h1", {}, "Compare"), el("p", { class: "second" }, sweeps.items.length > 0 ? "A sweep, or runs chosen under Runs." : "No sweep yet: several values in a field of New make one. Runs can also be chosen under Runs."),
      el("table", { class: "sweeps" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Sweep"), el("th", { scope: "col" }, "Grid"), el("th", { scope: "col", class: "number" }, "Runs"), el("th", { scope: "col", class: "number" }, "Done, %"))),
        el("tbody", {}, ...sweeps.items.map((sweep) => el("tr", {}, el("td", {}, el("a", { href: `${prefix}/compare?sweep=${sweep.id}` }, plain(sweep.name) || `sweep ${sweep.id}`)),
          el("td", { class: "second" }, plain(Object.entries(sweep.spec?.grid || {}).map(([key, list]) => `${key} ${[].concat(list).join(", ")}`).join("; "))),
          el("td", { class: "number" }, count(sweep.progress.runs)), el("td", { class: "number" }, fixed(sweep.progress.fraction * 100, 0)))))));
    return () => {};
  }

  select() {
    return this.values.sweep ? { sweep: this.values.sweep } : { ids: this.values.ids };
  }

  async load() {
    const { group_by, target, baseline } = this.values;
    const asked = { ...this.select(), group_by, target, baseline };
    const runs = this.values.sweep ? all("/runs", { sweep: this.values.sweep, fields: FIELDS })
      : Promise.all(this.values.ids.split(",").map((id) => get(`/runs/${encodeURIComponent(id)}`, { fields: FIELDS })));
    const [sweep, list, ...comparisons] = await Promise.all([this.values.sweep ? get(`/sweeps/${this.values.sweep}`) : null, runs,
      ...Object.keys(AXES).map((x) => get("/compare", { ...asked, x }))]);
    this.sweep = sweep;
    this.runs = new Map(list.map((run) => [run.id, run]));
    this.answers = Object.fromEntries(Object.keys(AXES).map((x, i) => [x, comparisons[i]]));
    this.varies = varies(list.map((run) => run.config));
    await this.loadSeeds();
  }

  // Each seed's own curve, against the three axes: x of an epoch is that of the group's point where runs are alike.
  async loadSeeds() {
    if (this.values.seeds !== "each") { return; }
    const wanted = [...this.runs.values()].filter((run) => (this.histories.get(run.id)?.done ?? -1) < run.epochs_done);
    await Promise.all(wanted.slice(0, 200).map(async (run) => {
      const items = await all(`/runs/${run.id}/epochs`, { limit: 500 }, 100000);
      let images = 0;
      let seconds = 0;
      const points = items.map((item) => {
        images += item.images ?? item.images_per_second * item.seconds;
        seconds += item.seconds;
        return { epoch: item.epoch, images, seconds, value: item.val_error };
      });
      this.histories.set(run.id, { done: run.epochs_done, points });
    }));
  }

  // ---- the words ----

  name(group) {
    return Object.entries(group.key).map(([key, value]) => `${SAY[key] || key} ${value ?? "none"}`).join(", ");
  }

  target() {
    const text = errorText(Number(this.values.target), this.values.unit, 0);
    return this.values.unit === "percent" ? `${text}\u00a0%` : text;
  }

  winner(axis) {
    const settled = this.answers.epoch.groups.filter((group) => {
      const ended = group.runs.filter((id) => FINAL.includes(this.runs.get(id)?.state));
      return ended.length > 0 && group.to_target[axis].n_reached >= ended.length && group.to_target[axis].mean != null;
    });
    return settled.sort((a, b) => a.to_target[axis].mean - b.to_target[axis].mean)[0];
  }

  sentence() {
    const { groups } = this.answers.epoch;
    if (groups.length < 2) { return groups.length === 1 ? `${plural(this.runs.size, "run")}, ${plural(groups[0].n, "seed")}.` : "No epochs yet."; }
    if (!this.values.target) { return ""; }
    const best = this.winner("epochs");
    if (!best) {
      const nearest = groups.filter((group) => group.best.mean != null).sort((a, b) => a.best.mean - b.best.mean)[0];
      return nearest ? `No group has reached ${this.target()} yet; ${this.name(nearest)} is nearest, ${errorText(nearest.best.mean, this.values.unit)}${this.values.unit === "percent" ? "\u00a0%" : ""}.` : "No epochs yet.";
    }
    const parts = [`${this.name(best)} needs the fewest epochs to reach ${this.target()}: ${fixed(best.to_target.epochs.mean, best.to_target.epochs.n_reached > 1 ? 1 : 0)}${this.near(best)}.`];
    const images = this.winner("images");
    const seconds = this.winner("seconds");
    if (images && seconds) {
      const hours = `${fixed(seconds.to_target.seconds.mean / 3600, 2)}`;
      parts.push(images === seconds ? `${this.name(images)} needs the fewest images, ${short(images.to_target.images.mean)}, and the fewest hours, ${hours}.`
        : `${this.name(images)} needs the fewest images, ${short(images.to_target.images.mean)}; ${this.name(seconds)} the fewest hours, ${hours}.`);
    }
    if (groups.every((group) => group.n === 1)) { parts.push("One seed each."); }
    return parts.join(" ");
  }

  near(best) {
    const close = this.answers.epoch.groups.find((group) => {
      const [a, b] = [group.to_target.epochs, best.to_target.epochs];
      return group !== best && a.mean != null && a.std != null && b.std != null && Math.abs(a.mean - b.mean) < Math.max(a.std, b.std);
    });
    return close ? ` (${this.name(close)} is within one sd)` : "";
  }

  says() {
    const runs = [...this.runs.values()];
    const live = runs.filter((run) => run.state === "running").length;
    const done = runs.filter((run) => FINAL.includes(run.state)).length;
    const same = runs.length > 0 ? ["depth", "dataset", "cutout_size", "preset", "epochs", "optimizer"].filter((name) => !this.varies.includes(name))
      .map((name) => ({ depth: `ResNet-${runs[0].config.depth}`, dataset: plain(runs[0].config.dataset), cutout_size: `cutout ${runs[0].config.cutout_size}`, preset: runs[0].config.preset,
        epochs: plural(runs[0].config.epochs, "epoch"), optimizer: runs[0].config.optimizer })[name]) : [];
    return [`${this.sweep ? `sweep ${this.sweep.id}: ` : ""}${count(done)} of ${plural(runs.length, "run")} done${live > 0 ? `, ${live} live` : ""}. Differs: `,
      el("span", { class: "ink" }, this.varies.map((name) => SAY[name] || name).join(", ") || "nothing"), `. Same: ${same.join(", ")}.`];
  }

  // ---- building and painting ----

  choice(name, options) {
    return el("span", { class: "segments", role: "group", "data-name": name }, ...options.map(([value, text]) => el("button", { type: "button", value,
      "aria-pressed": String(this.values[name] === value), onclick: () => this.change({ [name]: value }) }, text)));
  }

  build() {
    document.title = `${plain(this.sweep?.name) || "Compare"} · cutoutd`;
    this.subtitle = el("p", { class: "second" });
    this.answer = el("p", { class: "answer", id: "answer" });
    const fields = [...new Set([this.values.group_by, ...GROUP_FIELDS.filter((name) => this.varies.includes(name) || name === "m")])];
    this.controls = el("details", { class: "controls", open: matchMedia("(min-width: 701px)").matches }, el("summary", { class: "button" }, "View"), el("div", { class: "bar" },
      el("label", { class: "quiet" }, "Group by ", el("select", { onchange: (event) => this.change({ group_by: event.target.value }, true) }, ...fields.map((name) => el("option", { value: name, selected: name === this.values.group_by }, SAY[name] || name)))),
      el("label", { class: "quiet" }, "Target ", el("input", { size: 5, value: this.values.target, inputMode: "decimal", onchange: (event) => this.change({ target: event.target.value.trim() }, true) })),
      this.choice("seeds", [["mean", "mean ± sd"], ["each", "each seed"]]), this.choice("y", [["log", "log"], ["linear", "linear"]]), this.choice("unit", [["percent", "%"], ["fraction", "0.06"]]),
      el("label", { class: "quiet" }, "Smooth ", el("select", { onchange: (event) => this.change({ smooth: event.target.value }) }, ...[["0", "off"], ["5", "median of 5"], ["11", "median of 11"]].map(([value, text]) => el("option", { value, selected: value === this.values.smooth }, text)))),
      el("span", { class: "push quiet" }, "This view as"), ...["csv", "svg", "png", "pdf"].map((format) => el("button", { type: "button", onclick: () => this.download(format).catch(complain) }, format.toUpperCase())),
      this.copyButton = el("button", { type: "button", onclick: () => copy(location.href, this.copyButton) }, "Copy link")));
    const holders = { epoch: el("div"), images: el("div"), seconds: el("div") };
    this.holders = holders;
    this.panels = el("div", { class: "panels", role: "img", "aria-labelledby": "answer" });
    for (const x of Object.keys(AXES)) { holders[x].className = "figure"; holders[x].addEventListener("dblclick", () => this.change({ zoom: "" })); }
    this.table = el("table", { class: "groups" });
    this.foot = el("p", { class: "small" });
    this.view.replaceChildren(el("div", { class: "bar title" }, el("h1", {}, plain(this.sweep?.name) || "Compare"), this.subtitle), this.answer, this.controls, this.panels, el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Groups" }, this.table), this.foot);
    this.arrange();
  }

  // The chosen axis is large; the others stand beside it.
  arrange() {
    Object.values(this.figures).forEach((figure) => figure.end());
    const big = this.values.x;
    const others = Object.keys(AXES).filter((x) => x !== big);
    this.panels.replaceChildren(el("div", { class: "big" }, this.holders[big]), el("div", { class: "side" }, ...others.map((x) => this.holders[x])));
    for (const x of Object.keys(AXES)) {
      const small = x !== big;
      this.holders[x].onclick = small ? () => this.change({ x, zoom: "" }) : null;
      this.figures[x] = new Figure(this.holders[x], { small,
        onHover: small ? null : (at) => this.readOut(at),
        onZoom: small ? null : (zoom) => address.set(this.shown({ zoom: zoom ? zoom.map((v) => Number(v.toPrecision(4))).join(",") : "" }), true) });
    }
  }

  readOut(at) {
    const point = at == null ? null : this.answers[this.values.x].groups.flatMap((group) => group.points).find((p) => p.x === at);
    for (const x of Object.keys(AXES)) { if (x !== this.values.x) { this.figures[x].showEpoch(point?.epoch ?? null); } }
  }

  paint() {
    this.subtitle.replaceChildren(...this.says());
    say(this.answer, this.sentence());
    for (const button of this.controls.querySelectorAll(".segments button")) {
      button.setAttribute("aria-pressed", String(this.values[button.parentElement.dataset.name] === button.value));
    }
    const { groups } = this.answers.epoch;
    const field = this.values.group_by.split(",")[0];
    this.looks = looks(groups.map((group) => String(group.key[field] ?? "")), field);
    const top = topOf(groups.map((group) => group.points));
    for (const x of Object.keys(AXES)) { this.paintFigure(x, top); }
    this.paintTable();
    this.sayFoot(top);
  }

  paintFigure(x, top) {
    const small = x !== this.values.x;
    const width = Number(this.values.smooth);
    const per = x === "seconds" ? 3600 : 1;
    const groups = this.answers[x].groups.map((group, i) => {
      const points = group.points.map((p) => ({ ...p, x: p.x / per }));
      const reached = group.to_target?.[x === "epoch" ? "epochs" : x]?.mean;
      return { label: this.name(group), look: this.looks[i], points, smooth: width > 1 ? median(points, width) : null, reachedX: reached == null ? null : reached / per,
        seeds: small ? [] : group.runs.map((id) => (this.histories.get(id)?.points || []).map((p) => [p[x] / per, p.value])).filter((seed) => seed.length > 0) };
    });
    const title = small ? `the same against ${x === "seconds" ? "hours of training" : AXES[x]}` : `validation error${this.values.unit === "percent" ? ", %" : ""}, against ${AXES[x]}`;
    const epochs = Math.max(...[...this.runs.values()].map((run) => run.config.epochs), 1);
    this.figures[x].set(groups, { title, log: this.values.y === "log", unit: this.values.unit, target: Number(this.values.target) || null, seeds: small ? "mean" : this.values.seeds, top, whole: this.values.whole === "1",
      xKind: x, xName: AXES[x], xlog: x !== "epoch", xMost: x === "epoch" ? epochs : 0, zoom: small || !this.values.zoom ? null : this.values.zoom.split(",").map(Number) });
  }

  paintTable() {
    const { groups, baseline } = this.answers.epoch;
    const { unit } = this.values;
    const target = this.values.target ? this.target() : "target";
    const best = groups.filter((group) => group.best.mean != null).map((group) => group.best.mean);
    const seeds = groups.map((group) => group.runs.map((id) => this.runs.get(id)).filter((run) => run?.best));
    const all = seeds.flat().map((run) => run.best.val_error);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const least = (axis) => Math.min(...groups.map((group) => group.to_target[axis].mean ?? Infinity));
    const head = ["Group", "Runs", `Best error${unit === "percent" ? ", %" : ""}`, all.length > 0 ? `Each seed, ${errorText(low, unit, 1)} to ${errorText(high, unit, 1)}` : "Each seed",
      baseline ? `Against ${baseline.replace("m=", "M ")}` : "", `Epochs to ${target}`, `Images to ${target}`, `Hours to ${target}`, "Reached", "Images/s"].filter(Boolean);
    const strong = (on) => (on ? " strong" : "");
    const reach = (group, axis, text) => (group.to_target[axis].mean == null ? el("td", { class: "number quiet" }, "not reached") : el("td", { class: `number${strong(group.to_target[axis].mean === least(axis))}` }, text(group.to_target[axis].mean)));
    this.table.replaceChildren(el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", class: i === 0 || i === 3 ? "" : "number" }, text)))),
      el("tbody", {}, ...groups.map((group, i) => {
        const live = group.runs.filter((id) => this.runs.get(id)?.state === "running").length;
        return el("tr", {}, el("th", { scope: "row", class: "group" }, stub(this.looks[i]), plain(this.name(group))),
          el("td", { class: "number" }, count(group.n - live), live > 0 ? el("span", { class: "quiet" }, ` + ${live} live`) : ""),
          el("td", { class: "number" }, el("span", { class: strong(group.best.mean === Math.min(...best)).trim() }, errorText(group.best.mean, unit)), group.best.std == null ? "" : el("span", { class: "quiet" }, ` ± ${errorText(group.best.std, unit)}`)),
          el("td", {}, this.dots(seeds[i], low, high, this.looks[i])),
          baseline ? el("td", { class: "number" }, `m=${group.key.m}` === baseline || group.label === baseline ? el("span", { class: "quiet" }, "baseline") : fixed((group.versus_baseline?.mean ?? NaN) * (unit === "percent" ? 100 : 1), unit === "percent" ? 2 : 4)) : null,
          reach(group, "epochs", (v) => fixed(v, 1)), reach(group, "images", short), reach(group, "seconds", (v) => fixed(v / 3600, 2)),
          el("td", { class: "number" }, `${group.to_target.epochs.n_reached} of ${group.to_target.epochs.n}`), el("td", { class: "number" }, count(group.images_per_second?.mean)));
      })));
  }

  dots(runs, low, high, look) {
    const strip = el("span", { class: "dots" });
    for (const run of runs) {
      const dot = el("i", { class: run.state === "running" ? "live" : "", title: `run ${run.id}: ${errorText(run.best.val_error, this.values.unit)}` });
      dot.style.left = `${high > low ? (run.best.val_error - low) / (high - low) * 92 + 4 : 50}%`;
      dot.style.setProperty("--dot", look.color);
      strip.append(dot);
    }
    return strip;
  }

  sayFoot(top) {
    const { groups } = this.answers.epoch;
    const falls = groups.map((group) => ({ group, at: group.points.find((p, i) => i > 0 && p.n < group.points[i - 1].n) })).filter(({ at }) => at);
    const parts = [this.values.seeds === "each" ? "The mean, and each seed thin." : groups.some((group) => group.n > 1) ? "Mean, and ± 1 sd where n is 2 or more." : "One seed each: no band."];
    falls.slice(0, 3).forEach(({ group, at }) => parts.push(`${this.name(group)} has n = ${at.n} from epoch ${at.epoch}.`));
    if (top < 1 && this.values.whole !== "1") { parts.push(`Above ${errorText(top, this.values.unit, 0)}${this.values.unit === "percent" ? "\u00a0%" : ""}: not drawn (0 shows all).`); }
    const n = groups.reduce((sum, group) => sum + group.points.length, 0);
    parts.push(`${count(n)} of ${count(n)} points.`);
    say(this.foot, parts.join(" "));
  }

  // ---- changes ----

  shown(values) {
    const merged = { ...this.values, ...values };
    if (this.context.match[1]) { delete merged.sweep; }
    return Object.fromEntries(Object.entries(merged).filter(([key, value]) => value !== "" && DEFAULTS[key] !== value));
  }

  async change(values, reload = false) {
    const axis = values.x && values.x !== this.values.x;
    Object.assign(this.values, values);
    if (this.values.zoom === "") { delete this.values.zoom; }
    address.set(this.shown({}));
    try {
      if (reload) { await this.load(); } else { await this.loadSeeds(); }
    } catch (problem) {
      complain(problem);
      return;
    }
    if (axis) { this.arrange(); }
    this.paint();
  }

  hear({ event, data, again }) {
    const ours = data?.run && this.runs.has(data.run);
    if ((ours && (event === "epoch" || event === "state")) || (event === "connection" && again)) {
      this.timer ??= setTimeout(async () => {
        this.timer = null;
        if (document.hidden) { this.stale = true; return; }
        try { await this.load(); this.paint(); } catch (problem) { complain(problem); }
      }, 500);
    }
  }

  async download(format) {
    const { group_by, target, baseline, x } = this.values;
    const asked = { ...this.select(), group_by, target, baseline, x };
    const path = format === "csv" ? `/compare${query({ ...asked, format: "csv" })}` : `/figures/validation-error.${format}${query({ ...asked, title: this.sweep?.name })}`;
    const response = await fetch(base + path, { headers: headers() });
    if (!response.ok) { throw new Error(`The daemon answered ${response.status}.`); }
    const link = el("a", { href: URL.createObjectURL(await response.blob()), download: `cutoutd-${this.values.sweep ? `sweep-${this.values.sweep}` : "runs"}.${format}` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  key(key) {
    const next = { x: () => ({ x: Object.keys(AXES)[(Object.keys(AXES).indexOf(this.values.x) + 1) % 3], zoom: "" }), l: () => ({ y: this.values.y === "log" ? "linear" : "log" }),
      u: () => ({ unit: this.values.unit === "percent" ? "fraction" : "percent" }), s: () => ({ seeds: this.values.seeds === "mean" ? "each" : "mean" }),
      0: () => ({ zoom: "", whole: this.values.whole === "1" ? "" : "1" }) }[key];
    if (next) { this.change(next()); return true; }
    if (key === "y") { copy(location.href, this.copyButton); return true; }
    if (key === "[" || key === "]") {
      const epochs = [...new Set(this.answers.epoch.groups.flatMap((group) => group.points.map((p) => p.epoch)))].sort((a, b) => a - b);
      const at = epochs.indexOf(this.point ?? (key === "]" ? -1 : epochs.at(-1) + 1));
      this.point = epochs[Math.min(epochs.length - 1, Math.max(0, at + (key === "]" ? 1 : -1)))];
      const texts = this.answers.epoch.groups.map((group) => `${this.name(group)} ${errorText(group.points.find((p) => p.epoch === this.point)?.mean, this.values.unit)}`);
      say(document.getElementById("announce"), `Epoch ${this.point}: ${texts.join("; ")}`);
      this.figures.epoch.showEpoch(this.point);
      return true;
    }
    return false;
  }
}

export async function show(view, context) {
  return new Compare(view, context).start();
}

