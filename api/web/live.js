// The one event stream of the page, read by fetch (an EventSource cannot carry a token). It goes on where it was
// after any break, also after the daemon has been restarted.

import { base, headers, query } from "./api.js";

const listeners = new Set();
let last = null; // id of the last stored event
let lostAt = null;
let retryAt = null;
let tries = 0;

export const connection = { state: () => (lostAt ? { lostAt, retryAt } : null) };

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(event) {
  for (const listener of [...listeners]) { listener(event); }
}

async function read() {
  const response = await fetch(`${base}/events${query({ format: "ndjson", since: last })}`, { headers: headers() });
  if (!response.ok) { throw new Error(String(response.status)); }
  const wasLost = lostAt !== null;
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
      tell(event);
    }
  }
}

export async function follow() {
  for (;;) {
    try { await read(); } catch { /* the reason is the same for the reader: no connection */ }
    lostAt ??= new Date();
    const wait = Math.min(30, 2 ** tries) * 1000;
    tries += 1;
    retryAt = new Date(Date.now() + wait);
    tell({ event: "connection" });
    await new Promise((resolve) => { setTimeout(resolve, wait); });
  }
}
