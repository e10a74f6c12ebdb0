"""The network as a drawing: units in columns, weights as lines coloured by their sign, strong where the gradient is.

Wide layers are abbreviated to the units with the largest delta, wide inputs to those whose weights have the largest
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, final

import numpy as np

from ...kinds import Dense
from ...pages import number
from ...parameters import Array
from ..step.delta import filled
from ..step.ledger import Ledger
from .markup import Html, paragraph, scrolling, svg_text

_WHOLE: Final = 10  # a column of so many units is drawn whole
_SHOWN: Final = 8  # of a wider one
_NUMBERED: Final = 8  # so many weights between two columns have their values written on them
_RADIUS, _ROW, _TOP = 22, 68, 58
_PAGE: Final = 950  # a drawing so wide is made smaller on a narrow screen; a wider one scrolls
_WIDEST, _GAPS = 620, (180, 290)  # all gaps together; the least and the largest gap between two columns


@final
@dataclass(frozen=True)
class _Column:
    """The inputs, or a Dense layer: which units are drawn, and what is written in and below them."""

    title: str
    subtitle: str
    units: Array  # indices of the drawn units
    total: int
    a: Array  # (total,)
    delta: Array | None  # (total,); the inputs have none
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
    height = _TOP + tallest * _ROW + 14
    gap = min(_GAPS[1], max(_GAPS[0], _WIDEST // (len(columns) - 1)))
    width = left + 2 * _RADIUS + (len(columns) - 1) * gap + 28 + max(90, _label_room(output_names, columns[-1]) + 20)
    parts: list[str] = []
    places = [_places(column, left + _RADIUS + k * gap, tallest) for k, column in enumerate(columns)]
    for k in range(1, len(columns)):
        parts += _weights(ledger, columns[k - 1], columns[k], places[k - 1], places[k])
    for k, column in enumerate(columns):
        targets = None if k < len(columns) - 1 else _over(ledger.trace.y, row)
        parts += _units(column, places[k], targets)
    label = "Drawing of the network: " + "; ".join(f"{c.title}, {c.subtitle}" for c in columns)
    fits = ' class="fits"' if width <= _PAGE else ""
    svg = scrolling(
        f'<svg{fits} viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>',
        "the network",
    )
    return Html(f'<figure class="drawing">{svg}<figcaption>{_legend(ledger, row)}</figcaption></figure>')


def _legend(ledger: Ledger, row: int | None) -> str:
    units = "In each unit stands its activation a, below it its delta."
    if row is None:
        units = (
            f"In each unit stands its mean activation over {ledger.n:,} rows, below it the root mean square of delta."
        )
    lines = (
        '<span><span class="key a"></span>positive weight</span><span><span class="key b"></span>negative weight</span>'
        "<span>the stronger a line, the larger its gradient within the layer</span>"
    )
    return f'<div class="legend">{lines}</div>{paragraph(units)}'


def _columns(
    ledger: Ledger, row: int | None, input_names: Sequence[str] | None, output_names: Sequence[str] | None
) -> list[_Column]:
    trace = ledger.trace
    dense = [i for i, layer in enumerate(ledger.net.layers) if isinstance(layer, Dense)]
    first = np.linalg.norm(ledger.parameters[f"{dense[0]}.weight"].gradient.astype(np.float64), axis=1)  # (inputs,)
    inputs = _over(trace.inputs, row)
    columns = [_Column("inputs", f"{inputs.size:,}", _chosen(first), inputs.size, inputs, None, input_names, None)]
    for i in dense:
        passed = ledger.layers[i]
        deltas = filled(passed.delta).astype(np.float64)  # (n, units)
        delta = deltas[row] if row is not None else np.sqrt((deltas**2).mean(axis=0))
        above = ledger.net.layers[i + 1] if i + 1 < len(ledger.net.layers) else None
        dropout = "" if above is None or isinstance(above, Dense) else ", then dropout"
        columns.append(
            _Column(
                f"layer {i}",
                f"{delta.size:,} {passed.activation}{dropout}",
                _chosen(delta),
                delta.size,
                _over(passed.a, row),
                delta,
                output_names if i == dense[-1] else None,
                i,
            )
        )
    return columns


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


def _places(column: _Column, x: int, tallest: int) -> list[tuple[float, float]]:
    start = _TOP + (tallest - column.slots) * _ROW / 2 + _ROW / 2 - 8
    return [(float(x), start + slot * _ROW) for slot in range(column.slots)]


def _weights(
    ledger: Ledger, below: _Column, column: _Column, starts: list[tuple[float, float]], ends: list[tuple[float, float]]
) -> list[str]:
    """The lines between two columns, the strong ones on top; where they are few, with their values."""
    name = f"{column.layer}.weight"
    step = ledger.parameters[name]
    sizes = np.abs(step.gradient)
    largest = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes))) or 1.0
    lines: list[tuple[float, str]] = []
    labels: list[str] = []
    for (x1, y1), i in zip(starts, below.units, strict=False):
        for (x2, y2), j in zip(ends, column.units, strict=False):
            w, g, moved = (float(array[i, j]) for array in (step.before, step.gradient, step.update))
            share = abs(g) / largest if np.isfinite(g) else 1.0
            sign = "plus" if w > 0.0 else "minus" if w < 0.0 else "zero"
            told = f"{name}[{i}, {j}] = {w:.6g}, gradient {g:.6g}, update {moved:.6g}"
            # from the edge of one circle to the edge of the other
            length = float(np.hypot(x2 - x1, y2 - y1))
            cut_x, cut_y = _RADIUS * (x2 - x1) / length, _RADIUS * (y2 - y1) / length
            line = (
                f'<line class="{sign}" x1="{x1 + cut_x:.1f}" y1="{y1 + cut_y:.1f}" x2="{x2 - cut_x:.1f}" '
                f'y2="{y2 - cut_y:.1f}" stroke-width="{0.9 + 2.8 * share:.2f}" opacity="{0.22 + 0.78 * share:.2f}">'
                f"<title>{escape(told)}</title></line>"
            )
            lines.append((share, line))
            if below.total * column.total <= _NUMBERED:
                # where lines cross, the numbers of neighbours stand at different heights of the way
                at = 0.3 if column.total == 1 else 0.24 + 0.2 * (int(i) % 2)
                x, y = x1 + at * (x2 - x1), y1 + at * (y2 - y1)
                labels.append(svg_text(x, y + 4, number(w, 3), kind=f"weight {sign}", size=11))
    return [line for _, line in sorted(lines)] + labels


def _units(column: _Column, places: list[tuple[float, float]], targets: Array | None) -> list[str]:
    """The circles of a column, with what stands in and beside them."""
    x = places[0][0]
    parts = [
        svg_text(x, 16, column.title, kind="strong", size=13),
        svg_text(x, 33, column.subtitle, kind="soft"),
    ]
    for (x, y), unit in zip(places, column.units, strict=False):
        inside = number(column.a[unit], 3)
        if len(inside) > 6:
            inside = number(column.a[unit], 2)
        texts = [svg_text(x, y + 4, inside, kind="inside", size=11 if len(inside) <= 5 else 9.5)]
        told = f"{column.title}, unit {unit}: a = {float(column.a[unit]):.6g}"
        if column.delta is not None:
            which = f"[{unit}] " if len(column.units) < column.total else ""
            delta = f"{which}delta {number(column.delta[unit], 3)}"
            texts.append(svg_text(x, y + _RADIUS + 13, delta, kind="soft", size=11))
            told += f", delta = {float(column.delta[unit]):.6g}"
        name = _clipped(column.names[int(unit)]) if column.names else ""
        right = x + _RADIUS + 9
        if targets is not None:
            target = f"y = {number(targets[unit], 3)}"
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
