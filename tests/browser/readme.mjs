// The three pictures of the README: tests/browser/run --readme CUTOUTD BUILD_DIR DIR. The runs in them are trained for them, on the
// generated data set; on two idle cores that takes about ten minutes.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { CHROMIUM, Daemon, pictures } from "./fixture.mjs";

const BASE = { preset: "paper", dataset: "shapes", depth: 8, epochs: 10, train_images: 4000, test_images: 1000, batch_size: 16, cutout_size: 8, crop_pad: 0, flip: false, l2: 0, optimizer: "adam", lr: 0.003, lr_schedule: "cosine" };
const TARGET = 0.5;
const PICTURES = [["runs", "/runs", "light"], ["compare", `/compare?sweep=1&target=${TARGET}`, "light"], ["run", "/runs/6?tab=errors", "dark"]];
const SIZE = { width: 1280, height: 800 };

const daemon = new Daemon();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: CHROMIUM });
mkdirSync(pictures, { recursive: true });
try {
  await daemon.start();
  await daemon.call("POST", "/sweeps", { name: "which m", base: BASE, grid: { m: [1, 2, 4], seed: [1, 2] } });
  const { id } = await daemon.call("POST", "/runs", { ...BASE, name: "cutout 12, twice as long", m: 2, cutout_size: 12, epochs: 20 });
  await daemon.call("POST", "/runs", { ...BASE, name: "aliased copies", m: 4, copies: "aliased" });
  await daemon.call("POST", "/runs", { ...BASE, name: "once that is done", m: 8, after: [id] });
  await daemon.call("POST", "/runs", { ...BASE, name: "M 32 over the weekend", m: 32, hold: true });
  await (await fetch(`${daemon.url}/api/v1/sweeps/1/events?format=ndjson`)).text(); // ends with the sweep
  for await (const bytes of (await fetch(`${daemon.url}/api/v1/runs/${id}/events?format=ndjson`)).body) {
    if (/"event":"epoch"[^\n]*"epoch":[5-9]/.test(new TextDecoder().decode(bytes))) { break; }
  }
  for (const [name, path, colorScheme] of PICTURES) {
    const context = await browser.newContext({ viewport: SIZE, colorScheme });
    const page = await context.newPage();
    await page.goto(daemon.url + path);
    await page.getByText("live", { exact: true }).waitFor();
    await page.locator(".curve svg, .end-label, table.confusion").first().waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll("img.instances")].every((image) => image.src && image.complete) && ![...document.querySelectorAll(".curve")].some((curve) => curve.childElementCount === 0));
    await page.screenshot({ path: join(pictures, `${name}.png`) });
    await context.close();
  }
} finally {
  await browser.close();
  await daemon.end();
}
