"""`--stream` on the command line: train, evaluate and predict on files that stay on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.commands import ended, numbers, refused

import backlit as bl
from backlit.data import delimited
from backlit.data.streaming import reading

QUICK = ["--epochs", "4", "--hidden", "8", "--engine", "reference", "--learning-rate", "0.03"]
TRAIN = ["--target", "y", "--drop", "v", "--stream", *QUICK]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(delimited, "_FIRST_BYTES", 2_000)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 9_000)
    monkeypatch.setattr(reading, "_NUMBERS", 1_500)
    rng = np.random.default_rng(1)
    X = rng.normal(size=(900, 3)).round(3)
    frame = pl.DataFrame(
        {
            **{f"x{j}": X[:, j] for j in range(3)},
            "town": rng.choice(["Rome", "Oslo", "Bern"], 900),
            "y": np.where(X[:, 0] + X[:, 1] > 0, "up", "down"),
            "v": (X @ [1.0, 2.0, 3.0] + 50.0).round(3),
        }
    )
    frame.write_csv("whole.csv")
    for k in range(3):
        piece = frame[300 * k : 300 * (k + 1)]
        piece.write_csv(f"part-{k}.csv")
        piece.write_parquet(f"part-{k}.parquet")
    return tmp_path


def test_a_model_of_a_stream_is_one_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(capsys, "train", "part-*.csv", *TRAIN, "--out", "a.backlit")
    assert found["validation"]["accuracy"] > 0.9
    numbers(capsys, "train", "part-*.parquet", *TRAIN, "--out", "b.backlit", "--checkpoint", "run")
    assert Path("a.backlit").read_bytes() == Path("b.backlit").read_bytes()
    numbers(capsys, "train", "part-*.parquet", *TRAIN, "--out", "c.backlit", "--resume", "run")
    assert Path("a.backlit").read_bytes() == Path("c.backlit").read_bytes()
    assert not list(Path().glob(".backlit*"))

    model = bl.load("a.backlit")
    assert isinstance(model, bl.TableModel)
    whole = pl.read_csv("whole.csv")
    assert (model.predict(whole) == whole["y"].to_numpy()).mean() > 0.9

    ended(capsys, "predict", "a.backlit", "whole.csv", "--out", "1.csv")
    ended(capsys, "predict", "a.backlit", "part-*.parquet", "--stream", "--out", "2.csv")
    assert Path("1.csv").read_text() == Path("2.csv").read_text() == ended(
        capsys, "predict", "a.backlit", "whole.csv", "--stream")[0]  # fmt: skip

    in_memory = numbers(capsys, "evaluate", "a.backlit", "whole.csv")
    streamed = numbers(capsys, "evaluate", "a.backlit", "part-*.csv", "--stream")
    assert in_memory["test"].pop("confusion") == streamed["test"].pop("confusion")
    assert in_memory["rows"] == streamed["rows"] == 900
    assert streamed["test"] == pytest.approx(in_memory["test"], abs=2e-4)


def test_a_regression_knows_its_errors_and_its_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "whole.csv", "--target", "v", "--drop", "y", "--stream", "--epochs", "30", "--hidden", "16"]
    out, _ = ended(capsys, *arguments, "--validation", "0.2", "--engine", "reference")
    assert "(baseline)" in out
    assert "read from disk" in out
    in_memory = numbers(capsys, "evaluate", "model.backlit", "whole.csv")["test"]
    assert numbers(capsys, "evaluate", "model.backlit", "whole.csv", "--stream")["test"] == pytest.approx(in_memory)
    assert in_memory["r2"] > 0.9
    table = ended(capsys, "predict", "model.backlit", "part-0.csv", "--stream", "--interval", "0.9")[0]
    assert table.splitlines()[0] == "prediction,lower,upper"
    assert table == ended(capsys, "predict", "model.backlit", "part-0.csv", "--interval", "0.9")[0]
    found = numbers(capsys, *arguments, "--validation", "part-1.csv", "--engine", "reference")
    assert found["validation"]["r2"] > 0.9


def test_rows_without_a_target_and_a_rare_class(capsys: pytest.CaptureFixture[str]) -> None:
    whole = pl.read_csv("whole.csv", infer_schema=False)
    rare = whole.with_columns(
        y=pl.when(pl.col("x0").cast(pl.Float64) > 1.7).then(pl.lit("rare")).otherwise(pl.lit("often"))
    )
    rare = rare.with_columns(y=pl.when(pl.int_range(pl.len()) % 10 == 3).then(None).otherwise("y"))
    rare.write_csv("r.csv")
    _, err = ended(capsys, "train", "r.csv", *TRAIN, "--class-weight", "balanced")
    assert "90 of 900 rows have no target ('y') and are left out" in err
    in_memory = numbers(capsys, "evaluate", "model.backlit", "r.csv")["test"]
    out, err = ended(capsys, "evaluate", "model.backlit", "r.csv", "--stream")
    assert "90 of 900 rows have no target" in err
    assert "│ rare " in out
    streamed = numbers(capsys, "evaluate", "model.backlit", "r.csv", "--stream")["test"]
    assert streamed.pop("confusion") == in_memory.pop("confusion")
    assert streamed == pytest.approx(in_memory, abs=1e-3)


def test_later_files_as_people_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    ended(capsys, "train", "whole.csv", *TRAIN)
    lines = Path("part-2.csv").read_text().splitlines()
    Path("bare.csv").write_text("\n".join(lines[1:]) + "\n")
    whole = numbers(capsys, "evaluate", "model.backlit", "part-2.csv")["test"]
    turned = pl.read_csv("part-2.csv").select("v", "town", "y", "x2", "x1", "x0")
    turned.write_csv("turned.csv")
    for arguments in (["bare.csv"], ["bare.csv", "--no-header"], ["part-2.csv", "--no-header"], ["turned.csv"]):
        found = numbers(capsys, "evaluate", "model.backlit", *arguments, "--stream")["test"]
        assert found["confusion"] == whole["confusion"]
        assert found["loss"] == pytest.approx(whole["loss"])
    strange = pl.read_csv("part-2.csv").with_columns(town=pl.lit("Paris"), x0=pl.col("x0") + 100)
    strange.write_csv("strange.csv")
    errs = [ended(capsys, "predict", "model.backlit", "strange.csv", *more, "--out", "p.csv")[1]
            for more in ([], ["--stream"])]  # fmt: skip
    assert errs[0] == errs[1]
    assert "never seen in training, such as 'Paris'" in errs[1]
    assert "'x0' holds" in errs[1]


def test_what_is_wrong_is_one_line_that_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    ended(capsys, "train", "whole.csv", *TRAIN)
    model = Path("model.backlit").read_bytes()
    Path("p.csv").write_text("old")
    text = Path("part-2.csv").read_text()
    Path("part-2.csv").write_text(text.replace("up", "Up.", 1))
    err = refused(capsys, "evaluate", "model.backlit", "part-*.csv", "--stream")
    assert "part-2.csv: row" in err
    assert "differs from 'up' only by case, blanks or a full stop: pass --loose-labels" in err
    numbers(capsys, "evaluate", "model.backlit", "part-*.csv", "--stream", "--loose-labels")
    Path("part-2.csv").write_text(text + "1,2\n")
    for arguments in (["predict", "model.backlit", "part-*.csv", "--stream", "--out", "p.csv"],
                      ["predict", "model.backlit", "part-*.csv", "--stream"],
                      ["train", "part-*.csv", *TRAIN]):  # fmt: skip
        assert "part-2.csv: line 302 has 2 fields" in refused(capsys, *arguments)
    assert Path("p.csv").read_text() == "old"
    assert Path("model.backlit").read_bytes() == model
    Path("part-2.csv").write_text(text.replace("town", "city"))
    assert "part-2.csv has other columns" in refused(capsys, "predict", "model.backlit", "part-*.csv", "--stream")
    assert "no file fits" in refused(capsys, "predict", "model.backlit", "nix-*.csv", "--stream")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["whole.csv", "--stream"], "--target must name the column to predict"),
        (["whole.csv", "--stream", "--target", "y", "--preset", "best"], "--stream trains one network"),
        (["whole.csv", "--stream", "--target", "y", "--minutes", "1"], "--stream trains one network"),
        (["whole.csv", "--target", "y", "--scratch", "."], "give --stream too"),
        (["whole.csv", "--stream", "--target", "y", "--scratch", "nowhere"], "name another folder (--scratch)"),
        (["part-*.csv", "--stream", "--target", "y", "--out", "part-1.csv"], "is the file 'part-1.csv' that is read"),
        (["whole.csv", "--stream", "--target", "v", "--class-weight", "balanced"], "--class-weight is for classes"),
        (["whole.csv", "--stream", "--target", "y", "--drop", "x0", "--drop", "x1", "--drop", "x2", "--drop", "town",
          "--drop", "v"], "no column to learn from"),
        ([".", "--stream", "--target", "y"], "files of two kinds"),
    ],
)  # fmt: skip
def test_options_that_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert words in refused(capsys, "train", *arguments)


def test_images_are_read_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(600) % 3
    X = rng.integers(0, 80, (600, 30), np.uint8)
    X[np.arange(600), y * 10] += 150
    np.savez("i.npz", X=X, y=y)
    arguments = ["train", "i.npz", *QUICK]
    found = numbers(capsys, *arguments, "--stream")
    assert found["validation"]["accuracy"] > 0.9
    in_memory = numbers(capsys, "evaluate", "model.backlit", "i.npz")["test"]
    assert numbers(capsys, "evaluate", "model.backlit", "i.npz", "--stream")["test"] == pytest.approx(in_memory)
    streamed = ended(capsys, "predict", "model.backlit", "i.npz", "--stream")[0]
    assert streamed == ended(capsys, "predict", "model.backlit", "i.npz")[0]
    numbers(capsys, *arguments, "--stream", "--validation", "i.npz", "--out", "second.backlit")
    err = refused(capsys, "predict", "model.backlit", "i.npz", "--stream", "--interval", "0.9")
    assert "--interval is for values" in err


#: A small process between: what the kernel counts of a child begins with the memory of the one that started it.
LARGEST = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr); \
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


@pytest.mark.torture
def test_memory_does_not_grow_with_the_table() -> None:
    rng = np.random.default_rng(0)
    peaks = []
    for millions in (3.0, 6.0):  # the first fills the windows: 264 MB when prepared
        with Path("big.csv").open("wb") as file:
            for k in range(int(2 * millions)):
                frame = pl.DataFrame({f"x{j}": rng.normal(size=500_000).round(4) for j in range(20)})
                frame.with_columns(y=(pl.col("x0") > 0).cast(pl.Int64)).write_csv(file, include_header=k == 0)
        command = [sys.executable, "-m", "backlit", "train", "big.csv", "--target", "y", "--stream", "--epochs", "1"]
        done = subprocess.run([sys.executable, "-c", LARGEST, *command], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 800
