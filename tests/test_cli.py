"""The command line as a user meets it: train, evaluate, predict, check, and one line for what is wrong."""

from __future__ import annotations

import csv
import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.cli import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, rows: list[list[Any]]) -> str:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def shop(n: int = 120) -> list[list[Any]]:
    """A small table with a header: two numbers, one category with a missing value, classes that depend on them."""
    rng = np.random.default_rng(0)
    rows: list[list[Any]] = [["size", "price", "colour", "sold"]]
    for i in range(n):
        size, price = rng.uniform(1, 9, 2).round(2)
        colour = ["red", "blue", ""][i % 3]
        rows.append([size, price, colour, "yes" if size > price else "no"])
    return rows


def output(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[str, str]:
    code = run(arguments)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out, captured.err


def result(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict[str, Any]:
    out, _ = output(capsys, [*arguments, "--json"])
    assert out.count("\n") == 1
    return dict(json.loads(out))


# ── a table's way ────────────────────────────────────────────────────────────────────────────────────────────


def test_train_evaluate_predict(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop())
    trained = result(capsys, ["train", file, "--target", "sold", "--epochs", "60", "--out", "m.backlit"])
    assert trained["task"] == "classification"
    assert trained["train"]["accuracy"] > 0.9
    assert set(trained["validation"]) == {"loss", "accuracy"}
    measured = result(capsys, ["evaluate", "m.backlit", file])
    assert measured["rows"] == 120
    assert measured["test"]["accuracy"] > 0.85

    out, _ = output(capsys, ["predict", "m.backlit", file])
    rows = list(csv.DictReader(out.splitlines()))
    assert len(rows) == 120
    assert set(rows[0]) == {"prediction", "probability_no", "probability_yes"}
    right = [r["prediction"] == s[3] for r, s in zip(rows, shop()[1:], strict=True)]
    assert np.mean(right) == pytest.approx(measured["test"]["accuracy"])
    output(capsys, ["predict", "m.backlit", file, "--out", "p.csv"])
    assert (here / "p.csv").read_text() == out


def test_people_read_a_table_and_json_keeps_stdout_clean(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop())
    arguments = ["train", file, "--target", "sold", "--epochs", "3"]
    out, err = output(capsys, arguments)
    assert "classification of sold, 2 classes: no, yes" in out
    assert "validation" in out
    assert "saved as model.backlit" in out
    out, err = output(capsys, [*arguments, "--json"])
    assert json.loads(out)
    assert "saved as model.backlit" in err


def test_two_runs_give_the_same_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop())
    for name in ("a", "b"):
        output(capsys, ["train", file, "--target", "sold", "--epochs", "5", "--seed", "3", "--out", name])
    first, second = (run_predictions(capsys, name, file) for name in ("a", "b"))
    assert first == second


def run_predictions(capsys: pytest.CaptureFixture[str], model: str, file: str) -> str:
    return output(capsys, ["predict", model, file])[0]


def test_regression_is_measured_in_the_targets_units(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 2))
    y = 1e5 + 2e4 * X[:, 0] - 1e4 * X[:, 1]
    file = write("houses.csv", [["a", "b", "price"], *np.column_stack([X, y]).round(4).tolist()])
    trained = result(capsys, ["train", file, "--target", "price", "--epochs", "100", "--out", "m"])
    assert trained["task"] == "regression"
    scores = trained["validation"]
    assert scores["r2"] > 0.98
    assert scores["loss"] == pytest.approx(0.5 * scores["rmse"] ** 2)
    predicted = [float(r["prediction"]) for r in csv.DictReader(run_predictions(capsys, "m", file).splitlines())]
    assert np.sqrt(np.mean((np.array(predicted) - y) ** 2)) < 4000


def test_columns_may_be_reordered_and_unknown_categories_come(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop())
    output(capsys, ["train", file, "--target", "sold", "--epochs", "5", "--out", "m"])
    plain = run_predictions(capsys, "m", file)
    reordered = write("r.csv", [[row[i] for i in (2, 0, 3, 1)] for row in shop()])
    assert run_predictions(capsys, "m", reordered) == plain
    unlabelled = write("u.csv", [row[:3] for row in shop()])
    assert run_predictions(capsys, "m", unlabelled) == plain
    new = write("n.csv", [["size", "price", "colour"], [2.0, 5.0, "green"]])
    assert len(run_predictions(capsys, "m", new).splitlines()) == 2


def test_without_a_header(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop()[1:])
    trained = result(capsys, ["train", file, "--no-header", "--target", "-1", "--epochs", "40", "--out", "m"])
    assert trained["train"]["accuracy"] > 0.8
    # the model remembers that there is no header, and which column was the target
    assert result(capsys, ["evaluate", "m", file])["rows"] == 120
    plain = run_predictions(capsys, "m", file)
    first = write("first.csv", [[row[3], *row[:3]] for row in shop()[1:]])
    output(capsys, ["train", first, "--no-header", "--target", "0", "--epochs", "2", "--out", "m0"])
    with_target = run_predictions(capsys, "m0", first)
    # rows to predict need not have the target, even where it stood first
    unlabelled = write("u.csv", [row[:3] for row in shop()[1:]])
    assert run_predictions(capsys, "m0", unlabelled) == with_target
    assert plain.splitlines()[0] == with_target.splitlines()[0]


def test_a_validation_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = write("shop.csv", shop()), write("v.csv", shop(30))
    trained = result(capsys, ["train", file, "--target", "sold", "--validation", other, "--epochs", "4", "--out", "m"])
    measured = result(capsys, ["evaluate", "m", other])["test"]
    assert {name: measured[name] for name in trained["validation"]} == pytest.approx(trained["validation"])
    without = result(capsys, ["train", file, "--target", "sold", "--validation", "0", "--epochs", "4", "--out", "m"])
    assert "validation" not in without


def test_npz_and_parquet(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import polars as pl

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    np.savez("d.npz", X=X, y=y)
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}).write_parquet("d.parquet")
    for file, more in (("d.npz", []), ("d.parquet", ["--target", "y"])):
        trained = result(capsys, ["train", file, *more, "--epochs", "30", "--out", "m"])
        assert trained["train"]["accuracy"] > 0.9, file
        assert result(capsys, ["evaluate", "m", file])["rows"] == 200
        assert len(run_predictions(capsys, "m", file).splitlines()) == 201


def test_the_learning_curve_is_drawn(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, ["train", write("s.csv", shop()), "--target", "sold", "--epochs", "3", "--plot", "curve.png"])
    assert (here / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_check_agrees(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop())
    output(capsys, ["train", file, "--target", "sold", "--activation", "tanh", "--epochs", "3", "--out", "m"])
    assert result(capsys, ["check", "m", file, "--rows", "4"])["ok"] is True


# ── images ───────────────────────────────────────────────────────────────────────────────────────────────────


def write_images(folder: Path, n: int = 60) -> None:
    """Small pictures in IDX files: class 0 is bright above, class 1 below, and labels are 3 and 8."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for stem, count in (("train", n), ("t10k", 20)):
        labels = rng.integers(0, 2, count)
        images = rng.integers(0, 60, (count, 4, 4))
        images[labels == 0, :2] += 150
        images[labels == 1, 2:] += 150
        pictures = struct.pack(">IIII", 0x803, count, 4, 4) + images.astype(np.uint8).tobytes()
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pictures))
        names = struct.pack(">II", 0x801, count) + np.where(labels, 8, 3).astype(np.uint8).tobytes()
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(names)


def test_a_test_image_of_an_unknown_class_is_refused_before_training(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(here / "pictures")
    labels = here / "pictures" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x05")
    assert run(["train", "pictures", "--epochs", "1", "--out", "m"]) == 2
    assert "the label 5 of image 19 is not among the 2 known classes" in capsys.readouterr().err
    assert not (here / "m").exists()


def test_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(here / "pictures")
    trained = result(
        capsys, ["train", "pictures", "--hidden", "8", "--epochs", "100", "--learning-rate", "0.01", "--out", "m"]
    )
    assert trained["test"]["accuracy"] == 1.0
    assert result(capsys, ["evaluate", "m", "pictures"])["test"] == pytest.approx(trained["test"])
    rows = list(csv.DictReader(run_predictions(capsys, "m", "pictures").splitlines()))
    assert {r["prediction"] for r in rows} == {"3", "8"}
    assert len(rows) == 20
    assert result(capsys, ["check", "m", "pictures", "--rows", "3"])["ok"] is True


@pytest.mark.parametrize(
    ("options", "batch_size", "rate", "init"),
    [
        ([], 64, 0.002, "he_uniform"),
        (["--optimizer", "sgd"], 64, 0.02, "he_uniform"),
        (["--batch-size", "7", "--learning-rate", "0.5", "--activation", "silu"], 7, 0.5, "he_uniform"),
        (["--activation", "tanh"], 64, 0.002, "glorot_uniform"),
    ],
)
def test_what_images_are_trained_with_unless_told(
    options: list[str], batch_size: int, rate: float, init: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(here / "pictures")
    seen: dict[str, Any] = {}

    def fit(net: bl.Network, X: Any, y: Any, **settings: Any) -> bl.History:
        seen.update(settings, net=net)
        return bl.fit(net, X, y, **settings)

    monkeypatch.setattr("backlit.cli.keeping.fit", fit)
    assert run(["train", "pictures", "--epochs", "4", "--out", "m", *options]) == 0
    assert seen["batch_size"] == batch_size
    schedule = seen["optimizer"].learning_rate
    assert (schedule(0.0), schedule(2.0), schedule(4.0)) == pytest.approx((rate, rate / 2, 0.0))
    hidden, output = seen["net"].layers
    assert (hidden.units, hidden.weight_init, output.weight_init) == (64, init, "glorot_uniform")


# ── the real ones ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "target", "task", "least"),
    [
        ("adult-train", "-1", "classification", 0.85),
        ("german", "-1", "classification", 0.72),
        ("horse-colic", "22", "classification", 0.6),
        ("breast-cancer", "-1", "classification", 0.7),
        ("pima-indians-diabetes", "c8", "classification", 0.72),
        ("phoneme", "-1", "classification", 0.8),
        ("abalone", "-1", "regression", 0.5),
        ("winequality-white", "-1", "classification", 0.52),
    ],
)
def test_real_tables_as_they_stand(
    here: Path, tables: Path, capsys: pytest.CaptureFixture[str], name: str, target: str, task: str, least: float
) -> None:
    file = str(tables / f"{name}.csv")
    quick = ["--preset", "fast", "--epochs", "15"]
    trained = result(capsys, ["train", file, "--no-header", "--target", target, *quick, "--out", "m"])
    assert trained["task"] == task
    measured = result(capsys, ["evaluate", "m", file])
    assert measured["test"]["accuracy" if task == "classification" else "r2"] > least
    rows = list(csv.DictReader(run_predictions(capsys, "m", file).splitlines()))
    assert measured["rows"] <= len(rows) <= measured["rows"] + 1  # one horse has no outcome


def test_labels_that_differ_by_a_full_stop(here: Path, tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, test = str(tables / "adult-train.csv"), str(tables / "adult-test.csv")
    quick = ["--preset", "fast", "--epochs", "1"]
    output(capsys, ["train", train, "--no-header", "--target", "-1", *quick, "--out", "m"])
    assert run(["evaluate", "m", test]) == 2
    message = capsys.readouterr().err
    assert "'<=50K.'" in message
    assert "'<=50K'" in message
    assert result(capsys, ["evaluate", "m", test, "--loose-labels"])["rows"] == 16281


def test_one_epoch_of_mnist(here: Path, mnist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = result(capsys, ["train", str(mnist), "--hidden", "32", "--epochs", "1", "--out", "m"])
    assert trained["test"]["accuracy"] > 0.9
    assert set(trained) >= {"train", "validation", "test"}


# ── what is wrong: one line, exit code 2 ─────────────────────────────────────────────────────────────────────


def broken(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    code = run(arguments)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("backlit: ")
    return captured.err


def numbers(n: int = 40, **replace: Any) -> list[list[Any]]:
    rows: list[list[Any]] = [["a", "b", "y"]]
    rows += [[i, (i * 7) % 11, "up" if i % 3 else "down"] for i in range(n)]
    for place, value in replace.items():
        row, column = place[1:].split("_")
        rows[int(row)][int(column)] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "options", "fragments"),
    [
        ([], ["--target", "y"], ["empty"]),
        ([["a", "b", "y"]], ["--target", "y"], ["no rows"]),
        (numbers(), ["--target", "z"], ["'z'", "'y'"]),
        (numbers(), ["--target", "7"], ["7"]),
        (numbers(), [], ["--target", "a, b, y"]),
        ([["a", "y"], *[[i, "same"] for i in range(9)]], ["--target", "y"], ["'y'", "same"]),
        (numbers(r20_0="many"), ["--target", "y"], ["'a'", "'many'", "row 20", "--missing"]),
        (numbers(r20_0="many"), ["--target", "y", "--numeric", "a"], ["'a'", "'many'", "row 20"]),
        (numbers(r20_0="inf"), ["--target", "y"], ["'a'", "row 20", "inf"]),
        (numbers(r20_0=",".join("xyz")), ["--target", "y", "--numeric", "a"], ["row 20"]),
        ([*numbers(), [1, 2, "up", 4, 5]], ["--target", "y"], ["line 42", "5", "3"]),
        ([*numbers(), [1]], ["--target", "y"], ["line 42", "1", "3"]),
        ([["y"], ["a"], ["b"]], ["--target", "y"], ["no column to learn from"]),
        (numbers(), ["--target", "y", "--hidden", "0"], ["--hidden", "received 0"]),
        (numbers(), ["--target", "y", "--hidden", "x"], ["--hidden", "x"]),
        (numbers(), ["--target", "y", "--activation", "rleu"], ["'rleu'", "'relu'"]),
        (numbers(), ["--target", "y", "--epochs", "0"], ["0"]),
        (numbers(), ["--target", "y", "--learning-rate", "-1"], ["--learning-rate", "-1"]),
        (numbers(), ["--target", "y", "--dropout", "1.5"], ["1.5"]),
        (numbers(), ["--target", "y", "--validation", "1.5"], ["--validation", "1.5"]),
        (numbers(), ["--target", "y", "--validation", "no.csv"], ["no.csv"]),
        (numbers(), ["--target", "y", "--optimizer", "magic"], ["magic"]),
        (numbers(), ["--target", "y", "--seed", "-1"], ["-1"]),
        (numbers(), ["--target", "y", "--out", "missing/m"], ["missing/m"]),
        (numbers(), ["--target", "y", "--out", "."], ["folder"]),
        (numbers(), ["--target", "y", "--bogus"], ["--bogus"]),
    ],
)
def test_bad_training_input(
    here: Path, capsys: pytest.CaptureFixture[str], rows: list[list[Any]], options: list[str], fragments: list[str]
) -> None:
    message = broken(capsys, ["train", write("t.csv", rows), *options])
    for fragment in fragments:
        assert fragment in message
    assert not (here / "model.backlit").exists()


def test_training_that_diverges(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--task", "regression", "--optimizer", "sgd", "--learning-rate", "1e9"]
    assert run(["train", write("t.csv", numbers()), "--target", "b", *wild]) == 2
    *health, error = capsys.readouterr().err.splitlines()
    assert error.startswith("backlit: ")
    assert "training diverged in epoch" in error
    assert not any("Traceback" in line for line in health)
    assert not (here / "model.backlit").exists()


def test_files_that_are_no_tables(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing.csv" in broken(capsys, ["train", "nothing.csv", "--target", "y"])
    (here / "p.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)))
    assert "p.csv" in broken(capsys, ["train", "p.csv", "--target", "y"])
    (here / "t.docx").write_text("x")
    assert ".csv" in broken(capsys, ["train", "t.docx", "--target", "y"])
    (here / "folder").mkdir()
    assert "folder" in broken(capsys, ["train", "folder"])
    (here / "n.npz").write_bytes(b"PK\x03\x04 not really")
    assert "n.npz" in broken(capsys, ["train", "n.npz"])
    assert "--target" in broken(capsys, ["train", str(_images(here)), "--target", "y"])


def _images(here: Path) -> Path:
    write_images(here / "pictures")
    return here / "pictures"


def test_bad_input_later(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("shop.csv", shop())
    output(capsys, ["train", file, "--target", "sold", "--epochs", "2", "--out", "m"])
    lacking = write("l.csv", [[row[0], row[3]] for row in shop()])
    message = broken(capsys, ["evaluate", "m", lacking])
    assert "'price'" in message
    assert "'colour'" in message
    text = write("x.csv", [["size", "price", "colour", "sold"], ["big", 1, "red", "yes"]])
    assert all(part in broken(capsys, ["predict", "m", text]) for part in ("'size'", "'big'", "row 1"))
    assert "'sold'" in broken(capsys, ["evaluate", "m", write("u.csv", [row[:3] for row in shop()])])
    other = write("o.csv", [shop()[0], [1, 2, "red", "perhaps"]])
    assert "'perhaps'" in broken(capsys, ["evaluate", "m", other])
    assert "missing/p.csv" in broken(capsys, ["predict", "m", file, "--out", "missing/p.csv"])
    assert "there is no model file 'none'" in broken(capsys, ["evaluate", "none", file])
    (here / "short").write_bytes((here / "m").read_bytes()[:2000])
    assert "damaged" in broken(capsys, ["evaluate", "short", file])
    assert "does not begin like one" in broken(capsys, ["evaluate", file, file])
    assert broken(capsys, ["evaluate", "m"])
    assert "nonsense" in broken(capsys, ["nonsense"])


def test_an_unexpected_error_is_one_line_too(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from backlit.cli import keeping

    def fail(*args: Any) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(keeping, "save", fail)
    file = write("shop.csv", shop())
    assert run(["train", file, "--target", "sold", "--epochs", "1"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("backlit: unexpected RuntimeError: first second")
    monkeypatch.setenv("BACKLIT_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        run(["train", file, "--target", "sold", "--epochs", "1"])


def test_as_a_program(here: Path) -> None:
    """The installed command itself: exit code, streams, no traceback."""
    command = [str(Path(sys.executable).with_name("backlit")), "evaluate", "nothing", "nowhere"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == "backlit: there is no model file 'nothing'\n"
