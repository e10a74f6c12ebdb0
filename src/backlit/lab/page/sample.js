// The current sample: its inputs and target, which can be changed to see what would be, and one neuron's numbers.

import { byId, h, number, showNumber, write } from "./dom.js";
import { keepFresh } from "./fresh.js";
import { paintImage } from "./maps.js";
import { pageOf } from "./pages.js";
import { attempt, complain, tell } from "./say.js";
import { array, get, header, on, set } from "./store.js";
import { ask } from "./wire.js";

const MOST = 40; // inputs that have a field of their own

/** Build the panel. */
export function startSample() {
  byId("sample-next").addEventListener("click", () => attempt(ask("sample", { row: "next" })));
  byId("sample-previous").addEventListener("click", () => attempt(ask("sample", { row: "previous" })));
  byId("sample-row").addEventListener("change", () => attempt(ask("sample", { row: Number(byId("sample-row").value) })));
  on(["layout"], build);
  on(["frame", "tab"], follow);
  keepFresh("sample", ["unit"], question, showNeuron, (error) => complain(error));
}

function build() {
  const { inputs, outputs, train } = get("layout");
  byId("sample-row").max = train - 1;
  const field = (what, name, column) =>
    h("label", { title: name }, h("span", { text: name }), h("input", {
      type: "number", step: "any", id: `${what}-${column}`, on: {
        change: (event) => {
          const value = event.target.valueAsNumber;
          if (!Number.isNaN(value)) edit({ what, column, value });
        },
      },
    }));
  byId("sample-fields").replaceChildren(
    h("h4", { text: inputs.length > MOST ? `Inputs, the first ${MOST} of ${inputs.length}` : "Inputs" }),
    h("div", { class: `fields ${inputs.some((name) => name.length > 6) ? "long" : ""}` }, inputs.slice(0, MOST).map((name, i) => field("input", name, i))),
    h("h4", { text: "Target" }),
    h("div", { class: "fields" }, outputs.slice(0, MOST).map((name, i) => field("target", name, i))),
  );
  byId("neuron").replaceChildren(h("p", { class: "empty", text: "Click a neuron: its sums appear here." }));
}

async function edit(fields) {
  const result = await attempt(ask("edit", fields), byId("sample-fields"));
  if (result) tell(result.said);
}

function follow() {
  if (get("tab") !== "sample" || !get("frame")) return;
  const now = header();
  fillIn(byId("sample-row"), now.sample);
  write(byId("sample-place"), now.row >= 0 ? `row ${now.row + 1} of the batch` : "chosen by hand");
  write(byId("sample-what-if"), now.what_if ? "what if: changed by hand, the data stays" : "");
  write(byId("sample-says"), `predicted ${now.predicted}, is ${now.label}`);
  showNumber(byId("sample-loss"), now.sample_loss, 5);
  const inputs = array("input")?.data ?? [];
  inputs.slice(0, MOST).forEach((value, i) => fillIn(byId(`input-${i}`), value));
  (now.target ?? []).slice(0, MOST).forEach((value, i) => fillIn(byId(`target-${i}`), value));
}

function fillIn(control, value) {
  if (!control || document.activeElement === control) return;
  const text = String(Number(value.toPrecision(5)));
  if (control.value !== text) control.value = text;
}

function question() {
  const unit = get("unit");
  return unit ? ask("neuron", unit) : null;
}

function showNeuron(result) {
  const box = byId("neuron");
  const { scrollTop } = box;
  const parts = [pageOf({ ...result.page, title: result.title })];
  const open = (columns) => (event) => {
    const { width, height } = event.target.getBoundingClientRect();
    const rows = result.weights.length / columns;
    const i = Math.floor((event.offsetY / height) * rows) * columns + Math.floor((event.offsetX / width) * columns);
    if (i >= 0 && i < result.weights.length) set({ weight: { name: `${result.layer}.weight`, index: [i, result.unit] }, tab: "weight" });
  };
  if (result.image && result.weights) {
    const canvas = h("canvas", { role: "img", "aria-label": "Incoming weights as a picture of the input", title: "Click a weight to unfold it", on: { click: open(result.image[1]) } });
    paintImage(canvas, result.weights, result.image, 120);
    parts.unshift(h("figure", { class: "picture" }, canvas, h("figcaption", { text: "incoming weights" })));
  } else if (result.weights?.length) {
    const canvas = h("canvas", { role: "img", "aria-label": "Incoming weights", title: "Click a weight to unfold it", on: { click: open(result.weights.length) } });
    paintImage(canvas, result.weights, [1, result.weights.length], 240);
    canvas.style.height = "14px";
    parts.unshift(h("figure", { class: "picture" }, canvas,
      h("figcaption", { text: `${result.weights.length} incoming weights, ${number(Math.min(...result.weights), 3)} to ${number(Math.max(...result.weights), 3)}` })));
  }
  box.replaceChildren(...parts);
  box.scrollTop = scrollTop;
}
