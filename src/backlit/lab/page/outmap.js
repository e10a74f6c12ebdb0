// What the network says over the whole plane, with the points it learns from; elsewhere, what it says of the sample.

import { classText, styled } from "./colours.js";
import { byId, h, number, put, write } from "./dom.js";
import { paintOutput, paintUnit, range, sharp } from "./maps.js";
import { array, get, header, on } from "./store.js";
import { attempt } from "./say.js";
import { ask, pull } from "./wire.js";

const canvas = byId("output-map");
const NEAR = 9; // pixels from a point that still mean it

/** Begin to draw. */
export function startOutput() {
  on(["frame", "points", "hovered", "theme"], draw);
  on(["layout"], () => {
    const plane = Boolean(get("layout").plane);
    byId("plane").hidden = !plane;
    byId("answer").hidden = plane;
    byId("answer").replaceChildren();
    byId("scale").replaceChildren(...scaleOf(get("layout")));
  });
  for (const id of ["show-test", "show-wrong"]) byId(id).addEventListener("change", () => (pull(true), draw()));
  canvas.addEventListener("click", chosen);
  new ResizeObserver(draw).observe(byId("output"));
}

function draw() {
  const layout = get("layout");
  if (!layout || !get("frame")) return;
  if (layout.plane) drawPlane(layout);
  else drawAnswer(layout);
}

function drawPlane(layout) {
  const side = Math.min(byId("plane").clientWidth, sideOf());
  const context = sharp(canvas, side, side);
  const all = [0, 0, side, side];
  const unit = get("hovered");
  const own = unit ? array(`map.${unit.layer}`) : null;
  if (own) paintUnit(context, own, unit.unit, range(layout, false, own.data), all);
  else if (array("map.out")) paintOutput(context, array("map.out"), layout, get("points"), all);
  write(byId("output-title"), own ? `Unit ${unit.unit} of layer ${unit.layer}` : "Output");
  drawPoints(context, layout, side);
  drawAxes(context, layout, side);
}

const sideOf = () => Number.parseFloat(getComputedStyle(canvas.parentElement).getPropertyValue("--map-side")) || 240;

function toPixels({ plane: { extent: [x0, x1, y0, y1] } }, side) {
  return (points, i) => [
    ((points[2 * i] - x0) / (x1 - x0)) * side,
    side - ((points[2 * i + 1] - y0) / (y1 - y0)) * side,
  ];
}

function drawAxes(context, layout, side) {
  const [x0, x1, y0, y1] = layout.plane.extent;
  context.strokeStyle = styled("--ink-faint");
  context.globalAlpha = 0.5;
  context.lineWidth = 1;
  context.beginPath();
  const [x, y] = [Math.round((-x0 / (x1 - x0)) * side) + 0.5, Math.round((y1 / (y1 - y0)) * side) + 0.5];
  context.moveTo(x, 0);
  context.lineTo(x, side);
  context.moveTo(0, y);
  context.lineTo(side, y);
  context.stroke();
  context.globalAlpha = 1;
}

function drawPoints(context, layout, side) {
  const points = get("points");
  if (!points?.get("X_train")) return;
  const at = toPixels(layout, side);
  const set = (name) => [points.get(`X_${name}`).data, points.get(`y_${name}`).data, array(`out_${name}`)?.data];
  if (byId("show-test").checked) drawSet(context, layout, at, set("test"), true);
  drawSet(context, layout, at, set("train"), false);
  const row = header().sample;
  const [X] = set("train");
  if (row >= 0 && 2 * row < X.length) {
    context.strokeStyle = styled("--ink");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...at(X, row), 7, 0, 7);
    context.stroke();
  }
}

function drawSet(context, layout, at, [X, y, out], test) {
  const count = layout.classes?.length ?? 0;
  const most = Math.max(1e-9, ...y.map(Math.abs));
  const wrong = byId("show-wrong").checked && layout.task === "classification" && out && layout.outputs.length === 1;
  const ground = styled("--ground");
  context.lineWidth = 1;
  for (let i = 0; i < y.length; i++) {
    const [cx, cy] = at(X, i);
    context.fillStyle = count ? classText(y[i], count) : classText(y[i] > 0 ? 1 : 0, 2);
    context.globalAlpha = count ? 1 : 0.3 + 0.7 * Math.abs(y[i] / most);
    context.strokeStyle = ground;
    context.beginPath();
    if (test) context.rect(cx - 2.4, cy - 2.4, 4.8, 4.8);
    else context.arc(cx, cy, 3, 0, 7);
    context.fill();
    context.globalAlpha = 1;
    context.stroke();
    if (wrong && misses(out[i], y[i], out)) cross(context, cx, cy);
  }
}

const misses = (value, label, all) => value > (all.some((each) => each < -1e-3) ? 0 : 0.5) !== label > 0;

function cross(context, x, y) {
  context.strokeStyle = styled("--ink");
  context.lineWidth = 1.4;
  context.beginPath();
  context.moveTo(x - 4, y - 4);
  context.lineTo(x + 4, y + 4);
  context.moveTo(x + 4, y - 4);
  context.lineTo(x - 4, y + 4);
  context.stroke();
}

function chosen(event) {
  const points = get("points")?.get("X_train")?.data;
  if (!points) return;
  const side = canvas.clientWidth;
  const at = toPixels(get("layout"), side);
  let [best, near] = [-1, NEAR];
  for (let i = 0; i < points.length / 2; i++) {
    const [x, y] = at(points, i);
    const distance = Math.hypot(x - event.offsetX, y - event.offsetY);
    if (distance < near) [best, near] = [i, distance];
  }
  if (best >= 0) attempt(ask("sample", { row: best }));
}

function drawAnswer(layout) {
  const last = layout.layers.at(-1);
  const outputs = array(`a.${last.index}`)?.data;
  if (!outputs) return;
  const target = header().target ?? [];
  const box = byId("answer");
  if (box.childElementCount !== outputs.length + 1) {
    box.replaceChildren(h("p", { class: "verdict" }), ...layout.outputs.map(answerRow));
  }
  write(byId("output-title"), "Output for the sample");
  write(box.firstChild, `says ${header().predicted} · is ${header().label}`);
  outputs.forEach((value, i) => {
    const row = box.children[i + 1];
    const right = layout.outputs.length > 1 && layout.task === "classification" && target[i] > 0.5;
    row.classList.toggle("right", right);
    put(row.querySelector("meter"), "value", Math.max(0, Math.min(1, value)));
    write(row.querySelector("output"), number(value, 3));
    write(row.querySelector("small"), layout.task === "regression" ? `target ${number(target[i], 3)}` : right ? "true" : "");
  });
}

const answerRow = (name) =>
  h("div", { class: `answer-row ${get("layout").task === "regression" ? "value" : ""}` }, h("span", { text: name, title: name }), h("meter", { min: 0, max: 1, "aria-label": name }),
    h("output"), h("small"));

function scaleOf({ classes, outputs }) {
  if (classes?.length > 2) {
    return classes.map((name, i) => h("span", { title: name }, dot(classText(i, classes.length)), name));
  }
  const [low, high] = classes ?? ["negative", "positive"];
  return [h("span", { text: low, title: low }), h("i"), h("span", { text: high, title: `${outputs[0]}: ${high}` })];
}

function dot(colour) {
  const mark = h("b");
  mark.style.background = colour;
  return mark;
}
