// An editor of an array: a table of cells for each matrix in it, or the whole array as text.

import { indexOf, parse, parseShape, reshape, resize, shapeToText, sizeOf, toJson } from "./array.js";
import { element } from "./dom.js";
import { say } from "./words.js";

/** Largest number of entries that are edited in cells. */
const MAX_CELLS = 600;

export class CellEditor {
  /** `changed` is called after each change that a person makes. */
  constructor(name, array, changed) {
    this.name = name;
    this.array = array;
    this.changed = changed;
    this.isText = sizeOf(array.shape) > MAX_CELLS;
    this.root = element("div", { class: "editor" });
    this.render();
  }

  /** Replaces the array; the focus stays where it is. */
  set(array) {
    const isSameShape = array.shape.join() === this.array.shape.join();
    this.array = array;
    if (!isSameShape || this.isText) return this.render();
    this.root.querySelectorAll("td input").forEach((cell, position) => {
      cell.value = array.data[position];
      cell.style.setProperty("--chars", chars(cell.value));
    });
  }

  /** Marks the entry that an error names, or none. */
  mark(index) {
    const label = index && this.label(index);
    this.root.querySelectorAll("td input").forEach(cell => {
      const isMarked = cell.getAttribute("aria-label") === label;
      if (isMarked) cell.setAttribute("aria-invalid", "true"); else cell.removeAttribute("aria-invalid");
    });
  }

  label(index) {
    return index.length === 0 ? this.name : `${this.name}[${index.join(", ")}]`;
  }

  change(array) {
    this.array = array;
    this.render();
    this.changed();
  }

  /** Changes the length of an axis by one. */
  grow(axis, by) {
    const shape = [...this.array.shape];
    if (shape.length === 0) shape.push(1);
    const at = Math.max(0, shape.length + axis);
    shape[at] = Math.max(0, shape[at] + by);
    this.change(resize(this.array, shape));
  }

  render() {
    const { shape } = this.array;
    const button = (word, label, action, isUsable = true) =>
      element("button", { type: "button", "aria-label": say(label, this.name), onclick: action, disabled: !isUsable }, say(word));
    const rank = shape.length;
    const rows = rank < 2 ? [] : [
      button("addRow", "addRowTo", () => this.grow(-2, 1)), button("removeRow", "removeRowOf", () => this.grow(-2, -1), shape.at(-2) > 0),
    ];
    const columns = [
      button("addColumn", "addColumnTo", () => this.grow(-1, 1)),
      button("removeColumn", "removeColumnOf", () => this.grow(-1, -1), rank > 0 && shape.at(-1) > 0),
    ];
    const shapeField = element("input", {
      class: "shape", value: shapeToText(shape), size: 7, "aria-label": say("shapeOf", this.name), placeholder: "()",
      onchange: event => this.reshape(event.target),
    });
    const toggle = element("button", {
      type: "button", "aria-pressed": String(this.isText), "aria-label": say("asTextOf", this.name),
      disabled: sizeOf(shape) > MAX_CELLS, onclick: () => { this.isText = !this.isText; this.refocus(".as-text"); }, class: "as-text",
    }, say("asText"));
    const tools = element("div", { class: "tools" },
      element("span", { class: "field" }, say("shape"), " ", shapeField), ...(this.isText ? [] : [...rows, ...columns]), toggle);
    this.message = element("p", { class: "message", role: "alert" });
    const focused = this.root.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    this.root.replaceChildren(this.isText ? this.textArea() : this.tables(), tools, this.message);
    // The focus stays on the control that was used.
    if (focused) this.root.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Draws the editor again and returns the focus to an element of it. */
  refocus(selector) {
    this.render();
    this.root.querySelector(selector)?.focus();
  }

  reshape(field) {
    const shape = parseShape(field.value);
    if (!shape) {
      this.message.textContent = say("badShape");
      field.setAttribute("aria-invalid", "true");
      return;
    }
    this.isText = sizeOf(shape) > MAX_CELLS;
    this.change(reshape(this.array, shape));
    this.root.querySelector(".shape").focus();
  }

  textArea() {
    const area = element("textarea", { rows: 4, spellcheck: "false", "aria-label": say("asTextOf", this.name), onchange: event => {
      try {
        this.array = parse(event.target.value);
      } catch {
        this.message.textContent = say("ragged");
        event.target.setAttribute("aria-invalid", "true");
        return;
      }
      this.refocus("textarea");
      this.changed();
    } });
    area.value = toJson(this.array);
    return area;
  }

  tables() {
    const { shape } = this.array;
    if (shape.includes(0)) return element("p", { class: "hint" }, say("noEntries"));
    const matrix = shape.slice(-2);
    const count = sizeOf(matrix);
    const slices = sizeOf(shape.slice(0, -2));
    const tables = Array.from({ length: slices }, (_, slice) => {
      const index = indexOf(shape.slice(0, -2), slice);
      const caption = shape.length > 2 ? element("caption", {}, say("sliceOf", this.name, index.join(", "))) : "";
      return element("table", { class: "cells" }, caption, element("tbody", {}, ...this.rows(matrix, slice * count)));
    });
    return element("div", {
      class: "slices", role: "group", "aria-label": this.name, oninput: event => this.typed(event.target),
      onkeydown: event => this.moved(event), onpaste: event => this.pasted(event),
      onfocusin: event => event.target.select(),
    }, ...tables);
  }

  rows(matrix, first) {
    const columns = matrix.length === 0 ? 1 : matrix.at(-1);
    const count = matrix.length === 2 ? matrix[0] : 1;
    return Array.from({ length: count }, (_, row) => element("tr", {}, ...Array.from({ length: columns }, (_, column) => {
      const position = first + row * columns + column;
      const text = this.array.data[position];
      return element("td", {}, element("input", {
        value: text, inputmode: "decimal", autocomplete: "off", spellcheck: "false", "data-position": position,
        "aria-label": this.label(indexOf(this.array.shape, position)), style: `--chars:${chars(text)}`,
      }));
    })));
  }

  typed(cell) {
    this.array.data[+cell.dataset.position] = cell.value;
    cell.style.setProperty("--chars", chars(cell.value));
    this.changed();
  }

  /** Arrow keys and Enter go to the next cell; left and right do at the ends of the text. */
  moved(event) {
    const { target, key } = event;
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey || target.tagName !== "INPUT") return;
    const columns = this.array.shape.at(-1) ?? 1;
    const isAll = target.selectionStart === 0 && target.selectionEnd === target.value.length;
    const isAtEnd = isAll || target.selectionStart === target.value.length;
    const isAtStart = isAll || target.selectionEnd === 0;
    const by = { ArrowDown: columns, Enter: columns, ArrowUp: -columns, ArrowRight: isAtEnd ? 1 : 0, ArrowLeft: isAtStart ? -1 : 0 }[key];
    if (!by || event.shiftKey) return;
    const next = this.root.querySelector(`[data-position="${+target.dataset.position + by}"]`);
    event.preventDefault();
    next?.focus();
  }

  /** Fills the cells from the focused one on with those of a spreadsheet, and adds rows and columns that are missing. */
  pasted(event) {
    const text = event.clipboardData.getData("text/plain");
    if (event.target.tagName !== "INPUT" || !/[\t\n;,[]/.test(text.trim())) return;
    event.preventDefault();
    let pasted;
    try {
      pasted = parse(text);
    } catch {
      this.message.textContent = say("ragged");
      return;
    }
    const { shape } = this.array;
    const position = +event.target.dataset.position;
    if (pasted.shape.length > 2) return this.change(pasted);
    const block = pasted.shape.length === 2 ? pasted.shape : [1, pasted.shape[0] ?? 1];
    // A single row stays one; several rows make a matrix.
    const rank = Math.max(shape.length, block[0] > 1 ? 2 : 1);
    const index = [...Array(rank - shape.length).fill(0), ...indexOf(shape, position)];
    const grown = [...Array(rank - shape.length).fill(1), ...shape];
    const [row, column] = rank === 1 ? [0, index[0]] : index.slice(-2);
    if (rank > 1) grown[rank - 2] = Math.max(grown[rank - 2], row + block[0]);
    grown[rank - 1] = Math.max(grown[rank - 1], column + block[1]);
    const array = resize(this.array, grown);
    const columns = grown.at(-1);
    const slice = rank < 3 ? 0 : Math.floor(position / sizeOf(shape.slice(-2))) * sizeOf(grown.slice(-2));
    pasted.data.forEach((entry, n) => {
      array.data[slice + (row + Math.floor(n / block[1])) * columns + column + n % block[1]] = entry;
    });
    this.isText = sizeOf(array.shape) > MAX_CELLS;
    this.change(array);
    this.root.querySelector(`[data-position="${slice + row * columns + column}"]`)?.focus();
  }
}

const chars = text => Math.min(Math.max(text.length, 4), 11);
