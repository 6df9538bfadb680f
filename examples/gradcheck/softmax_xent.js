// Softmax with cross-entropy, loss = -Σ t·log softmax(x), as a program for
//
//     nnlayer gradcheck --layer softmax-xent ... -- node softmax_xent.js

const sum = (row) => row.reduce((a, b) => a + b, 0);

function softmax(row) {
  const largest = Math.max(...row);
  const powers = row.map((v) => Math.exp(v - largest));
  const total = sum(powers);
  return { y: powers.map((p) => p / total), logSum: largest + Math.log(total) };
}

function answer(point, reduction) {
  const { x, t } = point.inputs;
  const single = !Array.isArray(x[0]); // a vector is one sample
  const rows = single ? [x] : x;
  // Targets with one axis less are class indices.
  const targets = (single ? [t] : t).map((t, n) => (Array.isArray(t) ? t : rows[n].map((_, k) => (k === t ? 1 : 0))));

  const ys = [];
  const losses = rows.map((row, n) => {
    const { y, logSum } = softmax(row);
    ys.push(y);
    return sum(targets[n].map((p, k) => (p === 0 ? 0 : p * (logSum - row[k]))));
  });
  const divisor = reduction === "mean" ? rows.length : 1;
  const loss = reduction === "none" && !single ? losses : sum(losses) / divisor;
  const reply = { outputs: { y: single ? ys[0] : ys, loss } };

  if (point.dout !== undefined) {
    const scale = (n) => (Array.isArray(point.dout) ? point.dout[n] : point.dout) / divisor;
    const dx = ys.map((y, n) => y.map((p, k) => scale(n) * (p * sum(targets[n]) - targets[n][k])));
    reply.gradients = { dx: single ? dx[0] : dx };
  }
  return reply;
}

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { settings, points } = JSON.parse(line);
  const unknown = Object.keys(settings).filter((name) => !["reduction", "t-kind"].includes(name));
  if (unknown.length > 0) {
    console.error(`this program does not know ${unknown.join(", ")}`);
    process.exit(1);
  }
  const replies = points.map((point) => answer(point, settings.reduction ?? "sum"));
  process.stdout.write(JSON.stringify({ points: replies }) + "\n");
});
