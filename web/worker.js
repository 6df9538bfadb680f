// Runs nnlayer in a worker: each message is a command line, and the answer is what it has written and its exit status.

import { ConsoleStdout, File, OpenFile, PreopenDirectory, WASI, wasi as definitions } from "./vendor/browser_wasi_shim/index.js";

let loading;

/** Returns the compiled program, which the page keeps for a worker that takes over. */
async function load() {
  const answer = await fetch(new URL("nnlayer.wasm.gz", import.meta.url));
  if (!answer.ok) throw new Error(`nnlayer.wasm.gz: ${answer.status}`);
  const bytes = answer.body.pipeThrough(new DecompressionStream("gzip"));
  return WebAssembly.compileStreaming(new Response(bytes, { headers: { "content-type": "application/wasm" } }));
}

/** Collects the bytes of an output stream. */
class Collected extends ConsoleStdout {
  constructor() {
    const parts = [];
    super(bytes => parts.push(bytes.slice()));
    this.parts = parts;
  }

  /** No terminal: data has no colours, and help is as wide as everywhere without one. */
  fd_fdstat_get() {
    return { ret: 0, fdstat: new definitions.Fdstat(definitions.FILETYPE_REGULAR_FILE, 0) };
  }

  text() {
    const decoder = new TextDecoder();
    return this.parts.map(part => decoder.decode(part, { stream: true })).join("") + decoder.decode();
  }
}

/** Runs one command line with files of text in the current directory. */
export async function run(module, argv, files) {
  const folder = new Map(Object.entries(files).map(([name, text]) => [name, new File(new TextEncoder().encode(text))]));
  const [stdout, stderr] = [new Collected(), new Collected()];
  const args = ["nnlayer", ...argv];
  const wasi = new WASI(args, [], [new OpenFile(new File([])), stdout, stderr, new PreopenDirectory(".", folder)], { debug: false });
  // The shim counts characters where the interface counts bytes.
  wasi.wasiImport.args_sizes_get = (count, size) => {
    const view = new DataView(wasi.inst.exports.memory.buffer);
    view.setUint32(count, args.length, true);
    view.setUint32(size, args.reduce((sum, arg) => sum + new TextEncoder().encode(arg).length + 1, 0), true);
    return 0;
  };
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
  let status;
  try {
    status = wasi.start(instance);
  } catch (error) {
    // A trap: out of memory or stack.
    return { stdout: "", stderr: stderr.text() || String(error), status: 134, files: {} };
  }
  const written = [...folder].filter(([name, file]) => !(name in files) && file instanceof File);
  const texts = written.map(([name, file]) => [name, new TextDecoder().decode(file.data)]);
  return { stdout: stdout.text(), stderr: stderr.text(), status, files: Object.fromEntries(texts) };
}

if (typeof self !== "undefined" && typeof self.postMessage === "function") {
  self.onmessage = async ({ data: { id, module, argv, files } }) => {
    try {
      if (module) loading = Promise.resolve(module);
      const compiled = await (loading ??= load());
      if (argv) self.postMessage({ id, ...await run(compiled, argv, files ?? {}) });
      else self.postMessage({ id, module: compiled });
    } catch (error) {
      self.postMessage({ id, failure: String(error) });
    }
  };
}
