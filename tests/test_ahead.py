"""Pictures made ahead of training, and the average of the parameters: the same bits, resumed or not."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.data.deforming import Deformation, Deformed
from backlit.exceptions import ConfigurationError, ModelFileError
from backlit.training.averaging import WeightAverage

PICTURES = np.random.default_rng(0).integers(0, 256, (50, 36), dtype=np.uint8)
LABELS = np.arange(50) % 3


def network(seed: int = 0) -> bl.Network:
    return bl.Network(
        [bl.Dense(8, "relu"), bl.Dense(3, "softmax")],
        inputs=36, loss="cross_entropy", seed=seed, input_scale=1 / 255,
    )  # fmt: skip


def source(**settings: Any) -> Deformed:
    return Deformed(PICTURES, (6, 6), Deformation(**settings), seed=1)


def trained(X: Any, **settings: Any) -> bl.Network:
    net = network()
    given = {"epochs": 4, "batch_size": 16, "optimizer": bl.Adam(0.01), "progress": False, "engine": "reference"}
    bl.fit(net, X, LABELS, **{**given, **settings})
    return net


class FetchedRow:
    """The same pictures, without what lets an epoch of them be held: made batch by batch, in the order of the rows."""

    def __init__(self, made: Deformed) -> None:
        self.made, self.shape = made, made.shape

    def fetch(self, rows: Any, out: Any, *, epoch: int) -> None:
        self.made.fetch(rows, out, epoch=epoch)


def test_pictures_made_ahead_are_those_of_their_epoch() -> None:
    ahead, fetched = trained(source()), trained(FetchedRow(source()))
    np.testing.assert_allclose(ahead.parameters.values, fetched.parameters.values, rtol=1e-6, atol=1e-7)


@pytest.mark.xdist_group("compiled")
def test_the_compiled_engine_trains_on_them() -> None:
    pytest.importorskip("numba")
    compiled, reference = trained(source(), engine="compiled"), trained(source())
    np.testing.assert_allclose(compiled.parameters.values, reference.parameters.values, rtol=1e-4, atol=1e-5)


def test_no_epoch_is_made_twice_or_beyond_the_last() -> None:
    counted: list[int] = []

    class Counted:
        shape, dtype, description = (50, 36), np.dtype(np.uint8), "counted"

        def fetch(self, rows: Any, out: Any, *, epoch: int) -> None:
            if len(rows) == 50:
                counted.append(epoch)
                assert threading.current_thread() is not threading.main_thread()
            out[...] = PICTURES[rows]

    trained(Counted())
    assert counted == [0, 1, 2, 3]


def test_an_error_of_the_source_ends_training() -> None:
    class Broken:
        shape, dtype, description = (50, 36), np.dtype(np.uint8), "broken"

        def fetch(self, rows: Any, out: Any, *, epoch: int) -> None:
            if epoch == 2:
                raise OSError("the disk is gone")
            out[...] = PICTURES[rows]

    with pytest.raises(OSError, match="the disk is gone"):
        trained(Broken())


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("engine", ["reference", "compiled"])
@pytest.mark.parametrize("stop_after", range(1, 13))
def test_a_run_that_goes_on_has_the_same_bits(engine: str, stop_after: int, tmp_path: Path) -> None:
    """Stopped by Ctrl-C after any step: with its pictures, and with its average."""
    if engine == "compiled":
        pytest.importorskip("numba")

    class Interrupt(bl.Callback):
        every_steps = 1

        def on_steps_end(self, training: Any, done: int, total: int) -> None:
            if training.job.state.step == stop_after:
                signal.raise_signal(signal.SIGINT)

    def run(*callbacks: Any, **settings: Any) -> bytes:
        average = WeightAverage(0.9, every_steps=3)
        net = trained(source(), engine=engine, epochs=3, callbacks=[*callbacks, average], **settings)
        return net.parameters.values.tobytes()

    path = tmp_path / "run"
    unbroken = run()
    with pytest.warns(UserWarning, match="interrupted"):
        run(Interrupt(), bl.Checkpoint(path, every=1e9))
    assert run(bl.Checkpoint(path), resume=path) == unbroken


def test_another_source_is_another_run(tmp_path: Path) -> None:
    path = tmp_path / "run"
    trained(source(), callbacks=[bl.Checkpoint(path)])
    with pytest.raises(ConfigurationError, match="another run, whose data was not what is given now"):
        trained(source(shift=2.0), epochs=5, callbacks=[bl.Checkpoint(path)], resume=path)


# ── the average ──────────────────────────────────────────────────────────────────────────────────────────────


class Kept(bl.Callback):
    every_steps = 2

    def __init__(self) -> None:
        self.seen: dict[int, np.ndarray] = {}

    def on_steps_end(self, training: Any, done: int, total: int) -> None:
        step = training.job.state.step
        if step % 2 == 0:
            self.seen[step] = training.net.parameters.values.astype(np.float64)


def test_the_average_is_the_weighted_mean_of_what_was_seen() -> None:
    kept, average = Kept(), WeightAverage(0.9, every_steps=2)
    net = trained(PICTURES, callbacks=[kept, average])
    assert list(kept.seen) == [2, 4, 6, 8, 10, 12, 14, 16]
    weights = np.array([0.81 ** (8 - k) for k in range(1, 9)])
    expected = weights @ np.stack(list(kept.seen.values())) / weights.sum()
    np.testing.assert_allclose(net.parameters.values, expected, rtol=1e-5, atol=1e-6)


def test_training_goes_on_from_the_parameters_and_not_from_their_average() -> None:
    kept, other = Kept(), Kept()
    trained(PICTURES, callbacks=[kept, WeightAverage(0.9)], validation=(PICTURES, LABELS))
    trained(PICTURES, callbacks=[other], validation=(PICTURES, LABELS))
    assert all(np.array_equal(kept.seen[step], other.seen[step]) for step in other.seen)


def test_the_average_is_measured_on_the_validation_data() -> None:
    net = network()
    history = bl.fit(
        net, PICTURES, LABELS, epochs=3, batch_size=16, optimizer=bl.Adam(0.01), validation=(PICTURES, LABELS),
        callbacks=[WeightAverage(0.9, every_steps=1)], progress=False,
    )  # fmt: skip
    assert history["average_val_loss"][-1] == pytest.approx(net.loss(PICTURES, LABELS), rel=1e-6)
    assert history["average_val_loss"][-1] != history["val_loss"][-1]
    assert len(history["average_val_accuracy"]) == 3


def test_without_a_step_seen_the_network_stays_as_it_is() -> None:
    seen = trained(PICTURES, epochs=1, callbacks=[WeightAverage(0.9, every_steps=100)])
    assert np.array_equal(seen.parameters.values, trained(PICTURES, epochs=1).parameters.values)


def test_an_average_of_other_settings_does_not_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run"
    trained(PICTURES, callbacks=[WeightAverage(0.9), bl.Checkpoint(path)])
    with pytest.raises(ConfigurationError, match="resume with those that it began with"):
        trained(PICTURES, epochs=5, callbacks=[WeightAverage(0.8), bl.Checkpoint(path)], resume=path)


@pytest.mark.parametrize("settings", [{"decay": 1.0}, {"decay": -0.1}, {"every_steps": 0}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(settings))} must be"):
        WeightAverage(**settings)


def test_lbfgs_has_no_steps_to_follow() -> None:
    with pytest.raises(ConfigurationError, match="has a loop of its own"):
        trained(PICTURES, optimizer=bl.LBFGS(), batch_size=None, callbacks=[WeightAverage()])


def test_a_damaged_average_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run"

    class Forgetful(bl.Callback):
        def to_checkpoint(self) -> dict[str, Any]:
            return {}

    Forgetful.__name__ = "WeightAverage"
    trained(PICTURES, callbacks=[Forgetful(), bl.Checkpoint(path)])
    with pytest.raises(ModelFileError, match="WeightAverage"):
        trained(PICTURES, epochs=5, callbacks=[WeightAverage(), bl.Checkpoint(path)], resume=path)
