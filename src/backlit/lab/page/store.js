// What the page knows, in one place; whoever draws a part of it is told when that part changes.

const state = {
  session: null, // its name
  connection: "connecting", // connecting, open, lost, shut (the server has another token)
  catalogue: null,
  settings: null,
  layout: null,
  allowCode: false,
  command: null, // {command, fragment, notes}
  frame: null, // the last one drawn: {header, arrays}
  points: null, // arrays of the rows in the plane
  history: [], // rows of epochs: number, loss, lowest, highest, test loss, metric, learning rate
  tab: "weight",
  show: "maps", // what neurons show: maps, a, z, slope, delta
  scope: "batch",
  weight: null, // the weight that is open: {name, index}
  unit: null, // the unit that is looked at: {layer, unit}
  hovered: null, // the unit under the pointer
  stage: null, // the stage inside the pass
  findings: [],
  marks: [], // layers with a mistake found by the diagnosis: [{layer, text}]
  theme: null,
};

const listeners = new Map();

/** One part of what the page knows. */
export const get = (key) => state[key];

/** Change parts, then tell those who listen, each of them once. */
export function set(changes) {
  const told = new Set();
  for (const [key, value] of Object.entries(changes)) {
    if (!(key in state)) throw new Error(`the page has no state '${key}'`);
    if (state[key] === value) continue;
    state[key] = value;
    for (const listener of listeners.get(key) ?? []) told.add(listener);
  }
  for (const listener of told) listener();
}

/** Call the listener whenever one of these parts changes. */
export function on(keys, listener) {
  for (const key of keys) {
    if (!(key in state)) throw new Error(`the page has no state '${key}'`);
    listeners.set(key, [...(listeners.get(key) ?? []), listener]);
  }
}

/** The header of the frame that is shown, or an empty one. */
export const header = () => state.frame?.header ?? {};

/** An array of the frame that is shown: {shape, data}, or null. */
export const array = (name) => state.frame?.arrays.get(name) ?? null;

/** "values", "gradient" or "update" of a parameter array of the layout, or null where the frame lacks it. */
export function ofParameter(what, parameter) {
  const all = array(what);
  const size = parameter.shape.reduce((a, b) => a * b, 1);
  if (all) return all.data.subarray(parameter.offset, parameter.offset + size);
  return array(`${what}.${parameter.name}`)?.data ?? null;
}

/** Whether a frame is of the network that the layout describes. */
export function fits({ arrays }) {
  const { layout } = state;
  const size = (name) => arrays.get(name)?.shape[0];
  if (!layout || size("input") !== layout.inputs.length || arrays.has(`a.${layout.layers.length}`)) return false;
  return layout.layers.every(({ index, units }) => size(`a.${index}`) === units);
}

/** Every parameter array of the layout, in order. */
export const parameters = () => (state.layout?.layers ?? []).flatMap((layer) => layer.parameters);

/** How a weight is named: 0.weight[1,2]. */
export const weightKey = (name, index) => `${name}[${index.join(",")}]`;
