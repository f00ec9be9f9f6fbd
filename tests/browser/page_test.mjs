// The page in a real browser over a real daemon: node page_test.mjs CUTOUTD [SCREENSHOT_DIR]
//
// Waits for what shall be seen, never for a while. Each test has a daemon and a state directory of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import AxeBuilder from "@axe-core/playwright";

const [program, pictures] = process.argv.slice(2);
const CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const SMALL = { preset: "paper", dataset: "shapes", depth: 8, train_images: 128, test_images: 100, epochs: 2 };
const TIMEOUT = 30000;
let browser;

class Daemon {
  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "cutoutd-page-"));
    this.port = 0;
  }

  async start(more = []) {
    this.process = spawn(program, ["serve", "--state-dir", join(this.directory, "state"), "--listen", `127.0.0.1:${this.port}`, ...more], { stdio: ["ignore", "ignore", "pipe"] });
    const address = await new Promise((resolve, reject) => {
      let log = "";
      this.process.stderr.on("data", (bytes) => {
        log += bytes;
        const found = log.match(/serves on (http:\/\/127\.0\.0\.1:\d+)/);
        if (found) { resolve(found[1]); }
      });
      this.process.on("exit", () => reject(new Error(log)));
    });
    this.url = address;
    this.port = Number(address.split(":").at(-1));
  }

  async stop(signal = "SIGTERM") {
    if (this.process?.exitCode !== null) { return; }
    const gone = new Promise((resolve) => { this.process.once("exit", resolve); });
    this.process.kill(signal);
    await gone;
  }

  async end() {
    await this.stop("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }

  async call(method, path, body, token) {
    const response = await fetch(`${this.url}/api/v1${path}`, { method, headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) }, body: body && JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async until(id, state) {
    const deadline = Date.now() + TIMEOUT;
    for (;;) {
      const run = await this.call("GET", `/runs/${id}`);
      if (run.state === state) { return run; }
      assert.ok(Date.now() < deadline, `run ${id} is ${run.state}, not ${state}`);
      await fetch(`${this.url}/api/v1/runs/${id}/events?format=ndjson&since=0`, { signal: AbortSignal.timeout(500) }).then((r) => r.text()).catch(() => {});
    }
  }
}

function page_test(name, body, options = {}) {
  test(name, { timeout: 3 * TIMEOUT }, async () => {
    const daemon = new Daemon();
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options.context });
    const page = await context.newPage();
    const complaints = [];
    page.setDefaultTimeout(TIMEOUT);
    page.on("pageerror", (error) => complaints.push(error.stack));
    page.on("console", (message) => { if (message.type() === "error" && !/Failed to load resource/.test(message.text())) { complaints.push(message.text()); } });
    try {
      await options.prepare?.(daemon);
      await daemon.start(options.arguments?.(daemon));
      await body({ daemon, page, context, shot: (file) => pictures && page.screenshot({ path: join(pictures, `${file}.png`) }) });
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
      await daemon.end();
    }
  });
}

async function assert_accessible(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target).join(" ")}`), []);
}

before(async () => { browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: CHROMIUM }); });
after(() => browser.close());

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

page_test("several values in fields make a sweep, and its comparison fills while it is trained", async ({ daemon, page, shot }) => {
  await page.goto(`${daemon.url}/new?${new URLSearchParams({ name: "which m", ...SMALL, m: "1,2", seed: "1..2" })}`);
  await page.getByText("Together").waitFor();
  await shot("new");
  await page.getByRole("button", { name: "Queue 4 runs" }).click();
  await page.waitForURL(/\/compare\?sweep=1/);
  await page.getByText(/^sweep 1: 4 of 4 runs done/).waitFor();
  assert.deepEqual(await page.locator("table.groups tbody th").allInnerTexts(), ["M 1", "M 2"]);
  await page.getByRole("button", { name: "each seed" }).click();
  assert.match(page.url(), /seeds=each/);
  await shot("compare");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.equal(download.suggestedFilename(), "cutoutd-sweep-1.csv");
  assert.match(readFileSync(await download.path(), "utf8"), /epoch/);
  await assert_accessible(page);
});

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

page_test("a run that is trained is paused and goes on to its end", async ({ daemon, page }) => {
  await daemon.call("POST", "/runs", { ...SMALL, epochs: 200, name: "long" });
  await page.goto(`${daemon.url}/runs/1`);
  await page.getByText("running, attempt 1").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("paused, attempt 1").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("running, attempt 2").waitFor();
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Cancel run" }).click();
  await page.getByText("canceled, attempt 2").waitFor();
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
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText(/This token is not one of the daemon's/).waitFor();
  await page.getByLabel("Token").fill(daemon.token);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("No runs yet.").waitFor();
  assert.ok(!page.url().includes(daemon.token));
  await page.reload();
  await page.getByText("No runs yet.").waitFor();
}, {
  prepare: async (daemon) => {
    const made = spawn(program, ["token", "anna", "--scope", "submit"]);
    let out = "";
    let err = "";
    made.stdout.on("data", (bytes) => { out += bytes; });
    made.stderr.on("data", (bytes) => { err += bytes; });
    await new Promise((resolve) => { made.on("exit", resolve); });
    const lines = `${out}\n${err}`.split("\n");
    const line = lines.find((text) => /^anna\b.*\bsubmit\b/.test(text.trim()));
    assert.ok(line, `no line for the file in: ${out}${err}`);
    daemon.token = lines.map((text) => text.match(/\b(cutoutd_[A-Za-z0-9_-]{20,}|[A-Za-z0-9_-]{40,})\b/)?.[1]).find((word) => word && !line.includes(word));
    daemon.tokens = join(daemon.directory, "tokens");
    writeFileSync(daemon.tokens, `${line.trim()}\n`, { mode: 0o600 });
  },
  arguments: (daemon) => ["--tokens-file", daemon.tokens],
});

page_test("what people write is shown, not obeyed", async ({ daemon, page }) => {
  await daemon.call("POST", "/scheduler/drain");
  const name = "<script>document.title='obeyed'</script><b>bold</b>";
  await daemon.call("POST", "/runs", { ...SMALL, name });
  await page.goto(`${daemon.url}/runs`);
  await page.getByText(name).waitFor();
  await page.goto(`${daemon.url}/runs/1`);
  await page.getByRole("heading", { name }).waitFor();
  assert.doesNotMatch(await page.title(), /^obeyed/);
  const policy = (await page.request.get(`${daemon.url}/runs`)).headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
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

for (const [name, context] of [["phone", { viewport: { width: 390, height: 844 } }], ["dark", { colorScheme: "dark" }]]) {
  page_test(`${name}: every view, accessible, nothing wider than the screen`, async ({ daemon, page, shot }) => {
    await daemon.call("POST", "/sweeps", { name: "which m", base: SMALL, grid: { m: [1, 2] } });
    await daemon.until(2, "succeeded");
    for (const path of ["/runs", "/compare?sweep=1", "/runs/1", "/new", "/system"]) {
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
