// The two hues that mean negative and positive everywhere, and one for each class.

import { get, on } from "./store.js";

const STEPS = 128; // on either side of zero
const probe = document.createElement("span");
probe.hidden = true;

let table = null; // RGBA of −1 … +1, as the bytes lie in an ImageData
let classes = [];
let zero = null;
const texts = new Map(); // of custom properties, as a canvas can use them

function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe)
    .color.match(/[\d.]+/g)
    .slice(0, 3)
    .map(Number);
}

function packed([r, g, b]) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

const mixed = (one, other, share) => one.map((value, i) => Math.round(value + (other[i] - value) * share));

function read() {
  if (!probe.isConnected) document.body.append(probe);
  zero = colour("--map-zero");
  const [low, high] = [colour("--negative"), colour("--positive")];
  table = new Uint32Array(2 * STEPS + 1);
  for (let i = -STEPS; i <= STEPS; i++) {
    table[i + STEPS] = packed(mixed(zero, i < 0 ? low : high, 0.92 * (Math.abs(i) / STEPS) ** 0.8));
  }
  classes = Array.from({ length: 10 }, (_, i) => colour(`--class-${i}`));
}

on(["theme"], () => {
  table = null;
  texts.clear();
});

/** The packed colour of a value from −1 to 1. */
export function shade(value) {
  if (table === null) read();
  if (Number.isNaN(value)) return table[STEPS];
  return table[Math.round(Math.max(-1, Math.min(1, value)) * STEPS) + STEPS];
}

/** The same as a text of CSS. */
export function shadeText(value) {
  const bits = shade(value);
  return `rgb(${bits & 255} ${(bits >> 8) & 255} ${(bits >> 16) & 255})`;
}

/** The colour of a class, as CSS and canvas know it; two classes have the two hues. */
export function classText(index, count) {
  if (table === null) read();
  if (count <= 2) return styled(index > 0 ? "--positive" : "--negative");
  return `rgb(${classes[index % 10].join(" ")})`;
}

/** The colour of a class as a canvas needs it, mixed with the ground by how sure the network is. */
export function classShade(index, share) {
  if (table === null) read();
  return packed(mixed(zero, classes[index % 10], Math.max(0, Math.min(1, share))));
}

/** A custom property of the style, as a canvas can use it. */
export function styled(name) {
  if (table === null) read();
  if (!texts.has(name)) texts.set(name, `rgb(${colour(name).join(" ")})`);
  return texts.get(name);
}

/** Whether the page is dark now. */
export const isDark = () =>
  get("theme") === "dark" || (get("theme") === null && matchMedia("(prefers-color-scheme: dark)").matches);
