// The System view: owners, webhooks.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { assert_accessible, page_test, SMALL } from "./fixture.mjs";

const LONG_NAME = "a-rather-long-name.of-somebody_else-who-works-at-night";

// Of whom nothing more than 127.0.0.1 is known; `status` is what it answers.
async function receiver() {
  const heard = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (bytes) => { body += bytes; });
    request.on("end", () => { heard.push(body); response.writeHead(receiving.status).end(); });
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const receiving = { heard, status: 204, url: `http://127.0.0.1:${server.address().port}/hook`, close: () => server.close() };
  return receiving;
}

function configured(text, names = []) {
  return {
    prepare: async (daemon) => {
      daemon.config = join(daemon.directory, "cutoutd.conf");
      writeFileSync(daemon.config, text);
      daemon.token = {};
      for (const [name, scope] of names) { daemon.token[name] = await daemon.addToken(name, scope); }
    },
    arguments: (daemon) => ["--config", daemon.config, ...(names.length > 0 ? ["--tokens-file", daemon.tokens] : [])],
  };
}

async function useToken(page, daemon, name) {
  await page.goto(`${daemon.url}/system`);
  await page.getByLabel("Token").fill(daemon.token[name]);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("heading", { name: "Owners" }).waitFor();
}

// What the daemon does after a day of tries.
function giveUp(daemon) {
  const changed = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE delivery SET state = 'dead', attempts = 12, next_ms = created_ms + 90000000 WHERE id = (SELECT max(id) FROM delivery)")
db.commit()`;
  execFileSync("python3", ["-c", changed, join(daemon.directory, "state", "cutoutd.db")]);
}

page_test("owners are shown with what they have, used and may have, and follow what happens", async ({ daemon, page }) => {
  const submit = (name, body) => daemon.call("POST", "/runs", { ...SMALL, ...body }, daemon.token[name]);
  await submit("anna", { epochs: 20000 });
  await submit("anna");
  await submit("bo", { hold: true });
  await useToken(page, daemon, "rita");
  const row = (name) => page.locator(".owners tbody tr", { hasText: name });
  await page.getByText("Each may have 1 run running and 3 in the queue. Priorities go up to 5. Within a priority whoever used least lately goes first; after 7 days what was used counts half.").waitFor();
  await row("anna").locator("td").nth(0).getByText("1", { exact: true }).waitFor();
  assert.deepEqual((await row("bo").locator("td").allInnerTexts()).slice(0, 4), ["0", "0", "1", "0"]);
  assert.match(await row("anna").locator("td").nth(0).getAttribute("class"), /warn/); // as many as it may have
  await daemon.call("POST", "/runs/1/cancel", undefined, daemon.token.anna);
  await page.waitForFunction(() => [...document.querySelectorAll(".owners tbody tr")].find((tr) => tr.textContent.startsWith("anna"))?.cells[7].textContent !== "0\u00a0kB");
  await row("anna").getByRole("link", { name: "anna" }).click();
  await page.waitForURL(/\/runs\?owner=anna$/);
  await page.locator("tr[data-run='1']").waitFor();
  assert.equal(await page.locator("tr[data-run='3']").count(), 0);
}, configured("[owners]\nhalf_life = 7d\nmax_running = 1\nmax_queued = 3\nmax_priority = 5\n", [["anna", "submit"], ["bo", "submit"], ["rita", "read"]]));

page_test("a webhook is made, tested, told and deleted; what was given up is said", async ({ daemon, page }) => {
  const there = await receiver();
  try {
    await page.goto(`${daemon.url}/system`);
    await page.getByRole("button", { name: "New webhook…" }).click();
    await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("no name");
    await page.getByRole("dialog").getByLabel("URL").fill(there.url);
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("dialog").getByText("name must have").waitFor();
    await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("lab");
    await page.getByRole("dialog").getByLabel("Target").fill("0.06");
    await page.getByRole("dialog").getByLabel("Told of").fill("run_ended, target_reached");
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByText("The secret that messages to lab are signed with is shown only now").waitFor();
    assert.match(await page.locator("code", { hasText: "whsec_" }).innerText(), /^whsec_[\w-]{43}$/);
    const hook = page.locator(".webhook", { hasText: "lab" });
    await hook.getByText("Told of runs that end, runs that reach 6.00\u00a0%.").waitFor();
    await page.getByRole("button", { name: "Test lab" }).click();
    await hook.locator(".deliveries tbody tr", { hasText: "delivered" }).waitFor();
    assert.equal(JSON.parse(there.heard[0]).event, "test");
    there.status = 500;
    await page.getByRole("button", { name: "Test lab" }).click();
    await hook.locator(".deliveries tbody tr", { hasText: "it answered 500" }).waitFor();
    await hook.getByText(": 1 waiting").waitFor();
    await daemon.stop();
    giveUp(daemon);
    there.status = 204;
    await daemon.start(["--config", daemon.config]);
    await hook.getByText(": 1 given up").waitFor();
    await hook.locator(".deliveries tbody tr", { hasText: "given up" }).waitFor();
    await daemon.call("POST", "/runs", { ...SMALL, epochs: 1 });
    await hook.locator(".deliveries tbody tr", { hasText: "run 1 succeeded" }).waitFor();
    await page.getByRole("button", { name: "Delete lab" }).click();
    await page.getByRole("button", { name: "Delete it" }).click();
    await hook.waitFor({ state: "detached" });
    assert.deepEqual((await daemon.call("GET", "/webhooks")).items, []);
  } finally { there.close(); }
}, configured("webhook_addresses = 127.0.0.1\n"));

page_test("who is no admin sees the names of webhooks, not their URLs", async ({ daemon, page }) => {
  await daemon.call("POST", "/webhooks", { name: "lab", url: "https://chat.example/secret", events: [], template: "slack" }, daemon.token.root);
  await useToken(page, daemon, "anna");
  await page.locator(".webhook", { hasText: "lab" }).getByText("Told of those alone that name it.").waitFor();
  assert.equal(await page.getByText("chat.example").count(), 0);
  assert.equal(await page.getByRole("button", { name: /Test|New webhook/ }).count(), 0);
}, configured("", [["anna", "submit"], ["root", "admin"]]));

page_test("owners and webhooks fit light, dark and on a phone, accessible", async ({ daemon, page, shot }) => {
  for (const who of ["anna", "bo", LONG_NAME]) { await daemon.call("POST", "/runs", { ...SMALL, epochs: 1 }, daemon.token[who]); }
  await daemon.until(3, "succeeded", daemon.token.root);
  const hook = await daemon.call("POST", "/webhooks", { name: "lab", url: `https://hooks.chat.example/services/${"T0123456789".repeat(6)}`, events: ["run_ended", "sweep_ended", "target_reached", "disk_low"], target: 0.06, template: "slack" }, daemon.token.root);
  await daemon.call("POST", "/webhooks", { name: "night", url: "http://127.0.0.1:9/", events: [], template: "ntfy" }, daemon.token.root);
  await daemon.call("POST", `/webhooks/${hook.id}/test`, undefined, daemon.token.root);
  await daemon.stop();
  giveUp(daemon);
  await daemon.start(["--config", daemon.config, "--tokens-file", daemon.tokens]);
  await daemon.call("POST", "/webhooks/2/test", undefined, daemon.token.root);
  await useToken(page, daemon, "root");
  for (const [name, colorScheme, width, height] of [["light", "light", 1440, 900], ["dark", "dark", 1440, 900], ["phone", "light", 390, 844]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    await page.goto(`${daemon.url}/system`);
    for (const text of ["given up", "loopback"]) {
      const hook = page.locator(".webhook", { hasText: text === "given up" ? "lab" : "night" });
      await hook.locator("summary").click();
      await hook.locator(".deliveries tbody tr", { hasText: text }).waitFor();
    }
    await page.waitForFunction((n) => document.querySelectorAll(".samples canvas").length === n, 8);
    await page.getByText("live", { exact: true }).waitFor();
    await shot(`system-${name}`, { fullPage: true });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: it scrolls sideways`);
    assert.ok(await page.evaluate(() => [...document.querySelectorAll(".owners table, .webhook table")].every((table) => table.offsetWidth <= table.closest("section").offsetWidth)), `${name}: a table is wider than its section`);
    await assert_accessible(page);
  }
}, configured("[owners]\nhalf_life = 7d\nmax_running = 2\n", [["anna", "submit"], ["bo", "submit"], [LONG_NAME, "submit"], ["root", "admin"]]));
