"""`TabularClassifier` and `TabularRegressor`: a data frame in, and scikit-learn's rules kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import backlit as bl
from backlit import TabularClassifier, TabularRegressor
from backlit.exceptions import ConfigurationError, ShapeError, TableError


def shop(n: int = 60) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Sizes with gaps, towns and dates, with a class and a price."""
    rng = np.random.default_rng(0)
    size = rng.uniform(20, 90, n).round(1)
    town = np.where(rng.random(n) < 0.5, "Rome", "Oslo")
    price = 10.0 * size + 200.0 * (town == "Rome")
    gaps = [None if i % 11 == 0 else float(value) for i, value in enumerate(size)]
    table = pl.DataFrame({"size": gaps, "town": town, "day": [f"2024-01-{1 + i % 28:02}" for i in range(n)]})
    return table, np.where(town == "Rome", "dear", "cheap"), price


@pytest.mark.parametrize("as_pandas", [False, True])
def test_a_data_frame_with_gaps_text_and_dates(as_pandas: bool) -> None:
    table, kind, price = shop()
    X: Any = pd.DataFrame(table.to_dict(as_series=False)) if as_pandas else table
    classifier = TabularClassifier(random_state=0).fit(X, kind)
    assert classifier.score(X, kind) == 1.0
    assert classifier.classes_.tolist() == ["cheap", "dear"]
    assert classifier.predict_proba(X).sum(axis=1) == pytest.approx(1.0)
    assert classifier.validation_loss_ < 0.2
    assert classifier.members_ == 5
    assert classifier.feature_names_in_.tolist() == ["size", "town", "day"]
    regressor = TabularRegressor(random_state=0).fit(X, price)
    assert regressor.score(X, price) > 0.85
    assert 0.0 < regressor.validation_loss_ < 0.5 * price.var()


def test_what_it_learns_is_what_the_model_file_holds(tmp_path: Path) -> None:
    table, kind, price = shop()
    for estimator, y in ((TabularClassifier(random_state=0), kind), (TabularRegressor(random_state=0), price)):
        estimator.fit(table, y)
        bl.save(estimator.model_, tmp_path / "m")
        assert (bl.load(tmp_path / "m").predict(table) == estimator.predict(table)).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    table, _, price = shop()
    one, same, other = (TabularRegressor(random_state=seed).fit(table, price).predict(table) for seed in (1, 1, 2))
    assert (one == same).all()
    assert not (one == other).all()


@pytest.mark.parametrize("labels", [[False, True], [2.0, 4.0], [7, -3], ["b", "a"]])
def test_labels_of_any_kind_come_back(labels: list[Any]) -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    y = np.array(labels)[(x[:, 0] > 0).astype(int)]
    classifier = TabularClassifier(preset="fast", random_state=0).fit(x, y)
    assert classifier.predict(x).dtype == y.dtype
    assert (classifier.predict(x) == y).mean() > 0.9
    assert (classifier.classes_ == np.unique(y)).all()


def test_columns_that_are_dropped_or_decided() -> None:
    table, kind, _ = shop()
    table = table.with_columns(pl.Series("id", range(60)), pl.Series("zip", [1.0, 2.0] * 30))
    classifier = TabularClassifier(preset="fast", categorical=["zip"], drop=["size"], random_state=0).fit(table, kind)
    assert dict(classifier.model_.preparation.kinds) == {"town": "categorical", "day": "date", "zip": "categorical"}
    with pytest.raises(TableError, match="no column to learn from"):
        TabularClassifier(drop=["town", "day", "size", "zip"]).fit(table, kind)


def test_minutes_are_kept_to() -> None:
    table, _, price = shop()
    many = TabularRegressor(preset="fast", minutes=1.0 / 60.0, random_state=0).fit(table, price)
    assert many.members_ > 1


def test_what_cannot_be_learnt_is_said() -> None:
    table, kind, price = shop()
    with pytest.raises(ConfigurationError, match="preset"):
        TabularClassifier(preset="quick").fit(table, kind)
    with pytest.raises(ConfigurationError, match="minutes"):
        TabularRegressor(minutes=0).fit(table, price)
    with pytest.raises(TableError, match="only one class, 'a'"):
        TabularClassifier().fit(table, ["a"] * 60)
    with pytest.raises(ShapeError, match="60 rows and y 59"):
        TabularRegressor().fit(table, price[:59])


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_tables_of_a_few_rows(rows: int) -> None:
    X = np.arange(rows, dtype=float)[:, None]
    assert TabularRegressor(random_state=0).fit(X, X[:, 0]).predict(X).shape == (rows,)
    classes = np.arange(rows) > 0
    assert TabularClassifier(random_state=0).fit(X, classes).predict(X).shape == (rows,)


def test_a_class_of_a_single_row_and_constant_columns() -> None:
    frame = pd.DataFrame({"x": [1.0] * 12, "y": [2.0] * 12})
    found = TabularClassifier(random_state=0).fit(frame, ["a"] * 11 + ["b"])
    assert found.predict(frame).tolist() == ["a"] * 12


# float32 outputs differ in the last bit with the number of rows of a product
_FLOAT32 = {"check_methods_subset_invariance": "the network is float32: sums of other lengths round differently"}


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_scikit_learns_own_checks(kind: Any) -> None:
    assert clone(kind(preset="fast")).preset == "fast"
    check_estimator(kind(preset="fast", random_state=0), expected_failed_checks=_FLOAT32, on_skip=None)
