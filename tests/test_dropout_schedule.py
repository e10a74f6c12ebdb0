"""Dropout whose rate follows the epoch: both engines, resumed runs, files, scripts and the lens."""

from __future__ import annotations

import pickle
import re
import runpy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds.optimizers import initial_state
from backlit.kinds.schedules import schedule_from_spec
from backlit.lab.building import settings_of
from backlit.lens.step.trace import trace_batch
from backlit.training.communicators import SerialCommunicator
from backlit.training.job import Job
from backlit.training.reference import ReferenceEngine

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))
SCHEDULE = bl.FlatCosine(0.6, epochs=4, flat=0.25, final=0.1)
RATES = [0.6, 0.6, 0.475, 0.225, 0.1]


def network(rate: Any = SCHEDULE, dtype: str = "float64") -> bl.Network:
    layers = [bl.Dense(8, "tanh"), bl.Dropout(rate), bl.Dense(2)]
    return bl.Network(layers, inputs=3, dtype=dtype, seed=5)


def fit(net: bl.Network, **settings: Any) -> bl.History:
    defaults = {"epochs": 5, "batch_size": 8, "optimizer": bl.Adam(0.01), "progress": False, "engine": "reference"}
    return bl.fit(net, X, Y, **{**defaults, **settings})


def test_the_rate_is_that_of_the_epoch() -> None:
    net = network()
    layer: Any = net.layers[1]
    assert layer.rate == 0.6
    for epoch, rate in enumerate(RATES):
        net.begin_epoch(epoch)
        assert layer.rate == pytest.approx(rate)
    work = net.workspace(30)
    work.load(X, Y)
    net.forward_pass(work, 3)
    np.testing.assert_allclose(np.unique(work.room[1]["mask"]), [0.0, 1 / 0.9])
    fit(net, epochs=2)
    assert (layer.rate, net.epoch) == (0.6, 1)


def test_each_epoch_is_trained_as_with_the_number_of_its_rate() -> None:
    """And in the compiled engine as in this one: tests/test_compiled_threads.py."""
    found = []
    for fixed in (False, True):
        net, rule = network(), bl.Adam(0.01)
        state = initial_state(rule, net.parameters.size, net.dtype)
        for epoch in range(5):
            at_work = network(SCHEDULE(epoch)) if fixed else net
            at_work.parameters.values[:] = net.parameters.values
            job = Job(net=at_work, X=X, Y=Y, weight=None, optimizer=rule, state=state, batch_size=8)
            ReferenceEngine().run_steps(job, job.order(epoch), epoch, 0, job.steps)
            net.parameters.values[:] = at_work.parameters.values
        found.append(net.parameters.values.tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("own", [False, True])
def test_a_resumed_run_has_the_bits_of_an_unbroken_one(own: bool, tmp_path: Path) -> None:
    def schedule() -> Any:
        """Of one's own, each time another one at another address, as in another process."""
        return (lambda epoch: 0.5 / (1.0 + epoch)) if own else SCHEDULE

    whole, parts = network(schedule()), network(schedule())
    fit(whole)
    history = fit(parts, epochs=2)
    fit(parts, epochs=3, resume=history)
    assert parts.parameters.values.tobytes() == whole.parameters.values.tobytes()
    killed, again = network(schedule()), network(schedule())
    fit(killed, epochs=3, callbacks=[bl.Checkpoint(tmp_path / "run", every=0)])
    fit(again, epochs=5, resume=tmp_path / "run")
    assert again.parameters.values.tobytes() == whole.parameters.values.tobytes()


def falling(epoch: float, by: float) -> float:
    return 0.5 - by * epoch


class Constant:
    def __call__(self, epoch: float) -> float:
        return 0.25


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (lambda epoch: 0.1, "<function <lambda>>"),
        (partial(falling, by=0.01), "functools.partial(<function falling>, by=0.01)"),
        (Constant(), f"<{__name__}.Constant object>"),
    ],
)
def test_the_description_of_ones_own_has_no_address(schedule: Any, text: str) -> None:
    assert bl.Dropout(schedule).describe() == {"kind": "Dropout", "rate": text}


def test_processes_compare_the_rates_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(
        SerialCommunicator, "agree", lambda self, describe, ahead: found.append(describe()["dropout rates"])
    )
    for by in (0.01, 0.02):
        net = bl.Network(
            [bl.Dropout(0.125), bl.Dropout(lambda epoch, by=by: falling(epoch, by)), bl.Dense(2)], inputs=3
        )
        fit(net)
    assert found == [[[0.125] * 3, [0.5, 0.48, 0.46]], [[0.125] * 3, [0.5, 0.46, 0.42]]]


def test_it_comes_back_from_files_and_copies(tmp_path: Path) -> None:
    net = network()
    net.begin_epoch(3)
    bl.save(net, tmp_path / "net")
    again = bl.load(tmp_path / "net")
    assert again.layers[1].schedule == SCHEDULE
    assert repr(again) == repr(net)
    assert "Dropout(FlatCosine(initial=0.6, epochs=4, flat=0.25, final=0.1))" in repr(net)
    copy = pickle.loads(pickle.dumps(net))
    assert (copy.epoch, copy.layers[1].rate) == (3, net.layers[1].rate)  # type: ignore[attr-defined]
    for name in ("Flatcosine", None, 7):
        spec = {**net.layers[1].describe()["rate"], "name": name}  # type: ignore[dict-item]
        with pytest.raises(ConfigurationError, match="there is no schedule"):
            schedule_from_spec(spec)
    with pytest.raises(ConfigurationError, match="a StepDecay cannot be made of"):
        schedule_from_spec({"name": "StepDecay", "begin": 1.0})
    spec = net.spec()
    spec["layers"][1]["rate"] = {"name": {"name": 1}}
    with pytest.raises(ConfigurationError, match="wrong in its layer 1"):
        bl.Network.from_spec(spec)


def test_a_function_of_ones_own_is_in_no_file_and_no_script(tmp_path: Path) -> None:
    net = network(lambda epoch: 0.1)
    assert net.astype("float32").layers[1].rate == 0.1  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="a loss or a schedule of your own, which no file can hold"):
        bl.save(net, tmp_path / "net")
    with pytest.raises(ConfigurationError, match=r"the dropout rate .* is a function of your own"):
        bl.export_numpy(net, tmp_path / "by_hand.py")


def test_a_schedule_that_leaves_the_bounds() -> None:
    for schedule in (lambda epoch: 1.0, lambda epoch: -0.1, lambda epoch: float("nan"), bl.StepDecay(1.5)):
        with pytest.raises(ConfigurationError, match=r"gave the dropout rate \S+ at epoch 0: it must be at least 0"):
            bl.Dropout(schedule)
    with pytest.raises(ConfigurationError) as caught:
        fit(network(lambda epoch: 0.5 * epoch))
    assert str(caught.value) == ("the schedule gave the dropout rate 1 at epoch 2: it must be at least 0 and below 1")


@pytest.mark.parametrize("schedule", [SCHEDULE, bl.CosineDecay(0.5, epochs=5), bl.ExponentialDecay(0.6, rate=0.7)])
def test_the_script_trains_to_the_same_numbers(schedule: Any, tmp_path: Path) -> None:
    layers = [bl.Dropout(0.1), bl.Dense(8, "tanh"), bl.Dropout(schedule), bl.Dropout(bl.StepDecay(0.3, every=2)),
              bl.Dense(2)]  # fmt: skip
    net = bl.Network(layers, inputs=3, dtype="float64", seed=5)
    bl.export_numpy(net, tmp_path / "by_hand.py", optimizer=bl.SGD(0.05))
    script = runpy.run_path(str(tmp_path / "by_hand.py"))
    np.testing.assert_allclose(script["forward"](X), net.forward(X), rtol=1e-13)
    script["train"](X, Y, epochs=5, batch_size=8)
    fit(net, optimizer=bl.SGD(0.05))
    np.testing.assert_allclose(script["W1"], net.parameters.view("1.weight"), rtol=1e-11)


def test_onnx_knows_nothing_of_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    net = network()
    assert bl.export_onnx(net, tmp_path / "net.onnx").largest_difference < 1e-9


@pytest.mark.parametrize("given", [None, "0.1", "much", [0.1], 1j, 10**400], ids=lambda given: type(given).__name__)
def test_a_schedule_that_gives_no_number(given: Any) -> None:
    told = re.escape(f"{given!r} at epoch 3: it must be a number")
    with pytest.raises(ConfigurationError, match=f"^the schedule gave the dropout rate {told}$"):
        bl.Dropout(lambda epoch: given if epoch == 3 else 0.1).begin_epoch(3)
    with pytest.raises(ConfigurationError, match=f"^the schedule gave the learning rate {told}$"):
        fit(network(0.1), optimizer=bl.SGD(lambda epoch: given if epoch == 3 else 0.1))


# ── the lens ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_step_is_explained_with_the_rate_of_its_epoch() -> None:
    net = network()
    for epoch, rate in ((0.0, 0.6), (3.5, 0.225)):
        ledger = bl.explain(net, X, Y, step=4, epoch=epoch)
        np.testing.assert_allclose(np.unique(ledger.layers[1].mask), [0.0, 1.0 / (1.0 - rate)])  # type: ignore[arg-type]
        assert ledger.weight("0.weight", 1, 2).proof.digits > 5
    net.begin_epoch(4)
    assert trace_batch(net, X, Y, step=4).net.layers[1].rate == 0.1  # type: ignore[attr-defined]
    assert bl.check_gradients(net, X, Y, step=4).ok


def test_a_recording_replays_the_masks_of_every_epoch() -> None:
    net, four, recorder = network(), network(), bl.Recorder(every=1000)
    fit(net, callbacks=[recorder])
    fit(four, epochs=4)
    recording = recorder.recording
    values, _ = recording.before(4 * 4)
    assert values.tobytes() == four.parameters.values.tobytes()
    player = recording.player()
    player.at(4 * 3 + 1)
    mask = player.scene.trace.layers[1].mask
    np.testing.assert_allclose(np.unique(mask), [0.0, 1.0 / (1.0 - 0.225)])


def test_the_lab_looks_at_such_a_network_as_it_is() -> None:
    assert settings_of(network()) is None
    assert settings_of(network(0.3)) is not None
