// A mean squared error in doubles, checked with test vectors. It needs the JSON files alone:
//   nnlayer vectors mse --out mse
//   node mse.mjs mse
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2];
const read = (file) => JSON.parse(readFileSync(join(folder, file), "utf8"));

// Numbers that are not finite are strings, and an array without entries may be an object with its shape.
const flat = (array) => (array.data ? [] : [array].flat(Infinity).map(Number));
const rows = (array) => (array.shape ? array.shape[0] : Array.isArray(array) ? array.length : 1);

function mse({ inputs, settings, dout }) {
  const [x, t] = [flat(inputs.x), flat(inputs.t)];
  const { reduction = "sum" } = settings;
  const divisor = { mean: x.length, batchmean: rows(inputs.x) }[reduction] ?? 1;
  const squares = x.map((v, n) => (v - t[n]) ** 2);
  const sum = squares.reduce((sum, v) => sum + v, 0);
  const mean = divisor > 0 ? sum / divisor : settings.empty === "zero" ? 0 : NaN;
  const loss = reduction === "none" ? squares : [mean];
  // With none, the upstream gradient has an entry for each entry of x.
  const upstream = flat(dout);
  const dx = x.map((v, n) => (2 * (v - t[n]) * (upstream[n] ?? upstream[0])) / divisor);
  return { loss, dx };
}

const isRight = (value, expected, allowed) =>
  Object.is(value, expected) || value === expected || Math.abs(value - expected) <= allowed;

let [passed, total] = [0, 0];
for (const { name, file } of read("index.json").cases) {
  const vector = read(file);
  const results = mse(vector);
  const expected = { ...vector.outputs, ...vector.gradients };
  const wrong = Object.keys(results).filter((key) => {
    const [right, allowed] = [flat(expected[key]), flat(vector.tolerances.f64[key])];
    return results[key].length !== right.length || !results[key].every((v, n) => isRight(v, right[n], allowed[n]));
  });
  if (wrong.length) console.log(`FAIL ${name}: ${wrong.join(", ")}`);
  passed += wrong.length === 0;
  total += 1;
}
console.log(`${passed} of ${total} cases pass`);
process.exitCode = passed === total ? 0 : 1;
