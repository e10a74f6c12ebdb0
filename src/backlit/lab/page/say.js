// What went wrong and what was done, in one line each, for eyes and for screen readers.

import { byId, h, write } from "./dom.js";

let timer = 0;

/** Show the sentence of an error; near its control as well where one is given. */
export function complain(error, near = null) {
  const line = byId("error");
  write(line.querySelector("span"), error.message);
  line.hidden = false;
  if (near === null) return;
  near.parentElement.querySelector(".near")?.remove();
  near.setAttribute("aria-invalid", "true");
  near.insertAdjacentElement("afterend", h("p", { class: "near", text: error.message }));
}

/** Take the error away. */
export function calm() {
  byId("error").hidden = true;
  for (const line of document.querySelectorAll(".near")) line.remove();
  for (const control of document.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

/** Tell what was done; it goes by itself. */
export function tell(text) {
  const line = byId("said");
  write(line, text);
  clearTimeout(timer);
  timer = setTimeout(() => write(line, ""), 6000);
}

/** Wait for a promise; its error is shown, and null is the answer then. */
export async function attempt(promise, near = null) {
  try {
    const result = await promise;
    calm();
    return result ?? {};
  } catch (error) {
    complain(error, near);
    return null;
  }
}
