"use strict";
// Puts a table that can be sorted and filtered over each one that stands in the page without
// a script. Its rows are in the page as JSON, by column. A part of them is in the document at a time.
(() => {
  const PART = 200;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const count = (number) => number.toLocaleString("en");

  function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }

  // What a column is sorted by, for each of its texts: numbers; null is missing.
  function sortKeys({ texts, values, numeric }) {
    if (values) return values;
    if (numeric) return texts.map((text) => text ? parseFloat(text.replaceAll(",", "")) : null);
    const keys = new Array(texts.length).fill(null);
    const indices = texts.map((_, index) => index).filter((index) => texts[index]);
    indices.sort((a, b) => collator.compare(texts[a], texts[b]));
    indices.forEach((index, rank) => { keys[index] = rank; });
    return keys;
  }

  // Where the text of a row stands: texts that repeat are there once.
  const textIndex = (column, row) => column.rows ? column.rows[row] : row;

  function sorted(rows, column, descending) {
    column.keys ??= sortKeys(column);
    const key = (row) => column.keys[textIndex(column, row)];
    const missing = rows.filter((row) => key(row) === null);
    const known = rows.filter((row) => key(row) !== null);
    known.sort((a, b) => (descending ? key(b) - key(a) : key(a) - key(b)));
    return known.concat(missing);  // which come last either way
  }

  // The rows that have each part of the text in a cell.
  function filtered(rows, columns, text) {
    const parts = text.toLowerCase().split(/\s+/).filter(Boolean);
    return parts.reduce((kept, part) => {
      const found = columns.map((column) => {
        column.lower ??= column.texts.map((each) => each.toLowerCase());
        return column.lower.map((each) => each.includes(part));
      });
      return kept.filter((row) => columns.some((column, n) => found[n][textIndex(column, row)]));
    }, rows);
  }

  function cell(data, column, row) {
    const text = column.texts[textIndex(column, row)];
    const doubt = column.head === "time" && data.doubts ? data.doubts.texts[data.doubts.rows[row]] : "";
    const noisy = column.timed && (doubt || text.endsWith("noisy"));
    const className = text.length > data.max_line ? "long" : column.kind;
    if (!noisy) return make("td", { textContent: text, className });
    const title = doubt || "the interval is as wide as the time";
    const parts = text.split(/ (?=\[|noisy)/).map((part) => make("span", { textContent: part }));
    return make("td", { className: "noisy", title }, ...parts.flatMap((part) => [part, " "]));
  }

  function makeSortable(root) {
    const data = JSON.parse(root.querySelector("script").textContent);
    const failed = new Set(data.failed);
    let order = Array.from({ length: data.count }, (_, row) => row);
    let shown = order, first = 0, by = null, descending = false;

    const filter = make("input", { type: "search", placeholder: "filter" });
    filter.setAttribute("aria-label", "show the rows that have this text");
    const status = make("span");
    status.setAttribute("role", "status");
    const back = make("button", { type: "button", textContent: "‹ previous" });
    const next = make("button", { type: "button", textContent: "next ›" });
    const body = make("tbody");
    const heads = data.columns.map((column, number) => {
      const button = make("button", { type: "button", textContent: column.head });
      button.addEventListener("click", () => {
        descending = by === number && !descending;
        by = number;
        order = sorted(order, column, descending);
        select();
      });
      const head = make("th", { scope: "col", className: column.kind }, button);
      head.setAttribute("aria-sort", "none");
      return head;
    });

    function render() {
      const part = shown.slice(first, first + PART);
      body.replaceChildren(...part.map((row) => make(
        "tr", { className: failed.has(row) ? "failed" : "" },
        ...data.columns.map((column) => cell(data, column, row)))));
      const all = shown.length === data.count ? "" : ` (${count(data.count)} in all)`;
      const rows = `${count(shown.length)} ${shown.length === 1 ? "row" : "rows"}`;
      status.textContent = part.length < shown.length
        ? `rows ${count(first + 1)} to ${count(first + part.length)} of ${rows}${all}`
        : `${rows}${all}`;
      back.disabled = first === 0;
      next.disabled = first + PART >= shown.length;
      back.hidden = next.hidden = shown.length <= PART;
      heads.forEach((head, number) => head.setAttribute(
        "aria-sort", number !== by ? "none" : descending ? "descending" : "ascending"));
    }

    function select() {
      shown = filtered(order, data.columns, filter.value);
      first = 0;
      render();
    }

    const turn = (step) => {
      first += step;
      render();
      box.scrollTop = 0;
    };
    back.addEventListener("click", () => turn(-PART));
    next.addEventListener("click", () => turn(PART));
    filter.addEventListener("input", select);
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
    const box = make("div", { className: "scroll" }, table);
    render();
    const bar = make("div", { className: "bar" }, filter, " ", status, " ", back, " ", next);
    root.replaceChildren(...(data.count > 1 ? [bar] : []), box);
  }

  document.querySelectorAll(".sortable").forEach(makeSortable);
})();
