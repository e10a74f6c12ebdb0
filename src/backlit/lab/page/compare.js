// Two settings side by side from one seed, and the first step at which they part.

import { makeChart } from "./charts.js";
import { byId, fixed, h, whole } from "./dom.js";
import { otherLine, ownLine, stepLine } from "./losses.js";
import { paintOutput, sharp } from "./maps.js";
import { plainTable } from "./pages.js";
import { attempt } from "./say.js";
import { array, get, header, on } from "./store.js";
import { ask, pull } from "./wire.js";

const EVERY = 120; // milliseconds between two drawings while running
const chart = makeChart({ label: "Loss of both networks by epoch", x: "epoch", y: "loss" });
const canvas = h("canvas", { role: "img", "aria-label": "Output map of the other network" });
let other = null; // its settings
let drawn = 0;

/** What can be set differently: part, name, text, and what it is chosen from. */
function choices() {
  const { activations, initializers, optimizers, schedules, losses } = get("catalogue");
  const names = (list) => list.map(({ name }) => name);
  return [
    ["training", "learning_rate", "Learning rate"],
    ["training", "optimizer", "Optimiser", names(optimizers)],
    ["training", "batch_size", "Batch size"],
    ["training", "momentum", "Momentum"],
    ["training", "schedule", "Schedule", names(schedules)],
    ["hidden", "activation", "Activation of all hidden layers", activations],
    ["hidden", "units", "Neurons in every hidden layer"],
    ["network", "init", "Initial weights", initializers],
    ["network", "loss", "Loss", losses],
    ["network", "l1", "L1 penalty"],
    ["network", "l2", "L2 penalty"],
    ["network", "seed", "Seed of the network"],
  ];
}

/** Build the panel. */
export function startCompare() {
  byId("compare-chart").append(chart.element);
  byId("compare-map").append(canvas);
  byId("compare-what").addEventListener("change", field);
  byId("compare").addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  byId("compare-end").addEventListener("click", end);
  on(["catalogue"], () => {
    byId("compare-what").replaceChildren(...choices().map(([, , text], i) => new Option(text, i)));
    field();
  });
  on(["layout"], () => {
    other = null;
    body();
  });
  on(["frame", "tab"], follow);
}

function field() {
  const [, name, text, list] = choices()[byId("compare-what").value];
  const control = list
    ? h("select", null, list.map((each) => new Option(each, each)))
    : h("input", { type: "number", step: "any", required: true, value: name === "learning_rate" ? 0.3 : "" });
  control.id = "compare-value";
  control.setAttribute("aria-label", text);
  byId("compare-value").replaceWith(control);
}

async function begin() {
  const [part, name, , list] = choices()[byId("compare-what").value];
  const text = byId("compare-value").value;
  const value = list ? text : Number(text);
  const settings = structuredClone(other ?? get("settings"));
  if (part === "hidden") for (const layer of settings.network.hidden) layer[name] = value;
  else settings[part][name] = value;
  if (name === "optimizer") {
    const kind = get("catalogue").optimizers.find((each) => each.name === value);
    settings.training.learning_rate = kind.learning_rate;
    if (!kind.momentum) settings.training.momentum = 0;
  }
  const result = await attempt(ask("compare", { settings }), byId("compare"));
  if (!result) return;
  other = settings;
  byId("compare-differences").replaceChildren(
    plainTable(["setting", "this one", "the other"], "lll", result.differences.map((line) => line.map(String))),
  );
  body();
  pull(true);
}

async function end() {
  if (!(await attempt(ask("compare", { settings: null })))) return;
  other = null;
  body();
  pull(true);
}

function body() {
  byId("compare-end").disabled = !other;
  byId("compare-body").hidden = !other;
  byId("compare-empty").hidden = Boolean(other);
  byId("compare-start").textContent = other ? "Add this difference" : "Compare";
  if (!other) byId("compare-differences").replaceChildren();
}

function follow() {
  const now = header().other;
  const late = header().running && performance.now() - drawn < EVERY;
  if (get("tab") !== "compare" || !now || late) return;
  drawn = performance.now();
  const early = get("history").length < 3;
  chart.update({
    lines: (early
      ? [stepLine("this one"), { ...stepLine("the other", "other.steps"), kind: "other" }]
      : [ownLine("this one"), otherLine("the other")]
    ).filter((line) => line?.x),
  });
  const own = header();
  byId("compare-numbers").replaceChildren(
    plainTable(["", "this one", "the other"], "lrr", [
      ["step", whole(own.step), whole(now.step)],
      ["training loss", fixed(own.train_loss), fixed(now.train_loss)],
      ["test loss", fixed(own.test_loss), fixed(now.test_loss)],
      [own.metric === "r2" ? "R²" : "accuracy", fixed(own.accuracy, 3), fixed(now.accuracy, 3)],
    ]),
    h("p", { id: "parted", text: parting(now) }),
  );
  const map = array("other.map.out");
  byId("compare-map").hidden = !map;
  if (map) paintOutput(sharp(canvas, 150, 150), map, get("layout"), get("points"), [0, 0, 150, 150]);
}

function parting({ parted, parted_loss, stopped }) {
  const first =
    parted === null || parted === undefined
      ? "Up to here every parameter is the same in both."
      : parted === 0
        ? "They part at step 0: the initial values differ."
        : `They part at step ${parted}: the first one after which a parameter differs.`;
  const loss = parted_loss === null || parted_loss === undefined ? "" : ` Their losses differ from step ${parted_loss} on.`;
  return `${first}${loss}${stopped ? ` ${stopped}` : ""}`;
}
