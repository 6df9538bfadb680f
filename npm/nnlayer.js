#!/usr/bin/env node
// Runs the nnlayer program with the arguments and streams of this process, and ends as it does.
"use strict";

const { spawn } = require("node:child_process");

let program;
try {
  ({ program } = require("./index.js"));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(2);
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`error: ${error.message}`);
  process.exit(2);
});
// A terminal sends Ctrl-C to both; another process may send it to this one only.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (status, signal) => {
  if (signal === null) process.exit(status);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
