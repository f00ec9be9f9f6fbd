// One run: its curves on its full length, its history, what it is, where it came from.

import { actionButton, act } from "./actions.js";
import { address, complain, go } from "./frame.js";
import { all, base, blob, get, headers, prefix, send } from "./api.js";
import { copy, el, say } from "./dom.js";
import { bytes, clock, count, duration, error as errorText, fixed, plain, when } from "./format.js";
import { listen } from "./live.js";
import { glyph, lookOfM } from "./series.js";
import { Strips } from "./strips.js";

const TABS = [["history", "History"], ["log", "Log"], ["layers", "Layers"], ["checkpoints", "Checkpoints"]];
const HISTORY = [["Epoch", (e) => count(e.epoch)], ["Val. error, %", (e) => errorText(e.val_error)], ["Wrong", (e) => `${count(e.val_wrong)} of ${count(e.val_total)}`],
  ["Train error, %", (e) => errorText(1 - e.train_accuracy)], ["Train loss", (e) => fixed(e.train_loss, 4)], ["Val. loss", (e) => fixed(e.val_loss, 4)],
  ["Learning rate", (e) => (e.lr == null ? "–" : String(Number(e.lr.toPrecision(3))))], ["Time", (e) => clock(e.seconds)], ["Images/s", (e) => count(e.images_per_second)]];
const ROWS = 200;

function valueText(value) {
  return value === null || value === undefined ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

class Run {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.id = context.match[1];
    this.tab = context.values.tab || "history";
  }

  async load() {
    const [run, epochs, checkpoints] = await Promise.all([get(`/runs/${this.id}`), all(`/runs/${this.id}/epochs`, { limit: 500 }, 100000), get(`/runs/${this.id}/checkpoints`)]);
    Object.assign(this, { run, epochs, checkpoints: checkpoints.items });
    this.preset ??= await get(`/presets/${run.config.preset}`).catch(() => null);
  }

  async start() {
    await this.load();
    if (!this.context.alive()) { return () => {}; }
    this.build();
    this.paint();
    const stop = listen((event) => this.hear(event));
    return () => { stop(); clearTimeout(this.timer); this.strips.end(); if (this.picture) { URL.revokeObjectURL(this.picture); } };
  }

  build() {
    document.title = `${plain(this.run.name) || `run ${this.id}`} · cutoutd`;
    this.state = el("span", { class: "second state" });
    this.progress = el("span", { class: "second" });
    this.actions = el("span", { class: "bar push" });
    this.strips = new Strips(el("div", { class: "strips" }));
    this.tabs = el("div", { class: "tabs", role: "tablist" }, ...TABS.map(([name, title]) => el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel",
      onclick: () => { this.tab = name; address.set(name === "history" ? {} : { tab: name }); this.paintTab().catch(complain); } }, title)));
    this.panel = el("div", { id: "panel", role: "tabpanel", class: "scroll", tabIndex: 0 });
    this.side = el("aside");
    this.view.replaceChildren(el("div", { class: "bar title" }, el("h1", {}, plain(this.run.name) || `run ${this.id}`), el("span", { class: "quiet" }, `run ${this.id}`), this.state, this.progress, this.actions),
      el("div", { class: "columns-2" }, el("div", { class: "wide-column" }, this.strips.holder, this.tabs, this.panel), this.side));
    this.buildSide();
  }

  paint() {
    const { run } = this;
    this.state.replaceChildren(glyph(run.state), `${run.state}, attempt ${run.attempt}`);
    this.state.classList.toggle("bad", run.state === "failed");
    this.actions.replaceChildren(...["pause", "resume", "hold", "release", "requeue", "cancel", "delete"].filter((name) => ["pause", "cancel", "delete"].includes(name) || this.mayNow(name))
      .map((name) => actionButton(name, [run], (action) => this.act(action))), el("a", { class: "button", href: `${prefix}/new?from=${this.id}` }, "Again…"));
    this.paintProgress();
    this.strips.set(run, this.epochs, lookOfM(run.config.m));
    this.paintTab().catch(complain);
  }

  mayNow(name) {
    return { resume: run => run.state === "paused", hold: run => run.state === "queued", release: run => run.state === "held", requeue: run => ["failed", "canceled"].includes(run.state) }[name](this.run);
  }

  paintProgress() {
    const { run } = this;
    const parts = [`${count(run.epochs_done)} of ${count(run.config.epochs)} epochs done`];
    if (run.state === "running" && run.progress) {
      parts.push(`step ${count(run.progress.step)} of ${count(run.progress.steps_per_epoch)}`, `${count(run.progress.images_per_second)} images/s`);
      if (run.progress.eta_seconds != null) { parts.push(`ends ${when(new Date(Date.now() + run.progress.eta_seconds * 1000).toISOString())}, in ${duration(run.progress.eta_seconds)}`); }
    } else if (run.finished_at) {
      parts.push(`ended ${when(run.finished_at)}`);
    }
    if (run.reason) { parts.push(plain(run.reason)); }
    say(this.progress, parts.join("; "));
  }

  async act(action) {
    try {
      if (await act(action, [this.run])) {
        if (action === "delete") { go("/runs"); return; }
        await this.load();
        this.paint();
      }
    } catch (problem) { complain(problem); }
  }

  // ---- tabs ----

  async paintTab() {
    for (const button of this.tabs.children) { button.setAttribute("aria-selected", String(button.id === `tab-${this.tab}`)); }
    this.panel.setAttribute("aria-labelledby", `tab-${this.tab}`);
    if (this.tab === "history") { this.paintHistory(); return; }
    if (this.tab === "checkpoints") { this.paintCheckpoints(); return; }
    const path = this.tab === "log" ? `${base}/runs/${this.id}/log` : `${base}/runs/${this.id}/summary?format=text`;
    const response = await fetch(path, { headers: headers() });
    const text = response.ok ? await response.text() : `The daemon answered ${response.status}.`;
    this.panel.replaceChildren(el("pre", { tabIndex: 0 }, plain2(text)));
  }

  paintHistory() {
    const best = this.run.best?.epoch;
    const rows = this.epochs.slice(-ROWS).reverse();
    this.panel.replaceChildren(el("p", { class: "small right" }, `${count(rows.length)} of ${count(this.epochs.length)} epochs `, el("a", { href: `${base}/runs/${this.id}/epochs?format=csv`, download: `run-${this.id}.csv` }, "CSV")),
      el("table", { class: "history" }, el("thead", {}, el("tr", {}, ...HISTORY.map(([title]) => el("th", { scope: "col", class: "number" }, title)))),
        el("tbody", {}, ...rows.map((epoch) => el("tr", {}, ...HISTORY.map(([, text], i) => el("td", { class: `number${i === 1 && epoch.epoch === best ? " strong" : i > 1 ? " second" : ""}` }, text(epoch))))))));
  }

  paintCheckpoints() {
    this.panel.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...["Checkpoint", "Epochs", "Size", "Written", "SHA-256"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, ...this.checkpoints.map((file) => el("tr", {}, el("td", {}, file.links.download ? el("a", { href: prefix + file.links.download, download: "" }, file.kind) : `${file.kind}, the one before`),
        el("td", {}, count(file.epochs_done)), el("td", {}, bytes(file.bytes)), el("td", {}, when(file.at)), el("td", { class: "mono" }, file.sha256.slice(0, 16)))))));
  }

  // ---- beside ----

  buildSide() {
    const { run } = this;
    const differing = this.preset ? Object.keys(run.config).filter((key) => key !== "preset" && JSON.stringify(run.config[key]) !== JSON.stringify(this.preset.config[key])) : [];
    const rows = (names) => names.map((name) => el("tr", {}, el("td", {}, name), el("td", {}, plain(valueText(run.config[name]))), el("td", { class: "number quiet" }, this.preset ? plain(valueText(this.preset.config[name])) : "")));
    const body = el("tbody", {}, ...rows(differing));
    const more = el("button", { type: "button", class: "link", onclick: () => { body.replaceChildren(...rows(Object.keys(run.config))); more.remove(); } }, "All fields");
    const config = { ...(run.name ? { name: run.name } : {}), preset: run.config.preset, ...Object.fromEntries(differing.map((key) => [key, run.config[key]])) };
    const line = `curl ${location.host}${base}/runs -d '${JSON.stringify(config).replaceAll("'", "'\\''")}'`;
    const copyButton = el("button", { type: "button", class: "link", onclick: () => copy(line, copyButton) }, "Copy");
    this.side.replaceChildren(
      el("section", {}, el("h2", {}, `Differs from ${run.config.preset} in ${differing.length} of ${Object.keys(run.config).length} fields`),
        el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Field"), el("th", { scope: "col" }, "Here"), el("th", { scope: "col", class: "number" }, run.config.preset))), body), more),
      this.sees(),
      el("section", {}, el("h2", {}, "Where it comes from"), el("p", { class: "second" }, `By ${plain(run.owner) || "anybody"}, ${when(run.created_at)}. `,
        run.sweep ? el("a", { href: `${prefix}/compare?sweep=${run.sweep}` }, `Of sweep ${run.sweep}.`) : "", " ", run.forked_from ? el("a", { href: `${prefix}/runs/${run.forked_from.run ?? run.forked_from}` }, "Forked from another run.") : "")),
      el("section", {}, el("h2", {}, "Made by"), el("pre", {}, line), copyButton),
      "has_note" in run ? this.note() : "");
  }

  sees() {
    const picture = el("img", { alt: `Image 4 of ${plain(this.run.config.dataset)} and ${this.run.config.m} of its copies`, class: "instances" });
    const c = this.run.config;
    const wanted = { dataset: c.dataset, m: Math.min(c.m, 8), cutout_size: c.cutout_size, cutout_squares: c.cutout_squares, copies: c.copies, seed: c.seed, shift: c.shift, flip: c.flip, crop_pad: c.crop_pad, normalise: c.normalise, index: 4, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" };
    blob("/figures/cutout.png", wanted).then((address_) => { this.picture = address_; picture.src = address_; }).catch(() => picture.replaceWith(el("p", { class: "second" }, "The data set cannot be read now.")));
    return el("section", {}, el("h2", {}, "What it sees"), picture);
  }

  note() {
    const path = `/runs/${this.id}/note`;
    const field = el("textarea", { rows: 4, placeholder: "Add a note", "aria-label": "Note" });
    let tag = null;
    const status = el("p", { class: "small" });
    if (this.run.has_note) {
      fetch(base + path, { headers: headers() }).then(async (response) => { if (response.ok) { tag = response.headers.get("ETag"); field.value = await response.text(); } }).catch(() => {});
    }
    field.addEventListener("change", async () => {
      try {
        await send("PUT", path, field.value, { type: "text/markdown", headers: tag ? { "If-Match": tag } : {} });
        const response = await fetch(base + path, { headers: headers() });
        tag = response.headers.get("ETag");
        say(status, "Kept.");
      } catch (problem) { complain(problem); }
    });
    return el("section", {}, el("h2", {}, "Note"), field, status);
  }

  hear({ event, data, again }) {
    if (event === "connection" && again) { this.reload(); }
    if (data?.run !== this.id) { return; }
    if (event === "step") {
      this.run.progress = data;
      this.paintProgress();
      this.strips.now(data);
    } else if (event === "epoch" || event === "state" || event === "checkpoint" || event === "edit") {
      this.reload();
    }
  }

  reload() {
    this.timer ??= setTimeout(async () => {
      this.timer = null;
      try { await this.load(); this.paint(); } catch (problem) { complain(problem); }
    }, 300);
  }
}

// A text of lines: what is not a line break and not a tab is shown, not obeyed.
function plain2(text) {
  return text.split("\n").map((line) => line.split("\t").map(plain).join("\t")).join("\n");
}

export async function show(view, context) {
  return new Run(view, context).start();
}
