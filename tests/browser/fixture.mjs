// What the tests of the page share: a daemon and a browser. Each test has a daemon and a state directory of its own, and waits for
// what shall be seen, never for a while.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import AxeBuilder from "@axe-core/playwright";

export const [program, pictures] = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const seedStore = process.env.SEED_STORE || join(dirname(program), "tests/seed_store");
export const CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const SMALL = { preset: "paper", dataset: "shapes", depth: 8, train_images: 128, test_images: 100, epochs: 2 };
const TIMEOUT = 30000;
let browser;

export class Daemon {
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

  // A store of many finished runs, before the daemon is started.
  seed(runs, epochs) {
    mkdirSync(join(this.directory, "state"), { mode: 0o700 });
    execFileSync(seedStore, [join(this.directory, "state"), String(runs), String(epochs)]);
  }

  // Somebody who may do what `scope` says: the token; the daemon must be started with tokenArguments().
  async addToken(name, scope) {
    const made = execFileSync(program, ["token", name, "--scope", scope], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    const lines = made.split("\n");
    const line = lines.find((text) => new RegExp(`^${name}\\b.*\\b${scope}\\b`).test(text.trim()));
    assert.ok(line, `no line for the file in: ${made}`);
    this.tokens = join(this.directory, "tokens");
    writeFileSync(this.tokens, `${line.trim()}\n`, { mode: 0o600, flag: "a" });
    return lines.map((text) => text.match(/\b(cutoutd_[A-Za-z0-9_-]{20,}|[A-Za-z0-9_-]{40,})\b/)?.[1]).find((word) => word && !line.includes(word));
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

  async until(id, state, token) {
    const deadline = Date.now() + TIMEOUT;
    for (;;) {
      const run = await this.call("GET", `/runs/${id}`, undefined, token);
      if (run.state === state) { return run; }
      assert.ok(Date.now() < deadline, `run ${id} is ${run.state}, not ${state}`);
      await fetch(`${this.url}/api/v1/runs/${id}/events?format=ndjson&since=0`, { signal: AbortSignal.timeout(500), headers: token ? { Authorization: `Bearer ${token}` } : {} }).then((r) => r.text()).catch(() => {});
    }
  }
}

const tests = [];

// Two at a time: most of a test is waiting.
export function run_tests() {
  describe("the page", { concurrency: 2 }, () => {
    before(async () => { browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: CHROMIUM }); });
    after(() => browser.close());
    tests.forEach((one) => one());
  });
}

export function page_test(name, body, options = {}) {
  tests.push(() => test(name, { timeout: 3 * TIMEOUT }, async () => {
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
      await body({ daemon, page, context, shot: (file, more = {}) => pictures && page.screenshot({ path: join(pictures, `${file}.png`), ...more }) });
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
      await daemon.end();
    }
  }));
}

export async function assert_accessible(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target).join(" ")}`), []);
}

