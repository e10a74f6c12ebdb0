// Above each column of the network: its name, and what can be changed about it.

import { change } from "./configure.js";
import { byId, h, icon } from "./dom.js";
import { get } from "./store.js";

const MINUS = "M3 8h10";
const PLUS = "M3 8h10M8 3v10";
const DROPOUTS = [0, 0.1, 0.2, 0.3, 0.5];

/** The heads of all columns, at their places. */
export function heads(columns) {
  const { settings, catalogue } = { settings: get("settings"), catalogue: get("catalogue") };
  const wide = Math.min(96, (columns[1]?.x ?? 100) - columns[0].x - 4);
  byId("heads").replaceChildren(
    ...columns.map((column, i) => {
      const head = headOf(column, i === columns.length - 1, settings, catalogue);
      head.style.left = `${column.x}px`;
      head.style.width = `${column.gate ? 56 : Math.max(62, wide)}px`;
      return head;
    }),
  );
  const count = settings.network.given ? 0 : settings.network.hidden.length;
  byId("add-layer").disabled = !settings.network.given && count >= catalogue.limits.hidden_layers;
  byId("remove-layer").disabled = count === 0;
  byId("layer-count").textContent = settings.network.given
    ? "a network of your own"
    : `${count} hidden ${count === 1 ? "layer" : "layers"}`;
}

function headOf(column, last, settings, catalogue) {
  if (column.kind === "input") {
    const title = column.crossed ? "Features" : "Inputs";
    const count = column.units.filter((unit) => unit.active).length;
    return h("div", { class: "head" }, h("b", { text: title }), h("small", { text: `${count}` }));
  }
  const { layer } = column;
  if (column.gate) return h("div", { class: "head" }, h("small", { text: layer.title, title: layer.title }));
  if (layer.hidden === null) {
    return h("div", { class: "head", title: layer.title }, h("b", { text: last ? "Output" : `Layer ${layer.index}` }),
      h("small", { text: `${layer.units} ${layer.activation ?? "linear"}` }));
  }
  return hiddenHead(layer, settings.network.hidden[layer.hidden], catalogue);
}

function hiddenHead(layer, now, catalogue) {
  const place = layer.hidden;
  const edit = (changes) => change((settings) => Object.assign(settings.network.hidden[place], changes));
  const step = (name, path, units, label) =>
    h("button", {
      id: `${name}-unit-${place}`, class: "small", "aria-label": label, title: label,
      disabled: units < 1 || units > catalogue.limits.units, on: { click: () => edit({ units }) },
    }, icon(path));
  const label = `hidden layer ${place + 1}`;
  return h("div", { class: "head" },
    h("span", { class: "stepper" },
      step("remove", MINUS, now.units - 1, `One neuron less in ${label}`),
      h("input", {
        id: `units-${place}`, type: "number", min: 1, max: catalogue.limits.units, value: now.units,
        "aria-label": `Neurons in ${label}`, on: { change: (event) => edit({ units: Number(event.target.value) }) },
      }),
      step("add", PLUS, now.units + 1, `One neuron more in ${label}`)),
    choice(`activation-${place}`, `Activation of ${label}`, catalogue.activations, now.activation,
      (activation) => edit({ activation })),
    choice(`dropout-${place}`, `Dropout behind ${label}`, dropouts(now.dropout), now.dropout,
      (text) => edit({ dropout: Number(text) }), (value) => (Number(value) ? `drop ${value}` : "no dropout")));
}

const dropouts = (now) => [...new Set([...DROPOUTS, now])].sort((a, b) => a - b);

function choice(id, label, names, now, chosen, text = (name) => name) {
  const options = names.map((name) => h("option", { value: name, text: text(name), selected: name === now }));
  return h("select", { id, "aria-label": label, title: label, on: { change: (event) => chosen(event.target.value) } },
    options);
}

/** A new layer before the output, or one less. */
export function wireLayerButtons() {
  byId("add-layer").addEventListener("click", () =>
    change((settings) => {
      const { hidden } = settings.network;
      hidden.push({ ...(hidden.at(-1) ?? { units: 4, activation: "tanh", dropout: 0 }) });
    }));
  byId("remove-layer").addEventListener("click", () => change((settings) => settings.network.hidden.pop()));
}
