// Nothing is there yet: one run to begin with.

import { base, get, prefix, send } from "./api.js";
import { copy, el, say } from "./dom.js";
import { complain, go } from "./frame.js";
import { lookOfM, stub } from "./series.js";

export async function first() {
  const sets = await get("/datasets").then(({ items }) => items.filter((set) => set.available)).catch(() => []);
  const line = el("code");
  const field = (name, text, value, hint, before = "") => {
    const input = el("input", { id: `first-${name}`, name, value, size: 12, inputMode: name === "dataset" ? "text" : "numeric", oninput: () => changed(), "aria-describedby": `first-${name}-hint` });
    return el("div", { class: "field" }, el("label", { htmlFor: `first-${name}` }, text), el("span", { class: "control" }, before, input), el("span", { class: "small hint", id: `first-${name}-hint` }, hint));
  };
  const look = el("span", { class: "stubs" });
  const data = el("select", { id: "first-dataset", name: "dataset", onchange: () => changed() }, ...(sets.length > 0 ? sets : [{ name: "shapes" }]).map((set) => el("option", { value: set.name, selected: set.name === "shapes" }, set.name)));
  const form = el("form", { class: "form", onsubmit: async (event) => {
    event.preventDefault();
    try { await send("POST", "/runs", config()); go("/runs", false); } catch (problem) { complain(problem); }
  } },
  field("m", "M, copies of each image", "4", "several values make a sweep, under all fields", look),
  el("div", { class: "field" }, el("label", { htmlFor: "first-dataset" }, "Data"), el("span", { class: "control" }, data), el("span", { class: "small hint" }, sets.some((set) => !set.generated) ? "" : "generated here; cifar10 needs tools/fetch-data")),
  field("epochs", "Epochs", "10", "how often all images are gone through"),
  el("div", { class: "bar" }, el("button", { class: "first" }, "Queue it"), el("span", {}, "or ", el("a", { href: `${prefix}/new` }, "all fields"))));
  const number = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);
  const config = () => ({ m: number(form.elements.m.value), dataset: data.value, epochs: number(form.elements.epochs.value) });
  const text = () => `curl ${location.host}${base}/runs -d '${JSON.stringify(config()).replaceAll("'", "'\\''")}'`;
  const changed = () => {
    say(line, text());
    const m = config().m;
    look.replaceChildren(m >= 1 ? stub(lookOfM(m)) : "");
  };
  const copyButton = el("button", { type: "button", class: "link", onclick: () => copy(text(), copyButton) }, "Copy");
  changed();
  return el("section", { class: "first-run" }, el("h2", { class: "large" }, "No runs yet. This queues one:"), el("pre", { class: "line" }, line, copyButton), form);
}
