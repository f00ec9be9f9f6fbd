// Errors by class: which class was taken for which, in the validation of the best epoch.

import { get, save } from "./api.js";
import { el } from "./dom.js";
import { complain } from "./frame.js";
import { count, fixed, plain, plural } from "./format.js";

const MOST_SHADE = 45; // percent of ink behind a number; more would make it hard to read
const MOST_NAMED = 5;
const MOST_CLASSES = 20; // of a matrix that people can read; beyond it there is a list
const MOST_LISTED = 30;

// Fills the panel with the matrix of a run, or says why there is none.
export async function confusion(panel, id) {
  let matrix;
  try { matrix = await get(`/runs/${id}/confusion`); } catch (problem) {
    if (problem.status !== 404) { throw problem; }
    panel.replaceChildren(el("p", { class: "second" }, plain(problem.message)));
    return;
  }
  const names = matrix.classes.map((name, i) => plain(name) || String(i));
  const totals = matrix.counts.map((row) => row.reduce((sum, n) => sum + n, 0));
  const wrong = matrix.counts.flatMap((row, is) => row.map((n, taken) => ({ n, is, taken }))).filter(({ n, is, taken }) => is !== taken && n > 0).sort((a, b) => b.n - a.n);
  const most = Math.max(1, ...wrong.map(({ n }) => n));
  const all = wrong.reduce((sum, { n }) => sum + n, 0);
  const images = totals.reduce((sum, n) => sum + n, 0);
  const cell = (n, is, taken) => {
    const node = el("td", { class: `number${is === taken ? " right-class" : ""}${n === 0 ? " none" : ""}`, title: `${count(n)} of ${count(totals[is])} ${names[is]} taken for ${names[taken]}` }, count(n));
    if (is !== taken) { node.style.setProperty("--shade", `${(n / most) * MOST_SHADE}%`); }
    return node;
  };
  panel.replaceChildren(
    el("div", { class: "bar" }, el("p", {}, `${plural(all, "error")} in ${plural(images, "image")}, in epoch ${count(matrix.epoch)}, the best. `,
      wrong.length === 0 ? "" : `Most often: ${wrong.slice(0, MOST_NAMED).map(({ n, is, taken }) => `${names[is]} taken for ${names[taken]} (${count(n)})`).join(", ")}.`),
    el("button", { type: "button", class: "link push", onclick: () => save(`/runs/${id}/confusion`, { format: "csv" }, `run-${id}-errors-by-class.csv`).catch(complain) }, "CSV")),
    names.length > MOST_CLASSES ? list(wrong.slice(0, MOST_LISTED), names, totals) : el("table", { class: "confusion" }, el("caption", { class: "small" }, "A row is a true class, a column what it was taken for; darker is more often."),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "is"), ...names.map((name) => el("th", { scope: "col", class: "number" }, name)), el("th", { scope: "col", class: "number" }, "Error, %"))),
      el("tbody", {}, ...matrix.counts.map((row, is) => el("tr", {}, el("th", { scope: "row" }, names[is]), ...row.map((n, taken) => cell(n, is, taken)),
        el("td", { class: "number strong" }, totals[is] > 0 ? fixed((1 - row[is] / totals[is]) * 100, 1) : "–"))))));
}

// The most frequent errors, where a matrix would have thousands of cells; the CSV has all of them.
function list(errors, names, totals) {
  return el("table", { class: "confusion" }, el("caption", { class: "small" }, `The most frequent errors; the CSV has all ${count(names.length)} classes.`),
    el("thead", {}, el("tr", {}, ...["is", "taken for"].map((name) => el("th", { scope: "col" }, name)), ...["Images", "of"].map((name) => el("th", { scope: "col", class: "number" }, name)))),
    el("tbody", {}, ...errors.map(({ n, is, taken }) => el("tr", {}, el("th", { scope: "row" }, names[is]), el("td", {}, names[taken]), el("td", { class: "number" }, count(n)), el("td", { class: "number" }, count(totals[is]))))));
}
