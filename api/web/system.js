// The daemon itself: what it works with, what it holds, who may do what, and the switch that lets nothing new start.

import { complain } from "./frame.js";
import { blob, get, headers, prefix, send, token } from "./api.js";
import { ask } from "./dialog.js";
import { el, say } from "./dom.js";
import { bytes, count, duration, plain, plural, when } from "./format.js";
import { listen } from "./live.js";
import { Owners } from "./owners.js";
import { Webhooks } from "./webhooks.js";

const SAMPLES = 8;
const SAMPLE_SIDE = 64;
const ORIGINAL = { x: 10, y: 32, side: 128 }; // where the image itself stands in the picture of its copies
const MAY = [["read", "sees everything: runs, curves, the queue, this page"], ["submit", "also queues runs and sweeps, and acts on its own"], ["admin", "also acts on everybody's runs, and on the daemon: drain, workers, backup, purge"]];

class System {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.owners = new Owners();
    this.webhooks = new Webhooks(context);
  }

  async start() {
    await this.load();
    if (!this.context.alive()) { return () => {}; }
    this.build();
    this.paint();
    const stop = listen(({ event, again }) => { if (event === "state" || event === "epoch" || (event === "connection" && again)) { this.soon(); } });
    return () => { stop(); clearTimeout(this.timer); };
  }

  async load() {
    const [system, queue, datasets, presets, metrics] = await Promise.all([get("/system"), get("/queue", { limit: 1 }), get("/datasets"), get("/presets"), readMetrics(), this.owners.load(), this.webhooks.load()]);
    Object.assign(this, { system, queue, datasets: datasets.items, presets: presets.items, metrics });
  }

  soon() {
    if (document.hidden) { return; }
    this.timer ??= setTimeout(async () => {
      this.timer = null;
      await this.again();
    }, 1000);
  }

  async again() {
    try {
      await this.load();
      if (this.context.alive()) { this.paint(); }
    } catch (problem) { complain(problem); }
  }

  async set(method, path, body) {
    try { await send(method, path, body); await this.again(); } catch (problem) { complain(problem); }
  }

  build() {
    const again = () => this.again();
    document.title = "System · cutoutd";
    this.drain = el("button", { type: "button", onclick: () => this.set("POST", this.queue.scheduler.state === "draining" ? "/scheduler/resume" : "/scheduler/drain") });
    this.consequence = el("span");
    this.workers = el("input", { id: "workers", type: "number", min: 1, max: 64, size: 3, onchange: () => this.set("PATCH", "/scheduler", { workers: Number(this.workers.value) }) });
    this.facts = el("tbody");
    this.view.replaceChildren(el("h1", {}, "System"),
      el("div", { class: "bar scheduler" }, this.drain, this.consequence, el("label", { class: "push", htmlFor: "workers" }, "Workers"), this.workers),
      el("div", { class: "columns-2 even" },
        el("div", {}, el("section", {}, el("table", { class: "facts" }, this.facts)), this.owners.build(again), this.access(), el("section", { class: "space" }, el("h2", {}, "Presets"), el("table", { class: "facts" }, el("tbody", {}, ...this.presets.map((preset) => el("tr", {}, el("th", { scope: "row" }, el("a", { href: `${prefix}/new?preset=${encodeURIComponent(preset.name)}` }, plain(preset.name))), el("td", { class: "second" }, plain(preset.description)))))))),
        el("div", {}, el("section", {}, el("h2", {}, "Data sets"), ...this.datasets.map((set) => this.dataset(set))), this.webhooks.build(again), this.backup(), this.purge())));
  }

  paint() {
    const { system, queue, metrics } = this;
    const { scheduler } = queue;
    const draining = scheduler.state === "draining";
    say(this.drain, draining ? "Start runs again" : "Start nothing new");
    say(this.consequence, draining ? `Nothing new starts. ${plural(scheduler.running_runs, "run")} still being trained.` : "Runs that wait start in their order. If nothing new starts, those that are trained go on to their end.");
    this.consequence.className = draining ? "" : "second";
    if (document.activeElement !== this.workers) { this.workers.value = scheduler.workers; }
    const speeds = queue.running.map((item) => item.progress?.images_per_second).filter((speed) => speed > 0);
    const facts = [["Version", `${system.version}, database schema ${system.schema_version}`], ["Up", `${duration(system.uptime_seconds)}, since ${when(system.started_at)}`],
      ["Workers", `${count(scheduler.running_runs)} of ${count(scheduler.workers)} training, ${plural(system.threads_per_run, "thread")} each, on ${plural(system.cores, "core")}`],
      ["Speed", speeds.length > 0 ? `${count(speeds.reduce((a, b) => a + b, 0))} images/s in ${plural(speeds.length, "run")}` : "nothing is being trained"], ["Kernels", plain(system.kernel_variant)],
      ["Queue", queue.queued + queue.held === 0 ? "empty" : `${count(queue.queued)} waiting, ${count(queue.held)} held${metrics.queue_oldest_age_seconds > 0 ? `; the oldest for ${duration(metrics.queue_oldest_age_seconds)}` : ""}`],
      ["Runs", Object.entries(system.runs).filter(([, n]) => n > 0).map(([state, n]) => `${count(n)} ${state}`).join(", ") || "none"],
      ["Memory", `${bytes(system.memory.run_limit_bytes)} a run, of ${bytes(system.memory.daemon_limit_bytes)}${metrics.resident_memory_bytes ? `; in use ${bytes(metrics.resident_memory_bytes)}` : ""}`],
      ["Disk", metrics.state_dir_free_bytes == null ? "–" : `${bytes(metrics.state_dir_free_bytes)} free; database ${bytes(metrics.database_bytes)}`]];
    this.owners.paint(queue.limits);
    this.webhooks.paint();
    const rows = facts.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)));
    rows.forEach((row, i) => {
      const there = this.facts.rows[i];
      if (!there) { this.facts.append(row); } else { say(there.cells[1], row.cells[1].textContent); }
    });
  }

  access() {
    return el("section", { class: "space" }, el("h2", {}, "Who may do what"), el("table", { class: "facts" }, el("tbody", {}, ...MAY.map(([scope, what]) => el("tr", {}, el("th", { scope: "row" }, scope), el("td", { class: "second" }, what))))),
      el("p", { class: "small space-small" }, token.get() ? "This tab uses a token, which it forgets when it is closed." : "This tab uses no token. A daemon without tokens, which then listens on this machine alone, lets everybody who reaches it do everything.",
        " Tokens are made by the admin: ", el("code", {}, "cutoutd token NAME --scope submit"), "."));
  }

  dataset(set) {
    const pictures = el("div", { class: "samples" });
    if (set.available) {
      for (let index = 0; index < SAMPLES; index++) {
        const picture = el("canvas", { width: SAMPLE_SIDE, height: SAMPLE_SIDE, role: "img", "aria-label": `Image ${index} of ${plain(set.name)}` });
        pictures.append(picture);
        drawSample(picture, { dataset: set.name, m: 1, cutout_size: 0, index }).catch(() => picture.remove());
      }
    }
    return el("div", { class: "dataset" }, el("p", {}, el("span", { class: "strong" }, plain(set.name)), set.available ? `: ${count(set.train_images)} training and ${count(set.test_images)} test images, ${plural(set.classes, "class", "classes")}${set.generated ? "; generated here" : ""}${set.default ? "; the default" : ""}` : ""),
      set.available ? pictures : el("p", { class: "bad" }, plain(set.problem)), set.warning ? el("p", { class: "warn" }, plain(set.warning)) : "");
  }

  backup() {
    const status = el("span", { class: "second", role: "status" });
    const name = el("input", { id: "backup-name", size: 16, placeholder: "named by its time" });
    const files = el("input", { type: "checkbox", id: "backup-files" });
    const button = el("button", { type: "button", onclick: async () => {
      say(status, "Being written.");
      try {
        const made = await send("POST", "/admin/backup", { ...(name.value.trim() ? { name: name.value.trim() } : {}), checkpoints: files.checked });
        say(status, `${plain(made.directory)}, ${bytes(made.bytes)}${made.checkpoints ? ` and ${plural(made.checkpoints.files, "checkpoint")}` : ""}.`);
      } catch (problem) { say(status, ""); complain(problem); }
    } }, "Back up");
    return el("section", { class: "space" }, el("h2", {}, "Backup"), el("p", { class: "second" }, "The database as it is at one moment, into the state directory. Runs go on."),
      el("div", { class: "bar space-small" }, el("label", { htmlFor: "backup-name" }, "Name"), name, el("label", {}, files, " with checkpoints"), button, status));
  }

  purge() {
    const status = el("span", { class: "second", role: "status" });
    const days = el("input", { id: "purge-days", type: "number", min: 0, max: 36500, value: 30, oninput: () => say(status, "") });
    const button = el("button", { type: "button", onclick: async () => {
      try {
        const body = { older_than_days: Number(days.value) };
        const plan = await send("POST", "/admin/purge", { ...body, dry_run: true });
        say(status, `${plural(plan.files, "file")} of ${plural(plan.runs, "run")}, ${bytes(plan.bytes)}.`);
        if (plan.files > 0 && await ask(`Remove ${plural(plan.files, "checkpoint")} of ${plural(plan.runs, "run")} that ended more than ${plural(body.older_than_days, "day")} ago? Histories and best checkpoints stay; ${bytes(plan.bytes)} become free.`, "Remove them", "Keep them")) {
          const done = await send("POST", "/admin/purge", body);
          say(status, `${plural(done.files, "file")} removed, ${bytes(done.bytes)} freed.`);
        }
      } catch (problem) { complain(problem); }
    } }, "Purge…");
    return el("section", { class: "space" }, el("h2", {}, "Old checkpoints"), el("p", { class: "second" }, "Of runs that ended long ago all but the best checkpoint can go. What would go is told first."),
      el("div", { class: "bar space-small" }, el("label", { htmlFor: "purge-days" }, "Ended before"), days, "days", button, status));
  }
}

async function drawSample(canvas, wanted) {
  const address = await blob("/figures/cutout.png", wanted);
  const image = new Image();
  image.src = address;
  await image.decode();
  const { x, y, side } = ORIGINAL;
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, SAMPLE_SIDE, SAMPLE_SIDE);
  URL.revokeObjectURL(address);
}

// The values without labels of /metrics, by their names without the prefix.
async function readMetrics() {
  const response = await fetch(`${prefix}/metrics`, { headers: headers() });
  if (!response.ok) { return {}; }
  const text = await response.text();
  return Object.fromEntries([...text.matchAll(/^(?:cutoutd|process)_(\w+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

export async function show(view, context) {
  return new System(view, context).start();
}
