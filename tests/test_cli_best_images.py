"""`backlit train --preset best` on images: the recipe, the minutes, a run that goes on, copies when measuring."""

from __future__ import annotations

import json
import signal
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.commands import ended

import backlit as bl
from backlit.cli import best_images, keeping
from backlit.data.deforming import mean_over_copies
from backlit.kinds.losses import cross_entropy
from backlit.training.checkpoint import read_checkpoint

QUICK = ["--preset", "best", "--hidden", "8", "--engine", "reference"]


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bars 5 wide and 7 high, standing or lying; and arrays of squares."""
    monkeypatch.chdir(tmp_path)
    dice = np.random.default_rng(0)
    labels = np.arange(120, dtype=np.uint8) % 2
    pictures = dice.integers(0, 60, (120, 7, 5), np.uint8)
    pictures[labels == 0, :, 2] = 250
    pictures[labels == 1, 3, :] = 250
    Path("bars").mkdir()
    for stem, rows in (("train", slice(0, 90)), ("t10k", slice(90, 120))):
        write_idx(Path("bars", f"{stem}-images-idx3-ubyte"), pictures[rows])
        write_idx(Path("bars", f"{stem}-labels-idx1-ubyte"), labels[rows])
    np.savez("squares.npz", X=dice.integers(0, 256, (60, 49), np.uint8), y=np.arange(60) % 3)
    np.savez("no_squares.npz", X=dice.integers(0, 256, (60, 48), np.uint8), y=np.arange(60) % 3)
    return tmp_path


def trained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(ended(capsys, "train", *arguments, "--json")[0])
    return result


def test_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(capsys, "bars", *QUICK, "--epochs", "60", "--batch-size", "16")
    assert found["epochs"] == 60
    assert found["test"]["accuracy"] > 0.9
    assert "validation" not in found  # it learns from all training images
    net = bl.load("model.backlit")
    assert net.loss_function.spec() == cross_entropy(0.05).spec()
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", "Dropout", "Dense"]
    assert net.layers[0].units == 8
    assert net.layers[1].rate == 0.1
    assert net.classes.tolist() == [0, 1]


def test_what_is_given_wins(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--epochs", "2", "--dropout", "0", "--activation", "tanh", "--optimizer", "sgd", "--hidden", "4"]
    trained(capsys, "squares.npz", *QUICK, *given, "--validation", "0.2")
    net = bl.load("model.backlit")
    assert [getattr(layer, "units", None) for layer in net.layers] == [8, 4, 3]
    assert net.layers[0].activation.name == "tanh"


def test_the_loss_that_is_told_is_that_of_the_labels(capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(capsys, "bars", *QUICK, "--epochs", "2")
    told = json.loads(ended(capsys, "evaluate", "model.backlit", "bars", "--json")[0])["test"]
    from backlit.data.images import read_image_folder

    images, net = read_image_folder("bars"), bl.load("model.backlit")
    right = net.forward(images.X_test)[np.arange(30), images.y_test]
    assert told["loss"] == found["test"]["loss"] == pytest.approx(-np.log(right.astype(np.float64)).mean())


def test_copies(capsys: pytest.CaptureFixture[str]) -> None:
    trained(capsys, "bars", *QUICK, "--epochs", "2")
    from backlit.data.images import read_image_folder

    images, net = read_image_folder("bars"), bl.load("model.backlit")
    expected = mean_over_copies(net, images.X_test, (7, 5), 3)
    told = json.loads(ended(capsys, "evaluate", "model.backlit", "bars", "--copies", "3", "--json")[0])["test"]
    right = expected[np.arange(30), images.y_test]
    assert told["loss"] == pytest.approx(-np.log(right.astype(np.float64)).mean())
    lines = ended(capsys, "predict", "model.backlit", "bars", "--copies", "3")[0].splitlines()
    np.testing.assert_allclose([float(line.split(",")[1]) for line in lines[1:]], expected[:, 0], atol=2e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "no_squares.npz", *QUICK], "the 48 numbers of a row in 'no_squares.npz' are no square"),
        (["train", "bars", "--minutes", "1"], "--minutes goes with --preset best, received --preset default"),
        (["train", "squares.npz", "--preset", "fast", "--minutes", "1"], "received --preset fast"),
        (["evaluate", "table", "t.csv", "--copies", "2"], "--copies is for images, and 't.csv' is a table"),
        (["predict", "table", "t.csv", "--copies", "2"], "--copies is for images, and 't.csv' is a table"),
        (["evaluate", "images", "squares.npz", "--copies", "-1"], "--copies must be"),
        (["predict", "images", "squares.npz", "--copies", "-1"], "--copies must be"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    if arguments[1] == "table":
        Path("t.csv").write_text("a,y\n" + "".join(f"{i},{'nj'[i % 2]}\n" for i in range(20)))
        ended(capsys, "train", "t.csv", "--target", "y", "--preset", "fast", "--epochs", "1", "--out", "table")
    if arguments[1] == "images":
        ended(capsys, "train", "squares.npz", *QUICK, "--epochs", "1", "--out", "images")
    error = ended(capsys, *arguments, code=2)[1]
    assert said in error
    assert len(error.strip().splitlines()) == 1


# ── the minutes ──────────────────────────────────────────────────────────────────────────────────────────────


def test_epochs_fit_into_the_minutes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best_images, "_seconds_of_epochs", lambda *_: (5.0, 2.0))
    found = trained(capsys, "bars", *QUICK, "--minutes", "1")
    assert 20 <= found["epochs"] <= 26  # 60 s without reading, the first pictures, and what is kept


def test_the_time_of_an_epoch_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.perf_counter()
    found = trained(capsys, "bars", *QUICK, "--minutes", "0.03")
    assert found["epochs"] > 3
    assert time.perf_counter() - begun < 30


# ── a run that ends early ────────────────────────────────────────────────────────────────────────────────────


def test_a_run_that_goes_on_has_the_schedule_that_was_planned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["bars", *QUICK, "--minutes", "1", "--batch-size", "16"]
    monkeypatch.setattr(best_images, "_seconds_of_epochs", lambda *_: (0.0, 4.0))
    planned = trained(capsys, *command, "--out", "unbroken")["epochs"]

    class Interrupt(bl.Callback):
        every_steps = 1

        def on_steps_end(self, training: Any, done: int, total: int) -> None:
            if training.job.state.step == 21:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(
            keeping, "fit", lambda *data, callbacks, **rest: bl.fit(*data, callbacks=[*callbacks, Interrupt()], **rest)
        )
        error = ended(capsys, "train", *command, "--out", "broken", "--checkpoint", "run", code=130)[1]
    assert "broken.partial" in error
    assert "--resume run" in error
    assert 0 < read_checkpoint("run").about["step"] == 21
    assert bl.load("broken.partial").classes.tolist() == [0, 1]
    monkeypatch.setattr(best_images, "_seconds_of_epochs", lambda *_: (0.0, 0.1))  # another machine
    found = trained(capsys, *command, "--out", "broken", "--resume", "run")
    assert found["epochs"] == planned
    assert Path("broken").read_bytes() == Path("unbroken").read_bytes()


def test_a_checkpoint_of_another_preset_has_no_plan(capsys: pytest.CaptureFixture[str]) -> None:
    ended(capsys, "train", "squares.npz", "--hidden", "8", "--epochs", "1", "--checkpoint", "run")
    error = ended(capsys, "train", "squares.npz", *QUICK, "--resume", "run", code=2)[1]
    assert "is not of a run of --preset best on images" in error
