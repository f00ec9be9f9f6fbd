// One run: its curves on its full length, its history, what it is, where it came from.

import { actionButton, act, ACTIONS, edit, fork } from "./actions.js";
import { address, complain, go } from "./frame.js";
import { all, base, blob, get, link, prefix, save } from "./api.js";
import { confusion } from "./confusion.js";
import { copy, el, say } from "./dom.js";
import { differing, labelsText, same, title, valueText } from "./fields.js";
import { bytes, clock, count, duration, error as errorText, fixed, plain, when } from "./format.js";
import { listen } from "./live.js";
import { note } from "./note.js";
import { glyph, lookOfM } from "./series.js";
import { Strips } from "./strips.js";

const TABS = [["history", "History"], ["log", "Log"], ["layers", "Layers"], ["checkpoints", "Checkpoints"], ["errors", "Errors by class"]];
const HISTORY = [["Epoch", (e) => count(e.epoch)], ["Val. error, %", (e) => errorText(e.val_error)], ["Wrong", (e) => `${count(e.val_wrong)} of ${count(e.val_total)}`],
  ["Train error, %", (e) => errorText(1 - e.train_accuracy)], ["Train loss", (e) => fixed(e.train_loss, 4)], ["Val. loss", (e) => fixed(e.val_loss, 4)],
  ["Learning rate", (e) => (e.lr == null ? "–" : String(Number(e.lr.toPrecision(3))))], ["Time", (e) => clock(e.seconds)], ["Images/s", (e) => count(e.images_per_second)]];
const ROWS = 200;
const MOST_FORKS = 12; // that are named

class Run {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.id = context.match[1];
    this.tab = context.values.tab || "history";
  }

  async load() {
    const [run, epochs, checkpoints, log] = await Promise.all([get(`/runs/${this.id}`), all(`/runs/${this.id}/epochs`, { limit: 500 }, 100000), this.loadCheckpoints(), get(`/runs/${this.id}/log`)]);
    Object.assign(this, { run, epochs, checkpoints: checkpoints.items, log, attempts: attemptsOf(log) });
    this.forks = link ? { items: [] } : await get("/runs", { forked_from: this.id, sort: "id", limit: MOST_FORKS, fields: "id,name,state,forked_from,config" });
    this.preset ??= link ? null : await get(`/presets/${run.config.preset}`).catch(() => null);
  }

  // A link to a sweep shows no files.
  loadCheckpoints() {
    return link ? { items: [] } : get(`/runs/${this.id}/checkpoints`);
  }

  // What one more epoch changes.
  async loadEpochs() {
    const [run, more, checkpoints] = await Promise.all([get(`/runs/${this.id}`), all(`/runs/${this.id}/epochs`, { limit: 500, since_epoch: this.epochs.at(-1)?.epoch ?? 0 }, 100000), this.loadCheckpoints()]);
    Object.assign(this, { run, epochs: [...this.epochs, ...more], checkpoints: checkpoints.items });
  }

  async start() {
    await this.load();
    if (!this.context.alive()) { return () => {}; }
    this.build();
    this.paint();
    const stopListening = listen((event) => this.hear(event));
    const onVisible = () => { if (!document.hidden && this.stale) { this.reload(); } };
    document.addEventListener("visibilitychange", onVisible);
    const stop = () => { stopListening(); document.removeEventListener("visibilitychange", onVisible); };
    return () => { stop(); clearTimeout(this.timer); this.strips.end(); if (this.picture) { URL.revokeObjectURL(this.picture); } };
  }

  build() {
    this.state = el("span", { class: "second state" });
    this.progress = el("span", { class: "second" });
    this.actions = el("span", { class: "bar push" });
    this.strips = new Strips(el("div", { class: "strips" }));
    this.tabs = el("div", { class: "tabs", role: "tablist" }, ...TABS.filter(([name]) => !link || name !== "checkpoints").map(([name, title]) => el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel",
      onclick: () => { this.tab = name; address.set(name === "history" ? {} : { tab: name }); this.paintTab().catch(complain); } }, title)));
    this.panel = el("div", { id: "panel", role: "tabpanel", class: "scroll", tabIndex: 0 });
    this.side = el("aside");
    this.view.replaceChildren(el("div", { class: "bar title run" }, this.title = el("h1"), this.number = el("span", { class: "quiet" }, `run ${this.id}`), this.state, this.progress, this.actions),
      el("div", { class: "columns-2" }, el("div", { class: "wide-column" }, this.strips.holder, this.tabs, this.panel), this.side));
    this.buildSide();
  }

  paint() {
    const { run } = this;
    this.state.replaceChildren(glyph(run.state), `${run.state}, attempt ${run.attempt}`);
    this.state.classList.toggle("bad", run.state === "failed");
    this.actions.replaceChildren(...["pause", "resume", "hold", "release", "requeue", "cancel", "delete"].filter((name) => ["pause", "cancel", "delete"].includes(name) || this.mayNow(name))
      .map((name) => actionButton(name, [run], (action) => this.act(action))),
      el("button", { type: "button", "data-action": "fork", onclick: () => fork([run], ([made]) => go(`/runs/${made.id}`)) }, "Fork…"),
      el("button", { type: "button", "data-action": "edit", onclick: () => edit([run]).then((done) => { if (done) { this.reload(); } }) }, "Edit…"),
      el("a", { class: "button", href: `${prefix}/new?from=${this.id}` }, "Again…"));
    this.actions.hidden = Boolean(link);
    this.paintProgress();
    const name = plain(run.name);
    document.title = `${name || `run ${this.id}`} · cutoutd`;
    say(this.title, name || `run ${this.id}`);
    this.number.hidden = !name;
    this.strips.set(run, this.epochs, lookOfM(run.config.m), this.attempts);
    this.paintCheckpointList();
    this.paintOrigin();
    this.paintTab().catch(complain);
  }

  mayNow(name) {
    return ACTIONS[name].states.includes(this.run.state);
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
    if (this.tab === "errors") { await confusion(this.panel, this.id); return; }
    let text = this.log;
    if (this.tab === "layers") { text = await get(`/runs/${this.id}/summary`, { format: "text" }); }
    this.panel.replaceChildren(el("pre", {}, plainLines(text)));
  }

  paintHistory() {
    const best = this.run.best?.epoch;
    const rows = (this.whole ? this.epochs : this.epochs.slice(-ROWS)).toReversed();
    const rest = this.epochs.length - rows.length;
    this.panel.replaceChildren(el("p", { class: "small right" }, `${count(rows.length)} of ${count(this.epochs.length)} epochs `, el("button", { type: "button", class: "link", onclick: () => save(`/runs/${this.id}/epochs`, { format: "csv" }, `run-${this.id}.csv`).catch(complain) }, "CSV")),
      el("table", { class: "history" }, el("thead", {}, el("tr", {}, ...HISTORY.map(([text]) => el("th", { scope: "col", class: "number" }, text)))),
        el("tbody", {}, ...rows.map((epoch) => el("tr", {}, ...HISTORY.map(([, text], i) => el("td", { class: `number${i === 1 && epoch.epoch === best ? " strong" : i > 1 ? " second" : ""}` }, text(epoch))))))),
      rest > 0 ? el("button", { type: "button", class: "space", onclick: () => { this.whole = true; this.paintHistory(); } }, `Show the ${count(rest)} before`) : "");
  }

  paintCheckpoints() {
    this.panel.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...["Checkpoint", "Epochs", "Size", "Written", "SHA-256"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, ...this.checkpoints.map((file) => el("tr", {}, el("td", {}, this.download(file)),
        el("td", {}, count(file.epochs_done)), el("td", {}, bytes(file.bytes)), el("td", {}, when(file.at)), el("td", { class: "mono" }, file.sha256.slice(0, 16)))))));
  }

  // A link that takes the token along.
  download(file) {
    if (!file.links.download) { return el("span", {}, `${file.kind}, the one before`); }
    const path = file.links.download.slice(base.length);
    return el("a", { href: file.links.download, download: "", onclick: (event) => {
      event.preventDefault();
      save(path, {}, `run-${this.id}-${path.split("/").at(-1)}`).catch(complain);
    } }, file.kind);
  }

  // ---- beside ----

  buildSide() {
    const { run } = this;
    const base_ = this.preset?.config || {};
    const changed = this.preset ? Object.keys(run.config).filter((key) => key !== "preset" && base_[key] !== "auto" && JSON.stringify(run.config[key]) !== JSON.stringify(base_[key])) : [];
    const rows = (names) => names.map((name) => el("tr", {}, el("td", {}, title(name)), el("td", {}, valueText(run.config[name], name)), el("td", { class: "number quiet" }, this.preset ? valueText(base_[name], name) : "")));
    const body = el("tbody", {}, ...rows(changed));
    const more = el("button", { type: "button", class: "link", onclick: () => { body.replaceChildren(...rows(Object.keys(run.config))); more.remove(); } }, "All fields");
    const config = { ...(run.name ? { name: run.name } : {}), preset: run.config.preset, ...Object.fromEntries(changed.map((key) => [key, run.config[key]])) };
    const line = `curl ${location.host}${base}/runs -d '${JSON.stringify(config).replaceAll("'", "'\\''")}'`;
    const copyButton = el("button", { type: "button", class: "link", onclick: () => copy(line, copyButton) }, "Copy");
    this.files = el("section");
    this.origin = el("p", { class: "second" });
    this.children = el("section", { id: "forks", hidden: true });
    const n = Object.keys(run.config).length - 1;
    this.side.replaceChildren(
      el("section", {}, el("h2", {}, changed.length === 0 ? `As the preset ${plain(run.config.preset)}` : `Differs from ${plain(run.config.preset)} in ${count(changed.length)} of ${count(n)} fields`),
        changed.length === 0 ? body : el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Field"), el("th", { scope: "col" }, "Here"), el("th", { scope: "col", class: "number" }, plain(run.config.preset)))), body),
        el("p", { class: "second space-small" }, `${same(run.config, changed).join(", ")}. `, more)),
      link ? "" : this.sees(), link ? "" : this.files,
      el("section", {}, el("h2", {}, "Where it comes from"), this.origin),
      this.children,
      el("section", {}, el("h2", {}, "Made by"), el("pre", {}, line), copyButton),
      link ? "" : note(`/runs/${this.id}/note`, run.has_note));
  }

  paintCheckpointList() {
    const files = this.checkpoints.filter((file) => file.links.download);
    this.files.replaceChildren(el("h2", {}, "Checkpoints"), files.length === 0 ? el("p", { class: "second" }, "None yet.") : el("table", {}, el("tbody", {}, ...files.map((file) =>
      el("tr", {}, el("td", {}, this.download(file)), el("td", {}, `epoch ${count(file.epochs_done)}`), el("td", { class: "number quiet" }, bytes(file.bytes)))))));
  }

  paintOrigin() {
    const { run } = this;
    const labels = plain(labelsText(run.labels));
    this.origin.replaceChildren(`By ${plain(run.owner) || "anybody"}, ${when(run.created_at)}. Priority ${count(run.priority)}. `,
      run.sweep ? el("a", { href: `${prefix}/compare?sweep=${run.sweep}` }, `Of sweep ${run.sweep}`) : "", run.sweep ? ". " : "",
      run.forked_from ? el("a", { href: `${prefix}/runs/${run.forked_from.run}` }, `Forked from run ${run.forked_from.run}, epoch ${count(run.forked_from.epoch)}`) : "", run.forked_from ? ". " : "",
      ...(run.after || []).flatMap((id) => [el("a", { href: `${prefix}/runs/${id}` }, `After run ${id}`), ". "]), labels ? `Labels: ${labels}. ` : "",
      run.arithmetic ? `Arithmetic ${plain(run.arithmetic)}.` : "");
    this.paintForks();
  }

  // What went on from here, and with what else.
  paintForks() {
    const { items, next_cursor: more } = this.forks;
    this.children.hidden = items.length === 0;
    if (items.length === 0) { return; }
    const changed = (config) => differing([this.run.config, config]).map((name) => `${title(name)} ${valueText(config[name], name)}`).join(", ") || "the same settings";
    this.children.replaceChildren(el("h2", {}, "Its forks"), el("ul", { class: "plain second" }, ...items.map((fork_) => el("li", {}, glyph(fork_.state), " ",
      el("a", { href: `${prefix}/runs/${fork_.id}` }, plain(fork_.name) || `run ${fork_.id}`), ` from epoch ${count(fork_.forked_from.epoch)}: ${changed(fork_.config)}`))),
    more ? el("p", { class: "second" }, el("a", { href: `${prefix}/runs?forked_from=${this.id}` }, "All its forks")) : "");
  }

  sees() {
    const c = this.run.config;
    const shown = Math.min(c.m, c.copies === "aliased" ? 64 : 8); // each aliased copy has the squares of all
    const picture = el("img", { class: "instances", alt: "", width: 400, height: 120 });
    const words = el("p", { class: "second" });
    let index = 4;
    const draw = () => {
      const wanted = { dataset: c.dataset, m: shown, cutout_size: c.cutout_size, cutout_squares: c.cutout_squares, copies: c.copies, seed: c.seed, shift: c.shift, flip: c.flip, crop_pad: c.crop_pad, normalise: c.normalise, mix: c.mix, mix_alpha: c.mix_alpha, train_images: c.train_images, index, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" };
      blob("/figures/cutout.png", wanted).then((address_) => {
        if (this.picture) { URL.revokeObjectURL(this.picture); }
        this.picture = address_;
        picture.removeAttribute("height");
        picture.src = address_;
        picture.alt = `Image ${index} of ${plain(c.dataset)} and ${shown} of its copies`;
        words.replaceChildren(`Image ${index} and ${c.m === 1 ? "its copy" : shown < c.m ? `${shown} of its ${c.m} copies` : `its ${c.m} copies`} in the first epoch. `, el("button", { type: "button", class: "link", onclick: () => { index += 1; draw(); } }, "Next image"));
      }).catch(() => picture.replaceWith(el("p", { class: "second" }, "The data set cannot be read now.")));
    };
    draw();
    return el("section", {}, el("h2", {}, "What it sees"), picture, words);
  }

  hear({ event, data, again }) {
    if (event === "connection" && again) { this.reload(); return; }
    if (data?.run !== this.id) { return; }
    if (event === "step") {
      this.run.progress = data;
      this.paintProgress();
      this.strips.now(data);
    } else if (["epoch", "state", "checkpoint", "edit"].includes(event)) {
      this.reload(event !== "epoch" && event !== "checkpoint");
    }
  }

  reload(whole = true) {
    this.wholly ||= whole;
    if (document.hidden) { this.stale = true; return; }
    this.timer ??= setTimeout(async () => {
      this.timer = null;
      const all_ = this.wholly || this.tab === "log";
      this.wholly = this.stale = false;
      try {
        await (all_ ? this.load() : this.loadEpochs());
        if (this.context.alive()) { this.paint(); }
      } catch (problem) { complain(problem); }
    }, 300);
  }
}

// A text of lines: what is not a line break and not a tab is shown, not obeyed.
function plainLines(text) {
  return text.split("\n").map((line) => line.split("\t").map(plain).join("\t")).join("\n");
}

// Where the run was interrupted: [{epoch, text}], from the lines of its log.
function attemptsOf(log) {
  const attempts = [];
  let epochs = 0;
  let pause = null;
  for (const line of log.split("\n")) {
    const epoch = line.match(/^\S+ epoch (\d+)/);
    const state = line.match(/^\S+ (queued|paused|running|failed|canceled), attempt (\d+)(?:: (.*))?$/);
    if (epoch) { epochs = Number(epoch[1]); }
    if (!state) { continue; }
    if (state[1] === "running") {
      if (pause && Number(state[2]) > 1) { attempts.push({ epoch: epochs, attempt: Number(state[2]), reason: pause }); }
      pause = null;
    } else { pause = state[3] || state[1]; }
  }
  return attempts;
}

export async function show(view, context) {
  return new Run(view, context).start();
}
