// A page of the library – words and tables with their tones – as elements.

import { h } from "./dom.js";

/** The elements of a page. */
export function pageOf(page, { title = true } = {}) {
  return h(
    "div",
    { class: "page" },
    title && page.title ? h("h3", { text: page.title }) : null,
    page.blocks.map((block) => (block.kind === "table" ? tableOf(block) : wordsOf(block))),
  );
}

function wordsOf({ text, tone, indent }) {
  if (!text) return h("div", { class: "gap" });
  const words = h("p", { class: `tone-${tone || "plain"}`, text });
  if (indent) words.style.paddingInlineStart = `${indent * 5}px`;
  return words;
}

/** A table with columns aligned as a text of l and r says. */
function tableOf({ columns, align, rows }) {
  const side = (i) => (align?.[i] === "r" ? "right" : "left");
  const head = columns.some(Boolean)
    ? h("thead", null, h("tr", null, columns.map((name, i) => h("th", { scope: "col", class: side(i), text: name }))))
    : null;
  const cell = ({ text, tone }, i) => h("td", { class: `${side(i)} tone-${tone || "plain"}`, text });
  const body = h("tbody", null, rows.map((row) => h("tr", null, row.map(cell))));
  return h("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": columns.join(", ") || "table" },
    h("table", null, head, body));
}

/** A table from plain texts. */
export const plainTable = (columns, align, rows) =>
  tableOf({ columns, align, rows: rows.map((row) => row.map((text) => ({ text: String(text), tone: "" }))) });
