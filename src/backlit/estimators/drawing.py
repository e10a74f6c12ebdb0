"""A network drawn for a notebook: one column of units a layer, as SVG."""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from typing import Any, Final

from sklearn.utils import estimator_html_repr

from ..network import Network

_MOST_UNITS: Final = 8  # circles in a column; a wider layer has dots in its middle
_COLUMN, _ROW, _RADIUS = 150, 22, 7  # pixels


def html_with_network(estimator: Any) -> str:
    """scikit-learn's HTML representation, and below it the drawn network once there is one."""
    html = str(estimator_html_repr(estimator))
    if "network_" not in vars(estimator):
        return html
    return f"{html}{network_svg(estimator.network_)}"


def network_svg(net: Network) -> str:
    """The network as an SVG picture: layers from left to right, at most 8 units drawn of each.

    Layers without activation work on the units before them, and are named below these.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> network_svg(Network([Dense(3, "tanh"), Dense(1)], inputs=2)).count("<circle")
    6
    """
    widths, lines = [net.inputs], [[f"{net.inputs} inputs"]]
    for index, layer in enumerate(net.layers):
        if layer.activation is not None:
            widths.append(layer.outputs)
            lines.append([])
        own = [shape for name, shape in net.parameters.shapes.items() if name.split(".")[0] == str(index)]
        size = sum(math.prod(shape) for shape in own)
        lines[-1] += [layer.title, *([f"{size:,} parameters"] if own else [])]
    height = _ROW * min(_MOST_UNITS, max(widths))
    columns = [_positions(width, column, height) for column, width in enumerate(widths)]
    parts = [
        f'<line x1="{x1}" y1="{y1:g}" x2="{x2}" y2="{y2:g}"/>'
        for left, right in pairwise(columns)
        for x1, y1 in left
        for x2, y2 in right
    ]
    circles = [f'<circle cx="{x}" cy="{y:g}" r="{_RADIUS}"/>' for column in columns for x, y in column]
    texts = []
    for column, (width, below) in enumerate(zip(widths, lines, strict=True)):
        x = _COLUMN * column + _COLUMN // 2
        if width > _MOST_UNITS:
            texts.append(f'<text x="{x}" y="{height / 2 + 15:g}">⋮</text>')
        for row, text in enumerate(below):
            faint = ' fill-opacity="0.65"' if text.endswith(" parameters") else ""
            texts.append(f'<text x="{x}" y="{height + 32 + 16 * row}"{faint}>{escape(text)}</text>')
    tallest = height + 26 + 16 * max(len(below) for below in lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_COLUMN * len(widths)}" height="{tallest}" role="img" '
        f'aria-label="network of {len(widths) - 1} layers" font-family="sans-serif" font-size="12" '
        f'text-anchor="middle" fill="currentColor"><g stroke="currentColor" stroke-opacity="0.2">{"".join(parts)}</g>'
        f'<g fill="#4c78a8">{"".join(circles)}</g>{"".join(texts)}</svg>'
    )


def _positions(width: int, column: int, height: int) -> list[tuple[int, float]]:
    """Where the circles of a layer stand, in the middle of the height; a wide one leaves room for its dots."""
    x = _COLUMN * column + _COLUMN // 2
    if width <= _MOST_UNITS:
        top = 10 + (height - _ROW * width) / 2 + _ROW / 2
        return [(x, top + _ROW * unit) for unit in range(width)]
    half = _MOST_UNITS // 2 - 1
    rows = [*range(half), *range(_MOST_UNITS - half, _MOST_UNITS)]
    return [(x, 10 + _ROW * row + _ROW / 2) for row in rows]
