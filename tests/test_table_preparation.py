"""The preparation of a table: scikit-learn's numbers without scikit-learn, as its transformer, and through a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import backlit as bl
from backlit.data.columns import Kind
from backlit.data.preparation import Preparation
from backlit.exceptions import NonFiniteError


def table(n: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.lognormal(3, 2, n)
    x[rng.random(n) < 0.1] = np.nan
    town = [None if rng.random() < 0.1 else f"t{k}" for k in rng.integers(0, 5, n)]
    return pl.DataFrame({"town": town, "x": x, "flat": np.full(n, 0.1), "big": 1e9 + rng.normal(size=n)}).with_columns(
        pl.col("x").fill_nan(None)
    )


KINDS: dict[str, Kind] = {"town": "categorical", "x": "numeric", "flat": "numeric", "big": "numeric"}


def test_the_numbers_are_scikit_learns() -> None:
    frame = table()
    theirs = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["x", "flat", "big"]),
            ("c", OneHotEncoder(sparse_output=False), ["town"]),
        ]
    )
    expected = theirs.fit_transform(frame.with_columns(pl.col("x").fill_null(float("nan"))))
    preparation = Preparation.learn(frame, KINDS)
    # numbers are kept within ±3, smoothly; the columns of 0 and 1 stay as they are
    expected[:, :3] /= np.sqrt(1.0 + (expected[:, :3] / 3.0) ** 2)
    np.testing.assert_allclose(preparation.apply(frame), expected, rtol=1e-9, atol=1e-9)
    rows = np.array([7, 3, 100])
    np.testing.assert_array_equal(preparation.apply(frame, rows), preparation.apply(frame)[rows])
    some = Preparation.learn(frame, KINDS, rows)
    np.testing.assert_array_equal(some.numbers.median, Preparation.learn(frame[[7, 3, 100]], KINDS).numbers.median)


def test_rare_categories_share_a_column() -> None:
    values = [f"k{i:03d}" for i in range(150)] + [f"k{i:03d}" for i in range(99)]
    preparation = Preparation.learn(pl.DataFrame({"k": values}), {"k": "categorical"})
    assert preparation.width == 100
    matrix = preparation.apply(pl.DataFrame({"k": ["k000", "k120", "never", None]}))
    assert matrix.argmax(axis=1).tolist() == [0, 99, 99, 99]
    assert matrix.sum(axis=1).tolist() == [1.0] * 4


def test_a_number_too_far_away_is_named() -> None:
    preparation = Preparation.learn(pl.DataFrame({"x": [1.0, 1.0 + 1e-9]}), {"x": "numeric"})
    rows = pl.DataFrame({"x": [1.0, 1e95]})
    assert preparation.apply(rows, dtype=np.float32)[1, 0] == 3.0
    preparation.numbers.clipped = False
    with pytest.raises(NonFiniteError, match=r"column 'x' holds 1e\+95 in row 2, too far from"):
        preparation.apply(rows, dtype=np.float32)


def test_outliers_stay_within_three_and_files_of_before_know_no_clip() -> None:
    preparation = Preparation.learn(pl.DataFrame({"x": [0.0, 2.0]}), {"x": "numeric"})  # mean 1, scale 1
    rows = pl.DataFrame({"x": [1.0, 1.5, 4.0, -2.0, 1e90]})
    assert preparation.apply(rows)[:, 0] == pytest.approx([0.0, 0.4932, 2.1213, -2.1213, 3.0], abs=1e-4)
    preparation.numbers.clipped = False
    assert preparation.apply(rows)[:, 0] == pytest.approx([0.0, 0.5, 3.0, -3.0, 1e90])


def test_names_are_unique() -> None:
    frame = pl.DataFrame({"a": ["b_2", "b"], "a_b": ["2", "x"], "a_b_2": [1.0, 2.0]})
    names = Preparation.learn(frame, {"a": "categorical", "a_b": "categorical", "a_b_2": "numeric"}).names()
    assert len(names) == len(set(names)) == 5


def test_a_step_of_a_pipeline(tmp_path: Path) -> None:
    frame = table()
    pandas = pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    y = np.where(frame["big"].to_numpy() > 1e9, "up", "down")
    steps = [("columns", bl.TablePreparation()), ("mlp", bl.MLPClassifier((8,), solver="lbfgs", random_state=0))]
    model = Pipeline(steps)
    assert cross_val_score(clone(model), pandas, y, cv=3).min() > 0.9
    model.fit(pandas, y)
    assert model[0].n_features_in_ == 4
    np.testing.assert_array_equal(model.predict(frame), model.predict(pandas))
    bl.save(model, tmp_path / "m")
    np.testing.assert_array_equal(bl.load(tmp_path / "m").predict(pandas), model.predict(pandas))


def test_a_loaded_model_predicts_a_data_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backlit.cli import run

    monkeypatch.chdir(tmp_path)
    frame = table().with_columns(y=pl.Series(["p", "q"] * 150))
    frame.write_csv("t.csv")
    assert run(["train", "t.csv", "--target", "y", "--epochs", "3", "--out", "m"]) == 0
    model = bl.load("m")
    assert isinstance(model, bl.TableModel)
    pandas = pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    np.testing.assert_array_equal(model.predict_proba(frame), model.predict_proba(pandas))
    assert set(model.predict(frame)) <= {"p", "q"}
    assert model.history.epochs == 3
    bl.save(model, "again")
    again = bl.load("again")
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))
    assert again.history.to_dict() == model.history.to_dict()
