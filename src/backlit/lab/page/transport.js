// Time: run, pause, step, back, go to; where the network stands; the recorded steps as a slider.

import { byId, fixed, put, settled, whole, write } from "./dom.js";
import { attempt, tell } from "./say.js";
import { get, header, on, set } from "./store.js";
import { ask } from "./wire.js";

const SPEEDS = [1, 3, 10, 30, 100, 300, 1000, null];
const SPOKEN = 2500; // milliseconds between two sentences for a screen reader

let dragging = false;
let spoken = 0;

/** Wire the buttons, and follow the frames. */
export function startTransport() {
  byId("run").addEventListener("click", runOrPause);
  for (const unit of ["sample", "batch", "epoch"]) byId(`step-${unit}`).addEventListener("click", () => step(unit));
  byId("back").addEventListener("click", (event) => back(event.shiftKey ? "epoch" : "batch"));
  byId("restart").addEventListener("click", () => goto({ step: 0 }));
  byId("speed").addEventListener("input", () => speed(SPEEDS[byId("speed").value]));
  typed("goto", "step");
  typed("goto-epoch", "epoch");
  const scrub = byId("scrubber");
  const send = settled(40, () => goto({ step: Number(scrub.value) }));
  scrub.addEventListener("input", () => {
    dragging = true;
    write(byId("scrubber-text"), `step ${whole(scrub.value)} of ${whole(scrub.max)}`);
    send();
  });
  scrub.addEventListener("change", () => (dragging = false));
  for (const [id, what] of [["undo", "undo"], ["redo", "redo"]]) byId(id).addEventListener("click", () => takeBack(what));
  on(["frame"], follow);
  on(["layout"], () => (byId("loss-test").title = `${get("layout").loss} on ${get("layout").test} test rows`));
}

function typed(id, unit) {
  byId(id).addEventListener("change", ({ target }) => {
    if (target.value !== "") goto({ [unit]: Number(target.value) });
    target.value = "";
    target.blur();
  });
}

/** Train, or stand still. */
export function runOrPause() {
  set({ stage: null });
  return attempt(ask(header().running ? "pause" : "run"));
}

/** One sample, batch or epoch on. */
export function step(unit) {
  set({ stage: null });
  return attempt(ask("step", { unit }));
}

/** One back. */
export function back(unit) {
  set({ stage: null });
  return attempt(ask("back", { unit }));
}

function goto(place) {
  set({ stage: null });
  return attempt(ask("goto", place), null);
}

/** Take back what was changed by hand, or do it again. */
export async function takeBack(what) {
  const result = await attempt(ask(what));
  if (result?.said) tell(result.said);
}

function speed(value) {
  write(byId("speed-text"), value === null ? "unbounded" : `${value} steps/s`);
  attempt(ask("speed", { steps_per_second: value }));
}

/** Tell a new session the speed that the page shows. */
export const sendSpeed = () => speed(SPEEDS[byId("speed").value]);

function follow() {
  const now = header();
  if (now.step === undefined) return;
  const running = Boolean(now.running);
  put(byId("run"), "aria-pressed", running);
  put(byId("run"), "aria-label", running ? "Pause" : "Run");
  write(byId("run").querySelector("span"), running ? "Pause" : "Run");
  byId("run").classList.toggle("running", running);
  const every = get("layout").steps_per_epoch;
  write(byId("epoch"), fixed(now.epoch, every > 1 ? 2 : 0));
  write(byId("step"), whole(now.step));
  for (const [id, value, places] of [["loss-train", now.train_loss, 4], ["loss-test", now.test_loss, 4],
    ["score-train", now.accuracy, 3], ["score-test", now.test_accuracy, 3]]) {
    write(byId(id), fixed(value, places));
    put(byId(id), "data-value", value ?? "");
  }
  write(byId("score-name"), now.metric === "r2" ? "R² train / test" : "Accuracy train / test");
  put(byId("step"), "data-value", now.step);
  put(byId("epoch"), "data-value", now.epoch);
  byId("undo").disabled = !now.undo;
  byId("redo").disabled = !now.redo;
  byId("back").disabled = now.step === 0 && !(now.row > 0);
  byId("restart").disabled = now.step === 0;
  followScrubber(now);
  byId("stopped").hidden = !now.stopped;
  write(byId("stopped"), now.stopped ?? "");
  speak(now);
}

function followScrubber(now) {
  if (dragging) return;
  const scrub = byId("scrubber");
  put(scrub, "max", Math.max(now.last, now.step, 1));
  scrub.value = now.step;
  write(byId("scrubber-text"), `step ${whole(now.step)} of ${whole(Math.max(now.last, now.step))}`);
}

function speak(now) {
  const time = performance.now();
  if (now.running && time - spoken < SPOKEN) return;
  spoken = time;
  write(byId("spoken"), `step ${now.step}, epoch ${fixed(now.epoch, 1)}, training loss ${fixed(now.train_loss)}`);
}
