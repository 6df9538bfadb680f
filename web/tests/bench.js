// Time of the page's scripts for each frame while a graph of 200 nodes is moved, zoomed and stepped through.
//
//     node bench.js        prints the median and the largest of each, and fails if a median is above 8 ms

import { open } from "./browser.js";

/** Largest median time of scripts in a frame, in milliseconds. */
const LIMIT_MILLISECONDS = 8;
const FRAMES = 120;

const browser = await open();
const rows = n => JSON.stringify(Array.from({ length: n }, (_, i) => Array.from({ length: 5 }, (_, j) => (i * 7 + j * 3) % 10 - 4.5)));
const page = await browser.visit(`#layer=affine&x=${rows(4)}&w=${rows(5)}`);
await page.locator("#level").selectOption("scalar");
await page.waitForFunction(() => document.querySelector("#graph .pane > div").shadowRoot.querySelectorAll(".node").length >= 200);
const nodes = await page.locator("#graph .node").count();
const edges = await page.locator("#graph .edge").count();
const devtools = await page.context().newCDPSession(page);
await devtools.send("Performance.enable");
const scriptSeconds = async () => (await devtools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "ScriptDuration").value;

/** Returns the milliseconds of scripts in each frame, of which `act` does what a person does in one. */
async function measure(act) {
  const times = [];
  for (let frame = 0; frame < FRAMES; frame++) {
    const before = await scriptSeconds();
    await act(frame);
    await page.evaluate(() => new Promise(requestAnimationFrame));
    times.push(1000 * (await scriptSeconds() - before));
  }
  return times.sort((a, b) => a - b);
}

const pane = await page.locator("#graph .pane").boundingBox();
const [x, y] = [pane.x + pane.width / 2, pane.y + pane.height / 2];
await page.locator("#graph").getByRole("button", { name: "Zoom in" }).click();
await page.mouse.move(x, y);
await page.mouse.down();
const panned = await measure(frame => page.mouse.move(x + 60 * Math.sin(frame / 6), y + 40 * Math.cos(frame / 6)));
await page.mouse.up();
await page.keyboard.down("Control");
const zoomed = await measure(frame => page.mouse.wheel(0, frame % 40 < 20 ? -30 : 30));
await page.keyboard.up("Control");
await page.getByLabel("Step through the graph").focus();
const stepped = await measure(frame => page.keyboard.press(frame % 60 < 30 ? "ArrowLeft" : "ArrowRight"));

let isSlow = false;
console.log(`a graph of ${nodes} nodes and ${edges} edges, ${FRAMES} frames each:`);
for (const [name, times] of Object.entries({ move: panned, zoom: zoomed, step: stepped })) {
  const median = times[FRAMES / 2];
  isSlow ||= median > LIMIT_MILLISECONDS;
  console.log(`${name.padEnd(5)} median ${median.toFixed(2)} ms, largest ${times.at(-1).toFixed(2)} ms of scripts a frame`);
}
await browser.close();
process.exitCode = isSlow ? 1 : 0;
