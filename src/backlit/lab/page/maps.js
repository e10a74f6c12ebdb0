// Pictures of numbers: the response of a unit over the plane, the output, strips and images.

import { classShade, shade } from "./colours.js";

const small = document.createElement("canvas");

/** A canvas made as fine as the screen; its context counts in CSS pixels. */
export function sharp(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Colour each cell of a grid and draw it into a rectangle. */
export function paint(context, [rows, columns], colourOf, [x, y, width, height], smooth = true) {
  small.width = columns;
  small.height = rows;
  const inner = small.getContext("2d", { willReadFrequently: true });
  const image = inner.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colourOf(i);
  inner.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, x, y, width, height);
}

/** What counts as zero and as one in the numbers of a layer: probabilities have their middle at a half. */
export function range(layout, isOutput, data, points = null) {
  if (isOutput && layout.task === "classification") {
    const signed = data.some((value) => value < -1e-3);
    return signed ? { centre: 0, scale: 1 } : { centre: 0.5, scale: 0.5 };
  }
  let scale = isOutput ? largest(points?.get("y_train")?.data ?? []) : 1;
  scale = Math.max(scale, isOutput ? 0 : largest(data), 1e-9);
  return { centre: 0, scale };
}

/** The largest absolute value. */
export function largest(data) {
  let most = 0;
  for (const value of data) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** The map of one unit of (units, size, size). */
export function paintUnit(context, map, unit, { centre, scale }, place) {
  const [, rows, columns] = map.shape;
  const data = map.data.subarray(unit * rows * columns, (unit + 1) * rows * columns);
  paint(context, [rows, columns], (i) => shade((data[i] - centre) / scale), place);
}

/** The map of the output: one number by its sign, several classes by the largest. */
export function paintOutput(context, map, layout, points, place) {
  const [units, rows, columns] = map.shape;
  const size = rows * columns;
  if (units === 1 || layout.task !== "classification") {
    paintUnit(context, map, 0, range(layout, true, map.data, points), place);
  } else if (units === 2) {
    paint(context, [rows, columns], (i) => shade(map.data[size + i] - map.data[i]), place);
  } else {
    paint(
      context,
      [rows, columns],
      (i) => {
        let best = 0;
        for (let k = 1; k < units; k++) if (map.data[k * size + i] > map.data[best * size + i]) best = k;
        return classShade(best, 0.15 + 0.75 * map.data[best * size + i]);
      },
      place,
    );
  }
}

/** Numbers as an image of rows and columns, by sign and size. */
export function paintImage(canvas, data, [rows, columns], side) {
  const scale = Math.max(largest(data), 1e-9);
  const context = sharp(canvas, side, Math.round((side * rows) / columns));
  paint(context, [rows, columns], (i) => shade(data[i] / scale), [0, 0, side, (side * rows) / columns], false);
}
