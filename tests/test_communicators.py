"""Batches in shards, sums by a fixed tree, and random numbers that do not depend on either."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds.kernel import draw_uniform_factors
from backlit.parallel.model import Link, efficiency, reduction_seconds
from backlit.randomness import keyed_generator
from backlit.training.communicators import TreeSum, cut

rng = np.random.default_rng(11)


@pytest.mark.parametrize("shards", [1, 2, 8])
@pytest.mark.parametrize("n", [1, 3, 8, 9, 30])
def test_shards_are_the_batch_and_the_empty_ones_are_the_last(n: int, shards: int) -> None:
    pieces = cut(n, shards)
    assert len(pieces) == shards
    assert [row for piece in pieces for row in range(piece.start, piece.stop)] == list(range(n))
    sizes = [piece.stop - piece.start for piece in pieces]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def by_hand(vectors: list[np.ndarray]) -> np.ndarray:
    if len(vectors) == 1:
        return vectors[0]
    middle = len(vectors) // 2
    return by_hand(vectors[:middle]) + by_hand(vectors[middle:])


@pytest.mark.parametrize("leaves", [1, 2, 4, 8, 16])
def test_the_tree_adds_as_written(leaves: int) -> None:
    tree = TreeSum(leaves, tail=2)
    for _ in range(2):  # a second sum finds nothing of the first
        vectors = [
            rng.normal(size=50).astype(np.float32) * np.float32(10.0 ** rng.integers(-6, 6)) for _ in range(leaves)
        ]
        for vector in vectors:
            room = vector.copy()
            tree.add(room)
            room[:] = np.nan  # used for the next shard
        total = tree.total(np.empty(50, np.float32))
        assert (total.shape, total.dtype) == ((52,), np.dtype("float32"))
        np.testing.assert_array_equal(total[:50], by_hand(vectors))


def test_the_order_of_the_tree_makes_a_difference() -> None:
    vectors = [rng.normal(size=1000).astype(np.float32) for _ in range(8)]
    assert (by_hand(vectors) != sum(vectors[1:], vectors[0])).any()


def test_vectors_that_are_missing_are_zeros() -> None:
    tree = TreeSum(8)
    vectors = [rng.normal(size=5) for _ in range(3)]
    for vector in vectors:
        tree.add(vector)
    np.testing.assert_array_equal(tree.total(np.empty(5)), by_hand(vectors + [np.zeros(5)] * 5))


@pytest.mark.parametrize("skip", [0, 1, 7, 8, 9, 16, 29])
def test_random_numbers_of_a_part_are_those_of_the_whole(skip: int) -> None:
    whole = keyed_generator(3, "dropout", 5, 2).random(40, dtype=np.float32)
    part = keyed_generator(3, "dropout", 5, 2, skip=skip).random(11, dtype=np.float32)
    np.testing.assert_array_equal(part, whole[skip : skip + 11])


def test_compiled_random_numbers_of_a_part_are_those_of_the_whole() -> None:
    numba = pytest.importorskip("numba")
    from backlit.compiled.draws import draw_factors

    @numba.njit
    def drawn(factors, skip):  # type: ignore[no-untyped-def]
        draw_factors(np.uint64(9), 1, 4, 0.3, skip, factors)

    for skip in (0, 3, 8, 13, 40):
        for size in (1, 5, 21):
            plain, compiled = np.empty(size), np.empty(size)
            draw_uniform_factors(9, 1, 4, 0.3, skip, plain)
            drawn(compiled, skip)
            np.testing.assert_array_equal(compiled, plain)


def network(*layers: bl.Layer, **settings: Any) -> bl.Network:
    chain = layers or (bl.Dense(6, "tanh"), bl.Dropout(0.4), bl.Dense(3, "softmax"))
    return bl.Network([*chain], inputs=4, loss="cross_entropy", seed=3, **settings)


X = rng.normal(size=(50, 4))
Y = rng.integers(0, 3, size=50)
Y[:3] = 0, 1, 2
SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 16, "progress": False, "engine": "reference"}


def team(**settings: Any) -> Any:
    pytest.importorskip("mpi4py.MPI", exc_type=ImportError)
    return bl.parallel.mpi(**settings)


def test_a_batch_in_shards_is_the_batch_up_to_rounding() -> None:
    """The same rows, the same dropout masks, the same weights: only the order of adding is another one."""
    weight = np.linspace(0.0, 2.0, 50)
    whole, parts, fast = (network(dtype="float64", l2=0.01) for _ in range(3))
    one = bl.fit(whole, X, Y, sample_weight=weight, **SETTINGS)
    other = bl.fit(parts, X, Y, sample_weight=weight, communicator=team(), **SETTINGS)
    bl.fit(fast, X, Y, sample_weight=weight, communicator=team(reduction="fast"), **SETTINGS)
    assert (parts.parameters.values != whole.parameters.values).any()
    np.testing.assert_allclose(parts.parameters.values, whole.parameters.values, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(other["loss"], one["loss"], rtol=1e-12)
    # one process whose batches are whole takes the steps of `fit` alone
    np.testing.assert_array_equal(fast.parameters.values, whole.parameters.values)


def test_a_run_in_shards_goes_on_bit_for_bit_and_not_in_other_shards(tmp_path: Any) -> None:
    class Stop(bl.Callback):
        every_steps = 1

        def on_steps_end(self, training: Any, done: int, total: int) -> None:
            if training.job.state.step == 6:
                raise InterruptedError

    whole, parts, again = network(), network(), network()
    bl.fit(whole, X, Y, communicator=team(), **SETTINGS)
    kept = bl.Checkpoint(tmp_path / "run", every_steps=5)
    with pytest.raises(InterruptedError):
        bl.fit(parts, X, Y, communicator=team(), callbacks=[kept, Stop()], **SETTINGS)
    for communicator in (None, team(shards=4), team(reduction="fast")):
        with pytest.raises(ConfigurationError, match="division was 8 shards, exact, received"):
            bl.fit(network(), X, Y, communicator=communicator, resume=tmp_path / "run", **SETTINGS)
    bl.fit(again, X, Y, communicator=team(), resume=tmp_path / "run", **SETTINGS)
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


@pytest.mark.parametrize(
    ("layers", "settings", "complaint"),
    [
        ((), {"optimizer": bl.LBFGS()}, "LBFGS has a loop of its own that processes do not share"),
        ((), {"gradient": "finite_difference"}, "finite differences are taken in one process"),
        ((bl.BatchNorm(), bl.Dense(3, "softmax")), {}, r"BatchNorm\(\) needs mean and spread of a whole batch"),
    ],
)
def test_what_cannot_be_cut_into_shards_is_refused(layers: Any, settings: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        bl.fit(network(*layers), X, Y, communicator=team(), **SETTINGS | settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"shards": 6}, "shards must be a power of two, received 6"),
        ({"shards": 0}, "shards must be a whole number of at least 1, received 0"),
        ({"reduction": "quick"}, "reduction must be one of 'exact', 'fast', received 'quick'"),
        ({"deadline": 0.0}, "deadline must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        team(**settings)


def test_ctrl_c_waits_for_the_step_and_for_the_others() -> None:
    class Interrupt(bl.Callback):
        def on_steps_end(self, training: Any, done: int, total: int) -> None:
            if training.job.state.step == 5:
                training.job.communicator.ask(2)  # as a signal does

        every_steps = 1

    net = network()
    with pytest.warns(UserWarning, match="training was interrupted in epoch 2"):
        history = bl.fit(net, X, Y, communicator=team(), callbacks=[Interrupt()], **SETTINGS)
    assert history.state.step == 6  # asked for after step 5, agreed on with the sums of step 6


# ── the model ──────────────────────────────────────────────────────────────────────────────────────────────
def test_the_model_counts_messages_and_bytes() -> None:
    latency, bandwidth = Link(1.0, math.inf), Link(0.0, 1.0)
    assert [reduction_seconds(8, 16, latency, way) for way in ("tree", "ring", "halving")] == [8.0, 30.0, 8.0]
    assert [reduction_seconds(16, 16, bandwidth, way) for way in ("tree", "ring", "halving")] == [128.0, 30.0, 30.0]


def test_efficiency_falls_with_the_ranks_and_not_where_sums_hide_behind_the_backward_pass() -> None:
    link = Link(1e-5, 1e9)
    found = [efficiency(1.0, 0.0, 1e7, ranks, link) for ranks in (1, 2, 16, 1024)]
    assert found[0] == 1.0
    assert found == sorted(found, reverse=True)
    assert efficiency(1.0, 0.0, 1e7, 16, link, overlap=1.0) == 1.0
    assert efficiency(1.0, 0.25, 1e7, 1000, Link(0.0, math.inf)) < 0.01  # what is not shared is left
