// The rows of the table of runs: its columns, and how a row is kept up to date without being made again.

import { prefix } from "./api.js";
import { draw, known } from "./curve.js";
import { el, say } from "./dom.js";
import { labelsText, title, valueText } from "./fields.js";
import { count, duration, error as errorText, fixed, plain, when } from "./format.js";
import { glyph, lookOfM, stub } from "./series.js";
import { scale } from "./curve.js";

// Those without a `text` change while a run is trained (`paintLive`).
const BUILT_IN = {
  m: { title: "M", sort: "m" }, curve: { title: "Curve" }, epoch: { title: "Epoch", number: true }, best: { title: "Best, %", sort: "best", number: true },
  at: { title: "at", sort: "best_epoch", number: true }, last: { title: "Last, %", sort: "last", number: true }, mean_last_5: { title: "Mean of last 5, %", sort: "mean_last_5", number: true, text: (run) => errorText(run.mean_last_5) },
  speed: { title: "Images/s", number: true }, ends: { title: "Ends, ended", sort: "finished" }, owner: { title: "Owner", text: (run) => plain(run.owner) },
  priority: { title: "Priority", sort: "priority", number: true, text: (run) => count(run.priority) }, labels: { title: "Labels", text: (run) => plain(labelsText(run.labels)) },
  sweep: { title: "Sweep", number: true, text: (run) => run.sweep || "" }, hours: { title: "Hours", sort: "train_seconds", number: true, text: (run) => (run.train_seconds ? fixed(run.train_seconds / 3600, 2) : "") },
  created: { title: "Created", sort: "created", text: (run) => when(run.created_at) },
};
const OF_CONFIG = ["seed", "cutout_size", "copies", "lr", "optimizer", "dataset", "preset", "depth", "batch_size"];
const SORTS_OF_CONFIG = ["seed", "cutout_size"];
export const DEFAULT_COLUMNS = ["m", "curve", "epoch", "best", "at", "last", "speed", "ends", "owner"];

export function column(name) {
  return BUILT_IN[name] || { title: title(name), sort: SORTS_OF_CONFIG.includes(name) ? name : null, text: (run) => (run.config ? valueText(run.config[name], name) : "") };
}

// In the order in which they stand: M, what the config says, the curve and what follows it.
export function columnNames(more = []) {
  const [m, ...rest] = Object.keys(BUILT_IN);
  return [m, ...new Set([...OF_CONFIG, ...more.filter((name) => !BUILT_IN[name])]), ...rest];
}

export function makeHead(columns, sort, onSort) {
  const range = `${Math.round(scale.top * 100)} to ${fixed(scale.bottom * 100, scale.bottom < 0.1 ? 1 : 0)} %, log`;
  const cell = (className, key, text, number) => {
    const now = sort === key ? "ascending" : sort === `-${key}` ? "descending" : null;
    const next = now === "ascending" ? `-${key}` : now === "descending" ? "" : key;
    return el("th", { scope: "col", class: `${number ? "number " : ""}${className}`, "aria-sort": key ? now : null },
      key ? el("button", { type: "button", onclick: () => onSort(next) }, text, now ? (now === "ascending" ? " ↑" : " ↓") : "") : text);
  };
  return el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "box" }, el("span", { class: "hidden" }, "Choose")), cell("state-column", null, "State"), cell("id", "id", "No.", true), cell("name", "name", "Name"),
    ...columns.map((name) => {
      const { title: text, sort: key, number } = column(name);
      return name === "curve" ? el("th", { scope: "col", class: "curve" }, el("span", { class: "between" }, `Error against epochs, ${range}`, scale.target ? el("span", {}, `hairline ${errorText(scale.target, "percent", 0)}\u00a0%`) : "")) : cell(name, key, text, number);
    })));
}

// entry: {run}; gets its nodes. onChoose(id, on, event): the box was changed.
export function makeRow(entry, columns, tall, onChoose) {
  const { run } = entry;
  entry.tall = tall;
  entry.cells = {};
  entry.box = el("input", { type: "checkbox", "aria-label": `Choose run ${run.id}`, onclick: (event) => onChoose(run.id, entry.box.checked, event) });
  entry.name = el("a", { href: `${prefix}/runs/${run.id}`, class: "plainlink" });
  entry.state = el("span", { class: "state" });
  const cells = columns.map((name) => {
    const { number, text } = column(name);
    const cell = el("td", { class: `${number ? "number " : ""}${text ? "second " : ""}${name}` });
    if (name === "curve") {
      entry.curve = el("div", { "data-run": run.id });
      cell.append(entry.curve);
    }
    entry.cells[name] = cell;
    return cell;
  });
  entry.stateCell = el("td", { class: "state-column" }, entry.state);
  entry.row = el("tr", { "data-run": run.id }, el("td", { class: "box" }, entry.box), entry.stateCell, el("td", { class: "number quiet id" }, run.id), el("td", { class: "name" }, entry.name), ...cells);
  return entry.row;
}

// Everything that a row shows, from its run.
export function paintRow(entry, chosen) {
  const { run, cells } = entry;
  if (entry.shownState !== run.state) {
    entry.shownState = run.state;
    entry.state.replaceChildren(glyph(run.state), el("span", {}, run.state));
    entry.stateCell.classList.toggle("bad", run.state === "failed");
  }
  say(entry.name, plain(run.name) || `run ${run.id}`);
  entry.name.title = entry.name.textContent;
  entry.box.checked = chosen;
  entry.row.setAttribute("aria-selected", String(chosen));
  for (const [name, cell] of Object.entries(cells)) {
    const { text } = column(name);
    if (text) { say(cell, text(run)); cell.title = cell.textContent; }
  }
  if (cells.m && entry.shownM !== run.m) {
    entry.shownM = run.m;
    cells.m.replaceChildren(stub(lookOfM(run.m)), el("span", { class: "phone" }, "M "), String(run.m));
  }
  if (entry.curve) {
    const waits = ["queued", "held"].includes(run.state) && !run.epochs_done;
    entry.curve.className = waits ? "why second" : entry.tall ? "curve tall" : "curve";
    if (waits) { say(entry.curve, run.why || (run.state === "held" ? "held" : "")); entry.curve.title = entry.curve.textContent; } else if (known(run.id)) { draw(entry.curve, run, known(run.id)); }
  }
  paintLive(entry);
}

// The cells that change while a run is trained.
export function paintLive({ run, cells }) {
  const { epoch, best, at, last, speed, ends } = cells;
  if (epoch) {
    if (!epoch.firstChild) { epoch.append("", el("span", { class: "quiet" })); }
    say(epoch.firstChild, count(run.epochs_done));
    say(epoch.lastChild, ` / ${count(run.epochs)}`);
  }
  if (best) {
    say(best, errorText(run.best?.val_error));
    best.classList.toggle("none", !run.best);
  }
  if (at) { say(at, run.best ? count(run.best.epoch) : ""); }
  if (last) { say(last, errorText(run.last?.val_error)); }
  if (speed) { say(speed, run.progress?.images_per_second == null ? "" : count(run.progress.images_per_second)); }
  if (ends) {
    ends.classList.toggle("bad", run.state === "failed");
    say(ends, endOf(run));
    ends.title = ends.textContent;
  }
}

function endOf(run) {
  const eta = run.progress?.eta_seconds;
  const start = run.start || run.estimate?.expected_start_at;
  if (run.state === "failed") { return plain(run.reason); }
  if (run.state === "running") { return eta == null ? "" : `${when(new Date(Date.now() + eta * 1000).toISOString())}, in ${duration(eta)}`; }
  return run.finished_at ? when(run.finished_at) : start ? `starts ${when(start)}` : "";
}
