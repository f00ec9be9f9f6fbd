// What may be done with runs in which state, said before it is tried; the daemon decides.

import { send } from "./api.js";
import { ask, el } from "./dom.js";
import { plural } from "./format.js";

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
  const refused = (done.items || []).filter((item) => item.problem || item.error);
  if (refused.length > 0) {
    throw new Error(`${plural(refused.length, "run")} of ${runs.length} refused: ${(refused[0].problem || refused[0].error).detail}`);
  }
  return true;
}

// A button that stays focusable and says why it cannot be used.
export function actionButton(action, runs, onClick) {
  const why = reason(action, runs);
  return el("button", {
    type: "button", title: why || null, "aria-disabled": why ? "true" : null, "data-action": action,
    onclick: () => { if (!why) { onClick(action, runs); } },
  }, ACTIONS[action].label);
}
