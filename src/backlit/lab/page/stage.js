// Inside a pass: layer by layer forwards, the loss, layer by layer backwards, the update.

import { byId, h, write } from "./dom.js";
import { pageOf } from "./pages.js";
import { attempt } from "./say.js";
import { get, header, on, set } from "./store.js";
import { ask } from "./wire.js";

const SAID = { forward: "forwards", backward: "backwards", gradient: "gradients", loss: "the loss", update: "the update" };
let whole = false; // whether the whole step is shown
let place = ""; // step and sample that the stage belongs to

/** Wire the buttons. */
export function startStage() {
  byId("stage-next").addEventListener("click", () => stageBy(1));
  byId("stage-previous").addEventListener("click", () => stageBy(-1));
  byId("stage-leave").addEventListener("click", () => set({ stage: null }));
  byId("ledger").addEventListener("click", ledger);
  on(["stage"], show);
  on(["frame"], leaveWhenMoved);
}

const here = () => `${header().step} ${header().sample} ${header().undo} ${header().redo}`;

/** One stage on, or back; before the first one the pass is left. */
export async function stageBy(by) {
  const now = get("stage");
  const at = now ? now.at + by : by > 0 ? 0 : -1;
  if (at < 0 || header().running) {
    set({ stage: null });
    return;
  }
  if (now && at >= now.count) return;
  const result = await attempt(ask("stage", { at }));
  if (!result) return;
  place = here();
  set({ stage: result, tab: "sample" });
}

/** The whole step on one page, until the network or the stage moves. */
async function ledger() {
  set({ stage: null });
  const result = await attempt(ask("ledger", { scope: "sample" }));
  if (!result) return;
  place = here();
  whole = true;
  byId("stage-page").replaceChildren(pageOf(result.page));
}

function leaveWhenMoved() {
  if (!header().running && here() === place) return;
  if (get("stage")) set({ stage: null });
  else if (whole) show();
}

function show() {
  whole = false;
  const stage = get("stage");
  byId("stage-leave").hidden = !stage;
  byId("stage-previous").disabled = !stage;
  byId("stage-next").disabled = Boolean(stage && stage.at >= stage.count - 1);
  document.body.classList.toggle("in-pass", Boolean(stage));
  const layer = stage?.layer ?? null;
  const title = layer === null ? "" : ` · ${get("layout").layers[layer].title}`;
  write(byId("stage-text"), stage ? `${stage.at + 1}/${stage.count} ${SAID[stage.direction]}${stage.direction === "loss" ? "" : title}` : "Inside the pass");
  byId("stage-page").replaceChildren(
    stage ? pageOf(stage.page) : h("p", { class: "empty", text: "] goes into the pass, stage by stage; [ goes back." }),
  );
}
