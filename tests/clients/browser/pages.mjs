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
}

await browser.close();
assert.deepEqual(complaints, []);
