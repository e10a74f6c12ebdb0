"""Columns of many categories: codes in the matrix, an embedding in the network, and all that is done with its model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import backlit as bl
from backlit.cli import run
from backlit.data import categories
from backlit.data.categories import ENOUGH_RARE, MOST_CATEGORIES
from backlit.data.description import describe, described
from backlit.data.learning import learn_table, network_maker, new_model
from backlit.data.members import Rows, Running
from backlit.data.preparation import Preparation
from backlit.data.recipe import recipe_for
from backlit.data.tuning import Task, fold_loss
from backlit.exceptions import ConfigurationError, ModelFileError
from backlit.lens.columns import behind_codes, column_effects, input_gradients, row_effects

RNG = np.random.default_rng(4)
TOWNS, ROWS = 150, 900
WHICH = RNG.integers(0, TOWNS, ROWS)
GAIN = RNG.normal(size=TOWNS)
TABLE = pl.DataFrame(
    {
        "town": [f"town {k}" if n % 40 else None for n, k in enumerate(WHICH)],
        "a": RNG.normal(size=ROWS).round(3),
        "side": RNG.choice(["left", "right"], ROWS),
    }
)
VALUES = 3.0 * GAIN[WHICH] + TABLE["a"].to_numpy()
KINDS: Any = {"town": "categorical", "a": "numeric", "side": "categorical"}


@pytest.fixture(scope="module")
def model() -> Any:
    """Of two networks, whose numbers have waves as well or not."""
    new = new_model(TABLE, KINDS, VALUES, "y", classes=None)
    recipe = replace(recipe_for(ROWS, new.preparation.width, 1), members=2, folds=2, epochs=20)
    X = new.preparation.apply(TABLE, dtype=np.float32)
    learn_table(new, X, VALUES, recipe, seed=0, running=Running(engine="reference", progress=False))
    return new


def many(count: int, *, missing: bool = False) -> pl.DataFrame:
    """Each value in three rows, the first in one."""
    values = [f"v{k:04}" for k in range(count) for _ in range(3)][2:]
    return pl.DataFrame({"v": [*values, None] if missing else values, "w": ["x"] * (len(values) + missing)})


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("coded", "more"), [(True, 1), (True, 0), (False, 1)])
def test_more_than_a_hundred_categories_become_codes_where_it_is_asked_for(
    coded: bool, more: int, missing: bool
) -> None:
    frame = many(MOST_CATEGORIES + more - missing, missing=missing)
    found = Preparation.learn(frame, {"v": "categorical", "w": "categorical"}, coded=coded)
    assert [column.coded for column in found.categories] == [coded and more == 1, False]
    assert found.width == (2 if coded and more else MOST_CATEGORIES + 1)
    assert found.codes == ((MOST_CATEGORIES + 2,) if coded and more else ())


def test_what_the_codes_are() -> None:
    """The values in the order of their texts, then a missing one, then what has never come."""
    frame = many(MOST_CATEGORIES + 20, missing=True)
    found = Preparation.learn(frame, {"v": "categorical", "w": "categorical"}, coded=True)
    last = MOST_CATEGORIES + 20
    assert found.codes == (last + 2,)
    rows = pl.DataFrame({"v": ["v0001", "v0119", None, "v0000", "never"], "w": ["x"] * 5})
    assert found.apply(rows).tolist() == [[1.0, code] for code in (1, last - 1, last, 0, last + 1)]
    assert found.names() == ["w_x", "v"]
    assert found.sources() == ["w", "v"]
    assert found.numbers_width == 0


@pytest.mark.parametrize(("single", "grouped"), [(ENOUGH_RARE - 1, False), (ENOUGH_RARE, True)])
def test_many_values_of_one_row_each_teach_what_others_are(single: int, grouped: bool) -> None:
    twice = [f"t{k}" for k in range(20)]
    once = [f"o{k}" for k in range(single)]
    frame = pl.DataFrame({"v": [*twice, *twice, *once]})
    found = Preparation.learn(frame, {"v": "categorical"}, coded=True)
    assert found.codes == (21 if grouped else 21 + single,)
    assert found.categories[0].rare == (sorted(once) if grouped else [])
    assert found.apply(pl.DataFrame({"v": ["o5", "never"]}))[:, 0].tolist()[1] == found.codes[0] - 1
    assert (found.apply(pl.DataFrame({"v": ["o5"]}))[0, 0] == found.codes[0] - 1) == grouped


def test_the_most_frequent_have_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "MOST_OWN", 5)
    values = [f"v{k:03}" for k in range(150) for _ in range(5 if k < 4 else 3 if k == 77 else 2)]
    found = Preparation.learn(pl.DataFrame({"v": values}), {"v": "categorical"}, coded=True)
    assert found.categories[0].frequent == ["v000", "v001", "v002", "v003", "v077"]
    assert found.codes == (6,)


def test_what_categories_learn_takes_time_that_is_planned_for() -> None:
    """20 seconds of one core: every step goes over 8 numbers of each of 200,000 categories."""
    assert recipe_for(20_000, 20, 1, codes=[101] * 16).members == 5
    assert recipe_for(20_000, 20, 1, codes=[12_500] * 16).members == 1


def test_what_is_not_known_begins_at_nothing() -> None:
    recipe = recipe_for(500, 4, 1)
    net = network_maker(4, 1, recipe, classes=False, codes=(120, 200))(3)
    E = net.parameters.view("0.weight")
    assert np.flatnonzero(~E.any(axis=1)).tolist() == [119, 319]
    X = np.column_stack([RNG.normal(size=(50, 2)), np.arange(50), np.arange(50)])
    bl.fit(net, X, X[:, 0], epochs=2, optimizer=bl.AdamW(0.01, weight_decay=0.5), progress=False, engine="reference")
    assert not E[[119, 319]].any()


def test_the_members_are_one_network_that_knows_every_town(model: Any) -> None:
    first = model.network.layers[0]
    assert isinstance(first, bl.Embedding)
    assert first.categories == model.preparation.codes
    assert first.size == 2 * 8
    assert model.preparation.names() == ["a", "side_left", "side_right", "town"]
    error = np.abs(model.predict(TABLE) - VALUES)[np.arange(ROWS) % 40 > 0]
    assert error.mean() < 0.3 * VALUES.std()
    unknown = pl.DataFrame({"town": ["elsewhere", None], "a": [0.0, 0.0], "side": ["left", "left"]})
    assert np.abs(model.predict(unknown) - VALUES.mean()).max() < 2.0 * VALUES.std()


def test_it_is_saved_and_exported(model: Any, tmp_path: Path) -> None:
    bl.save(model, tmp_path / "model")
    again = bl.load(tmp_path / "model")
    assert again.predict(TABLE).tobytes() == model.predict(TABLE).tobytes()
    assert again.preparation.codes == model.preparation.codes
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert bl.export_onnx(model, tmp_path / "model.onnx").largest_difference < 1e-5


def test_a_file_whose_codes_are_not_the_networks(model: Any) -> None:
    text, arrays = describe(model)
    other = bl.Network([bl.Embedding([7]), bl.Dense(1)], inputs=4)
    with pytest.raises(ModelFileError) as caught:
        described(text, arrays, other)
    count = model.preparation.codes[0]
    assert str(caught.value) == f"the description of the table has codes of [{count}] categories, the network of [7]"


@pytest.mark.parametrize(
    ("first", "inputs", "told"),
    [([], 4, r"codes of \[\d+\] categories, the network of \[\]"), ([], 5, "4 inputs, the network 5"),
     ([bl.Embedding([7])], 4, r"categories, the network of \[7\]")],
)  # fmt: skip
def test_what_could_not_be_loaded_is_not_saved(
    model: Any, first: list[Any], inputs: int, told: str, tmp_path: Path
) -> None:
    other = replace(model, network=bl.Network([*first, bl.Dense(1)], inputs=inputs))
    with pytest.raises(ConfigurationError, match=rf"{told}: make the network for the preparation"):
        bl.save(other, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def once_each() -> Any:
    """A model of a column in which no value comes twice, so that all have the code of those never seen."""
    frame = pl.DataFrame({"town": [f"town {k}" for k in range(ENOUGH_RARE + 1)]})
    values = np.arange(ENOUGH_RARE + 1.0)
    new = new_model(frame, {"town": "categorical"}, values, "y", classes=None)
    assert new.preparation.codes == (1,)
    new.network = bl.Network([bl.Embedding([1]), bl.Dense(1)], inputs=1, seed=3)
    new.network.parameters.values[:] = np.arange(1.0, 1.0 + new.network.parameters.size)
    return new


def test_a_column_of_which_nothing_is_known_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert bl.export_onnx(once_each(), tmp_path / "model.onnx").largest_difference < 1e-5


def test_what_a_column_of_codes_does(model: Any) -> None:
    effects = {column.name: column for column in column_effects(model, TABLE, VALUES, repeats=2).columns}
    assert effects["town"].permuted > effects["a"].permuted > 5 * effects["side"].permuted
    X = model.prepare(TABLE)
    moves = input_gradients(model, X)[:, 3:] * behind_codes(model, X).X[:, 3:].std(axis=0)
    assert effects["town"].gradient == pytest.approx(np.sqrt((moves**2).sum(axis=1)).mean(), rel=1e-6)
    X = X[:6].astype(np.float64)
    behind = behind_codes(model, X)
    assert behind.sources.tolist() == ["a", "side", "side", *["town"] * 16]
    exact = behind.net.astype("float64")
    np.testing.assert_allclose(exact.forward(behind.X), model.network.astype("float64").forward(X), rtol=1e-6)
    found = input_gradients(model, X)
    assert found.shape == (6, 19)
    for j in (0, 2, 3, 18):
        step = np.zeros(19)
        step[j] = 1e-6
        up, down = (model.values(exact.forward(behind.X + sign * step)) for sign in (1, -1))
        np.testing.assert_allclose(found[:, j], (up - down) / 2e-6, rtol=1e-4, atol=1e-6 * np.abs(found).max())
    row = {name: (product, size) for name, product, size in row_effects(model, X[2]).columns}
    assert row["town"] == pytest.approx((found[2, 3:] @ behind.X[2, 3:], np.linalg.norm(found[2, 3:])))


def test_trials_of_tuning_know_the_codes() -> None:
    new = new_model(TABLE, KINDS, VALUES, "y", classes=None)
    rows = Rows(new.preparation.apply(TABLE, dtype=np.float32), new.encode(VALUES))
    recipe = replace(recipe_for(ROWS, new.preparation.width, 1, "fast"), epochs=20)
    task = Task(rows, 1, recipe, seed=0, engine="reference", codes=new.preparation.codes)
    plain = replace(task, codes=())
    assert fold_loss(task, recipe, 0) < 0.6 * fold_loss(plain, recipe, 0)
    assert task.sign() != plain.sign()


def test_tune_hands_the_codes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="a search for settings needs backlit[tune]")
    seen: list[Task] = []

    def look(task: Task, path: Any) -> None:
        seen.append(task)
        raise ConfigurationError("it has been looked at")

    monkeypatch.setattr("backlit.cli.tune.open_study", look)
    TABLE.with_columns(pl.Series("y", VALUES)).write_csv(tmp_path / "towns.csv")
    files = [str(tmp_path / "towns.csv"), "--out", str(tmp_path / "model")]
    assert run(["tune", *files, "--target", "y", "--trials", "1"]) == 2
    (count,) = seen[0].codes
    assert count > 140


def test_the_lab_goes_on_with_the_codes(model: Any) -> None:
    from backlit.lab.building import build_network
    from backlit.lab.exports import _about_columns
    from backlit.lab.reading import _given_model
    from backlit.lab.settings import Settings

    material = _given_model(model, "model").material
    net = build_network(Settings(), material)
    assert net.layers[0].categories == model.preparation.codes
    unknown = np.flatnonzero(~net.parameters.view("0.weight").any(axis=1))
    assert unknown.tolist() == (np.cumsum(model.preparation.codes) - 1).tolist()
    assert _about_columns(material) == (
        "# Columns of X (standardised, categories one-hot, the last ones codes): a, side_left, side_right, town.\n"
    )


def test_train_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TABLE.with_columns(pl.Series("y", VALUES)).write_csv(tmp_path / "towns.csv")
    command = ["train", str(tmp_path / "towns.csv"), "--target", "y", "--preset", "fast", "--epochs", "1"]
    assert not run([*command, "--out", str(tmp_path / "model")])
    told = " ".join(capsys.readouterr().out.split())
    assert "of long columns, each with 8 numbers that are learnt (Embedding)" in told


def test_train_is_silent_about_a_column_of_which_nothing_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = pl.DataFrame(
        {"town": [f"town {k}" for k in range(300)], "a": np.arange(300.0), "y": np.arange(300.0) ** 0.5}
    )
    once.write_csv(tmp_path / "towns.csv")
    command = ["train", str(tmp_path / "towns.csv"), "--target", "y", "--preset", "fast", "--epochs", "1"]
    assert not run([*command, "--categorical", "town", "--out", str(tmp_path / "model")])
    assert "long columns" not in capsys.readouterr().out
    assert bl.load(tmp_path / "model").preparation.codes == (1,)  # type: ignore[union-attr]
