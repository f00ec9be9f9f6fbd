// The table under the figure: a row a group, a dot a seed.

import { groupName, hoursText } from "./answer.js";
import { prefix } from "./api.js";
import { el } from "./dom.js";
import { count, error as errorText, fixed, short } from "./format.js";
import { stub } from "./series.js";

const MOST_BASELINES = 40;

function isBaseline(group, baseline) {
  return Boolean(baseline) && group.label === baseline;
}

// answer: what GET /compare said; groups of it in order, looks beside them; hidden: indices; onHide(i) is told which was clicked.
export function groupsTable(table, { answer, runs, looks, hidden, unit, plainError, aim, onHide, onBaseline }) {
  const { groups, baseline } = answer;
  const percent = unit === "percent";
  const best = Math.min(...groups.map((group) => group.best.mean ?? Infinity));
  const seeds = groups.map((group) => group.runs.map((id) => runs.get(id)).filter((run) => run?.best && plainError)); // a run's own best is of the plain error
  const errors = seeds.flat().map((run) => run.best.val_error);
  const span = [Math.min(...errors), Math.max(...errors)];
  const least = (axis) => Math.min(...groups.map((group) => group.to_target?.[axis].mean ?? Infinity));
  const reached = groups.some((group) => group.to_target);
  const head = [["Group", ""], ["Runs", "number"], [`Best error${percent ? ", %" : ""}`, "number"], [errors.length > 0 ? `Each seed, ${errorText(span[0], unit, 1)} to ${errorText(span[1], unit, 1)}` : "Each seed", "desk"],
    ...(groups.length > 1 && groups.length <= MOST_BASELINES ? [[el("select", { "aria-label": "Against which group", onchange: (event) => onBaseline(event.target.value) }, el("option", { value: "" }, "against"),
      ...groups.map((group) => el("option", { value: group.label, selected: isBaseline(group, baseline) }, `against ${groupName(group)}`))), "number desk"]] : []),
    ...(reached ? [[`Epochs to ${aim}`, "number"], [`Images to ${aim}`, "number"], [`Time to ${aim}`, "number"], ["Reached", "number"]] : []), ["Images/s", "number desk"]];
  const reach = (group, axis, text) => (group.to_target[axis].mean == null ? el("td", { class: "number quiet" }, "–")
    : el("td", { class: `number${group.to_target[axis].mean === least(axis) ? " strong" : ""}` }, text(group.to_target[axis].mean)));
  const rows = groups.map((group, i) => {
    const live = group.runs.filter((id) => runs.get(id)?.state === "running").length;
    return el("tr", { class: hidden.includes(i) ? "off" : "" }, el("th", { scope: "row", class: "group" },
      el("button", { type: "button", class: "link", "aria-pressed": String(!hidden.includes(i)), title: hidden.includes(i) ? "Draw it" : "Do not draw it", onclick: () => onHide(i) }, stub(looks[i]), groupName(group))),
    el("td", { class: "number" }, el("a", { class: "plainlink", href: `${prefix}/compare?ids=${group.runs.join(",")}&group_by=none` }, count(group.n - live)), live > 0 ? el("span", { class: "quiet" }, ` + ${live} live`) : ""),
    el("td", { class: "number" }, el("span", { class: group.best.mean === best ? "strong" : "" }, errorText(group.best.mean, unit)), group.best.std == null ? "" : el("span", { class: "quiet desk" }, ` ± ${errorText(group.best.std, unit)}`)),
    el("td", { class: "desk" }, dots(seeds[i], span, looks[i], unit)),
    groups.length > 1 && groups.length <= MOST_BASELINES ? el("td", { class: "number desk" }, !baseline ? "" : isBaseline(group, baseline) ? el("span", { class: "quiet" }, "baseline") : fixed((group.versus_baseline?.mean ?? NaN) * (percent ? 100 : 1), percent ? 2 : 4)) : null,
    ...(reached ? [reach(group, "epochs", (v) => fixed(v, 1)), reach(group, "images", short), reach(group, "seconds", hoursText), el("td", { class: "number" }, `${group.to_target.epochs.n_reached} of ${group.to_target.epochs.n}`)] : []),
    el("td", { class: "number desk" }, count(group.images_per_second?.mean)));
  });
  table.replaceChildren(el("thead", {}, el("tr", {}, ...head.map(([text, className]) => el("th", { scope: "col", class: className }, text)))), el("tbody", {}, ...rows));
}

function dots(runs, [low, high], look, unit) {
  const strip = el("span", { class: "dots" });
  for (const run of runs) {
    const dot = el("i", { class: run.state === "running" ? "live" : "", title: `run ${run.id}: ${errorText(run.best.val_error, unit)}` });
    dot.style.left = `${high > low ? (run.best.val_error - low) / (high - low) * 92 + 4 : 50}%`;
    dot.style.setProperty("--dot", look.color);
    strip.append(dot);
  }
  return strip;
}
