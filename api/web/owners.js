// Whose runs the daemon trains: what each owner has and used, and what everybody may have. A part of the System view.

import { get, prefix } from "./api.js";
import { el, keepChildren, say } from "./dom.js";
import { bytes, count, hours, plain, plural } from "./format.js";

const FEW = 100;
const MOST = 500; // of one answer
const HIGHEST = 1000; // priority
const COLUMNS = [["Owner"], ["Running", "number"], ["Waiting", "number"], ["Held", "number desk"], ["Core-h day", "number desk"], ["week", "number"], ["month", "number desk"], ["Disk", "number"]];

export class Owners {
  constructor() {
    this.limit = FEW;
    this.rows = new Map(); // by owner
  }

  async load() {
    this.page = await get("/owners", { limit: this.limit });
  }

  build(again) {
    this.rules = el("p", { class: "second" });
    this.body = el("tbody");
    this.more = el("p", { class: "small space-small" });
    this.all = el("button", { type: "button", class: "link", onclick: () => { this.limit = MOST; again(); } }, "Show more");
    return el("section", { class: "space owners" }, el("h2", {}, "Owners"), this.rules,
      el("table", {}, el("thead", {}, el("tr", {}, ...COLUMNS.map(([name, kind]) => el("th", { scope: "col", class: kind }, name === "week" ? el("span", { class: "phone" }, "Core-h ") : "", name)))), this.body), this.more);
  }

  paint(limits) {
    const { items, next_cursor: next } = this.page;
    say(this.rules, rulesInWords(limits));
    keepChildren(this.body, items.length > 0 ? items.map((item) => this.row(item, limits)) : [this.none ??= el("tr", {}, el("td", { colSpan: COLUMNS.length, class: "second" }, "Nobody has queued a run yet."))]);
    keepChildren(this.more, !next ? [] : this.limit < MOST ? [this.first ??= el("span", {}, `The first ${count(FEW)} by name. `), this.all] : [this.rest ??= el("span", {}, `The first ${count(MOST)} by name; cutoutctl owners lists all.`)]);
  }

  row(item, limits) {
    if (!this.rows.has(item.owner)) { this.rows.set(item.owner, newRow(item.owner)); }
    const row = this.rows.get(item.owner);
    const used = item.core_seconds;
    const full = [item.running >= (limits.max_running ?? Infinity), item.queued + item.held >= (limits.max_queued ?? Infinity), false, false, false, false, item.checkpoint_bytes > (limits.max_checkpoint_bytes ?? Infinity)];
    [count(item.running), count(item.queued), count(item.held), hours(used.day), hours(used.week), hours(used.month), bytes(item.checkpoint_bytes)].forEach((text, i) => {
      say(row.cells[i + 1], text);
      row.cells[i + 1].classList.toggle("warn", full[i]);
      row.cells[i + 1].title = full[i] ? "As much as an owner may have" : "";
    });
    return row;
  }
}

function newRow(owner) {
  const name = owner === null ? "without a token" : el("a", { href: `${prefix}/runs?owner=${encodeURIComponent(owner)}` }, plain(owner));
  return el("tr", {}, el("th", { scope: "row" }, name), ...COLUMNS.slice(1).map(([, kind]) => el("td", { class: kind })));
}

function span(seconds) {
  return seconds % 86400 === 0 ? plural(seconds / 86400, "day") : seconds % 3600 === 0 ? plural(seconds / 3600, "hour") : plural(seconds, "second");
}

// "Each may have 2 runs running and 50 in the queue. Within a priority ..."
export function rulesInWords(limits) {
  const bounds = [limits.max_running && `${plural(limits.max_running, "run")} running`, limits.max_queued && `${count(limits.max_queued)} in the queue`, limits.max_checkpoint_bytes && `${bytes(limits.max_checkpoint_bytes)} of checkpoints`].filter(Boolean);
  const list = bounds.length > 1 ? `${bounds.slice(0, -1).join(", ")} and ${bounds.at(-1)}` : bounds[0];
  return [list ? `Each may have ${list}.` : "", limits.max_priority < HIGHEST ? `Priorities go up to ${count(limits.max_priority)}.` : "",
    limits.half_life_s ? `Within a priority whoever used least lately goes first; after ${span(limits.half_life_s)} what was used counts half.` : "Within a priority runs go in the order of their arrival."].filter(Boolean).join(" ");
}
