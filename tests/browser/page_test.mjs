// The page in a real browser over a real daemon: node page_test.mjs CUTOUTD [SCREENSHOT_DIR]

import assert from "node:assert/strict";
import { assert_accessible, page_test, run_tests, SMALL } from "./fixture.mjs";
import "./runs.mjs";
import "./compare.mjs";
import "./run.mjs";
import "./new.mjs";
import "./system.mjs";

page_test("the first start offers a run, and its epochs arrive by themselves", async ({ daemon, page, shot }) => {
  await page.goto(daemon.url);
  await page.getByText("No runs yet. This queues one:").waitFor();
  await shot("first");
  await page.goto(`${daemon.url}/new?${new URLSearchParams({ name: "from the form", ...SMALL })}`);
  await page.getByRole("button", { name: "Queue 1 run" }).click();
  await page.waitForURL(/\/runs\/1$/);
  await page.getByText("succeeded, attempt 1").waitFor();
  assert.equal(await page.locator("table.history tbody tr").count(), 2);
  assert.equal((await daemon.call("GET", "/runs/1")).name, "from the form");
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await page.locator("tr[data-run='1'] .curve svg").waitFor();
  await shot("runs");
});

page_test("a connection that is lost while the first start is shown does not keep runs from arriving", async ({ daemon, page }) => {
  await page.route(/\/first\.js$/, (route) => route.abort("connectionrefused"));
  await page.goto(`${daemon.url}/runs`);
  await page.getByText(/Failed to fetch dynamically imported module/).waitFor();
  await daemon.call("POST", "/runs", { ...SMALL, name: "all the same" });
  await page.getByText("all the same").waitFor();
});

page_test("the page says when the daemon is gone, and goes on when it is back", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/runs`);
  await page.getByText("live", { exact: true }).waitFor();
  await daemon.stop("SIGKILL");
  await page.getByText(/^no connection since/).waitFor();
  await daemon.start();
  await page.getByText("live", { exact: true }).waitFor();
  await daemon.call("POST", "/runs", { ...SMALL, name: "after the break" });
  await page.getByText("after the break").waitFor();
});

page_test("a token is asked for once, and is in no address", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/runs`);
  await page.getByText("waits for a token").waitFor();
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText(/This token is not one of the daemon's/).waitFor();
  await page.getByLabel("Token").fill(daemon.reader);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("No runs yet.").waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Queue it" }).click();
  await page.getByText(/This needs a token of scope submit/).waitFor(); // asked for where it is needed
  await page.getByLabel("Token").fill(daemon.submitter);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("button", { name: "Queue it" }).click();
  await page.locator("tr[data-run='1']").waitFor();
  assert.ok(!page.url().includes("cutoutd_"));
  await page.reload();
  await page.locator("tr[data-run='1']").waitFor();
  assert.equal(await page.getByLabel("Token").count(), 0);
}, {
  prepare: async (daemon) => {
    daemon.reader = await daemon.addToken("bo", "read");
    daemon.submitter = await daemon.addToken("anna", "submit");
  },
  arguments: (daemon) => ["--tokens-file", daemon.tokens],
});

page_test("keys alone: to a run, choosing it, comparing it", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  await daemon.call("POST", "/runs", { ...SMALL, name: "one" });
  await page.goto(`${daemon.url}/system`);
  await page.getByText("Nothing new starts.").waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.locator("tr[data-run='1']").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press(" ");
  await page.getByText("1 selected").waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("c");
  await page.waitForURL(/\/compare\?ids=1$/);
});

for (const [name, context] of [["phone", { viewport: { width: 360, height: 740 } }], ["dark", { colorScheme: "dark" }]]) {
  page_test(`${name}: every view, accessible, nothing wider than the screen`, async ({ daemon, page, shot }) => {
    await daemon.call("POST", "/sweeps", { name: "which m", base: SMALL, grid: { m: [1, 2] } });
    await daemon.call("POST", "/sweeps", { name: "W".repeat(100), base: SMALL, grid: {}, hold: true });
    await daemon.until(2, "succeeded");
    for (const path of ["/sweeps/2", "/runs", "/compare?sweep=1", "/runs/1", "/new", "/system"]) {
      await page.goto(daemon.url + path);
      await page.locator("main :is(h1, table.runs)").first().waitFor();
      await page.getByText("live", { exact: true }).waitFor();
      await page.waitForFunction(() => [...document.images].every((image) => !image.src || image.complete));
      await shot(`${name}-${path.replaceAll(/[/?=]/g, "")}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} scrolls sideways`);
      await assert_accessible(page);
    }
  }, { context });
}

page_test("all assets together are under 110 KB compressed, and cached for ever", async ({ daemon, page }) => {
  const sizes = new Map();
  for (const path of ["/runs", "/compare", "/new", "/system"]) {
    await page.goto(daemon.url + path);
    await page.locator("main h1, main h2").first().waitFor();
    if (path === "/compare") { await page.evaluate(() => import(document.querySelector("script[type=module]").src.replace("app.js", "run.js"))); }
    for (const { name, size } of await page.evaluate(() => performance.getEntriesByType("resource").map(({ name, encodedBodySize: size }) => ({ name, size })))) {
      if (name.includes("/assets/")) { sizes.set(name, Math.max(size, sizes.get(name) || 0)); }
    }
  }
  const all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  assert.ok([...sizes.keys()].some((name) => name.endsWith("dygraph.js")) && sizes.size > 20, [...sizes.keys()].join(" "));
  assert.ok(all > 40 * 1024 && all < 110 * 1024, `${all} bytes`);
  const { headers } = await page.evaluate(async (url) => { const response = await fetch(url); return { headers: Object.fromEntries(response.headers) }; }, [...sizes.keys()][0]);
  assert.match(headers["cache-control"], /immutable/);
});

run_tests();
