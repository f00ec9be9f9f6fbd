// A run or a sweep from a form: the fields come from the API's own description, several values make a sweep.

import { address, complain, go } from "./frame.js";
import { base, blob, get, prefix, Problem, send } from "./api.js";
import { Chips } from "./chips.js";
import { copy, el, say } from "./dom.js";
import { labelsOf, labelsText, title } from "./fields.js";
import { bytes, count, duration, plain, plural, short } from "./format.js";
import { lookOfM, stub } from "./series.js";

const SECTIONS = [["Compare", ["m", "seed"]], ["Augmentation", ["cutout_size", "cutout_squares", "copies", "shift", "flip", "crop_pad"]],
  ["Training", ["epochs", "batch_size", "lr", "optimizer", "dataset"]]];
const TITLES = { m: "M, copies of each image", seed: "Seed", cutout_size: "Cutout size", cutout_squares: "Squares a copy", copies: "Copies", shift: "Shift", flip: "Flip", crop_pad: "Padded crop",
  epochs: "Epochs", batch_size: "Batch", lr: "Learning rate", optimizer: "Optimizer", dataset: "Data" };
const HINTS = { cutout_size: "pixels; 0 is none", cutout_squares: "all of this size", flip: "mirrors half of the copies", epochs: "how often all images are gone through", lr: "alone it scales the preset's schedule",
  optimizer: "how the weights are changed", shift: "of the image's side", crop_pad: "pixels", batch_size: "images, before M copies", copies: "independent: each copy its own squares, as in the paper" };
const APART = ["name", "preset"];
const MOST_CHOICES = 4; // more stand in a list
const MOST_KINDS = 12; // of runs whose speed is asked for
const MOST_FOLDED = 6; // fields of the folded part whose values are told
const DRY_RUN_MS = 400;
const MEASURE_MS = 800; // after the dry run: it takes seconds of all cores
const MOST_MEASURED = 8; // kinds of runs
const MOST_TRIES = 4;
const TRY_AGAIN_MS = 2000;

// "2, 4, 8", "1..3" -> texts.
export function split(text) {
  return text.split(",").map((part) => part.trim()).filter(Boolean).flatMap((part) => {
    const range = part.match(/^(-?\d+)\.\.(-?\d+)$/);
    if (!range || Number(range[2]) < Number(range[1]) || Number(range[2]) - Number(range[1]) > 1000) { return [part]; }
    return Array.from({ length: Number(range[2]) - Number(range[1]) + 1 }, (_, i) => String(Number(range[1]) + i));
  });
}

function valueOf(text, schema) {
  if (schema.type === "integer" || schema.type === "number") { return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text; }
  if (schema.type === "boolean") { return text === "true" || text === "on" ? true : text === "false" || text === "off" ? false : text; }
  if (schema.type === "string" || schema.enum) { return text; }
  if (text === "on" || text === "off") { return text === "on"; }
  try { return JSON.parse(text); } catch { return text; }
}

function textOf(name, value) {
  if (value === true || value === false) { return value ? "on" : "off"; }
  return name === "labels" ? labelsText(value) : name === "after" ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value);
}

// The values that a field may have, when they are few: ["on", "off"], the names of an enum; null: anything.
function choicesOf(schema) {
  const parts = schema.anyOf || schema.oneOf || [schema];
  const values = parts.flatMap((part) => part.enum?.map(String) || (part.const !== undefined ? [String(part.const)] : part.type === "boolean" ? ["on", "off"] : [null]));
  return values.includes(null) ? null : values.map((value) => (value === "true" ? "on" : value === "false" ? "off" : value));
}

// Whether several values in the field are several runs: not where a value has commas of its own.
function severalOf(schema, choices) {
  return Boolean(choices) || ["integer", "number", "string", "boolean"].includes(schema.type);
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

// Runs that take as long an image.
function kind({ config }) {
  return JSON.stringify([config.depth, config.m, config.batch_size]);
}

function timed(item, speed) {
  const seconds = speed?.images_per_second > 0 && item.images_per_epoch ? item.images_per_epoch / speed.images_per_second * item.config.epochs : null;
  return { ...item, estimate: { ...speed, seconds } };
}

// The daemon measures one kind at a time, perhaps still one that the form asked for before it was changed.
async function measured(config, signal) {
  for (let tries = 1; ; tries++) {
    try {
      return await send("POST", "/runs/measure", config, { signal });
    } catch (problem) {
      if (problem.status !== 503 || tries === MOST_TRIES || signal.aborted) { throw problem; }
      await new Promise((resolve) => { setTimeout(resolve, TRY_AGAIN_MS); });
    }
  }
}

// A time, or that it is not known.
function span(seconds, unknown) {
  return unknown || seconds == null || !Number.isFinite(seconds) ? "–" : duration(seconds);
}

class New {
  constructor(view, context) {
    this.view = view;
    this.context = context;
    this.inputs = new Map();
    this.groups = new Map(); // the buttons of a field that has few values
  }

  async start() {
    const [document_, presets, datasets] = await Promise.all([fetch(`${prefix}/openapi.json`).then((response) => response.json()), get("/presets"), get("/datasets")]);
    const { from: fromRun, sweep: fromSweep } = this.context.values;
    const from = fromRun ? await get(`/runs/${encodeURIComponent(fromRun)}`) : null;
    const sweep = fromSweep ? await get(`/sweeps/${encodeURIComponent(fromSweep)}`) : null;
    if (!this.context.alive()) { return () => {}; }
    this.schema = document_.components.schemas.run_request.properties;
    this.presets = presets.items;
    this.datasets = datasets.items;
    this.preset = this.presets.find((preset) => preset.name === (this.context.values.preset || from?.config.preset || sweep?.spec?.base?.preset)) || this.presets.find((preset) => preset.default);
    this.build();
    const grid = Object.fromEntries(Object.entries(sweep?.spec?.grid || {}).map(([key, values]) => [key, values.map((value) => textOf(key, value)).join(", ")]));
    const given = { ...(from ? { ...from.config, name: from.name || "" } : {}), ...(sweep ? { ...sweep.spec.base, name: sweep.name || "", ...grid } : {}), ...this.context.values };
    for (const [key, value] of Object.entries(given)) { if (this.inputs.has(key)) { this.inputs.get(key).value = textOf(key, value); } }
    this.changed();
    return () => { clearTimeout(this.timer); clearTimeout(this.measuring); this.asked?.abort(); };
  }

  field(name) {
    const schema = this.schema[name] || {};
    const id = `field-${name}`;
    const hint = el("span", { class: "small hint", id: `${id}-hint` }, this.hint(name));
    const choices = name === "dataset" ? this.datasets.map((set) => set.name) : choicesOf(schema);
    const input = el("input", { id, name, autocomplete: "off", spellcheck: false, "aria-describedby": `${id}-hint`, oninput: () => this.changed(), class: ["m", "seed"].includes(name) ? "long" : "" });
    this.inputs.set(name, input);
    const control = choices && choices.length <= MOST_CHOICES && name !== "dataset" ? this.toggles(name, input, choices) : null;
    const chips = !control && severalOf(schema, choices) ? new Chips(input, split, () => this.changed()) : null;
    if (chips) { this.inputs.set(name, chips); }
    if (choices && !control) { input.setAttribute("list", `${id}-list`); }
    return el("div", { class: "field" }, el("label", { htmlFor: control ? null : id, id: `${id}-label` }, TITLES[name] || capital(title(name))), el("span", { class: "control" }, control || chips?.node || input, name === "m" ? (this.stubs = el("span", { class: "stubs" })) : "",
      choices && !control ? el("datalist", { id: `${id}-list` }, ...choices.map((value) => el("option", { value }))) : ""), hint);
  }

  hint(name) {
    const set = name === "dataset" && this.datasets.find(({ name: own }) => own === (split(this.inputs.get(name)?.value || "")[0] || this.preset.config.dataset));
    if (set) { return set.available ? `${count(set.train_images)} and ${count(set.test_images)} images${set.generated ? ", generated here" : ""}` : plain(set.problem); }
    return HINTS[name] || this.schema[name]?.description || "";
  }

  // Buttons for the few values of a field; several pressed make a sweep, none is what the preset says.
  toggles(name, input, choices) {
    input.type = "hidden";
    const group = el("span", { class: "segments", role: "group", "aria-labelledby": `field-${name}-label`, "data-name": name }, ...choices.map((value) => el("button", { type: "button", value, onclick: () => {
      const chosen = split(input.value);
      const next = chosen.includes(value) ? chosen.filter((other) => other !== value) : [...chosen, value];
      input.value = choices.filter((other) => next.includes(other)).join(", ");
      this.changed();
    } }, value)));
    input.focus = () => group.firstChild.focus();
    this.groups.set(name, group);
    return el("span", { class: "toggles" }, group, input);
  }

  build() {
    document.title = "New · cutoutd";
    const presetChoice = el("select", { id: "field-preset", onchange: (event) => { this.preset = this.presets.find((preset) => preset.name === event.target.value); this.changed(); } },
      ...this.presets.map((preset) => el("option", { value: preset.name, selected: preset === this.preset }, preset.name)));
    this.presetHint = el("span", { class: "small hint" });
    const name = el("input", { id: "field-name", class: "long", maxLength: 127, oninput: () => this.changed() });
    this.inputs.set("name", name);
    const shown = SECTIONS.flatMap(([, names]) => names);
    const others = this.otherFields = Object.keys(this.schema).filter((field) => !shown.includes(field) && !APART.includes(field));
    const form = el("form", { class: "form", id: "new-form", noValidate: true, onsubmit: (event) => { event.preventDefault(); this.submit().catch(complain); } },
      el("div", { class: "field" }, el("label", { htmlFor: "field-preset" }, "Preset"), el("span", { class: "control" }, presetChoice), this.presetHint),
      el("div", { class: "field" }, el("label", { htmlFor: "field-name" }, "Name"), el("span", { class: "control" }, name), el("span")),
      ...SECTIONS.map(([title, names]) => el("fieldset", {}, el("legend", { class: "strong" }, title), ...names.map((field) => this.field(field)))),
      this.others = el("details", {}, this.folded = el("summary", {}, `${others.length} more fields`), el("fieldset", {}, ...others.map((field) => this.field(field)))));
    this.cost = el("div", { class: "cost" }, el("p", { class: "small" }, "Known as soon as the fields are right."));
    this.curl = el("pre", {});
    this.button = el("button", { class: "first", type: "submit", form: "new-form" }, "Queue 1 run");
    this.wrong = el("span", { class: "bad" });
    this.pictureHead = el("h2", {}, "What the network sees");
    this.picture = el("img", { class: "instances", alt: "" });
    const index = el("input", { size: 3, value: "4", inputMode: "numeric", "aria-label": "Image", oninput: () => this.preview() });
    this.index = index;
    const copyButton = el("button", { type: "button", onclick: () => copy(this.line, copyButton) }, "Copy curl");
    this.view.replaceChildren(el("h1", {}, "New run or sweep"), el("p", { class: "second" }, "Several values in a field make a sweep: every combination becomes a run."),
      el("div", { class: "columns-2 new" }, form, el("aside", { class: "sticky" }, el("section", {}, el("div", { class: "bar" }, this.pictureHead, el("label", { class: "quiet push" }, "image ", index)), this.picture),
        el("section", {}, el("h2", {}, "What it costs"), this.cost), el("section", {}, this.curl, el("div", { class: "bar submit" }, this.button, this.wrong, el("span", { class: "push" }), copyButton)))));
  }

  // What is asked for: a run, or a sweep when a field has several values.
  request() {
    const single = {};
    const grid = {};
    for (const [name, input] of this.inputs) {
      const text = input.value.trim();
      if (text === "") { continue; }
      const schema = this.schema[name] || {};
      if (name === "labels") { single.labels = labelsOf(text) ?? text; continue; }
      if (name === "after") { single.after = split(text); continue; }
      const whole = name === "name" || !severalOf(schema, choicesOf(schema));
      const values = whole ? [text] : split(text);
      if (values.length > 1) { grid[name] = values.map((value) => valueOf(value, schema)); } else { single[name] = valueOf(values[0] ?? text, schema); }
    }
    const defaults = this.preset.config;
    for (const key of Object.keys(single)) { if (key !== "name" && JSON.stringify(single[key]) === JSON.stringify(defaults[key])) { delete single[key]; } }
    const isDefault = this.preset.default;
    if (Object.keys(grid).length === 0) { return { path: "/runs", body: { ...(single.name ? { name: single.name } : {}), ...(isDefault ? {} : { preset: this.preset.name }), ...single } }; }
    const { name, ...rest } = single;
    return { path: "/sweeps", body: { ...(name ? { name } : {}), base: { ...(isDefault ? {} : { preset: this.preset.name }), ...rest }, grid } };
  }

  changed() {
    const { path, body } = this.request();
    const runs = path === "/sweeps" ? Object.values(body.grid).reduce((n, list) => n * list.length, 1) : 1;
    this.presetHint.textContent = this.preset.description;
    for (const [name, input] of this.inputs) { if (name !== "name") { input.placeholder = textOf(name, this.preset.config[name] ?? (name === "labels" ? {} : name === "after" ? [] : "")); } }
    for (const [name, group] of this.groups) {
      const chosen = split(this.inputs.get(name).value);
      const now = chosen.length > 0 ? chosen : [this.inputs.get(name).placeholder];
      for (const button of group.children) {
        button.setAttribute("aria-pressed", String(now.includes(button.value)));
        button.classList.toggle("given", chosen.includes(button.value));
      }
    }
    this.sayHints();
    const set = this.otherFields.filter((name) => this.inputs.get(name).value.trim() !== "");
    say(this.folded, `${count(this.otherFields.length)} more fields${set.length === 0 ? `, all as in ${this.preset.name}` : `; ${set.slice(0, MOST_FOLDED).map((name) => `${title(name)} ${plain(this.inputs.get(name).value)}`).join(", ")}`}`);
    const copies = this.inputs.get("m").value.trim() ? split(this.inputs.get("m").value).map(Number).filter((m) => m >= 1) : [this.preset.config.m];
    this.stubs.replaceChildren(...(copies.length <= 8 ? copies : []).map((m) => stub(lookOfM(m))));
    say(this.button, `Queue ${plural(runs, "run")}`);
    this.line = `curl ${location.host}${base}${path} -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
    say(this.curl, this.line);
    this.shown = body;
    address.set({ from: this.context.values.from, sweep: this.context.values.sweep, preset: this.preset.default ? "" : this.preset.name, ...Object.fromEntries([...this.inputs].map(([name, input]) => [name, input.value.trim()])) }, false);
    clearTimeout(this.timer);
    clearTimeout(this.measuring);
    this.timer = setTimeout(() => { this.dryRun(); this.preview(); }, DRY_RUN_MS);
  }

  sayHints() {
    for (const [name, input] of this.inputs) {
      const hint = document.getElementById(`field-${name}-hint`);
      if (!hint || input.hasAttribute("aria-invalid")) { continue; }
      const n = name === "labels" || name === "after" ? 0 : split(input.value).length;
      say(hint, n > 1 ? plural(n, "value") : this.hint(name));
    }
  }

  async dryRun() {
    const { path, body } = this.request();
    this.asked?.abort();
    this.asked = new AbortController();
    this.cost.classList.add("old");
    try {
      const plan = await send("POST", `${path}?dry_run=true`, body, { signal: this.asked.signal });
      this.paintErrors([]);
      const { signal } = this.asked;
      const items = await this.estimated(plan.items || [plan], signal);
      this.unmeasured = "";
      this.paintCost(items);
      clearTimeout(this.measuring);
      this.measuring = setTimeout(() => this.measure(items, signal).catch(complain), MEASURE_MS);
    } catch (problem) {
      if (problem instanceof Problem && problem.errors.length > 0) { this.paintErrors(problem.errors); } else { complain(problem); }
    }
  }

  // The plan of a sweep tells no times: they are asked for once for each kind of run, as far as kinds are few.
  async estimated(items, signal) {
    const speeds = new Map();
    for (const item of items) { if (!item.estimate && !speeds.has(kind(item)) && speeds.size < MOST_KINDS) { speeds.set(kind(item), send("POST", "/runs?dry_run=true", item.config, { signal })); } }
    for (const [key, answer] of speeds) { speeds.set(key, (await answer.catch(() => null))?.estimate); }
    return items.map((item) => timed(item, item.estimate || speeds.get(kind(item))));
  }

  // Kinds that were never trained here: the daemon times some of their steps, one kind after the other. What it may not time
  // now stays unknown, with its reason.
  async measure(items, signal) {
    const unknown = new Map(items.filter((item) => !(item.estimate?.images_per_second > 0)).map((item) => [kind(item), item]));
    for (const [key, { config }] of [...unknown].slice(0, MOST_MEASURED)) {
      if (signal.aborted || !this.context.alive()) { return; }
      this.unmeasured = `Timing some steps with M ${config.m} …`;
      this.paintCost(items);
      try {
        const speed = await measured(config, signal);
        items = items.map((item) => (kind(item) === key ? timed(item, speed) : item));
        this.unmeasured = "";
      } catch (problem) {
        if (!(problem instanceof Problem)) { return; } // the form has changed
        this.unmeasured = plain(problem.message);
        break;
      }
    }
    this.paintCost(items);
  }

  paintCost(items) {
    const byM = new Map();
    for (const item of items) { byM.set(item.config.m, [...(byM.get(item.config.m) || []), item]); }
    const seconds = (item) => item.estimate?.seconds ?? null;
    const images = (item) => item.images_per_epoch * item.config.epochs;
    const limit = items[0].memory.limit_bytes;
    const rows = [...byM].map(([m, list]) => el("tr", {}, el("td", {}, stub(lookOfM(m)), String(m)), el("td", { class: "number" }, count(list.length)), el("td", { class: "number" }, bytes(Math.max(...list.map((item) => item.memory.needed_bytes)))),
      el("td", { class: "number desk" }, short(Math.max(...list.map(images)))), el("td", { class: "number" }, span(Math.max(...list.map(seconds)), list.some((item) => seconds(item) == null))), el("td", { class: "number" }, span(list.reduce((sum, item) => sum + seconds(item), 0), list.some((item) => seconds(item) == null)))));
    const total = items.map(seconds);
    this.cost.classList.remove("old");
    this.cost.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...["M", "Runs", "Memory a run", "Images", "A run", "All"].map((title, i) => el("th", { scope: "col", class: i === 0 ? "" : i === 3 ? "number desk" : "number" }, title)))),
      el("tbody", {}, ...rows, el("tr", { class: "strong" }, el("td", {}, "Together"), el("td", { class: "number" }, count(items.length)), el("td", { class: "number quiet" }, `of ${bytes(limit)}`), el("td", { class: "number desk" }, short(items.reduce((sum, item) => sum + images(item), 0))),
        el("td"), el("td", { class: "number" }, span(total.reduce((a, b) => a + b, 0), total.some((s) => s == null)))))),
      el("p", { class: "small" }, this.speedText(items)));
  }

  speedText(items) {
    const known = items.filter((item) => item.estimate?.images_per_second > 0);
    const why = this.unmeasured ? ` ${this.unmeasured}` : "";
    if (known.length === 0) { return `No run of this kind has trained an epoch here yet.${why}`; }
    const speeds = known.map((item) => item.estimate.images_per_second);
    const [low, high] = [Math.min(...speeds), Math.max(...speeds)].map(count);
    const sources = [...new Set(known.map((item) => plain(item.estimate.source)))].join("; ");
    return `At ${low === high ? low : `${low} to ${high}`} images/s: ${sources}.${known.length < items.length ? ` ${plural(items.length - known.length, "run")} of a kind that was not measured yet.${why}` : why}`;
  }

  paintErrors(errors) {
    const field = (error) => error.pointer?.split("/").filter((part) => part && part !== "base" && part !== "grid").find((part) => this.inputs.has(part));
    for (const [name, input] of this.inputs) {
      const mine = errors.find((error) => field(error) === name);
      input.toggleAttribute("aria-invalid", false);
      if (mine) { input.setAttribute("aria-invalid", "true"); }
      const hint = document.getElementById(`field-${name}-hint`);
      if (hint) { hint.classList.toggle("bad", Boolean(mine)); if (mine) { hint.textContent = plain(mine.detail); } }
    }
    this.sayHints();
    const names = [...new Set(errors.map(field).filter(Boolean))];
    this.wrongField = names[0];
    if (names.some((name) => this.otherFields.includes(name))) { this.others.open = true; }
    const rest = errors.filter((error) => !field(error)).map((error) => plain(error.detail));
    this.wrong.replaceChildren(...(errors.length === 0 ? [] : names.length === 0 ? [rest.join(" ")] : [`${names.length === 1 ? "One field needs" : `${names.length} fields need`} a change: `,
      el("button", { type: "button", class: "link bad", onclick: () => this.inputs.get(names[0]).focus() }, title(names[0]) === "M" ? "M" : title(names[0]))]));
  }

  async preview() {
    const value = (name) => { const text = split(this.inputs.get(name)?.value.trim() || "")[0]; return text ?? this.preset.config[name]; };
    const most = value("copies") === "aliased" ? 64 : 8; // each aliased copy has the squares of all
    const copies = split(this.inputs.get("m").value).map(Number).filter((n) => n >= 1 && n <= most);
    const m = copies.length > 0 ? Math.max(...copies) : Math.min(most, Number(value("m")) || 1);
    const wanted = { m, index: this.index.value || 0, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" };
    for (const name of ["dataset", "cutout_size", "cutout_squares", "copies", "seed", "shift", "flip", "crop_pad", "normalise", "mix", "mix_alpha", "train_images"]) { wanted[name] = { on: true, off: false }[value(name)] ?? value(name); }
    try {
      const picture = await blob("/figures/cutout.png", wanted);
      URL.revokeObjectURL(this.picture.src);
      this.picture.src = picture;
      this.picture.alt = `Image ${wanted.index} of ${wanted.dataset} and its ${plural(m, "copy", "copies")}`;
      say(this.pictureHead, `What the network sees, M ${m}`);
    } catch { /* a value that is wrong is said at its field */ }
  }

  async submit() {
    if (this.busy) { return; }
    const { path, body } = this.request();
    this.busy = true;
    // What may have been accepted although no answer came is sent again under the same key.
    const text = path + JSON.stringify(body);
    if (this.sent?.text !== text) { this.sent = { text, key: crypto.randomUUID?.() ?? String(Math.random()).slice(2) }; }
    try {
      const made = await send("POST", path, body, { headers: { "Idempotency-Key": this.sent.key } });
      this.sent = null;
      go(path === "/sweeps" ? `/compare?sweep=${made.id}` : `/runs/${made.id}`);
    } catch (problem) {
      if (problem instanceof Problem && problem.errors.length > 0) {
        this.paintErrors(problem.errors);
        this.inputs.get(this.wrongField)?.focus();
      } else { complain(problem); }
    } finally { this.busy = false; }
  }
}

export async function show(view, context) {
  return new New(view, context).start();
}
