// The table of runs.

import assert from "node:assert/strict";
import { assert_accessible, page_test, SMALL } from "./fixture.mjs";

page_test("runs are held, released, canceled and deleted from the table", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  await daemon.call("POST", "/runs", { ...SMALL, name: "one" });
  await daemon.call("POST", "/runs", { ...SMALL, name: "two" });
  await page.goto(`${daemon.url}/runs`);
  await page.getByLabel("Choose run 1", { exact: true }).check();
  assert.equal(await page.getByRole("button", { name: "Pause" }).getAttribute("aria-disabled"), "true");
  await page.getByRole("button", { name: "Hold" }).click();
  await page.locator("tr[data-run='1']", { hasText: "held" }).waitFor();
  await page.getByRole("button", { name: "Release" }).click();
  await page.locator("tr[data-run='1']", { hasText: "queued" }).waitFor();
  await page.getByLabel("Choose run 2", { exact: true }).check();
  await page.getByText("2 selected").waitFor();
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Keep them" }).click();
  assert.equal((await daemon.call("GET", "/runs/1")).state, "queued");
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Cancel runs" }).click();
  await page.locator("tr[data-run='2']", { hasText: "canceled" }).waitFor();
  await page.locator("tr[data-run='1']", { hasText: "canceled" }).waitFor();
  assert.equal(await page.locator("button[data-action='pause']").getAttribute("aria-disabled"), "true");
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("button", { name: "Delete runs" }).click();
  await page.getByText("No runs yet.").or(page.locator("table.runs:not(:has(tr[data-run]))")).first().waitFor();
  assert.equal((await daemon.call("GET", "/runs")).items.length, 0);
});

page_test("priority, labels and name are edited, of one run and of several", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  for (const name of ["one", "two"]) { await daemon.call("POST", "/runs", { ...SMALL, name }); }
  await page.goto(`${daemon.url}/runs?sel=1`);
  await page.getByRole("button", { name: "Edit…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("first");
  await page.getByRole("textbox", { name: "Labels" }).fill("no label");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByText("A label is a name and a value").waitFor();
  await page.getByRole("textbox", { name: "Labels" }).fill("team:vision paper:figure-2");
  await assert_accessible(page);
  await page.getByRole("button", { name: "Change" }).click();
  await page.locator("tr[data-run='1']", { hasText: "first" }).waitFor();
  await page.getByLabel("Choose run 2", { exact: true }).check();
  await page.getByRole("button", { name: "Edit…" }).click();
  await page.getByRole("textbox", { name: "Priority" }).fill("7");
  await page.getByRole("textbox", { name: "Labels" }).fill("queue:night -paper");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const runs = await Promise.all(["1", "2"].map((id) => daemon.call("GET", `/runs/${id}`)));
  assert.deepEqual(runs.map((run) => [run.name, run.priority, run.labels]), [["first", 7, { team: "vision", queue: "night" }], ["two", 7, { queue: "night" }]]);
});

page_test("the order of the queue is told, and why each run waits", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  await daemon.call("POST", "/runs", { ...SMALL, name: "low" });
  await daemon.call("POST", "/runs", { ...SMALL, name: "high", priority: 5 });
  await daemon.call("POST", "/runs", { ...SMALL, name: "later", after: ["1"] });
  await daemon.call("POST", "/runs", { ...SMALL, name: "held", hold: true });
  await page.goto(`${daemon.url}/runs`);
  await page.locator("tr[data-run='4']").waitFor();
  assert.deepEqual(await page.locator("tbody tr[data-run] td.name").allInnerTexts(), ["high", "low", "later", "held"]);
  const why = (id) => page.locator(`tr[data-run='${id}'] .why`).innerText();
  assert.match(await why(2), /draining/);
  assert.match(await why(3), /after run 1/);
  assert.match(await why(4), /held/);
  // The held one is not said to wait, on any view.
  await page.getByText("3, in the order in which they start, and 1 held").waitFor();
  await page.locator("#queue", { hasText: "0 running, 3 waiting, 1 held" }).waitFor();
  await page.setViewportSize({ width: 701, height: 800 });
  await page.waitForFunction(() => innerWidth === 701 && document.documentElement.scrollWidth <= innerWidth); // columns are chosen anew
  await page.goto(`${daemon.url}/system`);
  await page.getByText(/^3 waiting, 1 held/).waitFor();
  await page.locator("#queue", { hasText: "3 waiting, 1 held" }).waitFor();
});

page_test("several runs are forked with other settings", async ({ daemon, page }) => {
  for (const m of [1, 2]) { await daemon.call("POST", "/runs", { ...SMALL, m, epochs: 1 }); }
  await daemon.until(1, "succeeded");
  await daemon.until(2, "succeeded");
  await page.goto(`${daemon.url}/runs?sel=1,2`);
  await page.getByRole("button", { name: "Fork…" }).click();
  await page.getByLabel("Other settings").fill("epochs=2 lr=much");
  await page.getByRole("button", { name: "Queue 2 forks" }).click();
  await page.getByText(/lr must be a number/).waitFor();
  await page.getByLabel("Other settings").fill("epochs=2 lr=0.001");
  await page.getByRole("button", { name: "Queue 2 forks" }).click();
  await page.locator("tr[data-run='4']").waitFor();
  const made = await daemon.until(4, "succeeded");
  assert.deepEqual([made.forked_from, made.config.lr, made.epochs_done], [{ run: "2", epoch: 1 }, 0.001, 2]);
});

page_test("columns are chosen and kept, lists are filtered and sorted by the daemon, and say what differs", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  for (const [m, lr] of [[1, 0.1], [4, 0.1], [2, 0.05]]) { await daemon.call("POST", "/runs", { ...SMALL, m, lr, name: `zebra ${m}` }); }
  await daemon.call("POST", "/runs", { ...SMALL, m: 8, name: "other" });
  await page.goto(`${daemon.url}/runs`);
  await page.getByText("Columns").click();
  await page.getByRole("checkbox", { name: "Priority" }).check();
  await page.locator("th.priority").waitFor();
  await page.getByRole("checkbox", { name: "Seed" }).check();
  await page.locator("th.seed").waitFor();
  assert.match(page.url(), /cols=[a-z_,]*priority/);
  await page.goto(`${daemon.url}/runs`);
  await page.locator("th.priority").waitFor();
  await page.getByLabel("Filter runs").fill("zebra m=1,2,4");
  await page.keyboard.press("Enter");
  await page.locator(".differs", { hasText: /^Differs: M, learning rate/ }).waitFor();
  await page.getByRole("button", { name: "M", exact: true }).click();
  await page.waitForURL(/sort=m/);
  await page.locator("th.m[aria-sort='ascending']").waitFor();
  assert.deepEqual(await page.locator("td.m").allInnerTexts(), ["1", "2", "4"]);
  await page.getByLabel("Filter runs").fill("colour=red");
  await page.keyboard.press("Enter");
  await page.getByText("There is no filter colour").waitFor();
  await assert_accessible(page);
});

// Letters that turn the direction of text, controls that terminals obey, and a name without a place to break.
const NASTY = ["<script>document.title='obeyed'</script><b>bold</b>", "right\u202eto\u2066left", "esc\u009b31mred", "W".repeat(127), " \u2003\u200b"];

page_test("what people write is shown, not obeyed, and is never wider than the screen", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  const stored = [];
  for (const name of NASTY) {
    const response = await fetch(`${daemon.url}/api/v1/runs`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...SMALL, name, labels: { note: "ü".repeat(20) } }) });
    if (response.ok) { stored.push((await response.json()).id); } else { assert.equal(response.status, 422); } // refused is as good as shown
  }
  assert.ok(stored.length >= 2);
  const note = `${"N".repeat(200)} \u202e<img src=x onerror="document.title='obeyed'">`;
  await fetch(`${daemon.url}/api/v1/runs/1/note`, { method: "PUT", headers: { "Content-Type": "text/markdown" }, body: note });
  for (const path of ["/runs", ...stored.map((id) => `/runs/${id}`), `/compare?ids=${stored.join(",")}`, "/runs?sort=name"]) {
    await page.goto(daemon.url + path);
    await page.locator("main :is(h1, table.runs)").first().waitFor();
    await page.getByText("live", { exact: true }).waitFor();
    assert.doesNotMatch(await page.title(), /^obeyed/);
    assert.equal(await page.locator("main script, main b").count(), 0);
    assert.ok((await page.locator("main :is(h1, table.runs a)").allInnerTexts()).every((shown) => /[^\s\u200b]/.test(shown)), `${path}: a name without a letter leaves nothing to see`);
    const text = await page.locator("main").innerText();
    assert.doesNotMatch(text, /[\u0080-\u009f\u202a-\u202e\u2066-\u2069]/, path);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} scrolls sideways`);
  }
  const policy = (await page.request.get(`${daemon.url}/runs`)).headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
});

page_test("10,000 runs: a page at a time, few rows in the document, to the end without a jump", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/runs`);
  await page.getByText(/^100 of 9,[0-9]{3}$/).waitFor();
  const rows = page.locator("tr[data-run]");
  for (let pages = 2; pages <= 6; pages++) { // as if somebody scrolled on
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await page.getByText(new RegExp(`^${pages * 100} of`)).waitFor();
    assert.ok(await rows.count() <= 500, `${await rows.count()} rows in the document`);
    assert.ok(await page.evaluate(() => document.querySelectorAll("*").length) < 12000);
  }
  const last = await rows.last().getAttribute("data-run");
  await rows.last().scrollIntoViewIfNeeded();
  await page.locator(`tr[data-run='${last}'] .curve svg`).waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await page.locator("tr.part").first().waitFor();
  await page.locator("tr[data-run='9999'], tr[data-run='10000'], tr[data-run='9998']").first().waitFor();
}, { prepare: (daemon) => daemon.seed(10000, 3) });

page_test("an open page that nothing happens on asks the daemon for nothing", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/runs`);
  await page.getByText("live", { exact: true }).waitFor();
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll("tr[data-run]")].filter((row) => row.getBoundingClientRect().top < innerHeight);
    return rows.length > 0 && rows.every((row) => row.querySelector(".curve svg"));
  });
  await page.getByText(/running, .* waiting/).waitFor();
  const cpu = async () => Number((await (await fetch(`${daemon.url}/metrics`)).text()).match(/^process_cpu_seconds_total (\S+)$/m)[1]);
  let requests = 0;
  page.on("request", () => { requests += 1; });
  const before = await cpu();
  await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 3000); })); // what is measured is that nothing is asked for three seconds
  const used = await cpu() - before;
  assert.equal(requests, 0);
  assert.ok(used < 0.1, `the daemon used ${used} s of processor time in three idle seconds`);
}, { prepare: (daemon) => daemon.seed(300, 3) });

page_test("nothing moves while epochs arrive", async ({ daemon, page }) => {
  await page.addInitScript(() => {
    globalThis.shifts = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) { globalThis.shifts += entry.value; } }).observe({ type: "layout-shift", buffered: true });
  });
  await daemon.call("POST", "/runs", { ...SMALL, epochs: 20000, name: "long" });
  await page.goto(`${daemon.url}/runs`);
  const epoch = page.locator("tr[data-run='1'] td.epoch");
  const arrived = (n) => page.waitForFunction((least) => Number(document.querySelector("tr[data-run='1'] td.epoch")?.firstChild.textContent.replace(",", "")) >= least, n);
  await arrived(2);
  const done = Number((await epoch.innerText()).split("/")[0].replaceAll(",", ""));
  const before = await page.evaluate(() => globalThis.shifts);
  await arrived(done + 5);
  assert.equal(await page.evaluate(() => globalThis.shifts) - before, 0);
  await daemon.call("POST", "/runs/1/cancel");
});
