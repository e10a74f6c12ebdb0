// The page's beginning: everything is wired, then the line to the server opened.

import { startCompare } from "./compare.js";
import { built, configure, fromAddress, withCommand } from "./configure.js";
import { startControls } from "./controls.js";
import { byId, write } from "./dom.js";
import { startExport } from "./export.js";
import { startFigures } from "./figures.js";
import { startGuess } from "./guess.js";
import { wireLayerButtons } from "./heads.js";
import { startHealth } from "./health.js";
import { startKeys } from "./keys.js";
import { startLosses } from "./losses.js";
import { startNetwork, startShowSwitch } from "./network.js";
import { startOutput } from "./outmap.js";
import { startOwn } from "./own.js";
import { startSample } from "./sample.js";
import { calm, complain } from "./say.js";
import { startStage } from "./stage.js";
import { get, on, set } from "./store.js";
import { openViews, startTabs } from "./tabs.js";
import { startTheme } from "./theme.js";
import { sendSpeed, startTransport } from "./transport.js";
import { ask, connect } from "./wire.js";
import { startWeight } from "./weight.js";

const KEPT = "backlit-session";
const SAID = { connecting: "connecting", open: "connected", lost: "connection lost – trying again",
  shut: "connection lost – the lab was started again: open the address that it printed" };

async function hello() {
  const address = location.hash;
  const wanted = wantedSettings();
  const before = get("session") ?? sessionStorage.getItem(KEPT);
  const result = await withCommand(await greeted(before, get("settings") ?? wanted));
  sessionStorage.setItem(KEPT, result.session);
  const first = get("catalogue") === null;
  set({ session: result.session, allowCode: result.allow_code, catalogue: result.catalogue });
  write(byId("version"), result.version);
  built(result);
  sendSpeed();
  const another = address !== result.command.fragment;
  if (first && result.resumed && wanted && another) await configure(wanted); // this session, with another address
}

async function greeted(session, settings) {
  try {
    return await ask("hello", { session, settings });
  } catch (error) {
    if (!settings) throw error;
    const result = await ask("hello", { session, settings: null });
    complain(new Error(`The settings of this address cannot be used: ${error.message}`));
    return result;
  }
}

function wantedSettings() {
  try {
    return fromAddress();
  } catch {
    complain(new Error("The settings in this address cannot be read: the page begins with its own."));
    return null;
  }
}

function showConnection() {
  const state = get("connection");
  write(byId("connection"), SAID[state]);
  byId("connection").dataset.state = state;
  document.body.classList.toggle("lost", state === "lost" || state === "shut");
}

function heard({ event, error, text }) {
  if (event === "error") complain(new Error(error ?? text));
}

startTheme();
startTabs();
startControls();
startNetwork();
startShowSwitch();
wireLayerButtons();
startOutput();
startLosses();
startTransport();
startWeight();
startSample();
startStage();
startFigures();
startHealth();
startGuess();
startCompare();
startOwn();
startExport();
startKeys();
byId("error-close").addEventListener("click", calm);
on(["connection"], showConnection);
on(["frame"], () => document.body.classList.toggle("loading", !get("frame")));
addEventListener("hashchange", () => {
  const wanted = wantedSettings();
  if (wanted) configure(wanted);
});
showConnection();
connect({ hello, views: openViews, event: heard });
