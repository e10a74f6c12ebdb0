"""What the core has for scikit-learn's conventions: a penalty divided among the rows, and Adam's ε̂."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.lens.step.trace import trace_batch
from backlit.parameters import BLOCK
from backlit.training.lbfgs import minimize_lbfgs

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((7, 3)), RNG.standard_normal((7, 2))
WEIGHT = RNG.uniform(0.5, 2.0, 7)


def network(**settings: Any) -> bl.Network:
    return bl.Network([bl.Dense(4, "tanh"), bl.Dense(2)], inputs=3, dtype="float64", l1=0.3, l2=0.7, **settings)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["rows", "weights"])
def test_the_penalty_is_divided_by_the_weight_of_the_batch(weight: Any) -> None:
    total = 7.0 if weight is None else float(WEIGHT.sum())
    plain, divided = network(), network(divide_penalty=True)
    w = np.concatenate([plain.parameters.view(name).ravel() for name in ("0.weight", "1.weight")])
    penalty = 0.3 * np.abs(w).sum() + 0.35 * np.dot(w, w)
    without = plain.loss(X, Y, sample_weight=weight) - penalty
    assert divided.loss(X, Y, sample_weight=weight) == pytest.approx(without + penalty / total, rel=1e-12)
    # the gradient belongs to that loss
    values = divided.parameters.values
    gradient = divided.gradient(X, Y, sample_weight=weight)
    for i in range(values.size):
        kept, h = values[i], 1e-6
        values[i] = kept + h
        up = divided.loss(X, Y, sample_weight=weight)
        values[i] = kept - h
        down = divided.loss(X, Y, sample_weight=weight)
        values[i] = kept
        assert gradient[i] == pytest.approx((up - down) / (2 * h), abs=1e-7)


def test_the_parts_of_a_traced_gradient_add_up_where_the_penalty_is_divided() -> None:
    net = network(divide_penalty=True)
    trace = trace_batch(net, X, Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(trace.data_gradient + trace.penalty_gradient, trace.gradient, rtol=1e-14)
    share = 1.0 / WEIGHT.sum()
    w = net.parameters.values * net.parameters.weight_mask
    np.testing.assert_allclose(trace.penalty_gradient, share * (0.3 * np.sign(w) + 0.7 * w), rtol=1e-14)
    np.testing.assert_allclose(net.penalty_gradient(w, parts=["l1"]), 0.3 * np.sign(w), rtol=1e-14)


def test_the_last_smaller_batch_divides_by_its_own_rows() -> None:
    nets = [network(divide_penalty=True), network(divide_penalty=True)]
    settings: dict[str, Any] = {"epochs": 1, "optimizer": bl.SGD(0.1), "shuffle": False, "progress": False}
    bl.fit(nets[0], X, Y, batch_size=5, engine="reference", **settings)
    bl.fit(nets[1], X[:5], Y[:5], batch_size=None, **settings)
    bl.fit(nets[1], X[5:], Y[5:], batch_size=None, **settings)
    np.testing.assert_allclose(nets[0].parameters.values, nets[1].parameters.values, rtol=1e-12)


def test_the_description_keeps_it() -> None:
    assert bl.Network.from_spec(network(divide_penalty=True).spec()).divide_penalty
    older = network().spec()
    del older["divide_penalty"]
    assert not bl.Network.from_spec(older).divide_penalty


def test_epsilon_hat_is_added_before_the_correction() -> None:
    net = bl.Network([bl.Dense(1, bias=False, weight_init=2.0)], inputs=1, dtype="float64")
    optimizer = bl.Adam(0.1, 0.9, 0.99, 0.5, epsilon_hat=True)
    bl.fit(net, [[1.0]], [0.0], epochs=2, optimizer=optimizer, progress=False)
    # scikit-learn's lines, by hand: loss ½ w², gradient w
    w = 2.0
    m = v = 0.0
    for t in (1, 2):
        m = 0.9 * m + 0.1 * w
        v = 0.99 * v + 0.01 * w * w
        w -= 0.1 * math.sqrt(1 - 0.99**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 0.5)
    assert net.parameters.values[0] == pytest.approx(w, rel=1e-12)


def test_lbfgs_stops_where_the_loss_falls_no_more() -> None:
    def bowl(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return float(1.0 + np.sum(theta**4)), 4 * theta**3

    counts = []
    for tolerance in (1e-2, 0.0):
        steps: list[float] = []
        minimize_lbfgs(
            bl.LBFGS(tolerance=0.0, loss_tolerance=tolerance),
            bowl,
            np.full(3, 2.0),
            200,
            lambda theta, loss, steps=steps: bool(steps.append(loss)),
        )
        counts.append(len(steps))
    assert counts[0] < counts[1]


class OneByOne:
    """Rows that are made when they are asked for."""

    shape = X.shape

    def fetch(self, rows: Any, out: Any, *, epoch: int) -> None:
        for place, row in enumerate(rows):
            out[place] = X[row]


def test_lbfgs_and_validation_take_a_source_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backlit.training.lbfgs._SOURCE_ELEMENTS", 2 * X.shape[1])
    whole, pieces = network(), network()
    first = bl.fit(whole, X, Y, optimizer=bl.LBFGS(), validation=(X, Y), sample_weight=WEIGHT, progress=False)
    second = bl.fit(
        pieces, OneByOne(), Y, optimizer=bl.LBFGS(), validation=(OneByOne(), Y), sample_weight=WEIGHT, progress=False
    )
    np.testing.assert_allclose(whole.parameters.values, pieces.parameters.values, atol=1e-8)
    np.testing.assert_allclose(first["val_loss"], second["val_loss"], rtol=1e-8)


def test_several_labels_are_right_together() -> None:
    net = bl.Network([bl.Dense(2, "sigmoid", weight_init=0.0, bias_init=1.0)], inputs=1, loss="cross_entropy")
    # both outputs are above ½ in every row: right where both labels are 1
    history = bl.fit(
        net,
        [[0.0]] * 3,
        [[1, 1], [1, 0], [0, 0]],
        epochs=1,
        optimizer=bl.SGD(0.0),
        validation=([[0.0]] * 3, [[1, 1], [1, 0], [0, 0]]),
        progress=False,
    )
    assert history["val_accuracy"] == pytest.approx([1 / 3])


def test_a_later_value_of_an_epoch() -> None:
    history = bl.History()
    history.append(loss=1.0)
    history.append(loss=0.5)
    history.amend(val_f1=0.25)
    assert math.isnan(history["val_f1"][0])
    assert history.last() == {"loss": 0.5, "val_f1": 0.25}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_vector_gets_the_penalty_part_by_part(dtype: str) -> None:
    """More than one part, and biases in both: each part has the weights and the mask of its own place."""
    net = bl.Network([bl.Dense(300), bl.Dense(150), bl.Dense(1)], inputs=7, l1=0.3, l2=0.7, dtype=dtype, seed=1)
    net.parameters.values[:] = np.random.default_rng(0).normal(size=net.parameters.size)
    net.parameters.sums[:] = 3.0
    net.parameters.sums[-1] = 2.0
    net.average()
    w = net.parameters.values * net.parameters.weight_mask
    assert net.parameters.size > BLOCK
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    expected = 1.5 + 0.3 * np.sign(w) + 0.7 * w
    np.testing.assert_allclose(net.parameters.gradients, expected, rtol=tolerance, atol=tolerance)
