// The affine layer y = x·W + b, as a program for
//
//     nnlayer gradcheck --layer affine ... -- node affine.js

const transpose = (matrix) => matrix[0].map((_, k) => matrix.map((row) => row[k]));

const dot = (a, b) => {
  const columns = transpose(b);
  return a.map((row) => columns.map((column) => row.reduce((sum, v, k) => sum + v * column[k], 0)));
};

function answer(point, settings) {
  let { x, w, b } = point.inputs;
  const single = !Array.isArray(x[0]); // a vector is one sample, and its results are vectors
  const rows = single ? [x] : x;
  const outIn = settings["w-layout"] === "out-in";
  if (outIn) w = transpose(w);

  let y = dot(rows, w);
  if (b !== undefined) y = y.map((row) => row.map((v, k) => v + (Array.isArray(b) ? b[k] : b)));
  const reply = { outputs: { y: single ? y[0] : y } };

  if (point.dout !== undefined) { // without dout, no gradients are needed
    const dout = single ? [point.dout] : point.dout;
    const dx = dot(dout, transpose(w));
    const dw = dot(transpose(rows), dout);
    reply.gradients = { dx: single ? dx[0] : dx, dw: outIn ? transpose(dw) : dw };
    if (b !== undefined) reply.gradients.db = transpose(dout).map((column) => column.reduce((sum, v) => sum + v));
  }
  return reply;
}

// One request, or several with --persistent.
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  const points = request.points.map((point) => answer(point, request.settings));
  process.stdout.write(JSON.stringify({ points }) + "\n");
});
