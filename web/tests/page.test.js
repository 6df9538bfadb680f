// The page in a browser: typed into and clicked, and compared with the command line.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { FOLDER, flat, nnlayer, open, recompute, shownResults } from "./browser.js";
import { WORDS } from "../words.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
before(async () => { browser = await open(); });
after(async () => {
  await browser.close();
  assert.deepEqual(browser.problems, [], "errors in the console");
});

const { layers } = JSON.parse(nnlayer("layers"));

/** Returns the results of a command of an example, all of them. */
function computed(command) {
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(match => match[1] ?? match[2]).slice(1);
  const only = words.indexOf("--only");
  if (only > 0) words.splice(only, 2);
  const args = words.filter(word => word !== "--json" && word !== "--forward");
  return flat(JSON.parse(nnlayer(...args, "--json")));
}

const cell = (page, name) => page.getByRole("textbox", { name, exact: true });
const type = (page, name, text) => recompute(page, () => cell(page, name).fill(text));

test("every example of every layer has the results of the command line", async () => {
  const page = await browser.visit();
  for (const { name, examples } of layers) {
    for (const [n, example] of examples.entries()) {
      if (n > 0) await recompute(page, () => page.getByLabel("Example").selectOption(String(n)));
      else if (await page.getByLabel("Layer").inputValue() !== name) {
        await recompute(page, () => page.getByLabel("Layer").selectOption(name));
      }
      assert.deepEqual(await shownResults(page), computed(example), example);
      assert.equal(await page.locator("#problems .error").count(), 0, example);
    }
  }
  await page.close();
});

test("typing into a cell computes all results again", async () => {
  const page = await browser.visit("#layer=softmax-xent&x=[[0.3,2.9,4]]&t=[2]");
  await type(page, "x[0, 1]", "-1e-3");
  await recompute(page, () => page.getByLabel("reduction", { exact: true }).selectOption("mean"));
  const ran = nnlayer("softmax-xent", "--x", "[[0.3,-1e-3,4]]", "--t", "[2]", "--reduction", "mean", "--json");
  assert.deepEqual(await shownResults(page), flat(JSON.parse(ran)));
  assert.equal(await page.locator("#command").textContent(),
    "nnlayer softmax-xent --x '[[0.3,-1e-3,4]]' --t '[2]' --reduction mean");
  await recompute(page, () => page.getByLabel("Precision").selectOption("bf16"));
  const rounded = nnlayer("softmax-xent", "--x", "[[0.3,-1e-3,4]]", "--t", "[2]", "--reduction", "mean", "--precision", "bf16", "--json");
  assert.deepEqual(await shownResults(page), flat(JSON.parse(rounded)));
  await page.close();
});

test("numbers are read as people write them", async () => {
  const page = await browser.visit("#layer=relu&x=[1,2,3,4,5]");
  for (const [n, text] of ["−1.5", "１２", "+.5", "inf", "nan"].entries()) await cell(page, `x[${n}]`).fill(text);
  await recompute(page, () => cell(page, "x[0]").fill("−2"));
  assert.deepEqual((await shownResults(page)).y, ["0", "12", "0.5", "inf", "nan"]);
  await page.close();
});

test("rows and columns are added and removed, by buttons, by the shape and as text", async () => {
  const page = await browser.visit("#layer=relu&x=[[1,2],[3,4]]");
  const y = async () => (await shownResults(page)).y.join();
  const press = name => recompute(page, () => page.getByRole("button", { name, exact: true }).click());
  await press("Add a row to x");
  assert.equal(await y(), "1,2,3,4,0,0");
  await press("Add a column to x");
  assert.equal(await y(), "1,2,0,3,4,0,0,0,0");
  await press("Remove the last row of x");
  await press("Remove the last column of x");
  assert.equal(await y(), "1,2,3,4");
  const shape = page.getByLabel("Shape of x");
  await recompute(page, async () => { await shape.fill("4"); await shape.press("Enter"); });
  assert.equal(await y(), "1,2,3,4");
  await recompute(page, async () => { await shape.fill("2x1x2"); await shape.press("Enter"); });
  assert.equal(await y(), "1,2,3,4");
  assert.deepEqual(await page.locator(".cells caption").allTextContents(), ["x[0]", "x[1]"]);
  await shape.fill("2x-1");
  await shape.press("Enter");
  await page.getByText("Write a shape such as 2×3").waitFor();
  await page.getByRole("button", { name: "x as text" }).click();
  await recompute(page, async () => { await page.getByRole("textbox", { name: "x as text" }).fill("5;6"); await page.keyboard.press("Tab"); });
  assert.equal(await y(), "5,6");
  await page.close();
});

test("cells of a spreadsheet are pasted", async () => {
  const page = await browser.visit("#layer=affine&x=[[1,2]]&w=[[1,0],[0,1]]");
  await cell(page, "x[0, 1]").focus();
  await page.evaluate(() => navigator.clipboard.writeText("2.5\t-3\r\n4\t5\r\n"));
  await recompute(page, () => page.keyboard.press("Control+v"));
  assert.equal(await page.locator("#command").textContent(), "nnlayer affine --x '[[1,2.5,-3],[0,4,5]]' --w '[[1,0],[0,1]]'");
  assert.match(await page.locator("#problems").textContent(), /--w/);
  await cell(page, "w[0, 0]").focus();
  await page.evaluate(() => navigator.clipboard.writeText("1\t2\t0\n3\t4\t7\n5\t6\t8"));
  await recompute(page, () => page.keyboard.press("Control+v"));
  const ran = nnlayer("affine", "--x", "[[1,2.5,-3],[0,4,5]]", "--w", "[[1,2,0],[3,4,7],[5,6,8]]", "--json");
  assert.deepEqual(await shownResults(page), flat(JSON.parse(ran)));
  await page.getByRole("button", { name: "Copy dw for a spreadsheet" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "1\t1\t1\n6.5\t6.5\t6.5\n2\t2\t2");
  await page.close();
});

test("an error names the cell, and the program's sentence and tip are shown", async () => {
  const page = await browser.visit("#layer=softmax&x=[[1,2],[3,4]]");
  await type(page, "x[1, 0]", "abc");
  const alert = page.locator("#problems");
  assert.match(await alert.textContent(), /^Error --x.*Tip:/s);
  assert.equal(await cell(page, "x[1, 0]").getAttribute("aria-invalid"), "true");
  assert.deepEqual(await shownResults(page), {});
  await type(page, "x[1, 0]", "nan");
  assert.match(await alert.textContent(), /^Warning --x\[1, 0\]: contains NaN/);
  await type(page, "x[1, 0]", "7");
  assert.equal(await alert.textContent(), "");
  assert.equal(await cell(page, "x[1, 0]").getAttribute("aria-invalid"), null);
  await page.close();
});

test("the check shows the program's verdict", async () => {
  const page = await browser.visit("#layer=gelu&x=[[-1,0.5],[2,30]]");
  await page.getByRole("button", { name: "Check gradients" }).click();
  await page.locator("#verdict .badge").waitFor();
  const report = JSON.parse(nnlayer("gelu", "--x", "[[-1,0.5],[2,30]]", "--check", "--json"));
  assert.equal(await page.locator("#verdict strong").textContent(), `✓ ${report.verdict}`);
  assert.match(await page.locator("#verdict .badge").textContent(), /dx: the gradients agree with numerical differentiation/);
  assert.equal((await page.locator("#verdict pre").textContent()).trimEnd(), nnlayer("gelu", "--x", "[[-1,0.5],[2,30]]", "--check").trimEnd());
  await type(page, "x[0, 0]", "3");
  assert.equal(await page.locator("#verdict").textContent(), "", "the verdict belongs to other numbers");
  await page.close();
});

test("a step of descent subtracts the gradient, and L falls", async () => {
  const page = await browser.visit("#layer=softmax-xent&x=[[0.3,2.9,4],[1,0,-1]]&t=[0,2]");
  const { dx, loss } = JSON.parse(nnlayer("softmax-xent", "--x", "[[0.3,2.9,4],[1,0,-1]]", "--t", "[0,2]", "--json"));
  await page.getByLabel("Learning rate").fill("0.5");
  await recompute(page, () => page.getByRole("button", { name: "One step" }).click());
  const moved = [[0.3, 2.9, 4], [1, 0, -1]].map((row, i) => row.map((value, j) => value - 0.5 * dx[i][j]));
  const cells = await page.locator('[data-operand="x"] td input').evaluateAll(inputs => inputs.map(input => input.value));
  assert.deepEqual(cells.map(Number), moved.flat());
  const now = JSON.parse(nnlayer("softmax-xent", "--x", JSON.stringify(moved), "--t", "[0,2]", "--json"));
  assert.deepEqual(await shownResults(page), flat(now));
  const history = () => page.locator("#history tbody td:nth-child(2)").evaluateAll(list => list.map(one => +one.title));
  assert.deepEqual(await history(), [now.loss, loss]);
  await recompute(page, () => page.getByRole("button", { name: "10 steps" }).click());
  const course = await history();
  assert.ok(course.every((value, n) => n === 0 || value > course[n - 1]), `newest first: ${course}`);
  await page.close();
});

test("parameters are learnt where a layer has them", async () => {
  const page = await browser.visit("#layer=affine&x=[[1,2]]&w=[[1],[1]]&b=[0]");
  await recompute(page, () => page.getByRole("button", { name: "One step" }).click());
  assert.equal(await page.locator("#command").textContent(), "nnlayer affine --x '[[1,2]]' --w '[[0.9],[0.8]]' --b '[-0.1]'");
  await page.close();
});

test("optional operands get a shape that fits", async () => {
  const page = await browser.visit("#layer=layernorm&x=[[1,2,4],[0,1,0]]");
  for (const name of ["gamma", "beta", "dout"]) await recompute(page, () => page.getByLabel(`Use ${name}`).check());
  const ran = nnlayer("layernorm", "--x", "[[1,2,4],[0,1,0]]", "--gamma", "1,1,1", "--beta", "1,1,1", "--dout", "1,1,1;1,1,1", "--json");
  assert.deepEqual(await shownResults(page), flat(JSON.parse(ran)));
  await recompute(page, () => page.getByLabel("Use gamma").uncheck());
  assert.ok(!("dgamma" in await shownResults(page)));
  await page.close();
});

test("a link carries layer, inputs, settings and language", async () => {
  const page = await browser.visit("#layer=conv1d");
  await page.getByText("日本語").click();
  await recompute(page, () => page.getByLabel("padding", { exact: true }).fill("1,2"));
  await recompute(page, () => page.getByLabel("精度").selectOption("f32"));
  const [link, results] = [new URL(page.url()).hash, await shownResults(page)];
  await page.close();
  const again = await browser.visit(link);
  assert.deepEqual(await shownResults(again), results);
  assert.equal(await again.evaluate(() => document.documentElement.lang), "ja");
  assert.equal(await again.getByLabel("padding", { exact: true }).inputValue(), "1,2");
  await again.close();
  const broken = await browser.visit("#layer=softmax&x=[[1,2],[3]]&axis=%22%3Cimg%20src=x%20onerror=alert(1)%3E&precision=f1");
  assert.match(await broken.locator("#problems").textContent(), /Error/);
  assert.equal(await broken.locator("#problems img").count(), 0);
  await broken.close();
});

test("a large array is edited as text, and is too long for a link", async () => {
  const page = await browser.visit("#layer=sigmoid&x=[1]");
  const shape = page.getByLabel("Shape of x");
  await recompute(page, async () => { await shape.fill("80x90"); await shape.press("Enter"); });
  const text = JSON.stringify(Array.from({ length: 80 }, (_, i) => Array.from({ length: 90 }, (_, j) => (i - j) / 8)));
  await recompute(page, async () => { await page.getByRole("textbox", { name: "x as text" }).fill(text); await page.keyboard.press("Tab"); });
  const { y } = JSON.parse(nnlayer("sigmoid", "--x", text, "--json"));
  const shown = await shownResults(page);
  assert.deepEqual(shown.y.slice(0, 24).map(Number), y[0].slice(0, 24));
  await page.getByRole("button", { name: "Copy y for a spreadsheet" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.deepEqual(copied.split("\n").map(row => row.split("\t").map(Number)), y);
  assert.equal(new URL(page.url()).hash, "#layer=sigmoid&lang=en");
  assert.ok(await page.getByRole("button", { name: "Copy link" }).isDisabled());
  await page.close();
});

// The server's program would run on.
test("a change ends a command that takes long", { skip: FOLDER ? false : "the native program is not in the worker" }, async () => {
  const page = await browser.visit("#layer=matmul&x1=[[1]]&x2=[[1]]");
  const matrix = JSON.stringify(Array.from({ length: 150 }, (_, i) => Array.from({ length: 150 }, (_, j) => Math.sin(i + 2 * j))));
  await recompute(page, () => page.evaluate(link => { location.hash = link; }, `layer=matmul&x1=${matrix}&x2=${matrix}`));
  // Some seconds, or minutes without optimization.
  await page.getByLabel("Precision").selectOption("exact");
  await page.waitForTimeout(2000);
  await page.getByLabel("Precision").selectOption("");
  await page.getByLabel("Layer").selectOption("tanh");
  await page.waitForFunction(() => document.querySelector("#results [data-result=dx] td")?.title.startsWith("0."));
  assert.deepEqual(await shownResults(page), computed(layers.find(({ name }) => name === "tanh").examples[0]));
  await page.close();
});

test("the graph is the program's, steps forward and back, zooms and moves", async () => {
  const page = await browser.visit("#layer=softmax-xent&x=[0.3,2.9,4]&t=[0,0,1]");
  const edges = page.locator("#graph .edge");
  const hidden = name => page.locator(`#graph .edge.${name}`).count();
  const sentence = () => page.locator("#graph .sentence").textContent();
  const press = name => page.locator("#graph").getByRole("button", { name, exact: true }).click();
  const count = await edges.count();
  assert.deepEqual([await hidden("early"), await hidden("late")], [0, 0]);
  await press("Start");
  assert.deepEqual([await hidden("early"), await hidden("late")], [count, count]);
  const slider = page.getByLabel("Step through the graph");
  const last = +await slider.getAttribute("max");
  const seen = [];
  for (let step = 0; step <= last; step++) {
    const marked = await page.locator("#graph .now").evaluateAll(nodes => nodes.map(node => node.dataset.kind));
    assert.ok(marked.length < 2 || marked.every(kind => kind === "leaf"), "one operation at a time is marked");
    seen.push([await sentence(), await hidden("early"), await hidden("late")]);
    await press("Next");
  }
  for (const [n, [text, early, late]] of seen.entries()) {
    assert.ok(n === 0 || early <= seen[n - 1][1] && late <= seen[n - 1][2], text);
    assert.ok(early === 0 || late === count, `a gradient before the last value: ${text}`);
  }
  assert.equal(new Set(seen.map(([text]) => text)).size, last + 1);
  assert.ok(seen.some(([text]) => text.includes("gives loss = 0.3057144648124521")));
  await press("Back");
  assert.deepEqual([await sentence(), await hidden("early"), await hidden("late")], seen[last - 1]);
  await slider.fill("3");
  assert.deepEqual([await sentence(), await hidden("early"), await hidden("late")], seen[3]);
  const width = () => page.locator("#graph svg").evaluate(svg => svg.getBoundingClientRect().width);
  const before = await width();
  await press("Zoom in");
  assert.ok(Math.abs(await width() / before - 1.25) < 0.01);
  await press("Fit");
  const pane = page.locator("#graph .pane");
  assert.ok(await width() <= await pane.evaluate(one => one.clientWidth));
  for (let n = 0; n < 8; n++) await press("Zoom in");
  const [box, left] = [await pane.boundingBox(), await pane.evaluate(one => one.scrollLeft)];
  await page.mouse.move(box.x + 200, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + 120, box.y + 40, { steps: 4 });
  await page.mouse.up();
  assert.equal(await pane.evaluate(one => one.scrollLeft), left + 80);
  await page.close();
});

test("the graph's values are reached by keys", async () => {
  const page = await browser.visit("#layer=softmax-xent&x=[0.3,2.9,4]&t=[0,0,1]");
  await page.locator("#graph .pane").focus();
  await page.keyboard.press("Tab");
  const detail = page.locator("#graph .detail");
  assert.match(await detail.textContent(), /^x\[0\] = 0\.3\ndx\[0\] = 0\.018211273295547534\nlocal derivative of e/);
  await page.keyboard.press("ArrowRight");
  assert.doesNotMatch(await detail.textContent(), /^x\[0\] = 0\.3\n/);
  await page.keyboard.press("ArrowLeft");
  assert.match(await detail.textContent(), /^x\[0\] = 0\.3\n/);
  await page.close();
});

test("the page is operated by keys alone", async () => {
  const page = await browser.visit("#layer=relu&x=[[1,2],[3,4]]");
  await cell(page, "x[0, 0]").focus();
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(), "x[0, 1]");
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "x[1, 1]");
  await recompute(page, () => page.keyboard.type("-7"));
  assert.deepEqual((await shownResults(page)).y, ["1", "2", "3", "0"]);
  await page.keyboard.press("ArrowUp");
  assert.equal(await focused(), "x[0, 1]");
  await page.getByRole("button", { name: "Add a row to x" }).focus();
  for (const rows of [3, 4]) {
    await recompute(page, () => page.keyboard.press("Enter"));
    assert.equal((await shownResults(page)).y.length, 2 * rows, "the focus stays on the button");
  }
  // Every control is reached with the Tab key, and none holds the focus.
  const reached = new Set();
  for (let n = 0; n < 80; n++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.textContent));
  }
  for (const id of ["layer", "check", "digits", "level", "rate", "ten-steps", "copy-command", "copy-link", "precision", "command", "Step through the graph"]) {
    assert.ok(reached.has(id), `${id} is not reached: ${[...reached].join(" | ")}`);
  }
  await page.close();
});

test("results and errors are announced", async () => {
  const page = await browser.visit("#layer=relu&x=[1,2]");
  assert.equal(await page.locator("#status").textContent(), "Computed y, dx.");
  assert.equal(await page.locator("#status").getAttribute("role"), "status");
  assert.equal(await page.locator("#problems").getAttribute("role"), "alert");
  assert.equal(await page.locator("#verdict").getAttribute("role"), "status");
  await page.close();
});

test("accessibility rules hold, in each language, light and dark, wide and narrow", async () => {
  const links = ["#layer=affine", "#layer=conv2d&lang=ja", "#layer=softmax&x=[1,%22a%22]", "#layer=embedding&lang=ja"];
  for (const [n, link] of links.entries()) {
    const page = await browser.visit(link, { width: n % 2 ? 390 : 1280, colorScheme: n < 2 ? "light" : "dark" });
    if (!link.includes("%22")) {
      await page.locator("#check").click();
      await page.locator("#verdict .badge").waitFor();
      await page.locator("#verdict summary").click();
      await recompute(page, () => page.locator("#ten-steps").click());
    }
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document));
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ""}`).join("\n")}`);
    assert.deepEqual(found, [], link);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${link}: ${overflow} pixels beyond the window`);
    await page.close();
  }
});

test("both languages have the same words, and the page uses the chosen one", async () => {
  const kinds = words => Object.entries(words).map(([key, word]) => `${key} ${typeof word} ${word.length}`.replace(/string \d+/, "string"));
  assert.deepEqual(kinds(WORDS.ja), kinds(WORDS.en));
  const page = await browser.visit("#layer=relu&lang=ja");
  for (const [key, word] of await page.locator("[data-word]").evaluateAll(list => list.map(one => [one.dataset.word, one.textContent]))) {
    assert.equal(word, WORDS.ja[key]);
  }
  assert.match(await page.locator("#graph .note").first().textContent(), /[ぁ-ん]/, "the picture is Japanese too");
  await page.getByText("English").click();
  assert.equal(await page.locator("#results-title").textContent(), "Results");
  assert.match(page.url(), /lang=en/);
  await page.close();
});

test("nothing is loaded after the start, and nothing from elsewhere", async () => {
  const page = await browser.visit();
  const loaded = [];
  page.on("request", request => loaded.push(request.url()));
  const all = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  assert.ok(all.every(url => new URL(url).host === new URL(page.url()).host), all.join(" "));
  await recompute(page, () => page.getByLabel("Layer").selectOption("tanh"));
  await type(page, "x[0]", "0.25");
  assert.deepEqual(loaded.filter(url => FOLDER || !url.endsWith("/run")), []);
  await page.close();
});
