// Where everything of the network stands: columns of units from left to right.

const WIDE = 16; // inputs from which a column is drawn as a strip
const LARGEST = 40; // side of a neuron in pixels
const SMALLEST = 13;
const GATE = 5; // half the width of a layer that changes its units one by one
const PICTURE = 88; // side of inputs that are an image
const MARGIN = { left: 62, right: 80, top: 64, bottom: 14 };

/** Columns with the place of every unit, for a drawing of this size. */
export function placed(layout, settings, catalogue, width, height) {
  const columns = [inputColumn(layout, settings, catalogue), ...layout.layers.map(layerColumn)];
  const weights = columns.map((column) => (column.gate ? 0.45 : 1));
  const room = width - MARGIN.left - MARGIN.right;
  const parts = weights.slice(1).map((weight, i) => (weight + weights[i]) / 2);
  const all = parts.reduce((a, b) => a + b, 0) || 1;
  const gap = Math.min(room / all, 230);
  let x = MARGIN.left + (room - gap * all) / 2;
  columns.forEach((column, i) => {
    if (i) x += parts[i - 1] * gap;
    column.x = x;
    spread(column, height);
  });
  columns.forEach((column, i) => {
    column.source = columns.slice(0, i).findLast((earlier) => !earlier.gate) ?? null;
  });
  const wanted = Math.max(...columns.map((column) => column.least));
  return { columns, gap, height: Math.max(height, wanted + MARGIN.top + MARGIN.bottom) };
}

function inputColumn(layout, settings, catalogue) {
  const crossed = Boolean(layout.plane?.crossed) && !settings.network.given;
  const names = crossed ? catalogue.features : layout.inputs;
  const units = names.map((name, i) => {
    const unit = crossed ? layout.inputs.indexOf(name) : i;
    return { name, unit, active: unit >= 0 };
  });
  const wide = names.length > WIDE;
  return { kind: "input", layer: null, gate: false, wide, units, crossed, image: wide ? layout.image : null };
}

function layerColumn(layer) {
  const gate = layer.kind !== "Dense";
  const units = Array.from({ length: layer.units }, (_, unit) => ({ name: `${unit}`, unit, active: true }));
  return { kind: "layer", layer, gate, wide: layer.wide || gate, units };
}

function spread(column, height) {
  const top = MARGIN.top;
  const room = height - MARGIN.top - MARGIN.bottom;
  const count = column.units.length;
  if (column.image) {
    const [rows, columns] = column.image;
    const tall = Math.min(room, (PICTURE * rows) / columns);
    const start = top + (room - tall) / 2;
    Object.assign(column, { top: start, bottom: start + tall, half: PICTURE / 2, step: tall / rows, least: tall });
    column.units.forEach((unit, i) => (unit.y = start + column.step * (Math.floor(i / columns) + 0.5)));
    return;
  }
  if (column.wide && (!column.gate || count > WIDE)) {
    Object.assign(column, { top, bottom: top + room, half: column.gate ? GATE : 17, step: room / count, least: 120 });
    column.units.forEach((unit, i) => (unit.y = top + column.step * (i + 0.5)));
    return;
  }
  const step = Math.max(SMALLEST + 4, Math.min(room / count, LARGEST + 18));
  const half = Math.min(LARGEST, step - 4) / 2;
  const start = top + Math.max(0, (room - step * count) / 2);
  column.units.forEach((unit, i) => (unit.y = start + step * (i + 0.5)));
  Object.assign(column, { top: start, bottom: start + step * count, half: column.gate ? GATE : half, step, least: count * (SMALLEST + 4) });
}

/** The path of a weight from one unit to the next. */
export function curve(source, from, target, to) {
  const [x0, x1] = [source.x + source.half, target.x - target.half];
  const bend = (x1 - x0) * 0.45;
  const n = (value) => value.toFixed(1);
  return `M${n(x0)} ${n(from.y)}C${n(x0 + bend)} ${n(from.y)} ${n(x1 - bend)} ${n(to.y)} ${n(x1)} ${n(to.y)}`;
}
