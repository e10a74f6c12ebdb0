"""What a network with two inputs answers everywhere, as a picture with the rows as points."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from ...exceptions import ConfigurationError
from ...pages import number
from ...parameters import Array
from ..boundary import Plane, encoded_plane
from ..step.ledger import Ledger
from .charts import Area, Axis
from .data import png
from .markup import Html, paragraph, section

_SIZE: Final = 150  # answers along a side
_POINTS: Final = 600
# for class 0, 1, …: the colours of the style sheet's point-0, point-1, … in its light form
_COLORS: Final = ((179, 72, 13), (29, 94, 168), (107, 74, 158), (26, 107, 54), (101, 97, 10), (178, 34, 28))
_STRONG: Final = 150  # opacity, of 255, where an answer is sure


def boundary(ledger: Ledger, input_names: Sequence[str] | None, output_names: Sequence[str] | None) -> Html:
    """The section; empty for one row, and for a network that has no such picture."""
    X, Y, _ = ledger.trace.data
    if ledger.n == 1 or ledger.net.inputs != 2:
        return Html("")
    try:
        found = encoded_plane(ledger.net, X, Y, ledger.net.classes, _SIZE)
    except ConfigurationError:
        return Html("")  # several outputs that are no classes, or rows of several classes
    names = ["input 0", "input 1"] if input_names is None else input_names
    sides = zip(names, (found.across, found.up), strict=True)
    across, up = (Axis(name, float(side[0]), float(side[-1])) for name, side in sides)
    area = Area(across, up, 560, 480)
    left, top, width, height = area.box
    image = (
        f'<image href="{png(_pixels(found)[::-1])}" x="{left}" y="{top}" width="{width}" height="{height}" '
        'preserveAspectRatio="none"/>'
    )
    labels = _labels(found, output_names)
    keys = [
        f'<span><span class="chip point-{k % len(_COLORS)}"></span>{escape(label)}</span>'
        for k, label in enumerate(labels)
    ]
    title = "What the network answers everywhere"
    return section(
        "boundary",
        title,
        paragraph(_told(found), "dim"),
        area.figure([image, *area.grid(), *_points(found, area)], keys, title, "chart plane"),
    )


def _labels(found: Plane, names: Sequence[str] | None) -> list[str]:
    if found.kind == "value":
        return [f"low, {number(_range(found)[0], 3)}", f"high, {number(_range(found)[1], 3)}"]
    return list(names) if names is not None and len(names) == len(found.labels) else found.labels


def _told(found: Plane) -> str:
    if found.kind == "value":
        return "The colour is the output, the points are the rows with their targets; before the step."
    which = "the class that it chooses" if found.kind == "class" else "how sure it is of one class or the other"
    return f"The colour is {which}, the points are the rows with the class that they belong to; before the step."


def _range(found: Plane) -> tuple[float, float]:
    low = min(float(found.answers.min()), float(found.targets.min()))
    high = max(float(found.answers.max()), float(found.targets.max()))
    return low, high if high > low else low + 1.0


def _pixels(found: Plane) -> Array:
    """Colour and opacity of each answer, (size, size, 4)."""
    colors = np.array(_COLORS)
    if found.kind == "class":
        chosen = found.answers.astype(int)
        sure = np.full(chosen.shape, 0.7)
    else:
        low, high = _range(found) if found.kind == "value" else (0.0, 1.0)
        middle = 0.5 * (low + high) if found.middle is None else found.middle
        reach = max(high - middle, float(np.abs(found.answers - middle).max())) or 1.0
        chosen = (found.answers > middle).astype(int)
        sure = np.abs(found.answers - middle) / reach
    opacity = np.nan_to_num(sure) * _STRONG
    return np.concatenate([colors[chosen % len(colors)], opacity[..., None]], axis=2).astype(np.uint8)


def _points(found: Plane, area: Area) -> list[str]:
    every = max(1, -(-len(found.targets) // _POINTS))
    if found.kind == "value":
        low, high = _range(found)
        groups = (found.targets > 0.5 * (low + high)).astype(int)
    else:
        groups = found.targets.astype(int)
    return [
        f'<circle class="point-{group % len(_COLORS)}" cx="{area.across(x):.1f}" cy="{area.up(y):.1f}" r="3.2"/>'
        for (x, y), group in zip(found.points[::every].tolist(), groups[::every].tolist(), strict=True)
    ]
