// Sends command lines to the worker, one at a time. A later request of the same kind replaces one that waits.

export class Backend {
  #worker;
  #module;
  #running;
  #waiting = [];
  #nextId = 0;

  constructor() {
    this.#start();
    /** Resolves once the program is compiled. */
    this.ready = new Promise((resolve, reject) => {
      this.#running = { id: 0, resolve: ({ module }) => { this.#module = module ?? null; resolve(); }, reject };
    });
    this.#worker.postMessage({ id: 0 });
  }

  #start() {
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#finish(data);
    this.#worker.onerror = event => this.#finish({ id: this.#running?.id, failure: event.message || "worker.js" });
  }

  #finish(answer) {
    const request = this.#running;
    if (!request || answer.id !== request.id) return;
    this.#running = undefined;
    if (answer.failure) request.reject(new Error(answer.failure)); else request.resolve(answer);
    this.#next();
  }

  #next() {
    if (this.#running || this.#waiting.length === 0) return;
    this.#running = this.#waiting.shift();
    this.#running.started = performance.now();
    const { id, argv, files } = this.#running;
    this.#worker.postMessage({ id, argv, files });
  }

  /** Runs a command line; resolves to its output, or to undefined if a later one of the same kind has replaced it. */
  run(kind, argv, files = {}) {
    return new Promise((resolve, reject) => {
      const replaced = this.#waiting.findIndex(request => request.kind === kind);
      if (replaced >= 0) this.#waiting.splice(replaced, 1)[0].resolve(undefined);
      this.#waiting.push({ id: ++this.#nextId, kind, argv, files, resolve, reject });
      this.#next();
    });
  }

  /** Ends a command that has run for `milliseconds`, and starts another worker for those that wait. */
  endSlow(milliseconds) {
    if (!this.#module && this.#module !== null) return;
    if (!this.#running?.argv || performance.now() - this.#running.started < milliseconds) return;
    const ended = this.#running;
    this.#running = undefined;
    this.#worker.terminate();
    this.#start();
    if (this.#module) this.#worker.postMessage({ id: -1, module: this.#module });
    ended.resolve(undefined);
    this.#next();
  }
}
