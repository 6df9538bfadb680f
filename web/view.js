// Shows what the program computes: results, steps, the report of a check, and messages.

import { fromResult, indexOf, numberOf, numberToText, shapeToText, shortNumber, sizeOf, toTable } from "./array.js";
import { element } from "./dom.js";
import { say } from "./words.js";

/** Largest number of rows, of columns and of matrices that are shown of a result. */
const [MAX_ROWS, MAX_COLUMNS, MAX_SLICES] = [24, 24, 12];

/** Copies a text, and says so. */
export async function copy(text, announce) {
  await navigator.clipboard.writeText(text);
  announce(say("copied"));
}

const digitsOf = allDigits => text => allDigits ? text : shortNumber(Number(text.replace("inf", "Infinity")));

/** Returns an element for each result. `formulas` has those of the layer, by name. */
export function results(object, formulas, allDigits, announce) {
  return Object.entries(object).map(([name, value]) => {
    const array = fromResult(value);
    const formula = formulas.get(name);
    const shape = array.shape.length === 0 ? "" : `(${shapeToText(array.shape)})`;
    const label = element("h3", {}, element("var", {}, name), formula ? ` = ${formula}` : "", " ", element("span", { class: "hint" }, shape));
    const button = element("button", {
      type: "button", class: "copy", "aria-label": say("copyOf", name), onclick: () => copy(toTable(array), announce),
    }, say("copy"));
    return element("div", { class: "result", "data-result": name }, element("div", { class: "heading" }, label, button),
      ...tables(name, array, digitsOf(allDigits)));
  });
}

function tables(name, array, digits) {
  const { shape } = array;
  if (shape.includes(0)) return [element("p", { class: "hint" }, say("noEntries"))];
  const matrix = shape.slice(-2);
  const [rows, columns] = [matrix.length === 2 ? matrix[0] : 1, matrix.at(-1) ?? 1];
  const slices = sizeOf(shape.slice(0, -2));
  const drawn = Array.from({ length: Math.min(slices, MAX_SLICES) }, (_, slice) => {
    const index = indexOf(shape.slice(0, -2), slice);
    const caption = element("caption", { class: shape.length > 2 ? "" : "hidden" },
      shape.length > 2 ? say("sliceOf", name, index.join(", ")) : name);
    const cell = (row, column) => {
      const text = array.data[(slice * rows + row) * columns + column];
      return element("td", { title: text }, digits(text));
    };
    const body = Array.from({ length: Math.min(rows, MAX_ROWS) }, (_, row) =>
      element("tr", {}, ...Array.from({ length: Math.min(columns, MAX_COLUMNS) }, (_, column) => cell(row, column))));
    return element("table", { class: "numbers" }, caption, element("tbody", {}, ...body));
  });
  const parts = [element("div", { class: "slices" }, ...drawn)];
  if (rows > MAX_ROWS || columns > MAX_COLUMNS || slices > MAX_SLICES) parts.push(element("p", { class: "hint" }, say("more")));
  return parts;
}

/** Returns the steps of each result, from `--steps --json`, with texts of the program in the language of the page. */
export function steps({ steps: list }, allDigits, inLanguage) {
  const digits = digitsOf(allDigits);
  return list.map(section => {
    const names = Object.entries(section.names).map(([name, meaning]) => `${name} = ${inLanguage(meaning)}`).join(", ");
    const rows = section.steps.map(step => {
      const label = step.name + (step.index.length > 0 ? `[${step.index.join(",")}]` : "");
      const value = digits(numberToText(numberOf(step.value)));
      return element("tr", {}, element("th", { scope: "row" }, label),
        element("td", { class: "arithmetic" }, step.arithmetic ? `= ${step.arithmetic}` : ""), element("td", {}, `= ${value}`));
    });
    const caption = element("caption", {}, element("var", {}, section.result), ` = ${inLanguage(section.formula)}`,
      names && element("span", { class: "hint" }, `  ${names}`));
    const table = element("table", { class: "arithmetics" }, caption, element("tbody", {}, ...rows));
    const rest = section.left_out > 0 ? element("p", { class: "hint" }, say("leftOut", section.left_out)) : "";
    return element("div", {}, table, rest);
  });
}

const SIGNS = { PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?" };

/** Returns the report of a check, from `--check --json` and `--check`. */
export function verdict({ report, text }) {
  const names = report.findings.map(({ result }) => result);
  const sentence = say({ PASS: "passed", FAIL: "didNotPass", INCONCLUSIVE: "undecided" }[report.verdict], [...new Set(names)].join(", "));
  const number = value => value === undefined || value === null ? "" : shortNumber(numberOf(value));
  const rows = report.findings.map(({ result, verdict: one, checked, worst, shape }) => element("tr", {},
    element("th", { scope: "row" }, result), element("td", { class: one }, `${SIGNS[one] ?? ""} ${say(one) ?? one}`),
    element("td", {}, `${checked} / ${sizeOf(shape)}`), element("td", {}, worst ? `[${worst.index.join(", ")}]` : ""),
    element("td", {}, number(worst?.analytic)), element("td", {}, number(worst?.numeric)), element("td", {}, number(worst?.allowed))));
  const heads = ["gradient", "verdict", "entries", "worst", "analytic", "numeric", "allowed"];
  return [
    element("p", { class: `badge ${report.verdict}` }, element("strong", {}, `${SIGNS[report.verdict]} ${say(report.verdict)}`), ` ${sentence}`),
    element("details", {}, element("summary", {}, say("report")),
      element("table", { class: "numbers" }, element("thead", {}, element("tr", {}, ...heads.map(word => element("th", { scope: "col" }, say(word))))),
        element("tbody", {}, ...rows)),
      element("pre", { tabindex: 0 }, text.trimEnd())),
  ];
}

/** Returns the messages of standard error in the form of `--error-format json`, each as an object with `kind`. */
export function messages(stderr) {
  return stderr.split("\n").filter(line => line.trim() !== "").map(line => {
    try {
      const object = JSON.parse(line);
      const kind = "error" in object ? "error" : "warning";
      const message = object[kind] ?? Object.values(object)[0];
      const index = message.index ?? (message.pointer ? message.pointer.split("/").slice(1).map(Number) : undefined);
      return { ...message, kind, index };
    } catch {
      return { kind: "error", message: line };
    }
  });
}

/** Returns an element for a message of the program. */
export function message({ kind, option, message: text, tip, facts, index }) {
  const place = `${option ?? ""}${index ? `[${index.join(", ")}]` : ""}`;
  return element("div", { class: kind },
    element("p", {}, element("strong", {}, say(kind)), " ", element("span", { lang: "en" }, place ? `${place}: ${text}` : text)),
    ...(facts ?? []).map(fact => element("p", { lang: "en" }, String(fact))),
    tip ? element("p", {}, `${say("tip")}: `, element("span", { lang: "en" }, tip)) : "");
}

/** Returns the course of gradient descent: a table of the last steps, and a line chart. */
export function history(values) {
  if (values.length === 0) return [];
  const shown = values.map((value, step) => ({ step, value })).slice(-6).reverse();
  const rows = shown.map(({ step, value }) => element("tr", {}, element("th", { scope: "row" }, String(step)),
    element("td", { title: numberToText(value) }, shortNumber(value)),
    element("td", {}, step > 0 ? shortNumber(value - values[step - 1]) : "")));
  const heads = ["step", "loss", "change"].map((word, n) => element("th", { scope: "col" }, n === 0 ? "#" : say(word)));
  const table = element("table", { class: "numbers" }, element("caption", {}, say("history")),
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const x = n => values.length < 2 ? 2 : 2 + n * 196 / (values.length - 1);
  const y = value => high === low ? 25 : 46 - (value - low) * 42 / (high - low);
  const points = values.map((value, n) => Number.isFinite(value) ? `${x(n).toFixed(1)},${y(value).toFixed(1)}` : "").join(" ");
  const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  chart.setAttribute("viewBox", "0 0 200 50");
  chart.setAttribute("class", "chart");
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", say("lossNow", values.length - 1, shortNumber(values.at(-1))));
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points);
  chart.append(line);
  return [chart, table];
}
