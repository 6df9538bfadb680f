// The program as WebAssembly writes the same bytes as the native one.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { FOLDER, PROGRAM, nnlayer } from "./browser.js";
import { run } from "../worker.js";

const options = { skip: FOLDER ? false : "PAGE names no folder with nnlayer.wasm.gz" };

const compiled = () => WebAssembly.compile(gunzipSync(readFileSync(join(FOLDER, "nnlayer.wasm.gz"))));

/** Runs the native program; returns the same as the one in the worker. */
function native(argv) {
  const folder = mkdtempSync(join(tmpdir(), "nnlayer-"));
  const { stdout, stderr, status } = spawnSync(PROGRAM, argv, { cwd: folder, encoding: "utf8", input: "" });
  const files = argv.includes("--graph=graph.svg") && status === 0 ? { "graph.svg": readFileSync(join(folder, "graph.svg"), "utf8") } : {};
  rmSync(folder, { recursive: true });
  return { stdout, stderr, status, files };
}

test("every example of every layer: results, graph, steps and check", options, async () => {
  const module = await compiled();
  for (const { name, examples } of JSON.parse(nnlayer("layers")).layers) {
    for (const example of examples) {
      const words = [...example.matchAll(/'([^']*)'|(\S+)/g)].map(match => match[1] ?? match[2]).slice(1);
      const only = words.indexOf("--only");
      if (only > 0) words.splice(only, 2);
      const argv = words.filter(word => word !== "--json" && word !== "--forward");
      const modes = [["--json"], [], ["--graph=graph.svg"], ["--steps"], ["--check", "--json"], ["--precision=exact", "--json"], ["--precision=bf16", "--json"]];
      for (const mode of modes) {
        assert.deepEqual(await run(module, [...argv, ...mode], {}), native([...argv, ...mode]), `${name} ${argv.join(" ")} ${mode}`);
      }
    }
  }
});

test("errors, help, files and texts beyond ASCII", options, async () => {
  const module = await compiled();
  const lines = [["softmax", "--x", "1,é"], ["affine", "--help"], ["--help"], ["softmx"], ["relu"], ["affine", "--x", "1,2", "--w", "1;2;3"],
    ["softmax", "--x", "1,2", "--axis", "七"], ["conv2d", "--x", "[[[1,2]]]", "--w", "[[[[1]]]]", "--error-format", "json", "--groups", "2"]];
  for (const argv of lines) assert.deepEqual(await run(module, argv, {}), native(argv), argv.join(" "));
  const [x, w] = ["[[1,2],[3,4]]", "[[1,0],[0,1]]"];
  const { stdout } = await run(module, ["affine", "--x", "x.json", "--w", "w.json", "--json"], { "x.json": x, "w.json": w });
  assert.equal(stdout, nnlayer("affine", "--x", x, "--w", w, "--json"));
  const { files } = await run(module, ["relu", "--x", "1,-2", "--out", "out.json"], {});
  assert.deepEqual(JSON.parse(files["out.json"]), { y: [1, 0], dx: [1, 0] });
});

test("a matrix product of many rows, whose work other platforms spread over threads", options, async () => {
  const module = await compiled();
  const row = n => Array.from({ length: 64 }, (_, i) => ((n * 31 + i * 17) % 101 - 50) / 8);
  const [x, w] = [200, 64].map(rows => JSON.stringify(Array.from({ length: rows }, (_, n) => row(n))));
  const argv = ["affine", "--x", "x.json", "--w", "w.json", "--json"];
  const { stdout } = await run(module, argv, { "x.json": x, "w.json": w });
  const expected = spawnSync(PROGRAM, ["affine", "--x", x, "--w", w, "--json"], { encoding: "utf8", maxBuffer: 1 << 26 }).stdout;
  assert.ok(stdout === expected);
});
