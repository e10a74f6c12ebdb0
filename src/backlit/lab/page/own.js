// Write it yourself: the backward step of a layer as NumPy of your own, compared with the library's numbers.

import { byId, h, number, write } from "./dom.js";
import { pageOf, plainTable } from "./pages.js";
import { complain, calm } from "./say.js";
import { get, header, on, set } from "./store.js";
import { ask } from "./wire.js";

const AGREES = 1e-6; // relative error below which a line is called equal where the server does not say
const HINT = "Run, or paste gradients: they are compared with the library's, and a mistake is named.";
let judged = null; // the step whose gradients were judged
let known = null; // layout whose layers can be chosen
let asked = 0; // questions for code so far: only the answer to the last one is shown

/** Build the panel. */
export function startOwn() {
  byId("own-layer").addEventListener("change", () => code(true));
  byId("own-run").addEventListener("click", () =>
    judge(ask("run_code", { layer: Number(byId("own-layer").value), source: byId("own-source").value })));
  byId("own-source").addEventListener("keydown", tabInCode);
  byId("own-reset").addEventListener("click", () => code(true));
  byId("own-paste").addEventListener("click", paste);
  byId("own-npz").addEventListener("change", archive);
  on(["frame"], () => get("marks").length && header().step !== judged && set({ marks: [] }));
  on(["tab", "layout"], () => get("tab") === "own" && code());
}

function tabInCode(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("own-run").click();
  event.stopPropagation();
}

async function code(force = false) {
  const layout = get("layout");
  if (!layout || (known === layout && !force)) return;
  if (known !== layout) {
    const learning = layout.layers.filter(({ parameters }) => parameters.length);
    byId("own-layer").replaceChildren(...learning.map(({ index, title }) => new Option(`${index}  ${title}`, index)));
    byId("own-result").replaceChildren(h("p", { class: "empty", text: HINT }));
    byId("own-layer").value = String(learning.at(-1)?.index ?? "");
  }
  known = layout;
  const mine = ++asked;
  // One layer's code is not to be run, or edited, under the name of another while it is on its way.
  byId("own-source").value = "";
  byId("own-source").readOnly = byId("own-run").disabled = true;
  try {
    const found = await ask("code", { layer: Number(byId("own-layer").value) });
    if (mine !== asked) return;
    byId("own-source").value = found.source;
    byId("own-source").readOnly = false;
    const table = (rows) => plainTable(["", "shape", ""], "lll", rows.map(([name, shape, what]) => [name, `(${shape})`, what]));
    byId("own-given").replaceChildren(table(found.given));
    byId("own-asked").replaceChildren(table(found.asked));
    const runs = found.runs ?? get("allowCode");
    byId("own-run").disabled = !runs;
    byId("own-closed").hidden = runs;
  } catch (error) {
    complain(error);
  }
}

async function judge(question) {
  byId("own-run").classList.add("busy");
  try {
    const result = await question;
    calm();
    set({ marks: result.findings.filter(({ layer }) => layer !== null).map(({ layer, explanation }) => ({ layer, text: explanation })) });
    judged = header().step;
    byId("own-result").replaceChildren(
      ...result.findings.map(({ name, layer, explanation }) => h("p", null,
        h("b", { class: "tone-bad", text: `${name.replaceAll("_", " ")}${layer === null ? "" : `, layer ${layer}`}: ` }), explanation)),
      result.compared?.length
        ? plainTable(["array", "relative error", ""], "lrl", result.compared.map(([name, error, ok]) =>
          [name, number(error, 3), (ok ?? error < AGREES) ? "agrees" : "differs"]))
        : "",
      pageOf(result.page),
      result.printed ? h("pre", { text: result.printed }) : "",
    );
  } catch (error) {
    set({ marks: [] });
    byId("own-result").replaceChildren(h("pre", { class: "tone-bad", text: error.message }));
  } finally {
    byId("own-run").classList.remove("busy");
  }
}

function paste() {
  const text = byId("own-gradients").value;
  try {
    judge(ask("diagnose", { gradients: JSON.parse(text) }));
  } catch (error) {
    write(byId("own-result"), `This is not JSON: ${error.message}. Paste an object such as {"0.weight": [[0.1, 0.2]]}.`);
  }
}

async function archive() {
  const [file] = byId("own-npz").files;
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  byId("own-npz").value = "";
  judge(ask("diagnose", { npz: btoa(text) }));
}
