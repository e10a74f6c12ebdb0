// The drawer below the network: one panel at a time.

import { byId } from "./dom.js";
import { get, on, set } from "./store.js";
import { pull } from "./wire.js";

const VIEWS = { histograms: ["histograms"], confusion: ["confusion"] };

/** The names of the tabs, in order. */
export const TABS = ["weight", "sample", "curves", "flow", "histograms", "confusion", "health", "compare", "predict", "own"];

/** Wire the tabs: a click, or the arrow keys. */
export function startTabs() {
  for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => set({ tab: name }));
  byId("tabs").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const name = TABS[(TABS.indexOf(get("tab")) + by + TABS.length) % TABS.length];
    set({ tab: name });
    byId(`tab-${name}`).focus();
  });
  byId("drawer-size").addEventListener("click", () => {
    const tall = document.body.classList.toggle("tall");
    byId("drawer-size").setAttribute("aria-expanded", String(tall));
  });
  on(["tab"], show);
  on(["unit"], () => get("unit") && pull(true));
  show();
}

function show() {
  const open = get("tab");
  for (const name of TABS) {
    const chosen = name === open;
    byId(`tab-${name}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${name}`).tabIndex = chosen ? 0 : -1;
    byId(`panel-${name}`).hidden = !chosen;
  }
  byId("tabs").scrollLeft = byId(`tab-${open}`).offsetLeft - byId("tabs").offsetLeft - 60;
  pull(true);
}

/** What frames should hold, by what is open. */
export function openViews() {
  const views = [...(VIEWS[get("tab")] ?? [])];
  if (get("layout")?.plane) views.push("maps");
  if (byId("show-wrong").checked) views.push("points");
  return { views };
}
