// The path of the nnlayer program, which is in the package of this platform.
"use strict";

const platform = `@nnlayer/${process.platform}-${process.arch}`;

try {
  exports.program = require.resolve(`${platform}/nnlayer${process.platform === "win32" ? ".exe" : ""}`);
} catch {
  throw new Error(
    `nnlayer: the package ${platform} is not installed: npm was told to omit optional dependencies, or there is no program for ` +
      "this platform (cargo install nnlayer --locked builds one)",
  );
}
