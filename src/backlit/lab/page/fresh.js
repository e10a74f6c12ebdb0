// A question that is asked again whenever the network has moved on, one at a time.

import { get, header, on } from "./store.js";

const EVERY = 350; // milliseconds between two questions while running

/** What of a frame makes an answer old. */
const mark = () => {
  const { step, sample, row, what_if, undo, redo } = header();
  return [step, sample, row, what_if, undo, redo].join();
};

/**
 * Keep an answer fresh while its tab is open: `question` gives the promise, or null where there is nothing to ask;
 * `show` draws the answer. The function that comes back asks at once.
 */
export function keepFresh(tab, keys, question, show, failed = () => {}) {
  let busy = false;
  let known = null;
  let last = 0;
  let again = false;
  const refresh = async (force = false) => {
    if (get("tab") !== tab || !get("frame")) return;
    if (!force && known === mark()) return;
    if (busy || (header().running && performance.now() - last < EVERY)) {
      again = true;
      return;
    }
    const asked = question();
    if (!asked) return;
    busy = true;
    again = false;
    known = mark();
    last = performance.now();
    try {
      show(await asked);
    } catch (error) {
      failed(error);
    } finally {
      busy = false;
      if (again) setTimeout(refresh, header().running ? EVERY : 0, !header().running);
    }
  };
  on(["frame"], () => refresh());
  on(["tab", ...keys], () => refresh(true));
  return () => refresh(true);
}
