// The settings on the left: data, network, training. What can be chosen comes from the catalogue.

import { change } from "./configure.js";
import { byId, h, put, settled, write } from "./dom.js";
import { get, on } from "./store.js";
import { startUpload } from "./upload.js";

const fields = []; // {read(settings), write(value), control}

/** Build the controls once the catalogue is known, and follow the settings. */
export function startControls() {
  on(["catalogue"], build);
  on(["settings", "layout"], follow);
}

function build() {
  const { data, limits, outputs, losses, initializers, optimizers, schedules } = get("catalogue");
  fields.length = 0;
  byId("data-tiles").replaceChildren(...data.map(tile));
  byId("data-settings").replaceChildren(
    slider("noise", "Noise", "data", { min: 0, max: limits.noise, step: 0.05 }, (v) => `${Math.round(v * 100)} %`),
    slider("held_out", "Test share", "data", { min: 0, max: limits.held_out, step: 0.1 }, (v) => `${Math.round(v * 100)} %`),
    entry("rows", "Points", "data", { min: 2, max: limits.rows, step: 1 }),
    seedRow("data-seed", "Seed", "data", "regenerate", "Draw new data"),
  );
  byId("network-settings").replaceChildren(
    select("output", "Output", "network", outputs),
    select("loss", "Loss", "network", losses),
    select("init", "Initial weights", "network", initializers),
    entry("l1", "L1 penalty", "network", { min: 0, step: "any" }),
    entry("l2", "L2 penalty", "network", { min: 0, step: "any" }),
    seedRow("network-seed", "Seed", "network", "reinitialise", "Draw new weights"),
  );
  byId("training-settings").replaceChildren(
    select("optimizer", "Optimiser", "training", optimizers.map(({ name }) => name), withDefaults),
    entry("learning_rate", "Learning rate", "training", { min: 0, step: "any" }, "rates"),
    select("schedule", "Schedule", "training", schedules.map(({ name }) => name)),
    entry("momentum", "Momentum", "training", { min: 0, max: 1, step: "any" }),
    entry("batch_size", "Batch size", "training", { min: 1, max: limits.batch_size, step: 1 }),
  );
  startUpload();
  follow();
}

function tile({ name, title, description }) {
  const choose = () =>
    change((settings) => {
      settings.data.name = name;
      if (name !== "file") settings.data.target = null;
    });
  return h("button", { id: `dataset-${name}`, class: "tile", title: `${title}: ${description}`, "aria-pressed": "false",
    on: { click: choose } }, name.replace("_", " "));
}

/** Another optimiser comes with its own learning rate, and with no momentum where it has none. */
function withDefaults(settings, name) {
  const kind = get("catalogue").optimizers.find((one) => one.name === name);
  settings.training.optimizer = name;
  settings.training.learning_rate = kind.learning_rate;
  if (!kind.momentum) settings.training.momentum = 0;
}

function row(id, label, control, ...more) {
  return h("div", { class: "row", id: `row-${id}` }, h("label", { for: id, text: label }), control, ...more);
}

const idOf = (name) => name.replace("_", "-");

function select(name, label, part, names, assign = (settings, value) => (settings[part][name] = value)) {
  const control = h("select", { id: idOf(name), on: {
    change: () => change((settings) => assign(settings, control.value), control),
  } }, names.map((each) => h("option", { value: each, text: each })));
  fields.push({ read: (settings) => settings[part][name], control });
  return row(idOf(name), label, control);
}

function entry(name, label, part, attributes, list = null) {
  const control = h("input", { id: idOf(name), type: "number", list, ...attributes, on: {
    change: () => control.value !== "" && change((settings) => (settings[part][name] = Number(control.value)), control),
  } });
  fields.push({ read: (settings) => settings[part][name], control });
  return row(idOf(name), label, control);
}

function slider(name, label, part, attributes, text) {
  const shown = h("output", { for: idOf(name) });
  const send = settled(150, () => change((settings) => (settings[part][name] = Number(control.value)), control));
  const control = h("input", { id: idOf(name), type: "range", ...attributes, on: {
    input: () => {
      write(shown, text(control.value));
      send();
    },
  } });
  fields.push({ read: (settings) => settings[part][name], control, after: (value) => write(shown, text(value)) });
  return row(idOf(name), label, control, shown);
}

function seedRow(id, label, part, action, title) {
  const assign = (seed) => change((settings) => (settings[part].seed = seed), control);
  const control = h("input", { id, type: "number", min: 0, step: 1, on: { change: () => assign(Number(control.value)) } });
  fields.push({ read: (settings) => settings[part].seed, control });
  const button = h("button", { id: action, class: "text", title, on: { click: () => assign(get("settings")[part].seed + 1) } },
    "new");
  return row(id, label, control, button);
}

function follow() {
  const [settings, layout] = [get("settings"), get("layout")];
  if (!settings || !layout || !fields.length) return;
  for (const { read, control, after } of fields) {
    const value = read(settings);
    if (control.value !== String(value)) control.value = value;
    after?.(value);
  }
  for (const each of document.querySelectorAll(".tile")) {
    put(each, "aria-pressed", each.id === `dataset-${settings.data.name}`);
  }
  const about = get("catalogue").data.find(({ name }) => name === settings.data.name);
  byId("row-noise").hidden = !about?.noise;
  byId("row-rows").hidden = !about?.rows;
  byId("row-momentum").hidden = !get("catalogue").optimizers.find(({ name }) => name === settings.training.optimizer)?.momentum;
  byId("network-given").hidden = !settings.network.given;
  write(byId("data-about"), `${layout.data_title}. ${layout.train} training and ${layout.test} test rows.`);
  byId("data-about").title = layout.description;
}
