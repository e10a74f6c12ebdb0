// Taking it along: files, the command line, an address that holds the settings.

import { byId, h, write } from "./dom.js";
import { tell } from "./say.js";
import { get, on } from "./store.js";
import { download } from "./upload.js";

/** Wire the dialog. */
export function startExport() {
  for (const kind of ["script", "model", "onnx", "report"]) {
    byId(`export-${kind}`).addEventListener("click", () => download(kind));
  }
  byId("copy-command").addEventListener("click", () => copy(get("command")?.command ?? "", "the command"));
  byId("copy-address").addEventListener("click", () => copy(location.origin + location.pathname + location.hash, "the address"));
  on(["command"], () => {
    const { command, notes } = get("command");
    write(byId("command"), command ?? "");
    byId("command-notes").replaceChildren(...(notes ?? []).map((text) => h("li", { text })));
  });
}

async function copy(text, what) {
  await navigator.clipboard.writeText(text);
  tell(`${what} is copied`);
}
