"""Rows that stay on disk: the same order, the same preparation and the same bits as in memory."""

from __future__ import annotations

import datetime
import gzip
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import backlit as bl
from backlit.data import delimited, read_table
from backlit.data.choosing import choose_columns
from backlit.data.measures import classification_measures, confusion, rare_class_measures, regression_measures
from backlit.data.preparation import Preparation
from backlit.data.streaming import Stream, images, reading, sketch, spool, stream
from backlit.data.streaming.facts import Counts
from backlit.data.streaming.holding import HELD, HeldOut
from backlit.data.streaming.measures import ClassMeasures, ValueMeasures
from backlit.data.streaming.order import Order
from backlit.data.streaming.places import find_parts
from backlit.data.targets import target_column
from backlit.training.evaluation import evaluate
from backlit.training.job import order_of_rows

SMALL = 2**13  # bytes of a window: many windows of small tables


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some lines each, as if the files were large."""
    monkeypatch.setattr(delimited, "_FIRST_BYTES", 2_000)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 12_000)
    monkeypatch.setattr(reading, "_NUMBERS", 2_000)


def table(n: int = 500) -> pl.DataFrame:
    """Columns of every kind, some of which look like another kind for many rows."""
    rng = np.random.default_rng(1)
    start = datetime.datetime(2020, 1, 1)
    days = [start + datetime.timedelta(days=int(k)) for k in rng.integers(0, 900, n)]
    return pl.DataFrame(
        {
            "id": np.arange(n),
            "a": rng.normal(size=n).round(3),
            "b": rng.integers(0, 9, n),
            "town": rng.choice(["Rome", "Oslo", "New York"], n),
            "zip": [f"{i:05d}" for i in rng.integers(0, 300, n)],
            "day": [f"{day:%Y-%m-%d}" for day in days],
            "moment": [str(start + datetime.timedelta(seconds=int(k))) for k in rng.integers(0, 9_000_000, n)],
            "either": [f"{day.day if i > n // 2 else day.day % 12 + 1}/{day.month}/2021" for i, day in enumerate(days)],
            "money": [f"${value:.2f}" for value in rng.uniform(5, 100, n)],
            "text late": [str(i % 7) if i < n - 100 else "x" for i in range(n)],
            "money late": [str(i % 7) if i < n - 100 else "$5" for i in range(n)],
            "words": [f"word {i}" for i in range(n)],
            "empty": [None] * n,
            "late": [None if i < 200 or i % 5 == 0 else float(i) for i in range(n)],
            "y": [None if i % 50 == 7 else ["yes", "no", "maybe"][i % 3] for i in range(n)],
        },
        schema_overrides={"empty": pl.String},
    )


def in_parts(frame: pl.DataFrame, folder: Path, suffix: str, cuts: tuple[int, ...] = (300, 310)) -> str:
    """The table in files whose names count; the pattern that they fit."""
    ends = [0, *cuts, frame.height]
    for k, (begin, end) in enumerate(itertools.pairwise(ends)):
        piece, path = frame[begin:end], folder / f"part-{9 + k}.{suffix}"
        piece.write_parquet(path) if suffix == "parquet" else piece.write_csv(path)
    return str(folder / f"part-*.{suffix}")


def network(inputs: int, outputs: int = 3, seed: int = 3, **settings: Any) -> bl.Network:
    layers = [bl.Dense(8, "relu"), bl.Dropout(0.1), bl.Dense(outputs, "softmax")]
    return bl.Network(layers, inputs=inputs, loss="cross_entropy", seed=seed, **settings)


def trained(net: bl.Network, *data: Any, **settings: Any) -> np.ndarray[Any, Any]:
    given: dict[str, Any] = {"epochs": 2, "optimizer": bl.Adam(0.01), "progress": False, "engine": "reference"}
    bl.fit(net, *data, **{**given, **settings})
    return net.parameters.values.copy()


# ── order, medians, rows held out ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("rows", "block", "window"), [(1, 4, 2), (103, 4, 5), (104, 4, 5), (64, 16, 64), (97, 1, 3)])
def test_an_order_holds_every_row_once_and_is_cut_alike(rows: int, block: int, window: int) -> None:
    order = Order(rows, block, window, epoch=2, seed=5)
    whole = order[:]
    assert sorted(whole.tolist()) == list(range(rows))
    assert len(order) == rows
    for start in range(0, rows, 7):
        assert order[start : start + 7].tolist() == whole[start : start + 7].tolist()
    assert Order(rows, block, window, epoch=2, seed=None)[:].tolist() == list(range(rows))
    assert order[rows:].size == 0


def test_rows_of_a_window_come_together_in_an_order_of_their_own() -> None:
    order = Order(1000, 10, 5, epoch=0, seed=1)
    first = order[:50]
    assert len(set((first // 10).tolist())) == 5  # five blocks, mixed
    assert first.tolist() != sorted(first.tolist())
    assert Order(1000, 10, 5, epoch=1, seed=1)[:50].tolist() != first.tolist()
    assert Order(1000, 10, 5, epoch=0, seed=2)[:50].tolist() != first.tolist()
    assert Order(1000, 10, 5, epoch=0, seed=1)[:50].tolist() == first.tolist()


def test_one_window_has_the_order_of_rows_in_memory() -> None:
    assert Order(500, 10, 50, epoch=3, seed=8)[:].tolist() == order_of_rows(500, 32, 3, 8).tolist()


@pytest.mark.parametrize("kind", ["drawn", "rising", "falling", "ties", "two humps"])
def test_the_median_is_wrong_by_no_more_ranks_than_it_says(kind: str) -> None:
    rng = np.random.default_rng(4)
    n = 60_001
    x = {
        "drawn": rng.normal(size=n),
        "rising": np.arange(n, dtype=float),
        "falling": -np.arange(n, dtype=float),
        "ties": rng.integers(0, 5, n).astype(float),
        "two humps": np.where(rng.random(n) < 0.5, -10.0, 10.0) + rng.normal(size=n),
    }[kind]
    found = sketch.Quantiles(256)
    for piece in np.array_split(x, 37):
        found.add(piece)
    median, middle = found.median(), (n - 1) // 2
    below, above = int((x < median).sum()), int((x <= median).sum())
    assert below - found.error <= middle <= above + found.error
    assert 0 < found.error <= n * np.log2(n / 256) / (2 * 256) + 2**10
    if kind == "drawn":  # what is forgotten below and above evens out
        assert abs(below - middle) <= found.error / 3
    whole = sketch.Quantiles(256)
    whole.add(x)
    assert (whole.median(), whole.error) == (median, found.error)  # wherever the pieces end


def test_few_numbers_have_their_exact_median() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 255, 300):
        x = rng.normal(size=n)
        found = sketch.Quantiles(512)
        for piece in np.array_split(x, 3):
            found.add(piece)
        assert found.median() == np.median(x)
        assert found.error == 0
    assert sketch.Quantiles().median() == 0.0


def test_rows_are_held_out_by_their_numbers() -> None:
    held = HeldOut(0.2, seed=3, watched=0.5)
    whole = held.purpose(0, 200_000)
    assert np.bincount(whole, minlength=3) / 200_000 == pytest.approx([0.4, 0.4, 0.2], abs=0.01)
    for start, stop in ((0, 1), (65_535, 65_537), (100, 140_000), (5, 5)):
        assert held.purpose(start, stop).tolist() == whole[start:stop].tolist()
    assert (HeldOut(0.2, seed=4).purpose(0, 1000) != HeldOut(0.2, seed=3).purpose(0, 1000)).any()
    # who is held out does not hang on who is watched
    assert ((whole == HELD) == (HeldOut(0.2, seed=3).purpose(0, 200_000) == HELD)).all()


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.usefixtures("small_blocks")
def test_a_table_in_pieces_is_read_as_a_whole_one(tmp_path: Path, suffix: str) -> None:
    frame = table()
    frame.write_csv(tmp_path / "whole.csv")
    rows = stream(in_parts(frame, tmp_path, suffix), target="y")
    whole = read_table(tmp_path / "whole.csv")
    y, _, keep, told = target_column(whole, "y")
    features = whole.drop("y").filter(keep)
    kinds, left_out, remarks = choose_columns(features)
    learnt, found = Preparation.learn(features, kinds), rows.preparation
    assert found is not None
    assert rows.about is not None
    assert rows.classes is not None
    assert found.kinds == kinds
    assert rows.about.left_out == left_out
    assert set(rows.about.remarks) == {*told, *remarks}
    assert found.categories == learnt.categories
    assert rows.classes.tolist() == np.unique(y).tolist()
    for one, other in zip([found.numbers, *(d.parts for d in found.dates)],
                          [learnt.numbers, *(d.parts for d in learnt.dates)], strict=True):  # fmt: skip
        assert one.names == other.names
        for what in ("median", "mean", "scale", "low", "high"):
            assert getattr(one, what) == pytest.approx(getattr(other, what), rel=1e-12, abs=1e-9)
    assert [(d.form, d.first, d.clock) for d in found.dates] == [(d.form, d.first, d.clock) for d in learnt.dates]
    X = np.concatenate([piece.copy() for piece, _ in rows.pieces()])
    assert np.array_equal(X, found.apply(features, None, "float32"))
    assert np.array_equal(trained(network(rows.shape[1]), rows), trained(network(rows.shape[1]), X, y))


@pytest.mark.usefixtures("small_blocks")
def test_what_is_learnt_does_not_hang_on_files_and_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = table(500).select("a", "town", "moment", "money late", "late", "y")
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    first = stream(in_parts(frame, one, "csv"), target="y", validation=0.3, window=SMALL)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 19_000)
    monkeypatch.setattr(spool, "_ROOM", 1e30)  # no room for the columns of the text: it is read twice
    second = stream(in_parts(frame, other, "parquet", (5, 490)), target="y", validation=0.3, window=SMALL)
    third = stream(in_parts(frame, other, "csv", (50,)), target="y", validation=0.3, window=SMALL)
    for rows in (second, third):
        assert rows.held is not None
        assert first.held is not None
        assert rows.shape == first.shape
        for a, b in ((first, rows), (first.held, rows.held)):
            for (X, y), (X2, y2) in zip(a.pieces(), b.pieces(), strict=True):
                assert np.array_equal(X, X2)
                assert np.array_equal(y, y2)


def test_what_is_held_out_is_not_learnt_from(tmp_path: Path) -> None:
    held = HeldOut(0.3, seed=0).purpose(0, 400) == HELD
    frame = pl.DataFrame({"a": np.where(held, 1e6, np.arange(400.0) % 7), "t": np.where(held, "out", "in"),
                          "y": np.where(held, 1e9, np.arange(400.0) % 5)})  # fmt: skip
    frame.write_csv(tmp_path / "t.csv")
    rows = stream(tmp_path / "t.csv", target="y", validation=0.3, task="regression")
    assert rows.preparation is not None
    assert rows.held is not None
    assert rows.preparation.numbers.high[0] == 6.0
    assert rows.preparation.categories[0].frequent == ["in"]
    assert rows.mean == pytest.approx(2.0, abs=0.2)
    assert len(rows) == (~held).sum()
    assert len(rows.held) == held.sum()


def test_a_column_with_too_many_texts_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counts.__init__, "__defaults__", (50,))
    frame = pl.DataFrame({"a": np.arange(200.0) % 9, "t": [f"{i % 60} kg" for i in range(200)],
                          "y": np.arange(200) % 2})  # fmt: skip
    frame.write_csv(tmp_path / "t.csv")
    rows = stream(tmp_path / "t.csv", target="y")
    assert rows.about is not None
    assert "more than" in rows.about.left_out["t"]
    with pytest.raises(bl.BacklitError, match=r"'t' cannot be learnt from.*--drop 't'"):
        stream(tmp_path / "t.csv", target="y", keep=["t"])
    with pytest.raises(bl.BacklitError, match=r"the target 't' cannot be learnt as classes"):
        stream(tmp_path / "t.csv", target="t")


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────


def arrays(rows: Stream) -> tuple[Any, Any]:
    """The rows of a stream in memory, as they lie on disk."""
    pieces = [(X.copy(), y.copy()) for X, y in rows.pieces()]
    return np.concatenate([X for X, _ in pieces]), np.concatenate([y for _, y in pieces])


@pytest.fixture
def many_windows(tmp_path: Path) -> Stream:
    table(2600).select("a", "b", "town", "late", "y").write_csv(tmp_path / "t.csv")
    return stream(tmp_path / "t.csv", target="y", window=SMALL)


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_both_engines_leave_the_bits_that_memory_leaves(many_windows: Stream, engine: str) -> None:
    rows = many_windows
    X, y = arrays(rows)
    source = rows.bound(network(X.shape[1]))[0]
    order = source.order(0, 3)
    assert order.windows > 2
    for batch_size in (16, 33, 1100, None):
        how = {"engine": engine, "batch_size": batch_size}
        as_it_stands = trained(network(X.shape[1]), rows, shuffle=False, **how)
        assert np.array_equal(as_it_stands, trained(network(X.shape[1]), X, y, shuffle=False, **how))
    shuffled = trained(network(X.shape[1]), rows, engine=engine, batch_size=33, epochs=1)
    by_hand = X[order[:]], y[order[:]]
    same = trained(network(X.shape[1]), *by_hand, engine=engine, batch_size=33, epochs=1, shuffle=False)
    assert np.array_equal(shuffled, same)


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_classes_that_weigh_the_same(tmp_path: Path, engine: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=900)
    pl.DataFrame({"a": a, "y": np.where(a > 1.0, "rare", "often")}).write_csv(tmp_path / "t.csv")
    rows = stream(tmp_path / "t.csv", target="y", window=2**12, class_weight="balanced")
    X, y = arrays(rows)
    counts = np.bincount(y)
    weight = (len(y) / (2 * counts))[y]
    found = trained(network(1, 2), rows, engine=engine, shuffle=False)
    assert np.array_equal(found, trained(network(1, 2), X, y, engine=engine, shuffle=False, sample_weight=weight))
    assert not np.array_equal(found, trained(network(1, 2), X, y, engine=engine, shuffle=False))


def test_a_run_on_a_stream_goes_on_with_the_same_bits(many_windows: Stream, tmp_path: Path) -> None:
    class Stop(bl.Callback):
        every_steps = 50

        def on_steps_end(self, training: bl.callbacks.Training, done: int, total: int) -> None:  # type: ignore[name-defined]
            if training.job is not None and training.job.state.step == 100:
                raise RuntimeError

    path = tmp_path / "run"
    unbroken = trained(network(many_windows.shape[1]), many_windows)
    with pytest.raises(RuntimeError):
        trained(network(many_windows.shape[1]), many_windows, callbacks=[bl.Checkpoint(path, every_steps=50), Stop()])
    assert np.array_equal(trained(network(many_windows.shape[1]), many_windows, resume=path), unbroken)
    other = stream(Path(path.parent, "t.csv"), target="y", window=SMALL, drop=["a"])
    with pytest.raises(bl.BacklitError, match="of another run"):
        trained(network(other.shape[1]), other, resume=path)


def test_a_stream_is_measured_as_arrays_are(many_windows: Stream, tmp_path: Path) -> None:
    X, y = arrays(many_windows)
    net = network(X.shape[1])
    trained(net, X, y)
    Y = np.eye(3, dtype=np.float32)[y]
    source, targets, _ = many_windows.bound(net)
    assert evaluate(net, source, targets) == pytest.approx(evaluate(net, X, Y))
    history = bl.fit(net, many_windows, epochs=1, validation=many_windows, callbacks=[bl.HealthMonitor()],
                     optimizer=bl.Adam(), progress=False)  # fmt: skip
    assert history["val_loss"][0] == pytest.approx(net.loss(X, Y))
    pl.DataFrame({"a": X[:, 0], "v": X[:, 0] * 3 + 100}).write_csv(tmp_path / "v.csv")
    values = stream(tmp_path / "v.csv", target="v", window=SMALL)
    line = bl.Network([bl.Dense(1)], inputs=1)
    bl.fit(line, values, epochs=3, optimizer=bl.LBFGS(), progress=False)
    X, v = arrays(values)
    found = evaluate(line, *values.bound(line)[:2])
    Y = ((v - values.mean) / values.scale).astype(np.float32)[:, None]
    assert found == pytest.approx(evaluate(line, X, Y))
    assert found["r2"] > 0.9


def test_shares_are_no_classes_although_the_first_ones_are_0_and_1(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 2)).astype(np.float32)
    y = (X[:, 0] > 0).astype(float)
    y[-1] = 0.3
    np.savez(tmp_path / "a.npz", X=X, y=y)
    rows = stream(tmp_path / "a.npz", window=SMALL)
    net = bl.Network([bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
    found = evaluate(net, *rows.bound(net)[:2])
    assert found == pytest.approx(evaluate(net, X, y.astype(np.float32)[:, None]))
    assert sorted(found) == ["loss", "r2", "rmse"]


def test_what_a_stream_cannot_be_given_with(many_windows: Stream) -> None:
    net = network(many_windows.shape[1])
    with pytest.raises(bl.BacklitError, match="leave out y and sample_weight"):
        bl.fit(net, many_windows, np.zeros(3))
    with pytest.raises(bl.BacklitError, match="y is missing"):
        bl.fit(net, np.zeros((3, many_windows.shape[1])))
    with pytest.raises(bl.BacklitError, match=r"inputs=stream\.shape"):
        bl.fit(network(2), many_windows)
    with pytest.raises(bl.BacklitError, match="has 3 classes, and the network 5 outputs"):
        bl.fit(network(many_windows.shape[1], 5), many_windows)
    with pytest.raises(bl.BacklitError, match="a Recorder keeps the rows"):
        bl.fit(net, many_windows, callbacks=[bl.Recorder()])


def test_measures_in_pieces_are_those_of_arrays() -> None:
    rng = np.random.default_rng(2)
    p = rng.random((3000, 1)) ** 3
    probability, index = np.hstack([1 - p, p]), (rng.random(3000) < p[:, 0]).astype(int)
    measures = ClassMeasures(2)
    for rows in np.array_split(np.arange(3000), 7):
        measures.add(probability[rows], index[rows])
    whole = {**classification_measures(probability, index), **rare_class_measures(probability, index)}
    found = measures.in_full()
    assert found.pop("confusion") == confusion(probability, index)
    assert found == pytest.approx(whole, abs=2e-4)
    values, predicted = rng.normal(size=500) + 40, rng.normal(size=500) + 40
    by_piece = ValueMeasures()
    for rows in np.array_split(np.arange(500), 4):
        by_piece.add(predicted[rows], values[rows])
    assert by_piece.in_short() == pytest.approx(regression_measures(predicted, values))


# ── arrays ───────────────────────────────────────────────────────────────────────────────────────────────────


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("form", ["npz", "packed npz", "npy", "idx", "idx.gz"])
def test_arrays_are_read_in_place(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (900, 5, 4), np.uint8), rng.integers(0, 3, 900, np.uint8)
    path, labels = tmp_path / f"X.{form}", None
    if "npz" in form:
        path = tmp_path / "a.npz"
        (np.savez if form == "npz" else np.savez_compressed)(path, X=X, y=y)
    else:
        labels = tmp_path / f"y.{form}"
        for where, array in ((path, X), (labels, y)):
            if form == "npy":
                np.save(where, array)
            else:
                where.write_bytes(idx(array) if form == "idx" else gzip.compress(idx(array)))
    rows = stream(path, labels, validation=0.2, window=SMALL)
    assert rows.held is not None
    assert len(rows) + len(rows.held) == 900
    there = HeldOut(0.2, 0).purpose(0, 900) != HELD
    X2, codes = arrays(rows)
    assert X2.dtype == np.uint8
    assert np.array_equal(X2, X[there].reshape(-1, 20))
    assert np.array_equal(codes, y[there])
    net, other = (network(20, input_scale=1 / 255) for _ in range(2))
    found = trained(net, rows, shuffle=False, validation=rows.held)
    assert np.array_equal(found, trained(other, X[there].reshape(-1, 20), y[there], shuffle=False))


def test_arrays_that_are_refused(tmp_path: Path) -> None:
    X, y = np.zeros((6, 4)), np.arange(6) % 2

    def saved(**given: Any) -> Path:
        np.savez(tmp_path / "a.npz", **{"X": X, "y": y, **given})
        return tmp_path / "a.npz"

    bad = X.copy()
    bad[3, 1] = np.nan
    for words, given in {
        "holds nan in row 4, column c1": {"X": bad},
        "column by column": {"X": np.asfortranarray(X)},
        "as many rows, received 6 and 5": {"y": y[:5]},
        "only one label": {"y": np.zeros(6, int)},
        "must hold numbers": {"X": np.full((6, 2), "a")},
        "one label or value a row": {"y": np.zeros((6, 2), int)},
    }.items():
        with pytest.raises(bl.BacklitError, match=words):
            stream(saved(**given))
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(bl.BacklitError, match="has no targets: give y"):
        stream(tmp_path / "X.npy")
    whole = (tmp_path / "X.npy").read_bytes()
    (tmp_path / "X.npy").write_bytes(whole[:-20])
    np.save(tmp_path / "y.npy", y)
    with pytest.raises(bl.BacklitError, match=r"X\.npy is cut short"):
        stream(tmp_path / "X.npy", tmp_path / "y.npy")


def test_an_array_that_changes_while_it_is_trained_on(tmp_path: Path) -> None:
    X = np.arange(8000.0).reshape(2000, 4)
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(2000) % 2)
    rows = stream(tmp_path / "a.npz", window=SMALL)
    os.utime(tmp_path / "a.npz", ns=(1, 1))
    with pytest.raises(bl.BacklitError, match=r"a\.npz has changed while the stream was read"):
        trained(network(4, 2), rows)
    (tmp_path / "a.npz").unlink()
    with pytest.raises(bl.BacklitError, match=r"a\.npz has gone while the stream was read"):
        trained(network(4, 2), rows)


# ── files that cannot be used ────────────────────────────────────────────────────────────────────────────────


def parts_with(folder: Path, last: str | bytes) -> str:
    (folder / "part-1.csv").write_text(
        "a,b,y\n" + "".join(f"{i},{i % 3},{'no' if i % 2 else 'yes'}\n" for i in range(50))
    )
    (folder / "part-2.csv").write_bytes(last.encode() if isinstance(last, str) else last)
    return str(folder / "part-*.csv")


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("", r"part-2\.csv is empty"),
        ("a,b,y\n", r"part-2\.csv has a header and no rows"),
        ("a,y\n1,yes\n", r"part-2\.csv has other columns than .*part-1\.csv: it lacks 'b'"),
        ("a,b,c,y\n1,2,3,yes\n", r"part-2\.csv has other columns than .*part-1\.csv: it has 'c' besides"),
        ("a;b;y\n1;2;yes\n", r"part-2\.csv has other columns than .*part-1\.csv"),
        ("a,b,y\n1,2\n", r"part-2\.csv: line 2 has 2 fields where the first row has 3"),
        (b"a,b,y\n1,\xff,yes\n", r"part-2\.csv is not UTF-8 text"),
        ("a,b,y\n1,2,yes\ninf,2,no\n", r"part-2\.csv: column 'a' holds an infinity \(inf\) in row 2"),
        ("a,b,y\n1,2,yes\n" + "q,2,no\n", r"column 'a' is mostly numbers, but row 2 of .*part-2\.csv holds 'q'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, last: str | bytes, words: str) -> None:
    with pytest.raises(bl.BacklitError, match=words) as error:
        stream(parts_with(tmp_path, last), target="y")
    assert "\n" not in str(error.value)


def test_a_class_and_a_category_may_come_late(tmp_path: Path) -> None:
    pattern = parts_with(tmp_path, "b,y,a\nlow,perhaps,3\nhigh,no,4\n")
    rows = stream(pattern, target="y", categorical=["b"])
    assert rows.classes is not None
    assert rows.classes.tolist() == ["no", "perhaps", "yes"]
    assert rows.preparation is not None
    assert rows.preparation.categories[0].frequent == ["0", "1", "2", "high", "low"]
    assert arrays(rows)[0][-1].tolist()[1:] == [0.0, 0.0, 0.0, 1.0, 0.0]  # by their names, wherever they stand


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    in_parts(table(400).select("a", "b", "y"), tmp_path, "parquet")
    raw = (tmp_path / "part-10.parquet").read_bytes()
    (tmp_path / "part-10.parquet").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(bl.BacklitError, match=r"part-10\.parquet is not a Parquet file, or is damaged"):
        stream(tmp_path, target="y")


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_goes_or_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool) -> None:
    pattern = parts_with(tmp_path, "a,b,y\n1,2,yes\n")
    read = reading.delimited_blocks

    def disturbed(path: Path, form: Any) -> Iterator[Any]:
        if path.name == "part-1.csv":
            place = path.with_name("part-2.csv")
            place.unlink() if gone else place.write_text("a,b,y\n1,2,yes\n3,4,no\n")
        return read(path, form)

    monkeypatch.setattr(reading, "delimited_blocks", disturbed)
    words = "has gone" if gone else "has changed"
    with pytest.raises(bl.BacklitError, match=rf"part-2\.csv {words} while the stream was read"):
        stream(pattern, target="y")


def test_which_files_are_meant(tmp_path: Path) -> None:
    with pytest.raises(bl.BacklitError, match="no file fits the pattern"):
        find_parts(tmp_path / "part-*.csv")
    with pytest.raises(bl.BacklitError, match="there is no file or folder"):
        find_parts(tmp_path / "part.csv")
    with pytest.raises(bl.BacklitError, match="holds no file of a kind"):
        find_parts(tmp_path)
    for name in ("b2.csv", "b10.csv", "_SUCCESS", ".hidden.csv", "notes.md"):
        (tmp_path / name).write_text("a\n1\n")
    assert [part.path.name for part in find_parts(tmp_path)] == ["b2.csv", "b10.csv"]
    (tmp_path / "c.parquet").write_text("")
    with pytest.raises(bl.BacklitError, match="files of two kinds"):
        find_parts(tmp_path)
    with pytest.raises(bl.BacklitError, match="cannot be read in pieces"):
        find_parts(tmp_path / "notes.md")
    strange = tmp_path / "a[1].csv"
    strange.write_text("a\n1\n")
    assert [part.path for part in find_parts(strange)] == [strange]


def test_where_prepared_rows_have_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = parts_with(tmp_path, "a,b,y\n1,2,yes\n")
    with pytest.raises(bl.BacklitError, match="name another folder"):
        stream(pattern, target="y", scratch=tmp_path / "nowhere")
    full = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: full)
    with pytest.raises(bl.BacklitError, match=r"the prepared rows take 0\.0 GB, and .* has 0\.0 GB free"):
        stream(pattern, target="y")


def test_arguments_that_do_not_go_together(tmp_path: Path) -> None:
    pattern = parts_with(tmp_path, "a,b,y\n1,2,yes\n")
    for words, given in {
        "target= must name the column": {},
        "name target= if its files are tables": {"path": tmp_path},
        "give one": {"target": "y", "y": "y.npy"},
        "class_weight is for classes": {"target": "a", "task": "regression", "class_weight": "balanced"},
        "no column to learn from": {"target": "y", "drop": ["a", "b"]},
        "is to be dropped and to be used": {"target": "y", "drop": ["a"], "keep": ["a"]},
        "there is no column 'z'": {"target": "z"},
    }.items():
        with pytest.raises(bl.BacklitError, match=words):
            stream(**{"path": pattern, **given})
    assert images.is_array(tmp_path / "part-1.csv") is False
