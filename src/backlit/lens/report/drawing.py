"""The network as a drawing: units in columns, weights as lines coloured by their sign, strong where the gradient is.

Each layer with weights is a column; a layer between two of them works on the units before it, and is named above them.
Wide layers are abbreviated to the units with the largest delta, wide inputs to those whose weights have the largest
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, final

import numpy as np

from ...pages import number
from ...parameters import Array
from ..step.delta import adds_up, filled
from ..step.ledger import Ledger
from .markup import Html, paragraph, scrolling, svg_text

_WHOLE: Final = 10  # units up to which a column is drawn whole
_SHOWN: Final = 8  # of a wider one
_NUMBERED: Final = 8  # weights between two columns up to which their values are written on them
_RADIUS, _ROW, _TOP, _LINE = 22, 86, 34, 16
_PAGE: Final = 950  # a drawing so wide is made smaller on a narrow screen; a wider one scrolls
_WIDEST, _GAPS = 620, (180, 290)  # all gaps together; the least and the largest gap between two columns
_ALONG: Final = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8)  # where on its line a number may stand
_AIR: Final = 5  # between a number and another line

#: A box in the drawing: its middle, and half its width and height.
Box = tuple[float, float, float, float]
#: A line: from (x, y) to (x, y).
Stroke = tuple[float, float, float, float]


@final
@dataclass(frozen=True)
class _Column:
    """The inputs, or a layer with weights: which units are drawn, and what is written in and below them."""

    title: str
    subtitles: list[str]  # the layer itself, and those that work on its units
    units: Array  # indices of the drawn units
    total: int
    a: Array  # (total,)
    delta: Array | None  # (total,); the inputs have none
    bias: Array | None  # (total,)
    names: Sequence[str] | None
    layer: int | None

    @property
    def slots(self) -> int:
        return len(self.units) + (len(self.units) < self.total)


def drawing(
    ledger: Ledger, row: int | None, input_names: Sequence[str] | None, output_names: Sequence[str] | None
) -> Html:
    """The network for one row, or with the means over all rows."""
    columns = _columns(ledger, row, input_names, output_names)
    left = 24 + (_label_room(input_names, columns[0]) if input_names else 40)
    tallest = max(column.slots for column in columns)
    top = _TOP + _LINE * max(len(column.subtitles) for column in columns)
    height = top + tallest * _ROW
    gap = min(_GAPS[1], max(_GAPS[0], _WIDEST // (len(columns) - 1)))
    width = left + 2 * _RADIUS + (len(columns) - 1) * gap + 28 + max(130, _label_room(output_names, columns[-1]) + 20)
    parts: list[str] = []
    places = [_places(column, left + _RADIUS + k * gap, top, tallest) for k, column in enumerate(columns)]
    for k in range(1, len(columns)):
        parts += _weights(ledger, columns[k - 1], columns[k], places[k - 1], places[k])
    for k, column in enumerate(columns):
        targets = None if k < len(columns) - 1 else _over(ledger.trace.y, row)
        parts += _units(column, places[k], targets, mean=row is None)
    label = "Drawing of the network: " + "; ".join(f"{c.title}, {', '.join(c.subtitles)}" for c in columns)
    fits = ' class="fits"' if width <= _PAGE else ""
    svg = scrolling(
        f'<svg{fits} viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>',
        "the network",
    )
    return Html(f'<figure class="drawing">{svg}<figcaption>{_legend(ledger, row)}</figcaption></figure>')


def _legend(ledger: Ledger, row: int | None) -> str:
    units = "In each unit stands its activation a, above it its bias b, below it its delta."
    if row is None:
        units = (
            f"In each unit stands its mean activation over {ledger.n:,} rows, above it its bias b, below it the root "
            "mean square of delta."
        )
    lines = (
        '<span><span class="key a"></span>positive weight</span><span><span class="key b"></span>negative weight</span>'
        "<span>the stronger a line, the larger its gradient within the layer</span>"
    )
    return f'<div class="legend">{lines}</div>{paragraph(units)}'


def _columns(
    ledger: Ledger, row: int | None, input_names: Sequence[str] | None, output_names: Sequence[str] | None
) -> list[_Column]:
    trace, net = ledger.trace, ledger.net
    weighted = [i for i, layer in enumerate(net.layers) if adds_up(layer)]
    inputs = _over(trace.inputs, row)
    sizes = np.linalg.norm(ledger.parameters[f"{weighted[0]}.weight"].gradient.astype(np.float64), axis=1)
    first = _chosen(sizes if sizes.size == inputs.size else inputs)
    titles = [f"{inputs.size:,}", *_then(ledger, 0, weighted[0])]
    columns = [_Column("inputs", titles, first, inputs.size, inputs, None, None, input_names, None)]
    for i, following in zip(weighted, [*weighted[1:], len(net.layers)], strict=True):
        passed = ledger.layers[i]
        deltas = filled(passed.delta).astype(np.float64)  # (n, units)
        delta = deltas[row] if row is not None else np.sqrt((deltas**2).mean(axis=0))
        bias = ledger.parameters.get(f"{i}.bias")
        columns.append(
            _Column(
                title=f"layer {i}",
                subtitles=[passed.layer.title, *_then(ledger, i + 1, following)],
                units=_chosen(delta),
                total=delta.size,
                a=_over(passed.a, row),
                delta=delta,
                bias=None if bias is None else bias.before,
                names=output_names if i == weighted[-1] else None,
                layer=i,
            )
        )
    return columns


def _then(ledger: Ledger, start: int, stop: int) -> list[str]:
    """The layers that work on the units of a column."""
    return [f"{i}: {ledger.net.layers[i].title}" for i in range(start, stop)]


def _over(array: Array, row: int | None) -> Array:
    """One row, or the mean over all."""
    return np.asarray(array.mean(axis=0, dtype=np.float64) if row is None else array[row].astype(np.float64))


def _chosen(sizes: Array) -> Array:
    """Indices of the units that are drawn, in their order."""
    if sizes.size <= _WHOLE:
        return np.arange(sizes.size)
    return np.sort(np.argsort(-np.abs(sizes), kind="stable")[:_SHOWN])


def _label_room(names: Sequence[str] | None, column: _Column) -> int:
    longest = max((len(_clipped(names[int(unit)])) for unit in column.units), default=0) if names else 0
    return 7 * longest + 10


def _clipped(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"


def _places(column: _Column, x: int, top: int, tallest: int) -> list[tuple[float, float]]:
    start = top + (tallest - column.slots) * _ROW / 2 + _ROW / 2 - 8
    return [(float(x), start + slot * _ROW) for slot in range(column.slots)]


def _weights(
    ledger: Ledger, below: _Column, column: _Column, starts: list[tuple[float, float]], ends: list[tuple[float, float]]
) -> list[str]:
    """The lines between two columns, the strong ones on top; where they are few, with their values."""
    name = f"{column.layer}.weight"
    step = ledger.parameters[name]
    sizes = np.abs(step.gradient)
    largest = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes))) or 1.0
    if step.shape != (below.total, column.total):
        return []  # a layer between the two changes how many numbers a row has
    lines: list[tuple[float, str]] = []
    strokes: list[Stroke] = []
    labels: list[tuple[str, str]] = []
    for (x1, y1), i in zip(starts, below.units, strict=False):
        for (x2, y2), j in zip(ends, column.units, strict=False):
            w, g, moved = (float(array[i, j]) for array in (step.before, step.gradient, step.update))
            share = abs(g) / largest if np.isfinite(g) else 1.0
            sign = "plus" if w > 0.0 else "minus" if w < 0.0 else "zero"
            told = f"{name}[{i}, {j}] = {w:.6g}, gradient {g:.6g}, update {moved:.6g}"
            # from the edge of one circle to the edge of the other
            length = float(np.hypot(x2 - x1, y2 - y1))
            cut_x, cut_y = _RADIUS * (x2 - x1) / length, _RADIUS * (y2 - y1) / length
            stroke = x1 + cut_x, y1 + cut_y, x2 - cut_x, y2 - cut_y
            line = (
                f'<line class="{sign}" x1="{stroke[0]:.1f}" y1="{stroke[1]:.1f}" x2="{stroke[2]:.1f}" '
                f'y2="{stroke[3]:.1f}" stroke-width="{0.9 + 2.8 * share:.2f}" opacity="{0.22 + 0.78 * share:.2f}">'
                f"<title>{escape(told)}</title></line>"
            )
            lines.append((share, line))
            strokes.append(stroke)
            labels.append((number(w, 3), sign))
    drawn = [line for _, line in sorted(lines)]
    return drawn + (_numbers(strokes, labels) if below.total * column.total <= _NUMBERED else [])


def _numbers(strokes: Sequence[Stroke], labels: Sequence[tuple[str, str]]) -> list[str]:
    """The values of the weights on their lines, each where it covers the least of the other lines and numbers."""
    taken: list[Box] = []
    parts: list[str] = []
    for k, ((x1, y1, x2, y2), (text, sign)) in enumerate(zip(strokes, labels, strict=True)):
        half = 3.4 * len(text) + 3
        boxes = [(x1 + at * (x2 - x1), y1 + at * (y2 - y1), half, 8.5) for at in _ALONG]
        others = [stroke for other, stroke in enumerate(strokes) if other != k]
        best = min(boxes, key=lambda box: _covered(box, taken, others))
        taken.append(best)
        parts.append(_plate(best))
        parts.append(svg_text(best[0], best[1] + 4, text, kind=f"weight {sign}", size=11))
    return parts


def _covered(box: Box, taken: Sequence[Box], strokes: Sequence[Stroke]) -> int:
    """How much a number there would cover: another number counts far more than a line."""
    x, y, half_x, half_y = box
    half_y += _AIR
    numbers = sum(abs(x - other[0]) < half_x + other[2] and abs(y - other[1]) < half_y + other[3] for other in taken)
    along = np.linspace(0.0, 1.0, 41)
    lines = 0
    for x1, y1, x2, y2 in strokes:
        inside = (np.abs(x1 + along * (x2 - x1) - x) < half_x) & (np.abs(y1 + along * (y2 - y1) - y) < half_y)
        lines += bool(inside.any())
    return 100 * numbers + lines


def _plate(box: Box) -> str:
    """The ground that a number stands on, so that no line goes through it."""
    x, y, half_x, half_y = box
    return (
        f'<rect class="plate" x="{x - half_x:.1f}" y="{y - half_y:.1f}" width="{2 * half_x:.1f}" '
        f'height="{2 * half_y:.1f}" rx="3"/>'
    )


def _units(column: _Column, places: list[tuple[float, float]], targets: Array | None, *, mean: bool) -> list[str]:
    """The circles of a column, with what stands in and beside them."""
    x = places[0][0]
    parts = [svg_text(x, 16, column.title, kind="strong", size=13)]
    parts += [svg_text(x, 33 + _LINE * k, line, kind="soft") for k, line in enumerate(column.subtitles)]
    for (x, y), unit in zip(places, column.units, strict=False):
        inside = number(column.a[unit], 3)
        if len(inside) > 6:
            inside = number(column.a[unit], 2)
        texts = [svg_text(x, y + 4, inside, kind="inside", size=11 if len(inside) <= 5 else 9.5)]
        told = f"{column.title}, unit {unit}: a = {float(column.a[unit]):.6g}"
        if column.bias is not None:
            bias = f"b {number(column.bias[unit], 3)}"
            texts += _beside(x, y - _RADIUS - 9, bias)
            told += f", b = {float(column.bias[unit]):.6g}"
        if column.delta is not None:
            which = f"[{unit}] " if len(column.units) < column.total else ""
            delta = f"{which}delta {number(column.delta[unit], 3)}"
            texts += _beside(x, y + _RADIUS + 10, delta)
            told += f", delta = {float(column.delta[unit]):.6g}"
        name = _clipped(column.names[int(unit)]) if column.names else ""
        right = x + _RADIUS + 9
        if targets is not None:
            target = f"{'mean of y' if mean else 'y ='} {number(targets[unit], 3)}"
            texts.append(svg_text(right, y + (12 if name else 4), target, kind="soft", anchor="start"))
            texts.append(svg_text(right, y - 3, name, anchor="start", size=12.5))
        elif name:
            texts.append(svg_text(x - _RADIUS - 8, y + 4, name, anchor="end", size=12.5))
        elif column.delta is None:
            texts.append(svg_text(x - _RADIUS - 8, y + 4, f"[{unit}]", kind="soft", anchor="end", size=11))
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}"/>'
        parts.append(f"<g><title>{escape(told)}</title>{circle}{''.join(texts)}</g>")
    if len(column.units) < column.total:
        x, y = places[-1]
        parts.append(svg_text(x, y - 6, "⋮", kind="soft", size=16))
        parts.append(svg_text(x, y + 12, f"{column.total - len(column.units):,} more", kind="soft"))
    return parts


def _beside(x: float, y: float, text: str) -> list[str]:
    """What stands above or below a circle, on ground of its own."""
    return [_plate((x, y, 3.1 * len(text) + 2, 7.5)), svg_text(x, y + 4, text, kind="soft", size=11)]
