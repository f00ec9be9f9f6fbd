// Keys of the page, off in fields. Views add their own with `onKey`; nothing that destroys has one.

import { el } from "./dom.js";
import { plural } from "./format.js";

const handlers = new Set();
const LIST = [["g r, g c, g n, g s", "Runs, Compare, New, System"], ["/", "filter"], ["j, k", "next or previous row"], ["space", "choose the row"],
  ["c", "compare what is chosen"], ["x", "axis: epochs, images, hours"], ["l", "log or linear"], ["u", "percent or fraction"], ["s", "mean or each seed"],
  ["0", "the whole curve"], ["[ ]", "previous or next point"], ["y", "copy the link"], ["?", "this list"]];
const OFF = "cutoutd.keys";

export function onKey(handler) {
  handlers.add(handler);
  return () => handlers.delete(handler);
}

function list() {
  const off = el("input", { type: "checkbox", checked: localStorage.getItem(OFF) === "off", onchange: (event) => localStorage.setItem(OFF, event.target.checked ? "off" : "on") });
  const dialog = el("dialog", { "aria-label": plural(LIST.length, "key") }, el("h2", {}, "Keys"),
    el("table", {}, el("tbody", {}, ...LIST.map(([key, what]) => el("tr", {}, el("td", {}, el("kbd", {}, key)), el("td", {}, what))))),
    el("form", { method: "dialog" }, el("label", {}, off, " keys off (but ?)"), el("button", {}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

export function keys({ go }) {
  let afterG = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog")) { return; }
    if (event.key === "?") { list(); return; }
    if (localStorage.getItem(OFF) === "off") { return; }
    if (afterG) {
      afterG = false;
      const path = { r: "/runs", c: "/compare", n: "/new", s: "/system" }[event.key];
      if (path) { go(path); return; }
    }
    if (event.key === "g") { afterG = true; return; }
    for (const handler of [...handlers].reverse()) {
      if (handler(event.key, event)) { event.preventDefault(); return; }
    }
  });
}
