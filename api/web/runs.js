// All runs: what is going, what waits and why, what has ended. Rows are kept up to date by the page's event stream.

import { address, complain, go } from "./frame.js";
import { all, get } from "./api.js";
import { act, ACTIONS, actionButton, edit, fork, reason } from "./actions.js";
import { addPoint, draw, fit, forget, known, load } from "./curve.js";
import { copy, el, keepChildren } from "./dom.js";
import { differing, same, title } from "./fields.js";
import { FILTERS, filtersOf, filterText, readFilter } from "./filter.js";
import { count, plural } from "./format.js";
import { onKey } from "./keys.js";
import { listen } from "./live.js";
import { column, columnNames, DEFAULT_COLUMNS, makeHead, makeRow, paintLive, paintRow } from "./rows.js";
import { FINAL } from "./states.js";

const FIELDS = "id,name,state,reason,owner,sweep,config,progress,estimate,epochs_done,best,last,mean_last_5,train_seconds,started_at,finished_at,created_at,labels,priority";
const PAGE = 100;
const MOST_AT_ONCE = 500; // what one request may ask for
const DRAWN = 200; // rows of the longest part that are in the document
const ENDED = { state: [...FINAL, "paused"].join(","), sort: "-finished" };
const NARROW = [[1240, ["at", "speed"]], [1100, ["last", "owner"]]]; // below so many pixels these are left out, unless they were chosen
const KEPT_COLUMNS = "cutoutd.columns";

class Runs {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.values = context.values;
    this.rows = new Map(); // id -> {run, and the nodes of its row once it was drawn}
    this.parts = [];
    this.bodies = new Map(); // title of a part -> its tbody
    this.selected = new Set((this.values.sel || "").split(",").filter(Boolean));
    this.current = null; // id of the row that j and k have come to
    this.cursor = null;
    this.total = null;
    this.first = 0; // first drawn row of the last part
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { this.showCurve(entry.target.dataset.run); }
      }
    }, { rootMargin: "200px" });
  }

  filters() {
    return filtersOf(this.values);
  }

  isFlat() {
    return Boolean(this.values.sort) || Object.keys(this.filters()).length > 0;
  }

  // Of the address, else as they were chosen last; in a filtered list also what its runs differ in.
  columns() {
    const kept = this.values.cols || localStorage.getItem(KEPT_COLUMNS);
    if (kept) { return columnNames(kept.split(",")).filter((name) => kept.split(",").includes(name)); }
    const more = this.isFlat() ? (this.varies || []).filter((name) => name !== "m").slice(0, 3) : [];
    const narrow = NARROW.filter(([width]) => innerWidth < width).flatMap(([, names]) => names);
    const owned = [...this.rows.values()].some(({ run }) => run.owner);
    return columnNames(more).filter((name) => (DEFAULT_COLUMNS.includes(name) && !narrow.includes(name) && (name !== "owner" || owned)) || more.includes(name));
  }

  async start() {
    this.table = el("table", { class: "runs" });
    this.more = el("div", { class: "bar more" });
    this.actions = el("div", { class: "bar push actions", role: "group", "aria-label": "Actions" });
    this.differs = el("p", { class: "second differs" });
    const body = el("div");
    await Promise.all([this.load(), this.loadSelected()]);
    if (!this.context.alive()) { return () => {}; }
    body.append(el("h1", { class: "hidden" }, "Runs"), el("div", { class: "bar filter" }, this.filterField(), this.stateChoice(), this.columnChoice(), this.chooseButton(), this.actions), this.differs, this.table, this.more);
    this.view.replaceChildren(body);
    this.paint();
    const onScroll = () => { this.frame ??= requestAnimationFrame(() => { this.frame = null; this.follow(); }); };
    const onVisible = () => { if (!document.hidden && this.stale) { this.soon(); } };
    const onResize = () => { if (this.columns().join() !== this.drawnColumns) { this.paint(); } };
    addEventListener("scroll", onScroll, { passive: true });
    addEventListener("resize", onResize);
    document.addEventListener("visibilitychange", onVisible);
    const stop = [listen((event) => this.hear(event)), onKey((key) => this.key(key)), () => removeEventListener("scroll", onScroll), () => removeEventListener("resize", onResize), () => document.removeEventListener("visibilitychange", onVisible)];
    if (this.rows.size === 0 && !this.isFlat()) { await this.offerFirst(body); }
    return () => { stop.forEach((end) => end()); this.seen.disconnect(); clearTimeout(this.timer); };
  }

  // Without it (the connection was lost meanwhile) the view still follows what others do.
  async offerFirst(body) {
    try {
      const { first } = await import("./first.js");
      const offer = await first();
      if (this.rows.size === 0) { body.append(offer); }
    } catch (problem) { complain(problem); }
  }

  // ---- the controls ----

  filterField() {
    this.field = el("input", { type: "search", class: "wide", value: filterText(this.filters()), placeholder: "Filter: m=8,16 owner=anna zebra", "aria-label": "Filter runs",
      onkeydown: (event) => {
        if (event.key === "Enter") { this.filter(event.target.value); }
        if (event.key === "Escape") { event.target.blur(); }
      },
      onsearch: (event) => { if (event.target.value === "" && filterText(this.filters()) !== "") { this.filter(""); } } });
    return this.field;
  }

  filter(text) {
    const values = { ...this.values };
    FILTERS.filter((name) => name !== "state").forEach((name) => delete values[name]);
    try { this.again({ ...values, ...readFilter(text) }); } catch (error) { complain(error); }
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
    const now = this.columns();
    const apply = (names) => {
      const text = names.join(",");
      localStorage[names.length > 0 ? "setItem" : "removeItem"](KEPT_COLUMNS, text);
      this.values.cols = text;
      this.paint(); // and the address with it; the choice stays open
    };
    for (const name of columnNames()) {
      box.append(el("label", {}, el("input", { type: "checkbox", checked: now.includes(name), value: name, onchange: () => apply([...box.querySelectorAll("input:checked")].map((input) => input.value)) }), ` ${column(name).title.replace(/, %$/, "")}`));
    }
    box.append(el("button", { type: "button", class: "link", onclick: () => {
      apply([]);
      const first = this.columns();
      box.querySelectorAll("input").forEach((input) => { input.checked = first.includes(input.value); });
    } }, "as at first"));
    choice.append(box);
    choice.addEventListener("keydown", (event) => { if (event.key === "Escape") { choice.open = false; choice.firstChild.focus(); } });
    return choice;
  }

  // On a phone there are no boxes until they are asked for.
  chooseButton() {
    return el("button", { type: "button", class: "phone choose", "aria-pressed": "false", onclick: ({ currentTarget: button }) => {
      const on = this.table.classList.toggle("choosing");
      button.setAttribute("aria-pressed", String(on));
      if (!on) { this.selected.clear(); this.paintSelection(); }
    } }, "Select");
  }

  chosen() {
    return [...this.selected].map((id) => this.rows.get(id)?.run).filter(Boolean);
  }

  sayActions() {
    const runs = this.chosen();
    const always = ["pause", "cancel", "delete"];
    const names = ["pause", "resume", "hold", "release", "requeue", "cancel", "delete"].filter((name) => always.includes(name) || (runs.length > 0 && !reason(name, runs)));
    const had = document.activeElement?.closest?.(".actions") ? document.activeElement.dataset.action : null;
    this.actions.replaceChildren(...(runs.length === 0 ? [] : [
      el("span", { class: "second" }, `${count(runs.length)} selected`),
      el("button", { type: "button", class: "first", "data-action": "compare", onclick: () => this.compare() }, "Compare", el("kbd", {}, "c")),
      el("button", { type: "button", "data-action": "fork", onclick: () => this.done(fork(runs)) }, "Fork…"),
      el("button", { type: "button", "data-action": "edit", onclick: () => this.done(edit(runs)) }, "Edit…"),
      ...names.map((name) => actionButton(name, runs, (action) => this.act(action, runs))),
      el("button", { type: "button", class: "link", onclick: () => { this.selected.clear(); this.paintSelection(); } }, "none"),
    ]));
    if (had) { this.actions.querySelector(`[data-action="${had}"]`)?.focus(); }
    address.set({ ...this.values, sel: [...this.selected].join(",") }, false);
  }

  compare() {
    if (this.selected.size > 0) { go(`/compare?ids=${[...this.selected].join(",")}`); }
  }

  // After something was done with the chosen runs, or refused.
  async done(promise) {
    try {
      if (await promise) { await this.refresh(); }
    } catch (problem) { complain(problem); }
    this.sayActions();
  }

  act(action, runs) {
    return this.done(act(action, runs).then((was) => {
      if (was && action === "delete") { runs.forEach((run) => { this.selected.delete(run.id); this.remove(run.id); }); }
      return was;
    }));
  }

  // ---- loading ----

  async load() {
    await (this.isFlat() ? this.loadFlat() : this.loadParts());
  }

  // Runs that the address names and that are not among the first rows.
  async loadSelected() {
    for (const id of [...this.selected].slice(0, 50)) {
      try { this.put(await get(`/runs/${encodeURIComponent(id)}`, { fields: FIELDS })); } catch { this.selected.delete(id); }
    }
  }

  page(cursor, limit = PAGE) {
    return get("/runs", { ...(this.isFlat() ? { ...this.filters(), sort: this.values.sort } : ENDED), fields: FIELDS, limit, cursor });
  }

  async loadFlat() {
    const page = await this.page(null, this.known());
    this.putPart({ title: "Runs", note: "", page });
    this.varies = page.varies ?? differing(page.items.map((run) => run.config));
    this.likeness = page.items.length > 1 ? same(page.items[0].config, this.varies) : [];
  }

  async loadParts() {
    const [running, queue, page, system] = await Promise.all([all("/runs", { state: "running", fields: FIELDS }), get("/queue", { limit: PAGE }), this.page(null, this.known()), get("/system")]);
    running.forEach((run) => this.put(run));
    queue.items.forEach(({ run, why_waiting: why, expected_start_at: start }) => this.put({ ...run, why, start }));
    await Promise.all(queue.items.filter(({ run }) => run.epochs_done > 0).slice(0, 20).map(async ({ run }) => this.put(await get(`/runs/${run.id}`, { fields: FIELDS }))));
    const { runs } = system;
    this.total = runs.succeeded + runs.failed + runs.canceled + runs.paused;
    const more = queue.queued + queue.held - queue.items.length;
    this.parts = [
      { title: "Running", note: `${count(running.length)} of ${plural(queue.scheduler.workers, "worker")}${queue.scheduler.state === "draining" ? ", nothing new starts" : ""}`, ids: running.map((run) => run.id), tall: true },
      { title: "Waiting", note: `${count(queue.queued)}, in the order in which they start${queue.held > 0 ? `, and ${count(queue.held)} held` : ""}${more > 0 ? `; the first ${count(queue.items.length)}` : ""}`, ids: queue.items.map(({ run }) => run.id) },
      this.parts[2] || { title: "Finished", ids: [] },
    ];
    this.putPart({ title: "Finished", note: `${count(this.total)}${runs.paused > 0 ? `, ${count(runs.paused)} of them paused` : ""}, newest first`, page });
  }

  // How many rows of the long part to ask for again.
  known() {
    return Math.min(MOST_AT_ONCE, Math.max(PAGE, this.parts.at(-1)?.ids.length ?? 0));
  }

  // The long part begins with this page; what was known behind it stays.
  putPart({ title: name, note, page }) {
    const before = this.parts.at(-1)?.ids ?? [];
    const ids = page.items.map((run) => run.id);
    const elsewhere = new Set([...ids, ...this.parts.slice(0, -1).flatMap((part) => part.ids)]);
    const behind = page.next_cursor && before.length > ids.length ? before.slice(ids.length).filter((id) => !elsewhere.has(id)) : [];
    page.items.forEach((run) => this.put(run));
    if (behind.length === 0) { this.cursor = page.next_cursor; }
    this.parts = [...this.parts.slice(0, -1), { title: name, note, ids: [...ids, ...behind] }];
  }

  async loadMore() {
    if (this.loading || !this.cursor) { return; }
    this.loading = true;
    try {
      const page = await this.page(this.cursor);
      this.cursor = page.next_cursor;
      page.items.forEach((run) => this.put(run));
      const part = this.parts.at(-1);
      const there = new Set(part.ids);
      part.ids.push(...page.items.map((run) => run.id).filter((id) => !there.has(id)));
      if (this.context.alive()) { this.paint(); }
    } finally { this.loading = false; }
  }

  put(run) {
    const entry = this.rows.get(run.id) || {};
    entry.run = { ...entry.run, ...run, m: run.m ?? run.config?.m, epochs: run.epochs ?? run.config?.epochs };
    this.rows.set(run.id, entry);
  }

  remove(id) {
    forget(id);
    this.rows.delete(id);
    this.parts.forEach((part) => { part.ids = part.ids.filter((other) => other !== id); });
  }

  // What the store says now, without losing the place: after a break, and when runs change their part.
  async refresh() {
    this.stale = false;
    try { await this.load(); } catch (problem) { complain(problem); return; }
    if (this.context.alive()) {
      document.querySelector(".first-run")?.remove();
      this.paint();
    }
  }

  soon() {
    if (document.hidden) { this.stale = true; return; }
    this.timer ??= setTimeout(() => { this.timer = null; this.refresh(); }, 400);
  }

  hear({ event, data, again }) {
    const entry = data && this.rows.get(data.run);
    if ((event === "connection" && again) || event === "resync" || event === "state") {
      this.soon();
    } else if (event === "step" && entry) {
      entry.run.progress = data;
      if (entry.cells) { paintLive(entry); }
    } else if (event === "epoch" && entry) {
      const result = { epoch: data.epoch, val_error: data.val_error };
      entry.run.epochs_done = data.epoch;
      entry.run.last = result;
      if (!entry.run.best || data.val_error < entry.run.best.val_error) { entry.run.best = result; }
      addPoint(data.run, data.epoch, data.val_error);
      if (entry.cells) { paintLive(entry); }
      this.showCurve(data.run);
    } else if (event === "edit" && entry) {
      Object.assign(entry.run, { name: data.name, priority: data.priority, labels: data.labels });
      if (entry.cells) { paintRow(entry, this.selected.has(data.run)); }
    }
  }

  // ---- painting ----

  paint() {
    const columns = this.columns();
    fit([...this.rows.values()].map(({ run }) => run.best?.val_error).filter((value) => value > 0));
    if (this.drawnColumns !== columns.join()) {
      this.drawnColumns = columns.join();
      this.rows.forEach((entry) => { delete entry.row; });
    }
    this.varied();
    const active = document.activeElement;
    const head = makeHead(columns, this.values.sort, (sort) => this.again({ ...this.values, sort }));
    const parts = this.parts.filter((part) => part.ids.length > 0);
    const bodies = parts.map((part) => this.body(part, columns));
    keepChildren(this.table, [this.table.tHead?.textContent === head.textContent ? this.table.tHead : head, ...bodies]);
    if (active?.isConnected && active !== document.activeElement) { active.focus({ preventScroll: true }); }
    const shown = this.parts.at(-1)?.ids.length ?? 0;
    this.more.replaceChildren(...(this.cursor ? [el("button", { type: "button", onclick: () => this.loadMore().catch(complain) }, "Show more"), el("span", { class: "quiet" }, `${count(shown)}${this.total ? ` of ${count(this.total)}` : ""}`)] : []));
    if (this.isFlat() && shown === 0) { this.more.replaceChildren(el("p", { class: "second" }, "No run is like that.")); }
    this.sayActions();
  }

  // What the runs of a filtered list differ in, first of all.
  varied() {
    const runs = this.parts.at(-1)?.ids.length ?? 0;
    this.differs.hidden = !this.isFlat() || runs < 2;
    this.differs.replaceChildren("Differs: ", el("span", { class: "ink" }, (this.varies || []).map(title).join(", ") || "nothing"), this.likeness?.length > 0 ? `. Same: ${this.likeness.join(", ")}.` : ".");
  }

  // The rows of a part; of the last one only those near the screen, between spacers of the others' height.
  body(part, columns) {
    const isLast = part === this.parts.at(-1);
    const from = isLast ? Math.max(0, Math.min(this.first, part.ids.length - DRAWN)) : 0;
    const ids = isLast ? part.ids.slice(from, from + DRAWN) : part.ids;
    const body = this.bodies.get(part.title) || el("tbody");
    this.bodies.set(part.title, body);
    const rows = ids.map((id) => {
      const entry = this.rows.get(id);
      if (!entry.row || entry.tall !== Boolean(part.tall)) {
        if (entry.curve) { this.seen.unobserve(entry.curve); }
        makeRow(entry, columns, Boolean(part.tall), (run, on, event) => this.choose(run, on, event));
        delete entry.shownState;
        delete entry.shownM;
        if (entry.curve) { this.seen.observe(entry.curve); }
      }
      paintRow(entry, this.selected.has(id));
      return entry.row;
    });
    const head = body.firstChild || el("tr", { class: "part" }, el("th", { scope: "rowgroup" }));
    head.firstChild.colSpan = 4 + columns.length;
    head.firstChild.replaceChildren(el("span", { class: "strong" }, part.title), part.note ? ` ${part.note}` : "");
    const height = this.rowHeight(ids);
    const spacer = (n) => (n > 0 ? [makeSpacer(n * height, 4 + columns.length)] : []);
    keepChildren(body, [head, ...spacer(from), ...rows, ...spacer(part.ids.length - from - ids.length)]);
    if (isLast) { Object.assign(this, { from, lastBody: body, height }); }
    return body;
  }

  rowHeight(ids) {
    return this.rows.get(ids[0])?.row?.offsetHeight || 37;
  }

  // While scrolling: other rows are drawn, and more are asked for at the end.
  follow() {
    const part = this.parts.at(-1);
    if (!this.lastBody || !part || part.ids.length === 0) { return; }
    const top = -this.lastBody.getBoundingClientRect().top / this.height;
    const end = top + innerHeight / this.height;
    if (part.ids.length > DRAWN && (top < this.from + 20 && this.from > 0 || end > this.from + DRAWN - 20 && this.from + DRAWN < part.ids.length)) {
      this.first = Math.max(0, Math.floor((top + end) / 2 - DRAWN / 2));
      this.paint();
    }
    if (end > part.ids.length - 40) { this.loadMore().catch(complain); }
  }

  async showCurve(id) {
    const entry = this.rows.get(id);
    if (!entry?.curve || entry.curve.classList.contains("why")) { return; }
    try { draw(entry.curve, entry.run, await load(entry.run)); } catch { /* the row's numbers say what there is */ }
  }

  choose(id, on, event) {
    const order = this.parts.flatMap((part) => part.ids);
    const [a, b] = [order.indexOf(this.lastChosen), order.indexOf(id)].sort((x, y) => x - y);
    for (const one of event?.shiftKey && a >= 0 ? order.slice(a, b + 1) : [id]) { this.selected[on ? "add" : "delete"](one); }
    this.lastChosen = id;
    this.paintSelection();
  }

  paintSelection() {
    for (const [id, { row, box }] of this.rows) {
      if (row) { row.setAttribute("aria-selected", String(this.selected.has(id))); box.checked = this.selected.has(id); }
    }
    this.sayActions();
  }

  key(key) {
    if (key === "/") { this.field.focus(); return true; }
    if (key === "c") { this.compare(); return true; }
    if (key === "y") { copy(location.href); return true; }
    if (key === "j" || key === "k") { this.step(key === "j" ? 1 : -1); return true; }
    if (key === " " && this.current) { this.choose(this.current, !this.selected.has(this.current)); return true; }
    if (key === "p" && this.current) {
      const { run } = this.rows.get(this.current);
      const action = run.state === "paused" ? "resume" : "pause";
      if (ACTIONS[action].states.includes(run.state)) { this.act(action, [run]); return true; }
    }
    return false;
  }

  step(by) {
    const order = this.parts.flatMap((part) => part.ids);
    this.current = order[Math.min(order.length - 1, Math.max(0, order.indexOf(this.current) + by))] ?? null;
    const { name } = this.rows.get(this.current) || {};
    name?.focus();
    name?.closest("tr")?.scrollIntoView({ block: "nearest" });
  }
}

function makeSpacer(height, span) {
  const cell = el("td", { colSpan: span });
  cell.style.height = `${height}px`;
  return el("tr", { class: "spacer", "aria-hidden": "true" }, cell);
}

export async function show(view, context) {
  document.title = "Runs · cutoutd";
  return new Runs(view, context).start();
}
