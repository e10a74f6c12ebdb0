// Elements in one line, and numbers as the page writes them.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "text") {
      element.textContent = value;
    } else if (name === "value") {
      element.value = value;
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element with its attributes, listeners (`on`) and children. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A small icon: one path on a 16×16 ground. */
export const icon = (path) =>
  s("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, s("path", { d: path }));

/** Set an attribute only where it changes: the browser then has nothing to do. */
export function put(element, name, value) {
  const text = String(value);
  const known = (element.known ??= {});
  if (known[name] !== text) {
    known[name] = text;
    element.setAttribute(name, text);
  }
}

/** Set a text only where it changes. */
export function write(element, text) {
  if (element.lastText !== text) {
    element.lastText = text;
    element.textContent = text;
  }
}

/** A number with so many significant digits; a dash for none. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e6 || size < 1e-4
      ? value.toExponential(digits - 1).replace("e+", "e")
      : value.toFixed(Math.max(0, Math.min(9, digits - 1 - Math.floor(Math.log10(size)))));
  return text.replace(/-/g, "−");
}

/** A number in as little room as a neuron has. */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text =
    size >= 1000
      ? value.toExponential(0).replace("e+", "e")
      : size >= 10
        ? value.toFixed(0)
        : size >= 1
          ? value.toFixed(1)
          : size >= 0.005 || size === 0
            ? value.toFixed(2).replace("0.", ".")
            : value.toExponential(0);
  return size === 0 ? "0" : text.replace(/-/g, "−");
}

/** A loss or an accuracy: always the same number of places, so that it does not jump. */
export const fixed = (value, places = 4) =>
  value === null || value === undefined ? "–" : Math.abs(value) >= 1000 ? number(value, 4) : value.toFixed(places);

/** A whole number with separators. */
export const whole = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");

/** A show of a number that tests and copying can read: the text for eyes, the value whole in `data-value`. */
export function showNumber(element, value, digits = 6) {
  write(element, number(value, digits));
  put(element, "data-value", value ?? "");
  put(element, "title", value ?? "");
}

/** Wait until calls stop coming before the last one is done. */
export function settled(milliseconds, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}
