// Predict, then reveal: which way a gradient points, and how large it is, before it is shown.

import { byId, h, number, write } from "./dom.js";
import { complain } from "./say.js";
import { array, get, ofParameter, on, parameters } from "./store.js";
import { ask } from "./wire.js";

let weight = null; // {parameter, index}
let sign = null;
const score = { asked: 0, right: 0 };

/** Build the panel. */
export function startGuess() {
  byId("guess-another").addEventListener("click", another);
  for (const button of document.querySelectorAll("[data-sign]")) {
    button.addEventListener("click", () => choose(Number(button.dataset.sign)));
  }
  byId("guess").addEventListener("submit", (event) => {
    event.preventDefault();
    reveal();
  });
  on(["layout"], () => (weight = null));
  on(["tab", "frame"], () => {
    if (get("tab") !== "predict" || !get("frame")) return;
    if (weight) describe();
    else another();
  });
}

function another() {
  const all = parameters();
  if (!all.length) return;
  const parameter = all[Math.floor(Math.random() * all.length)];
  weight = { parameter, index: parameter.shape.map((size) => Math.floor(Math.random() * size)) };
  byId("guess-said").replaceChildren();
  byId("guess-size").value = "";
  choose(null);
  describe();
}

function choose(value) {
  sign = value;
  for (const button of document.querySelectorAll("[data-sign]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.sign) === value && value !== null));
  }
  byId("guess-reveal").disabled = value === null;
}

function describe() {
  const { parameter, index } = weight;
  const layer = get("layout").layers.find(({ parameters: own }) => own.includes(parameter));
  const at = index.length === 2 ? index[0] * parameter.shape[1] + index[1] : index[0];
  const unit = index.at(-1);
  write(byId("guess-name"), `${parameter.name}[${index.join(", ")}]`);
  const before = layer.index === 0 ? array("input") : array(`a.${layer.index - 1}`);
  const facts = [
    ["its value", ofParameter("values", parameter)?.[at]],
    index.length === 2 ? ["a that comes into it, for the sample", before?.data[index[0]]] : null,
    ["z of its unit", array(`z.${layer.index}`)?.data[unit]],
    ["f′(z) of its unit", array(`slope.${layer.index}`)?.data[unit]],
  ].filter(Boolean);
  byId("guess-facts").replaceChildren(...facts.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: number(value) })]));
}

async function reveal() {
  const size = byId("guess-size").valueAsNumber;
  const { parameter, index } = weight;
  try {
    const result = await ask("guess", { name: parameter.name, index, scope: "sample", sign, size: Number.isNaN(size) ? null : size });
    score.asked += 1;
    score.right += result.right_sign ? 1 : 0;
    byId("guess-said").replaceChildren(
      h("p", { class: result.right_sign ? "tone-good" : "tone-bad", text: result.said }),
      h("p", { class: "dim", text: `${score.right} of ${score.asked} signs right so far` }),
    );
  } catch (error) {
    complain(error);
  }
}
