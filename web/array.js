// Arrays of cells: a shape, and in row-major order the text of each entry as a person typed it.

/** Returns the number of entries of a shape. */
export const sizeOf = shape => shape.reduce((product, length) => product * length, 1);

/** Returns an array of one text in every entry. */
export const filled = (shape, text) => ({ shape, data: Array(sizeOf(shape)).fill(text) });

/** Returns the index of an entry, counted row by row. */
export function indexOf(shape, position) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(position % shape[axis]);
    position = Math.floor(position / shape[axis]);
  }
  return index;
}

/** Returns the position of an index in row-major order. */
export const positionOf = (shape, index) => index.reduce((position, i, axis) => position * shape[axis] + i, 0);

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** Returns the JSON of an entry. What is no number stays a string, which nnlayer refuses with the place of the entry. */
export function entryToJson(text) {
  const entry = text.normalize("NFKC").replaceAll("−", "-").trim();
  if (entry === "") return "null";
  if (NUMBER.test(entry) || entry === "true" || entry === "false") return entry;
  const word = entry.toLowerCase().replace(/^\+/, "");
  if (/^-?(inf|infinity|∞)$/.test(word)) return word.startsWith("-") ? '"-Infinity"' : '"Infinity"';
  if (word === "nan") return '"NaN"';
  return /^[+-]?[\d.]/.test(entry) && Number.isFinite(Number(entry)) ? String(Number(entry)) : JSON.stringify(entry);
}

/** Returns an array as JSON that nnlayer reads. */
export function toJson({ shape, data }) {
  if (shape.includes(0)) return shape.length === 1 ? "[]" : JSON.stringify({ shape, data: [] });
  const entries = data.map(entryToJson);
  const nest = (axis, from) => {
    if (axis === shape.length) return entries[from];
    const stride = sizeOf(shape.slice(axis + 1));
    return `[${Array.from({ length: shape[axis] }, (_, i) => nest(axis + 1, from + i * stride)).join(",")}]`;
  };
  return nest(0, 0);
}

/** Returns the value of an entry as a double; NaN if it is no number. */
export function entryToNumber(text) {
  const json = entryToJson(text);
  if (json === "true" || json === "false") return json === "true" ? 1 : 0;
  return numberOf(JSON.parse(json) ?? NaN);
}

/** Returns a number of nnlayer's JSON, in which numbers that are not finite are strings. */
export const numberOf = value => typeof value === "number" ? value : Number(value);

/** Returns a double with the fewest digits that are read back as it. */
export const numberToText = value => Object.is(value, -0) ? "-0" : Number.isFinite(value) ? String(value)
  : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";

/** Returns a double with six significant digits. */
export const shortNumber = value => Number.isInteger(value) && Math.abs(value) < 1e16 ? numberToText(value)
  : numberToText(Number(value.toPrecision(6)));

/** Returns the array of nested lists whose innermost entries `text` turns into texts. */
function fromNested(nested, text) {
  const shape = [];
  for (let level = nested; Array.isArray(level); level = level[0]) shape.push(level.length);
  const data = [];
  const collect = (level, axis) => {
    if (axis === shape.length) {
      if (Array.isArray(level)) throw new RangeError("ragged");
      data.push(text(level));
    } else if (!Array.isArray(level) || level.length !== shape[axis]) {
      throw new RangeError("ragged");
    } else {
      level.forEach(part => collect(part, axis + 1));
    }
  };
  collect(nested, 0);
  return { shape, data };
}

/** Returns a result of nnlayer's JSON. */
export function fromResult(value) {
  if (value && typeof value === "object" && !Array.isArray(value)) return { shape: value.shape, data: [] };
  return fromNested(value, entry => numberToText(numberOf(entry)));
}

/**
 * Reads an array as a person writes it: nested brackets; rows that end with a semicolon or a line, with commas, tabs or blanks
 * between entries; or one number. Throws a RangeError if rows have unequal lengths.
 */
export function parse(text) {
  text = text.trim();
  if (text.startsWith("{")) {
    const { shape, data } = JSON.parse(text);
    const entries = fromNested(data, numberToJsonText).data;
    if (sizeOf(shape) !== entries.length) throw new RangeError("ragged");
    return { shape, data: entries };
  }
  if (text.startsWith("[")) {
    // The entries stay as they are written, with all their digits.
    const quoted = text.replace(/"[^"]*"|[^[\],\s"]+/g, entry => JSON.stringify(entry.replace(/^"|"$/g, "")));
    return fromNested(JSON.parse(quoted), entry => entry);
  }
  const isTable = /[;\n\t]/.test(text);
  const rows = text.replace(/;\s*$/, "").split(/;|\r?\n/).map(splitRow).filter(row => row.length > 0);
  if (rows.length === 0) return { shape: [0], data: [] };
  if (rows.some(row => row.length !== rows[0].length)) throw new RangeError("ragged");
  if (isTable) return { shape: [rows.length, rows[0].length], data: rows.flat() };
  return rows[0].length === 1 ? { shape: [], data: rows[0] } : { shape: [rows[0].length], data: rows[0] };
}

const numberToJsonText = value => typeof value === "number" ? numberToText(value) : String(value);

function splitRow(row) {
  const separator = row.includes("\t") ? "\t" : row.includes(",") ? "," : /\s+/;
  return row.trim() === "" ? [] : (separator === "\t" ? row : row.trim()).split(separator).map(entry => entry.trim());
}

/** Returns the array in another shape: entries keep their index, and new ones are 0. */
export function resize({ shape, data }, newShape) {
  const resized = filled(newShape, "0");
  // Axes are aligned at the last one, as in broadcasting.
  const rank = Math.max(shape.length, newShape.length);
  const pad = lengths => [...Array(rank - lengths.length).fill(1), ...lengths];
  const [from, to] = [pad(shape), pad(newShape)];
  resized.data.forEach((_, position) => {
    const index = indexOf(to, position);
    if (index.every((i, axis) => i < from[axis])) resized.data[position] = data[positionOf(from, index)];
  });
  return resized;
}

/** Returns the array with its entries in another order of shape, if their number is the same; otherwise resized. */
export const reshape = (array, shape) => sizeOf(shape) === sizeOf(array.shape) && shape.length !== array.shape.length
  ? { shape, data: array.data } : resize(array, shape);

/** Reads a shape such as `2×3`, `2,3` or `2 x 3`; undefined if it is none. An empty text is the shape of one number. */
export function parseShape(text) {
  const words = text.normalize("NFKC").trim().replace(/[()[\]]/g, "").split(/\s*[×xX*,\s]\s*/).filter(word => word !== "");
  const shape = words.map(Number);
  const isShape = shape.length <= 8 && shape.every(length => Number.isInteger(length) && length >= 0);
  return isShape && sizeOf(shape) <= 1_000_000 ? shape : undefined;
}

export const shapeToText = shape => shape.join("×");

/** Returns rows of a table separated by tabs, as spreadsheets copy and paste them. */
export function toTable({ shape, data }) {
  const columns = shape.length === 0 ? 1 : shape.at(-1);
  const rows = [];
  for (let at = 0; columns > 0 && at < data.length; at += columns) rows.push(data.slice(at, at + columns).join("\t"));
  return rows.join("\n");
}
