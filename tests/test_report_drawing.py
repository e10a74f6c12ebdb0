"""The drawing of the network in a report: what stands where, and that no line goes through a number."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.lens import explain
from backlit.lens.report.drawing import _covered, drawing

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))


def drawn(net: bl.Network, row: int | None = None) -> str:
    return str(drawing(explain(net, X, Y), row, None, None))


Box = tuple[float, float, float, float]


def shapes(svg: str) -> list[tuple[str, Box]]:
    """Lines as (x1, y1, x2, y2), and the grounds of numbers as (left, top, right, bottom), in the order of drawing."""
    found: list[tuple[str, Box]] = []
    for tag, text in re.findall(r"<(line|rect) ([^>]*)", svg):
        at = {name: float(value) for name, value in re.findall(r'(\w+)="([-\d.]+)"', text)}
        if tag == "line":
            found.append((tag, (at["x1"], at["y1"], at["x2"], at["y2"])))
        else:
            found.append((tag, (at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"])))
    return found


def crosses(line: Box, box: Box) -> bool:
    along = np.linspace(0.0, 1.0, 200)
    across, down = line[0] + along * (line[2] - line[0]), line[1] + along * (line[3] - line[1])
    return bool(((across > box[0]) & (across < box[2]) & (down > box[1]) & (down < box[3])).any())


def apart(one: Box, other: Box) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("units", [1, 2, 3, 4])
def test_every_number_has_ground_of_its_own(units: int) -> None:
    svg = drawn(bl.Network([bl.Dense(units, "tanh", bias_init=0.25), bl.Dense(1)], inputs=2, seed=units))
    found = shapes(svg)
    grounds = [box for kind, box in found if kind == "rect"]
    assert len(grounds) == 3 * units + 2 * (units + 1)  # each weight; bias and delta of each unit
    assert all(apart(one, other) for one, other in itertools.combinations(grounds, 2))
    # what is drawn later lies on top: no line after a ground goes through it
    for k, (kind, box) in enumerate(found):
        if kind == "rect":
            assert not any(crosses(line, box) for other, line in found[k + 1 :] if other == "line")
    labels = re.findall(r'<rect class="plate"[^>]*/><text class="([^"]*)" [^>]*>([^<]+)</text>', svg)
    assert sum(kind.startswith("weight") for kind, _ in labels) == 3 * units
    assert [text for _, text in labels].count("b 0.25") == units


def test_numbers_cover_no_other_line_where_there_is_room() -> None:
    svg = drawn(bl.Network([bl.Dense(2), bl.Dense(1)], inputs=2))
    lines = [line for kind, line in shapes(svg) if kind == "line"]
    numbers = [svg[at.start() :] for at in re.finditer(r'<rect class="plate"[^>]*/><text class="weight', svg)]
    assert len(lines) == len(numbers) == 6
    for text in numbers:
        box = shapes(text)[0][1]
        assert sum(crosses(line, box) for line in lines) == 1  # its own


def test_covering_a_number_is_worse_than_crossing_lines() -> None:
    box, near = (50.0, 50.0, 10.0, 8.0), (55.0, 50.0, 10.0, 8.0)
    line = (0.0, 52.0, 100.0, 48.0)
    assert _covered(box, [near], []) > _covered(box, [], [line] * 8) > _covered(box, [], [line]) > 0
    assert _covered(box, [(90.0, 50.0, 10.0, 8.0)], [(0.0, 0.0, 100.0, 10.0)]) == 0


def test_a_batch_has_means_and_a_row_has_its_own_target() -> None:
    net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=2)
    assert f">mean of y {Y.mean():.3g}</text>" in drawn(net)
    assert ">y = " not in drawn(net)
    assert f">y = {Y[4, 0]:.3g}</text>" in drawn(net, 4)


def test_layers_between_are_named_with_the_units_they_work_on() -> None:
    layers = [bl.Scale(), bl.Dense(3, "relu", bias=False), bl.Dropout(0.2), bl.LayerNorm(), bl.Dense(1)]
    svg = drawn(bl.Network(layers, inputs=2))
    label = re.search(r'aria-label="(Drawing[^"]*)"', svg)
    assert label is not None
    assert label[1] == (
        "Drawing of the network: inputs, 2, 0: scale; layer 1, 3 relu, 2: dropout 0.2, 3: layer norm; "
        "layer 4, 1 identity"
    )
    assert svg.count("<circle") == 6
    assert svg.count(">b ") == 1  # the hidden layer has no biases
    assert "1.weight[1, 2] = " in svg


def test_the_mathematics_stands_before_the_fingerprints(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimizer": bl.SGD(0.1), "more": [explain(bl.Network([bl.Dense(1)], inputs=2), X, Y)]}
    path = bl.report(bl.Network([bl.Dense(1)], inputs=2), X, Y, tmp_path / "r.html", **settings)
    order = re.findall(r'<section id="([\w-]+)"', path.read_text())
    assert order == [
        "network", "boundary", "row", "passes", "gradients", "weights", "account", "check", "shapes", "made-from",
        "more-0",
    ]  # fmt: skip
