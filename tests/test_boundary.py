"""What a network with two inputs answers everywhere: the numbers, the picture by matplotlib, and that in the report."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.lens.boundary import plane
from backlit.lens.report.page import report
from backlit.parameters import Array

CORNERS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]])


def halves() -> bl.Network:
    """σ(10 (x₀ − 2)): yes on the right."""
    net = bl.Network([bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy", dtype="float64")
    net.parameters.values[:] = [10.0, 0.0, -20.0]
    return net


def thirds() -> bl.Network:
    """The largest of 0, x₀ − 1 and x₁: numbers 0, 1 and 2."""
    net = bl.Network([bl.Dense(3, "softmax")], inputs=2, loss="cross_entropy", dtype="float64")
    net.parameters.values[:] = [0, 1, 0, 0, 0, 1, 0, -1, 0]
    return net


def test_the_answers_are_those_of_the_network_at_each_place() -> None:
    found = plane(halves(), CORNERS, ["no", "yes", "no", "yes"], size=5)
    # 8 % of the range on each side
    np.testing.assert_allclose(found.across, np.linspace(-0.32, 4.32, 5))
    np.testing.assert_allclose(found.up, np.linspace(-0.16, 2.16, 5))
    expected = 1 / (1 + np.exp(-10.0 * (found.across - 2.0)))
    np.testing.assert_allclose(found.answers, np.tile(expected, (5, 1)), rtol=1e-12)
    assert (found.kind, found.middle, found.labels) == ("chance", 0.5, ["no", "yes"])
    np.testing.assert_array_equal(found.targets, [0, 1, 0, 1])
    np.testing.assert_array_equal(found.points, CORNERS)

    found = plane(thirds(), CORNERS, [0, 1, 2, 1], size=7)
    grid = np.array([[int(np.argmax([0.0, x - 1.0, y])) for x in found.across] for y in found.up])
    np.testing.assert_array_equal(found.answers, grid)
    assert (found.kind, found.middle, set(grid.ravel())) == ("class", None, {0, 1, 2})

    value = bl.Network([bl.Dense(1)], inputs=2, dtype="float64")
    value.parameters.values[:] = [1.0, 3.0, 0.5]
    found = plane(value, CORNERS, [0.0, 1.0, 2.0, 3.0], size=4)
    np.testing.assert_allclose(found.answers, found.across[None, :] + 3.0 * found.up[:, None] + 0.5)
    assert (found.kind, found.labels) == ("value", [])

    hinge = bl.Network([bl.Dense(1)], inputs=2, loss="hinge", dtype="float64")
    assert plane(hinge, CORNERS, [0, 1, 0, 1], size=3).middle == 0.0


def test_one_point_has_a_plane_around_it() -> None:
    found = plane(halves(), [[2.0, 7.0]], [1], size=3)
    np.testing.assert_allclose(found.across, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(found.answers[:, 1], 0.5)


@pytest.mark.parametrize(
    ("net", "y", "message"),
    [
        (bl.Network([bl.Dense(1)], inputs=3), [1.0], "drawn over two inputs, and the network has 3"),
        (bl.Network([bl.Dense(2)], inputs=2), [[1.0, 2.0]], "drawn for one output, and the network has 2"),
        (
            bl.Network([bl.Dense(2, "sigmoid")], inputs=2, loss="cross_entropy"),
            [[1.0, 1.0]],
            "rows that belong to several classes have no boundary",
        ),
    ],
)
def test_what_has_no_boundary(net: bl.Network, y: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        bl.plot_boundary(net, np.ones((1, net.inputs)), y)
    rows = np.random.default_rng(0).normal(size=(3, net.inputs))
    text = report(net, rows, np.repeat(np.asarray(y), 3, axis=0), tmp_path / "r.html").read_text()
    assert 'id="boundary"' not in text


def test_the_picture_has_every_point_in_the_colour_of_its_class() -> None:
    mpl = pytest.importorskip("matplotlib", reason="matplotlib draws the boundary, and is not installed")
    mpl.use("Agg")
    ax = bl.plot_boundary(halves(), CORNERS, ["no", "yes", "no", "yes"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no", "yes"]
    no, yes = (child for child in ax.collections if type(child).__name__ == "PathCollection")
    np.testing.assert_array_equal(no.get_offsets(), CORNERS[[0, 2]])
    np.testing.assert_array_equal(yes.get_offsets(), CORNERS[[1, 3]])
    line = next(child for child in ax.collections if len(getattr(child, "levels", ())) == 1)
    np.testing.assert_allclose(line.get_paths()[0].vertices[:, 0], 2.0, atol=0.03)  # where the network is undecided

    own = mpl.figure.Figure().subplots()
    assert bl.plot_boundary(thirds(), CORNERS, [0, 1, 2, 1], own) is own
    assert len(own.get_legend().get_texts()) == 3
    value = bl.plot_boundary(bl.Network([bl.Dense(1)], inputs=2), CORNERS, [0.0, 1.0, 2.0, 3.0])
    assert value.get_legend() is None
    mpl.pyplot.close("all")


def _image(text: str) -> Array:
    matplotlib = pytest.importorskip("matplotlib.image", reason="matplotlib reads the PNG back, and is not installed")
    found = re.search(r'<image href="data:image/png;base64,([^"]+)"', text)
    assert found is not None
    pixels: Array = matplotlib.imread(io.BytesIO(base64.b64decode(found[1])))
    return pixels


def test_the_report_has_the_picture_where_there_are_two_inputs(tmp_path: Path) -> None:
    text = report(halves(), CORNERS, [0, 1, 0, 1], tmp_path / "r.html", output_names=["p"]).read_text()
    section = text[text.index('<section id="boundary"') :]
    section = section[: section.index("</section>")]
    assert 'href="#boundary"' in text
    assert re.findall(r'<circle class="(point-\d)"', section) == ["point-0", "point-1", "point-0", "point-1"]
    pixels = _image(section)
    orange, blue = np.array([179, 72, 13]) / 255, np.array([29, 94, 168]) / 255
    np.testing.assert_allclose(pixels[10, 5, :3], orange, atol=1e-6)
    np.testing.assert_allclose(pixels[10, -5, :3], blue, atol=1e-6)
    assert pixels[10, 5, 3] == pytest.approx(150 / 255, abs=0.01)  # sure
    assert pixels[10, 75, 3] < 0.1  # undecided
    one_row = report(halves(), CORNERS[:1], [0], tmp_path / "r.html").read_text()
    assert 'id="boundary"' not in one_row


def test_the_picture_in_the_report_stands_the_right_way_up(tmp_path: Path) -> None:
    text = report(thirds(), CORNERS, [0, 1, 2, 1], tmp_path / "r.html", output_names=["a", "b", "c"]).read_text()
    pixels = _image(text)
    top_left, bottom_left = pixels[3, 3, :3], pixels[-3, 3, :3]
    np.testing.assert_allclose(top_left, np.array([107, 74, 158]) / 255, atol=1e-6)  # x₁ = 2: number 2
    np.testing.assert_allclose(bottom_left, np.array([179, 72, 13]) / 255, atol=1e-6)  # the origin: number 0
    assert [label for label in ("a", "b", "c") if f"></span>{label}</span>" in text] == ["a", "b", "c"]
    value = bl.Network([bl.Dense(1)], inputs=2, dtype="float64")
    assert "low, " in report(value, CORNERS, [0.0, 1.0, 2.0, 3.0], tmp_path / "r.html").read_text()
