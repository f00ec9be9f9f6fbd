// Who is told when something has happened: webhooks, and what became of what they were told. A part of the System view.

import { get, prefix, send } from "./api.js";
import { ask, fill } from "./dialog.js";
import { copy, el, keepChildren, say } from "./dom.js";
import { count, error as percent, plain, when } from "./format.js";
import { complain } from "./frame.js";

const EVENTS = { run_ended: "runs that end", sweep_ended: "sweeps that end", target_reached: "runs that reach a target", stalled: "runs that stand still", disk_low: "a disk that is nearly full" };
const TEMPLATES = [["json", "JSON"], ["slack", "Slack"], ["mattermost", "Mattermost"], ["ntfy", "ntfy"]];
const SHOWN = 20; // deliveries
const LOOKS = 8; // after a test, a second apart

export class Webhooks {
  constructor(context) {
    this.context = context;
    this.hooks = new Map(); // by id
  }

  async load() {
    const [list, who] = await Promise.all([get("/webhooks"), this.who ?? get("/token")]);
    this.items = list.items;
    this.who = who;
    await Promise.all(this.items.map((item) => this.hooks.get(item.id)).filter((hook) => hook?.details.open).map((hook) => hook.load()));
  }

  build(again) {
    this.again = again;
    this.told = el("div", { role: "status" });
    this.list = el("div");
    const admin = this.who.scope === "admin";
    return el("section", { class: "space" }, el("h2", {}, "Webhooks"), el("p", { class: "second" }, "Each is told of the runs and sweeps that name it in ", el("code", {}, "notify"), ", and of what is said of it here."), this.list, this.told,
      admin ? el("div", { class: "bar space-small" }, el("button", { type: "button", onclick: () => this.create() }, "New webhook…")) : el("p", { class: "small space-small" }, "Their URLs and what they were told are the admin's to see."));
  }

  paint() {
    const admin = this.who.scope === "admin";
    for (const item of this.items) {
      if (!this.hooks.has(item.id)) { this.hooks.set(item.id, new Hook(item, admin, this)); }
      this.hooks.get(item.id).paint(item);
    }
    keepChildren(this.list, this.items.length > 0 ? this.items.map((item) => this.hooks.get(item.id).node) : [this.none ??= el("p", { class: "second space-small" }, "There are none.")]);
  }

  async create() {
    let made = null;
    await fill("New webhook", [{ name: "name", label: "Name", hint: "Runs and sweeps name it in notify." }, { name: "url", label: "URL" },
      { name: "events", label: "Told of", area: true, value: "run_ended sweep_ended", hint: `Whoever's they are: ${Object.keys(EVENTS).join(", ")}. Empty: only of what names it.` },
      { name: "target", label: "Target", hint: "Of target_reached: a validation error, as 0.06." }, { name: "template", label: "As", value: "json", choices: TEMPLATES }], "Make it", async (values) => {
      made = await send("POST", "/webhooks", { name: values.name, url: values.url, template: values.template, events: values.events.split(/[\s,]+/).filter(Boolean), ...(values.target ? { target: Number(values.target) } : {}) });
    });
    if (!made) { return; }
    this.told.replaceChildren(el("p", { class: "space-small" }, `The secret that messages to ${plain(made.name)} are signed with is shown only now: `, el("code", {}, made.secret), " ", el("button", { type: "button", class: "link", onclick: (event) => copy(made.secret, event.target) }, "Copy")));
    await this.again();
  }
}

class Hook {
  constructor(item, admin, all) {
    this.id = item.id;
    this.all = all;
    this.counts = el("span");
    this.rows = el("tbody");
    this.table = el("table", { class: "deliveries" }, el("thead", {}, el("tr", {}, ...["What", "Since", "State", "Tries"].map((name, i) => el("th", { scope: "col", class: i === 3 ? "number" : i === 1 ? "desk" : null }, name)))), this.rows);
    this.nothing = el("p", { class: "second" }, "It was told nothing yet.");
    this.body = el("div", { class: "scroll" });
    this.details = el("details", { ontoggle: () => { if (this.details.open) { this.load().catch(complain); } } }, el("summary", {}, "Deliveries", this.counts), this.body);
    const name = plain(item.name);
    this.node = el("div", { class: "webhook", "data-webhook": item.id },
      el("div", { class: "bar" }, el("span", { class: "strong" }, name), el("span", { class: "second" }, TEMPLATES.find(([key]) => key === item.template)?.[1] ?? plain(item.template)),
        admin ? el("span", { class: "bar push" }, el("button", { type: "button", "aria-label": `Test ${name}`, onclick: () => this.test() }, "Test"), el("button", { type: "button", "aria-label": `Delete ${name}`, onclick: () => this.forget(name) }, "Delete…")) : ""),
      el("p", { class: "second" }, toldOf(item)), item.url ? el("p", { class: "small url" }, plain(item.url)) : "", admin ? this.details : "");
  }

  paint(item) {
    const parts = [item.pending > 0 ? `${count(item.pending)} waiting` : "", item.dead > 0 ? `${count(item.dead)} given up` : ""].filter(Boolean);
    say(this.counts, parts.length > 0 ? `: ${parts.join(", ")}` : "");
    this.counts.className = item.dead > 0 ? "bad" : "";
  }

  async load() {
    const { items } = await get(`/webhooks/${this.id}/deliveries`, { limit: SHOWN });
    this.newest = items[0];
    keepChildren(this.rows, items.map(deliveryRow));
    keepChildren(this.body, [items.length > 0 ? this.table : this.nothing]);
  }

  // What comes of the test is looked at until the receiver has answered.
  async test() {
    try {
      await send("POST", `/webhooks/${this.id}/test`);
      this.details.open = true;
      for (let i = 0; i < LOOKS && this.all.context.alive(); i++) {
        await this.load();
        if (this.newest && (this.newest.state !== "pending" || this.newest.attempts > 0)) { break; }
        await new Promise((resolve) => { setTimeout(resolve, 1000); });
      }
      await this.all.again();
    } catch (problem) { complain(problem); }
  }

  async forget(name) {
    if (!await ask(`Delete the webhook ${name}? What it was told, and what is still to be told, goes with it.`, "Delete it", "Keep it")) { return; }
    try { await send("DELETE", `/webhooks/${this.id}`); await this.all.again(); } catch (problem) { complain(problem); }
  }
}

function toldOf(item) {
  const events = item.events.map((event) => EVENTS[event] ?? plain(event)).map((words, i) => (item.events[i] === "target_reached" && item.target != null ? `runs that reach ${percent(item.target)}\u00a0%` : words));
  return events.length > 0 ? `Told of ${events.join(", ")}.` : "Told of those alone that name it.";
}

// What a delivery tells, with a link to it.
function what({ event, facts }) {
  const run = facts.run && el("a", { href: `${prefix}/runs/${facts.run}` }, `run ${facts.run}`);
  const sweep = facts.sweep && el("a", { href: `${prefix}/compare?sweep=${facts.sweep}` }, `sweep ${facts.sweep}`);
  if (event === "run_ended") { return [run, ` ${plain(facts.state)}`]; }
  if (event === "sweep_ended") { return [sweep, " ended"]; }
  if (event === "target_reached") { return [run, ` reached ${percent(facts.target)}\u00a0%`]; }
  if (event === "stalled") { return [run, " stands still"]; }
  return [event === "disk_low" ? "the disk is nearly full" : plain(event)];
}

function stateOf(item) {
  if (item.state === "delivered") { return `delivered ${when(item.ended_at)}`; }
  if (item.state === "dead") { return `given up ${when(item.ended_at)}`; }
  return item.attempts === 0 ? "on its way" : `again ${when(item.next_try_at)}`;
}

function deliveryRow(item) {
  return el("tr", {}, el("td", {}, ...what(item)), el("td", { class: "desk second" }, when(item.created_at)),
    el("td", {}, el("span", { class: item.state === "dead" ? "bad" : "" }, stateOf(item)), item.error ? el("div", { class: "small" }, plain(item.error)) : ""), el("td", { class: "number" }, count(item.attempts)));
}
