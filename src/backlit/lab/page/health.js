// What ails the network, as it arises; each finding leads to its neurons.

import { byId, h, put, write } from "./dom.js";
import { pageOf } from "./pages.js";
import { get, header, on, set } from "./store.js";
import { ask } from "./wire.js";

const EVERY = 2000; // milliseconds between two looks while running
const SOON = 300; // and while standing still

let busy = false;
let known = null;
let last = 0;
let later = 0;

/** Look again whenever an epoch is over, or the network stands still somewhere else. */
export function startHealth() {
  byId("health-now").addEventListener("click", () => look(true));
  on(["frame", "tab"], () => look());
  on(["layout"], () => (known = null));
  on(["findings"], show);
}

async function look(force = false) {
  if (!get("frame") || busy) return;
  const { running, epoch, step, undo, redo } = header();
  const mark = running ? `epoch ${Math.floor(epoch)}` : `${step} ${undo} ${redo}`;
  if (!force && mark === known) return;
  const wait = last + (running ? EVERY : SOON) - performance.now();
  if (!force && wait > 0) {
    clearTimeout(later);
    later = setTimeout(look, wait);
    return;
  }
  busy = true;
  known = mark;
  const layout = get("layout");
  try {
    const result = await ask("health");
    if (layout !== get("layout")) return;
    set({ findings: result.findings });
    byId("health-page").replaceChildren(pageOf(result.page));
  } catch (error) {
    byId("health-page").replaceChildren(h("p", { class: "empty", text: error.message }));
  } finally {
    busy = false;
    last = performance.now();
    if (layout !== get("layout")) look();
  }
}

function show() {
  const findings = get("findings");
  const grave = findings.filter(({ severity }) => severity === "warning").length;
  write(byId("health-count"), findings.length ? String(findings.length) : "");
  put(byId("health-count"), "class", `count ${grave ? "grave" : ""}`);
  const items = findings.map((found) =>
    h("li", null, h("button", { class: `finding ${found.severity}`, on: { click: () => lead(found) } },
      h("b", { text: found.name.replaceAll("_", " ") }),
      h("span", { text: found.place.replace(found.name, "").replace(/^, /, "") })),
    h("p", { text: found.cause }), h("p", { class: "dim", text: found.advice })));
  byId("health-findings").replaceChildren(
    ...(items.length ? items : [h("li", { class: "empty", text: "Nothing is found wrong where the network stands." })]),
  );
}

function lead({ layer, units }) {
  if (layer === null) return;
  set({ unit: { layer, unit: units[0] ?? 0 } });
  document.querySelector(`[data-unit="${layer}.${units[0] ?? 0}"]`)?.focus();
}
