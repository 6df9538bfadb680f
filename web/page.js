// The page: a layer with its operands and settings, and what nnlayer computes of it.

import { entryToNumber, filled, fromResult, numberToText, parse, shortNumber, toJson } from "./array.js";
import { Backend } from "./backend.js";
import { CellEditor } from "./cells.js";
import { at, element } from "./dom.js";
import { GraphView } from "./graph.js";
import { translate } from "./layers.ja.js";
import * as view from "./view.js";
import { currentLanguage, say, setLanguage } from "./words.js";

/** Time without a change after which results are computed, and time after which a command is ended for a later one. */
const [PAUSE_MILLISECONDS, SLOW_MILLISECONDS] = [120, 1500];

const MAX_LINK_CHARACTERS = 30_000;

/** Status of a program that has not ended by itself. */
const ABORTED = 134;

const backend = new Backend();
const graph = new GraphView(at("graph"));

let layers, precisions;

/** What a person has chosen. `operands` has those that are given; `dout` is among them. */
const state = { layer: undefined, operands: new Map(), settings: new Map(), precision: "", level: "auto", learnt: new Set() };

/** What the program has last returned: results, steps, the report of a check, the course of L, and what the graph is of. */
const shown = { object: undefined, steps: undefined, check: undefined, history: [], graphKind: undefined, pictured: undefined };

const editors = new Map();

const DOUT = "dout";

const announce = text => { at("status").textContent = text; };

/** Returns all operands of a layer, with the upstream gradient. */
const operandsOf = layer => [...layer.operands, {
  name: DOUT, role: "upstream", optional: true, values: "numbers", gradient: null, shape: "",
  about: say(layer.output === "loss" ? "upstreamLoss" : "upstream"),
}];

// Command lines

/** Splits a command of an example into words, of which some are in single quotes. */
const words = command => [...command.matchAll(/'([^']*)'|(\S+)/g)].map(match => match[1] ?? match[2]);

/** Takes operands and settings from the command of an example; options of output are left out. */
function takeExample(command) {
  const layer = state.layer;
  const list = words(command).slice(2);
  state.operands = new Map();
  state.settings = new Map();
  state.precision = "";
  for (let n = 0; n < list.length; n++) {
    const name = list[n].replace(/^--/, "");
    const setting = layer.settings.find(known => known.name === name);
    const isOperand = operandsOf(layer).some(known => known.name === name);
    if (setting?.kind === "flag") state.settings.set(name, "true");
    else if (setting) state.settings.set(name, list[++n]);
    else if (isOperand) state.operands.set(name, parse(list[++n]));
    else if (name === "precision") state.precision = list[++n];
    else if (!list[n + 1]?.startsWith("--")) n++;
  }
  resetLearnt();
}

/** Returns the options of the layer as they are now. */
function options() {
  const { layer, operands, settings, precision } = state;
  const given = operandsOf(layer).filter(({ name }) => operands.has(name));
  return [layer.name, ...given.map(({ name }) => `--${name}=${toJson(operands.get(name))}`), ...settingOptions(settings, layer),
    ...(precision ? [`--precision=${precision}`] : [])];
}

const settingOptions = (settings, layer) => [...settings].map(([name, text]) =>
  layer.settings.find(known => known.name === name).kind === "flag" ? `--${name}` : `--${name}=${text}`);

/** Returns an option as a person writes it in a shell. */
function inShell(option) {
  const [, name, value] = /^(--[^=]*)(?:=(.*))?$/s.exec(option) ?? [, option];
  if (value === undefined) return name;
  return `${name} ${/^[\w.,:+-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`}`;
}

// The link

/** Keeps layer, inputs and settings in the address. */
function keepLink() {
  const link = new URLSearchParams({ layer: state.layer.name });
  for (const [name, array] of state.operands) link.set(name, toJson(array));
  for (const [name, text] of state.settings) link.set(name, text);
  if (state.precision) link.set("precision", state.precision);
  link.set("lang", currentLanguage());
  // The characters of arrays are allowed after #.
  const text = link.toString().replaceAll("%5B", "[").replaceAll("%5D", "]").replaceAll("%2C", ",").replaceAll("%22", '"');
  // Browsers and mail programs cut or refuse longer ones.
  const isLong = text.length > MAX_LINK_CHARACTERS;
  at("copy-link").disabled = isLong;
  history.replaceState(null, "", isLong ? `#layer=${state.layer.name}&lang=${currentLanguage()}` : `#${text}`);
}

/** Takes layer, inputs and settings from the address; returns false if it has none. */
function takeLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  if (link.has("lang")) setLanguage(link.get("lang"));
  const layer = layers.find(known => known.name === link.get("layer"));
  if (!layer) return false;
  state.layer = layer;
  state.operands = new Map();
  state.settings = new Map();
  state.precision = precisions.includes(link.get("precision")) ? link.get("precision") : "";
  for (const { name } of operandsOf(layer)) {
    try {
      if (link.has(name)) state.operands.set(name, parse(link.get(name)));
    } catch {
      state.operands.set(name, { shape: [0], data: [] });
    }
  }
  for (const { name } of layer.settings) if (link.has(name)) state.settings.set(name, link.get(name));
  if (state.operands.size === 0) takeExample(layer.examples[0]);
  resetLearnt();
  return true;
}

// The form

function showLayer() {
  const { layer } = state;
  at("layer").value = layer.name;
  document.title = `${layer.name} – nnlayer`;
  at("about").replaceChildren(...translated(layer.about));
  at("example").replaceChildren(...layer.examples.map((command, n) => element("option", { value: n }, command.replace(/^nnlayer \S+ /, ""))));
  at("example-label").hidden = layer.examples.length < 2;
  showOperands();
  showSettings();
  showLearnt();
  at("elsewhere").replaceChildren(...elsewhere(layer));
}

/** Returns a text of the program in the language of the page, or as it is. */
const inLanguage = text => currentLanguage() === "ja" ? translate(text) ?? text : text;

/** Returns a text of the program in the language of the page, or marked as English. */
const translated = text => [currentLanguage() === "ja" && translate(text) === undefined ? element("span", { lang: "en" }, text) : inLanguage(text)];

const elsewhere = layer => layer.elsewhere.length === 0 ? [] : [say("elsewhere"),
  ...layer.elsewhere.flatMap(({ library, call, options }) => [" ", library, " ", element("code", {}, call), options ? element("code", {}, ` (${options})`) : "", ";"])]
  .slice(0, -1);

function showOperands() {
  editors.clear();
  at("operands").replaceChildren(...operandsOf(state.layer).map(operand => {
    const { name } = operand;
    const isGiven = state.operands.has(name);
    if (!isGiven && !operand.optional) state.operands.set(name, defaultArray(operand));
    const legend = element("legend", {}, element("var", {}, name), operand.shape ? " " : "", ...translated(operand.shape));
    const use = operand.optional ? element("label", { class: "choice" }, element("input", {
      type: "checkbox", "aria-label": say("useOf", name), onchange: event => useOperand(operand, event.target.checked), ...(isGiven ? { checked: true } : {}),
    }), say("use")) : "";
    const about = element("p", { class: "hint" }, ...translated(operand.about));
    const box = element("fieldset", { class: "operand", "data-operand": name }, legend, use, about);
    if (state.operands.has(name)) box.append(editor(name).root);
    return box;
  }));
}

function editor(name) {
  const created = new CellEditor(name, state.operands.get(name), () => {
    state.operands.set(name, created.array);
    startAgain();
    changed();
  });
  editors.set(name, created);
  return created;
}

function useOperand(operand, isUsed) {
  if (isUsed) state.operands.set(operand.name, defaultArray(operand)); else state.operands.delete(operand.name);
  showOperands();
  showLearnt();
  at("operands").querySelector(`[data-operand="${operand.name}"] input`).focus();
  changed();
}

/** Returns an array for an operand that was not given: its shape follows from the letters of the others' shapes. */
function defaultArray(operand) {
  if (operand.name === DOUT) return filled(shown.object ? fromResult(shown.object[state.layer.output] ?? 0).shape : [], "1");
  const lengths = new Map();
  const axes = shape => /^\(([^)]*)\)/.exec(shape)?.[1].split("×") ?? [];
  for (const other of state.layer.operands) {
    const shape = state.operands.get(other.name)?.shape;
    const letters = axes(other.shape);
    if (shape && letters.length === shape.length) letters.forEach((letter, axis) => lengths.set(letter, shape[axis]));
  }
  const letters = axes(operand.shape);
  const copied = /^as (\w+)/.exec(operand.shape)?.[1];
  const shape = copied && state.operands.has(copied) ? state.operands.get(copied).shape
    : letters.length > 0 && letters.every(letter => lengths.has(letter)) ? letters.map(letter => lengths.get(letter)) : [];
  return filled(shape, operand.values === "indices" ? "0" : "1");
}

function showSettings() {
  const { layer } = state;
  const rows = layer.settings.map(setting => {
    const id = `setting-${setting.name}`;
    const short = beginning(setting.about);
    const set = event => {
      const text = setting.kind === "flag" ? (event.target.checked ? "true" : "") : event.target.value.normalize("NFKC").trim();
      if (text === "") state.settings.delete(setting.name); else state.settings.set(setting.name, text);
      startAgain();
      changed();
    };
    return element("div", { class: "setting" }, element("label", { for: id }, setting.name), settingField(setting, id, set),
      element("p", { class: "hint", id: `${id}-about`, title: short === setting.about ? undefined : setting.about }, ...translated(short)));
  });
  const set = event => { state.precision = event.target.value; startAgain(); changed(); };
  const choices = [element("option", { value: "" }, say("byDefault")), ...precisions.map(name => element("option", { value: name }, name))];
  const precision = element("select", { id: "precision", onchange: set }, ...choices);
  precision.value = state.precision;
  at("settings").replaceChildren(...rows,
    element("div", { class: "setting" }, element("label", { for: "precision" }, say("precision")), precision));
}

/** Returns a text up to its first semicolon, as a summary of the help has it. */
function beginning(text) {
  const short = text.split("; ")[0];
  return short.split("(").length > short.split(")").length ? `${short})` : short;
}

function settingField({ name, kind, words: allowed, about }, id, set) {
  const value = state.settings.get(name) ?? "";
  const common = { id, "aria-describedby": `${id}-about`, onchange: set };
  if (kind === "flag") return element("input", { ...common, type: "checkbox", ...(value ? { checked: true } : {}) });
  if (kind === "choice") {
    const select = element("select", common, element("option", { value: "" }, say("byDefault")),
      ...allowed.map(word => element("option", { value: word }, word)));
    select.value = value;
    return select;
  }
  const placeholder = /default (\S+?)(?:[;,)]|$)/.exec(about)?.[1] ?? "";
  const field = element("input", { ...common, value, placeholder, size: 10, autocomplete: "off", oninput: set,
    ...(allowed.length > 0 ? { list: `${id}-words` } : {}) });
  if (allowed.length === 0) return field;
  return element("span", {}, field, element("datalist", { id: `${id}-words` }, ...allowed.map(word => element("option", { value: word }))));
}

// Gradient descent

/** Returns the operands that can be learnt: those that are given and have a gradient. */
const learnable = () => state.layer.operands.filter(({ name, gradient }) => gradient && state.operands.has(name));

/** Chooses the parameters to be learnt, or the inputs of a layer without parameters. */
function resetLearnt() {
  const parameters = learnable().filter(({ role }) => role === "parameter");
  state.learnt = new Set((parameters.length > 0 ? parameters : learnable()).map(({ name }) => name));
  startAgain();
}

/** Forgets the course of descent, which belongs to other inputs. */
function startAgain() {
  shown.history = [];
  shown.check = undefined;
}

function showLearnt() {
  at("learnt").replaceChildren(...learnable().map(({ name }) => element("label", { class: "choice" }, element("input", {
    type: "checkbox", ...(state.learnt.has(name) ? { checked: true } : {}),
    onchange: event => { if (event.target.checked) state.learnt.add(name); else state.learnt.delete(name); showRule(); },
  }), element("var", {}, name))));
  at("learnt").setAttribute("aria-label", say("descent"));
  showRule();
}

function showRule() {
  const rules = learnable().filter(({ name }) => state.learnt.has(name)).map(({ name, gradient }) => `${name} ← ${name} − ${say("learningRate")} × ${gradient}`);
  at("descent-rule").textContent = learnable().length === 0 ? say("noGradient")
    : `${rules.join(", ")}${rules.length > 0 ? ". " : ""}${say(state.layer.output === "loss" ? "lossOf" : "lossOfSum")}`;
}

/** Returns L: the sum of the output times dout, which is 1 by default. */
function lossOf(object) {
  const output = fromResult(object[state.layer.output]).data.map(entryToNumber);
  const dout = state.operands.get(DOUT)?.data.map(entryToNumber) ?? [1];
  return output.reduce((sum, value, n) => sum + value * dout[n % dout.length], 0);
}

let descent = Promise.resolve();

/** Makes steps of descent, after those that were asked for before. */
const descend = steps => { descent = descent.then(() => makeSteps(steps)); };

async function makeSteps(steps) {
  const rate = entryToNumber(at("rate").value);
  at("rate").toggleAttribute("aria-invalid", Number.isNaN(rate));
  if (Number.isNaN(rate)) return announce(say("rate"));
  for (let step = 0; step < steps; step++) {
    if (!await compute()) return;
    if (shown.history.length === 0) shown.history.push(lossOf(shown.object));
    for (const { name, gradient } of learnable().filter(({ name: known }) => state.learnt.has(known))) {
      const operand = state.operands.get(name);
      const slopes = fromResult(shown.object[gradient]).data;
      // A number as dout of some layers gives local factors, which are no gradients.
      if (slopes.length !== operand.data.length) continue;
      const data = operand.data.map((text, n) => numberToText(entryToNumber(text) - rate * entryToNumber(slopes[n])));
      state.operands.set(name, { shape: operand.shape, data });
      editors.get(name)?.set(state.operands.get(name));
    }
    shown.check = undefined;
    if (!await compute()) return;
    shown.history.push(lossOf(shown.object));
  }
  showHistory();
  announce(say("lossNow", shown.history.length - 1, shortNumber(shown.history.at(-1))));
  showCommand();
  await picture();
  countComputed();
}

const showHistory = () => at("history").replaceChildren(...view.history(shown.history));

// Computing

/** Runs the layer with further options; returns undefined if a later request took its place. */
const run = (kind, more) => backend.run(kind, [...options(), "--error-format=json", ...more])
  .catch(error => ({ status: ABORTED, stdout: "", stderr: error.message, files: {} }));

const messagesOf = ({ status, stderr }) => status === ABORTED ? [{ kind: "error", message: `${say("trap")} ${stderr.slice(0, 300)}` }]
  : view.messages(stderr);

/** Computes results and gradients, and shows them or the error; returns true if there are results. */
async function compute() {
  const slow = setTimeout(() => announce(say("slow")), SLOW_MILLISECONDS);
  const answer = await run("results", ["--json"]);
  clearTimeout(slow);
  if (!answer) return false;
  const messages = messagesOf(answer);
  at("problems").replaceChildren(...messages.map(view.message));
  editors.forEach((shownEditor, name) => shownEditor.mark(messages.find(({ option, index }) => option === `--${name}` && index)?.index));
  document.querySelectorAll(".operand").forEach(box =>
    box.classList.toggle("wrong", messages.some(({ kind, option }) => kind === "error" && option === `--${box.dataset.operand}`)));
  shown.object = answer.status === 0 ? JSON.parse(answer.stdout) : undefined;
  at("check").disabled = !shown.object;
  showResults();
  return shown.object !== undefined;
}

/** Returns the option that makes the program write pictures and verdicts in the language of the page. */
const inPageLanguage = () => currentLanguage() === "en" ? [] : [`--lang=${currentLanguage()}`];

/** Draws the graph and the steps of what was computed. */
async function picture() {
  if (!shown.object) return;
  const level = [...(state.level === "auto" ? [] : [`--level=${state.level}`]), ...inPageLanguage()];
  const [drawn, steps] = await Promise.all([run("graph", ["--graph=graph.svg", ...level]), run("steps", ["--steps", "--json"])]);
  if (drawn) at("graph").hidden = drawn.status !== 0;
  if (drawn?.status === 0) {
    const kind = `${state.layer.name} ${state.level}`;
    graph.show(drawn.files["graph.svg"], kind === shown.graphKind);
    shown.graphKind = kind;
    shown.pictured = state.layer;
  }
  if (steps) shown.steps = steps.status === 0 ? JSON.parse(steps.stdout) : undefined;
  showSteps();
}

function showResults() {
  const formulas = new Map(state.layer.results.map(({ name, formula }) => [name, inLanguage(formula)]));
  at("results").replaceChildren(...view.results(shown.object ?? {}, formulas, at("digits").checked, announce));
  // A picture of earlier numbers stays, dimmed, while a number is being typed.
  at("pictures").hidden = !shown.object && shown.pictured !== state.layer;
  at("pictures").classList.toggle("stale", !shown.object);
  at("pictures").inert = !shown.object;
  if (!shown.check) at("verdict").replaceChildren();
  showHistory();
}

function showSteps() {
  at("steps").replaceChildren(...(shown.steps ? view.steps(shown.steps, at("digits").checked, inLanguage) : []));
}

let timer;

/** Computes again after a change, once a person pauses. */
function changed() {
  clearTimeout(timer);
  timer = setTimeout(refresh, PAUSE_MILLISECONDS);
}

/** Shows the command line of what is chosen, and keeps it in the address. */
function showCommand() {
  keepLink();
  at("command").textContent = ["nnlayer", ...options().map(inShell)].join(" ");
}

async function refresh() {
  backend.endSlow(SLOW_MILLISECONDS);
  showCommand();
  if (await compute()) {
    announce(say("computed", Object.keys(shown.object).join(", ")));
    await picture();
  }
  countComputed();
}

/** Counts what was computed completely, for those that wait for it. */
const countComputed = () => { document.body.dataset.computed = Number(document.body.dataset.computed ?? 0) + 1; };

async function check() {
  at("verdict").textContent = say("checking");
  const checked = options().join(" ");
  const [report, text] = await Promise.all([run("check", ["--check", "--json"]), run("check-text", ["--check", ...inPageLanguage()])]);
  // The verdict of other numbers is none.
  if (!report || !text || checked !== options().join(" ")) return at("verdict").replaceChildren();
  if (report.stdout === "") return at("verdict").replaceChildren(...messagesOf(report).map(view.message));
  shown.check = { report: JSON.parse(report.stdout), text: text.stdout };
  showCheck();
}

const showCheck = () => at("verdict").replaceChildren(...(shown.check ? view.verdict(shown.check) : []));

// Start

function showAll() {
  document.querySelector(`input[name="language"][value="${currentLanguage()}"]`).checked = true;
  at("level").replaceChildren(...Object.entries(say("levels")).map(([value, word]) => element("option", { value }, word)));
  at("level").value = state.level;
  graph.build();
  at("settings-box").open = state.settings.size > 0 || matchMedia("(min-width: 46rem)").matches;
  showLayer();
  showCheck();
  if (shown.object) showResults();
  showSteps();
}

/** Shows the page in another language, and has the program write its texts in it. */
async function changeLanguage(name) {
  setLanguage(name);
  const hasCheck = shown.check !== undefined;
  shown.check = undefined;
  showAll();
  keepLink();
  await picture();
  if (hasCheck) await check();
}

function listen() {
  at("layer").addEventListener("change", event => {
    state.layer = layers.find(({ name }) => name === event.target.value);
    shown.object = shown.steps = undefined;
    takeExample(state.layer.examples[0]);
    showLayer();
    refresh();
  });
  at("example").addEventListener("change", event => {
    takeExample(state.layer.examples[event.target.value]);
    showOperands();
    showSettings();
    showLearnt();
    refresh();
  });
  for (const choice of document.querySelectorAll('input[name="language"]')) {
    choice.addEventListener("change", () => { changeLanguage(choice.value); });
  }
  at("level").addEventListener("change", event => { state.level = event.target.value; picture(); });
  at("digits").addEventListener("change", () => { showResults(); showSteps(); });
  at("check").addEventListener("click", check);
  at("learn").addEventListener("submit", event => { event.preventDefault(); descend(1); });
  at("settings").addEventListener("submit", event => event.preventDefault());
  at("ten-steps").addEventListener("click", () => descend(10));
  at("copy-command").addEventListener("click", () => view.copy(at("command").textContent, announce));
  at("copy-link").addEventListener("click", () => view.copy(location.href, announce));
  addEventListener("hashchange", () => { if (takeLink()) { shown.object = shown.steps = undefined; showAll(); refresh(); } });
}

async function start() {
  setLanguage(navigator.language.startsWith("ja") ? "ja" : "en");
  at("status").textContent = say("loading");
  try {
    await backend.ready;
    ({ layers, precisions } = JSON.parse((await backend.run("layers", ["layers"])).stdout));
  } catch (error) {
    at("problems").replaceChildren(element("p", { class: "error" }, `${say("failed")}: ${error.message}`));
    return;
  }
  at("layer").replaceChildren(...layers.map(({ name }) => element("option", { value: name }, name)));
  if (!takeLink()) {
    state.layer = layers[0];
    takeExample(state.layer.examples[0]);
  }
  listen();
  showAll();
  await refresh();
  document.body.dataset.ready = "true";
}

start();

