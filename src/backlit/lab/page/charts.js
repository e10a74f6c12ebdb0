// Curves with labelled axes: a few dozen lines of SVG.

import { h, number, s } from "./dom.js";

const EDGE = { left: 46, right: 10, top: 8, bottom: 30 };
const DECADES = 14; // the most that a logarithmic axis shows

/** A chart; `update` takes lines {name, kind, x, y}, bands {name, kind, x, low, high} and marks {x, y, kind, text}. */
export function makeChart({ label, x, y, log = false, legend = true, empty = "nothing to draw yet" }) {
  const svg = s("svg", { class: "chart", role: "img", "aria-label": label });
  const key = h("div", { class: "legend" });
  const element = h("figure", { class: "chart-box" }, svg, legend ? key : null);
  const chart = { element, log, size: [0, 0], drawn: { lines: [], bands: [], marks: [] } };
  const redraw = () => draw(chart, svg, key, { label, x, y, empty });
  new ResizeObserver(() => {
    chart.size = [svg.clientWidth, svg.clientHeight];
    redraw();
  }).observe(svg);
  chart.update = (drawn) => {
    chart.drawn = { lines: [], bands: [], marks: [], ...drawn };
    redraw();
  };
  return chart;
}

function draw(chart, svg, key, words) {
  const [width, height] = chart.size;
  if (width < 60 || height < 60) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const { lines, bands, marks } = chart.drawn;
  const xs = spanOf([...lines, ...bands].map((part) => part.x));
  const spanY = spanOf([...lines.map((l) => l.y), ...bands.flatMap((b) => [b.low, b.high])], chart.log);
  if (!xs || !spanY) {
    svg.replaceChildren(s("text", { x: width / 2, y: height / 2, class: "empty", text: words.empty }));
    key.replaceChildren();
    return;
  }
  const ys = roomy(spanY, chart.log);
  const toY = chart.log ? Math.log10 : (value) => value;
  const [low, high] = ys.map(toY);
  const px = (value) => EDGE.left + ((value - xs[0]) / (xs[1] - xs[0])) * (width - EDGE.left - EDGE.right);
  const py = (value) => {
    const share = (toY(value) - low) / (high - low);
    return height - EDGE.bottom - Math.max(-0.5, Math.min(1.5, share)) * (height - EDGE.top - EDGE.bottom);
  };
  const parts = [...axes(xs, ys, chart.log, px, py, width, height, words)];
  for (const band of bands) {
    const there = pathOf(band.x, band.high, px, py);
    const back = pathOf([...band.x].reverse(), [...band.low].reverse(), px, py);
    if (there && back) parts.push(s("path", { class: `band ${band.kind}`, d: `${there}L${back.slice(1)}Z` }));
  }
  for (const line of lines) parts.push(s("path", { class: `curve ${line.kind}`, d: pathOf(line.x, line.y, px, py) }));
  for (const { kind, x, y } of lines) {
    if (x.length === 1) parts.push(s("circle", { class: `curve ${kind}`, cx: px(x[0]), cy: py(y[0]), r: 2.5 }));
  }
  for (const mark of marks) parts.push(...markOf(mark, px, py, width));
  svg.replaceChildren(...parts);
  key.replaceChildren(...[...lines, ...bands].filter(({ name }) => name).map(keyOf));
}

function markOf({ x, y, kind, text }, px, py, width) {
  const [cx, cy] = [px(x), py(y)];
  if (!Number.isFinite(cx) || !Number.isFinite(cy)) return [];
  const end = cx > width - 90;
  return [s("circle", { cx, cy, r: 4, class: `mark ${kind}` }),
    text ? s("text", { x: cx + (end ? -7 : 7), y: cy - 7, class: `mark-text ${end ? "end" : ""}`, text }) : null]
    .filter(Boolean);
}

function keyOf({ name, kind, low }) {
  const swatch = s("svg", { width: 18, height: 8, "aria-hidden": "true" },
    low ? s("rect", { width: 18, height: 8, class: `band ${kind}` }) : s("path", { d: "M0 4H18", class: `curve ${kind}` }));
  return h("span", null, swatch, h("span", { text: name }));
}

function spanOf(columns, positive = false) {
  let [low, high] = [Infinity, -Infinity];
  for (const column of columns) {
    for (const value of column) {
      if (!Number.isFinite(value) || (positive && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return null;
  if (positive) low = Math.max(low, high / 10 ** DECADES);
  if (low < high) return [low, high];
  const room = positive || low !== 0 ? Math.abs(low) / 2 : 0.5;
  return [low - room, high + room];
}

function roomy([low, high], log) {
  if (log) return [low / 1.2, high * 1.2];
  const room = (high - low) * 0.06;
  return [low >= 0 && low < (high - low) * 0.4 ? 0 : low - room, high + room];
}

function pathOf(x, y, px, py) {
  let d = "";
  let pen = "M";
  const skip = Math.max(1, Math.floor(x.length / 800));
  for (let i = 0; i < x.length; i += i + skip < x.length || i === x.length - 1 ? skip : x.length - 1 - i) {
    const [cx, cy] = [px(x[i]), py(y[i])];
    if (Number.isFinite(cx) && Number.isFinite(cy)) {
      d += `${pen}${cx.toFixed(1)} ${cy.toFixed(1)}`;
      pen = "L";
    } else {
      pen = "M";
    }
  }
  return d;
}

function axes(xs, ys, log, px, py, width, height, words) {
  const bottom = height - EDGE.bottom;
  const parts = [];
  for (const value of ticks(...xs, Math.max(2, Math.floor(width / 80)))) {
    parts.push(s("text", { x: px(value), y: bottom + 13, class: "tick middle", text: tickText(value) }));
  }
  const marks = log ? decades(...ys) : ticks(...ys, Math.max(2, Math.floor(height / 36)));
  for (const value of marks) {
    const y = py(value);
    parts.push(s("path", { class: "grid", d: `M${EDGE.left} ${y}H${width - EDGE.right}` }));
    parts.push(s("text", { x: EDGE.left - 5, y: y + 3.5, class: "tick end", text: tickText(value) }));
  }
  parts.push(s("path", { class: "axis", d: `M${EDGE.left} ${EDGE.top}V${bottom}H${width - EDGE.right}` }));
  parts.push(s("text", { x: width - EDGE.right, y: height - 4, class: "axis-name end", text: words.x }));
  parts.push(s("text", { x: 10, y: EDGE.top, class: "axis-name end", text: words.y, transform: `rotate(-90 10 ${EDGE.top})` }));
  return parts;
}

function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1e4 || (size > 0 && size < 1e-3)) {
    return value.toExponential(1).replace(".0", "").replace("e+", "e").replace(/-/g, "−");
  }
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

// Round numbers within a span, about so many.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9) + 1e-12; i++) found.push(i * step);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power++) found.push(10 ** power);
  return found.length ? found.filter((_, i) => i % Math.ceil(found.length / 6) === 0) : ticks(low, high, 3).filter((v) => v > 0);
}

/** Bars of counts around their middles. */
export function bars(centres, counts, kind, label) {
  const [width, height] = [180, 64];
  const most = Math.max(1, ...counts);
  const step = (width - 8) / centres.length;
  const rects = Array.from(counts, (count, i) =>
    s("rect", { x: 4 + i * step, width: Math.max(1, step - 1), y: height - 14 - (count / most) * (height - 18),
      height: (count / most) * (height - 18), class: `stick ${centres[i] < 0 ? "negative" : "positive"}` }));
  const zero = centres[0] < 0 && centres.at(-1) > 0
    ? s("path", { class: "axis", d: `M${4 + ((0 - centres[0]) / (centres.at(-1) - centres[0]) * (centres.length - 1) + 0.5) * step} 2V${height - 14}` })
    : null;
  return s("svg", { viewBox: `0 0 ${width} ${height}`, class: `histogram ${kind}`, role: "img", "aria-label": label },
    rects, zero,
    s("text", { x: 4, y: height - 3, class: "tick", text: number(centres[0], 2) }),
    s("text", { x: width - 4, y: height - 3, class: "tick end", text: number(centres.at(-1), 2) }));
}
