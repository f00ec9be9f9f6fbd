// How fast the page is: tests/browser/run --measure CUTOUTD BUILD_DIR, on an idle machine; half a minute. Figures to be looked at;
// what they should be stands beside them.

import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { CHROMIUM, Daemon } from "./fixture.mjs";

const ROUNDS = 7;
const RUNS = 10000;
const IDLE_SECONDS = 10;
const CURVES = 40;
const EPOCHS = 200;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const say = (what, values, wanted) => console.log(`${what.padEnd(52)} ${String(median(values)).padStart(8)}   ${wanted.padEnd(12)} [${values.join(", ")}]`);

// First paint, and when a hundred rows stood there; a new browser context each time, so that nothing is cached.
async function firstPaint(browser, daemon) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (document.querySelectorAll("tr[data-run]").length >= 100) {
        globalThis.rowsAt = performance.now();
        observer.disconnect();
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${daemon.url}/runs`);
  await page.waitForFunction(() => globalThis.rowsAt && performance.getEntriesByName("first-contentful-paint").length > 0);
  const times = await page.evaluate(() => ({ paint: Math.round(performance.getEntriesByName("first-contentful-paint")[0].startTime), rows: Math.round(globalThis.rowsAt),
    kilobytes: Math.round(performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/assets/")).reduce((sum, entry) => sum + entry.encodedBodySize, 0) / 1024) }));
  await context.close();
  return times;
}

// Requests of an open page that nothing happens on, and the processor time of the daemon meanwhile.
async function idle(browser, daemon) {
  const page = await browser.newPage();
  await page.goto(`${daemon.url}/runs`);
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByText(/running, .* waiting/).waitFor();
  await page.locator("tr[data-run] .curve svg").nth(20).waitFor();
  const ticks = () => readFileSync(`/proc/${daemon.process.pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13).reduce((sum, n) => sum + Number(n), 0);
  let requests = 0;
  page.on("request", () => { requests += 1; });
  const before = ticks();
  await page.waitForTimeout(IDLE_SECONDS * 1000);
  const used = (ticks() - before) * 10;
  await page.close();
  return { requests, milliseconds: used / IDLE_SECONDS };
}

// Milliseconds that the page takes for a move of the pointer over the figure, and to draw all of it again.
async function hover(browser, daemon) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const ids = Array.from({ length: CURVES }, (_, i) => i + 2);
  await page.goto(`${daemon.url}/compare?ids=${ids.join(",")}&group_by=none`);
  await page.locator(".end-label").first().waitFor();
  const times = await page.evaluate(() => {
    const canvas = [...document.querySelectorAll(".big canvas")].at(-1).closest(".panel").querySelector(".plot canvas:last-of-type");
    const box = canvas.getBoundingClientRect();
    const moves = [];
    for (let i = 0; i < 200; i++) {
      const begun = performance.now();
      canvas.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, clientX: box.left + 60 + (i / 200) * (box.width - 80), clientY: box.top + 200 }));
      moves.push(performance.now() - begun);
    }
    moves.sort((a, b) => a - b);
    const begun = performance.now();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "u" }));
    return { move: moves[100], worst: moves[197], read: document.querySelector(".end-head").textContent, draw: performance.now() - begun };
  });
  if (!/^at /.test(times.read)) { throw new Error(`the pointer was not followed: ${times.read}`); }
  await page.close();
  return times;
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: CHROMIUM });
const many = new Daemon();
const long = new Daemon();
try {
  many.seed(RUNS, 50);
  long.seed(CURVES + 1, EPOCHS);
  await many.start();
  await long.start();
  await firstPaint(browser, many); // the daemon's and the browser's own first time
  const paints = [];
  for (let i = 0; i < ROUNDS; i++) { paints.push(await firstPaint(browser, many)); }
  say(`first paint with ${RUNS} runs, ms`, paints.map((one) => one.paint), "< 300");
  say("a hundred rows drawn, ms", paints.map((one) => one.rows), "");
  say("assets of the first view, KiB packed", paints.map((one) => one.kilobytes), "< 110 in all");
  const still = await idle(browser, many);
  say(`requests in ${IDLE_SECONDS} idle seconds`, [still.requests], "0");
  say("processor time of the idle daemon, ms a second", [still.milliseconds], "");
  const moves = [];
  for (let i = 0; i < 3; i++) { moves.push(await hover(browser, long)); }
  say(`a move of the pointer over ${CURVES} x ${EPOCHS} points, ms`, moves.map((one) => one.move.toFixed(1)), "< 16");
  say("the slowest of a hundred moves, ms", moves.map((one) => one.worst.toFixed(1)), "");
} finally {
  await browser.close();
  await many.end();
  await long.end();
}
