// A field that takes several values: Enter or a comma makes a chip of what was typed, Backspace takes the last one back.

import { el } from "./dom.js";

export class Chips {
  // split(text): the values in it; changed(): somebody has added or removed one.
  constructor(input, split, changed) {
    this.input = input;
    this.split = split;
    this.changed = changed;
    this.values = [];
    this.hint = "";
    this.typed = false; // something that is no chip yet
    this.list = el("span", { class: "chip-list", role: "list" });
    this.node = el("span", { class: `chips ${input.className}`, onclick: (event) => { if (event.target === this.node) { input.focus(); } } }, this.list, input);
    input.addEventListener("input", () => {
      this.typed = true;
      if (input.value.includes(",")) { this.end(input.value.trimEnd().endsWith(",")); }
    });
    input.addEventListener("keydown", (event) => this.key(event));
  }

  // Chips of what was typed; of the last value only when it is ended too.
  end(whole) {
    const parts = this.split(this.input.value);
    const rest = whole ? "" : this.input.value.split(",").at(-1).trim();
    this.values = [...new Set([...this.values, ...(rest ? parts.slice(0, parts.length - this.split(rest).length) : parts)])];
    this.input.value = rest;
    this.typed = rest !== "";
    this.paint();
  }

  key(event) {
    if (event.key === "Enter" && this.typed && this.input.value.trim() !== "") {
      event.preventDefault(); // another one sends the form
      this.end(true);
      this.changed();
    } else if (event.key === "Backspace" && this.input.value === "" && this.values.length > 0) {
      event.preventDefault();
      this.input.value = this.values.pop();
      this.typed = true;
      this.paint();
      this.changed();
    }
  }

  paint() {
    this.list.replaceChildren(...this.values.map((value) => el("span", { role: "listitem" }, el("button", { type: "button", class: "chip", "aria-label": `Remove ${value}`, onclick: () => {
      this.values = this.values.filter((other) => other !== value);
      this.paint();
      this.input.focus();
      this.changed();
    } }, value))));
    this.list.hidden = this.values.length === 0;
    this.input.placeholder = this.values.length === 0 ? this.hint : "";
  }

  // ---- as the input alone would be ----

  get value() {
    const text = this.input.value.trim();
    return this.values.length === 0 ? text : [...new Set([...this.values, ...this.split(text)])].join(", ");
  }

  set value(text) {
    const parts = this.split(text);
    this.values = parts.length > 1 ? [...new Set(parts)] : [];
    this.input.value = parts.length > 1 ? "" : text;
    this.paint();
  }

  set placeholder(text) {
    this.hint = text;
    this.paint();
  }

  focus() { this.input.focus(); }
  hasAttribute(name) { return this.input.hasAttribute(name); }
  setAttribute(name, value) { this.input.setAttribute(name, value); }
  toggleAttribute(name, force) { this.input.toggleAttribute(name, force); }
}
