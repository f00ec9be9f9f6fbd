// One run.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { assert_accessible, page_test, SMALL } from "./fixture.mjs";

page_test("a run that is trained is paused and goes on to its end", async ({ daemon, page }) => {
  await daemon.call("POST", "/runs", { ...SMALL, epochs: 20000, name: "long" });
  await page.goto(`${daemon.url}/runs/1`);
  await page.getByText("running, attempt 1").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("paused, attempt 1").waitFor();
  await page.goto(`${daemon.url}/runs`);
  await page.getByText("1, 1 of them paused, newest first").waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("running, attempt 2").waitFor();
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Cancel run" }).click();
  await page.getByText("canceled, attempt 2").waitFor();
});

page_test("what the title of a run tells stands beside each other at any width", async ({ daemon, page }) => {
  await daemon.call("POST", "/runs", { ...SMALL, name: "rate too high", lr: 100, stop_on_nan: true });
  await daemon.until(1, "failed");
  for (const width of [1440, 1200, 1000, 800, 360]) {
    await page.setViewportSize({ width, height: 800 });
    await page.goto(`${daemon.url}/runs/1`);
    await page.locator(".title", { hasText: "stop_on_nan is set" }).waitFor();
    const covered = await page.evaluate(() => {
      const parts = [...document.querySelector(".title").children].filter((part) => part.textContent);
      const places = parts.map((part) => { const range = document.createRange(); range.selectNodeContents(part); return [part.textContent, range.getBoundingClientRect()]; });
      return places.flatMap(([one, a], i) => places.slice(i + 1).filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom).map(([other]) => `${one} | ${other}`));
    });
    assert.deepEqual(covered, [], `${width} pixels wide`);
    assert.ok(await page.locator("h1").evaluate((title) => title.offsetHeight < 40), `${width} pixels wide: the name is broken`);
  }
});

page_test("the daemon is restarted under the open page of a run, which shows how it goes on", async ({ daemon, page }) => {
  await daemon.call("POST", "/runs", { ...SMALL, epochs: 20000, name: "long" });
  await page.goto(`${daemon.url}/runs/1`);
  await page.locator("table.history tbody tr").nth(1).waitFor();
  await daemon.stop("SIGKILL");
  await page.getByText(/^no connection since/).waitFor();
  const newest = 'Number(document.querySelector("table.history tbody td")?.textContent.replaceAll(",", ""))';
  const before = await page.evaluate(newest);
  await daemon.start();
  await page.getByText("running, attempt 2").waitFor();
  await page.waitForFunction(`${newest} > ${before}`);
  await page.locator(".strips-svg text", { hasText: /^attempt 2/ }).waitFor();
  await daemon.call("POST", "/runs/1/cancel");
});

page_test("a run is forked and edited on its page, its note is kept, its files are saved", async ({ daemon, page }) => {
  await daemon.call("POST", "/runs", { ...SMALL, epochs: 1, name: "parent" });
  await daemon.until(1, "succeeded");
  await page.goto(`${daemon.url}/runs/1`);
  await page.getByLabel("Note").fill("a *good* one");
  await page.getByLabel("Note").blur();
  await page.getByText("Kept.").waitFor();
  assert.equal(await (await fetch(`${daemon.url}/api/v1/runs/1/note`)).text(), "a *good* one");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "best", exact: true }).first().click()]);
  assert.equal(download.suggestedFilename(), "run-1-best.safetensors");
  assert.ok(readFileSync(await download.path()).length > 100000);
  await page.getByRole("button", { name: "Edit…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("renamed");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByRole("heading", { name: "renamed" }).waitFor();
  assert.equal(await page.title(), "renamed · cutoutd");
  await page.getByRole("button", { name: "Fork…" }).click();
  await page.getByLabel("Other settings").fill("epochs=2");
  await page.getByRole("button", { name: "Queue the fork" }).click();
  await page.waitForURL(/\/runs\/2$/);
  await page.getByText("Forked from run 1, epoch 1").waitFor();
  await page.getByText("succeeded, attempt 1").waitFor();
  assert.match(await page.locator(".title").innerText(), /^renamed\s+run 2\s/);
  await daemon.call("PATCH", "/runs/2", { name: "" });
  await page.getByRole("heading", { name: "run 2" }).waitFor();
  assert.equal((await page.locator(".title").innerText()).match(/run 2/g).length, 1);
  await page.goto(`${daemon.url}/runs/1`);
  await page.locator("#forks li", { hasText: "from epoch 1: epochs 2" }).getByRole("link").click();
  await page.waitForURL(/\/runs\/2$/);
  await page.getByText("Forked from run 1, epoch 1").waitFor();
  await page.getByRole("tab", { name: "Checkpoints" }).click();
  await page.getByRole("tab", { name: "Layers" }).click();
  await page.locator("#panel pre", { hasText: "conv" }).waitFor();
  await assert_accessible(page);
});

page_test("errors by class of the best epoch are shown, named and saved", async ({ daemon, page, shot }) => {
  await daemon.call("POST", "/runs", { ...SMALL, name: "classes" });
  const run = await daemon.until(1, "succeeded");
  await page.goto(`${daemon.url}/runs/1?tab=errors`);
  await page.locator("table.confusion").waitFor();
  const cells = (await page.locator("table.confusion tbody td:not(.strong)").allInnerTexts()).map(Number);
  assert.equal(cells.length, 100);
  assert.equal(cells.reduce((sum, n) => sum + n, 0), SMALL.test_images);
  const right = (await page.locator("td.right-class").allInnerTexts()).map(Number).reduce((sum, n) => sum + n, 0);
  assert.equal(SMALL.test_images - right, run.best.val_wrong);
  await page.getByText(new RegExp(`^${run.best.val_wrong} errors in 100 images, in epoch ${run.best.epoch}, the best`)).waitFor();
  await shot("errors");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.equal(download.suggestedFilename(), "run-1-errors-by-class.csv");
  assert.ok(readFileSync(await download.path(), "utf8").trim().split("\n").length >= 10);
  await assert_accessible(page);
});
