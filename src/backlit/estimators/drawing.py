"""A network drawn for a notebook: one column of units a layer, as SVG."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from sklearn.utils import estimator_html_repr

from ..kinds import Dense
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

    Examples
    --------
    >>> network_svg(Network([Dense(3, "tanh"), Dense(1)], inputs=2)).count("<circle")
    6
    """
    dense = [layer for layer in net.layers if isinstance(layer, Dense)]
    widths = [net.inputs, *(layer.units for layer in dense)]
    names = [f"{net.inputs} inputs", *(f"{layer.units} {layer.activation.name}" for layer in dense)]
    sizes = ["", *(f"{layer.weight.size + layer.units:,} parameters" for layer in dense)]
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
    for column, (width, name, size) in enumerate(zip(widths, names, sizes, strict=True)):
        x = _COLUMN * column + _COLUMN // 2
        if width > _MOST_UNITS:
            texts.append(f'<text x="{x}" y="{height / 2 + 15:g}">⋮</text>')
        texts.append(f'<text x="{x}" y="{height + 32}">{name}</text>')
        texts.append(f'<text x="{x}" y="{height + 48}" fill-opacity="0.65">{size}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_COLUMN * len(widths)}" height="{height + 58}" role="img" '
        f'aria-label="network of {len(dense)} layers" font-family="sans-serif" font-size="12" text-anchor="middle" '
        f'fill="currentColor"><g stroke="currentColor" stroke-opacity="0.2">{"".join(parts)}</g>'
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
