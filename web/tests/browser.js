// Starts the server and the browser for the tests. NNLAYER is the native program that the page is compared with; with PAGE, a folder
// that web/build.sh has written, the page runs WebAssembly, otherwise the native program.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const PROGRAM = process.env.NNLAYER ?? fileURLToPath(new URL("../../target/debug/nnlayer", import.meta.url));
export const FOLDER = process.env.PAGE;

/** Runs the native program and returns its standard output. */
export function nnlayer(...args) {
  return execFileSync(PROGRAM, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Starts the server; returns its address and a function that stops it. */
async function serve() {
  const options = FOLDER ? ["--folder", FOLDER] : ["--nnlayer", PROGRAM];
  const server = spawn("python3", [fileURLToPath(new URL("../serve.py", import.meta.url)), "--port", "0", ...options]);
  const address = await new Promise((resolve, reject) => {
    server.stdout.once("data", data => resolve(String(data).trim()));
    server.once("exit", status => reject(new Error(`serve.py: ${status}`)));
  });
  return { address, stop: () => server.kill() };
}

/** Opens the browser. `visit` opens the page in a new window, and `close` ends everything. */
export async function open() {
  const { address, stop } = await serve();
  const profile = mkdtempSync(join(tmpdir(), "nnlayer-page-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, locale: "en-US", viewport: { width: 1280, height: 720 },
    permissions: ["clipboard-read", "clipboard-write"],
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  const problems = [];
  const visit = async (link = "", { width = 1280, height = 720, colorScheme = "light" } = {}) => {
    const page = await browser.newPage();
    page.on("pageerror", error => problems.push(error.stack));
    page.on("console", message => { if (message.type() === "error") problems.push(message.text()); });
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.goto(address + link);
    await page.waitForSelector("body[data-ready]");
    return page;
  };
  const close = async () => {
    await browser.close();
    stop();
    rmSync(profile, { recursive: true, force: true });
  };
  return { visit, close, problems };
}

/** Returns the results that the page shows, as the numbers of `--json`: each as a flat list. */
export function shownResults(page) {
  return page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".result")].map(result =>
    [result.dataset.result, [...result.querySelectorAll("td")].map(cell => cell.title)])));
}

/** Returns results of `--json` in the form of `shownResults`. */
export function flat(object) {
  const text = value => value === "NaN" ? "nan" : value === "Infinity" ? "inf" : value === "-Infinity" ? "-inf"
    : Object.is(value, -0) ? "-0" : String(value);
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, [value].flat(Infinity).map(text)]));
}

/** Does something that changes the inputs, and waits until the page has computed and drawn. */
export async function recompute(page, action) {
  const before = await page.evaluate(() => +document.body.dataset.computed);
  await action();
  await page.waitForFunction(count => +document.body.dataset.computed > count, before);
}
