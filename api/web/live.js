// The one event stream of the page, read by fetch (an EventSource cannot carry a token). It goes on where it was
// after any break, also after the daemon has been restarted.

import { base, headers, link, query } from "./api.js";

const listeners = new Set();
let last = null; // id of the last stored event
let lostAt = new Date(); // null: the stream is open
let retryAt = null;
let denied = false;
let ended = false;
let tries = 0;

export const connection = { state: () => (lostAt ? { lostAt, retryAt, denied } : null) };

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(event) {
  for (const listener of [...listeners]) { listener(event); }
}

async function read() {
  const path = link ? `/sweeps/${link.sweep}/events` : "/events";
  const response = await fetch(`${base}${path}${query({ format: "ndjson", since: last })}`, { headers: headers() });
  denied = response.status === 401 || response.status === 403;
  if (!response.ok) { throw new Error(String(response.status)); }
  const wasLost = tries > 0;
  lostAt = retryAt = null;
  tries = 0;
  tell({ event: "connection", again: wasLost });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) { return; }
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.trim() === "") { continue; }
      const event = JSON.parse(line);
      if (event.id != null) { last = event.id; }
      ended ||= event.event === "end"; // all runs of the sweep have ended: nothing more will come
      tell(event);
    }
  }
}

export async function follow() {
  for (;;) {
    try { await read(); } catch { /* the reason is the same for the reader: no connection */ }
    if (!ended) { lostAt ??= new Date(); }
    if (denied || ended) {
      retryAt = null;
      tries += 1;
      tell({ event: "connection" });
      await new Promise((resolve) => { addEventListener("token", resolve, { once: true }); });
      continue;
    }
    const wait = Math.min(30, 2 ** tries) * 1000;
    tries += 1;
    retryAt = new Date(Date.now() + wait);
    tell({ event: "connection" });
    await new Promise((resolve) => { setTimeout(resolve, wait); });
  }
}
