"""`backlit train` that ends early: what is kept, how it goes on, and what a shell is told."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.commands import ended

import backlit as bl
from backlit.cli.keeping import seconds_of
from backlit.data.tables import read_table
from backlit.exceptions import ConfigurationError
from backlit.training.checkpoint import read_checkpoint

PROGRAM = [sys.executable, "-c", "from backlit_command import main; main()"]
LONG = ["--epochs", "1000000", "--engine", "reference"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    dice = np.random.default_rng(0)
    rows = dice.uniform(size=(400, 2)).round(3)
    lines = [f"{a},{b},{'rgb'[i % 3]},{'yes' if a > b else 'no'}" for i, (a, b) in enumerate(rows.tolist())]
    Path("t.csv").write_text("a,b,c,y\n" + "\n".join(lines) + "\n")
    np.savez("i.npz", X=dice.integers(0, 256, (300, 49), np.uint8), y=np.arange(300) % 3)
    return tmp_path


TABLE = [
    *["train", "t.csv", "--target", "y", "--preset", "fast", "--optimizer", "adam", "--dropout", "0"],
    "--hidden",
    "8",
]
IMAGES = ["train", "i.npz", "--hidden", "8"]


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def when_it_has_learnt(process: subprocess.Popen[str], path: str = "run", steps: int = 1) -> None:
    """Wait until the checkpoint is that of a run which has taken some steps."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        if Path(path).exists() and read_checkpoint(path).about["step"] >= steps:
            return
        time.sleep(0.005)
    raise AssertionError("it learns nothing")


# ── a run that was killed goes on ────────────────────────────────────────────────────────────────────────────


def killed_and_gone_on(command: list[str], times: int, dice: random.Random) -> int:
    """Kill a run so many times, each time somewhere; returns how often it was killed before its end."""
    kills = 0
    for k in range(times):
        again = ["--resume", "run"] if k else ["--checkpoint", "run"]
        process = started(*command, "--out", "broken", "--every", "0", *again)
        when_it_has_learnt(process)
        time.sleep(dice.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    return kills


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*TABLE, "--epochs", "2000", "--validation", "0", "--engine", "reference"], id="table"),
        pytest.param([*IMAGES, "--epochs", "2000", "--validation", "0", "--engine", "reference"], id="images"),
        pytest.param([*IMAGES, "--preset", "best", "--epochs", "300", "--engine", "reference"], id="images best"),
        pytest.param(
            [*TABLE, "--epochs", "2000", "--validation", "0", "--engine", "compiled"],
            id="compiled",
            marks=pytest.mark.xdist_group("compiled"),
        ),
    ],
)
def test_a_run_that_was_killed_gives_the_very_model_of_an_unbroken_one(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = json.loads(ended(capsys, *command, "--out", "whole", "--json")[0])
    assert killed_and_gone_on(command, 1, random.Random(0)) == 1
    assert not Path("broken").exists()
    result = json.loads(ended(capsys, *command, "--out", "broken", "--resume", "run", "--json")[0])
    assert Path("broken").read_bytes() == Path("whole").read_bytes()
    assert (whole["checkpoint"], result["checkpoint"], result["resumed"]) == (None, "run", "run")
    assert result["train"] == whole["train"]


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "kind",
    [["0.1" if word == "0" else word for word in TABLE], [*IMAGES, "--dropout", "0.1"]],
    ids=["table", "images"],
)
def test_a_run_that_is_killed_again_and_again(kind: list[str], seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        *kind,
        "--epochs",
        "3000",
        "--validation",
        "0",
        "--engine",
        "reference",
        "--seed",
        str(seed),
    ]
    ended(capsys, *command, "--out", "whole")
    assert killed_and_gone_on(command, 5, random.Random(seed))
    ended(capsys, *command, "--out", "broken", "--resume", "run")
    assert Path("broken").read_bytes() == Path("whole").read_bytes()


def test_a_run_that_goes_on_is_written_where_it_was_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    ended(capsys, *TABLE, "--epochs", "2", "--checkpoint", "run")
    first = Path("run").read_bytes()
    ended(capsys, *TABLE, "--epochs", "4", "--resume", "run", "--checkpoint", "other")
    assert Path("run").read_bytes() == first
    ended(capsys, *TABLE, "--epochs", "4", "--resume", "run")
    assert read_checkpoint("run").history.epochs == read_checkpoint("other").history.epochs == 4


def test_another_command_is_refused_and_says_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    ended(capsys, *TABLE, "--epochs", "2", "--checkpoint", "run")
    kept = Path("run").read_bytes()
    Path("u.csv").write_text(Path("t.csv").read_text().replace("0.1", "0.2"))
    base = TABLE[:-2]
    for command, says in (
        ([*TABLE, "--seed", "1"], "network: seed was 0, received 1"),
        ([*base, "--hidden", "9"], "network: layers[0].units was 8, received 9"),
        ([*TABLE, "--hidden", "8"], "network: layers were 2, received 3"),
        ([*TABLE, "--drop", "a"], "network: inputs was 5, received 4"),
        ([*TABLE, "--batch-size", "9"], "batch size was 32, received 9"),
        (["sgd" if word == "adam" else word for word in TABLE], "optimiser was Adam, received SGD"),
        ([*TABLE, "--validation", "0.3"], "number of rows was 320, received 224"),
        (["train", "u.csv", *TABLE[2:]], "data was not what is given now"),
    ):
        err = ended(capsys, *command, "--resume", "run", code=2)[1]
        assert f"is of another run, whose {says}" in err
        assert err.count("\n") == 1
    assert Path("run").read_bytes() == kept


def test_what_is_no_time_and_what_is_no_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert [seconds_of(text) for text in ("60", "60s", "5m", "1h", " 0.5 s ")] == [60.0, 60.0, 300.0, 3600.0, 0.5]
    for text in ("", "s", "-1", "1d", "nan", "1e3", "5 minutes"):
        with pytest.raises(ConfigurationError, match="--every must be a time such as 60, 60s, 5m or 1h, received"):
            seconds_of(text)
    ended(capsys, *TABLE, "--epochs", "1", "--out", "m")
    Path("folder").mkdir()
    for more, says in (
        (["--every", "5m"], "give --checkpoint FILE too"),
        (["--checkpoint", "run", "--every", "soon"], "--every must be a time"),
        (["--resume", "none"], "there is no checkpoint 'none'"),
        (["--resume", "m"], "is not a checkpoint"),
        (["--checkpoint", "nowhere/run"], "there is no folder"),
        (["--checkpoint", "folder"], "it is a folder"),
        (["--checkpoint", "t.csv"], "--checkpoint 't.csv' is the file that is read"),
        (["--checkpoint", "m", "--out", "m"], "--checkpoint and --out are both 'm'"),
        (["--checkpoint", "p.png", "--plot", "p.png"], "--checkpoint and --plot are both 'p.png'"),
        (["--checkpoint", "m.partial", "--out", "m"], "are both 'm.partial'"),
    ):
        err = ended(capsys, *TABLE, *more, code=2)[1]
        assert says in err
        assert err.count("\n") == 1
    Path("m.partial").mkdir()
    assert "'m.partial' cannot be written" in ended(capsys, *TABLE, "--out", "m", code=2)[1]
    ended(capsys, *TABLE, "--epochs", "1", "--checkpoint", "run")
    Path("run.png").write_bytes(Path("run").read_bytes())
    for more in (["--out", "run.png"], ["--out", "run.png", "--checkpoint", "next"], ["--plot", "run.png"]):
        assert "choose another name" in ended(capsys, *TABLE, *more, "--resume", "run.png", code=2)[1]


# ── Ctrl-C and SIGTERM ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [TABLE, IMAGES], ids=["table", "images"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_learnt_is_saved_beside_the_model(
    kind: list[str], number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("m").write_text("the old model")
    process = started(*kind, *LONG, "--out", "m", "--checkpoint", "run", "--every", "0")
    when_it_has_learnt(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == ""
    *_, first, second = err.splitlines()
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "asked to end"}[number]
    assert first.startswith(f"backlit: {word} in epoch ")
    assert first.endswith("of 1000000: what was learnt so far is saved as m.partial")
    assert second == "backlit: the same command goes on from here with --resume run"
    assert "Traceback" not in err
    assert Path("m").read_text() == "the old model"
    assert ended(capsys, "predict", "m.partial", kind[1])[0].startswith("prediction,")
    # the very parameters of the checkpoint, or the best ones before them
    saved, loaded = read_checkpoint("run"), bl.load("m.partial")
    state = getattr(loaded, "network", loaded).parameters.state
    best = saved.arrays.get("callback/0/best_values", saved.arrays["values"])
    np.testing.assert_array_equal(state, best)


def press(monkeypatch: pytest.MonkeyPatch, step: int, *numbers: int) -> None:
    """Have signals sent to this process in the middle of a step."""
    take = bl.Adam.update

    def update(self: bl.Adam, values: Any, gradient: Any, weight_mask: Any, state: Any, rate: float) -> None:
        take(self, values, gradient, weight_mask, state, rate)
        if state.step == step:
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.01)

    monkeypatch.setattr(bl.Adam, "update", update)


@pytest.mark.parametrize("kind", [TABLE, IMAGES], ids=["table", "images"])
def test_without_a_checkpoint_it_is_said_how_a_run_could_go_on(
    kind: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    press(monkeypatch, 15, signal.SIGINT)
    options = ["--epochs", "50", "--engine", "reference", "--json"]
    out, err = ended(capsys, *kind, *options, code=130)
    assert out == ""
    *_, first, second = err.splitlines()
    assert first.endswith("of 50: what was learnt so far is saved as model.backlit.partial")
    assert second.endswith("--checkpoint FILE writes one")
    assert "the network keeps" not in err  # said once
    assert not Path("model.backlit").exists()
    assert ended(capsys, "predict", "model.backlit.partial", kind[1])[0].startswith("prediction,")


def test_the_partial_model_has_learnt_all_steps_to_the_one_at_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--engine", "reference", "--validation", "0", "--batch-size", "40"]  # 10 steps an epoch
    with monkeypatch.context() as patched:
        press(patched, 20, signal.SIGINT)
        err = ended(capsys, *TABLE, *options, "--epochs", "9", "--out", "m", code=130)[1]
    assert "interrupted in epoch 2 of 9" in err
    partial = bl.load("m.partial")
    rows = read_table("t.csv")
    rate = bl.CosineDecay(0.001, epochs=9)
    net = bl.Network(partial.network.layers, inputs=partial.network.inputs, loss="cross_entropy")
    y = partial.encode(rows["y"].to_numpy().astype(str))
    bl.fit(net, partial.prepare(rows), y, epochs=2, batch_size=40, optimizer=bl.Adam(rate), engine="reference")
    np.testing.assert_array_equal(partial.network.parameters.values, net.parameters.values)
    assert partial.history.epochs == 1  # the second epoch has no row: it was not measured


def test_a_second_ctrl_c_ends_at_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, 15, signal.SIGINT, signal.SIGINT)
    err = ended(capsys, *TABLE, "--epochs", "50", "--engine", "reference", "--checkpoint", "run", code=130)[1]
    assert err.splitlines()[-1] == "backlit: interrupted"
    assert not Path("model.backlit.partial").exists()  # the step at work is only half done
    assert read_checkpoint("run").about["step"] == 0


@pytest.mark.parametrize(
    "where", ["backlit.training.checkpoint.Checkpoint.on_fit_begin", "backlit.training.fit._run_epochs"]
)
def test_ctrl_c_before_the_first_step_leaves_nothing(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_at_once(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, press_at_once)
    err = ended(capsys, *TABLE, "--checkpoint", "run", code=130)[1]
    assert err.splitlines()[-1] == "backlit: interrupted"
    assert not Path("model.backlit.partial").exists()


@pytest.mark.parametrize("where", ["EarlyStopping.on_epoch_end", "HealthMonitor.on_epoch_end"])
def test_ctrl_c_while_callbacks_are_told_waits_for_the_last_of_them(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, name = where.split(".")
    told = getattr(getattr(bl, kind), name)

    def pressed(self: Any, training: Any) -> None:
        if training.epoch == 4:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        told(self, training)

    command = [*TABLE, "--engine", "reference", "--learning-rate", "0.02", "--epochs", "12"]
    ended(capsys, *command, "--out", "whole")
    with monkeypatch.context() as patched:
        patched.setattr(getattr(bl, kind), name, pressed)
        err = ended(capsys, *command, "--out", "m", "--checkpoint", "run", code=130)[1]
    assert "interrupted in epoch 4 of 12" in err
    assert read_checkpoint("run").history.epochs == 4
    ended(capsys, *command, "--out", "m", "--resume", "run")
    assert Path("m").read_bytes() == Path("whole").read_bytes()


@pytest.mark.parametrize(
    ("command", "where"),
    [
        (["train", "t.csv", "--target", "y"], "backlit.cli.tables.read_rows"),
        (["predict", "m", "t.csv"], "backlit.cli.apply.outputs"),
        (["evaluate", "m", "t.csv"], "backlit.cli.apply.measured_in_full"),
        (["explain", "m", "t.csv", "--row", "1"], "backlit.cli.explain.load_model"),
        (["export", "m", "--format", "numpy", "--out", "n.py"], "backlit.cli.export.load_model"),
        (["inspect", "t.csv"], "backlit.cli.inspect.read_rows"),
        (["demo", "line"], "backlit.demos.line.run"),
    ],
)
def test_ctrl_c_anywhere_else_is_one_line(
    command: list[str], where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(capsys, *TABLE, "--epochs", "1", "--out", "m")

    def press_here(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, press_here)
    out, err = ended(capsys, *command, code=130)
    assert out == ""
    assert err == "backlit: interrupted\n"


def test_ctrl_c_after_training_finds_the_model_saved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_here(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    for command, where in ((TABLE, "backlit.cli.tables.measured"), (IMAGES, "backlit.cli.images.measured_images")):
        ended(capsys, *command, "--epochs", "2", "--out", "whole")
        monkeypatch.setattr(where, press_here)
        assert ended(capsys, *command, "--epochs", "2", "--out", "m", code=130)[1].endswith("backlit: interrupted\n")
        assert Path("m").read_bytes() == Path("whole").read_bytes()


SLOW_IMPORT = """
import os, signal, sys

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "NAME":
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(1000))

sys.meta_path.insert(0, Press())
from backlit_command import main
main()
"""


@pytest.mark.parametrize("name", ["backlit", "numpy", "backlit.kinds", "backlit.cli", "cyclopts", "polars"])
def test_ctrl_c_while_libraries_are_loaded(name: str) -> None:
    code = SLOW_IMPORT.replace("NAME", name)
    done = subprocess.run([sys.executable, "-c", code, *TABLE], capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr == "backlit: interrupted\n"


def test_a_program_that_may_not_be_interrupted_is_not() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + SLOW_IMPORT.replace("NAME", "numpy")
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_has_gone_is_no_error(buffered: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if not buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    for command in (["demo"], ["inspect", "t.csv"], ["train", "--help"], [*TABLE, "--epochs", "1", "--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*PROGRAM, *command], stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
        os.close(writer)
        assert done.returncode == 0, done.stderr
        assert "BrokenPipe" not in done.stderr
        assert "Traceback" not in done.stderr


def test_the_progress_bar_lets_go_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: the cursor is there again, and the words begin on a line of their own."""
    import pty

    terminal, other = pty.openpty()
    command = [*PROGRAM, *TABLE, *LONG, "--validation", "0", "--checkpoint", "run", "--every", "0"]
    process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other)
    os.close(other)
    seen = b""
    pressed = False
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        seen += part
        if not pressed and b"loss" in seen:
            pressed = True
            process.send_signal(signal.SIGINT)
    os.close(terminal)
    assert process.wait() == 130
    text = seen.decode()
    assert text[: text.index("backlit: interrupted")].endswith("\r\n\x1b[?25h")
    assert "Traceback" not in text
