// One table of keys; the help dialog lists it.

import { byId, h } from "./dom.js";
import { stageBy } from "./stage.js";
import { set } from "./store.js";
import { TABS } from "./tabs.js";
import { switchTheme } from "./theme.js";
import { back, runOrPause, step, takeBack } from "./transport.js";

const dialog = (id) => () => (byId(id).open ? byId(id).close() : byId(id).showModal());
const focus = (id) => () => (byId(id).focus(), byId(id).select());

const KEYS = [
  [" ", "Space", "run, pause", runOrPause],
  ["ArrowRight", "→", "one batch on", () => step("batch")],
  ["Shift+ArrowRight", "Shift →", "one epoch on", () => step("epoch")],
  ["s", "s", "one sample on", () => step("sample")],
  ["ArrowLeft", "←", "one batch back", () => back("batch")],
  ["Shift+ArrowLeft", "Shift ←", "one epoch back", () => back("epoch")],
  ["Shift+S", "Shift s", "one sample back", () => back("sample")],
  ["]", "]", "into the pass: the next stage", () => stageBy(1)],
  ["[", "[", "the stage before", () => stageBy(-1)],
  ["Escape", "Esc", "leave the pass", () => set({ stage: null })],
  ["g", "g", "go to a step", focus("goto")],
  ["z", "z", "undo a change made by hand", () => takeBack("undo")],
  ["Shift+Z", "Shift z", "do it again", () => takeBack("redo")],
  ["e", "e", "export", dialog("export-dialog")],
  ["t", "t", "dark, light", switchTheme],
  ...TABS.map((name, i) => [`${(i + 1) % 10}`, `${(i + 1) % 10}`, `tab ${name === "own" ? "write it yourself" : name}`, () => set({ tab: name })]),
  ["?", "?", "this list", dialog("help-dialog")],
];

/** Listen to the keys, and list them. */
export function startKeys() {
  const actions = new Map(KEYS.map(([key, , , action]) => [key, action]));
  document.addEventListener("keydown", (event) => {
    const bracket = event.key === "[" || event.key === "]"; // on many keyboards only with AltGr
    if (((event.ctrlKey || event.metaKey || event.altKey) && !bracket) || takesKeys(event)) return;
    const letter = /^[a-zA-Z]$/.test(event.key) || event.key.startsWith("Arrow");
    const action = actions.get(event.shiftKey && letter ? `Shift+${event.key}` : event.key);
    if (!action) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("pointerup", () => setTimeout(release));
  document.addEventListener("keydown", ({ key, target }) => {
    if (key === "Enter" && target.matches("input[type=number]") && !target.form) target.blur();
  });
  byId("help").addEventListener("click", dialog("help-dialog"));
  byId("export").addEventListener("click", dialog("export-dialog"));
  byId("keys").replaceChildren(...KEYS.map(([, shown, what]) => h("div", null, h("kbd", { text: shown }), h("span", { text: what }))));
  for (const button of document.querySelectorAll("dialog .close")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}

/** What a pointer pressed gives the keys back to the page: Space trains, the arrows step. */
function release() {
  const { activeElement } = document;
  const pressed = "button, input[type=radio], input[type=checkbox], input[type=range]";
  if (activeElement?.matches(pressed) && !activeElement.closest("dialog")) activeElement.blur();
}

function takesKeys({ target, key }) {
  if (target.closest("dialog")) return key !== "?" && key !== "e";
  if (target.matches("input[type=range], input[type=radio]")) return key.startsWith("Arrow");
  if (target.matches("input[type=checkbox]")) return key === " ";
  if (target.matches("input[type=number]")) return key !== " ";
  if (target.matches("input, select, textarea, [contenteditable]")) return true;
  return key === " " && target.matches("button, summary, a");
}
