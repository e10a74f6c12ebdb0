// The network as a drawing: lines below, response maps between, neurons on top.

import { change } from "./configure.js";
import { byId, h, number, put, s, short, write } from "./dom.js";
import { curve, placed } from "./geometry.js";
import { heads } from "./heads.js";
import { largest, paintUnit, range, sharp } from "./maps.js";
import { array, get, header, ofParameter, on, set, weightKey } from "./store.js";
import { shadeText } from "./colours.js";
import { drawStrip, stripUnit } from "./strips.js";

const SHOWN = { a: "a", z: "z", slope: "f′(z)", delta: "δ" };
const lines = byId("lines");
const nodes = byId("nodes");
const canvas = byId("unit-maps");
const tip = byId("tip");

let drawn = null; // the layout that the columns stand for
let columns = [];
let edges = []; // {parameter, at, line, key}
let neurons = []; // {column, unit, group, box, text}
let strips = [];

/** Begin to draw, and go on whenever something changes. */
export function startNetwork() {
  new ResizeObserver(rebuild).observe(byId("drawing"));
  on(["layout"], rebuild);
  on(["settings"], () => drawn && drawn === get("layout") && heads(columns));
  on(["frame", "show", "theme", "stage"], draw);
  on(["weight", "unit", "findings", "marks"], decorate);
  nodes.addEventListener("pointerleave", () => tell(null));
}

function rebuild() {
  const layout = get("layout");
  if (!layout) return;
  drawn = layout;
  const area = byId("drawing");
  const found = placed(layout, get("settings"), get("catalogue"), area.clientWidth, area.clientHeight);
  columns = found.columns;
  for (const part of [lines, nodes]) {
    part.setAttribute("width", area.clientWidth);
    part.setAttribute("height", found.height);
    part.replaceChildren();
  }
  sharp(canvas, area.clientWidth, found.height);
  edges = [];
  neurons = [];
  strips = [];
  columns.forEach(buildLines);
  columns.forEach(buildUnits);
  heads(columns);
  draw();
}

function buildLines(column) {
  const weight = column.layer?.parameters.find(({ shape }) => shape.length === 2);
  const { source } = column;
  if (!source) return;
  if (!weight || column.wide || source.wide) {
    if (!column.gate) ribbon(source, column);
    return;
  }
  const [, wide] = weight.shape;
  const hits = [];
  for (const from of source.units.filter(({ active }) => active)) {
    for (const to of column.units) {
      const index = [from.unit, to.unit];
      const d = curve(source, from, column, to);
      const line = s("path", { d, class: "line" });
      const hit = s("path", { d, class: "hit", "data-weight": weightKey(weight.name, index) });
      openable(hit, weight, index);
      edges.push({ parameter: weight, at: from.unit * wide + to.unit, line, key: weightKey(weight.name, index) });
      lines.append(line);
      hits.push(hit);
    }
  }
  lines.append(...hits);
}

function ribbon(source, column) {
  const [x0, x1] = [source.x + source.half, column.x - column.half];
  const middle = (x0 + x1) / 2;
  lines.append(s("path", {
    class: "ribbon",
    d: `M${x0} ${source.top}C${middle} ${source.top} ${middle} ${column.top} ${x1} ${column.top}V${column.bottom}` +
      `C${middle} ${column.bottom} ${middle} ${source.bottom} ${x0} ${source.bottom}Z`,
  }));
}

function openable(element, parameter, index) {
  const at = parameter.shape.length === 2 ? index[0] * parameter.shape[1] + index[1] : index[0];
  element.addEventListener("click", () => set({ weight: { name: parameter.name, index }, tab: "weight" }));
  element.addEventListener("pointermove", (event) => tell(event, () => weightText(parameter, index, at)));
  element.addEventListener("pointerleave", () => tell(null));
}

function weightText(parameter, index, at) {
  const now = (what) => number(ofParameter(what, parameter)?.[at]);
  return `${weightKey(parameter.name, index)} = ${now("values")}   ∂L/∂w = ${now("gradient")}   step ${now("update")}`;
}

function buildUnits(column) {
  if (column.wide) {
    const strip = s("g", { class: "strip", tabindex: "0", role: "slider", "aria-valuemin": 0,
      "aria-valuemax": column.units.length - 1, "aria-label": stripName(column) },
    s("rect", { x: column.x - column.half, y: column.top, width: 2 * column.half, height: column.bottom - column.top }),
    s("path", { class: "pointer" }));
    stripUnit(strip, column, look, (event, text) => tell(event, text));
    strips.push({ column, group: strip });
    nodes.append(strip);
    return;
  }
  for (const unit of column.units) nodes.append(buildUnit(column, unit));
}

const stripName = ({ layer, units }) => (layer ? `Units of ${layer.title}` : `${units.length} inputs`);

function buildUnit(column, unit) {
  const side = 2 * column.half;
  const left = column.x - column.half;
  const group = s("g", { class: unit.active ? "unit" : "unit off", tabindex: "0", role: "button" });
  const box = s("rect", { x: left, y: unit.y - column.half, width: side, height: side, rx: 3 });
  const text = s("text", { x: column.x, y: unit.y, class: "inside", "font-size": Math.min(12, side * 0.36) });
  group.append(box, text);
  if (column.kind === "input") {
    const name = s("text", { x: left - 5, y: unit.y, class: "outside left", text: cut(unit.name, 9) });
    group.append(name, s("title", { text: unit.name }));
    group.setAttribute("data-testid", `feature-${unit.name}`);
    if (column.crossed) group.setAttribute("aria-pressed", unit.active);
  } else {
    group.setAttribute("data-unit", `${column.layer.index}.${unit.unit}`);
    if (column === columns.at(-1)) {
      const name = get("layout").outputs[unit.unit] ?? "";
      group.append(s("text", { x: column.x + column.half + 5, y: unit.y, class: "outside right", text: cut(name, 9) }),
        s("title", { text: name }));
    }
    buildBias(column, unit, group);
  }
  const open = () => (column.crossed ? toggle(unit) : look(column, unit.unit));
  group.addEventListener("click", open);
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    open();
  });
  group.addEventListener("pointerenter", () => column.layer && set({ hovered: place(column, unit.unit) }));
  group.addEventListener("pointerleave", () => (set({ hovered: null }), tell(null)));
  group.addEventListener("pointermove", (event) => tell(event, () => unitText(column, unit)));
  neurons.push({ column, unit, group, box, text });
  return group;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const place = (column, unit) => ({ layer: column.layer.index, unit });

function buildBias(column, unit, group) {
  const bias = column.layer.parameters.find(({ shape }) => shape.length === 1);
  if (!bias) return;
  const square = s("rect", { x: column.x - column.half - 3, y: unit.y + column.half - 5, width: 8, height: 8, class: "bias",
    "data-weight": weightKey(bias.name, [unit.unit]) });
  openable(square, bias, [unit.unit]);
  square.addEventListener("click", (event) => event.stopPropagation());
  square.addEventListener("pointermove", (event) => event.stopPropagation());
  group.append(square);
  edges.push({ parameter: bias, at: unit.unit, line: square, key: weightKey(bias.name, [unit.unit]), bias: true });
}

function toggle({ name, active }) {
  change((settings) => {
    const chosen = settings.data.features;
    settings.data.features = active ? chosen.filter((known) => known !== name) : [...chosen, name];
  });
}

function look(column, unit) {
  if (!column.layer) return;
  set({ unit: place(column, unit), tab: "sample" });
}

function unitText(column, { unit, name, active }) {
  if (!column.layer) return active ? `${name} = ${number(array("input")?.data[unit])}` : `${name}: click to add`;
  const now = (what) => number(array(`${what}.${column.layer.index}`)?.data[unit]);
  return `unit ${unit} of layer ${column.layer.index}   z ${now("z")}   a ${now("a")}   f′ ${now("slope")}   δ ${now("delta")}`;
}

function tell(event, text = () => "") {
  tip.hidden = event === null;
  if (event === null) return;
  write(tip, typeof text === "string" ? text : text());
  const area = byId("drawing").getBoundingClientRect();
  const x = Math.min(event.clientX - area.left + 12, area.width - tip.offsetWidth - 4);
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${event.clientY - area.top + 16}px`;
}

/** What neurons show now: maps only over the plane, and inside a pass what has been computed. */
function shown() {
  const stage = get("stage");
  if (stage) return stage.direction === "forward" || stage.direction === "loss" ? "a" : "delta";
  return get("show") === "maps" && !get("layout")?.plane ? "a" : get("show");
}

function draw() {
  if (!columns.length || !get("frame")) return;
  drawLines();
  const what = shown();
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const column of columns) {
    if (column.wide) drawStrip(context, column);
    else if (what === "maps") drawMaps(context, column);
  }
  for (const neuron of neurons) drawUnit(neuron, what);
  decorate();
}

function drawLines() {
  const values = new Map();
  for (const { parameter, at, line, bias } of edges) {
    if (!values.has(parameter)) {
      const data = ofParameter("values", parameter);
      values.set(parameter, [data, Math.max(1.5, largest(data ?? []))]);
    }
    const [data, scale] = values.get(parameter);
    const value = data ? data[at] : 0;
    put(line, "class", `${bias ? "bias" : "line"} ${value < 0 ? "negative" : "positive"}`);
    if (!bias) put(line, "stroke-width", (0.5 + 4.5 * Math.min(1, Math.abs(value) / scale)).toFixed(1));
    else put(line, "opacity", (0.45 + 0.55 * Math.min(1, Math.abs(value) / scale)).toFixed(2));
  }
}

function drawMaps(context, column) {
  const output = column === columns.at(-1);
  const map = array(column.layer ? `map.${column.layer.index}` : "map.input");
  if (!map) return;
  const side = 2 * column.half;
  for (const { unit, y, active } of column.units) {
    if (!active) continue;
    const size = map.shape[1] * map.shape[2];
    const own = column.layer ? map.data : map.data.subarray(unit * size, (unit + 1) * size);
    const scale = range(get("layout"), output, own, get("points"));
    paintUnit(context, map, unit, scale, [column.x - column.half, y - column.half, side, side]);
  }
}

function drawUnit({ column, unit, group, box, text }, what) {
  const name = column.layer ? `${what === "maps" ? "a" : what}.${column.layer.index}` : "input";
  const values = unit.active ? array(name)?.data : null;
  const value = values?.[unit.unit];
  const plain = what === "maps" || values === null || values === undefined;
  put(box, "fill", plain ? "transparent" : shadeText(value / reach(what, values, column)));
  write(text, plain || 2 * column.half < 18 ? "" : short(value));
  if (!header().running) put(group, "aria-label", label(column, unit, what, value));
}

function reach(what, values, column) {
  if (what === "slope" && column.layer) return 1;
  return what === "delta" && column.layer ? Math.max(largest(values), 1e-12) : Math.max(1, largest(values));
}

function label(column, unit, what, value) {
  if (!column.layer) return `Input ${unit.name}${unit.active ? `, ${number(value)}` : ", not used"}`;
  return `Unit ${unit.unit} of layer ${column.layer.index}, ${SHOWN[what] ?? "a"} ${number(value)}`;
}

/** What is open, chosen, found wrong, or not reached yet. */
function decorate() {
  const [weight, unit, stage] = [get("weight"), get("unit"), get("stage")];
  const key = weight ? weightKey(weight.name, weight.index) : "";
  for (const edge of edges) edge.line.classList.toggle("open", edge.key === key);
  const wrong = Map.groupBy(get("findings"), (found) => found.layer);
  const mistaken = new Set(get("marks").map(({ layer }) => layer));
  for (const { column, unit: own, group } of neurons) {
    const layer = column.layer?.index ?? -1;
    const found = wrong.get(layer)?.find(({ units }) => units.length === 0 || units.includes(own.unit));
    put(group, "class", ["unit", own.active ? "" : "off", column.crossed ? "feature" : "",
      unit?.layer === layer && unit.unit === own.unit ? "chosen" : "", found ? `found ${found.severity}` : "",
      mistaken.has(layer) ? "mistaken" : "", reached(stage, layer) ? "" : "unreached",
      stage && stage.layer === layer ? "current" : ""].filter(Boolean).join(" "));
  }
  for (const { column, group } of strips) {
    const layer = column.layer?.index ?? -1;
    put(group, "class", `strip ${reached(stage, layer) ? "" : "unreached"} ${mistaken.has(layer) ? "mistaken" : ""}`);
  }
}

function reached(stage, layer) {
  if (!stage || stage.layer === null) return true;
  if (stage.direction === "forward") return layer <= stage.layer;
  return stage.direction === "loss" || layer >= stage.layer || layer < 0;
}

/** The switch of what neurons show. */
export function startShowSwitch() {
  const names = [["maps", "maps"], ...Object.entries(SHOWN)];
  const inputs = names.map(([name, text]) => {
    const input = h("input", { type: "radio", name: "show", value: name, id: `show-${name}`,
      checked: get("show") === name, on: { change: () => set({ show: name }) } });
    return h("label", { title: name === "maps" ? "The response of each unit over the plane" : `${text} of the sample` },
      input, h("span", { text }));
  });
  byId("show").append(...inputs);
  on(["show", "layout"], () => {
    byId("show-maps").disabled = !get("layout")?.plane;
    const now = get("show") === "maps" && !get("layout")?.plane ? "a" : get("show");
    byId(`show-${now}`).checked = true;
  });
}
