"use strict";
// Everything can be read without this: it adds sorting, a filter, and one button that opens all.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  if (body.rows.length < 4) continue;
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].textContent.trim();
  const amount = (text) => /^[·–]?$/.test(text) ? NaN : Number(text.replaceAll(",", ""));  // NaN: nothing there
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rows = [...body.rows];
      const numeric = rows.every((row) => /^[·–]?$/.test(value(row, column)) || !isNaN(amount(value(row, column))));
      const way = head.ariaSort === "descending" ? 1 : -1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = way === 1 ? "ascending" : "descending";
      const key = (row) => numeric ? amount(value(row, column)) : value(row, column);
      const compare = numeric
        ? (a, b) => (isNaN(key(a)) - isNaN(key(b))) || way * (key(a) - key(b) || 0)
        : (a, b) => way * key(a).localeCompare(key(b), "en", { numeric: true });
      body.append(...rows.sort(compare));
    });
  });
}
for (const table of document.querySelectorAll("table.filtered")) {
  const label = document.createElement("label");
  label.className = "tools";
  const field = document.createElement("input");
  field.type = "search";
  label.append("Only names with ", field);
  table.closest(".scroll").before(label);
  field.addEventListener("input", () => {
    for (const row of table.tBodies[0].rows) row.hidden = !row.cells[0].textContent.includes(field.value.trim());
  });
}
const all = [...document.querySelectorAll("details")];
const nav = document.querySelector("nav");
if (nav && all.length) {
  const button = document.createElement("button");
  const label = () => { button.textContent = all.every((item) => item.open) ? "Close all details" : "Open all details"; };
  button.type = "button";
  button.addEventListener("click", () => {
    const open = !all.every((item) => item.open);
    all.forEach((item) => { item.open = open; });
    label();
  });
  label();
  const place = document.createElement("p");
  place.className = "tools";
  place.append(button);
  nav.append(place);
}
