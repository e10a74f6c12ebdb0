"""Initial values: their distribution, by the law of large numbers, and their independence of order and dtype."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit.kinds.initializers import NAMES

FAN_IN, FAN_OUT = 300, 200
N = FAN_IN * FAN_OUT

# standard deviation by the published formula, and the shape of the distribution
DISTRIBUTIONS = {
    "standard_normal": (1.0, "normal"),
    "scaled_normal": (1 / math.sqrt(FAN_IN), "normal"),
    "glorot_normal": (math.sqrt(2 / (FAN_IN + FAN_OUT)), "normal"),
    "he_normal": (math.sqrt(2 / FAN_IN), "normal"),
    "glorot_uniform": (math.sqrt(2 / (FAN_IN + FAN_OUT)), "uniform"),
    "he_uniform": (math.sqrt(2 / FAN_IN), "uniform"),
}
# Var((w/std)²): 2 for a normal distribution, 4/5 for a uniform one
FOURTH = {"normal": 2.0, "uniform": 0.8}


def weights(init: object, *, seed: int = 0, dtype: str = "float64", **settings: object) -> np.ndarray:
    net = bl.Network([bl.Dense(FAN_OUT, weight_init=init, **settings)], inputs=FAN_IN, dtype=dtype, seed=seed)
    return net.layers[0].weight


def test_every_initialiser_is_tested_here() -> None:
    assert {*DISTRIBUTIONS, "zeros", "constant"} == set(NAMES)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_mean_and_spread_are_those_of_the_formula(name: str, seed: int) -> None:
    std, kind = DISTRIBUTIONS[name]
    w = weights(name, seed=seed)
    # five standard errors of the mean, and of the mean square
    assert abs(w.mean()) < 5 * std / math.sqrt(N)
    assert abs((w**2).mean() / std**2 - 1) < 5 * math.sqrt(FOURTH[kind] / N)
    inside = (np.abs(w) < std).mean()  # 68.27 % of a normal, 57.74 % of a uniform distribution
    share = {"normal": math.erf(1 / math.sqrt(2)), "uniform": 1 / math.sqrt(3)}[kind]
    assert abs(inside - share) < 5 * math.sqrt(share * (1 - share) / N)


@pytest.mark.parametrize("name", ["glorot_uniform", "he_uniform"])
def test_a_uniform_initialiser_fills_its_bounds_and_keeps_them(name: str) -> None:
    limit = math.sqrt(3) * DISTRIBUTIONS[name][0]
    largest = np.abs(weights(name)).max()
    assert limit * (1 - 20 / N) < largest < limit


@pytest.mark.parametrize(
    ("init", "value"),
    [("zeros", 0.0), (0.25, 0.25), (-3, -3.0), (("constant", 0.5), 0.5), (np.float32(2.0), 2.0)],
    ids=["zeros", "number", "whole number", "constant", "numpy number"],
)
def test_constants_fill_weights_and_biases(init: object, value: float) -> None:
    net = bl.Network([bl.Dense(3, weight_init=init, bias_init=init)], inputs=2)
    np.testing.assert_array_equal(net.parameters.values, value)


def test_biases_are_drawn_apart_from_weights() -> None:
    net = bl.Network([bl.Dense(50, weight_init="standard_normal", bias_init="standard_normal")], inputs=1)
    assert (net.layers[0].weight[0] != net.layers[0].bias).all()


def test_layers_and_seeds_have_streams_of_their_own() -> None:
    net = bl.Network([bl.Dense(30, weight_init="standard_normal")] * 2, inputs=30)
    assert (net.layers[0].weight != net.layers[1].weight).all()
    assert (weights("standard_normal", seed=0) != weights("standard_normal", seed=1)).all()


def test_a_stream_does_not_depend_on_what_else_is_drawn() -> None:
    np.testing.assert_array_equal(weights("he_normal"), weights("he_normal", bias=False))
    np.testing.assert_array_equal(weights("he_normal"), weights("he_normal", bias_init="standard_normal"))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_float32_starts_from_the_same_numbers(name: str) -> None:
    np.testing.assert_array_equal(weights(name, dtype="float32"), weights(name).astype(np.float32))
