// Looks at every page as a person does: in two widths and both colour schemes, with mouse, keyboard, and without either's help
// of a script. Called with the addresses of the admin listener and of a receiver, and a folder for screenshots.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [admin, receiver, folder] = process.argv.slice(2);
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const complaints = [];
// Not the busiest: hostile names take more bytes.
const shop = `/profiles?series=${encodeURIComponent('{service_name="shop"}')}`;

// A page of its own, whose errors are remembered.
async function open(path, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(`${path}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`${path}: ${error.message}`));
  page.on("dialog", (dialog) => complaints.push(`${path}: a dialog: ${dialog.message()}`));
  await page.goto(admin + path);
  return page;
}

async function send(name, stacks) {
  const answer = await fetch(`${receiver}/ingest?name=${encodeURIComponent(name)}`, { method: "POST", body: stacks });
  assert.equal(answer.status, 200);
}

async function look(page, name) {
  const { width } = page.viewportSize();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `${name} is ${wide} wide on a screen of ${width}`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => `${name}: ${id}: ${nodes[0].html}`), []);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

const frame = (page, name) => page.locator("#flame a").filter({ has: page.locator("title", { hasText: name }) }).first();
const found = (page) => page.locator(".found");

for (const width of [1280, 400]) {
  for (const colorScheme of ["light", "dark"]) {
    const options = { viewport: { width, height: 800 }, colorScheme };
    for (const [name, path] of [
      ["overview", "/"],
      ["component", "/components/pyroscope.receive_http.default"],
      ["graph", "/graph"],
      ["graph-inside", "/graph?in=marked.a"],
      ["tap", "/tap"],
      ["flame-graph", shop],
      ["search", `${shop}&find=burn`],
      ["comparison", `${shop}&compare=with&with=${encodeURIComponent('pod="b"')}`],
      ["hostile", `/profiles?series=${encodeURIComponent('{hostile="yes"}')}`],
    ]) {
      const page = await open(path, options);
      await page.locator("section").first().waitFor();
      await look(page, `${name}-${width}-${colorScheme}`);
      await page.context().close();
    }
  }
}

// What comes is seen without loading the page again, and not while it is paused.
{
  const page = await open("/");
  await page.getByRole("button", { name: "Live" }).waitFor();
  await send("just-came", "main;work 1\n");
  await page.locator("#busiest", { hasText: "just-came" }).waitFor();
  await page.locator("#live").click();
  await page.getByRole("button", { name: "Paused" }).waitFor();
  await page.context().close();
}

// A box leads to its component, by keyboard too.
{
  const page = await open("/graph");
  const box = page.locator(".wide a", { hasText: "receive_http" });
  await box.focus();
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "pyroscope.receive_http.default" }).waitFor();
  await page.getByRole("link", { name: "See the profiles that pass" }).click();
  await page.locator("select[name=component] option:checked", { hasText: "pyroscope.receive_http.default" }).waitFor({ state: "attached" });
  await page.context().close();
}

// What passes is seen as it does, filtered, not while it is paused, and never more than can be read.
{
  const page = await open(`/tap?component=profiles.view.default&labels=${encodeURIComponent('{service_name!="other"}')}`);
  await page.getByRole("button", { name: "Live" }).waitFor();
  await send("other", "main;work 1\n");
  await send("tapped", "main;work 1\n");
  const row = page.locator("#rows li").first();
  await row.filter({ hasText: "service_name=tapped" }).waitFor();
  assert.match(await row.textContent(), /passed/);
  assert.equal(await page.locator("#rows li", { hasText: "service_name=other" }).count(), 0);
  assert.equal(await page.locator("#nothing").isVisible(), false);
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Paused" }).waitFor();
  await send("while-paused", "main;work 1\n");
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Live" }).waitFor();
  await send("after-it", "main;work 1\n");
  await page.locator("#rows li", { hasText: "after-it" }).waitFor();
  assert.equal(await page.locator("#rows li", { hasText: "while-paused" }).count(), 0);
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.name), "labels");
  for (let batch = 0; batch < 11; batch++) {
    await Promise.all([...Array(20).keys()].map((each) => send(`many-${batch}-${each}`, "main;work 1\n")));
  }
  await page.locator("#rows li", { hasText: "many-10-" }).first().waitFor();
  assert.ok((await page.locator("#rows li").count()) <= 200);
  await page.context().close();
}

// Labels before and after, hostile ones too, in both widths.
for (const width of [1280, 400]) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open("/tap?component=marked.a", { viewport: { width, height: 800 }, colorScheme });
    await page.getByRole("button", { name: "Live" }).waitFor();
    await send(`before{pod=<script>alert(2)</script>,long=${"x".repeat(5000)}}`, "main;work 1\n");
    await page.locator("#rows ins", { hasText: "team=pay" }).first().waitFor();
    await page.locator("#rows del", { hasText: "long=xxx" }).first().waitFor();
    await look(page, `tap-rows-${width}-${colorScheme}`);
    await page.context().close();
  }
}

// Zoom by mouse, back by the browser; search while typing; arrows, Enter and Escape.
{
  const page = await open(shop);
  const frames = await page.locator("#flame a").count();
  await frame(page, "burn").click();
  await page.locator("#whole").waitFor();
  assert.match(page.url(), /focus=/);
  assert.ok((await page.locator("#flame a").count()) < frames);
  await page.goBack();
  await page.locator("#whole").waitFor({ state: "detached" });
  assert.equal(await page.locator("#flame a").count(), frames);

  await page.keyboard.press("/");
  await page.keyboard.type("wait");
  await found(page).filter({ hasText: "25.00 %" }).waitFor();
  assert.equal(await page.locator(".frame.hit").count(), 1);
  assert.equal(await page.evaluate(() => document.activeElement.name), "find");
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await found(page).waitFor({ state: "detached" });

  await page.locator("#flame a").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  const name = await page.evaluate(() => document.activeElement.querySelector("title").textContent);
  assert.match(name, /^wait\n/);
  assert.match(await page.locator("#details").textContent(), /^wait — .*25\.00 %/);
  await page.keyboard.press("Enter");
  await page.locator("#whole").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#whole").waitFor({ state: "detached" });

  await page.getByRole("link", { name: "Total" }).click();
  await page.locator("th[aria-sort]", { hasText: "Total" }).waitFor();
  assert.match(await page.locator("#functions tbody tr").first().textContent(), /^main/);

  await page.getByLabel("Compare").selectOption("with");
  await page.locator("input[name=with]").fill('pod="b"');
  await page.keyboard.press("Enter");
  await page.locator(".summary", { hasText: "compared with" }).waitFor();
  assert.ok((await page.locator("[class*=more]").count()) > 0);
  await page.context().close();
}

// Without a script a frame is a link, and a search is a form.
{
  const page = await open(shop, { javaScriptEnabled: false });
  await page.goto(admin + (await frame(page, "burn").getAttribute("href")));
  assert.equal(await page.locator("#whole").count(), 1);
  await page.locator("#search input[type=search]").fill("wait");
  await page.keyboard.press("Enter");
  await found(page).waitFor();
  await page.goto(`${admin}/`);
  assert.equal(await page.locator("#busiest", { hasText: "shop · process_cpu" }).count(), 1);
  await page.goto(`${admin}/graph`);
  await page.locator(".wide a", { hasText: "receive_http" }).click();
  await page.locator("h1", { hasText: "pyroscope.receive_http.default" }).waitFor();
  await page.goto(`${admin}/tap`);
  await page.locator("select[name=component]").selectOption("profiles.view.default");
  await page.getByRole("button", { name: "Look" }).click();
  await page.waitForURL(/component=profiles/);
  await send("seen-later", "main;work 1\n");
  await page.reload();
  await page.locator("#rows li", { hasText: "seen-later" }).waitFor();
}

await browser.close();
assert.deepEqual(complaints, []);
