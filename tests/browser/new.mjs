// The form.

import assert from "node:assert/strict";
import { assert_accessible, page_test, SMALL } from "./fixture.mjs";

page_test("a wrong value is told at its field, and the button leads there", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/new?lr=much`);
  await page.getByText("One field needs a change:").waitFor();
  assert.equal(await page.locator("#field-lr").getAttribute("aria-invalid"), "true");
  assert.match(await page.locator("#field-lr-hint").innerText(), /lr must be a number/);
  await page.getByRole("button", { name: "Queue 1 run" }).click();
  await page.waitForFunction(() => document.activeElement.id === "field-lr");
  assert.equal((await daemon.call("GET", "/runs")).items.length, 0);
  await assert_accessible(page);
});

page_test("a sweep is made by keys alone, from the form to the last tab of a run", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/new?${new URLSearchParams({ ...SMALL, epochs: 1 })}`);
  await page.getByText("Together", { exact: true }).waitFor();
  const reach = async (selector) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) { return; }
    }
    assert.fail(`Tab does not come to ${selector}`);
  };
  await reach("#field-name");
  await page.keyboard.type("by keys");
  await reach("#field-m");
  await page.keyboard.type("1, 2");
  await reach("[data-name='copies'] button[value='aliased']");
  await page.keyboard.press(" ");
  await page.getByRole("button", { name: "Queue 2 runs" }).waitFor();
  await reach("#field-epochs");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/compare\?sweep=1/);
  await daemon.until(1, "succeeded");
  assert.deepEqual((await daemon.call("GET", "/runs/2")).config.copies, "aliased");
  await page.locator("table.groups").waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.locator("tr[data-run='1']").waitFor();
  await reach("tr[data-run='1'] td.name a");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/runs\/1$/);
  await reach("#tab-log");
  await page.keyboard.press("Enter");
  await page.getByText(/succeeded, attempt 1/).first().waitFor();
  await page.locator("#panel pre", { hasText: "epoch 1" }).waitFor();
});

page_test("what was accepted without an answer is not queued twice", async ({ daemon, page }) => {
  const lost = [];
  await page.route(/\/api\/v1\/runs$/, async (route) => {
    if (route.request().method() !== "POST" || lost.length > 0) { return route.continue(); }
    lost.push((await route.fetch()).status());
    return route.abort("connectionreset");
  });
  await page.goto(`${daemon.url}/new?${new URLSearchParams({ ...SMALL, epochs: 1 })}`);
  const button = page.getByRole("button", { name: "Queue 1 run" });
  await button.click();
  await page.getByRole("alert").filter({ hasText: /\w/ }).first().waitFor();
  assert.deepEqual(lost, [201]);
  await button.click();
  await page.waitForURL(/\/runs\/1$/);
  assert.equal((await daemon.call("GET", "/runs")).items.length, 1);
});

page_test("values become chips, and the time of a kind that was never trained is measured", async ({ daemon, page, shot }) => {
  await page.goto(`${daemon.url}/new?${new URLSearchParams({ ...SMALL, batch_size: 8 })}`);
  await page.locator("#field-m").pressSequentially("1..2,4");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Queue 3 runs" }).waitFor();
  assert.deepEqual(await page.locator(".chips:has(#field-m) .chip").allInnerTexts(), ["1", "2", "4"]);
  await page.keyboard.press("Backspace");
  assert.equal(await page.locator("#field-m").inputValue(), "4");
  await page.keyboard.press("Enter");
  await page.getByText(/images\/s: \d+ steps? of \d+ images, timed here/).waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll(".cost tbody tr.strong td.number")].at(-1).textContent !== "–");
  assert.equal((await daemon.call("GET", "/runs")).items.length, 0);
  await shot("new-chips");
  await assert_accessible(page);
  await page.getByRole("button", { name: "Remove 2" }).click();
  await page.getByRole("button", { name: "Queue 2 runs" }).waitFor();
  assert.ok(await page.evaluate(() => document.activeElement.id === "field-m"));
  await page.keyboard.press("Enter"); // nothing typed: it sends the form
  await page.waitForURL(/\/compare\?sweep=1/);
});

page_test("the form is filled from a run, from a sweep and from its own address", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  await daemon.call("POST", "/runs", { ...SMALL, name: "model", m: 3, flip: false });
  await daemon.call("POST", "/sweeps", { name: "grid", base: SMALL, grid: { m: [1, 2], seed: [1, 2, 3] } });
  await page.goto(`${daemon.url}/new?from=1`);
  await page.locator("#field-m").waitFor();
  assert.equal(await page.locator("#field-m").inputValue(), "3");
  assert.equal(await page.locator("[data-name='flip'] button[value='off']").getAttribute("aria-pressed"), "true");
  await page.goto(`${daemon.url}/new?sweep=1`);
  await page.getByRole("button", { name: "Queue 6 runs" }).waitFor();
  await page.locator("#field-seed").fill("1..5");
  await page.getByRole("button", { name: "Queue 10 runs" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Queue 10 runs" }).waitFor();
  await assert_accessible(page);
});
