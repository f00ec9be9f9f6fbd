// The daemon itself: what it works with, what it holds, and the switch that lets nothing new start.

import { complain } from "./frame.js";
import { blob, get, send } from "./api.js";
import { el } from "./dom.js";
import { bytes, count, duration, plain, plural, when } from "./format.js";
import { listen } from "./live.js";

class System {
  constructor(view, context) {
    this.view = view;
    this.context = context;
  }

  async start() {
    await this.load();
    if (!this.context.alive()) { return () => {}; }
    this.paint();
    const stop = listen(({ event, again }) => { if (event === "state" || (event === "connection" && again)) { this.timer ??= setTimeout(() => { this.timer = null; this.again(); }, 500); } });
    return () => { stop(); clearTimeout(this.timer); };
  }

  async load() {
    const [system, scheduler, datasets, presets] = await Promise.all([get("/system"), get("/scheduler"), get("/datasets"), get("/presets")]);
    Object.assign(this, { system, scheduler, datasets: datasets.items, presets: presets.items });
  }

  async again() {
    try { await this.load(); this.paint(); } catch (problem) { complain(problem); }
  }

  async set(path) {
    try { await send("POST", path); await this.again(); } catch (problem) { complain(problem); }
  }

  paint() {
    document.title = "System · cutoutd";
    const { system, scheduler } = this;
    const draining = scheduler.state === "draining";
    const facts = [["Version", `${system.version}, database ${system.schema_version}`], ["Up since", `${when(system.started_at)}, ${duration(system.uptime_seconds)}`], ["Kernels", system.kernel_variant],
      ["Workers", `${count(scheduler.workers)}, ${plural(system.threads_per_run, "thread")} each, on ${plural(system.cores, "core")}`],
      ["Memory", `${bytes(system.memory.run_limit_bytes)} a run, of ${bytes(system.memory.total_bytes)}`],
      ["Runs", Object.entries(system.runs).filter(([, n]) => n > 0).map(([state, n]) => `${count(n)} ${state}`).join(", ") || "none"]];
    this.view.replaceChildren(el("h1", {}, "System"),
      el("div", { class: "bar scheduler" }, el("button", { type: "button", onclick: () => this.set(draining ? "/scheduler/resume" : "/scheduler/drain") }, draining ? "Start runs again" : "Start nothing new"),
        el("span", { class: draining ? "" : "second" }, draining ? `Nothing new starts. ${plural(scheduler.running_runs, "run")} still being trained.` : "Runs that are being trained go on; those that wait stay where they are.")),
      el("div", { class: "columns-2" }, el("section", {}, el("table", { class: "facts" }, el("tbody", {}, ...facts.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value))))),
        el("h2", { class: "space" }, "Presets"), el("table", {}, el("tbody", {}, ...this.presets.map((preset) => el("tr", {}, el("th", { scope: "row" }, preset.name), el("td", { class: "second" }, preset.description)))))),
      el("section", {}, el("h2", {}, "Data sets"), ...this.datasets.map((set) => this.dataset(set)))));
  }

  dataset(set) {
    const pictures = el("div", { class: "samples" });
    if (set.available) {
      const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      for (let index = 0; index < 4; index++) {
        const picture = el("img", { alt: "" });
        pictures.append(picture);
        blob("/figures/cutout.png", { dataset: set.name, m: 1, cutout_size: 0, index, theme }).then((address) => { picture.src = address; }).catch(() => picture.remove());
      }
    }
    return el("section", {}, el("p", {}, el("span", { class: "strong" }, plain(set.name)), set.available ? `: ${count(set.train_images)} training and ${count(set.test_images)} test images${set.generated ? ", generated here" : ""}` : ""),
      set.available ? pictures : el("p", { class: "bad" }, plain(set.problem)));
  }
}

export async function show(view, context) {
  return new System(view, context).start();
}
