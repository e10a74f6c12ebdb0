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
from backlit.data.builtin import BUILTIN, load
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
