"""What columns do to predictions: against scikit-learn, against differences, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance

import backlit as bl
from backlit.cli import run
from backlit.data.model import TableModel
from backlit.exceptions import ConfigurationError, TableError
from backlit.lens import column_effects, row_effects
from backlit.lens.columns import input_gradients
from backlit.randomness import keyed_generator

RNG = np.random.default_rng(0)
TABLE = pl.DataFrame(
    {
        "a": RNG.normal(size=120).round(3),
        "town": RNG.choice(["Oslo", "Rome", "Bern"], 120),
        "noise": RNG.normal(size=120).round(3),
    }
)
VALUES = 100.0 * (2.0 * TABLE["a"].to_numpy() + (TABLE["town"] == "Rome").to_numpy())
LABELS = np.where(VALUES > 50.0, "dear", np.where(VALUES > -50.0, "fair", "cheap"))


@pytest.fixture(scope="module")
def regressor() -> TableModel:
    return bl.TabularRegressor(preset="fast", random_state=0).fit(TABLE, VALUES).model_  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def classifier() -> TableModel:
    return bl.TabularClassifier(preset="fast", random_state=0).fit(TABLE, LABELS).model_  # type: ignore[no-any-return]


class Prepared(BaseEstimator):  # type: ignore[misc]
    """A table's model on its prepared rows, as scikit-learn wants it."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> None:
        raise NotImplementedError

    def predict(self, X: Any) -> Any:
        return self.model.values(self.model.network.forward(X.astype(np.float32)))


def test_the_permutation_is_scikit_learns(regressor: TableModel) -> None:
    found = {column.name: column for column in column_effects(regressor, TABLE, VALUES, repeats=40).columns}
    X = regressor.prepare(TABLE)
    theirs = permutation_importance(
        Prepared(regressor), X, VALUES, scoring="neg_root_mean_squared_error", n_repeats=40, random_state=0
    )
    names = regressor.preparation.names()
    for name in ("a", "noise"):
        mean, spread = (theirs[key][names.index(name)] for key in ("importances_mean", "importances_std"))
        assert found[name].permuted == pytest.approx(mean, abs=4 * spread / 40**0.5)
        assert found[name].spread == pytest.approx(spread, rel=0.5)
    assert found["a"].permuted > 10 * found["noise"].permuted


def test_a_column_of_several_inputs_is_permuted_as_one(classifier: TableModel) -> None:
    effects = column_effects(classifier, TABLE, LABELS, repeats=1, seed=3)
    order = keyed_generator(3, "sampling", 0).permutation(120)
    moved = TABLE.with_columns(TABLE["town"].gather(order))
    right = classifier.encode(LABELS)

    def loss(table: Any) -> float:
        return float(-np.log(classifier.predict_proba(table)[np.arange(120), right]).mean())

    assert effects.measure == "loss"
    assert effects.before == pytest.approx(loss(TABLE), rel=1e-6)
    town = next(column for column in effects.columns if column.name == "town")
    assert town.permuted == pytest.approx(loss(moved) - loss(TABLE), rel=1e-5)
    assert town.spread == 0.0
    assert [column.name for column in effects.columns] == ["a", "town", "noise"]


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_gradients_are_those_of_the_answer(kind: str, request: pytest.FixtureRequest) -> None:
    model: TableModel = request.getfixturevalue(kind)
    X = model.prepare(TABLE)[:20].astype(np.float64)
    net = model.network.astype("float64")
    chosen = net.forward(X).argmax(axis=1)

    def answer(x: Any) -> Any:
        a = net.forward(x)
        return model.values(a) if model.classes is None else np.log(a[np.arange(len(x)), chosen])

    found = input_gradients(model, X)
    for j in range(X.shape[1]):
        step = np.zeros(X.shape[1])
        step[j] = 1e-6
        difference = (answer(X + step) - answer(X - step)) / 2e-6
        np.testing.assert_allclose(found[:, j], difference, rtol=1e-5, atol=1e-6 * np.abs(found).max())
    effects = row_effects(model, X[3])
    for name, product, size in effects.columns:
        inputs = [j for j, source in enumerate(model.preparation.sources()) if source == name]
        assert product == pytest.approx(found[3, inputs] @ X[3, inputs])
        assert size == pytest.approx(np.linalg.norm(found[3, inputs]))


@pytest.mark.parametrize("first", [bl.Scale(0.7), bl.NumericEmbedding(2, columns=2), bl.LayerNorm(), bl.Dropout(0.5)])
def test_gradients_through_any_first_layer(first: bl.Layer, regressor: TableModel) -> None:
    layers = [first, bl.Dense(3, "tanh"), bl.Dense(1)]
    net = bl.Network(layers, inputs=regressor.network.inputs, dtype="float64", input_scale=0.5)
    model = TableModel(net, regressor.preparation, "y")
    X = regressor.prepare(TABLE)[:5].astype(np.float64)
    found = input_gradients(model, X)
    for j in range(X.shape[1]):
        step = np.zeros(X.shape[1])
        step[j] = 1e-6
        difference = (model.values(net.forward(X + step)) - model.values(net.forward(X - step))) / 2e-6
        np.testing.assert_allclose(found[:, j], difference, rtol=1e-5, atol=1e-8)


def test_the_spread_of_a_column_is_what_moves_it(regressor: TableModel) -> None:
    effects = column_effects(regressor, TABLE, VALUES)
    X = regressor.prepare(TABLE)
    j = regressor.preparation.names().index("a")
    expected = np.abs(input_gradients(regressor, X)[:, j]).mean() * X[:, j].std()
    assert effects.columns[0].gradient == pytest.approx(expected, rel=1e-6)
    assert 100.0 < expected < 300.0  # about 200 for one standard deviation of a


def test_what_cannot_be_asked(regressor: TableModel) -> None:
    with pytest.raises(TableError, match="120 rows need as many targets"):
        column_effects(regressor, TABLE, VALUES[:3])
    with pytest.raises(TableError, match="0 rows need"):
        column_effects(regressor, TABLE[:0], VALUES[:0])
    with pytest.raises(ConfigurationError, match="repeats"):
        column_effects(regressor, TABLE, VALUES, repeats=0)


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    TABLE.with_columns(price=VALUES).write_csv("t.csv")
    assert run(["train", "t.csv", "--target", "price", "--preset", "fast", "--out", "m"]) == 0
    capsys.readouterr()
    assert run(["inspect", "t.csv", "--model", "m", "--json", "--html", "i.html"]) == 0
    out, err = capsys.readouterr()
    effects = json.loads(out)["effects"]
    assert effects["measure"] == "rmse"
    assert [column["name"] for column in effects["columns"]] == ["a", "town", "noise"]
    assert "What each column does" in err
    assert "What each column does" in Path("i.html").read_text()
    assert json.loads(out)["columns"][-1]["why"] == "the target"
    assert run(["explain", "m", "t.csv", "--row", "2", "--json", "--html", "r.html"]) == 0
    told = json.loads(capsys.readouterr().out)["columns"]
    assert told["told"] == "the value predicted"
    assert {name for name, *_ in told["columns"]} == {"a", "town", "noise"}
    assert "gradient × input" in Path("r.html").read_text()
    bl.save(bl.Network([bl.Dense(1)], inputs=784), "n")
    assert run(["inspect", "t.csv", "--model", "n"]) == 2
    assert "is a model of images" in capsys.readouterr().err
