// All runs: what is going, what waits and why, what has ended. Rows are kept up to date by the page's event stream.

import { address, complain, go } from "./frame.js";
import { all, get, prefix, send } from "./api.js";
import { act, ACTIONS, actionButton, reason } from "./actions.js";
import { addPoint, draw, fit, forget, known, load, scale } from "./curve.js";
import { copy, el, say } from "./dom.js";
import { count, duration, error as errorText, fixed, plain, plural, when } from "./format.js";
import { onKey } from "./keys.js";
import { listen } from "./live.js";
import { glyph, lookOfM, stub } from "./series.js";

const FIELDS = "id,name,state,reason,owner,sweep,config,progress,estimate,epochs_done,best,last,started_at,finished_at,created_at,labels,priority,request";
const PAGE = 100;
const COLUMNS = [["m", "M"], ["curve", "Curve"], ["epoch", "Epoch"], ["best", "Best"], ["at", "at"], ["last", "Last"], ["speed", "Images/s"], ["ends", "Ends, ended"], ["owner", "Owner"]];
const SORTS = { id: "id", name: "name", m: "m", best: "best", last: "last", ends: "finished" };
const FILTERS = ["state", "m", "cutout_size", "dataset", "preset", "optimizer", "copies", "seed", "depth", "owner", "sweep", "label", "name"];
const FINAL = ["succeeded", "failed", "canceled"];

// A row's values from a run as the API gives it.
function rowOf(run) {
  return { ...run, m: run.m ?? run.config?.m, epochs: run.epochs ?? run.config?.epochs, why: run.why, start: run.start };
}

class Runs {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.values = context.values;
    this.rows = new Map(); // id -> {run, nodes}
    this.selected = new Set((this.values.sel || "").split(",").filter(Boolean));
    this.current = null;
    this.cursor = null;
    this.total = null;
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { this.showCurve(entry.target.dataset.run); }
      }
    }, { rootMargin: "200px" });
  }

  filters() {
    return Object.fromEntries(FILTERS.filter((name) => this.values[name]).map((name) => [name, this.values[name]]));
  }

  isFlat() {
    return Boolean(this.values.sort) || Object.keys(this.filters()).length > 0;
  }

  columns() {
    const chosen = this.values.cols ? this.values.cols.split(",") : null;
    return COLUMNS.filter(([name]) => !chosen || chosen.includes(name));
  }

  async start() {
    const body = el("div");
    this.table = el("table", { class: "runs" });
    this.more = el("div", { class: "bar more" });
    this.actions = el("div", { class: "bar push actions" });
    body.append(el("h1", { class: "hidden" }, "Runs"), el("div", { class: "bar filter" }, this.filterField(), this.stateChoice(), this.columnChoice(), this.actions), this.table, this.more);
    await this.load();
    if (!this.context.alive()) { return () => {}; }
    this.view.replaceChildren(body);
    if (this.rows.size === 0 && !this.isFlat()) { await this.first(body); }
    const stop = [listen((event) => this.hear(event)), onKey((key) => this.key(key))];
    return () => { stop.forEach((end) => end()); this.seen.disconnect(); clearTimeout(this.timer); };
  }

  // ---- the controls ----

  filterField() {
    const text = Object.entries(this.filters()).filter(([name]) => name !== "state").map(([name, value]) => `${name}=${value}`).join(" ");
    this.field = el("input", { type: "search", class: "wide", value: text, placeholder: "Filter: m=8,16 name=…", "aria-label": "Filter runs",
      onkeydown: (event) => {
        if (event.key === "Enter") { this.filter(event.target.value); }
        if (event.key === "Escape") { event.target.blur(); }
      } });
    return this.field;
  }

  filter(text) {
    const values = { ...this.values };
    FILTERS.filter((name) => name !== "state").forEach((name) => delete values[name]);
    for (const word of text.trim().split(/\s+(?=[a-z_]+=)|\s+/).filter(Boolean)) {
      const at = word.indexOf("=");
      const name = at > 0 ? word.slice(0, at) : "name";
      if (!FILTERS.includes(name)) {
        complain(new Error(`There is no filter ${name}; there are ${FILTERS.join(", ")}.`));
        return;
      }
      values[name] = word.slice(at + 1);
    }
    this.again(values);
  }

  again(values) {
    delete values.sel;
    address.set(values);
    go(address.path() + location.search, false);
  }

  stateChoice() {
    const states = ["running", "queued", "held", "paused", ...FINAL];
    return el("select", { "aria-label": "State", onchange: (event) => this.again({ ...this.values, state: event.target.value }) },
      el("option", { value: "" }, "state: all"), ...states.map((state) => el("option", { value: state, selected: this.values.state === state }, state)));
  }

  columnChoice() {
    const choice = el("details", { class: "columns" }, el("summary", { class: "button" }, "Columns"));
    const box = el("div", { class: "popover" });
    for (const [name, title] of COLUMNS) {
      const on = this.columns().some(([chosen]) => chosen === name);
      box.append(el("label", {}, el("input", { type: "checkbox", checked: on, value: name, onchange: () => {
        const chosen = [...box.querySelectorAll("input:checked")].map((input) => input.value);
        this.again({ ...this.values, cols: chosen.length === COLUMNS.length ? "" : chosen.join(",") });
      } }), ` ${title}`));
    }
    choice.append(box);
    return choice;
  }

  sayActions() {
    const runs = [...this.selected].map((id) => this.rows.get(id)?.run).filter(Boolean);
    const names = ["pause", "resume", "hold", "release", "requeue", "cancel", "delete"].filter((name) => runs.length > 0 && (!reason(name, runs) || ["pause", "cancel", "delete"].includes(name)));
    this.actions.replaceChildren(...(runs.length === 0 ? [] : [
      el("span", { class: "second" }, `${count(runs.length)} selected`),
      el("button", { type: "button", class: "first", onclick: () => this.compare() }, "Compare", el("kbd", {}, "c")),
      ...names.map((name) => actionButton(name, runs, (action) => this.act(action, runs))),
      el("button", { type: "button", class: "link", onclick: () => { this.selected.clear(); this.paintSelection(); } }, "none"),
    ]));
    address.set({ ...this.values, sel: [...this.selected].join(",") }, false);
  }

  compare() {
    if (this.selected.size > 0) { go(`/compare?ids=${[...this.selected].join(",")}`); }
  }

  async act(action, runs) {
    try {
      if (await act(action, runs) && action === "delete") {
        runs.forEach((run) => { this.selected.delete(run.id); this.remove(run.id); });
      }
      await this.refresh();
    } catch (problem) { complain(problem); }
    this.sayActions();
  }

  // ---- loading ----

  async load() {
    if (this.isFlat()) {
      await this.loadFlat();
    } else {
      await this.loadParts();
    }
    this.paint();
  }

  async loadFlat() {
    const page = await get("/runs", { ...this.filters(), sort: this.values.sort, fields: FIELDS, limit: PAGE, cursor: this.cursor });
    this.cursor = page.next_cursor;
    page.items.forEach((run) => this.put(run));
    this.parts = [{ title: "Runs", note: "", ids: [...this.rows.keys()] }];
  }

  async loadParts() {
    const [running, queue, held, finished, system] = await Promise.all([
      all("/runs", { state: "running", fields: FIELDS }),
      get("/queue", { limit: PAGE }),
      get("/runs", { state: "queued,held", fields: FIELDS, limit: PAGE }),
      get("/runs", { state: [...FINAL, "paused"].join(","), sort: "-finished", fields: FIELDS, limit: PAGE, cursor: this.cursor }),
      get("/system"),
    ]);
    const places = new Map(queue.items.map((item, i) => [item.run.id, { ...item, i }]));
    this.cursor = finished.next_cursor;
    this.counts = system.runs;
    running.forEach((run) => this.put(run));
    held.items.forEach((run) => this.put({ ...run, why: places.get(run.id)?.why_waiting, start: places.get(run.id)?.expected_start_at }));
    finished.items.forEach((run) => this.put(run));
    const waiting = held.items.map((run) => run.id).sort((a, b) => (places.get(a)?.i ?? 1e9) - (places.get(b)?.i ?? 1e9));
    const ended = system.runs.succeeded + system.runs.failed + system.runs.canceled + system.runs.paused;
    this.parts = [
      { title: "Running", note: `${count(running.length)} of ${plural(queue.scheduler.workers, "worker")}${queue.scheduler.state === "draining" ? ", nothing new starts" : ""}`, ids: running.map((run) => run.id), tall: true },
      { title: "Waiting", note: `${count(system.runs.queued + system.runs.held)}, in the order in which they start`, ids: waiting },
      { title: "Finished", note: `${count(ended)}, newest first`, ids: finished.items.map((run) => run.id) },
    ];
    this.total = ended;
  }

  async loadMore() {
    const page = await get("/runs", this.isFlat() ? { ...this.filters(), sort: this.values.sort, fields: FIELDS, limit: PAGE, cursor: this.cursor }
      : { state: [...FINAL, "paused"].join(","), sort: "-finished", fields: FIELDS, limit: PAGE, cursor: this.cursor });
    this.cursor = page.next_cursor;
    page.items.forEach((run) => this.put(run));
    const part = this.parts.at(-1);
    part.ids.push(...page.items.map((run) => run.id).filter((id) => !part.ids.includes(id)));
    this.paint();
  }

  put(run) {
    const entry = this.rows.get(run.id) || {};
    entry.run = { ...entry.run, ...rowOf(run) };
    this.rows.set(run.id, entry);
  }

  remove(id) {
    forget(id);
    this.rows.get(id)?.row?.remove();
    this.rows.delete(id);
    this.parts.forEach((part) => { part.ids = part.ids.filter((other) => other !== id); });
  }

  // What the store says now, without losing the place: after a break, and when runs change their part.
  async refresh() {
    const before = [...this.rows.keys()];
    this.cursor = null;
    this.rows = new Map([...this.rows].filter(([id]) => this.selected.has(id)));
    try { await this.load(); } catch (problem) { complain(problem); }
    return before;
  }

  soon() {
    this.timer ??= setTimeout(() => { this.timer = null; this.refresh(); }, 400);
  }

  hear({ event, data, again }) {
    const entry = data && this.rows.get(data.run);
    if ((event === "connection" && again) || event === "resync" || (event === "state") || (event === "end")) {
      this.soon();
    } else if (event === "step" && entry) {
      entry.run.progress = data;
      this.paintLive(entry);
    } else if (event === "epoch" && entry) {
      const result = { epoch: data.epoch, val_error: data.val_error };
      entry.run.epochs_done = data.epoch;
      entry.run.last = result;
      if (!entry.run.best || data.val_error < entry.run.best.val_error) { entry.run.best = result; }
      addPoint(data.run, data.epoch, data.val_error);
      this.paintLive(entry);
      this.showCurve(data.run);
    } else if (event === "edit" && entry) {
      Object.assign(entry.run, { name: data.name, priority: data.priority, labels: data.labels });
      say(entry.name, plain(data.name) || `run ${data.run}`);
    }
  }

  // ---- painting ----

  head() {
    const range = `${Math.round(scale.top * 100)} to ${fixed(scale.bottom * 100, scale.bottom < 0.1 ? 1 : 0)} %, log`;
    const titles = { m: "M", curve: `Validation error against epochs, ${range}`, epoch: "Epoch", best: "Best, %", at: "at", last: "Last, %", speed: "Images/s", ends: "Ends, ended", owner: "Owner" };
    const numbers = ["epoch", "best", "at", "last", "speed"];
    const sortable = (name, title) => {
      const key = SORTS[name];
      if (!key) { return title; }
      const now = this.values.sort === key ? "ascending" : this.values.sort === `-${key}` ? "descending" : null;
      return el("button", { type: "button", onclick: () => this.again({ ...this.values, sort: now === "ascending" ? `-${key}` : now === "descending" ? "" : key }) },
        title, now ? (now === "ascending" ? " ↑" : " ↓") : "");
    };
    const sorted = (name) => (SORTS[name] && this.values.sort?.replace("-", "") === SORTS[name] ? (this.values.sort.startsWith("-") ? "descending" : "ascending") : null);
    return el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "box" }, el("span", { class: "hidden" }, "Choose")), el("th", { scope: "col", class: "state-column" }, "State"),
      el("th", { scope: "col", class: "number id", "aria-sort": sorted("id") }, sortable("id", "No.")), el("th", { scope: "col", class: "name", "aria-sort": sorted("name") }, sortable("name", "Name")),
      ...this.columns().map(([name]) => el("th", { scope: "col", class: `${numbers.includes(name) ? "number " : ""}${name}`, "aria-sort": sorted(name) }, sortable(name, titles[name])))));
  }

  paint() {
    fit([...this.rows.values()].map(({ run }) => run.best?.val_error).filter((value) => value > 0));
    const sections = this.parts.filter((part) => part.ids.length > 0).map((part) => {
      const rows = part.ids.map((id) => this.row(this.rows.get(id), part));
      return el("tbody", {}, el("tr", { class: "part" }, el("th", { colSpan: 4 + this.columns().length, scope: "rowgroup" }, el("span", { class: "strong" }, part.title), ` ${part.note}`)), ...rows);
    });
    this.table.replaceChildren(this.head(), ...sections);
    const shown = this.parts.at(-1)?.ids.length ?? 0;
    this.more.replaceChildren(...(this.cursor ? [el("button", { type: "button", onclick: () => this.loadMore().catch(complain) }, "Show more"), el("span", { class: "quiet" }, `${count(shown)}${this.total ? ` of ${count(this.total)}` : ""}`)] : []));
    if (this.isFlat() && shown === 0) { this.more.replaceChildren(el("p", { class: "second" }, "No run is like that.")); }
    this.sayActions();
  }

  row(entry, part) {
    const { run } = entry;
    const cells = {
      m: () => el("td", { class: "m" }, stub(lookOfM(run.m)), String(run.m)),
      curve: () => { entry.curve = el("div", { class: part.tall ? "curve tall" : "curve", "data-run": run.id }); return el("td", { class: "curve" }, entry.curve); },
      epoch: () => { entry.epoch = el("td", { class: "number epoch" }); return entry.epoch; },
      best: () => { entry.best = el("td", { class: "number strong best" }); return entry.best; },
      at: () => { entry.at = el("td", { class: "number quiet at" }); return entry.at; },
      last: () => { entry.last = el("td", { class: "number second last" }); return entry.last; },
      speed: () => { entry.speed = el("td", { class: "number second speed" }); return entry.speed; },
      ends: () => { entry.ends = el("td", { class: "ends" }); return entry.ends; },
      owner: () => el("td", { class: "second owner" }, plain(run.owner)),
    };
    entry.box = el("input", { type: "checkbox", checked: this.selected.has(run.id), "aria-label": `Choose run ${run.id}`, onchange: () => this.choose(run.id, entry.box.checked) });
    entry.name = el("a", { href: `${prefix}/runs/${run.id}`, class: "plainlink" }, plain(run.name) || `run ${run.id}`);
    entry.row = el("tr", { "data-run": run.id, class: run.state === "failed" ? "failed" : "", "aria-selected": String(this.selected.has(run.id)) }, el("td", { class: "box" }, entry.box),
      el("td", { class: `state-column${run.state === "failed" ? " bad" : ""}` }, el("span", { class: "state" }, glyph(run.state), run.state)),
      el("td", { class: "number quiet id" }, run.id), el("td", { class: "name" }, entry.name), ...this.columns().map(([name]) => cells[name]()));
    this.paintLive(entry);
    if (entry.curve) {
      if (["queued", "held"].includes(run.state) && run.epochs_done === 0) {
        entry.curve.textContent = run.why || (run.state === "held" ? "held" : "");
        entry.curve.className = "why second";
      } else if (known(run.id)) {
        draw(entry.curve, run, known(run.id));
      }
      this.seen.observe(entry.curve);
    }
    return entry.row;
  }

  // The cells that change while a run is trained.
  paintLive({ run, epoch, best, at, last, speed, ends }) {
    if (epoch) { epoch.replaceChildren(count(run.epochs_done), el("span", { class: "quiet" }, ` / ${count(run.epochs)}`)); }
    if (best) { say(best, errorText(run.best?.val_error)); }
    if (at) { say(at, run.best ? count(run.best.epoch) : ""); }
    if (last) { say(last, errorText(run.last?.val_error)); }
    if (speed) { say(speed, count(run.progress?.images_per_second) === "–" ? "" : count(run.progress.images_per_second)); }
    if (ends) {
      const failed = run.state === "failed";
      ends.classList.toggle("bad", failed);
      const eta = run.progress?.eta_seconds;
      const end = run.state === "running" && eta != null ? new Date(Date.now() + eta * 1000).toISOString() : null;
      say(ends, failed ? plain(run.reason) : end ? `${when(end)}, in ${duration(eta)}` : run.finished_at ? when(run.finished_at) : run.start || run.estimate?.expected_start_at ? `starts ${when(run.start || run.estimate.expected_start_at)}` : "");
      ends.title = ends.textContent;
    }
  }

  async showCurve(id) {
    const entry = this.rows.get(id);
    if (!entry?.curve || entry.curve.classList.contains("why")) { return; }
    try { draw(entry.curve, entry.run, await load(entry.run)); } catch { /* the row's numbers say what there is */ }
  }

  choose(id, on) {
    this.selected[on ? "add" : "delete"](id);
    this.paintSelection();
  }

  paintSelection() {
    for (const [id, { row, box }] of this.rows) {
      if (row) { row.setAttribute("aria-selected", String(this.selected.has(id))); box.checked = this.selected.has(id); }
    }
    this.sayActions();
  }

  key(key) {
    const order = this.parts.flatMap((part) => part.ids);
    if (key === "/") { this.field.focus(); return true; }
    if (key === "c") { this.compare(); return true; }
    if (key === "y") { copy(location.href); return true; }
    if (key === "j" || key === "k") {
      const at = order.indexOf(this.current);
      this.current = order[Math.min(order.length - 1, Math.max(0, at + (key === "j" ? 1 : -1)))] ?? null;
      this.rows.get(this.current)?.name.focus();
      return true;
    }
    if (key === " " && this.current) { this.choose(this.current, !this.selected.has(this.current)); return true; }
    if (key === "p" && this.current) {
      const { run } = this.rows.get(this.current);
      const action = run.state === "paused" ? "resume" : "pause";
      if (ACTIONS[action].states.includes(run.state)) { this.act(action, [run]); return true; }
    }
    return false;
  }

  // Nothing is there yet: one run to begin with.
  async first(body) {
    const config = { m: 4, dataset: "shapes", epochs: 10 };
    const line = `curl ${location.host}/api/v1/runs -d '${JSON.stringify(config)}'`;
    const copyButton = el("button", { type: "button", class: "link", onclick: () => copy(line, copyButton) }, "Copy");
    body.append(el("section", { class: "first-run" }, el("h1", {}, "No runs yet. This queues one:"), el("pre", { class: "line" }, line, copyButton),
      el("p", {}, stub(lookOfM(4)), "4 copies of each image, the generated data set, 10 epochs."),
      el("div", { class: "bar" }, el("button", { type: "button", class: "first", onclick: async () => {
        try { await send("POST", "/runs", config); go("/runs", false); } catch (problem) { complain(problem); }
      } }, "Queue it"), el("span", {}, "or ", el("a", { href: `${prefix}/new` }, "all fields")))));
  }
}

export async function show(view, context) {
  document.title = "Runs · cutoutd";
  return new Runs(view, context).start();
}
