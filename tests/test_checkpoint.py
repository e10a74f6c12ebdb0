"""A run that was cut off anywhere, and goes on from its checkpoint, leaves the bits of an unbroken one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import BacklitError, ConfigurationError, FileMissingError, ModelFileError, OutputError
from backlit.kinds.optimizers import OPTIMIZERS as ALL_OPTIMIZERS
from backlit.training.checkpoint import SavedRun, last_whole, read_checkpoint

rng = np.random.default_rng(7)
X = rng.normal(size=(53, 4))
Y = np.sin(X[:, 0]) + 0.3 * rng.normal(size=53)
VALIDATION = (rng.normal(size=(20, 4)), rng.normal(size=20))

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    **{kind.__name__: partial(kind, 0.01) for kind in ALL_OPTIMIZERS.values()},
    "Nesterov": lambda: bl.SGD(0.02, momentum=0.9, nesterov=True),
    "Adam, clipped": lambda: bl.Adam(bl.CosineDecay(0.02, epochs=6), clip_norm=1.0),
}


class Stop(Exception):
    """The process is gone."""


class StopAfter(bl.Callback):
    """Raises after so many steps of the run, wherever that is."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.every_steps = 1

    def on_steps_end(self, training: Any, done: int, total: int) -> None:
        if training.job.state.step == self.steps:
            raise Stop


class Halve(bl.Callback):
    """Halves the learning rate after the second epoch and after the fourth."""

    def on_epoch_end(self, training: Any) -> None:
        if training.epoch in (2, 4):
            training.optimizer.learning_rate /= 2


def network(**settings: Any) -> bl.Network:
    return bl.Network([bl.Dense(6, "tanh"), bl.Dropout(0.2), bl.Dense(1)], inputs=4, l2=0.01, seed=3, **settings)


def train(net: bl.Network, *more: bl.Callback, engine: str = "reference", **settings: Any) -> bl.History:
    defaults = {"epochs": 6, "batch_size": 5, "optimizer": bl.Adam(0.02), "validation": VALIDATION, "progress": False}
    callbacks = [*settings.pop("callbacks", ()), *more]
    return bl.fit(net, X, Y, callbacks=callbacks, engine=engine, **{**defaults, **settings})


def same(one: bl.History, other: bl.History) -> None:
    assert list(one) == list(other)
    for name in one:
        if name != "seconds":
            assert one[name] == other[name], name
    assert (one.stopped, one.best_epoch) == (other.stopped, other.best_epoch)
    np.testing.assert_array_equal(one.state.slots, other.state.slots)
    assert one.state.step == other.state.step


# ── the same bits ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("steps", [1, 10, 11, 14, 44, 66])  # 11 steps an epoch
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_cut_off_anywhere_goes_on_bit_for_bit(name: str, steps: int, tmp_path: Path) -> None:
    whole, parts, again = network(), network(), network()
    unbroken = train(whole, optimizer=OPTIMIZERS[name]())
    path = tmp_path / "run"
    with pytest.raises(Stop):
        train(parts, StopAfter(steps), bl.Checkpoint(path, every_steps=3), optimizer=OPTIMIZERS[name]())
    history = train(again, bl.Checkpoint(path), optimizer=OPTIMIZERS[name](), resume=path)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    same(history, unbroken)


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("steps", [1, 14, 40])
def test_the_compiled_engine_goes_on_bit_for_bit(steps: int, tmp_path: Path) -> None:
    whole, parts, again = network(), network(), network()
    unbroken = train(whole, engine="compiled")
    with pytest.raises(Stop):
        train(parts, StopAfter(steps), bl.Checkpoint(tmp_path / "run", every_steps=3), engine="compiled")
    assert read_checkpoint(tmp_path / "run").engine == "compiled"
    # the engine that "auto" takes is the one that began, however little is left to do
    history = train(again, resume=tmp_path / "run", engine="auto")
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    same(history, unbroken)


@pytest.mark.parametrize("steps", [25, 60, 90])
def test_early_stopping_counts_on(steps: int, tmp_path: Path) -> None:
    def callbacks() -> list[bl.Callback]:
        return [bl.EarlyStopping(patience=8), bl.LearningRateLog(), bl.Monitor(train=(X, Y)), Halve()]

    settings = {"epochs": 300}
    whole, parts, again = network(), network(), network()
    first, third = callbacks(), callbacks()
    unbroken = train(whole, callbacks=first, optimizer=bl.Adam(0.01), **settings)
    assert unbroken.stopped is not None
    assert unbroken.epochs * 11 > 90
    checkpoint = bl.Checkpoint(tmp_path / "run", every_steps=7)
    with pytest.raises(Stop):
        train(parts, StopAfter(steps), checkpoint, callbacks=callbacks(), optimizer=bl.Adam(0.01), **settings)
    optimizer = bl.Adam(0.01)
    history = train(again, checkpoint, callbacks=third, optimizer=optimizer, resume=checkpoint, **settings)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    same(history, unbroken)
    assert optimizer.learning_rate == 0.0025
    assert first[1].changes == third[1].changes
    assert first[2].history.to_dict() == third[2].history.to_dict()


def test_a_run_that_has_ended_ends_again(tmp_path: Path) -> None:
    for settings in ({"epochs": 4}, {"epochs": 300, "callbacks": [bl.EarlyStopping(patience=2)]}):
        whole, again = network(), network()
        unbroken = train(whole, bl.Checkpoint(tmp_path / "run"), **settings)
        same(train(again, resume=tmp_path / "run", **settings), unbroken)
        np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_more_epochs_than_planned(tmp_path: Path) -> None:
    whole, parts = network(), network()
    unbroken = train(whole, epochs=9)
    train(parts, bl.Checkpoint(tmp_path / "run"), epochs=4)
    same(train(parts, epochs=9, resume=tmp_path / "run"), unbroken)
    np.testing.assert_array_equal(parts.parameters.values, whole.parameters.values)


def test_epochs_before_the_run_are_not_counted(tmp_path: Path) -> None:
    whole, parts, again = network(), network(), network()
    before = train(whole, epochs=2)
    unbroken = train(whole, epochs=3, resume=before)
    before = train(parts, epochs=2)
    with pytest.raises(Stop):
        train(parts, StopAfter(40), bl.Checkpoint(tmp_path / "run", every_steps=4), epochs=3, resume=before)
    history = train(again, epochs=3, resume=tmp_path / "run")
    assert history.epochs == 5
    same(history, unbroken)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_weights_nudging_and_a_last_smaller_batch(tmp_path: Path) -> None:
    settings = {"sample_weight": rng.uniform(0.0, 2.0, 53), "gradient": "finite_difference", "validation": None}
    whole, parts, again = network(), network(), network()
    unbroken = train(whole, epochs=2, **settings)
    with pytest.raises(Stop):
        train(parts, StopAfter(15), bl.Checkpoint(tmp_path / "run", every_steps=2), epochs=2, **settings)
    same(train(again, resume=tmp_path / "run", epochs=2, **settings), unbroken)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_a_run_that_diverges_after_going_on_restores_the_same(tmp_path: Path) -> None:
    """The best epoch lies before the checkpoint, and the limit of the loss was set by the first step of all."""
    settings = {"epochs": 50, "optimizer": bl.SGD(lambda epoch: 0.05 if epoch < 3 else 1e5), "validation": None}
    errors, values = [], []
    for broken in (False, True):
        net = network()
        if broken:
            with pytest.raises(Stop):
                train(net, StopAfter(30), bl.Checkpoint(tmp_path / "run", every_steps=3), **settings)
            net = network()
        with pytest.raises(bl.BacklitError) as caught:
            train(net, **({"resume": tmp_path / "run"} if broken else {}), **settings)
        errors.append(str(caught.value))
        values.append(net.parameters.values.copy())
    assert "training diverged in epoch 4" in errors[0]
    assert errors[0] == errors[1]
    np.testing.assert_array_equal(values[0], values[1])


class Watch(bl.Callback):
    """What would be restored, and from which loss on, after every step."""

    every_steps = 1

    def __init__(self) -> None:
        self.seen: dict[int, Any] = {}

    def on_steps_end(self, training: Any, done: int, total: int) -> None:
        best, limit = training.best, training.job.loss_limit
        values = best.start.tobytes(), best.values.tobytes()
        self.seen[training.job.state.step] = values, best.start_epoch, best.epoch, best.loss, limit


@pytest.mark.parametrize("validation", [None, VALIDATION], ids=["training loss", "validation loss"])
def test_what_is_restored_after_a_divergence_is_kept(validation: Any, tmp_path: Path) -> None:
    first, second, nets = Watch(), Watch(), [network(), network(), network()]
    for net in nets:
        net.parameters.view("2.bias")[:] = 100.0  # the first loss of all is the largest
    train(nets[0], first, validation=validation)
    with pytest.raises(Stop):
        train(nets[1], StopAfter(31), bl.Checkpoint(tmp_path / "run", every_steps=7), validation=validation)
    train(nets[2], second, validation=validation, resume=tmp_path / "run")
    assert min(second.seen) == 29
    assert {step: first.seen[step] for step in second.seen} == second.seen


def test_a_checkpoint_that_has_no_file_yet_begins(tmp_path: Path) -> None:
    checkpoint = bl.Checkpoint(tmp_path / "run")
    same(train(network(), checkpoint, resume=checkpoint), train(network()))
    with pytest.raises(FileMissingError, match="there is no checkpoint"):
        train(network(), resume=tmp_path / "other")


# ── when it is written ─────────────────────────────────────────────────────────────────────────────────────
def test_how_often_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(**settings: Any) -> int:
        checkpoint = bl.Checkpoint(tmp_path / "run", **settings)
        train(network(), checkpoint, epochs=4)
        return checkpoint.written

    assert written() == 2  # the beginning and the end
    assert written(every_steps=11) == 2 + 2 * 4 - 1  # after the steps, and after the epoch; the last time is one
    clock = iter(range(0, 10**9, 10))
    monkeypatch.setattr("backlit.training.checkpoint.time.monotonic", lambda: next(clock))
    assert written(every=0.0) == 2 + 2 * 4 - 1
    assert written(every=25.0) == 2 + 2


def test_it_is_written_after_the_other_callbacks(tmp_path: Path) -> None:
    stopping = bl.EarlyStopping(patience=50)
    history = train(network(), bl.Checkpoint(tmp_path / "run"), stopping)
    state = read_checkpoint(tmp_path / "run").about["callbacks"][0]
    assert state["best_epoch"] == stopping.best_epoch == int(np.argmin(history["val_loss"])) + 1


def test_what_cannot_be_kept_or_written(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1)], inputs=4)
    with pytest.raises(ConfigurationError, match="a Checkpoint follows the steps of an optimiser, and LBFGS"):
        train(net, bl.Checkpoint(tmp_path / "run"), optimizer=bl.LBFGS())
    with pytest.raises(OutputError, match="cannot be written"):
        train(network(), bl.Checkpoint(tmp_path / "nowhere" / "run"))
    with pytest.raises(ConfigurationError, match="every must be a finite number of at least 0, received -1"):
        bl.Checkpoint("run", every=-1)
    with pytest.raises(ConfigurationError, match="every_steps must be a whole number of at least 1, received 0"):
        bl.Checkpoint("run", every_steps=0)
    assert repr(bl.Checkpoint("run", every=5)) == "Checkpoint('run', every=5)"


def test_a_recorder_needs_the_beginning_of_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(network(), StopAfter(14), bl.Checkpoint(tmp_path / "run", every_steps=1))
    with pytest.raises(ConfigurationError, match="a Recorder begins with the first step of an epoch"):
        train(network(), bl.Recorder(), resume=tmp_path / "run")


# ── another run, another file ──────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "run"
    with pytest.raises(Stop):
        train(network(), StopAfter(14), bl.Checkpoint(path, every_steps=1), bl.EarlyStopping())
    return path


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"batch_size": 6}, "batch size was 5, received 6"),
        ({"shuffle": False}, "shuffling was True, received False"),
        ({"optimizer": bl.RMSprop()}, "optimiser was Adam, received RMSprop"),
        ({"optimizer": bl.Adam(beta_1=0.8)}, "optimiser's settings: beta_1 was 0.9, received 0.8"),
        ({"sample_weight": np.ones(53)}, "data was not what is given now"),
        ({"validation": (VALIDATION[0], VALIDATION[1] + 1e-3)}, "data to validate on was not what is given now"),
        ({"validation": (VALIDATION[0] + 1e-3, VALIDATION[1])}, "data to validate on was not what is given now"),
        ({"callbacks": []}, r"callbacks was \['EarlyStopping'\], received \[\]"),
        ({"validation": None, "callbacks": [bl.EarlyStopping("loss")]}, "validation data was True, received False"),
        ({"gradient": "central_difference"}, "gradient was None, received FiniteDifference"),
    ],
)
def test_another_run_is_refused(saved: Path, settings: dict[str, Any], what: str) -> None:
    message = f"the checkpoint '.*' is of another run, whose {what}"
    with pytest.raises(ConfigurationError, match=message):
        train(network(), **{"callbacks": [bl.EarlyStopping()], "resume": saved, **settings})


def test_other_data_and_another_network_are_refused(saved: Path) -> None:
    settings: dict[str, Any] = {"batch_size": 5, "validation": VALIDATION, "callbacks": [bl.EarlyStopping()]}
    with pytest.raises(ConfigurationError, match="whose data was not what is given now"):
        bl.fit(network(), X, Y + 1e-3, optimizer=bl.Adam(0.02), resume=saved, progress=False, **settings)
    with pytest.raises(ConfigurationError, match="whose data was not what is given now"):
        bl.fit(network(), X + 1e-3, Y, optimizer=bl.Adam(0.02), resume=saved, progress=False, **settings)
    with pytest.raises(ConfigurationError, match="whose network: dtype was float32, received float64"):
        bl.fit(network(dtype="float64"), X, Y, optimizer=bl.Adam(0.02), resume=saved, progress=False, **settings)


def test_of_another_network_the_first_setting_that_differs_is_named(saved: Path) -> None:
    for layers, says in (
        ([bl.Dense(5, "tanh"), bl.Dropout(0.2), bl.Dense(1)], r"network: layers\[0\].units was 6, received 5"),
        ([bl.Dense(6, "tanh"), bl.Dropout(0.3), bl.Dense(1)], r"network: layers\[1\].rate was 0.2, received 0.3"),
        ([bl.Dense(6, "tanh"), bl.Dense(1)], "network: layers were 3, received 2"),
    ):
        net = bl.Network(layers, inputs=4, l2=0.01, seed=3)
        with pytest.raises(ConfigurationError, match=f"of another run, whose {says}: resume with"):
            train(net, bl.EarlyStopping(), resume=saved)


def test_l_bfgs_does_not_go_on_from_a_checkpoint(saved: Path) -> None:
    net = bl.Network([bl.Dense(1)], inputs=4)
    with pytest.raises(ConfigurationError, match="is of steps of an optimiser, which LBFGS does not take"):
        train(net, optimizer=bl.LBFGS(), resume=saved)


class Rows:
    """A source that makes its rows when asked, others in every epoch."""

    shape = X.shape

    def fetch(self, rows: Any, out: Any, *, epoch: int) -> None:
        out[:] = X[rows] + 0.01 * epoch


def test_a_source_goes_on_in_the_right_epoch(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 5, "optimizer": bl.Adam(0.01), "progress": False}
    whole, parts, again = network(), network(), network()
    unbroken = bl.fit(whole, Rows(), Y, **settings)
    with pytest.raises(Stop):
        bl.fit(parts, Rows(), Y, callbacks=[StopAfter(27), bl.Checkpoint(tmp_path / "run", every_steps=2)], **settings)
    same(bl.fit(again, Rows(), Y, resume=tmp_path / "run", **settings), unbroken)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_another_file_is_refused(tmp_path: Path) -> None:
    bl.save(network(), tmp_path / "net")
    with pytest.raises(ModelFileError, match="is not a checkpoint: it lacks the metadata"):
        train(network(), resume=tmp_path / "net")


def test_any_changed_byte_is_seen(saved: Path, tmp_path: Path) -> None:
    data = saved.read_bytes()
    dice = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        if dice.random() < 0.2:
            damaged = damaged[: dice.randrange(len(data))]
        (tmp_path / "bad").write_bytes(damaged)
        try:
            read = read_checkpoint(tmp_path / "bad")
        except BacklitError:
            continue
        good = read_checkpoint(saved)  # the library's version is no part of what is trusted
        assert json.dumps([read.run, read.about]) == json.dumps([good.run, good.about])
        assert all((read.arrays[name] == array).all() for name, array in good.arrays.items())


def remade(saved: Path, path: Path, change: Callable[..., object]) -> None:
    """The file of a run with something changed by hand, and a digest that fits."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    from backlit.training.checkpoint import _digest

    with safe_open(saved, "np") as file:
        metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about = json.loads(metadata["run"])
    change(about, arrays)
    metadata["run"] = json.dumps(about)
    metadata["digest"] = _digest(metadata["run"], arrays)
    save_file(arrays, path, metadata)


@pytest.mark.parametrize(
    "change",
    [
        lambda about, arrays: arrays.pop("slots"),
        lambda about, arrays: arrays.update(values=arrays["values"][1:]),
        lambda about, arrays: arrays.update(best=arrays["best"].astype(np.float64)),
        lambda about, arrays: arrays["start"].fill(np.nan),
        lambda about, arrays: arrays.update(losses=arrays["losses"][1:]),
        lambda about, arrays: about.pop("step"),
        lambda about, arrays: about.update(step="3"),
        lambda about, arrays: about.update(step=-1),
        lambda about, arrays: about.update(step=10**400),
        lambda about, arrays: about.update(first_epoch=-1),
        lambda about, arrays: about.update(seconds=-1.0),
        lambda about, arrays: about.update(callbacks=[3]),
        lambda about, arrays: about["callbacks"][0].pop("best"),
        lambda about, arrays: about.update(history=["loss"]),
    ],
)
def test_a_file_made_by_hand(saved: Path, tmp_path: Path, change: Callable[[Any], object]) -> None:
    """The digest fits, and what it is of does not."""
    remade(saved, tmp_path / "made", change)
    with pytest.raises(ModelFileError, match="is damaged"):
        train(network(), callbacks=[bl.EarlyStopping()], resume=tmp_path / "made")


@pytest.mark.parametrize("name", ["values", "best"])
def test_a_running_variance_below_zero_is_refused(tmp_path: Path, name: str) -> None:
    net = bl.Network([bl.BatchNorm(), bl.Dense(1)], inputs=2)
    X, y = np.random.default_rng(0).normal(size=(8, 2)), np.zeros(8)
    bl.fit(net, X, y, epochs=1, callbacks=[bl.Checkpoint(tmp_path / "run")])
    negative = net.astype(net.dtype)
    negative.parameters.buffers[:] = -1.0
    state = negative.parameters.state
    remade(tmp_path / "run", tmp_path / "made", lambda about, arrays: arrays.update({name: state}))
    with pytest.raises(ModelFileError, match=r"a running variance .* below 0"):
        bl.fit(net, X, y, epochs=2, callbacks=[bl.Checkpoint(tmp_path / "run")], resume=tmp_path / "made")


# ── signals ────────────────────────────────────────────────────────────────────────────────────────────────
class Press(bl.Callback):
    """Sends a signal to this process as the optimiser takes a step: in the middle of it."""

    def __init__(self, number: int, step: int, times: int = 1) -> None:
        self.number, self.step, self.times = number, step, times

    def on_fit_begin(self, training: Any) -> None:
        if not hasattr(training.optimizer, "real"):
            training.optimizer.real = training.optimizer.update

        def update(values: Any, gradient: Any, weight_mask: Any, state: Any, rate: float) -> None:
            training.optimizer.real(values, gradient, weight_mask, state, rate)
            if state.step == self.step:
                for _ in range(self.times):
                    os.kill(os.getpid(), self.number)
                    time.sleep(0.01)
                values += 0.0  # the handler has run by now

        training.optimizer.update = update


def test_ctrl_c_waits_for_the_end_of_the_step_and_the_run_is_written(tmp_path: Path) -> None:
    whole, parts, again = network(), network(), network()
    unbroken = train(whole, callbacks=[bl.EarlyStopping()])
    callbacks = [bl.EarlyStopping(), Press(signal.SIGINT, 17)]
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        train(parts, bl.Checkpoint(tmp_path / "run"), callbacks=callbacks)
    found: SavedRun = read_checkpoint(tmp_path / "run")
    assert found.about["step"] == 17
    history = train(again, callbacks=[bl.EarlyStopping()], resume=tmp_path / "run")
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    same(history, unbroken)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait_and_leaves_the_file_before(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        train(network(), Press(signal.SIGINT, 17, times=2), bl.Checkpoint(tmp_path / "run", every_steps=5))
    assert read_checkpoint(tmp_path / "run").about["step"] == 15


def test_sigterm_is_written_and_ends_with_143(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        train(network(), Press(signal.SIGTERM, 17), bl.Checkpoint(tmp_path / "run"))
    assert caught.value.code == 143
    assert read_checkpoint(tmp_path / "run").about["step"] == 17
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interruption_among_callbacks_leaves_the_file_before(tmp_path: Path) -> None:
    """Some of them know of the epoch, and others do not: this is no state to go on from."""

    class Interrupt(bl.Callback):
        def on_epoch_end(self, training: Any) -> None:
            raise KeyboardInterrupt

    checkpoint = bl.Checkpoint(tmp_path / "run")
    with pytest.warns(UserWarning, match="interrupted in epoch 1"):
        train(network(), bl.EarlyStopping(), Interrupt(), checkpoint)
    assert checkpoint.written == 1
    assert read_checkpoint(tmp_path / "run").about["step"] == 0


# ── killed ─────────────────────────────────────────────────────────────────────────────────────────────────
RUN = """
import sys
import numpy as np, backlit as bl
engine, path, out = sys.argv[1:]
rng = np.random.default_rng(0)
X = rng.integers(0, 255, (600, 20)).astype(np.uint8) if engine == "reference" else rng.normal(size=(600, 20))
y = rng.integers(0, 3, 600)
net = bl.Network([bl.Dense(64, "relu"), bl.Dropout(0.3), bl.Dense(3, "softmax")], inputs=20, loss="cross_entropy",
                 input_scale=1 / 255 if engine == "reference" else 1.0, seed=5)
checkpoint = bl.Checkpoint(path, every_steps=2)
print("begins", flush=True)
bl.fit(net, X, y, epochs=6, batch_size=16, optimizer=bl.Adam(bl.CosineDecay(0.01, 6)), validation=(X[:99], y[:99]),
       callbacks=[bl.EarlyStopping(patience=5), checkpoint], resume=checkpoint, engine=engine, progress=False)
net.parameters.values.tofile(out)
"""


def start(engine: str, path: Path, out: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", RUN, engine, str(path), str(out)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_runs(engine: str, folder: Path, kills: int, seed: int) -> int:
    """Kill runs at random moments until so many have died, each going on from where the last one came to.

    A run that gets to its end has to have the bits of an unbroken one. Returns how many did.
    """
    unbroken = start(engine, folder / "unbroken.run", folder / "unbroken")
    unbroken.communicate()
    assert unbroken.returncode == 0
    bits = (folder / "unbroken").read_bytes()
    dice, done, ended = random.Random(seed), 0, 0
    path, out = folder / "run", folder / "out"
    while done < kills or not out.exists():
        process = start(engine, path, out)
        assert process.stdout is not None
        process.stdout.readline()
        if done < kills:
            _wait_for_a_moment(process, folder, dice)
            process.send_signal(signal.SIGKILL)
        process.communicate()
        for part in folder.glob(".run.*.part"):  # of a writing that was killed
            part.unlink()
        done += process.returncode == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL)
        if process.returncode == 0:
            assert out.read_bytes() == bits
            ended += 1
            path.unlink()
            if done < kills:
                out.unlink()
    return ended


def _wait_for_a_moment(process: subprocess.Popen[str], folder: Path, dice: random.Random) -> None:
    """Half of the kills at any moment; half while a file is being written, as its temporary name shows."""
    until = time.monotonic() + dice.expovariate(1 / 0.15)
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.001)
    if dice.random() < 0.5:
        until = time.monotonic() + 0.5
        while time.monotonic() < until and process.poll() is None and not any(folder.glob(".run.*.part")):
            pass


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    assert killed_runs("reference", tmp_path, kills=3, seed=1) >= 1


@pytest.mark.torture
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("engine", ["reference", pytest.param("compiled", marks=pytest.mark.xdist_group("compiled"))])
def test_many_killed_runs_go_on_bit_for_bit(engine: str, seed: int, tmp_path: Path) -> None:
    assert killed_runs(engine, tmp_path, kills=40, seed=seed) >= 1


def test_parameters_that_are_not_finite_do_not_take_the_place_of_those_that_are(tmp_path: Path) -> None:
    class Break(bl.Callback):
        every_steps = 1

        def on_steps_end(self, training: Any, done: int, total: int) -> None:
            if training.job.state.step == 6:
                training.net.parameters.values[:] = np.nan

    whole, broken, again = network(), network(), network()
    unbroken = train(whole)
    kept = bl.Checkpoint(tmp_path / "run", every_steps=3)
    with pytest.raises(bl.exceptions.DivergenceError):
        train(broken, Break(), kept)
    assert read_checkpoint(tmp_path / "run").about["step"] == 3
    same(train(again, resume=tmp_path / "run"), unbroken)


def test_the_checkpoint_before_the_last_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    path, previous = tmp_path / "run", tmp_path / "run.previous"
    with pytest.raises(Stop):
        train(network(), StopAfter(7), bl.Checkpoint(path, every_steps=3))
    assert not previous.exists()
    with pytest.raises(Stop):
        train(network(), StopAfter(7), bl.Checkpoint(path, every_steps=3, keep_previous=True))
    assert [read_checkpoint(place).about["step"] for place in (path, previous)] == [6, 3]
    assert last_whole(path) == path
    path.write_bytes(path.read_bytes()[:-1])
    assert last_whole(path) == previous
    previous.unlink()
    assert last_whole(path) is None


def test_without_second_names_the_checkpoint_before_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(Stop):
        train(network(), StopAfter(7), bl.Checkpoint(tmp_path / "run", every_steps=3, keep_previous=True))
    assert read_checkpoint(tmp_path / "run.previous").about["step"] == 3
    assert sorted(place.name for place in tmp_path.iterdir()) == ["run", "run.previous"]
