// One weight unfolded: its gradient down to the arithmetic, the finite difference beside it, the loss along it.

import { makeChart } from "./charts.js";
import { byId, h, number, put, showNumber, write } from "./dom.js";
import { keepFresh } from "./fresh.js";
import { pageOf, plainTable } from "./pages.js";
import { attempt, calm, complain, tell } from "./say.js";
import { get, on, parameters, set, weightKey } from "./store.js";
import { ask } from "./wire.js";

const along = makeChart({ label: "Loss along this weight", x: "this weight", y: "loss" });
const past = makeChart({ label: "This weight by step", x: "step", y: "value", legend: false, empty: "not trained yet" });

/** Build the panel. */
export function startWeight() {
  byId("weight-curve").append(along.element);
  byId("weight-history").append(past.element);
  byId("weight-array").addEventListener("change", () => choose(byId("weight-array").value, null));
  for (const id of ["weight-i", "weight-j"]) byId(id).addEventListener("change", () => choose(byId("weight-array").value));
  byId("weight-edit").addEventListener("submit", (event) => {
    event.preventDefault();
    edit();
  });
  for (const input of document.querySelectorAll("[name=scope]")) {
    input.addEventListener("change", () => set({ scope: input.value }));
  }
  on(["layout"], arrays);
  on(["weight"], picked);
  keepFresh("weight", ["weight", "scope", "layout"], question, show, (error) => complain(error));
}

function question() {
  const weight = get("weight");
  return weight ? ask("unfold", { ...weight, scope: get("scope") }) : null;
}

function arrays() {
  byId("weight-array").replaceChildren(
    ...parameters().map(({ name }) => new Option(name, name)),
  );
  picked();
}

function picked() {
  const weight = get("weight");
  byId("weight-empty").hidden = Boolean(weight);
  byId("weight-body").hidden = !weight;
  if (!weight) return;
  const { shape } = parameters().find(({ name }) => name === weight.name);
  byId("weight-array").value = weight.name;
  for (const [axis, id] of ["weight-i", "weight-j"].entries()) {
    byId(id).parentElement.hidden = shape.length <= axis;
    byId(id).max = (shape[axis] ?? 1) - 1;
    byId(id).value = weight.index[axis] ?? 0;
  }
}

function choose(name, index = [Number(byId("weight-i").value), Number(byId("weight-j").value)]) {
  const { shape } = parameters().find((each) => each.name === name);
  const inside = shape.map((size, axis) => Math.max(0, Math.min(size - 1, Math.trunc(index?.[axis] ?? 0))));
  set({ weight: { name, index: inside } });
}

async function edit() {
  const value = byId("weight-new").valueAsNumber;
  if (Number.isNaN(value)) return;
  const result = await attempt(ask("edit", { what: "parameter", ...get("weight"), value }), byId("weight-edit"));
  if (result) {
    tell(result.said);
    byId("weight-new").value = "";
    byId("weight-new").blur();
  }
}

function show(result) {
  if (weightKey(result.name, result.index) !== weightKey(get("weight").name, get("weight").index)) return;
  calm();
  write(byId("weight-symbol"), `${result.name}[${result.index.join(", ")}]`);
  write(byId("weight-product"), result.product);
  const numbers = {
    "weight-value": result.value,
    "weight-gradient": result.gradient,
    "weight-difference": result.finite_difference,
    "weight-data": result.data_gradient,
    "weight-penalty": result.penalty_gradient,
    "weight-after": result.after ?? result.curve.landing,
  };
  for (const [id, value] of Object.entries(numbers)) showNumber(byId(id), value, 6);
  byId("weight-value").parentElement.classList.toggle("negative", result.value < 0);
  const parts = [byId("weight-data"), byId("weight-penalty")].map((element) => element.parentElement);
  for (const part of parts) part.hidden = !result.penalty_gradient;
  agreement(result);
  curves(result);
  rows(result);
  const account = byId("weight-account");
  const { scrollTop } = account;
  account.replaceChildren(pageOf(result.page, { title: false }));
  account.scrollTop = scrollTop;
}

function agreement({ digits }) {
  const element = byId("weight-digits");
  const none = digits === null || digits === undefined;
  write(element, none ? "cannot be compared here" : `${Math.floor(digits)} digits agree`);
  put(element, "data-value", digits ?? "");
  put(element, "class", `badge ${none ? "" : digits >= 5 ? "good" : digits >= 3 ? "fair" : "bad"}`);
}

function curves({ curve, history }) {
  const { at, values, losses, slope, loss, landing, landing_loss } = curve;
  const reach = (values.at(-1) - values[0]) / 4;
  along.update({
    lines: [
      { name: "loss", kind: "train", x: values, y: losses },
      { name: "tangent", kind: "tangent", x: [at - reach, at + reach], y: [loss - slope * reach, loss + slope * reach] },
    ],
    marks: [
      { x: at, y: loss, kind: "here", text: "now" },
      { x: landing, y: landing_loss, kind: "landing", text: Math.abs(landing - at) > reach / 3 ? "after the step" : "" },
    ],
  });
  past.update({ lines: history.steps.length > 1 ? [{ name: "", kind: "train", x: history.steps, y: history.values }] : [] });
}

function rows({ rows: all }) {
  const table = all.map(({ label, row, a, delta, share, pushes }) =>
    [label ?? row, number(a), number(delta), number(share), pushes ?? ""]);
  byId("weight-rows").replaceChildren(
    all.length ? plainTable(["row", "a", "δ", "share", "pushes"], "lrrrl", table) : h("p", { text: "no rows" }),
  );
}
