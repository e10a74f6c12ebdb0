// Dark and light: as the system has it, or as it was chosen.

import { isDark } from "./colours.js";
import { byId } from "./dom.js";
import { set } from "./store.js";

const KEPT = "backlit-theme";

/** Take over what was chosen earlier. */
export function startTheme() {
  use(localStorage.getItem(KEPT));
  byId("theme").addEventListener("click", switchTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!localStorage.getItem(KEPT)) {
      set({ theme: isDark() ? "light" : "dark" });
      use(null);
    }
  });
}

/** From dark to light, or back. */
export function switchTheme() {
  const theme = isDark() ? "light" : "dark";
  localStorage.setItem(KEPT, theme);
  use(theme);
}

function use(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  set({ theme });
}
