// A drawn graph: scroll to pan, zoom, and step through the computation forward and back.

import { element } from "./dom.js";
import { say } from "./words.js";

const STYLE = `
svg { display: block; max-width: none; }
.edge { cursor: help; }
.edge:hover .line { stroke-width: 2.6; }
.edge:focus { outline: none; }
.edge:focus .reach { stroke: #8888ff55; }
.edge .reach { fill: none; stroke: transparent; stroke-width: 22; pointer-events: stroke; }
.early > .forward, .early > .none, .late > .backward, .late > .back, .late > .sum, .total.late { visibility: hidden; }
.now circle, .now rect { stroke-width: 3.2; }
.now text { font-weight: bold; }
`;

const [MIN_ZOOM, MAX_ZOOM] = [0.1, 4];
/** Smallest zoom at which texts are still read easily; a graph that does not fit begins with it. */
const MIN_LEGIBLE_ZOOM = 0.7;
const PLAY_MILLISECONDS = 900;

export class GraphView {
  constructor(root) {
    this.root = root;
    this.zoom = 1;
    this.timer = 0;
    this.steps = [];
    this.build();
  }

  /** Builds the controls, in the current language. */
  build() {
    const button = (word, action, label) =>
      element("button", { type: "button", onclick: action, "aria-label": label && say(label) }, label ? word : say(word));
    this.playButton = button("play", () => this.play());
    this.slider = element("input", {
      type: "range", min: 0, value: 0, "aria-label": say("graphStep"), oninput: () => this.go(+this.slider.value),
    });
    const controls = element("div", { class: "tools" },
      button("start", () => this.go(0)), button("back", () => this.go(this.step - 1)), button("next", () => this.go(this.step + 1)),
      this.playButton, this.slider, button("−", () => this.zoomBy(1 / 1.25), "zoomOut"), button("+", () => this.zoomBy(1.25), "zoomIn"),
      button("fit", () => this.fit()));
    this.sentence = element("p", { class: "sentence", role: "status" });
    this.detail = element("p", { class: "detail" }, say("graphHint"));
    this.pane = element("div", { class: "pane", tabindex: 0, role: "region", "aria-label": say("graphRegion") });
    const host = element("div", {});
    this.shadow = host.attachShadow({ mode: "open" });
    this.pane.append(host);
    this.listen();
    this.root.replaceChildren(controls, this.sentence, this.pane, this.detail);
    if (this.svg) this.show(this.svg);
  }

  listen() {
    const { pane } = this;
    let drag;
    pane.addEventListener("pointerdown", event => {
      if (event.button !== 0 || event.pointerType !== "mouse") return;
      drag = { x: event.clientX, y: event.clientY, left: pane.scrollLeft, top: pane.scrollTop };
      pane.setPointerCapture(event.pointerId);
    });
    pane.addEventListener("pointermove", event => {
      if (!drag) return;
      pane.scrollLeft = drag.left + drag.x - event.clientX;
      pane.scrollTop = drag.top + drag.y - event.clientY;
    });
    for (const end of ["pointerup", "pointercancel"]) pane.addEventListener(end, () => { drag = undefined; });
    pane.addEventListener("wheel", event => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 300), event);
    }, { passive: false });
    pane.addEventListener("keydown", event => {
      const edge = this.shadow.activeElement;
      if (edge && ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"].includes(event.key)) {
        event.preventDefault();
        const n = this.edges.findIndex(({ g }) => g === edge) + (["ArrowRight", "ArrowDown"].includes(event.key) ? 1 : -1);
        this.focusEdge(n);
      } else if (["+", "=", "-", "0"].includes(event.key) && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        if (event.key === "0") this.fit(); else this.zoomBy(event.key === "-" ? 1 / 1.25 : 1.25);
      }
    });
  }

  /** Shows a graph that nnlayer has drawn as SVG. Of the same layer, zoom and place stay, and the step where there are as many. */
  show(svg, isSameLayer = true) {
    this.stop();
    const isSameView = isSameLayer && this.svg !== undefined;
    const wasComplete = this.step === this.steps.length - 1;
    const steps = this.steps.length;
    this.svg = svg;
    const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    const drawn = document.importNode(parsed, true);
    this.width = +drawn.getAttribute("width");
    this.height = +drawn.getAttribute("height");
    this.shadow.replaceChildren(element("style", {}, STYLE), drawn);
    this.drawn = drawn;
    this.read(drawn);
    if (isSameView) this.resize(); else this.fit(MIN_LEGIBLE_ZOOM);
    const isSameGraph = isSameView && steps === this.steps.length && !wasComplete;
    this.shown = -1;
    this.display(isSameGraph ? this.step : this.steps.length - 1);
    this.detail.textContent = say("graphHint");
  }

  read(drawn) {
    // A line of a wide graph that is wrapped has two parts.
    const edges = new Map();
    for (const g of drawn.querySelectorAll(".edge")) {
      const { data, parts } = edges.get(g.dataset.edge) ?? { data: { ...g.dataset }, parts: [] };
      edges.set(g.dataset.edge, { data: { ...data, ...g.dataset }, parts: [...parts, g] });
    }
    this.edges = [...edges.values()].map(({ data, parts }) => ({ data, parts, g: parts[0], from: +data.from, to: +data.to }));
    this.nodes = [];
    for (const g of drawn.querySelectorAll(".node[data-node]")) {
      this.nodes[+g.dataset.node] = { g, kind: g.dataset.kind, label: g.dataset.label, meaning: g.querySelector("title")?.textContent };
    }
    this.totals = [...drawn.querySelectorAll(".total")];
    for (const edge of this.edges) {
      edge.title = edge.g.querySelector("title").textContent;
      for (const g of edge.parts) {
        const reach = g.querySelector(".line").cloneNode();
        reach.setAttribute("class", "reach");
        reach.removeAttribute("marker-end");
        g.append(reach);
        g.setAttribute("role", "img");
        g.setAttribute("aria-label", edge.title);
        // The value of one line is enough to be seen; the native tooltip would hide its neighbours.
        g.querySelector("title")?.remove();
        g.addEventListener("pointerenter", () => { this.detail.textContent = edge.title; });
      }
      edge.g.setAttribute("tabindex", "-1");
      edge.g.addEventListener("focus", () => { this.detail.textContent = edge.title; this.moveTabStop(edge.g); });
    }
    if (this.edges.length > 0) this.moveTabStop(this.edges[0].g);
    this.steps = stepsOf(this.nodes, this.edges, this.totals);
    // Each value appears at one step, so that a change of the step touches only those between the two.
    for (const edge of this.edges) edge.forwardAt = edge.backwardAt = this.steps.length - 1;
    this.steps.forEach((step, n) => {
      for (const edge of step.forward) edge.forwardAt = Math.min(edge.forwardAt, n);
      for (const edge of step.backward) edge.backwardAt = Math.min(edge.backwardAt, n);
    });
    this.slider.max = this.steps.length - 1;
  }

  moveTabStop(g) {
    this.tabStop?.setAttribute("tabindex", "-1");
    this.tabStop = g;
    g.setAttribute("tabindex", "0");
  }

  focusEdge(n) {
    const edge = this.edges[Math.max(0, Math.min(this.edges.length - 1, n))];
    edge.g.focus();
    edge.g.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  resize() {
    this.drawn.style.width = `${this.width * this.zoom}px`;
    this.drawn.style.height = `${this.height * this.zoom}px`;
  }

  /** Multiplies the zoom; what is at the pointer, or in the middle, stays there. */
  zoomBy(factor, pointer) {
    if (!this.drawn) return;
    const { pane } = this;
    const box = pane.getBoundingClientRect();
    const [x, y] = pointer ? [pointer.clientX - box.left, pointer.clientY - box.top] : [box.width / 2, box.height / 2];
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.zoom * factor));
    const scale = zoom / this.zoom;
    const [left, top] = [(pane.scrollLeft + x) * scale - x, (pane.scrollTop + y) * scale - y];
    this.zoom = zoom;
    this.resize();
    pane.scrollTo(left, top);
  }

  /** Shows the whole graph, at most in its own size and at least at a zoom. */
  fit(minZoom = MIN_ZOOM) {
    if (!this.drawn) return;
    const { pane } = this;
    const zoom = Math.min(1, (pane.clientWidth - 4) / this.width, Math.max(pane.clientHeight, 200) / this.height);
    this.zoom = Math.max(zoom, minZoom);
    this.resize();
    pane.scrollTo(0, 0);
  }

  play() {
    if (this.timer) return this.stop();
    if (this.step === this.steps.length - 1) this.display(0);
    this.playButton.textContent = say("pause");
    this.timer = setInterval(() => {
      this.display(this.step + 1);
      if (this.step === this.steps.length - 1) this.stop();
    }, PLAY_MILLISECONDS);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playButton.textContent = say("play");
  }

  go(step) {
    this.stop();
    this.display(step);
  }

  display(step) {
    if (this.steps.length === 0) return;
    step = Math.max(0, Math.min(this.steps.length - 1, step));
    const [last, before] = [this.steps.length - 1, this.shown];
    const isHidden = (at, n) => n < last && at > n;
    for (const { parts, forwardAt, backwardAt } of this.edges) {
      for (const [name, at] of [["early", forwardAt], ["late", backwardAt]]) {
        if (before >= 0 && isHidden(at, step) === isHidden(at, before)) continue;
        for (const g of parts) g.classList.toggle(name, isHidden(at, step));
      }
    }
    for (const total of this.totals) total.classList.toggle("late", isHidden(last - 1, step));
    if (before >= 0) this.steps[before].nodes.forEach(n => this.nodes[n].g.classList.remove("now"));
    this.steps[step].nodes.forEach(n => this.nodes[n].g.classList.add("now"));
    this.shown = this.step = step;
    this.slider.value = step;
    this.sentence.textContent = `${say("stepOf", step, last)}  ${this.steps[step].sentence()}`;
    if (step < last) this.reveal(this.steps[step].nodes);
  }

  /** Scrolls to the nodes of a step. */
  reveal(nodes) {
    if (nodes.length !== 1) return;
    const node = this.nodes[nodes[0]].g.getBoundingClientRect();
    const pane = this.pane.getBoundingClientRect();
    if (node.left < pane.left || node.right > pane.right) this.pane.scrollLeft += (node.left + node.right - pane.left - pane.right) / 2;
    if (node.top < pane.top || node.bottom > pane.bottom) this.pane.scrollTop += (node.top + node.bottom - pane.top - pane.bottom) / 2;
  }
}

/** Returns the steps of a computation: the nodes of each, the edges whose value or gradient appears, and a sentence. */
function stepsOf(nodes, edges, totals) {
  const leaving = nodes.map(() => []);
  const reaching = nodes.map(() => []);
  for (const edge of edges) {
    leaving[edge.from].push(edge);
    reaching[edge.to].push(edge);
  }
  const value = text => text ?? say("largeMatrix");
  const assigned = edge => (edge.data.name ? `${edge.data.name} = ` : "") + value(edge.data.forward);
  const gradient = edge => (edge.data.slope ? `${edge.data.slope} = ` : "") + value(edge.data.backward);
  // The value of a branch appears on all lines that leave it.
  const outgoing = n => leaving[n].flatMap(edge => nodes[edge.to].kind === "branch" ? [edge, ...leaving[edge.to]] : [edge]);
  const all = kind => [...nodes.keys()].filter(n => nodes[n].kind === kind);
  const sign = node => node.meaning ? `${node.label} (${node.meaning})` : node.label;
  const steps = [{ sentence: () => say("nothingYet"), nodes: [], forward: [], backward: [] }];
  const leaves = all("leaf");
  steps.push({
    sentence: () => say("given", leaves.flatMap(n => leaving[n].slice(0, 1)).map(assigned).join(", ")),
    nodes: leaves, forward: leaves.flatMap(outgoing), backward: [],
  });
  for (const n of all("op")) {
    const operands = () => reaching[n].map(edge => value(edge.data.forward)).join(say("and"));
    const result = () => leaving[n].slice(0, 1).map(assigned).join("");
    steps.push({ sentence: () => say("forward", sign(nodes[n]), operands(), result()), nodes: [n], forward: outgoing(n), backward: [] });
  }
  const hasGradient = edge => edge.data.backward !== undefined || edge.parts.some(g => g.querySelector(".back"));
  if (edges.some(hasGradient)) {
    const sinks = all("sink");
    const ends = sinks.flatMap(n => reaching[n]);
    steps.push({
      sentence: () => say("upstreamIs", ends.filter(hasGradient).map(edge => value(edge.data.backward)).join(", ")),
      nodes: sinks, forward: [], backward: ends,
    });
    for (const n of [...nodes.keys()].reverse()) {
      const node = nodes[n];
      if (node.kind !== "op" && node.kind !== "branch") continue;
      const inputs = reaching[n].filter(hasGradient);
      const upstream = () => leaving[n].filter(hasGradient).map(edge => value(edge.data.backward));
      const line = edge => edge.data.local === undefined ? (edge.data.rule ? `${edge.data.rule}: ` : "") + gradient(edge)
        : say("timesLocal", upstream()[0], edge.data.local, gradient(edge));
      const terms = () => upstream().map(text => text.startsWith("-") ? `(${text})` : text).join(" + ");
      const sentence = node.kind === "branch" ? () => say("summed", terms(), inputs.map(gradient).join(""))
        : () => say("backward", node.label, inputs.map(line).join("; "));
      if (inputs.length > 0) steps.push({ sentence, nodes: [n], forward: [], backward: inputs });
    }
    if (totals.length > 0) {
      const texts = totals.map(total => total.textContent).join(", ");
      steps.push({ sentence: () => say("totals", texts), nodes: [], forward: [], backward: [] });
    }
  }
  steps.push({ sentence: () => say("complete"), nodes: [], forward: [], backward: [] });
  return steps;
}
