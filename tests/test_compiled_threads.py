"""The compiled engine in several threads: the bits of one, nobody left behind, and who says how many there are."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import BacklitWarning, ConfigurationError, DivergenceError
from backlit.kinds.optimizers import initial_state
from backlit.training.job import Job
from backlit.training.reference import ReferenceEngine
from backlit.training.threads import usable_threads, wanted_threads

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
from backlit.compiled import engine as compiled_engine
from backlit.compiled import team
from backlit.compiled.engine import CompiledEngine
from backlit.compiled.products import DEPTH, FEW_ROWS
from backlit.compiled.update import BLOCK

pytestmark = pytest.mark.xdist_group("compiled")

ROWS = 67
CODES = (40, 3, 300)  # categories of the last columns


@pytest.fixture(autouse=True)
def nobody_is_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())  # one that an earlier test has left may end meanwhile
    yield
    assert set(threading.enumerate()) <= before


RULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "Adam": (bl.Adam(0.01), {}),
    "penalised": (bl.AdamW(0.01, weight_decay=0.1), {"l1": 0.01, "l2": 0.02, "divide_penalty": True}),
    "clipped": (bl.SGD(0.1, momentum=0.5, clip_norm=0.05), {"l2": 0.02}),
}


def job(dtype: str, rule: str, n_threads: int) -> Job:
    """Every layer that the engine knows, with batches of 20 rows and a last one of 7."""
    optimizer, penalties = RULES[rule]
    layers = [
        bl.Embedding(CODES, size=5), bl.Scale("scaled_normal"), bl.NumericEmbedding(scale=0.5, columns=13),
        bl.Dense(37), bl.Parametric("mish", "scaled_normal"), bl.Dropout(bl.CosineDecay(0.5, epochs=2)), bl.BatchNorm(),
        bl.ParallelDense(11, 3, "tanh"), bl.ParallelDense(7, 3, "softmax", shared=False),
        bl.Dense(21, "tanh", bias=False), bl.LayerNorm(), bl.Dense(3, "softmax"),
    ]  # fmt: skip
    net = bl.Network(layers, inputs=19, loss="cross_entropy", dtype=dtype, seed=3, **penalties)
    rng = np.random.default_rng(0)
    Y = np.eye(3)[rng.integers(0, 3, ROWS)].astype(dtype)
    X = np.hstack([rng.normal(size=(ROWS, 16)), rng.integers(0, CODES, (ROWS, 3))])
    state = initial_state(optimizer, net.parameters.size, net.dtype)
    return Job(
        net=net, X=X, Y=Y, weight=rng.uniform(size=ROWS).astype(dtype), optimizer=optimizer,
        state=state, batch_size=20, n_threads=n_threads,
    )  # fmt: skip


def bits(dtype: str, rule: str, n_threads: int, batch_size: int = 20) -> bytes:
    """What two epochs leave: parameters, buffers, gradients, the optimiser's memory and the losses."""
    one = replace(job(dtype, rule, n_threads), batch_size=batch_size)
    engine = CompiledEngine(least_work=1)
    with pytest.MonkeyPatch.context() as patch:
        all_threads(patch)
        losses = [engine.run_steps(one, one.order(epoch), epoch, 0, one.steps).losses for epoch in range(2)]
    parameters = one.net.parameters
    assert np.isfinite(losses).all()
    arrays = parameters.state, parameters.sums, one.state.slots, np.array(losses)
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_bits_of_one(dtype: str, rule: str) -> None:
    alone = bits(dtype, rule, 1)
    for n_threads in (2, 3, 4, 8):
        assert bits(dtype, rule, n_threads) == alone, n_threads


def test_every_layer_at_once_learns_as_in_the_reference() -> None:
    found = []
    for engine in (ReferenceEngine(), CompiledEngine()):
        one = job("float64", "Adam", 1)
        for epoch in range(2):
            engine.run_steps(one, one.order(epoch), epoch, 0, one.steps)
        found.append(one.net.parameters.state)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-9)


def test_threads_do_not_show_in_batches_of_one_row() -> None:
    alone = bits("float32", "Adam", 1, batch_size=1)
    assert bits("float32", "Adam", 2, batch_size=1) == alone
    assert bits("float32", "Adam", 3, batch_size=1) == alone


@pytest.mark.torture
def test_hundreds_of_runs_in_more_threads_than_cores_give_the_same_bits() -> None:
    alone = bits("float32", "penalised", 1)
    for run in range(400):
        assert bits("float32", "penalised", 2 + run % 15) == alone


def large(**settings: Any) -> tuple[bl.Network, bl.History]:
    """A fit with work for four threads in a step; all rows at once, and in batches."""
    net = bl.Network([bl.Dense(300, "relu"), bl.Dense(3, "softmax")], inputs=100, loss="cross_entropy", seed=1)
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(300, 100)), rng.integers(0, 3, 300)
    defaults = {"epochs": 2, "batch_size": 128, "optimizer": bl.Adam(), "engine": "compiled", "progress": False}
    return net, bl.fit(net, X, y, **{**defaults, **settings})


class Teams:
    """Keeps the numbers of threads of all calls, which are as many as there may be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: set[int] = set()

        def counted(run: Any, count: int) -> int:
            self.sizes.add(count)
            return team.run_together(run, count)

        monkeypatch.setattr(compiled_engine, "run_together", counted)
        all_threads(monkeypatch)


def all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team.TeamSize, "choose", lambda self: (self.most, math.inf))


@pytest.mark.parametrize("batch_size", [128, None])
def test_fit_takes_n_threads_and_gives_the_same_bits(batch_size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    teams = Teams(monkeypatch)
    found = []
    for n_threads in (1, 2, 4):
        found.append(large(batch_size=batch_size, n_threads=n_threads)[0].parameters.values)
        assert teams.sizes == {n_threads}
        teams.sizes.clear()
    for values in found[1:]:
        np.testing.assert_array_equal(values, found[0])


@pytest.mark.parametrize(
    ("inputs", "units", "batch_size"),
    [(1000, [2100, 2], 32), (1000, [300], FEW_ROWS), (BLOCK // 300 + 100, [300, 2], DEPTH + 5)],
    ids=["whose delta is copied once", "whose delta alone is copied", "whose delta is copied for each"],
)
def test_a_weight_of_several_pieces_is_that_of_the_reference(
    inputs: int, units: list[int], batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_threads(monkeypatch)
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(2 * batch_size, inputs)), rng.normal(size=(2 * batch_size, units[-1]))
    found = []
    for settings in ({"engine": "reference"}, {"n_threads": 1}, {"n_threads": 3}):
        net = bl.Network([bl.Dense(n, "tanh") for n in units], inputs=inputs, seed=2)
        defaults: dict[str, Any] = {"engine": "compiled", "optimizer": bl.SGD(0.01), "epochs": 1}
        defaults["batch_size"] = batch_size
        bl.fit(net, X, y, progress=False, **{**defaults, **settings})
        found.append(net.parameters.values)
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_array_equal(found[2], found[1])


def test_small_steps_are_taken_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    teams = Teams(monkeypatch)
    large(batch_size=10, n_threads=4)
    assert teams.sizes == {1}


def sizes_chosen(seconds_of_a_step: dict[int, float], steps: int) -> list[int]:
    """The sizes that a team of at most 8 has in so many steps, if these take so long."""
    size, chosen = team.TeamSize(8), []
    while len(chosen) < steps:
        threads, at_most = size.choose()
        taken = int(min(at_most, steps - len(chosen), 50))
        size.note(taken, taken * seconds_of_a_step[threads])
        chosen += [threads] * taken
    return chosen


@pytest.mark.parametrize("best", [1, 2, 4, 8])
def test_the_number_of_threads_is_what_is_fastest(best: int) -> None:
    """Tried three times for a hundredth of a second each, up to the first that is slower; then kept for a second."""
    chosen = sizes_chosen({n: 0.001 * (1 + abs(math.log2(n / best))) for n in (1, 2, 4, 8)}, 3000)
    assert set(chosen[:150]) == {n for n in (1, 2, 4, 8) if n <= 2 * best}
    assert chosen[150:900] == [best] * 750
    assert chosen.count(best) > 2600
    assert set(chosen[150:]) == {n for n in (1, 2, 4, 8) if best <= 2 * n and n <= 2 * best}


def test_a_core_that_begins_with_an_empty_cache_is_not_taken_for_a_slow_one() -> None:
    size, chosen, last = team.TeamSize(2), [], 1
    while len(chosen) < 200:
        threads, at_most = size.choose()
        taken = int(min(at_most, 50))
        size.note(taken, taken * (0.004 if threads > last else 0.002 / threads))  # slow when it is new
        last = threads
        chosen += [threads] * taken
    assert chosen[150:] == [2] * len(chosen[150:])


def test_a_number_of_threads_that_has_become_slow_is_left() -> None:
    size = team.TeamSize(2)
    threads, chosen = 0, []
    for step in range(6000):
        threads, _ = size.choose()
        slow = 2 if step > 3000 else 1
        size.note(1, 0.003 if threads == slow else 0.001)
        chosen.append(threads)
    assert chosen[100:900] == [2] * 800
    assert chosen[5500:5900] == [1] * 400


# ── who says how many ──────────────────────────────────────────────────────────────────────────────────────
def test_the_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_NUM_THREADS", " 3 ")
    assert wanted_threads(None) == 3
    assert wanted_threads(2) == 2
    monkeypatch.setenv("BACKLIT_NUM_THREADS", "")
    assert wanted_threads(None) is None


def test_unless_said_there_are_as_many_as_cores_or_as_others_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert usable_threads(None) == cores
    assert usable_threads(7) == 7
    for said, expected in (("1", 1), ("9999", cores), ("2,1", cores), ("0", cores)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert usable_threads(None) == expected


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_threads_that_is_none(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_NUM_THREADS", said)
    with pytest.raises(
        ConfigurationError, match=f"BACKLIT_NUM_THREADS must be a whole number of at least 1, received '{said}'"
    ):
        large()


@pytest.mark.parametrize("n_threads", [0, -2, 1.5, "2", True])
def test_n_threads_that_is_none(n_threads: Any) -> None:
    with pytest.raises(ConfigurationError, match="n_threads must be a whole number of at least 1, received"):
        large(n_threads=n_threads)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_an_estimator_hands_its_threads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    teams = Teams(monkeypatch)
    X = np.random.default_rng(0).normal(size=(300, 100))
    bl.MLPRegressor(hidden_layer_sizes=(300,), engine="compiled", n_threads=3, max_iter=1, batch_size=128).fit(
        X, X[:, 0]
    )
    assert teams.sizes == {3}


# ── what ends early ────────────────────────────────────────────────────────────────────────────────────────
def test_divergence_ends_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    all_threads(monkeypatch)
    with pytest.raises(DivergenceError):
        large(optimizer=bl.SGD(1e30), n_threads=3, epochs=20)


@pytest.mark.filterwarnings("ignore:training was interrupted")
def test_ctrl_c_ends_all_threads_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    all_threads(monkeypatch)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    net, history = large(n_threads=3, epochs=1_000_000)
    timer.join()
    assert history.stopped is not None
    assert "interrupted" in history.stopped
    assert np.isfinite(net.parameters.values).all()


class Looking(bl.Callback):
    """Looks after every step, and forks there."""

    every_steps = 1

    def __init__(self) -> None:
        self.steps = 0
        self.codes: list[int] = []
        self.threads = set(threading.enumerate())

    def on_steps_end(self, training: Any, done: int, total: int) -> None:
        self.steps += 1
        assert set(threading.enumerate()) <= self.threads
        if self.steps == 2 and hasattr(os, "fork"):
            child = os.fork()
            if child == 0:
                _, history = large(n_threads=2, epochs=1)
                os._exit(0 if np.isfinite(history["loss"]).all() else 1)
            self.codes.append(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
def test_between_steps_there_are_no_threads_and_a_fork_trains_on(monkeypatch: pytest.MonkeyPatch) -> None:
    all_threads(monkeypatch)
    large(n_threads=2)
    looking = Looking()
    large(n_threads=2, callbacks=[looking])
    assert looking.steps == 6
    assert looking.codes == [0]


# ── what goes wrong among them ─────────────────────────────────────────────────────────────────────────────
def test_a_system_without_threads_trains_in_one_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    all_threads(monkeypatch)
    expected = large(n_threads=3)[0].parameters.values.copy()
    start, count = threading.Thread.start, [0]

    def second_fails(thread: threading.Thread) -> None:
        count[0] += 1
        if count[0] % 2 == 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", second_fails)
    with pytest.warns(BacklitWarning, match=r"the system gives no more threads \(can't start new thread\)"):
        net, _ = large(n_threads=3)
    np.testing.assert_array_equal(net.parameters.values, expected)


def test_an_error_in_one_thread_is_that_of_the_call() -> None:
    def run(one: team.Team) -> int:
        if one.place == 1:
            raise MemoryError("no room")
        while not one.signals.any():
            time.sleep(0.001)
        return 0

    with pytest.raises(MemoryError, match="no room"):
        team.run_together(run, 3)


def test_an_error_in_the_first_thread_lets_the_others_go() -> None:
    def run(one: team.Team) -> int:
        if one.place == 0:
            raise KeyboardInterrupt
        while not one.signals.any():
            time.sleep(0.001)
        return 0

    with pytest.raises(KeyboardInterrupt):
        team.run_together(run, 3)
