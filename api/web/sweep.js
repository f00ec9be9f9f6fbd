// What is done with a sweep as one: actions on all of its runs, another one like it, and read-only links to it.

import { get, prefix, send } from "./api.js";
import { ask } from "./dialog.js";
import { copy, el, say } from "./dom.js";
import { complain } from "./frame.js";
import { plain, plural, when } from "./format.js";

const ACTIONS = [["pause", "Pause", ["running"]], ["resume", "Resume", ["paused"]], ["hold", "Hold", ["queued"]], ["release", "Release", ["held"]], ["requeue", "Requeue", ["failed", "canceled"]]];
const OPEN = ["queued", "held", "running", "paused"];
const DAY_MS = 864e5;

export function sweepActions(sweep, onDone) {
  const states = sweep.progress.by_state;
  const n = (names) => names.reduce((sum, name) => sum + (states[name] || 0), 0);
  const act = async (action) => {
    try { await send("POST", `/sweeps/${sweep.id}/${action}`); onDone(); } catch (problem) { complain(problem); }
  };
  const buttons = ACTIONS.filter(([, , from]) => n(from) > 0).map(([action, label]) => el("button", { type: "button", "data-action": action, onclick: () => act(action) }, `${label} all`));
  const cancel = n(OPEN) === 0 ? "" : el("button", { type: "button", "data-action": "cancel", onclick: async () => {
    const open = n(OPEN);
    if (await ask(`Cancel ${plural(open, "run")} of this sweep? Their epochs stay.`, `Cancel ${plural(open, "run")}`, "Keep them")) { act("cancel"); }
  } }, "Cancel all…");
  return el("span", { class: "bar push" }, ...buttons, cancel, el("a", { class: "button", href: `${prefix}/runs?sweep=${sweep.id}` }, "Its runs"), el("a", { class: "button", href: `${prefix}/new?sweep=${sweep.id}` }, "Again…"),
    el("button", { type: "button", onclick: () => share(sweep).catch(complain) }, "Share…"));
}

// The rungs of a sweep by halving, the latest first: who went on, and what was saved.
export function rungTable(halving) {
  if (!halving) { return ""; }
  const name = (entry) => (entry.setting ? plain(entry.setting) : `run ${entry.runs.join(", ")}`);
  const rows = [...halving.rungs].reverse().flatMap((rung) => rung.ranking.map((entry) => el("tr", {}, el("td", {}, String(rung.epochs)), el("td", {}, String(entry.rank)), el("td", {}, name(entry)),
    el("td", {}, entry.value === null ? "–" : entry.value.toFixed(4)), el("td", {}, entry.promoted ? "goes on" : "paused"))));
  return el("section", { class: "rungs" }, el("h2", {}, "Halving"), el("p", { class: "second" }, halving.rungs.length === 0 ? `The first rung is at epoch ${halving.first_epochs}.` : `${plural(halving.ranked_out, "run")} paused for good, ${plural(halving.epochs_saved, "epoch")} saved so far.`),
    rows.length === 0 ? "" : el("table", {}, el("thead", {}, el("tr", {}, ...["Epoch", "Rank", "Setting", halving.metric.replace("_", " "), ""].map((text) => el("th", { scope: "col" }, text || el("span", { class: "hidden" }, "Outcome"))))), el("tbody", {}, ...rows)));
}

// Links that show this sweep to whoever has them; the secret is told once.
async function share(sweep) {
  const list = el("div", { class: "links" });
  const made = el("div", { role: "status" });
  const days = el("select", { name: "days" }, ...[[1, "a day"], [7, "a week"], [30, "30 days"], [365, "a year"]].map(([value, text]) => el("option", { value, selected: value === 30 }, text)));
  const paint = async () => {
    const { items } = await get(`/sweeps/${sweep.id}/links`);
    list.replaceChildren(...(items.length === 0 ? [] : [el("table", {}, el("thead", {}, el("tr", {}, ...["Link", "By", "Made", "Until", ""].map((text) => el("th", { scope: "col" }, text || el("span", { class: "hidden" }, "Withdraw"))))),
      el("tbody", {}, ...items.map((item) => el("tr", {}, el("td", {}, item.id), el("td", {}, plain(item.owner) || "anybody"), el("td", {}, when(item.created_at)), el("td", {}, when(item.expires_at) || "withdrawn"),
        el("td", {}, el("button", { type: "button", class: "link", "aria-label": `Withdraw link ${item.id}`, onclick: async () => {
          try { await send("DELETE", `/links/${item.id}`); await paint(); } catch (problem) { complain(problem); dialog.close(); }
        } }, "Withdraw")))))) ]));
  };
  const dialog = el("dialog", { "aria-label": "Share this sweep", class: "wide-dialog" }, el("form", { class: "form", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const one = await send("POST", `/sweeps/${sweep.id}/links`, { expires_at: new Date(Date.now() + days.value * DAY_MS).toISOString().replace(/\.\d+Z$/, "Z") });
      const address = location.origin + prefix + one.url;
      const copyButton = el("button", { type: "button", onclick: () => copy(address, copyButton) }, "Copy");
      made.replaceChildren(el("p", { class: "small" }, "It is shown this once."), el("pre", { class: "line" }, el("code", {}, address), copyButton));
      await paint();
    } catch (problem) {
      dialog.close();
      complain(problem);
    }
  } }, el("h2", {}, "Share this sweep"), el("p", { class: "second" }, "Whoever has the link sees this sweep and its runs, live, and nothing else; no token is needed, and nothing can be changed."),
  el("div", { class: "bar" }, el("label", {}, "It ends after ", days), el("button", { class: "first" }, "Make a link"), el("button", { type: "button", class: "push", onclick: () => dialog.close() }, "Close"))), made, list);
  dialog.addEventListener("close", () => { dialog.remove(); say(made, ""); });
  await paint();
  document.body.append(dialog);
  dialog.showModal();
}
