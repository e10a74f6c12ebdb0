"""Losses against formulas written a second time, in plain Python, and at the ends of what a float can hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError, DerivativeError, ShapeError
from backlit.kinds.losses import NAMES, get_loss, huber, loss_from_spec, quantile

Row = list[float]

# One row's loss from its outputs and targets, as the module's docstring states them.
FORMULAS: dict[str, Callable[[Row, Row], float]] = {
    "squared_error": lambda a, y: sum((p - t) ** 2 for p, t in zip(a, y, strict=True)) / 2,
    "mean_squared_error": lambda a, y: sum((p - t) ** 2 for p, t in zip(a, y, strict=True)) / len(a),
    "huber": lambda a, y: sum(
        (p - t) ** 2 / 2 if abs(p - t) <= 1 else abs(p - t) - 0.5 for p, t in zip(a, y, strict=True)
    ),
    "log_cosh": lambda a, y: sum(math.log(math.cosh(p - t)) for p, t in zip(a, y, strict=True)),
    "absolute_error": lambda a, y: sum(abs(p - t) for p, t in zip(a, y, strict=True)),
    "quantile": lambda a, y: sum(max(0.5 * (t - p), -0.5 * (t - p)) for p, t in zip(a, y, strict=True)),
    "poisson": lambda a, y: sum(
        p - t * math.log(p) - (t - (t * math.log(t) if t else 0.0)) for p, t in zip(a, y, strict=True)
    ),
    "hinge": lambda a, y: sum(max(0.0, 1 - (2 * t - 1) * p) for p, t in zip(a, y, strict=True)),
}
TARGETS = {
    "poisson": np.array([[0.0, 3.0, 1.0], [2.0, 1.0, 0.0], [5.0, 0.0, 4.0]]),
    "hinge": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
}
OTHER_TARGETS = np.array([[0.3, -1.0, 2.0], [3.0, 0.1, -0.4], [0.0, 0.5, 1.0]])
OUTPUTS = np.array([[0.5, 1.7, 0.2], [0.9, 0.3, 4.0], [2.5, 0.6, 0.1]])  # above zero, and on no kink
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def targets(name: str) -> np.ndarray:
    return TARGETS.get(name, OTHER_TARGETS)


def passing_through(name: object, activation: str = "identity", units: int = 3, dtype: str = "float64") -> bl.Network:
    """A network whose z is its input: the outputs under test can be chosen freely."""
    net = bl.Network([bl.Dense(units, activation)], inputs=units, loss=name, dtype=dtype)
    net.layers[0].weight[...] = np.eye(units)
    return net


def deltas(net: bl.Network, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """dL/dz of the last layer for every row."""
    work = net.workspace(len(X))
    work.load(X.astype(net.dtype), Y.astype(net.dtype))
    net.forward_pass(work)
    net.backward_pass(work)
    return work.delta[-1]


def test_every_loss_is_tested_here() -> None:
    assert {*FORMULAS, "cross_entropy"} == set(NAMES)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_loss_of_each_row_equals_the_formula(name: str) -> None:
    Y = targets(name)
    found = get_loss(name).value(OUTPUTS, Y, np.empty((2, 3, 3)))
    expected = [FORMULAS[name](a, y) for a, y in zip(OUTPUTS.tolist(), Y.tolist(), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_gradient_is_the_derivative_of_the_formula(name: str) -> None:
    Y, h = targets(name), 1e-6
    found = np.empty((3, 3))
    get_loss(name).gradient(OUTPUTS, Y, found, np.empty((2, 3, 3)))
    for row, k in np.ndindex(3, 3):
        up, down = OUTPUTS[row].tolist(), OUTPUTS[row].tolist()
        up[k] += h
        down[k] -= h
        y = Y[row].tolist()
        assert found[row, k] == pytest.approx((FORMULAS[name](up, y) - FORMULAS[name](down, y)) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_network_averages_over_rows(name: str) -> None:
    if name == "poisson":
        net, X = passing_through(name, "exp"), np.log(OUTPUTS)
    else:
        net, X = passing_through(name), OUTPUTS
    Y = targets(name)
    rows = [FORMULAS[name](a, y) for a, y in zip(OUTPUTS.tolist(), Y.tolist(), strict=True)]
    assert net.loss(X, Y) == pytest.approx(sum(rows) / 3, rel=1e-14)
    weighted = (1.0 * rows[0] + 0.0 * rows[1] + 3.0 * rows[2]) / 4
    assert net.loss(X, Y, sample_weight=[1.0, 0.0, 3.0]) == pytest.approx(weighted, rel=1e-14)


@pytest.mark.parametrize("delta", [0.1, 1.0, 2.5])
def test_huber_with_a_delta(delta: float) -> None:
    residuals = [-3.0, -0.5, 0.0, 0.05, 2.0, 7.0]
    a = np.array([residuals])
    expected = sum(r * r / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2) for r in residuals)
    assert huber(delta).value(a, np.zeros_like(a), np.empty((2, *a.shape)))[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_the_quantile_loss_is_smallest_at_the_quantile(q: float) -> None:
    y = np.arange(101.0)[:, None]  # its q-quantile is 100 q
    candidates = np.arange(0.0, 101.0)
    losses = [quantile(q).value(np.full_like(y, c), y, np.empty((2, *y.shape))).sum() for c in candidates]
    assert candidates[int(np.argmin(losses))] == pytest.approx(100 * q, abs=1)


# ── cross entropy, from z ──────────────────────────────────────────────────────────────────────────────────
def test_softmax_cross_entropy_equals_the_formula() -> None:
    z = np.array([[0.2, -1.0, 0.7], [2.0, 1.0, 0.0]])
    Y = np.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    net = passing_through("cross_entropy", "softmax")
    a = [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in z.tolist()]
    rows = [-sum(t * math.log(p) for p, t in zip(p_row, y, strict=True)) for p_row, y in zip(a, Y, strict=True)]
    assert net.loss(z, Y) == pytest.approx(sum(rows) / 2, rel=1e-14)
    np.testing.assert_allclose(deltas(net, z, Y), np.array(a) - Y, rtol=1e-14)


def test_sigmoid_cross_entropy_equals_the_formula() -> None:
    z = np.array([[0.2, -1.0, 0.7], [2.0, 1.0, 0.0]])
    Y = np.array([[0.0, 1.0, 1.0], [0.2, 0.3, 0.5]])
    net = passing_through("cross_entropy", "sigmoid")
    a = 1 / (1 + np.exp(-z))
    rows = -(Y * np.log(a) + (1 - Y) * np.log(1 - a)).sum(axis=1)
    assert net.loss(z, Y) == pytest.approx(rows.mean(), rel=1e-14)
    np.testing.assert_allclose(deltas(net, z, Y), a - Y, rtol=1e-14)


@DTYPES
@pytest.mark.parametrize(
    ("activation", "z", "y", "loss", "delta"),
    [
        ("softmax", (1e4, -1e4), (0.0, 1.0), 2e4, (1.0, -1.0)),
        ("softmax", (1e4, -1e4), (1.0, 0.0), 0.0, (0.0, 0.0)),
        ("softmax", (1e4, 1e4), (1.0, 0.0), math.log(2), (-0.5, 0.5)),
        ("softmax", (-1e4, -1e4), (0.5, 0.5), math.log(2), (0.0, 0.0)),
        ("sigmoid", (1e4, -1e4), (0.0, 1.0), 2e4, (1.0, -1.0)),
        ("sigmoid", (1e4, -1e4), (1.0, 0.0), 0.0, (0.0, 0.0)),
        ("sigmoid", (0.0, 0.0), (1.0, 0.0), 2 * math.log(2), (-0.5, 0.5)),
    ],
    ids=lambda value: str(value),
)
def test_cross_entropy_far_from_zero(
    activation: str, z: tuple, y: tuple, loss: float, delta: tuple, dtype: str
) -> None:
    net = passing_through("cross_entropy", activation, units=2, dtype=dtype)
    X, Y = np.array([z], dtype), np.array([y], dtype)
    with np.errstate(all="raise", under="ignore"):
        assert net.loss(X, Y) == pytest.approx(loss, rel=1e-6)
        np.testing.assert_array_equal(deltas(net, X, Y), np.array([delta], dtype))


@DTYPES
def test_the_gradient_far_from_zero_is_finite_for_a_whole_network(dtype: str) -> None:
    layers = [bl.Dense(4, name) for name in ("sigmoid", "tanh", "gelu", "silu", "softplus", "elu")]
    net = bl.Network([*layers, bl.Dense(3, "softmax")], inputs=2, loss="cross_entropy", dtype=dtype)
    X = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype)
    with np.errstate(all="raise", under="ignore"):
        assert math.isfinite(net.loss(X, [0, 1, 2]))
        assert np.isfinite(net.gradient(X, [0, 1, 2])).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_rounded_to_some_digits_have_a_gradient(dtype: str) -> None:
    """Rows that add up to 0.9999 are divided by it: a − y is the gradient of the loss for rows that add up to 1."""
    net = bl.Network([bl.Dense(3, "softmax")], inputs=1, loss="cross_entropy", dtype=dtype)
    net.parameters.values[:] = [0.5, -1.0, 2.0, 0.1, 0.2, 0.3]
    Y = np.array([[0.3333, 0.3333, 0.3333], [0.1, 0.2, 0.7], [0.0, 1.0, 0.0]])
    X = [[1.0], [-2.0], [0.5]]
    assert bl.check_gradients(net, X, Y).ok
    np.testing.assert_allclose(net.encode(Y, 3)[0], [[1 / 3] * 3, [0.1, 0.2, 0.7], [0, 1, 0]], rtol=1e-7)
    for _ in range(10):  # where the gradient is small, what float32 rounds off a row would show
        net.parameters.values[:] -= 0.9 * net.gradient(X, Y)
        assert bl.check_gradients(net, X, Y).ok


def test_sigmoid_cross_entropy_rises_without_a_step() -> None:
    net = passing_through("cross_entropy", "sigmoid", units=1)
    losses = [net.loss([[z]], [0.0]) for z in np.linspace(-60.0, 60.0, 241)]
    assert all(low < high for low, high in pairwise(losses))


# ── penalties ──────────────────────────────────────────────────────────────────────────────────────────────
def test_penalties_are_on_weights_and_never_on_biases() -> None:
    settings = {"inputs": 2, "dtype": "float64"}
    layers = [bl.Dense(2, "tanh", bias_init=0.7), bl.Dense(1, bias_init=-0.9)]
    X, y = [[0.3, -0.4]], [1.0]
    plain, penalised = bl.Network(layers, **settings), bl.Network(layers, **settings, l1=0.3, l2=0.5)
    w = np.concatenate([layer.weight.ravel() for layer in plain.layers])
    expected = 0.3 * np.abs(w).sum() + 0.25 * (w**2).sum()
    assert penalised.loss(X, y) - plain.loss(X, y) == pytest.approx(expected, rel=1e-13)
    assert penalised.penalty() == pytest.approx(expected, rel=1e-14)
    difference = penalised.gradient(X, y) - plain.gradient(X, y)
    mask, values = plain.parameters.weight_mask, plain.parameters.values
    np.testing.assert_allclose(difference, mask * (0.3 * np.sign(values) + 0.5 * values), atol=1e-15)


@pytest.mark.parametrize("weight", [None, [0.5, 0.0, 2.0]], ids=["", "weighted"])
def test_a_divided_penalty_is_added_to_the_sum_of_the_losses(weight: list[float] | None) -> None:
    settings = {"inputs": 3, "dtype": "float64", "seed": 4}
    plain = bl.Network([bl.Dense(3)], **settings)
    divided = bl.Network([bl.Dense(3)], l1=0.3, l2=0.5, divide_penalty=True, **settings)
    w, total = plain.layers[0].weight, 3.0 if weight is None else sum(weight)
    expected = (0.3 * np.abs(w).sum() + 0.25 * (w**2).sum()) / total
    difference = divided.loss(OUTPUTS, OTHER_TARGETS, sample_weight=weight) - plain.loss(
        OUTPUTS, OTHER_TARGETS, sample_weight=weight
    )
    assert difference == pytest.approx(expected, rel=1e-12)
    assert bl.check_gradients(divided, OUTPUTS, OTHER_TARGETS, sample_weight=weight).ok


# ── a user's own pair ──────────────────────────────────────────────────────────────────────────────────────
def cubed(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.abs(a - y) ** 3).sum(axis=1)


def cubed_gradient(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 3 * np.sign(a - y) * (a - y) ** 2


def test_an_own_loss_is_accepted() -> None:
    net = passing_through((cubed, cubed_gradient))
    assert net.loss(OUTPUTS, OTHER_TARGETS) == pytest.approx(cubed(OUTPUTS, OTHER_TARGETS).mean())
    np.testing.assert_allclose(deltas(net, OUTPUTS, OTHER_TARGETS), cubed_gradient(OUTPUTS, OTHER_TARGETS))
    assert net.loss_function.name == "cubed"


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        ((cubed, lambda a, y: a - y), DerivativeError, "the gradient given with the loss 'cubed' is wrong: for output"),
        (
            (lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y)),
            ShapeError,
            "must give one value a row, shape (3,), received (3, 3)",
        ),
        (
            (cubed, lambda a, y: cubed_gradient(a, y)[:, :1]),
            ShapeError,
            "the gradient given with the loss 'cubed' must have the shape of a, (3, 3), received (3, 1)",
        ),
    ],
    ids=["wrong", "value of another shape", "gradient that would broadcast"],
)
@pytest.mark.parametrize("first_use", ["loss", "gradient", "fit"])
def test_a_wrong_own_loss_is_refused_on_first_use(pair: tuple, error: type, message: str, first_use: str) -> None:
    net = passing_through(pair)
    use = {"loss": net.loss, "gradient": net.gradient, "fit": lambda X, y: bl.fit(net, X, y)}[first_use]
    with pytest.raises(error) as caught:
        use(OUTPUTS, OTHER_TARGETS)
    assert message in str(caught.value)


def test_an_own_loss_is_not_refused_for_a_large_loss_in_another_row() -> None:
    net = passing_through((cubed, cubed_gradient))
    X, Y = np.array([[0.3, 0.1, 0.2], [3e4, -2e4, 1e4]]), np.zeros((2, 3))
    assert net.loss(X, Y) == pytest.approx(cubed(X, Y).mean())


@pytest.mark.parametrize("loss", [*NAMES, huber(2.0), quantile(0.9)], ids=lambda loss: getattr(loss, "name", loss))
def test_a_description_gives_the_loss_back(loss: object) -> None:
    spec = get_loss(loss).spec()
    assert loss_from_spec(spec).spec() == spec


@pytest.mark.parametrize(
    ("loss", "activation", "message"),
    [
        ("cross_entropy", "identity", "cross_entropy goes with a softmax or sigmoid output, received 'identity'"),
        ("cross_entropy", "relu", "cross_entropy goes with a softmax or sigmoid output, received 'relu'"),
        ("poisson", "tanh", "the loss 'poisson' needs outputs above 0, received the activation 'tanh'"),
        ("poisson", "relu", "the loss 'poisson' needs outputs above 0, received the activation 'relu'"),
    ],
)
def test_a_loss_that_does_not_go_with_the_output_is_refused(loss: str, activation: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        passing_through(loss, activation)
    assert str(caught.value).startswith(message)
