// The frame of the page: which view stands at which address, the header, and what went wrong.

import { get, link, prefix } from "./api.js";
import { el, say } from "./dom.js";
import { address, complain, go, onShow } from "./frame.js";
import { count, plain, when } from "./format.js";
import { connection, follow, listen } from "./live.js";
import { keys } from "./keys.js";

// A view is fetched when it is shown first.
const VIEWS = [
  { pattern: /^\/(?:runs)?$/, name: "Runs", module: () => import("./runs.js") },
  { pattern: /^\/runs\/(\d+)$/, name: "Runs", module: () => import("./run.js") },
  { pattern: /^\/(?:compare|sweeps\/(\d+))$/, name: "Compare", module: () => import("./compare.js") },
  { pattern: /^\/new$/, name: "New", module: () => import("./new.js") },
  { pattern: /^\/system$/, name: "System", module: () => import("./system.js") },
];
const view = document.getElementById("view");
let leave = null;
let generation = 0;

async function show() {
  const path = address.path();
  const found = VIEWS.find(({ pattern }) => pattern.test(path));
  leave?.();
  leave = null;
  generation += 1;
  const mine = generation;
  for (const link of document.querySelectorAll("#nav a")) {
    link.toggleAttribute("aria-current", false);
    if (link.textContent === found?.name) { link.setAttribute("aria-current", "page"); }
  }
  if (!found) {
    view.replaceChildren(el("h1", {}, "There is nothing here"), el("p", {}, el("a", { href: `${prefix}/runs` }, "All runs")));
    return;
  }
  const loading = setTimeout(() => { if (mine === generation && view.childElementCount === 0) { say(view, "Loading"); } }, 400);
  try {
    const module = await found.module();
    const ended = await module.show(view, { match: path.match(found.pattern), values: address.values(), alive: () => mine === generation });
    if (mine === generation) { leave = ended; } else { ended?.(); }
  } catch (error) {
    if (mine === generation) {
      if (error.status === 404) { view.replaceChildren(el("h1", {}, "There is nothing here"), el("p", {}, plain(error.message), " ", el("a", { href: `${prefix}/runs` }, "All runs"))); } else { complain(error); }
    }
  } finally {
    clearTimeout(loading);
  }
}

// "1 running, 4 waiting; queue empty Thu 03:40"
let queueTimer = null;
async function sayQueue() {
  queueTimer = null;
  if (link || document.hidden) { return; }
  try {
    const queue = await get("/queue", { limit: 100 });
    const starts = queue.items.map((item) => item.expected_start_at).filter(Boolean);
    const ends = queue.queued > 0 && starts.length === queue.items.length ? `; last one starts ${when(starts.at(-1))}` : "";
    say(document.getElementById("queue"), `${count(queue.running.length)} running, ${count(queue.queued)} waiting${queue.held > 0 ? `, ${count(queue.held)} held` : ""}${ends}`);
  } catch { /* the connection says it */ }
}

function sayConnection() {
  const lost = connection.state();
  const node = document.getElementById("connection");
  node.classList.toggle("lost", Boolean(lost));
  const left = lost?.retryAt ? Math.max(0, Math.round((lost.retryAt - Date.now()) / 1000)) : 0;
  say(node, !lost ? "live" : lost.denied ? "waits for a token" : !lost.retryAt ? "connecting" : `no connection since ${when(lost.lostAt)}; trying again in ${left} s`);
}

let announcedAt = 0;
function announce(event) {
  if (event.event === "state" && Date.now() - announcedAt > 10000) {
    announcedAt = Date.now();
    say(document.getElementById("announce"), `Run ${event.data.run} is ${event.data.state}.`);
  }
}

function start() {
  document.getElementById("host").textContent = location.host;
  document.documentElement.classList.toggle("linked", Boolean(link));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { sayQueue(); } });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || link.target || link.download ||
      link.origin !== location.origin || !VIEWS.some(({ pattern }) => pattern.test(link.pathname.slice(prefix.length) || "/"))) { return; }
    event.preventDefault();
    go(link.pathname.slice(prefix.length) + link.search);
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  addEventListener("popstate", () => show());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
  listen((event) => {
    if (event.event === "connection") { sayConnection(); }
    announce(event);
    if (["state", "snapshot", "resync", "edit"].includes(event.event)) { queueTimer ??= setTimeout(sayQueue, 300); }
  });
  setInterval(() => { if (connection.state()) { sayConnection(); } }, 1000);
  onShow(show);
  keys({ go });
  sayConnection();
  show();
  follow();
}

start();
