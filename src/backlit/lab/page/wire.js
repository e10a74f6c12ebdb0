// The line to the server: requests as promises, frames of numbers, and coming back after a lost connection.

import { fits, get, set } from "./store.js";

const AGAIN = 1000; // milliseconds before another attempt
const MOST = 2 ** 20; // characters of a message that the server takes

let socket = null;
let next = 1;
let waiting = false; // for a frame
let latest = null; // came in, not drawn yet
let history = []; // rows of epochs, with those of frames that were never drawn
let drawing = 0;
const asked = new Map();
const hooks = { hello: async () => {}, views: () => ({}), event: () => {} };

/** Open the line. `hello` is awaited on every new one; `views` says what frames should hold. */
export function connect(given) {
  Object.assign(hooks, given);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", received);
  socket.addEventListener("open", opened);
  socket.addEventListener("close", closed);
}

async function opened() {
  waiting = false;
  try {
    await hooks.hello();
    set({ connection: "open" });
    pull(true);
  } catch (error) {
    hooks.event({ event: "error", error: error.message });
  }
}

function closed() {
  set({ connection: get("connection") === "shut" ? "shut" : "lost" });
  probe();
  waiting = false;
  for (const { reject } of asked.values()) reject(new Error("the connection was lost"));
  asked.clear();
  setTimeout(() => connect({}), AGAIN);
}

/** A server that is there and refuses was started anew: this page needs its new address. */
async function probe() {
  const answer = await fetch("/").catch(() => null);
  if (answer?.status === 403) set({ connection: "shut" });
}

/** Ask the server to do something; the promise has its result, or fails with its sentence. */
export function ask(what, fields = {}) {
  if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("there is no connection to the lab"));
  const id = next++;
  const message = JSON.stringify({ ...fields, id, do: what });
  if (message.length > MOST) return Promise.reject(new Error("this is too large for the lab: it takes 1 MB at a time"));
  socket.send(message);
  return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
}

/** Ask for a frame: at once where it must be fresh, otherwise as soon as something is new. */
export function pull(fresh = false) {
  if (socket?.readyState !== WebSocket.OPEN || (waiting && !fresh)) return;
  waiting = true;
  ask("frame", { ...hooks.views(), fresh }).catch((error) => {
    waiting = false;
    if (get("connection") !== "open") return;
    hooks.event({ event: "error", error: error.message });
    setTimeout(pull, AGAIN);
  });
}

function received(message) {
  if (message.data instanceof ArrayBuffer) {
    const frame = parse(message.data);
    if (frame.header.kind === "data") set({ points: frame.arrays });
    else keep(frame);
    return;
  }
  const answer = JSON.parse(message.data);
  if (answer.event || (answer.error && answer.id === null)) {
    hooks.event({ event: "error", ...answer });
    return;
  }
  const known = asked.get(answer.id);
  asked.delete(answer.id);
  if (answer.error === undefined) known?.resolve(answer.result);
  else known?.reject(new Error(answer.error));
}

function keep(frame) {
  waiting = false;
  if (!fits(frame)) {
    pull(); // it was on its way while the network was built anew
    return;
  }
  const rows = frame.arrays.get("history");
  history = history.slice(0, frame.header.history_from ?? 0);
  for (let at = 0; rows && at < rows.data.length; at += 7) history.push(rows.data.subarray(at, at + 7));
  latest = frame;
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    const frame = latest;
    pull(); // the server makes the next one while this one is drawn
    if (fits(frame)) set({ frame, history });
  });
}

/** Header and arrays of a binary message. */
function parse(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = new Map();
  let at = 4 + length;
  for (const [name, shape] of header.arrays) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays.set(name, { shape, data: new Float32Array(buffer, at, count) });
    at += 4 * count;
  }
  return { header, arrays };
}
