// The comparison: what it says, its figure, and what is taken away from it.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert_accessible, page_test, pictures, SMALL } from "./fixture.mjs";

page_test("several values in fields make a sweep, and its comparison fills while it is trained", async ({ daemon, page, shot }) => {
  await page.goto(`${daemon.url}/new?${new URLSearchParams({ name: "which m", ...SMALL, m: "1,2", seed: "1..2" })}`);
  await page.getByText("Together", { exact: true }).waitFor();
  await shot("new");
  await page.getByRole("button", { name: "Queue 4 runs" }).click();
  await page.waitForURL(/\/compare\?sweep=1/);
  await page.getByText(/^sweep 1: 4 of 4 runs done/).waitFor();
  assert.deepEqual(await page.locator("table.groups tbody th").allInnerTexts(), ["M 1", "M 2"]);
  await page.getByRole("button", { name: "each seed" }).click();
  assert.match(page.url(), /seeds=each/);
  await shot("compare");
  await assert_accessible(page);
});

async function trained(daemon, grid, more = {}) {
  const sweep = await daemon.call("POST", "/sweeps", { name: "which m", base: { ...SMALL, epochs: 4, ...more }, grid });
  const n = Object.values(grid).reduce((product, list) => product * list.length, 1);
  for (let id = 1; id <= n; id++) { await daemon.until(id, "succeeded"); }
  return sweep;
}

async function taken(page, format) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: format, exact: true }).click()]);
  assert.equal(download.suggestedFilename(), `cutoutd-sweep-1.${format.toLowerCase()}`);
  const bytes = readFileSync(await download.path());
  if (pictures) { writeFileSync(join(pictures, `taken.${format.toLowerCase()}`), bytes); }
  return bytes;
}

page_test("dragging zooms, updates keep the zoom, the address holds it, and a double click shows all again", async ({ daemon, page }) => {
  await daemon.call("POST", "/runs", { ...SMALL, epochs: 20000, name: "long" });
  await page.goto(`${daemon.url}/compare?ids=1`);
  const points = () => page.locator("p.small", { hasText: /points?\./ }).innerText().then((text) => Number(text.match(/of ([\d,]+) points?\./)[1].replaceAll(",", "")));
  await page.waitForFunction(() => Number(document.querySelector("main > p.small")?.textContent.match(/of ([\d,]+) point/)?.[1].replaceAll(",", "")) >= 3);
  const box = await page.locator(".big .plot").boundingBox();
  await page.mouse.move(box.x + 100, box.y + 200);
  await page.mouse.down();
  await page.mouse.move(box.x + 400, box.y + 205, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/zoom=/);
  const zoom = new URL(page.url()).searchParams.get("zoom").split(",").map(Number);
  const seen = () => page.evaluate(() => [...document.querySelectorAll(".big .dygraph-axis-label-x")].map((label) => label.textContent));
  const ticks = await seen();
  const before = await points();
  await page.waitForFunction((n) => Number(document.querySelector("main > p.small").textContent.match(/of ([\d,]+) point/)[1].replaceAll(",", "")) >= n + 3, before);
  assert.deepEqual(await seen(), ticks);
  assert.ok(zoom[1] > zoom[0]);
  await page.reload();
  await page.locator(".big .dygraph-axis-label-x").first().waitFor();
  assert.deepEqual(await seen(), ticks);
  await page.mouse.dblclick(box.x + 200, box.y + 200);
  await page.waitForURL((url) => !url.searchParams.has("zoom"));
  assert.notDeepEqual(await seen(), ticks);
  await daemon.call("POST", "/runs/1/cancel");
});

page_test("what is taken away is what is seen", async ({ daemon, page }) => {
  await trained(daemon, { m: [1, 2], seed: [1, 2] });
  await page.goto(`${daemon.url}/compare?sweep=1`);
  const csv = async () => (await taken(page, "CSV")).toString().trim().split("\n").map((line) => line.split(","));
  const whole = await csv();
  assert.equal(whole.length, 1 + 2 * 4);
  const answer = await daemon.call("GET", "/compare?sweep=1&group_by=m");
  assert.deepEqual(whole.slice(1, 5).map((row) => Number(row[4])), answer.groups[0].points.map((p) => p.mean));
  await page.getByRole("button", { name: "M 1", exact: true }).click();
  await page.waitForURL(/hide=0/);
  assert.deepEqual([...new Set((await csv()).slice(1).map((row) => row[0]))], ["M 2"]);
  await page.goto(`${daemon.url}/compare?sweep=1&zoom=1.5,3.5,0.1,1&seeds=each`);
  const zoomed = (await csv()).slice(1);
  assert.deepEqual([...new Set(zoomed.map((row) => row[2]))], ["2", "3"]);
  assert.deepEqual([...new Set(zoomed.map((row) => row[1]))], ["", "1", "2", "3", "4"]);
  await page.goto(`${daemon.url}/compare?sweep=1&hide=0`);
  await page.locator(".end-label").waitFor();
  const svg = (await taken(page, "SVG")).toString();
  assert.match(svg, /<svg[^]*M 2[^]*<\/svg>\s*$/);
  assert.doesNotMatch(svg, /M 1/);
  assert.equal((await taken(page, "PNG")).subarray(1, 4).toString(), "PNG");
  assert.equal((await taken(page, "PDF")).subarray(0, 5).toString(), "%PDF-");
  await page.goto(`${daemon.url}/compare?sweep=1&zoom=1.5,3.5,0.1,1&seeds=each&smooth=5&x=images&unit=fraction&y=linear`);
  await page.locator(".end-label").first().waitFor();
  await taken(page, "SVG"); // the daemon takes all of the view
});

page_test("a comparison first says what differs, and groups by it", async ({ daemon, page }) => {
  await trained(daemon, { lr: [0.1, 0.01], seed: [1, 2] }, { epochs: 2 });
  await page.goto(`${daemon.url}/compare?ids=1,2,3,4`);
  await page.getByText(/Differs: .*learning rate/).waitFor();
  assert.deepEqual(await page.locator("table.groups tbody th").allInnerTexts(), ["learning rate 0.01", "learning rate 0.1"]);
  await page.getByLabel("Group by").selectOption("none");
  await page.waitForURL(/group_by=none/);
  await page.waitForFunction(() => document.querySelectorAll("table.groups tbody tr").length === 4);
  await page.getByRole("button", { name: "Steps" }).click();
  await page.getByText(/against steps/).waitFor();
  await page.getByLabel("Smooth").selectOption("5");
  await page.getByText("Smoothed by the median of 5").waitFor();
  await page.reload();
  await page.getByText("Smoothed by the median of 5").waitFor();
  await page.getByText("validation error, %, against steps").waitFor();
  await page.keyboard.press("]");
  await page.locator(".end-head", { hasText: /^at / }).waitFor();
  await page.mouse.move(700, 400);
  await assert_accessible(page);
});

page_test("where runs have other validation errors one of them can be compared, and the view is that of the files", async ({ daemon, page, shot }) => {
  await trained(daemon, { m: [1, 2] }, { epochs: 2, ema: 0.9, tta: "mirror" });
  await page.goto(`${daemon.url}/compare?sweep=1`);
  await page.getByText("validation error, %, against epochs").waitFor();
  await page.locator("select[name=metric]").selectOption("val_error_ema");
  await page.waitForURL(/metric=val_error_ema/);
  await page.getByText("validation error of the averaged weights, %, against epochs").waitFor();
  const answer = await daemon.call("GET", "/compare?sweep=1&group_by=m&metric=val_error_ema");
  const csv = (await taken(page, "CSV")).toString().trim().split("\n").map((line) => line.split(","));
  assert.equal(csv[0][4], "val_error_ema");
  assert.deepEqual(csv.slice(1, 3).map((row) => Number(row[4])), answer.groups[0].points.map((p) => p.mean));
  assert.match((await taken(page, "SVG")).toString(), /validation error of the averaged weights, %/);
  await shot("metric");
  await assert_accessible(page);
});

page_test("a sweep by halving shows its rungs and who paused there, on the page and in files", async ({ daemon, page, shot }) => {
  await daemon.call("POST", "/sweeps", { name: "which m", base: { ...SMALL, train_images: 64, test_images: 50, epochs: 2 }, grid: { lr: [0.1, 0.01] }, halving: { first_epochs: 1, eta: 2 } });
  const sweep = async () => daemon.call("GET", "/sweeps/1");
  await page.goto(`${daemon.url}/compare?sweep=1`);
  await page.getByText(/1 run paused for good/).waitFor();
  const { halving } = await sweep();
  assert.deepEqual(halving.rungs.map((rung) => rung.epochs), [1]);
  await page.getByText("2 of 2 runs done").waitFor(); // also the one that stays paused
  await page.getByText(/Dotted: rungs/).waitFor();
  await shot("halving");
  const svg = (await taken(page, "SVG")).toString();
  assert.match(svg, />1 of 2</);
  assert.match(svg, /\u2016 runs paused here/);
  await taken(page, "PNG");
  await page.getByRole("button", { name: "Images" }).click();
  await page.getByText("validation error, %, against images").waitFor();
  assert.doesNotMatch((await taken(page, "SVG")).toString(), />1 of 2</);
});

page_test("many points are thinned to the least and greatest of each pixel, the same ones each time", async ({ daemon, page }) => {
  await page.goto(daemon.url);
  const results = await page.evaluate(async () => {
    const { thin } = await import(document.querySelector("script[type=module]").src.replace("app.js", "scale.js"));
    const points = Array.from({ length: 20000 }, (_, i) => [i, Math.sin(i / 50) + ((i * 7919) % 101) / 100]);
    const asked = [points, 0, 19999, 500, (p) => p[0], (p) => p[1]];
    const once = thin(...asked);
    const part = points.slice(400, 440).map((p) => p[1]); // a pixel's interval
    const kept = once.filter(([x]) => x >= 400 && x < 440).map((p) => p[1]);
    return { n: once.length, same: JSON.stringify(once) === JSON.stringify(thin(...asked)), least: Math.min(...kept) === Math.min(...part), most: Math.max(...kept) === Math.max(...part), few: thin(points.slice(0, 900), 0, 899, 500, (p) => p[0], (p) => p[1]).length };
  });
  assert.ok(results.n <= 1004, String(results.n));
  assert.deepEqual({ ...results, n: 0 }, { n: 0, same: true, least: true, most: true, few: 900 });
});

page_test("a long history is drawn from fewer points, and that is said", async ({ daemon, page }) => {
  await page.goto(`${daemon.url}/compare?ids=2,3`);
  await page.getByText(/^.*[\d,]+ of 5,000 points\./).waitFor();
  const [drawn] = (await page.locator("main > p.small").innerText()).match(/([\d,]+) of 5,000/).slice(1).map((text) => Number(text.replace(",", "")));
  assert.ok(drawn > 500 && drawn < 4000, String(drawn));
}, { prepare: (daemon) => daemon.seed(3, 5000) });

page_test("of many curves the best three have colours, and the one at the pointer is named and read out", async ({ daemon, page, shot }) => {
  const ids = Array.from({ length: 40 }, (_, i) => i + 2);
  await page.goto(`${daemon.url}/compare?ids=${ids.join(",")}&group_by=none`);
  await page.locator(".end-label").nth(2).waitFor();
  const answer = await daemon.call("GET", `/compare?ids=${ids.join(",")}&group_by=none`);
  const ranked = [...answer.groups].sort((a, b) => a.best.mean - b.best.mean).map((group) => `run ${group.runs[0]}`);
  const names = () => page.locator(".end-label .end-name .desk").allInnerTexts();
  assert.deepEqual((await names()).sort(), ranked.slice(0, 3).sort());
  assert.equal(await page.locator(".end-label .stub polygon").count() + await page.locator(".end-label .stub circle").count(), 3); // a mark each
  await page.getByText(/The best 32 of 40 groups\./).waitFor();
  const box = await page.locator(".big .plot").boundingBox();
  const found = new Map();
  for (let y = 30; y < box.height - 40; y += 8) {
    await page.mouse.move(box.x + box.width * 0.6, box.y + y);
    const seen = await page.locator(".end-label").evaluateAll((labels) => labels.map((label) => [label.querySelector(".end-name .desk").textContent, label.querySelector(".second").textContent]));
    const epoch = Number((await page.locator(".end-head").innerText()).match(/^at (\d+)/)?.[1]);
    for (const [name, value] of seen.filter(([one]) => !ranked.slice(0, 3).includes(one))) {
      const point = answer.groups.find((group) => `run ${group.runs[0]}` === name).points.find((p) => p.epoch === epoch);
      assert.equal(value, (point.mean * 100).toFixed(1));
      found.set(name, y);
    }
    assert.ok(seen.length === 3 || seen.length === 4, String(seen.length));
  }
  assert.ok(found.size >= 5, `only ${[...found.keys()]} were named`);
  for (const name of found.keys()) { assert.ok(ranked.slice(3, 32).includes(name), name); }
  await page.mouse.move(box.x + box.width * 0.6, box.y + [...found.values()][0]);
  await shot("pointer");
  await page.mouse.move(box.x + 5, box.y - 30);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "SVG", exact: true }).click()]);
  const svg = readFileSync(await download.path(), "utf8");
  assert.match(svg, /The best 32 of 40 groups; in colour the best three/);
  for (const name of ranked.slice(0, 3)) { assert.match(svg, new RegExp(`font-weight="600"[^<]*>${name} `)); }
}, { prepare: (daemon) => daemon.seed(42, 60) });

page_test("a link shows one sweep without a token, and nothing else, until it is withdrawn", async ({ daemon, page, context, shot }) => {
  for (const name of ["mine", "other"]) { await daemon.call("POST", "/sweeps", { name, base: SMALL, grid: { m: [1, 2] } }, daemon.submitter); }
  await page.goto(`${daemon.url}/compare?sweep=1`);
  await page.getByLabel("Token").fill(daemon.submitter);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("button", { name: "Share…" }).click();
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.locator("dialog pre code").innerText();
  assert.match(link, /\/sweeps\/1#link=./);
  await page.getByRole("button", { name: "Withdraw link 1" }).waitFor();
  await shot("share");
  await assert_accessible(page);
  const guest = await (await context.browser().newContext()).newPage();
  try {
    await guest.goto(link);
    await guest.getByRole("heading", { name: "mine" }).waitFor();
    await guest.getByText(/^sweep 1: 2 of 2 runs done/).waitFor(); // live, also before all of it is trained
    await guest.getByText("live", { exact: true }).waitFor();
    assert.equal(await guest.getByRole("button", { name: "Share…" }).count(), 0);
    assert.equal(await guest.getByRole("link", { name: "System" }).count(), 0); // hidden
    await guest.goto(`${daemon.url}/runs/1`);
    await guest.locator("table.history tbody tr").nth(1).waitFor();
    assert.equal(await guest.getByRole("button", { name: "Delete…" }).count(), 0);
    await guest.goto(`${daemon.url}/runs/3`);
    await guest.getByText("There is nothing here").or(guest.getByText(/A link shows sweep 1/)).waitFor();
    assert.equal(await guest.getByText("other").count(), 0);
    await page.getByRole("button", { name: "Withdraw link 1" }).click();
    await page.getByRole("button", { name: "Withdraw link 1" }).waitFor({ state: "detached" });
    await guest.goto(link);
    await guest.getByText(/This link has expired or was withdrawn/).waitFor();
  } finally { await guest.context().close(); }
}, {
  prepare: async (daemon) => { daemon.submitter = await daemon.addToken("anna", "submit"); },
  arguments: (daemon) => ["--tokens-file", daemon.tokens],
});
