// Dialogs that ask: yes or no, or for a few values. What the daemon refuses is said in the dialog, at its field.

import { el } from "./dom.js";
import { plain } from "./format.js";

function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

export function ask(question, verb, keep) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { "aria-label": question },
      el("form", { method: "dialog" }, el("p", {}, question),
        el("div", { class: "bar" }, el("button", { value: "yes", class: "first" }, verb), el("button", { value: "no", autofocus: true }, keep))));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    open(dialog);
  });
}

// fields: [{name, label, value, hint, choices: [[value, text]..] or none, area: several lines}]; act(values) does it and may
// throw a Problem, whose errors are shown. Resolves to whether it was done.
export function fill(heading, fields, verb, act) {
  return new Promise((resolve) => {
    let done = false;
    const wrong = el("p", { class: "bad", role: "alert" });
    const inputs = new Map(fields.map((field) => [field.name, input(field)]));
    const hints = new Map(fields.map((field) => [field.name, el("span", { class: "small hint", id: `ask-${field.name}-hint` }, field.hint || "")]));
    const form = el("form", { class: "form", noValidate: true, onsubmit: async (event) => {
      event.preventDefault();
      try {
        await act(Object.fromEntries([...inputs].map(([name, node]) => [name, node.value.trim()])));
        done = true;
        dialog.close();
      } catch (problem) { refuse(problem); }
    } }, el("h2", {}, heading), ...fields.map((field) => el("div", { class: "field" }, el("label", { htmlFor: `ask-${field.name}` }, field.label), el("span", { class: "control" }, inputs.get(field.name)), hints.get(field.name))),
    wrong, el("div", { class: "bar" }, el("button", { class: "first" }, verb), el("button", { type: "button", onclick: () => dialog.close() }, "Leave it")));
    const refuse = (problem) => {
      const of = (error) => [...inputs.keys()].find((name) => (error.pointer || "").split("/").includes(name));
      for (const field of fields) {
        const mine = (problem.errors || []).find((error) => of(error) === field.name);
        inputs.get(field.name).toggleAttribute("aria-invalid", false);
        if (mine) { inputs.get(field.name).setAttribute("aria-invalid", "true"); }
        hints.get(field.name).classList.toggle("bad", Boolean(mine));
        hints.get(field.name).textContent = mine ? plain(mine.detail) : field.hint || "";
      }
      const rest = (problem.errors || []).filter((error) => !of(error)).map((error) => plain(error.detail));
      wrong.textContent = rest.length > 0 ? rest.join(" ") : (problem.errors || []).length > 0 ? "" : plain(problem.message);
    };
    const dialog = el("dialog", { "aria-label": heading, class: "wide-dialog" }, form);
    dialog.addEventListener("close", () => resolve(done));
    open(dialog);
  });
}

function input({ name, value, choices, area }) {
  const more = { id: `ask-${name}`, name, "aria-describedby": `ask-${name}-hint` };
  if (choices) { return el("select", more, ...choices.map(([choice, text]) => el("option", { value: choice, selected: choice === value }, text))); }
  return area ? el("textarea", { ...more, rows: 3, value: value || "" }) : el("input", { ...more, value: value ?? "", autocomplete: "off" });
}
