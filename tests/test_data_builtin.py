"""Built-in data sets, and the split into training and validation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

import backlit.data as data
from backlit.data import split
from backlit.data.builtin import ABOUT, BUILTIN, load
from backlit.data.shapes import SHAPES
from backlit.data.split import keep_rows, split_rows
from backlit.exceptions import ConfigurationError, DataError, ShapeError

GOLDEN = Path(__file__).parent / "golden_systems.json"


@pytest.mark.parametrize("name", BUILTIN)
def test_every_set_is_whole(name: str) -> None:
    held = load(name)
    assert held.X.dtype == np.float64
    assert held.X.shape == (len(held.y), len(held.feature_names))
    assert np.isfinite(held.X).all()
    assert held.description
    if held.class_names is None:
        assert held.y.dtype == np.float64
    else:
        assert held.y.dtype == np.int64
        assert np.unique(held.y).tolist() == list(range(len(held.class_names)))


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "diabetes", "iris"])
def test_sets_of_sklearn(name: str) -> None:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    held = load(name)
    np.testing.assert_array_equal(held.X, X)
    np.testing.assert_array_equal(held.y, y)
    assert (held.class_names is None) == (name == "diabetes")


def test_admissions() -> None:
    held = load("admissions")
    assert held.X.shape == (400, 3)
    assert held.feature_names == ("gre", "gpa", "rank")
    assert held.X[0].tolist() == [380.0, 3.61, 3.0]
    assert held.y[:2].tolist() == [0, 1]


def test_planar_trains_as_published() -> None:
    golden = json.loads(GOLDEN.read_text())["planar"]["loss_at_iteration"]
    held = load("planar")
    A0, Y = held.X.T, held.y[None]  # (2, 400), (1, 400)
    random = np.random.RandomState(3)
    W1, W2 = random.randn(4, 2) * 0.01, random.randn(1, 4) * 0.01
    b1, b2 = np.zeros((4, 1)), np.zeros((1, 1))
    for iteration in range(1001):
        A1 = np.tanh(W1 @ A0 + b1)  # (4, 400)
        A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))  # (1, 400)
        if str(iteration) in golden:
            loss = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
            assert loss == pytest.approx(golden[str(iteration)], abs=1e-6)
        d2 = (A2 - Y) / Y.size
        d1 = (W2.T @ d2) * (1 - A1**2)
        W2, b2 = W2 - 1.2 * d2 @ A1.T, b2 - 1.2 * d2.sum(axis=1, keepdims=True)
        W1, b1 = W1 - 1.2 * d1 @ A0.T, b1 - 1.2 * d1.sum(axis=1, keepdims=True)


def test_unknown_set() -> None:
    with pytest.raises(DataError, match="no built-in data set 'digit': did you mean 'digits'"):
        load("digit")


@pytest.mark.parametrize("name", BUILTIN)
def test_what_is_said_before_loading_is_so(name: str) -> None:
    held = load(name)
    assert (ABOUT[name].task == "classification") == (held.class_names is not None)
    assert ABOUT[name].description in held.description
    assert (held.feature_names == ("x1", "x2")) == (ABOUT[name].kind == "plane" or name == "two-two-one")


def test_the_line_and_the_one_sample() -> None:
    line, sample = load("line"), load("two-two-one")
    assert line.X.tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert line.y.tolist() == [2.0, 4.0, 6.0, 8.0]
    assert (sample.X.tolist(), sample.y.tolist()) == ([[1.0, 1.0]], [1.0])


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_depends_on_rows_noise_and_seed(name: str) -> None:
    first = load(name, rows=101, noise=0.2, seed=3)
    again, other, clean = load(name, rows=101, noise=0.2, seed=3), load(name, rows=101, seed=4), load(name, rows=101)
    assert first.X.shape == (101, 2)
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    if name != "spiral":  # without noise there is nothing random in it
        assert not np.array_equal(other.X, clean.X)
    assert not (np.array_equal(first.X, clean.X) and np.array_equal(first.y, clean.y))
    assert np.abs(clean.X).max() < 6.5
    assert len(load(name).y) == 400
    assert len(load(name, rows=1).y) == 1


# What each shape is, said once more and otherwise: the class, or the value, of a place.
PLACES: dict[str, Any] = {
    "circle": lambda p: np.hypot(*p.T) < 3.0,
    "xor": lambda p: np.sign(p[:, 0]) == np.sign(p[:, 1]),
    "plane": lambda p: 0.1 * p[:, 0] + 0.1 * p[:, 1],
    "multi-gauss": lambda p: sum(
        h * np.clip(1.0 - np.hypot(p[:, 0] - x, p[:, 1] - y) / 2.0, 0.0, None)
        for x, y, h in [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_place_has_the_label_or_value_of_its_shape(name: str) -> None:
    held = load(name, rows=500, seed=1)
    np.testing.assert_allclose(PLACES[name](held.X), held.y, atol=1e-12)
    noisy = load(name, rows=500, noise=0.3, seed=1)
    np.testing.assert_array_equal(noisy.X, held.X)
    assert not np.array_equal(noisy.y, held.y)


def test_a_circle_is_a_disc_and_a_ring() -> None:
    held = load("circle", rows=1000)
    radius = np.hypot(*held.X.T)
    assert np.bincount(held.y).tolist() == [500, 500]
    assert radius[held.y == 1].max() < 2.5
    assert radius[held.y == 0].min() > 3.5
    assert radius.max() < 5.0


def test_squares_keep_away_from_the_axes() -> None:
    assert np.abs(load("xor", rows=1000).X).min() > 0.3


def test_clouds_have_the_variance_that_the_noise_asks_for() -> None:
    for noise, variance in ((0.0, 0.5), (0.5, 4.0)):
        held = load("gauss", rows=20_000, noise=noise)
        for label, centre in ((0, -2.0), (1, 2.0)):
            cloud = held.X[held.y == label]
            np.testing.assert_allclose(cloud.mean(axis=0), centre, atol=0.1)
            np.testing.assert_allclose(cloud.var(axis=0), variance, rtol=0.05)


def test_the_arms_of_the_spiral_are_opposite() -> None:
    held = load("spiral", rows=200)
    np.testing.assert_allclose(held.X[held.y == 0], -held.X[held.y == 1], atol=1e-12)
    radius = np.hypot(*held.X[held.y == 1].T)
    np.testing.assert_allclose(radius, 5.0 * np.arange(100) / 100)
    angle = np.unwrap(np.arctan2(*held.X[held.y == 1][1:].T))
    assert angle[-1] - angle[0] == pytest.approx(3.5 * np.pi * 98 / 100)


def test_each_moon_is_half_a_circle_around_the_middle_of_the_other() -> None:
    held = load("moons", rows=1000)
    for label, sign in ((0, 1.0), (1, -1.0)):
        moon = held.X[held.y == label] - sign * np.array([-2.0, -1.0])
        np.testing.assert_allclose(np.hypot(*moon.T), 4.0)
        assert (sign * moon[:, 1] >= 0.0).all()


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("digits", {"rows": 5}, "rows is for sets that are drawn anew .*received rows=5 for 'digits': leave it out"),
        ("planar", {"noise": 0.1}, "noise is for sets that are drawn anew"),
        ("iris", {"seed": 0}, "seed is for sets that are drawn anew"),
        ("circle", {"rows": 0}, "rows must be a whole number of at least 1, received 0"),
        ("circle", {"noise": 0.6}, "noise must be a number from 0 to 0.5, received 0.6"),
        ("moons", {"noise": float("nan")}, "noise must be a number from 0 to 0.5, received nan"),
        ("moons", {"noise": True}, "noise must be a number"),
        ("spiral", {"seed": -1}, "the seed must be a whole number"),
    ],
)
def test_options_that_cannot_be(name: str, options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        load(name, **options)


def test_heavy_libraries_wait_until_they_are_needed() -> None:
    program = "import sys, backlit.data; print([m for m in ('polars', 'sklearn') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_export_is_there() -> None:
    assert [name for name in data.__all__ if not hasattr(data, name)] == []


# --- split ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "fraction", "size"), [(10, 0.2, 2), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)])
def test_split_is_a_partition(n: int, fraction: float, size: int) -> None:
    train, validation = split_rows(n, fraction, seed=0)
    assert len(validation) == size
    assert sorted([*train, *validation]) == list(range(n))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_split_depends_on_the_seed_alone() -> None:
    first, again, other = (split_rows(1000, 0.3, seed=seed)[1] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("as_text", [False, True])
def test_every_class_has_its_share(as_text: bool) -> None:
    labels: Any = np.repeat([0, 1, 2], [600, 300, 100])
    if as_text:
        labels = np.array(["a", "b", "c"])[labels]
    _, validation = split_rows(1000, 0.2, seed=0, labels=labels)
    assert np.unique(labels[validation], return_counts=True)[1].tolist() == [120, 60, 20]


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_one_row_trains(seed: int) -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2])
    train, validation = split_rows(21, 0.3, seed=seed, labels=labels)
    assert 20 in train
    assert np.bincount(labels[validation]).tolist() == [3, 3]


def test_every_class_has_a_row_to_train_on() -> None:
    # Ten classes of two rows, one row for validation.
    train, validation = split_rows(20, 0.05, seed=0, labels=np.repeat(np.arange(10), 2))
    assert (len(train), len(validation)) == (19, 1)
    # Each row its own class: none of them can be spared.
    train, validation = split_rows(20, 0.5, seed=0, labels=np.arange(20))
    assert (len(train), len(validation)) == (20, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2, float("nan")])
def test_shares_that_are_none(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="must be between 0 and 1, received"):
        split_rows(10, fraction, seed=0)


def test_rows_that_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="at least two rows to divide, received 1"):
        split_rows(1, 0.5, seed=0)
    with pytest.raises(ShapeError, match=r"one a row, 10 of them, received shape \(9,\)"):
        split_rows(10, 0.5, seed=0, labels=[0] * 9)
    with pytest.raises(ConfigurationError, match="the seed must be"):
        split_rows(10, 0.5, seed=-1)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_rows_that_are_kept_move_together_without_a_copy(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "_ROWS_AT_ONCE", at_once)
    X = np.random.default_rng(0).integers(0, 256, (50, 4)).astype(np.uint8)
    rows, _ = split_rows(50, 0.3, seed=3)
    expected = X[rows]
    found = keep_rows(X, rows)
    np.testing.assert_array_equal(found, expected)
    assert np.shares_memory(found, X)
