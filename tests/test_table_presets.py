"""`backlit train` on tables: presets, time, intervals, and tables that are hardly any."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import backlit as bl
from backlit.cli import run
from backlit.cli.tables import _running
from backlit.data.learning import new_model
from backlit.data.model import TableModel
from backlit.data.recipe import EMBEDDED
from backlit.exceptions import ConfigurationError, ModelFileError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(list(words)) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    return captured.out, captured.err


def line(n: int = 60, noise: float = 0.3) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, n)
    return pl.DataFrame({"x": x, "y": 5.0 + 2.0 * x + noise * rng.normal(size=n)})


def train(capsys: pytest.CaptureFixture[str], frame: pl.DataFrame, *more: str) -> dict[str, Any]:
    frame.write_csv("t.csv")
    out, _ = command(capsys, "train", "t.csv", "--target", "y", "--out", "m", "--json", *more)
    found: dict[str, Any] = json.loads(out)
    return found


def test_by_default_several_networks_predict_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    found = train(capsys, line(), "--epochs", "150", "--hidden", "8", "--learning-rate", "0.01")
    assert found["members"] == 5
    assert found["validation"]["r2"] > 0.5
    model = bl.load("m")
    assert [layer.units for layer in model.network.layers if isinstance(layer, bl.Dense)] == [40, 1]
    out, _ = command(capsys, "evaluate", "m", "t.csv", "--json")
    assert json.loads(out)["test"]["rmse"] == pytest.approx(found["train"]["rmse"])
    command(capsys, "check", "m", "t.csv")
    command(capsys, "explain", "m", "t.csv", "--row", "1", "--weight", "0.weight[0,39]")
    command(capsys, "export", "m", "--format", "onnx", "--out", "m.onnx")
    command(capsys, "export", "m", "--format", "numpy", "--out", "m.py")


def test_numbers_that_act_by_steps_are_embedded(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.linspace(-1.0, 1.0, 200)
    frame = pl.DataFrame({"x": x, "kind": ["a", "b"] * 100, "y": np.floor(4.0 * x) % 2.0})
    few = ["--task", "regression", "--epochs", "100", "--hidden", "16", "--learning-rate", "0.02"]
    frame.write_csv("t.csv")
    out, _ = command(capsys, "train", "t.csv", "--target", "y", "--out", "m", *few)
    assert "with cosines beside them (NumericEmbedding)" in out
    first = bl.load("m").network.layers[0]
    assert isinstance(first, bl.NumericEmbedding)
    assert (first.embedded, first.inputs, first.size) == (1, 3, 5 * EMBEDDED)
    out, _ = command(capsys, "evaluate", "m", "t.csv", "--json")
    assert json.loads(out)["test"]["r2"] > 0.6
    command(capsys, "check", "m", "t.csv", "--rows", "20")
    out, _ = command(capsys, "explain", "m", "t.csv", "--row", "1", "--weight", "0.frequency[0,79]")
    assert "0.frequency[0, 79]: where its gradient comes from" in out
    out, _ = command(capsys, "inspect", "t.csv", "--model", "m", "--json")
    effects = {column["name"]: column for column in json.loads(out)["effects"]["columns"]}
    assert effects["x"]["permuted"] > 10 * abs(effects["kind"]["permuted"])
    command(capsys, "export", "m", "--format", "onnx", "--out", "m.onnx")
    command(capsys, "export", "m", "--format", "numpy", "--out", "m.py")
    out, _ = command(capsys, "train", "t.csv", "--target", "y", "--preset", "fast", *few)
    assert "NumericEmbedding" not in out


def test_a_run_that_ends_early_keeps_networks_of_one_kind() -> None:
    def network(*first: bl.Layer, seed: int) -> bl.Network:
        return bl.Network([*first, bl.Dense(3, "relu"), bl.Dense(1)], inputs=1, seed=seed)

    waves = bl.NumericEmbedding(2, frequencies=3)
    frame = line()
    model = new_model(frame.drop("y"), {"x": "numeric"}, frame["y"].to_numpy(), "y", classes=None)
    kept: list[tuple[Any, ...]] = []

    def run(so_far: Any, net: bl.Network, X: Any, y: Any, **given: Any) -> bl.History:
        kept.append(tuple(layer.outputs for layer in so_far(bl.History()).network.layers))
        return bl.History()

    def kept_of(*networks: bl.Network) -> list[tuple[Any, ...]]:
        kept.clear()
        settings: Any = SimpleNamespace(keeping=SimpleNamespace(run=run), engine="reference", seconds=None)
        running = _running(settings, model)
        for net in networks:
            running.fit(net, np.zeros((2, 1)), np.zeros(2))
        return kept

    # the second one is tried, and is not of the kind of the first
    embedded = [network(waves, seed=seed) for seed in (1, 2, 3)]
    assert kept_of(network(seed=0), *embedded) == [(3, 1), (3, 1), (3, 3, 1), (5, 6, 1)]
    plain = [network(seed=seed) for seed in (1, 2)]
    assert kept_of(network(seed=0), embedded[0], *plain) == [(3, 1), (3, 1), (3, 1), (6, 1)]


def test_presets(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--epochs", "2", "--hidden", "4"]
    assert train(capsys, line(), *few, "--preset", "fast")["members"] == 1
    assert train(capsys, line(), *few, "--preset", "best")["members"] > 8
    assert train(capsys, line(), *few, "--preset", "fast", "--minutes", "0.01")["members"] > 1
    assert train(capsys, line(), *few, "--checkpoint", "c")["members"] == 1
    for words in (["--preset", "quick"], ["--minutes", "0"], ["--checkpoint", "c", "--minutes", "1"],
                  ["--checkpoint", "c", "--preset", "best"]):  # fmt: skip
        _, err = command(capsys, "train", "t.csv", "--target", "y", *words, code=2)
        assert words[-2] in err


def test_rows_that_are_held_out_are_learnt_from_by_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    found = train(capsys, line(), "--epochs", "2", "--hidden", "4", "--validation", "0.5")
    assert bl.load("m").errors.shape == (30,)
    assert set(found) >= {"train", "validation"}
    few = ["--epochs", "2", "--hidden", "4", "--validation", "0"]
    assert "validation" not in train(capsys, line(), *few)
    assert bl.load("m").errors.shape == (60,)
    assert train(capsys, line(), *few, "--preset", "fast")["best_epoch"] is None  # it learns from all rows
    assert bl.load("m").errors is None


def test_an_interval_holds_the_share_that_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, line(300), "--epochs", "40", "--hidden", "8")
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, 2000)
    y = 5.0 + 2.0 * x + 0.3 * rng.normal(size=2000)
    pl.DataFrame({"x": x}).write_csv("new.csv")
    for level in (0.5, 0.9):
        out, _ = command(capsys, "predict", "m", "new.csv", "--interval", str(level))
        found = pl.read_csv(io.StringIO(out))
        lower, upper = found["lower"].to_numpy(), found["upper"].to_numpy()
        assert found["prediction"].to_numpy() == pytest.approx((lower + upper) / 2, abs=1e-5)
        assert ((lower <= y) & (y <= upper)).mean() == pytest.approx(level, abs=0.07)


def model_of(errors: list[float] | None, classes: np.ndarray | None = None) -> TableModel:
    from backlit.data.preparation import Preparation

    preparation = Preparation.learn(pl.DataFrame({"x": [0.0, 1.0]}), {"x": "numeric"})
    net = bl.Network([bl.Dense(1)], inputs=1)
    return TableModel(net, preparation, "y", classes, errors=None if errors is None else np.array(errors))


def test_the_width_of_an_interval_is_the_conformal_one() -> None:
    model = model_of([1.0, 2.0, 3.0, 4.0])
    assert [model.half_width(level) for level in (0.1, 0.2, 0.21, 0.5, 0.8)] == [1.0, 1.0, 2.0, 3.0, 4.0]
    with pytest.raises(ConfigurationError, match="knows 4, enough for a level of"):
        model.half_width(0.81)
    with pytest.raises(ConfigurationError, match="knows none"):
        model_of(None).half_width(0.5)
    with pytest.raises(ConfigurationError, match="predicts classes"):
        model_of(None, np.array(["a", "b"])).half_width(0.5)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="between 0 and 1"):
            model.half_width(level)


def test_a_file_keeps_the_errors_and_refuses_damaged_ones() -> None:
    bl.save(model_of([0.5, 1.5]), "m")
    assert bl.load("m").errors.tolist() == [0.5, 1.5]
    bl.save(model_of(None), "m")
    assert bl.load("m").errors is None
    for wrong in ([2.0, 1.0], [-1.0, 0.0]):
        bl.save(model_of(wrong), "m")
        with pytest.raises(ModelFileError, match="ascending order"):
            bl.load("m")


def test_a_file_of_before_has_neither_clip_nor_errors() -> None:
    """Format 2 is this format without "clipped" and without errors."""
    model = model_of(None)
    model.preparation.numbers.clipped = False
    bl.save(model, "m")
    data = Path("m").read_bytes()
    old = data.replace(b'\\"clipped\\": false, ', b"", 1).replace(b'"format_version":"3"', b'"format_version":"2"', 1)
    assert len(old) < len(data)
    start = int.from_bytes(data[:8], "little") - (len(data) - len(old))
    pad = -start % 8
    header = old[8 : 8 + start] + b" " * pad
    Path("old").write_bytes((start + pad).to_bytes(8, "little") + header + old[8 + start :])
    assert not bl.load("old").preparation.numbers.clipped
    assert bl.load("old").predict(pl.DataFrame({"x": [3.0]})) == model.predict(pl.DataFrame({"x": [3.0]}))


# ── tables that are hardly any ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("preset", ["fast", "default", "best"])
@pytest.mark.parametrize("target", [["a", "b", "a", "b", "a"], [0.5, 1.5, 2.5, 3.5, 4.25], ["a", "b", "c", "d", "e"]])
def test_five_rows(capsys: pytest.CaptureFixture[str], preset: str, target: list[Any]) -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": target})
    train(capsys, frame, "--preset", preset, "--epochs", "3")
    assert command(capsys, "predict", "m", "t.csv")[0].count("\n") == 6


def test_two_rows(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, pl.DataFrame({"x": [1.0, 2.0], "y": [0.25, 0.5]}), "--epochs", "3")
    train(capsys, pl.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]}), "--epochs", "3")


def test_a_single_row_or_column_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"x": [1.0], "y": [0.5]}).write_csv("one.csv")
    _, err = command(capsys, "train", "one.csv", "--target", "y", code=2)
    assert "there is nothing to learn" in err
    pl.DataFrame({"y": [0.5, 1.5, 2.5]}).write_csv("column.csv")
    _, err = command(capsys, "train", "column.csv", "--target", "y", code=2)
    assert "no column to learn from besides the target" in err


def test_constant_columns(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"x": [3.0] * 30, "town": ["Oslo"] * 30, "y": ["a", "b", "a"] * 10})
    found = train(capsys, frame, "--epochs", "20")
    assert found["validation"]["accuracy"] == pytest.approx(2 / 3)


def test_a_class_of_a_single_row(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"x": np.arange(40.0) % 7, "y": ["a", "b"] * 19 + ["b", "alone"]})
    frame.write_csv("t.csv")
    _, err = command(capsys, "train", "t.csv", "--target", "y", "--epochs", "3", "--out", "m")
    assert "one class has too few rows to be measured, all are trained on: 'alone'" in err
    assert bl.load("m").classes.tolist() == ["a", "alone", "b"]


@pytest.mark.torture
def test_ten_thousand_classes(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"x": np.arange(20_000.0) % 89, "y": [f"k{i // 2}" for i in range(20_000)]})
    found = train(capsys, frame, "--epochs", "1", "--hidden", "2", "--preset", "fast")
    assert found["members"] == 1
    assert len(bl.load("m").classes) == 10_000


def test_the_same_seed_gives_the_same_file(capsys: pytest.CaptureFixture[str]) -> None:
    values = []
    for seed in ("7", "7", "8"):
        train(capsys, line(), "--epochs", "5", "--seed", seed)
        values.append(bl.load("m").network.parameters.values.copy())
    assert (values[0] == values[1]).all()
    assert not (values[0] == values[2]).all()
