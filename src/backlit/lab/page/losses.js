// The losses: always in sight on the right, and larger among the curves.

import { makeChart } from "./charts.js";
import { byId, h } from "./dom.js";
import { array, get, header, on } from "./store.js";

const EVERY = 100; // milliseconds between two drawings while running
const [EPOCH, LOSS, LOWEST, HIGHEST, TEST, METRIC, RATE] = [0, 1, 2, 3, 4, 5, 6];

const main = makeChart({ label: "Loss by epoch", x: "epoch", y: "loss", empty: "Space begins to train" });
const large = makeChart({ label: "Loss by epoch", x: "epoch", y: "loss" });
const metric = makeChart({ label: "Test accuracy or R² by epoch", x: "epoch", y: "accuracy / R²" });
const rate = makeChart({ label: "Learning rate by epoch", x: "epoch", y: "learning rate" });
let drawn = 0;

/** Begin to draw. */
export function startLosses() {
  byId("loss-chart").append(main.element);
  byId("panel-curves").append(
    h("div", { class: "charts" }, large.element, metric.element, rate.element),
    h("label", { class: "switch" },
      h("input", { type: "checkbox", id: "log-loss", on: { change: (event) => logarithmic(event.target.checked) } }),
      h("span", { text: "logarithmic loss" })),
  );
  on(["frame", "tab", "layout"], soon);
}

function logarithmic(log) {
  main.log = large.log = log;
  draw();
}

function soon() {
  const now = performance.now();
  if (header().running && now - drawn < EVERY) return;
  drawn = now;
  draw();
}

const column = (rows, i) => rows.map((row) => row[i]);

function draw() {
  const rows = get("history");
  const losses = lossesOf(rows);
  main.update(losses);
  if (get("tab") !== "curves") return;
  large.update(losses);
  const epochs = column(rows, EPOCH);
  metric.update({ lines: [{ name: "test rows", kind: "test", x: epochs, y: column(rows, METRIC) }] });
  rate.update({ lines: [{ name: "learning rate", kind: "train", x: epochs, y: column(rows, RATE) }] });
}

function lossesOf(rows) {
  const epochs = column(rows, EPOCH);
  const lines = [];
  const bands = [];
  if (rows.length < 3) lines.push(stepLine("steps"));
  if (rows.length) {
    bands.push({ name: "batches, min to max", kind: "train", x: epochs, low: column(rows, LOWEST), high: column(rows, HIGHEST) });
    lines.push({ name: "mean, training", kind: "train", x: epochs, y: column(rows, LOSS) });
    lines.push({ name: "test", kind: "test", x: epochs, y: column(rows, TEST) });
  }
  return { lines: lines.filter((line) => line && [...line.y].some(Number.isFinite)), bands };
}

/** The losses of the last steps, at their place in epochs. */
export function stepLine(name, of = "steps") {
  const steps = array(of)?.data;
  const every = get("layout")?.steps_per_epoch || 1;
  if (!steps?.length) return null;
  const x = [];
  const y = [];
  for (let i = 0; i < steps.length; i += 2) {
    x.push((steps[i] + 1) / every);
    y.push(steps[i + 1]);
  }
  return { name, kind: "batch", x, y };
}

/** The losses by epoch of the network that is compared, as a line. */
export function otherLine(name) {
  const rows = array("other.history");
  if (!rows) return null;
  const x = [];
  const y = [];
  for (let i = 0; i < rows.data.length; i += 7) {
    x.push(rows.data[i + EPOCH]);
    y.push(rows.data[i + LOSS]);
  }
  return { name, kind: "other", x, y };
}

/** The losses by epoch of this network. */
export const ownLine = (name) => ({ name, kind: "train", x: column(get("history"), EPOCH), y: column(get("history"), LOSS) });
