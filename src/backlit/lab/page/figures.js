// Gradient flow by layer, histograms, the confusion matrix.

import { bars } from "./charts.js";
import { byId, h, number, whole } from "./dom.js";
import { array, get, header, on } from "./store.js";

const EVERY = 120; // milliseconds between two drawings while running
const FLOW = [["‖∂L/∂W‖", "norm of the gradient"], ["mean |δ|", "mean size of delta"], ["‖step‖ / ‖W‖", "step relative to the weights"]];
const DECADES = 8;
let drawn = 0;

/** Begin to draw whichever of them is open. */
export function startFigures() {
  on(["frame", "tab"], () => {
    const now = performance.now();
    if (header().running && now - drawn < EVERY) return;
    drawn = now;
    const draw = { flow, histograms, confusion }[get("tab")];
    if (draw && get("frame")) draw();
  });
}

function flow() {
  const rows = array("flow");
  const layout = get("layout");
  if (!rows?.data.length) return empty("panel-flow", "This network has no layer that learns.");
  const columns = FLOW.map(([title, about], k) => {
    const values = Array.from({ length: rows.shape[0] }, (_, i) => [rows.data[4 * i], rows.data[4 * i + k + 1]]);
    const most = Math.max(...values.map(([, value]) => value).filter(Number.isFinite), 1e-30);
    const lines = values.map(([layer, value]) => flowRow(layout.layers[layer], value, most));
    return h("section", null, h("h4", { text: title, title: about }), h("p", { class: "dim", text: about }), lines);
  });
  byId("panel-flow").replaceChildren(
    h("div", { class: "flow" }, columns),
    h("p", { class: "dim", text: `Bars are logarithmic: from the largest down over ${DECADES} powers of ten. Even bars are healthy; bars that shrink towards the input vanish.` }),
  );
}

function flowRow(layer, value, most) {
  const share = value > 0 ? Math.max(0, 1 + Math.log10(value / most) / DECADES) : 0;
  const bar = h("i");
  bar.style.width = `${(100 * share).toFixed(1)}%`;
  return h("div", { class: "flow-row" }, h("span", { text: `${layer.index} ${layer.kind}`, title: layer.title }),
    h("div", { class: "track" }, bar), h("output", { text: number(value, 3) }));
}

function histograms() {
  const names = get("layout").layers.flatMap((layer) => layer.parameters.map(({ name }) => name));
  const cards = names.map((name) => {
    const pair = ["values", "gradient"].map((what) => {
      const found = array(`hist.${what}.${name}`);
      if (!found) return null;
      const bins = found.shape[1];
      const [centres, counts] = [Array.from(found.data.subarray(0, bins)), found.data.subarray(bins)];
      const title = what === "values" ? "values" : "gradient";
      return h("figure", null, h("figcaption", { text: title }), bars(centres, counts, what, `${title} of ${name}, ${whole(counts.reduce((a, b) => a + b, 0))} numbers`));
    });
    return h("section", { class: "card" }, h("h4", { text: name }), h("div", { class: "pair" }, pair));
  });
  if (cards.length) byId("panel-histograms").replaceChildren(h("div", { class: "cards" }, cards));
  else empty("panel-histograms", "This network has no parameters.");
}

function confusion() {
  const layout = get("layout");
  if (layout.task !== "classification") return empty("panel-confusion", "A confusion matrix needs classes; this data has values.");
  const tables = [["confusion.train", "Training rows"], ["confusion.test", "Test rows"]]
    .map(([name, title]) => [array(name), title])
    .filter(([found]) => found)
    .map(([found, title]) => matrix(found, title, layout.classes ?? ["0", "1"]));
  byId("panel-confusion").replaceChildren(h("div", { class: "matrices" }, tables));
}

function matrix({ shape: [count], data }, title, classes) {
  let right = 0;
  let all = 0;
  const rows = Array.from({ length: count }, (_, i) => {
    const row = data.subarray(i * count, (i + 1) * count);
    const sum = row.reduce((a, b) => a + b, 0);
    right += row[i];
    all += sum;
    const cells = Array.from(row, (value, k) => {
      const cell = h("td", { class: i === k ? "hit" : value ? "miss" : "none", text: whole(value),
        title: `${whole(value)} rows of ${classes[i]} taken for ${classes[k]}` });
      cell.style.setProperty("--share", sum ? (value / sum).toFixed(3) : "0");
      return cell;
    });
    return h("tr", null, h("th", { scope: "row", text: classes[i] }), cells);
  });
  const head = h("tr", null, h("td", { class: "corner", text: "true ↓ predicted →" }),
    classes.slice(0, count).map((name) => h("th", { scope: "col", text: name })));
  return h("figure", { class: "matrix" }, h("figcaption", { text: `${title}: ${whole(right)} of ${whole(all)} right` }),
    h("div", { class: "scrolls" }, h("table", null, h("thead", null, head), h("tbody", null, rows))));
}

function empty(id, text) {
  byId(id).replaceChildren(h("p", { class: "empty", text }));
}
