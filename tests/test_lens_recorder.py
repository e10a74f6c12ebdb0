"""The recorder and its player, against an independent look at the same run: every number bit for bit."""

from __future__ import annotations

import contextlib
import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError, FileMissingError, ModelFileError, NotFittedError, OutputError
from backlit.kinds.optimizers import OPTIMIZERS as ALL_OPTIMIZERS
from backlit.kinds.schedules import SCHEDULES
from backlit.lens.recording.file import optimizer_from_spec, optimizer_spec
from backlit.lens.recording.frames import Frame
from backlit.lens.recording.player import GRAINS, Player
from backlit.lens.recording.recorder import Recorder
from backlit.lens.recording.recording import Recording
from backlit.parameters import Array
from backlit.training.callbacks import Callback, Training

RNG = np.random.default_rng(5)
X = RNG.standard_normal((50, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
WEIGHT = RNG.uniform(0.5, 2.0, 50)


class Watch(Callback):
    """The parameters after every step, looked at by ourselves."""

    every_steps = 1

    def __init__(self) -> None:
        self.values: list[Array] = []

    def on_fit_begin(self, training: Training) -> None:
        self.values = [training.net.parameters.values.copy()]

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        self.values.append(training.net.parameters.values.copy())


def network(**settings: Any) -> bl.Network:
    layers: list[Any] = [bl.Dense(4, "tanh"), bl.Dropout(0.2), bl.Dense(3, "relu", bias=False), bl.Dense(2, "softmax")]
    return bl.Network(layers, inputs=3, loss="cross_entropy", **{"seed": 3, "l2": 0.01} | settings)


def recorded(
    recorder: Recorder, net: bl.Network | None = None, data: Any = (X, Y), **settings: Any
) -> tuple[Recording, list[Array]]:
    """A run, recorded and watched."""
    watch = Watch()
    plan: dict[str, Any] = {"epochs": 4, "batch_size": 8, "optimizer": bl.Adam(0.01), "progress": False} | settings
    bl.fit(network() if net is None else net, *data, callbacks=[recorder, watch], **plan)
    return recorder.recording, watch.values


#: What schedules take besides the initial rate.
MORE: dict[str, dict[str, float]] = {key: {"epochs": 4} for key in ("CosineDecay", "FlatCosine", "CosineCycles")}

OPTIMIZERS: list[Any] = [
    *(kind(0.01) for kind in ALL_OPTIMIZERS.values()),
    *(bl.AdamW(kind(0.01, **MORE.get(kind.__name__, {})), weight_decay=0.1) for kind in SCHEDULES),
    bl.SGD(0.1, momentum=0.9, nesterov=True),
    bl.SGD(bl.CosineDecay(0.2, epochs=4), clip_norm=0.5),
    bl.Adam(0.01, epsilon_hat=True),
]


# ── what is kept ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_step_taken_again_gives_the_next_parameters_bit_for_bit(optimizer: Any) -> None:
    recording, values = recorded(Recorder(), optimizer=optimizer, sample_weight=WEIGHT)
    assert [c.step for c in recording.checkpoints] == list(range(29))
    player = recording.player()
    for step in recording.steps:
        assert np.array_equal(recording.checkpoints[step].values, values[step])
        player.at(step)
        assert np.array_equal(player.ledger.step.before, values[step])
        assert np.array_equal(player.ledger.step.after, values[step + 1])
    assert recording.replay_error() == 0.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_steps_between_checkpoints_are_had_again_bit_for_bit(optimizer: Any) -> None:
    recording, values = recorded(Recorder(every=11), optimizer=optimizer)
    assert [c.step for c in recording.checkpoints] == [0, 11, 22, 28]
    for step in [*range(29), 5, 27, 3, 12]:  # forwards, and hither and thither
        assert np.array_equal(recording.before(step)[0], values[step])


def test_the_recording_thins_itself_out_within_its_bound() -> None:
    bound = 12_000
    recording, values = recorded(Recorder(max_bytes=bound), epochs=30)
    assert recording.interval == 32
    assert [c.step for c in recording.checkpoints] == [*range(0, 209, 32), 210]
    assert recording.nbytes <= bound
    assert recording.nbytes == sum(c.nbytes for c in recording.checkpoints) + X.nbytes + 50 * 2 * 4
    assert np.array_equal(recording.before(209)[0], values[209])
    again, _ = recorded(Recorder(max_bytes=bound), epochs=30)
    assert [c.step for c in again.checkpoints] == [c.step for c in recording.checkpoints]


def test_the_bound_holds_for_the_memory_that_python_really_takes() -> None:
    bound = 300_000
    net = bl.Network([bl.Dense(1)], inputs=1)
    recorder = Recorder(max_bytes=bound)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    bl.fit(net, [[1.0]] * 10, [1.0] * 10, epochs=400, batch_size=1, callbacks=[recorder], progress=False)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(recorder.recording.checkpoints) > 300
    assert bound / 4 < taken < bound + 150_000  # the history of 400 epochs, and what fit itself keeps


def test_a_resumed_run_goes_on_counting() -> None:
    net = network()
    history = bl.fit(net, X, Y, epochs=2, batch_size=8, optimizer=bl.Adam(0.01), progress=False)
    recording, values = recorded(Recorder(every=3), net, epochs=2, resume=history)
    assert [c.step for c in recording.checkpoints] == [14, 15, 18, 21, 24, 27, 28]
    assert recording.epoch_of(14) == (3, 0)
    assert np.array_equal(recording.before(20)[0], values[6])
    assert recording.player().at(14).title == "Step 14, epoch 3, batch 1 of 7"


def test_images_in_bytes_are_replayed_as_they_were() -> None:
    images = RNG.integers(0, 256, (40, 3), dtype=np.uint8)
    for data in (images, images.astype(np.int64), images > 100):
        recording, values = recorded(
            Recorder(every=5), network(input_scale=1 / 255), (data, Y[:40]), shuffle=False, epochs=2
        )
        assert np.array_equal(recording.before(9)[0], values[9])


@pytest.mark.xdist_group("compiled")
def test_what_the_compiled_engine_did_is_replayed_to_rounding() -> None:
    pytest.importorskip("numba", reason="the compiled engine needs Numba")
    recording, values = recorded(Recorder(every=7), network(dtype="float64"), engine="compiled")
    assert recording.engine == "compiled"
    assert [c.step for c in recording.checkpoints] == [0, 7, 14, 21, 28]
    assert recording.replay_error() < 1e-12
    assert np.allclose(recording.before(17)[0], values[17], rtol=1e-11, atol=1e-13)


class Noisy:
    """A source whose rows are others in every epoch."""

    shape = (50, 3)

    def fetch(self, rows: Array, out: Array, *, epoch: int) -> None:
        out[...] = X[rows] + epoch


WIDE = np.tile(X, (1, 60))  # 36 kB


@pytest.mark.parametrize(
    ("data", "net", "bound", "rows"),
    [
        (Noisy(), network(), 20_000, lambda rows, epoch: X[rows] + np.float32(epoch - 1)),
        (
            WIDE,
            bl.Network([bl.Dense(2, "softmax")], inputs=180, loss="cross_entropy"),
            50_000,
            lambda rows, _: WIDE[rows],
        ),
    ],
    ids=["a source", "more than half of max_bytes"],
)
def test_data_that_is_not_kept_whole_is_kept_with_each_recorded_step(
    data: Any, net: bl.Network, bound: int, rows: Callable[[Array, int], Array]
) -> None:
    recording, values = recorded(Recorder(max_bytes=bound), net, (data, Y), epochs=6)
    assert recording.data is None
    assert recording.nbytes <= bound
    assert len(recording.steps) < len(values) - 1
    player = recording.player()
    for step in recording.steps:
        player.at(step)
        assert np.array_equal(player.ledger.trace.inputs, rows(recording.rows_of(step), recording.epoch_of(step)[0]))
        assert np.array_equal(player.ledger.step.after, values[step + 1])
    assert player.at(0).step < player.next("batch").step == recording.interval
    with pytest.raises(ConfigurationError, match="step 1 cannot be shown: this recording keeps rows only at every"):
        player.at(1)


def test_a_run_that_diverges_is_recorded_up_to_there() -> None:
    recorder = Recorder()
    net = bl.Network([bl.Dense(3), bl.Dense(1)], inputs=3)
    with pytest.raises(bl.BacklitError, match="diverged"):
        bl.fit(net, 100 * X, Y, epochs=9, optimizer=bl.SGD(1.0), callbacks=[recorder], progress=False)
    assert all(np.isfinite(c.values).all() for c in recorder.recording.checkpoints)


@pytest.mark.parametrize(
    ("recorder", "settings", "fragment"),
    [
        (Recorder(), {"optimizer": bl.LBFGS(), "batch_size": None}, "has a loop of its own"),
        (Recorder(), {"gradient": "finite_difference"}, "leave out gradient="),
        (Recorder(max_bytes=2000), {}, r"max_bytes=2,000 is too small: .* give at least \d"),
    ],
)
def test_what_cannot_be_recorded(recorder: Recorder, settings: dict[str, Any], fragment: str) -> None:
    layers = [bl.Dense(4, "tanh"), bl.Dense(2, "softmax")]
    net = bl.Network(layers, inputs=3, loss="cross_entropy")
    with pytest.raises(ConfigurationError, match=fragment):
        recorded(recorder, net, **settings)
    with pytest.raises(NotFittedError, match="nothing has been recorded yet"):
        _ = recorder.recording


@pytest.mark.parametrize("bad", [{"every": 0}, {"every": 1.5}, {"max_bytes": -1}])
def test_settings_that_cannot_be(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be a whole number of at least 1"):
        Recorder(**bad)


def test_a_callback_sees_every_kth_step_of_the_run() -> None:
    seen: list[int] = []

    class Every(Callback):
        every_steps = 3

        def on_steps_end(self, training: Training, done: int, total: int) -> None:
            assert training.job is not None
            seen.append(training.job.state.step)

    bl.fit(network(), X, Y, epochs=2, batch_size=8, callbacks=[Every()], progress=False)
    assert seen == [3, 6, 7, 9, 12, 14]  # and the ends of the epochs


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_recording_comes_back_bit_for_bit(tmp_path: Path, optimizer: Any) -> None:
    recording, values = recorded(Recorder(every=3), optimizer=optimizer, sample_weight=WEIGHT, validation=(X, Y))
    recording.save(tmp_path / "run.backlit")
    again = Recording.load(tmp_path / "run.backlit")
    assert str(again) == str(recording)
    assert repr(again) == repr(recording)
    assert again.history.to_dict() == recording.history.to_dict()
    assert optimizer_spec(again.optimizer) == optimizer_spec(optimizer)
    for step in (0, 7, 27):
        assert np.array_equal(again.before(step)[0], values[step])
        assert again.player().at(step).to_dict() == recording.player().at(step).to_dict()


def test_bytes_and_rows_kept_with_checkpoints_come_back(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (50, 3), dtype=np.uint8)
    for data, bound in ((images, 64 * 2**20), (Noisy(), 64 * 2**20)):
        recording, values = recorded(Recorder(every=2, max_bytes=bound), network(input_scale=1 / 255), (data, Y))
        recording.save(tmp_path / "run")
        again = Recording.load(tmp_path / "run")
        assert (again.data is None) == (recording.data is None)
        assert list(again.steps) == list(recording.steps)
        player = again.player()
        for step in list(again.steps)[:6]:
            player.at(step)
            assert np.array_equal(player.ledger.step.after, values[step + 1])


def test_an_unfinished_history_comes_back(tmp_path: Path) -> None:
    recording, _ = recorded(Recorder(), epochs=2)
    recording.history.amend(later=1.0)  # NaN in the epoch before
    recording.history.stopped = "enough"
    recording.save(tmp_path / "run")
    again = Recording.load(tmp_path / "run").history
    assert np.isnan(again["later"][0])
    assert (again["later"][1], again.stopped, again.best_epoch) == (1.0, "enough", None)


def test_what_no_file_can_hold(tmp_path: Path) -> None:
    own_rate, _ = recorded(Recorder(), optimizer=bl.SGD(lambda epoch: 0.1), epochs=1)
    with pytest.raises(ConfigurationError, match=r"a function of your own, which no file can hold: StepDecay"):
        own_rate.save(tmp_path / "run")
    net = bl.Network([bl.Dense(2, (lambda z: z, lambda z: np.ones_like(z)))], inputs=3)
    own_activation, _ = recorded(Recorder(), net, (X, X[:, :2]), epochs=1)
    with pytest.raises(ConfigurationError, match="an activation, a loss or a schedule of your own"):
        own_activation.save(tmp_path / "run")

    class Own:
        learning_rate, clip_norm, slots = 0.1, None, ()

    with pytest.raises(ConfigurationError, match="an optimiser of your own"):
        optimizer_spec(Own())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    recording, _ = recorded(Recorder(), epochs=1)
    with pytest.raises(OutputError, match="it is a folder"):
        recording.save(tmp_path)
    with pytest.raises(FileMissingError, match="there is no recording"):
        Recording.load(tmp_path / "none")
    with pytest.raises(ModelFileError, match="cannot be read"):
        Recording.load(tmp_path)
    bl.save(network(), tmp_path / "net")
    with pytest.raises(ModelFileError, match="is not a recording"):
        Recording.load(tmp_path / "net")
    recording.save(tmp_path / "run")
    with pytest.raises(ModelFileError, match="not a Backlit model"):
        bl.load(tmp_path / "run")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("recording") / "run"
    recorded(Recorder(every=6))[0].save(path)
    return path.read_bytes()


def with_header(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def about(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """Change the description of the recording."""

    def change(header: dict[str, Any]) -> None:
        description = json.loads(header["__metadata__"]["recording"])
        header["__metadata__"]["recording"] = json.dumps(description | changes)

    return change


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (about(steps=[0, 6, 12]), "do not fit the network and the optimiser"),
        (about(steps=[0, 12, 6, 18, 24, 28]), "its steps are not in order"),
        (about(steps=[0, 6, 12, 18, 24, 28.0]), "a step is 28.0 instead of a whole number"),
        (about(first_step=1), "its steps are not in order"),
        (about(n=51), "its rows have the shape"),
        (about(n=-1), "n is -1 instead of a whole number"),
        (about(batch_size=0), "its batches do not fit its rows"),
        (about(interval=0), "its batches do not fit its rows"),
        (about(whole_data=False), "its rows have the shape"),
        (about(optimizer={"name": "os.system"}), "os.system"),
        (about(optimizer={"name": "Adam", "learning_rate": -1.0}), "learning_rate must be"),
        (about(optimizer={"name": "Adam", "unknown": 1}), "unknown"),
        (about(optimizer={"name": "SGD", "learning_rate": 0.1}), "its rows|do not fit|it does not hold"),
        (about(optimizer={"name": "Adam", "learning_rate": {"name": "eval"}}), "eval"),
        (about(engine=3), "3 is not a text"),
        (about(epochs=2**40), "does not have a value for each epoch"),
        (about(history={"loss": [0.1]}), "does not have a value for each epoch"),
        (about(history=[]), "damaged"),
        (lambda h: h["__metadata__"].update(recording="[]"), "not a JSON object"),
        (lambda h: h["__metadata__"].update(network='{"a": 1, "a": 2}'), "a key stands twice"),
        (lambda h: h["__metadata__"].update(format_version="9"), "upgrade it"),
        (lambda h: h["__metadata__"].update(format="backlit"), "is not a recording"),
        (lambda h: h["values"].update(dtype="U8"), "damaged"),
        (lambda h: h["values"].update(shape=[1, *h["values"]["shape"]]), "do not fit the network"),
        (lambda h: h.update(extra=h.pop("Y")), "the rows that a recording has"),
    ],
)
def test_damaged_files(saved: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], object], fragment: str) -> None:
    (tmp_path / "bad").write_bytes(with_header(saved, change))
    with pytest.raises(ModelFileError, match=fragment):
        Recording.load(tmp_path / "bad")


def test_numbers_that_are_not_finite(saved: bytes, tmp_path: Path) -> None:
    data = bytearray(saved)
    data[-4:] = struct.pack("<f", float("inf"))
    (tmp_path / "bad").write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match="is not made of finite float32 numbers"):
        Recording.load(tmp_path / "bad")


def test_flipping_any_byte_is_either_refused_or_harmless(saved: bytes, tmp_path: Path) -> None:
    for position in range(0, len(saved), 13):
        damaged = bytearray(saved)
        damaged[position] ^= 0x15
        (tmp_path / "bad").write_bytes(bytes(damaged))
        with contextlib.suppress(ModelFileError):  # any other exception fails the test
            Recording.load(tmp_path / "bad")


def test_every_optimiser_has_a_description_and_comes_back() -> None:
    for optimizer in OPTIMIZERS:
        spec = json.loads(json.dumps(optimizer_spec(optimizer)))
        assert optimizer_spec(optimizer_from_spec(spec)) == optimizer_spec(optimizer)


# ── walking ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def player() -> Player:
    return recorded(Recorder(every=4), data=(X[:10], Y[:10]), epochs=2, batch_size=4)[0].player()


def places(player: Player, grain: Any, ahead: bool) -> list[tuple[int, ...]]:
    """All places from one end of the recording to the other."""
    found: list[tuple[int, ...]] = [player.place.digits]
    move = player.next if ahead else player.previous
    with contextlib.suppress(ConfigurationError):
        while True:
            move(grain)
            found.append(player.place.digits)
    return found


def expected_places(grain: str) -> list[tuple[int, ...]]:
    """Counted out by nested loops: units and terms of every stage of the network 3 → 4 → dropout → 3 → 2."""
    stages = [(4, 4), (4, 1), (3, 4), (2, 4), (2, 1), (2, 4), (3, 2), (3, 4), (4, 3), (4, 4)]
    finer = ["batch", "sample", "layer", "neuron", "product"].index(grain)
    found: list[tuple[int, ...]] = []
    for step in range(6):
        for sample in range(2 if step % 3 == 2 else 4):
            for stage, (units, terms) in enumerate(stages):
                for unit in range(units):
                    for term in range(terms):
                        place = (step, sample, stage, unit, term)
                        if not any(place[finer + 1 :]):
                            found.append(place)
    return found


@pytest.mark.parametrize("grain", ["product", "neuron", "layer", "sample", "batch"])
def test_walking_forwards_and_backwards_visits_every_place_once(player: Player, grain: str) -> None:
    player.at(0)
    ahead = places(player, grain, True)
    assert ahead == expected_places(grain)
    assert places(player, grain, False) == ahead[::-1]


def test_walking_by_epochs(player: Player) -> None:
    player.at(1, sample=2)
    assert player.next("epoch").title == "Epoch 2"
    assert player.place.digits == (3, 0, 0, 0, 0)
    with pytest.raises(ConfigurationError, match="the recording ends in epoch 2: there is nothing after it"):
        player.next("epoch")
    player.at(5)
    assert player.previous("epoch").step == 0
    with pytest.raises(ConfigurationError, match="begins in epoch 1: there is nothing before it"):
        player.previous("epoch")


def test_the_ends_of_a_recording(player: Player) -> None:
    player.at(5)
    with pytest.raises(ConfigurationError, match="the recording ends with step 5: there is nothing after it"):
        player.next("batch")
    player.at(0)
    with pytest.raises(ConfigurationError, match="the recording begins with step 0: there is nothing before it"):
        player.previous("product")
    assert player.place.digits == (0, 0, 0, 0, 0)  # where it was


@pytest.mark.parametrize(
    ("place", "fragment"),
    [
        ({"step": 6}, "there is no step 6 in this recording: it has the steps 0 to 5"),
        ({"step": -1}, "there is no step -1"),
        ({"step": "1"}, "there is no step '1'"),
        ({"step": 2, "sample": 2}, "there is no sample 2 here: choose 0 to 1"),
        ({"step": 0, "layer": 4}, "layer 4 has no forward stage: layers 0, 1, 2, 3 have one"),
        ({"step": 0, "layer": 1, "direction": "backward"}, "layers 0, 2, 3 have one"),
        ({"step": 0, "direction": "sideways"}, "direction must be one of"),
        ({"step": 0, "layer": 0, "unit": 4}, "there is no unit 4 here: choose 0 to 3"),
        ({"step": 0, "layer": 0, "unit": True}, "there is no unit True here"),
        ({"step": 0, "layer": 0, "unit": 0, "term": 4}, "there is no term 4 here: choose 0 to 3"),
    ],
)
def test_places_that_are_not(player: Player, place: dict[str, Any], fragment: str) -> None:
    with pytest.raises(ConfigurationError, match=fragment):
        player.at(**place)


def test_a_grain_that_is_not(player: Player) -> None:
    with pytest.raises(ConfigurationError, match="grain must be one of"):
        player.next("week")  # type: ignore[arg-type]


def test_a_recording_without_a_step_has_no_player() -> None:
    recorder = Recorder()

    class Failing(Callback):
        def on_fit_begin(self, training: Training) -> None:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        bl.fit(network(), X, Y, callbacks=[recorder, Failing()], progress=False)
    with pytest.raises(ConfigurationError, match="has no step to show: training ended before the first one was over"):
        recorder.recording.player()


# ── the frames ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def by_hand() -> tuple[Player, dict[str, Array]]:
    """A step of a small network, worked out here in NumPy."""
    layers = [bl.Dense(4, "tanh"), bl.Dense(3, "sigmoid"), bl.Dense(2)]
    net = bl.Network(layers, inputs=3, dtype="float64", l2=0.1, seed=1)
    X64 = X[:6].astype(np.float64)
    T = RNG.standard_normal((6, 2))
    recorder = Recorder()
    bl.fit(net, X64, T, epochs=2, batch_size=6, optimizer=bl.SGD(0.2), callbacks=[recorder], progress=False)
    theta = recorder.recording.checkpoints[1].values
    parts = np.split(theta, np.cumsum([12, 4, 12, 3, 6]))
    W1, b1, W2, b2, W3, b3 = (p.reshape(s) for p, s in zip(parts, [(3, 4), 4, (4, 3), 3, (3, 2), 2], strict=True))
    z1 = X64 @ W1 + b1
    a1 = np.tanh(z1)
    z2 = a1 @ W2 + b2
    a2 = 1 / (1 + np.exp(-z2))
    z3 = a2 @ W3 + b3
    d3 = z3 - T
    d2 = (d3 @ W3.T) * a2 * (1 - a2)
    d1 = (d2 @ W2.T) * (1 - a1**2)
    numbers = {"X": X64, "W1": W1, "b1": b1, "z1": z1, "a1": a1, "W2": W2, "a2": a2, "z3": z3, "T": T}
    return recorder.recording.player(), numbers | {"d1": d1, "d2": d2, "d3": d3, "theta": theta}


def test_the_numbers_of_every_grain_are_those_worked_out_by_hand(by_hand: tuple[Player, dict[str, Array]]) -> None:
    player, n = by_hand
    close = pytest.approx
    row, unit = 4, 2

    frame = player.at(1, sample=row, direction="forward", layer=0, unit=unit, term=1)
    product = n["X"][row, 1] * n["W1"][1, unit]
    assert frame.values["product"] == close(product)
    assert frame.values["so_far"] == close(n["X"][row, 0] * n["W1"][0, unit] + product)
    assert player.frame("neuron").values == {"z": close(n["z1"][row, unit]), "a": close(n["a1"][row, unit])}
    assert player.frame("layer").values == {"z": close(n["z1"][row].tolist()), "a": close(n["a1"][row].tolist())}
    bias = player.at(1, sample=row, direction="forward", layer=0, unit=unit, term=3)
    assert bias.values["product"] == close(n["b1"][unit])
    assert bias.values["so_far"] == close(n["z1"][row, unit])  # the last term completes the sum

    frame = player.at(1, sample=row, direction="backward", layer=0, unit=unit, term=0)
    assert frame.values["product"] == close(n["W2"][unit, 0] * n["d2"][row, 0])
    values = player.frame("neuron").values
    assert values["upstream"] == close(n["d2"][row] @ n["W2"][unit])
    assert values["slope"] == close(1 - n["a1"][row, unit] ** 2)
    assert values["delta"] == close(n["d1"][row, unit])
    assert player.frame("layer").values["delta"] == close(n["d1"][row].tolist())

    frame = player.at(1, sample=row, direction="gradient", layer=0, unit=unit, term=1)
    assert frame.values["product"] == close(n["X"][row, 1] * n["d1"][row, unit])
    assert frame.values["share"] == close(n["X"][row, 1] * n["d1"][row, unit] / 6)
    gradient = n["X"][:, 1] @ n["d1"][:, unit] / 6 + 0.1 * n["W1"][1, unit]
    assert frame.values["gradient"] == close(gradient)
    assert player.frame("neuron").values["products"] == close([*(n["X"][row] * n["d1"][row, unit]), n["d1"][row, unit]])

    output = player.at(1, sample=row, direction="backward", layer=2, unit=1)
    assert output.values["delta"] == close(n["d3"][row, 1])

    losses = 0.5 * (n["d3"] ** 2).sum(axis=1)
    sample = player.frame("sample").values
    assert sample["loss"] == close(losses[row])
    assert (sample["output"], sample["target"]) == (close(n["z3"][row].tolist()), close(n["T"][row].tolist()))

    batch = player.frame("batch").values
    w = n["theta"] * player.recording.net.parameters.weight_mask
    assert batch["loss_before"] == close(losses.mean() + 0.05 * w @ w)
    assert batch["loss_before"] == close(player.recording.history["loss"][1])
    after = player.recording.checkpoints[2].values
    assert batch["update_norm"] == close(np.linalg.norm(after - n["theta"]))
    assert batch["update_norm"] == close(0.2 * batch["gradient_norm"])
    assert sorted(batch["rows"]) == list(range(6))

    epoch = player.frame("epoch").values
    where = player.recording.net.parameters.slice("1.weight")
    assert epoch["moved"]["1.weight"] == close(np.linalg.norm((after - n["theta"])[where]))
    assert epoch["loss"] == player.recording.history["loss"][1]


def test_dropout_is_at_work_in_a_frame_with_the_mask_of_its_step(player: Player) -> None:
    frame = player.at(3, sample=1, layer=1)
    mask = np.array(frame.values["mask"], np.float32)
    assert set(mask) <= {np.float32(0), np.float32(1.25)}
    drawn, room = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
    layer: Any = player.recording.net.layers[1]
    layer.draw_mask(drawn, room, (3, 1, 3))
    assert np.array_equal(mask, drawn[1])
    unit = player.at(3, sample=1, direction="backward", layer=0, unit=0)
    assert "· m_0 · f′(z_0)" in str(unit)


def test_the_pages(by_hand: tuple[Player, dict[str, Array]]) -> None:
    player, _ = by_hand
    frame = player.at(1, sample=4, direction="backward", layer=1, unit=2)
    lines = str(frame).splitlines()
    assert lines[0].startswith("Step 1, epoch 2, batch 1 of 1, row ")
    assert lines[1] == "backward, layer 1, Dense(3, 'sigmoid'), unit 2"
    assert lines[3].startswith("  delta_2 = ")
    assert lines[5] == "  delta_2 = (Σ_k w[2, k] delta_k) · f′(z_2)"
    assert all(len(line) <= 100 for line in lines)
    layer = str(player.frame("layer"))
    assert "dL/da_in = delta Wᵀ    (6 samples × 2 units) · (2 units × 3 inputs) → (6 samples × 3 inputs)" in layer
    assert all(len(line) <= 100 for line in layer.splitlines())


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("direction", ["forward", "backward", "gradient"])
def test_every_grain_has_every_surface(player: Player, grain: Any, direction: Any) -> None:
    player.at(4, sample=1, direction=direction, layer=2, unit=1)
    frame: Frame = player.frame(grain)
    result = json.loads(json.dumps(frame.to_dict(), allow_nan=False))
    assert result["grain"] == grain
    assert result["place"]["step"] == 4
    assert frame.line
    assert frame.line in str(frame).replace("\n  ", " ")
    assert frame.title in frame._repr_html_()
    assert "rich.text" in type(frame.__rich__()).__module__


@pytest.mark.parametrize(
    ("layers", "loss", "targets"),
    [
        ([bl.Dense(3, "softmax"), bl.Dense(2, "softmax")], "squared_error", "labels"),
        ([bl.Dropout(0.5), bl.Dense(3, "softplus"), bl.Dropout(0.1), bl.Dropout(0.1), bl.Dense(1)], "huber", "values"),
        ([bl.Dense(1)], "hinge", "labels"),
        ([bl.Dense(1, "sigmoid")], "cross_entropy", "labels"),
        ([bl.Dense(2, "sigmoid")], "cross_entropy", "many"),
        ([bl.Dense(1, "exp", bias=False)], "poisson", "counts"),
    ],
)
def test_every_kind_of_network_can_be_walked_through(layers: list[Any], loss: str, targets: str) -> None:
    y: dict[str, Any] = {
        "labels": np.array(["no", "yes"])[Y[:12]],
        "values": X[:12, 0],
        "many": (X[:12, :2] > 0).astype(float),
        "counts": Y[:12] + 1.0,
    }
    net = bl.Network(layers, inputs=3, loss=loss)
    recording, _ = recorded(Recorder(), net, (X[:12], y[targets]), epochs=1, batch_size=6, optimizer=bl.SGD(0.01))
    player = recording.player()
    lines = [player.frame("product").line]
    with contextlib.suppress(ConfigurationError):
        while player.place.sample < 1:
            lines.append(player.next("product").line)
    assert len(lines) == 1 + sum(stage.units * stage.terms for stage in player.stages)
    assert all("nan" not in line for line in lines)


def test_the_summary_of_a_recording() -> None:
    recording, _ = recorded(Recorder(every=4))
    text = str(recording)
    assert "28, in epochs 1 to 4 of 7 steps" in text
    assert "8 checkpoints, after every 4 steps" in text
    assert "all 50 rows" in text
    assert "the reference engine" in text
    assert "Recording of a training run" in recording._repr_html_()
