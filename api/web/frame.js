// What every view may ask of the page around it: its address, another view, a line for what went wrong.

import { prefix, Problem, token } from "./api.js";
import { el } from "./dom.js";
import { plain } from "./format.js";

const notice = document.getElementById("notice");
let show = () => {};

export function onShow(handler) {
  show = handler;
}

export const address = {
  path: () => location.pathname.slice(prefix.length) || "/",
  values: () => Object.fromEntries(new URLSearchParams(location.search)),
  // Changes what is chosen in a view; `push` makes it a place that Back returns to.
  set(values, push = true) {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(values)) {
      if (value != null && value !== "") { search.set(key, value); }
    }
    const text = search.toString().replaceAll("%2C", ",");
    history[push ? "pushState" : "replaceState"](null, "", prefix + address.path() + (text ? `?${text}` : ""));
  },
};

export function go(path, push = true) {
  history[push ? "pushState" : "replaceState"](null, "", prefix + path);
  show();
}

export function complain(error) {
  if (error.name === "AbortError") { return; }
  if (error instanceof Problem && (error.status === 401 || error.status === 403)) {
    askForToken(error);
    return;
  }
  notice.replaceChildren(el("span", {}, plain(error.message)), error.requestId ? el("small", {}, `request ${error.requestId}`) : "",
    closeButton());
}

function closeButton() {
  return el("button", { type: "button", class: "link", onclick: () => notice.replaceChildren() }, "Close");
}

function askForToken(error) {
  const field = el("input", { type: "password", autocomplete: "off", "aria-label": "Token", size: 40 });
  notice.replaceChildren(); // not two fields
  const form = el("form", { class: "bar", onsubmit: (event) => {
    event.preventDefault();
    token.set(field.value.trim());
    notice.replaceChildren();
    show();
  } }, el("span", {}, plain(error.message)), field, el("button", { class: "first" }, "Use it"), el("small", {}, "It is kept until this tab closes."),
    error.status === 403 ? closeButton() : "");
  notice.replaceChildren(form);
  field.focus();
}
