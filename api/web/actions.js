// What may be done with runs in which state, said before it is tried; the daemon decides.

import { send } from "./api.js";
import { ask, fill } from "./dialog.js";
import { el } from "./dom.js";
import { labelsOf, labelsText } from "./fields.js";
import { plain, plural } from "./format.js";

export const ACTIONS = {
  pause: { label: "Pause", states: ["running"], why: "Only a running run can be paused." },
  resume: { label: "Resume", states: ["paused"], why: "Only a paused run can be resumed." },
  hold: { label: "Hold", states: ["queued"], why: "Only a queued run can be held." },
  release: { label: "Release", states: ["held"], why: "Only a held run can be released." },
  requeue: { label: "Requeue", states: ["failed", "canceled"], why: "Only a failed or canceled run can be requeued." },
  cancel: { label: "Cancel…", states: ["queued", "held", "running", "paused"], why: "It has ended already." },
  delete: { label: "Delete…", states: ["queued", "held", "paused", "succeeded", "failed", "canceled"], why: "A running run cannot be deleted; cancel it first." },
};

function question(action, runs) {
  const one = runs.length === 1;
  const epochs = runs.reduce((sum, run) => sum + (run.epochs_done || 0), 0);
  const which = one ? `run ${runs[0].id}` : plural(runs.length, "run");
  if (action === "cancel") {
    return [`Cancel ${which}? ${one ? "Its" : "Their"} ${plural(epochs, "epoch")} stay${epochs === 1 ? "s" : ""}.`, `Cancel ${one ? "run" : "runs"}`];
  }
  return [`Delete ${which}? ${one ? "Its" : "Their"} ${plural(epochs, "epoch")} and checkpoints go for ever.`, `Delete ${one ? "run" : "runs"}`];
}

// Whether all of them may be asked this: "" or why not.
export function reason(action, runs) {
  const rule = ACTIONS[action];
  return runs.length > 0 && runs.every((run) => rule.states.includes(run.state)) ? "" : rule.why;
}

// Returns whether it was done. Many runs go as one request.
export async function act(action, runs) {
  if (action === "cancel" || action === "delete") {
    const [text, verb] = question(action, runs);
    if (!await ask(text, verb, runs.length === 1 ? "Keep it" : "Keep them")) { return false; }
  }
  if (runs.length === 1) {
    await (action === "delete" ? send("DELETE", `/runs/${runs[0].id}`) : send("POST", `/runs/${runs[0].id}/${action}`));
    return true;
  }
  const done = await send("POST", "/runs/bulk", { action, ids: runs.map((run) => run.id) });
  refusals(done, runs.length);
  return true;
}

function refusals(done, n) {
  const refused = (done.items || []).filter((item) => item.problem);
  if (refused.length > 0) { throw new Error(`${plural(refused.length, "run")} of ${n} refused: ${refused[0].problem.detail}`); }
}

// Another priority or labels, of one run also its name. Of several, labels are set and taken away one by one, in one request.
export function edit(runs) {
  return runs.length === 1 ? editOne(runs[0]) : editMany(runs);
}

const NO_LABEL = "A label is a name and a value with a colon in between, such as team:vision.";
const whole = (text) => (/^-?\d+$/.test(text) ? Number(text) : text); // what is no number, the daemon refuses at its field

function editOne(run) {
  const before = { name: run.name || "", priority: String(run.priority), labels: labelsText(run.labels) };
  return fill(`Edit run ${run.id}`, [{ name: "name", label: "Name", value: before.name, hint: "at most 127 bytes" }, { name: "priority", label: "Priority", value: before.priority, hint: "higher ones start first" },
    { name: "labels", label: "Labels", value: before.labels, hint: "such as team:vision paper:figure-2" }], "Change", async (values) => {
    const changes = {};
    if (values.name !== before.name) { changes.name = values.name; }
    if (values.priority !== before.priority) { changes.priority = whole(values.priority); }
    if (values.labels !== before.labels) { changes.labels = labelsOf(values.labels); }
    if (changes.labels === null) { throw new Error(NO_LABEL); }
    if (Object.keys(changes).length > 0) { await send("PATCH", `/runs/${run.id}`, changes); }
  });
}

function editMany(runs) {
  return fill(`Edit ${plural(runs.length, "run")}`, [{ name: "priority", label: "Priority", value: "", hint: "of all of them; empty leaves each its own" },
    { name: "labels", label: "Labels", value: "", hint: "such as team:vision -draft: sets the one, takes away the other" }], "Change", async (values) => {
    const words = values.labels.split(/\s+/).filter(Boolean);
    const set = labelsOf(words.filter((word) => !word.startsWith("-")).join(" "));
    if (!set) { throw new Error(NO_LABEL); }
    const labels = { ...set, ...Object.fromEntries(words.filter((word) => word.startsWith("-")).map((word) => [word.slice(1), null])) };
    const changes = { ...(values.priority === "" ? {} : { priority: whole(values.priority) }), ...(words.length === 0 ? {} : { labels }) };
    if (Object.keys(changes).length > 0) { refusals(await send("POST", "/runs/bulk", { action: "edit", ids: runs.map((run) => run.id), ...changes }), runs.length); }
  });
}

// New runs that go on from these, with other settings. onMade(new runs) is told of them.
export function fork(runs, onMade = () => {}) {
  const one = runs.length === 1;
  return fill(one ? `Fork run ${runs[0].id}` : `Fork ${plural(runs.length, "run")}`, [
    { name: "from_epoch", label: "From", value: "last", hint: "last, best, or an epoch that a checkpoint exists for; 0 begins anew" },
    { name: "overrides", label: "Other settings", value: "", hint: "such as lr=1e-4 epochs=80; nothing: as it was" }], one ? "Queue the fork" : `Queue ${plural(runs.length, "fork")}`, async (values) => {
    const body = { overrides: overridesOf(values.overrides) };
    if (values.from_epoch !== "last" && values.from_epoch !== "") { body.from_epoch = whole(values.from_epoch); }
    if (one) { onMade([await send("POST", `/runs/${runs[0].id}/fork`, body)]); return; }
    const done = await send("POST", "/runs/bulk", { action: "fork", ids: runs.map((run) => run.id), ...body });
    refusals(done, runs.length);
    onMade(done.items.map((item) => item.run));
  });
}

// 'lr=1e-4 flip=false' -> {lr: 1e-4, flip: false}
function overridesOf(text) {
  const overrides = {};
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const at = word.indexOf("=");
    if (at < 1) { throw new Error(`${plain(word)} is not name=value.`); }
    const value = word.slice(at + 1);
    try { overrides[word.slice(0, at)] = JSON.parse(value); } catch { overrides[word.slice(0, at)] = value; }
  }
  return overrides;
}

// A button that stays focusable and says why it cannot be used.
export function actionButton(action, runs, onClick) {
  const why = reason(action, runs);
  return el("button", {
    type: "button", title: why || null, "aria-disabled": why ? "true" : null, "data-action": action,
    onclick: () => { if (!why) { onClick(action, runs); } },
  }, ACTIONS[action].label);
}
