"""Finite differences by changing one unit at a time: those of whole passes, for every kind of network."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import backlit as bl
from backlit.checking import gradcheck
from backlit.checking.batch_loss import FrozenBatch, batch_loss
from backlit.checking.gradcheck import finite_difference_gradient, nudged_gradient
from backlit.checking.one_unit import OneUnit
from backlit.estimators.rows import SparseRows
from backlit.workspace import Workspace

rng = np.random.default_rng(2)
X = rng.normal(size=(7, 5))
LABELS = rng.integers(0, 3, 7)
WEIGHT = rng.uniform(0.0, 2.0, 7)

NETWORKS: dict[str, dict[str, Any]] = {
    "one layer": {"layers": [bl.Dense(3, "softmax")]},
    "dense": {"layers": [bl.Dense(6, "tanh"), bl.Dense(4, "relu"), bl.Dense(3, "softmax")]},
    "softmax inside": {"layers": [bl.Dense(4, "softmax"), bl.Dense(4, "tanh", bias=False), bl.Dense(3, "softmax")]},
    "penalised": {"layers": [bl.Dense(4, "tanh"), bl.Dense(3, "softmax")], "l1": 0.01, "l2": 0.1},
    "divided": {
        "layers": [bl.Dense(4, "gelu"), bl.Dense(3, "softmax")], "l1": 0.1, "l2": 0.2, "divide_penalty": True
    },
    "no pair": {"layers": [bl.Dense(4, "silu"), bl.Dense(3, "sigmoid")], "loss": "squared_error"},
    "norms": {
        "layers": [
            bl.Dense(5, "tanh"), bl.BatchNorm(), bl.Dense(4, "tanh"), bl.LayerNorm(), bl.Scale(), bl.Dense(3, "softmax")
        ]
    },
    "dropout": {"layers": [bl.Dropout(0.3), bl.Dense(5, "tanh"), bl.Dropout(0.3), bl.Dense(3, "softmax")]},
    "input scale": {"layers": [bl.Dense(4, "tanh"), bl.Dense(3, "softmax")], "input_scale": 0.1},
}  # fmt: skip


def frozen(name: str, weight: Any = None, step: int | None = None) -> FrozenBatch:
    net = bl.Network(**{"inputs": 5, "loss": "cross_entropy", "seed": 4, **NETWORKS[name]})
    return FrozenBatch(net, *net.check_data(X, LABELS, sample_weight=weight), step)


def whole_passes(batch: FrozenBatch) -> np.ndarray:
    return np.array([batch.central(i) for i in range(batch.values.size)])


@pytest.mark.parametrize("step", [None, 3], ids=["inference", "training"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_difference_of_whole_passes(name: str, weight: Any, step: int | None) -> None:
    batch = frozen(name, weight, step)
    expected = whole_passes(batch)
    before = batch.values.copy()
    found = batch.centrals(range(batch.values.size))
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-10)  # the rounding of the loss over 2 ε
    assert np.abs(expected).max() > 0.01
    np.testing.assert_array_equal(batch.values, before)


def test_every_dense_parameter_is_spared_the_whole_pass_where_rows_stay_apart() -> None:
    for name in NETWORKS:
        batch = frozen(name)
        batch.loss()
        found = OneUnit(batch.net, batch.work, in_training=False).central(range(batch.values.size), 1e-5)
        dense = [k for k, layer in enumerate(batch.net.layers) if isinstance(layer, bl.Dense)]
        for name_of, where in ((one, batch.net.parameters.slice(one)) for one in batch.net.parameters.names):
            assert np.isfinite(found[where]).all() == (int(name_of.split(".")[0]) in dense), (name, name_of)


def test_below_what_mixes_rows_in_training_whole_passes_are_taken() -> None:
    batch = frozen("norms", step=3)
    batch.loss()
    found = OneUnit(batch.net, batch.work, in_training=True).central(range(batch.values.size), 1e-5)
    parameters = batch.net.parameters
    assert np.isnan(found[parameters.slice("0.weight")]).all()
    assert np.isfinite(found[parameters.slice("2.weight")]).all()


def test_more_rows_than_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backlit.checking.one_unit._ROWS", 30)
    batch = frozen("dense")
    np.testing.assert_allclose(batch.centrals(range(batch.values.size)), whole_passes(batch), rtol=0, atol=3e-10)


def test_a_few_positions_in_any_order() -> None:
    batch = frozen("dense", WEIGHT)
    positions = [40, 3, 3, batch.values.size - 1]
    expected = [batch.central(i) for i in positions]
    np.testing.assert_allclose(batch.centrals(positions), expected, rtol=0, atol=3e-10)


def test_without_a_row_that_counts_only_the_penalty_is_left() -> None:
    net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=5, l2=0.5, dtype="float64")
    batch = FrozenBatch(net, X, np.ones((7, 1)), np.zeros(7))
    expected = whole_passes(batch)
    np.testing.assert_allclose(batch.centrals(range(batch.values.size)), expected, rtol=0, atol=3e-10)
    assert np.abs(expected).max() > 0.1


# ── training by nudging ────────────────────────────────────────────────────────────────────────────────────
def step_of(name: str, weight: Any, dtype: str) -> tuple[bl.Network, Workspace]:
    net = bl.Network(**{"inputs": 5, "loss": "cross_entropy", "seed": 4, "dtype": dtype, **NETWORKS[name]})
    work = net.workspace(7)
    data, targets, _ = net.check_data(np.where(np.arange(5) == 2, 0.0, X), LABELS)  # one column is empty
    work.load(data, targets, None if weight is None else weight.astype(dtype))
    return net, work


@pytest.mark.parametrize("scheme", ["forward", "central"])
@pytest.mark.parametrize("weight", [None, WEIGHT, np.zeros(7)], ids=["", "weighted", "nothing counts"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_by_nudging_has_the_gradient_of_whole_passes(name: str, weight: Any, scheme: Any) -> None:
    net, work = step_of(name, weight, "float64")
    values, found, expected = net.parameters.values.copy(), *np.empty((2, net.parameters.size))
    how = bl.FiniteDifference(1e-5, scheme)
    before = finite_difference_gradient(
        lambda: batch_loss(net, work, 3), net.parameters.values, how.nudge, scheme, expected
    )
    assert nudged_gradient(net, work, 3, how, found) == before
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-10)
    np.testing.assert_array_equal(net.parameters.values, values)
    np.testing.assert_array_equal(work.a[-1], net.forward_pass(net_copy(work, net), 3))  # as before any nudge


def net_copy(work: Workspace, net: bl.Network) -> Workspace:
    """Another workspace with the same batch."""
    other = Workspace(net.layers, net.inputs, work.n, net.dtype, aim=net.aim)
    other.load(work.a[0], work.y, work.weight)
    return other


@pytest.mark.parametrize("scheme", ["forward", "central"])
def test_in_float32_it_is_as_exact_as_whole_passes(scheme: Any) -> None:
    net, work = step_of("dense", WEIGHT, "float32")
    exact = FrozenBatch(net, work.a[0], work.y, work.weight).gradient()
    found, expected = np.empty((2, net.parameters.size), np.float32)
    how = bl.FiniteDifference(1e-3, scheme)
    nudged_gradient(net, work, 0, how, found)
    finite_difference_gradient(lambda: batch_loss(net, work, 0), net.parameters.values, how.nudge, scheme, expected)
    assert np.abs(found - exact).max() < 1.5 * np.abs(expected - exact).max() + 1e-4


def test_whole_passes_are_taken_below_what_is_random_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    nudged: list[Any] = []

    def noted(*arguments: Any) -> float:
        nudged.append(arguments[-1].size)
        return finite_difference_gradient(*arguments)

    monkeypatch.setattr(gradcheck, "finite_difference_gradient", noted)
    for name in ("dense", "dropout"):
        net, work = step_of(name, None, "float64")
        nudged_gradient(net, work, 3, bl.FiniteDifference(), np.empty(net.parameters.size))
    net, work = step_of("dense", np.zeros(7), "float64")  # no row counts: there is nothing to look for
    nudged_gradient(net, work, 3, bl.FiniteDifference(), np.empty(net.parameters.size))
    assert nudged == [5 * 5 + 5]  # the first layer of the second network


def test_sparse_rows_are_nudged_too() -> None:
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dense(3, "softmax")], inputs=5, loss="cross_entropy", dtype="float64")
    data = np.where(X > 0.5, X, 0.0)
    settings: Any = {"epochs": 1, "optimizer": bl.SGD(0.1), "gradient": "finite_difference", "progress": False}
    other = copy.deepcopy(net)
    bl.fit(net, data, LABELS, **settings)
    bl.fit(other, SparseRows(csr_array(data)), LABELS, **settings)
    np.testing.assert_allclose(other.parameters.values, net.parameters.values, rtol=0, atol=1e-10)


def test_a_wrong_gradient_is_found_as_before() -> None:
    class Wrong(bl.kinds.Layer):
        def forward(self, work: Any, i: int, moment: Any) -> None:
            np.multiply(work.a[i], 2.0, out=work.a[i + 1])

        def backward(self, work: Any, i: int, below: bool) -> None:
            work.delta[i - 1][...] = 3.0 * work.delta[i]

    net = bl.Network([bl.Dense(3, "tanh"), Wrong(), bl.Dense(2, "softmax")], inputs=5, loss="cross_entropy")
    report = bl.check_gradients(net, X, LABELS % 2)
    wrong = {row.name for row in report.rows if row.verdict == "disagrees"}
    assert wrong == {"0.weight", "0.bias"}
