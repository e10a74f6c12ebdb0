// A layer of many units as one strip: a on the left, delta on the right, a row for each unit.

import { shade } from "./colours.js";
import { number } from "./dom.js";
import { largest, paint } from "./maps.js";
import { array } from "./store.js";

/** Draw the strip of a column; inputs that are an image are drawn as one. */
export function drawStrip(context, column) {
  const { layer, units, x, half, top, bottom } = column;
  if (!layer) {
    drawInputs(context, column);
    return;
  }
  const [a, delta] = ["a", "delta"].map((what) => array(`${what}.${layer.index}`)?.data);
  const place = (left, wide) => [left, top, wide, bottom - top];
  if (a) band(context, a, units.length, place(x - half, delta ? half : 2 * half));
  if (delta) band(context, delta, units.length, place(x + 1, half - 1));
}

function band(context, data, count, place) {
  const scale = Math.max(largest(data), 1e-12);
  paint(context, [count, 1], (i) => shade(data[i] / scale), place, false);
}

function drawInputs(context, column) {
  const data = array("input")?.data;
  if (!data) return;
  const place = [column.x - column.half, column.top, 2 * column.half, column.bottom - column.top];
  const scale = Math.max(largest(data), 1e-12);
  paint(context, column.image ?? [column.units.length, 1], (i) => shade(data[i] / scale), place, false);
}

/** Hover and keys of a strip: up and down choose a unit, a click or Enter looks at it. */
export function stripUnit(group, column, look, tell) {
  const pointer = group.querySelector(".pointer");
  let at = 0;
  const move = (unit) => {
    at = Math.max(0, Math.min(column.units.length - 1, unit));
    const { y } = column.units[at];
    pointer.setAttribute("d", `M${column.x + column.half + 2} ${y}l7 -4v8z`);
    group.setAttribute("aria-valuenow", at);
    group.setAttribute("aria-valuetext", text(column, at));
  };
  const under = (event) => {
    const box = group.querySelector("rect").getBoundingClientRect();
    const [rows, columns] = column.image ?? [column.units.length, 1];
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return row * columns + Math.min(columns - 1, Math.floor(((event.clientX - box.left) / box.width) * columns));
  };
  group.addEventListener("pointermove", (event) => {
    move(under(event));
    tell(event, text(column, at));
  });
  group.addEventListener("pointerleave", () => tell(null));
  group.addEventListener("click", (event) => {
    move(under(event));
    look(column, at);
  });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (step) move(at + step);
    else if (event.key === "Enter") look(column, at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function text(column, unit) {
  if (!column.layer) return `${column.units[unit].name} = ${number(array("input")?.data[unit])}`;
  const now = (what) => number(array(`${what}.${column.layer.index}`)?.data[unit]);
  return `unit ${unit} of ${column.units.length}   a ${now("a")}   δ ${now("delta")}`;
}
