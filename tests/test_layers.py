"""Layers and activations against formulas written a second time, and at the ends of what a float can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import DerivativeError, ShapeError
from backlit.kinds import LAYERS, get_activation, layer_from_spec
from backlit.kinds.activations import NAMES, softmax_jacobian_product


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


# f and f′ once more, one number at a time, in plain Python.
FORMULAS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "identity": (lambda z: z, lambda z: 1.0),
    "sigmoid": (lambda z: 1 / (1 + math.exp(-z)), lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2),
    "tanh": (
        lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
        lambda z: 1 / math.cosh(z) ** 2,
    ),
    "relu": (lambda z: z if z > 0 else 0.0, lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else math.exp(z) - 1, lambda z: 1.0 if z > 0 else math.exp(z)),
    "gelu": (
        lambda z: z * normal_cdf(z),
        lambda z: normal_cdf(z) + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    ),
    "softplus": (lambda z: math.log(1 + math.exp(z)), lambda z: 1 / (1 + math.exp(-z))),
    "silu": (
        lambda z: z / (1 + math.exp(-z)),
        lambda z: (1 + math.exp(-z) + z * math.exp(-z)) / (1 + math.exp(-z)) ** 2,
    ),
    "mish": (
        lambda z: z * math.tanh(math.log(1 + math.exp(z))),
        lambda z: (
            math.tanh(math.log(1 + math.exp(z))) + z / math.cosh(math.log(1 + math.exp(z))) ** 2 / (1 + math.exp(-z))
        ),
    ),
    "exp": (math.exp, math.exp),
}
POINTS = np.array([-6.3, -2.0, -1.0, -0.3, -1e-3, 1e-3, 0.4, 1.0, 2.5, 6.1])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def value_and_slope(name: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    activation = get_activation(name)
    a, slope, scratch = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    activation.f(z, a)
    activation.slope(z, a, slope, scratch)
    return a, slope


@contextmanager
def strict() -> Iterator[None]:
    """No overflow, no invalid operation, no division by zero; numbers may become too small to tell from zero."""
    with np.errstate(all="raise", under="ignore"):
        yield


def test_every_named_activation_is_tested_here() -> None:
    assert {*FORMULAS, "softmax"} == set(NAMES)


@DTYPES
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_slope_equal_the_formula(name: str, dtype: str) -> None:
    f, df = FORMULAS[name]
    a, slope = value_and_slope(name, POINTS.astype(dtype)[None, :])
    rounding = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(a[0], [f(float(z)) for z in POINTS], rtol=rounding * 10, atol=rounding)
    np.testing.assert_allclose(slope[0], [df(float(z)) for z in POINTS], rtol=rounding * 10, atol=rounding)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_slope_is_the_derivative(name: str) -> None:
    h = 1e-6
    z = POINTS[None, :]
    _, slope = value_and_slope(name, z)
    difference = (value_and_slope(name, z + h)[0] - value_and_slope(name, z - h)[0]) / (2 * h)
    np.testing.assert_allclose(slope, difference, rtol=1e-7, atol=1e-8)


# f and f′ at −10,000 and 10,000
FAR: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "identity": ((-1e4, 1e4), (1.0, 1.0)),
    "sigmoid": ((0.0, 1.0), (0.0, 0.0)),
    "tanh": ((-1.0, 1.0), (0.0, 0.0)),
    "relu": ((0.0, 1e4), (0.0, 1.0)),
    "leaky_relu": ((-1e2, 1e4), (0.01, 1.0)),
    "elu": ((-1.0, 1e4), (0.0, 1.0)),
    "gelu": ((0.0, 1e4), (0.0, 1.0)),
    "softplus": ((0.0, 1e4), (0.0, 1.0)),
    "silu": ((0.0, 1e4), (0.0, 1.0)),
    "mish": ((0.0, 1e4), (0.0, 1.0)),
}


def test_every_activation_that_has_limits_has_them_here() -> None:
    assert {*FAR, "exp", "softmax"} == set(NAMES)  # exp overflows, as it should; softmax has a test below


@pytest.mark.parametrize("name", FORMULAS)
def test_the_facts_of_an_activation_are_those_of_its_formula(name: str) -> None:
    z = np.linspace(-9.0, 9.0, 3601)[None, :]
    a, slope = value_and_slope(name, z)
    record = get_activation(name)
    assert record.positive == (a > 0).all()
    left, right = slope[0, 0], slope[0, -1]
    flat = max(abs(left), abs(right)) < 1e-3
    assert record.steepest == (pytest.approx(slope.max(), rel=1e-5) if flat else None)
    if record.dies:
        assert (a[z < 0] == 0).all()
        assert (slope[z < 0] == 0).all()


@DTYPES
@pytest.mark.parametrize("name", FAR)
def test_far_from_zero_the_limit_is_reached_without_a_warning(name: str, dtype: str) -> None:
    values, slopes = FAR[name]
    with strict():
        a, slope = value_and_slope(name, np.array([[-1e4, 1e4]], dtype))
    np.testing.assert_allclose(a[0], values, rtol=1e-6)
    np.testing.assert_allclose(slope[0], slopes, rtol=1e-6)


@DTYPES
def test_softmax_equals_the_formula(dtype: str) -> None:
    z = np.array([[0.1, -2.0, 1.3], [3.0, 3.0, 3.0]], dtype)
    a = np.empty_like(z)
    get_activation("softmax").f(z, a)
    expected = [[math.exp(v) / sum(math.exp(u) for u in row) for v in row] for row in z.tolist()]
    np.testing.assert_allclose(a, expected, rtol=10 * np.finfo(dtype).eps)


@DTYPES
def test_softmax_far_from_zero(dtype: str) -> None:
    z = np.array([[1e4, -1e4], [1e4, 1e4], [-1e4, -1e4], [-1e4, 1e4]], dtype)
    a = np.empty_like(z)
    with strict():
        get_activation("softmax").f(z, a)
    np.testing.assert_array_equal(a, [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])


def test_the_softmax_jacobian_equals_the_matrix_written_out() -> None:
    rng = np.random.default_rng(0)
    z, gradient = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    a = np.empty_like(z)
    get_activation("softmax").f(z, a)
    # J_jk = ∂a_k/∂z_j = a_k ([j = k] − a_j)
    expected = np.array([(np.diag(row) - np.outer(row, row)) @ g for row, g in zip(a, gradient, strict=True)])
    softmax_jacobian_product(a, gradient, np.empty_like(a))
    np.testing.assert_allclose(gradient, expected, atol=1e-15)


def test_a_dense_layer_is_z_equals_a_w_plus_b() -> None:
    net = bl.Network([bl.Dense(2, "relu"), bl.Dense(1)], inputs=2, dtype="float64")
    net.layers[0].weight[...] = [[1.0, -1.0], [2.0, 0.5]]
    net.layers[0].bias[...] = [0.5, 0.25]
    net.layers[1].weight[...] = [[3.0], [4.0]]
    net.layers[1].bias[...] = [-1.0]
    # x = (1, 2): z = (1 + 4 + 0.5, −1 + 1 + 0.25) = (5.5, 0.25);  3 · 5.5 + 4 · 0.25 − 1 = 16.5
    # x = (2, −1): z = (2 − 2 + 0.5, −2 − 0.5 + 0.25) = (0.5, −2.25), relu (0.5, 0);  3 · 0.5 − 1 = 0.5
    np.testing.assert_array_equal(net.forward([[1.0, 2.0], [2.0, -1.0]]), [[16.5], [0.5]])


def test_large_inputs_are_worked_through_in_pieces_with_the_same_result() -> None:
    net = bl.Network([bl.Dropout(0.5), bl.Dense(64, "tanh"), bl.Dropout(0.5), bl.Dense(3)], inputs=2, dtype="float64")
    X = np.random.default_rng(0).normal(size=(10_000, 2))
    whole = np.tanh(X @ net.layers[1].weight + net.layers[1].bias) @ net.layers[3].weight
    np.testing.assert_allclose(net.forward(X), whole, rtol=1e-12, atol=1e-14)


# ── dropout ────────────────────────────────────────────────────────────────────────────────────────────────
def mask(rate: float, shape: tuple[int, int], key: tuple[int, int, int]) -> np.ndarray:
    drawn = np.empty(shape)
    bl.Dropout(rate).draw_mask(drawn, np.empty(shape, np.float32), key)
    return drawn


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_share_it_should(rate: float) -> None:
    n = 200_000
    drawn = mask(rate, (n // 100, 100), (0, 1, 7))
    assert set(np.unique(drawn)) <= {0.0, 1.0 / (1.0 - rate)}
    # the share of zeros is binomial: five standard deviations
    assert abs((drawn == 0).mean() - rate) <= 5 * math.sqrt(rate * (1 - rate) / n) + 1e-12


@pytest.mark.parametrize("other", [(1, 1, 7), (0, 2, 7), (0, 1, 8)], ids=["seed", "layer", "step"])
def test_dropout_is_keyed_by_seed_layer_and_step(other: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(mask(0.5, (20, 20), (0, 1, 7)), mask(0.5, (20, 20), (0, 1, 7)))
    assert (mask(0.5, (20, 20), (0, 1, 7)) != mask(0.5, (20, 20), other)).any()


def test_dropout_does_nothing_at_inference() -> None:
    net = bl.Network([bl.Dropout(0.9), bl.Dense(3), bl.Dropout(0.9), bl.Dense(2)], inputs=4, dtype="float64")
    bare = bl.Network([bl.Dense(3), bl.Dense(2)], inputs=4, dtype="float64")
    bare.parameters.values[:] = net.parameters.values
    X = np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_array_equal(net.forward(X), bare.forward(X))
    np.testing.assert_array_equal(net.gradient(X, X[:, :2]), bare.gradient(X, X[:, :2]))


# ── a user's own pair ──────────────────────────────────────────────────────────────────────────────────────
def test_an_own_pair_is_accepted_and_trains_like_the_named_one() -> None:
    own = bl.Network([bl.Dense(3, (np.tanh, lambda z: 1 - np.tanh(z) ** 2)), bl.Dense(1)], inputs=2, dtype="float64")
    named = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2, dtype="float64")
    X, y = np.random.default_rng(0).normal(size=(7, 2)), np.arange(7.0)
    np.testing.assert_allclose(own.gradient(X, y), named.gradient(X, y), rtol=1e-14)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((np.sin, np.sin), "the derivative given for the activation 'sin' is wrong: at z = "),
        ((np.sin, lambda z: np.cos(z) + 1e-4), "the derivative given for the activation 'sin' is wrong"),
        ((np.sin, lambda z: np.full_like(z, np.nan)), "the derivative given for the activation 'sin' is wrong"),
        ((lambda z: np.log(z - 99), lambda z: 1 / (z - 99)), "is not finite anywhere between z = -5 and z = 5"),
    ],
    ids=["wrong", "slightly wrong", "nan", "never finite"],
)
def test_an_own_pair_with_a_wrong_derivative_is_refused(pair: tuple, message: str) -> None:
    with pytest.raises(DerivativeError) as caught:
        bl.Dense(3, pair)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((np.sum, np.cos), "the value of the activation 'sum' must have the shape of z: received () for z of shape"),
        ((np.sin, lambda z: 1.0), "the derivative of the activation 'sin' must have the shape of z: received ()"),
    ],
    ids=["value", "derivative"],
)
def test_an_own_pair_of_another_shape_is_refused(pair: tuple, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        bl.Dense(3, pair)
    assert message in str(caught.value)


DESCRIBED: list[bl.Layer] = [
    bl.Dense(3, "gelu", weight_init="he_normal", bias_init=0.5, bias=True),
    bl.Dense(2, bias=False),
    bl.Dropout(0.25),
    bl.BatchNorm(0.8, epsilon=1e-3),
    bl.LayerNorm(1e-3),
    bl.Scale("scaled_normal"),
    bl.NumericEmbedding(2, frequencies=5, scale=0.7, columns=3),
    bl.NumericEmbedding(),
    bl.Embedding([3, 20], size=2),
    bl.Embedding(5),
    bl.ParallelDense(4, 3, "tanh", weight_init="he_normal", bias_init=0.5),
    bl.ParallelDense(2, 1, shared=False),
    bl.Parametric("mish", "scaled_normal"),
    bl.Parametric(),
]


def test_every_layer_is_described_here() -> None:
    assert {type(layer) for layer in DESCRIBED} == set(LAYERS.values())


@pytest.mark.parametrize("layer", DESCRIBED, ids=repr)
def test_a_description_gives_the_layer_back(layer: bl.Layer) -> None:
    other = layer_from_spec(layer.describe())
    assert other.describe() == layer.describe()
    assert repr(other) == repr(layer)
