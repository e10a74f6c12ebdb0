"""The first minutes with a table: what is read, remarked on, left out and measured."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.commands import ended, numbers, refused

import backlit as bl
from backlit.cli import run
from backlit.data.measures import rare_class_measures
from backlit.data.preparation import Preparation
from backlit.data.split import split_rows

QUICK = ["--epochs", "40", "--learning-rate", "0.02", "--hidden", "8"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, columns: dict[str, Any]) -> str:
    with open(name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return name


def noise(n: int = 120, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).round(3)
    return {"x": x, "z": rng.normal(size=n).round(3), "y": np.where(x > 0, "up", "down")}


# ── the same rows in another format ──────────────────────────────────────────────────────────────────────────


def test_booleans_of_csv_and_parquet_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    flag = rng.random(200) < 0.5
    frame = pl.DataFrame({"x": rng.normal(size=200), "flag": flag, "y": np.where(flag, "a", "b")})
    frame.write_parquet("t.parquet")
    write("t.csv", {"x": frame["x"], "flag": flag.tolist(), "y": frame["y"]})
    for one, other in (("t.csv", "t.parquet"), ("t.parquet", "t.csv")):
        trained = numbers(capsys, "train", one, "--target", "y", *QUICK, "--validation", other, "--out", "m")
        assert trained["validation"]["accuracy"] == 1.0
        assert numbers(capsys, "evaluate", "m", other)["test"]["accuracy"] == 1.0
        assert ended(capsys, "predict", "m", one)[0] == ended(capsys, "predict", "m", other)[0]
    flagged = frame.drop("y")
    flagged.write_parquet("f.parquet")
    numbers(capsys, "train", "t.csv", "--target", "flag", *QUICK, "--out", "m")
    assert numbers(capsys, "evaluate", "m", "t.parquet")["test"]["accuracy"] == 1.0


def test_categories_that_pandas_made_floats(capsys: pytest.CaptureFixture[str]) -> None:
    k = np.arange(200) % 4
    write("a.csv", {"k": k, "y": np.where(k == 3, "three", "other")})
    write("b.csv", {"k": k.astype(float), "y": np.where(k == 3, "three", "other")})
    numbers(capsys, "train", "a.csv", "--target", "y", "--categorical", "k", *QUICK, "--out", "m")
    assert numbers(capsys, "evaluate", "m", "b.csv")["test"]["accuracy"] == 1.0


def test_whole_numbers_beyond_the_floats_are_kept_apart(capsys: pytest.CaptureFixture[str]) -> None:
    base = 1_580_000_000_000_000_000
    k = [base + i % 2 for i in range(200)]
    pl.DataFrame({"k": k, "x": np.random.default_rng(0).normal(size=200), "y": k}).write_parquet("t.parquet")
    words = ["train", "t.parquet", "--target", "y", "--task", "classification", "--categorical", "k", *QUICK]
    found = numbers(capsys, *words, "--out", "m")
    assert found["validation"]["accuracy"] == 1.0
    assert ended(capsys, "predict", "m", "t.parquet")[0].splitlines()[2].startswith(f"{base + 1},")


# ── remarks ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_values_never_seen_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    data = noise()
    data["town"] = ["Oslo", "Rome"] * 60
    write("t.csv", data)
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    _, err = ended(capsys, "predict", "m", "t.csv")
    assert err == ""
    write("new.csv", {**data, "town": ["Oslo", "Lima", "Bern", "Rome"] * 30, "x": data["x"] + 100})
    _, err = ended(capsys, "predict", "m", "new.csv")
    assert "50 % of the values in the column 'town' were never seen in training, such as 'Lima', 'Bern'" in err
    assert "the column 'x' holds" in err
    assert err.count("note:") == 2


def test_a_split_keeps_every_class_in_training(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [f"s{i % 60}" for i in range(120)] + ["alone"]
    for seed in range(5):
        train, validation = split_rows(121, 0.2, seed=seed, labels=labels)
        assert {labels[i] for i in train} == set(labels)
        assert len(validation) == 24
    write("t.csv", {"x": range(121), "y": labels})
    words = ["train", "t.csv", "--target", "y", "--keep", "x", "--epochs", "1", "--out", "m"]
    _, err = ended(capsys, *words, "--validation", "0.2")
    assert "37 of 61 classes have too few rows to be measured, all are trained on" in err
    _, err = ended(capsys, *words, "--preset", "fast")
    assert "37 of 61 classes have too few rows to be measured, all are trained on" in err
    _, err = ended(capsys, *words)
    assert "one class has too few rows to be measured, all are trained on: 'alone'" in err


def test_money_percent_and_dates(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    price = rng.uniform(10, 5000, 150).round(2)
    days = [f"{1 + i % 28:02d}/{1 + i % 12:02d}/{2020 + i % 4}" for i in range(150)]
    share = [f"{i % 50}%" for i in range(150)]
    y = price * 2 + np.array([i % 50 for i in range(150)])
    write("t.csv", {"price": [f"${p:,.2f}" for p in price], "share": share, "day": days, "y": y.round(2)})
    words = ["train", "t.csv", "--target", "y", "--epochs", "200", "--learning-rate", "0.01", "--out", "m"]
    found = numbers(capsys, *words)
    assert found["train"]["r2"] > 0.95
    _, err = ended(capsys, "train", "t.csv", "--target", "y", "--epochs", "1", "--out", "m")
    assert "the column 'price' is written like '$" in err
    assert "the column 'share' is written like '0%': read as numbers, 0 there" in err
    assert "the column 'day' holds dates: learnt as year, month, day of the week" in err
    names = bl.load("m").preparation.names()
    assert names[:2] == ["price", "share"]
    assert names[2:] == [f"day_{part}" for part in ("year", "month", "weekday", "yearday_sin", "yearday_cos", "days")]
    assert "the column 'day' holds dates" in refused(capsys, "export", "m", "--format", "onnx", "--out", "m.onnx")


def test_dates_are_numbers_that_mean_something() -> None:
    frame = pl.DataFrame({"d": ["2024-01-01", "2024-12-31 12:00:00", None]})
    parts = Preparation.learn(frame, {"d": "date"}).dates[0].parts
    assert parts.names[-1] == "d_daytime_cos"
    assert parts.low[:3].tolist() == [2024.0, 1.0, 1.0]  # a Monday
    assert parts.high[[1, 2, 5]].tolist() == [12.0, 2.0, 365.5]


def test_identifiers_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    n = 150
    y = np.repeat(["a", "b", "c"], n // 3)  # sorted by class: the index alone would tell
    columns: dict[str, Any] = {"": range(n), "x": rng.normal(size=n), "customerId": range(1000, 1000 + n)}
    columns |= {"who": [f"n{i}" for i in range(n)], "y": y}
    write("t.csv", columns)
    _, err = ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    assert "the column 'c0' is left out: it counts the rows (pass --keep 'c0' to learn from it)" in err
    assert "the column 'customerId' is left out: it counts the rows" in err
    assert "the column 'who' is left out: it is different in nearly every row (150 texts in 150 rows)" in err
    assert list(bl.load("m").preparation.kinds) == ["x"]
    found = numbers(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m", "--keep", "c0", "--drop", "x")
    assert list(bl.load("m").preparation.kinds) == ["c0"]
    assert found["validation"]["accuracy"] > 0.9
    both = ["train", "t.csv", "--target", "y", "--drop", "x", "--keep", "x"]
    assert "is to be dropped and to be used" in refused(capsys, *both)


@pytest.mark.parametrize("value", ["1.8e308", "-inf", "1.7976931348623157e+308", "1e308"])
def test_numbers_too_large_to_compute_with(capsys: pytest.CaptureFixture[str], value: str) -> None:
    data = noise()
    x = [str(v) for v in data["x"]]
    x[6] = value
    write("t.csv", {**data, "x": x})
    err = refused(capsys, "train", "t.csv", "--target", "y", "--out", "m")
    assert "column 'x'" in err
    assert "row 7" in err
    assert f"--missing {float(value)!r}" in err or f"--missing {value}" in err
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--missing", value, "--out", "m")
    assert "row 7" in refused(capsys, "predict", "m", write("p.csv", {"x": ["1"] * 6 + ["1e307"], "z": range(7)}))


def test_a_header_that_is_not_there_and_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    data = noise()
    write("t.csv", data)
    lines = Path("t.csv").read_text().splitlines(keepends=True)
    Path("bare.csv").write_text("".join(lines[1:]))
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    expected, _ = ended(capsys, "predict", "m", "t.csv")
    assert ended(capsys, "predict", "m", "bare.csv", "--no-header")[0] == expected
    out, err = ended(capsys, "predict", "m", "bare.csv")
    assert out == expected
    assert "bare.csv seems to have no header" in err
    assert numbers(capsys, "evaluate", "m", "bare.csv", "--no-header")["rows"] == 120
    ended(capsys, "train", "bare.csv", "--no-header", "--target", "-1", *QUICK, "--out", "b")
    expected, _ = ended(capsys, "predict", "b", "bare.csv", "--no-header")
    out, err = ended(capsys, "predict", "b", "t.csv")
    assert out == expected
    assert "the first row of t.csv looks like a header, and is left out" in err


def test_rare_classes_are_measured_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    write("t.csv", {"x": x.round(4), "y": np.where(x + rng.normal(size=400) > 2.3, "ill", "well")})
    for more in ((), ("--class-weight", "balanced")):
        ended(capsys, "train", "t.csv", "--target", "y", "--epochs", "30", *more, "--out", "m")
        out, _ = ended(capsys, "evaluate", "m", "t.csv")
        assert all(word in out for word in ("balanced", "roc auc", "average", "predicted"))
        found = numbers(capsys, "evaluate", "m", "t.csv")["test"]
        assert sum(map(sum, found["confusion"])) == 400
        if more:
            assert found["balanced_accuracy"] > 0.75
    ended(capsys, "train", write("e.csv", noise()), "--target", "y", *QUICK, "--out", "m")
    out, _ = ended(capsys, "evaluate", "m", "e.csv")
    assert "roc auc" not in out
    assert numbers(capsys, "evaluate", "m", "e.csv")["test"]["roc_auc"] > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_measures_of_rare_classes_are_scikit_learns(seed: int) -> None:
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

    rng = np.random.default_rng(seed)
    p = rng.random(200).round(1 + seed)
    index = (rng.random(200) < 0.2 * (p + 0.3)).astype(int)
    found = rare_class_measures(np.stack([1 - p, p], axis=1), index)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(index, p), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(index, p), abs=1e-12)
    predicted = np.stack([1 - p, p], axis=1).argmax(axis=1)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(index, predicted), abs=1e-12)


def test_regression_is_told_in_the_targets_units(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    write("t.csv", {"x": x, "y": 1000 + 50 * x})
    out, _ = ended(
        capsys, "train", "t.csv", "--target", "y", "--epochs", "150", "--learning-rate", "0.02", "--out", "m"
    )
    assert all(word in out for word in ("rmse", "mae", "r2", "(baseline)"))
    found = numbers(capsys, "evaluate", "m", "t.csv")["test"]
    y, predicted = 1000 + 50 * x, bl.load("m").predict(pl.DataFrame({"x": x}))
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((y - predicted) ** 2)), rel=1e-6)
    assert found["mae"] == pytest.approx(np.abs(y - predicted).mean(), rel=1e-6)


# ── what is not loaded ───────────────────────────────────────────────────────────────────────────────────────

HEAVY = ["sklearn", "skops", "torch", "scipy.stats", "matplotlib"]


def test_a_table_needs_no_scikit_learn(capsys: pytest.CaptureFixture[str]) -> None:
    write("t.csv", {**noise(), "town": ["Oslo", "Rome"] * 60})
    code = (
        "import sys; from backlit.cli import run\n"
        f"assert run(['train', 't.csv', '--target', 'y', '--out', 'm', *{QUICK}]) == 0\n"
        "for words in (['predict', 'm', 't.csv'], ['evaluate', 'm', 't.csv'], ['check', 'm', 't.csv'],\n"
        "              ['explain', 'm', 't.csv'], ['export', 'm', '--format', 'numpy', '--out', 'm.py']):\n"
        "    assert run(words) == 0, words\n"
        f"print('loaded:', *[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "loaded:"


def test_onnx_of_a_table_needs_no_scikit_learn(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write("t.csv", {**noise(), "town": ["Oslo", "Rome"] * 60})
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    code = (
        "import sys; from backlit.cli import run\n"
        "assert run(['export', 'm', '--format', 'onnx', '--out', 'm.onnx']) == 0\n"
        "print('loaded:', *[name for name in ('sklearn', 'skops', 'skl2onnx', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert Path("m.onnx").stat().st_size


# ── outputs, settings, foreign text ──────────────────────────────────────────────────────────────────────────


def test_no_output_is_an_input(capsys: pytest.CaptureFixture[str]) -> None:
    write("t.csv", noise())
    before = Path("t.csv").read_bytes()
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    model = Path("m").read_bytes()
    os.symlink("t.csv", "link")
    os.link("m", "hard")
    for words in (
        ["train", "t.csv", "--target", "y", "--out", "t.csv"],
        ["train", "t.csv", "--target", "y", "--out", "link"],
        ["train", "t.csv", "--target", "y", "--validation", "m", "--out", "m"],
        ["train", "t.csv", "--target", "y", "--out", "p.png", "--plot", "p.png"],
        ["train", "t.csv", "--target", "y", "--out", "p.png", "--plot", "./p.png"],
        ["predict", "m", "t.csv", "--out", "t.csv"],
        ["predict", "m", "t.csv", "--out", "hard"],
        ["explain", "m", "t.csv", "--html", "m"],
        ["export", "m", "--format", "numpy", "--out", "m"],
    ):
        assert "choose another name" in refused(capsys, *words), words
    assert Path("t.csv").read_bytes() == before
    assert Path("m").read_bytes() == model


def test_outputs_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    write("t.csv", noise())
    os.mkfifo("fifo")
    for out, says in (("fifo", "a pipe or a device"), ("/dev/null", "a pipe or a device"), ("n" * 245, "longer than")):
        assert says in refused(capsys, "train", "t.csv", "--target", "y", "--out", out)
    assert stat.S_ISFIFO(os.stat("fifo").st_mode)
    assert "--plot must end in" in refused(capsys, "train", "t.csv", "--target", "y", "--plot", "curve.xyz")
    assert not Path("model.backlit").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--batch-size", "-3"], "--batch-size"),
        (["--batch-size", "0"], "--batch-size"),
        (["--dropout", "1"], "--dropout"),
        (["--dropout", "nan"], "--dropout"),
        (["--activation", "rleu"], "did you mean 'relu'"),
        (["--hidden", "-1"], "--hidden"),
        (["--epochs", "-1"], "--epochs"),
        (["--seed", "-1"], "seed"),
        (["--learning-rate", "inf"], "--learning-rate"),
        (["--delimiter", ";;"], "--delimiter"),
        (["--drop", "nix"], "nix"),
    ],
)
def test_settings_are_checked_in_one_sentence(
    capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert says in refused(capsys, "train", write("t.csv", noise()), "--target", "y", *options)


def test_names_that_meet(capsys: pytest.CaptureFixture[str]) -> None:
    n = 120
    job = [[None, "None", "type_a"][i % 3] for i in range(n)]
    write("t.csv", {"job": job, "job_type": [["a", "b"][i % 2] for i in range(n)], "y": ["u", "v"] * (n // 2)})
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    names = bl.load("m").preparation.names()
    assert len(set(names)) == len(names) == 5
    ended(capsys, "explain", "m", "t.csv", "--html", "page.html")
    ended(capsys, "export", "m", "--format", "numpy", "--out", "m.py")


def test_foreign_text_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    data = noise()
    evil = "\x1b[31m[red]<script>"
    write("t[m].csv", {**data, evil: [f"{evil}{i % 2}" for i in range(120)], "y": [f"{evil}{v}" for v in data["y"]]})
    name = "[m]red[red].backlit"
    shown = ""
    for words in (
        ["train", "t[m].csv", "--target", "y", *QUICK, "--out", name],
        ["evaluate", name, "t[m].csv"],
        ["explain", name, "t[m].csv", "--html", "page.html"],
        ["predict", name, "t[m].csv", "--out", "[p].csv"],
        ["check", name, "t[m].csv"],
    ):
        out, err = ended(capsys, *words)
        shown += out + err
    assert name in shown
    assert "\\x1b[31m[red]<script>" in shown
    assert "\x1b[31m[red]" not in shown
    assert "[red]<script>" not in Path("page.html").read_text()
    assert "\x1b" not in refused(capsys, "train", "t[m].csv", "--target", "\x1b]0;x\x07")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_terminal_that_is_not_utf8(encoding: str) -> None:
    data = noise()
    write("t.csv", {**data, "y": [f"{v}→é" for v in data["y"]]})
    code = "import sys; from backlit.cli import run\nsys.exit(run(sys.argv[1:]))"
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}

    def command(*words: str) -> bytes:
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, env=env, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command("train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    assert "→é" in command("predict", "m", "t.csv").decode()  # data is UTF-8 for any reader
    assert json.loads(command("evaluate", "m", "t.csv", "--json"))["rows"] == 120


def test_bytes_with_values_are_a_regression(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, (40, 5)).astype(np.uint8)
    np.savez("v.npz", X=X, y=X[:, 0] / 7.0)
    for more in ((), ("--task", "regression")):
        assert numbers(capsys, "train", "v.npz", *more, "--epochs", "2", "--out", "m")["task"] == "regression"
    np.savez("l.npz", X=X, y=np.arange(40) % 2)
    assert numbers(capsys, "train", "l.npz", "--epochs", "2", "--out", "m")["task"] == "classification"


def test_parquet_that_makes_polars_panic(capsys: pytest.CaptureFixture[str]) -> None:
    days = pl.Series("d", [0, 2**31 - 1] * 20, dtype=pl.Int32).cast(pl.Date)
    pl.DataFrame([days, pl.Series("y", ["a", "b"] * 20)]).write_parquet("t.parquet")
    assert "column 'd'" in refused(capsys, "train", "t.parquet", "--target", "y")


def test_what_polars_writes_when_it_panics_stays_out_of_sight(capfd: pytest.CaptureFixture[str]) -> None:
    """A page of numbers that is shorter than it says: a panic in a thread of polars, with a traceback of its own."""
    pl.DataFrame({"x": np.arange(30.0), "y": ["a", "b"] * 15}).write_parquet("t.parquet", compression="uncompressed")
    whole = Path("t.parquet").read_bytes()
    for place in range(4, 200):
        Path("bad.parquet").write_bytes(whole[:place] + whole[place + 8 :])
        code = run(["train", "bad.parquet", "--target", "y", "--epochs", "1", "--out", "m"])
        err = capfd.readouterr().err
        assert code == 0 or err.count("\n") == 1, err
        if "assertion failed" in err:
            return  # that was one
    pytest.skip("this version of polars does not panic over such files")


@pytest.mark.parametrize("option", ["--categorical", "--numeric", "--keep", "--drop"])
@pytest.mark.parametrize("column", ["x", "0"])
def test_an_option_for_a_column_where_there_is_only_the_target(
    option: str, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.csv").write_text("y\n" + "a\nb\n" * 20)
    message = refused(capsys, "train", "t.csv", "--target", "y", option, column)
    assert f"there is no column {column!r}: the table has no other column than the target" in message


def test_a_model_that_was_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    write("t.csv", {**noise(), "town": ["Oslo", "Rome"] * 60})
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    whole = Path("m").read_bytes()
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(rng.integers(0, min(len(whole), 4000)))] ^= 1 << int(rng.integers(0, 8))
        Path("d").write_bytes(damaged)
        try:
            bl.load("d")
            kept += 1
        except bl.BacklitError:
            pass
    assert kept < 200


def test_a_schedule_at_its_end_is_no_vanishing_step(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    np.savez("tiny.npz", X=rng.integers(0, 255, (20, 16)).astype(np.uint8), y=np.arange(20) % 2)
    _, err = ended(capsys, "train", "tiny.npz", "--epochs", "10", "--out", "m")
    assert "changes no weights" not in err


def test_what_takes_long_is_said_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path(__file__).parent / "files" / "table-0.1.0.backlit"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, err = ended(capsys, "predict", str(old), str(old.with_suffix(".csv")))
    assert err.startswith("loading scikit-learn and skops, which this model needs …\r")
    write("t.csv", noise())
    ended(capsys, "train", "t.csv", "--target", "y", *QUICK, "--out", "m")
    assert "skops" not in ended(capsys, "predict", "m", "t.csv")[1]


def test_predictions_are_data_in_a_pipe_and_can_be_shown_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise()
    pl.DataFrame({**data, "y": ["\x1b[31mup" if v == "up" else "down" for v in data["y"]]}).write_parquet("t.parquet")
    ended(capsys, "train", "t.parquet", "--target", "y", *QUICK, "--out", "m")
    piped = ended(capsys, "predict", "m", "t.parquet")[0]
    assert "\x1b[31mup" in piped
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    shown = ended(capsys, "predict", "m", "t.parquet")[0]
    assert "\x1b" not in shown
    assert shown == piped.replace("\x1b", "\\x1b")
