// Changing the settings: the server builds data and network anew and says what it understood.

import { complain, calm } from "./say.js";
import { get, set } from "./store.js";
import { ask, pull } from "./wire.js";

let wanted = null; // settings that were asked for and are not built yet
let building = null; // the promise of those that are being built

/**
 * Change a copy of the settings and have it built; where that cannot be, everything stays and the reason is shown.
 * A network that was given stays until it is changed itself, or the data.
 */
export async function change(edit, near = null) {
  const settings = structuredClone(wanted ?? get("settings"));
  const [network, data] = [JSON.stringify(settings.network), settings.data.name];
  edit(settings);
  if (JSON.stringify(settings.network) !== network || settings.data.name !== data) delete settings.network.given;
  return configure(settings, near);
}

/** Have these settings built, after those that are being built; of several that wait only the last. */
export async function configure(settings, near = null) {
  wanted = settings;
  while (building) await building.catch(() => {});
  if (wanted !== settings) return false;
  document.body.classList.add("busy");
  building = ask("configure", { settings }).then(withCommand);
  try {
    const result = await building;
    building = null;
    if (wanted === settings) wanted = null;
    built(result);
    calm();
    return true;
  } catch (error) {
    building = null;
    wanted = null;
    set({ settings: structuredClone(get("settings")) });
    complain(error, near);
    return false;
  } finally {
    document.body.classList.remove("busy");
  }
}

/** What was built, and with it the settings as a command and as the part of an address after #. */
export const withCommand = async (result) => ({ ...result, command: await ask("command") });

/** Take over what the server built. */
export function built({ settings, layout, command }) {
  history.replaceState(null, "", command.fragment);
  set({
    settings, layout, command, history: [], points: null, frame: null, stage: null, unit: null, hovered: null, findings: [],
    marks: [], weight: kept(get("weight"), layout),
  });
  pull(true);
}

function kept(weight, layout) {
  const all = layout.layers.flatMap((layer) => layer.parameters);
  const found = all.find(({ name }) => name === weight?.name);
  if (found && weight.index.every((i, axis) => i < found.shape[axis])) return weight;
  return all.length ? { name: all[0].name, index: all[0].shape.map(() => 0) } : null;
}

/** The settings that the address holds, or null. */
export function fromAddress() {
  const text = decodeURIComponent(location.hash.slice(1));
  return text ? JSON.parse(text) : null;
}
