// A file of your own: a table or a model, sent to the server as it is.

import { configure } from "./configure.js";
import { byId, h } from "./dom.js";
import { attempt, complain, tell } from "./say.js";
import { get, on } from "./store.js";

let sent = null; // the file that was sent last, and the columns of its table

/** Wire the button, the choice of a target, and dropping a file anywhere on the page. */
export function startUpload() {
  const input = byId("upload");
  input.onchange = () => input.files.length && send(input.files[0], byId("upload-target").value || null);
  byId("upload-target").onchange = () => sent && send(sent, byId("upload-target").value || null);
  document.body.ondragover = (event) => event.preventDefault();
  document.body.ondrop = (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0], null);
  };
}

on(["settings"], () => {
  byId("upload-choice").hidden = get("settings").data.name !== "file" || !sent;
});

async function send(file, target) {
  const query = new URLSearchParams({ session: get("session") ?? "", name: file.name });
  if (target) query.set("target", target);
  const result = await attempt(post(`/upload?${query}`, file), byId("upload").parentElement);
  byId("upload").value = "";
  if (!result) return;
  sent = file;
  const settings = structuredClone(get("settings"));
  Object.assign(settings.data, { name: "file", target: target ?? null });
  if (result.model) settings.network = { given: true };
  if (await configure(settings, byId("upload").parentElement)) {
    tell(`${file.name} is open`);
    choices(result.columns ?? [], target ?? get("settings").data.target);
  }
}

async function post(address, body) {
  const answer = await fetch(address, { method: "POST", body });
  if (!answer.headers.get("content-type")?.includes("json")) throw new Error(await answer.text());
  const result = await answer.json();
  if (result.error) throw new Error(result.error);
  return result;
}

function choices(columns, target) {
  byId("upload-choice").hidden = columns.length === 0;
  byId("upload-target").replaceChildren(
    h("option", { value: "", text: "last suitable column" }),
    ...columns.map((name) => h("option", { value: name, text: name, selected: name === target })),
  );
  if (!byId("dataset-file")) {
    byId("data-tiles").prepend(h("button", { id: "dataset-file", class: "tile", "aria-pressed": "true",
      title: "The file that was sent", on: { click: () => sent && send(sent, byId("upload-target").value || null) } }, "file"));
  }
}

/** Download an export; what cannot be exported says why. */
export async function download(kind) {
  try {
    const answer = await fetch(`/export/${kind}?session=${encodeURIComponent(get("session"))}`);
    if (!answer.ok) throw new Error((await answer.json()).error);
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? `backlit-${kind}`;
    const address = URL.createObjectURL(await answer.blob());
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    tell(`${name} is saved`);
  } catch (error) {
    complain(error);
  }
}
