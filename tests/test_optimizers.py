"""Optimisers against their published recurrences, written here a second time, and on functions with a known minimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.kinds.optimizers import OPTIMIZERS, Optimizer, initial_state, take_step
from backlit.kinds.schedules import SCHEDULES, rate_at
from backlit.parameters import BLOCK
from backlit.training.lbfgs import minimize_lbfgs

P, STEPS = 7, 50


def walk(optimizer: Optimizer, values: np.ndarray, gradients: Any, mask: np.ndarray) -> np.ndarray:
    """Every point that the optimiser passes, shape (steps, P)."""
    state = initial_state(optimizer, values.size, values.dtype)
    values, points = values.copy(), []
    for step, gradient in enumerate(gradients):
        take_step(optimizer, values, gradient.copy(), mask, state, rate_at(optimizer.learning_rate, step / 10))
        points.append(values.copy())
    return np.array(points)


# ── the recurrences: one parameter at a time, in Python's floats ───────────────────────────────────────────
def sgd(theta: float, gs: list[float], eta: float) -> list[float]:
    points = []
    for g in gs:
        theta = theta - eta * g
        points.append(theta)
    return points


def momentum(theta: float, gs: list[float], eta: float, mu: float) -> list[float]:
    points, v = [], 0.0
    for g in gs:
        v = mu * v - eta * g
        theta = theta + v
        points.append(theta)
    return points


def nesterov(theta: float, gs: list[float], eta: float, mu: float) -> list[float]:
    """Sutskever et al. (2013) look ahead: v' = μv − η ∇f(θ + μv), θ' = θ + v'.

    What is kept is the point looked ahead to, φ = θ + μv, where the gradient is taken.
    """
    points, v, phi = [], 0.0, theta
    for g in gs:
        before = phi - mu * v  # θ
        v = mu * v - eta * g
        phi = before + v + mu * v
        points.append(phi)
    return points


def rmsprop(theta: float, gs: list[float], eta: float, rho: float, eps: float) -> list[float]:
    points, v = [], 0.0
    for g in gs:
        v = rho * v + (1 - rho) * g**2
        theta = theta - eta * g / (math.sqrt(v) + eps)
        points.append(theta)
    return points


def adagrad(theta: float, gs: list[float], eta: float, eps: float) -> list[float]:
    points, total = [], 0.0
    for g in gs:
        total = total + g**2
        theta = theta - eta * g / (math.sqrt(total) + eps)
        points.append(theta)
    return points


def adam(
    theta: float, gs: list[float], eta: float, b1: float, b2: float, eps: float, decay: float = 0.0
) -> list[float]:
    points, m, v = [], 0.0, 0.0
    for t, g in enumerate(gs, start=1):
        theta = theta - eta * decay * theta
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        theta = theta - eta * m_hat / (math.sqrt(v_hat) + eps)
        points.append(theta)
    return points


def adam_epsilon_hat(theta: float, gs: list[float], eta: float, b1: float, b2: float, eps: float) -> list[float]:
    """The form at the end of section 2 of Kingma & Ba, with ε̂ beside the uncorrected √v."""
    points, m, v = [], 0.0, 0.0
    for t, g in enumerate(gs, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        theta = theta - eta * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (math.sqrt(v) + eps)
        points.append(theta)
    return points


RECURRENCES: dict[str, tuple[Optimizer, Callable[[float, list[float]], list[float]]]] = {
    "SGD": (bl.SGD(0.1), lambda x, g: sgd(x, g, 0.1)),
    "momentum": (bl.SGD(0.1, momentum=0.9), lambda x, g: momentum(x, g, 0.1, 0.9)),
    "Nesterov": (bl.SGD(0.1, momentum=0.9, nesterov=True), lambda x, g: nesterov(x, g, 0.1, 0.9)),
    "RMSprop": (bl.RMSprop(0.01, rho=0.8, epsilon=1e-6), lambda x, g: rmsprop(x, g, 0.01, 0.8, 1e-6)),
    "Adagrad": (bl.Adagrad(0.1, epsilon=1e-6), lambda x, g: adagrad(x, g, 0.1, 1e-6)),
    "Adam": (bl.Adam(0.01, 0.8, 0.95, 1e-6), lambda x, g: adam(x, g, 0.01, 0.8, 0.95, 1e-6)),
    "Adam, as it comes": (bl.Adam(), lambda x, g: adam(x, g, 0.001, 0.9, 0.999, 1e-8)),
    "Adam with epsilon_hat": (
        bl.Adam(0.01, 0.8, 0.95, 1e-3, epsilon_hat=True),
        lambda x, g: adam_epsilon_hat(x, g, 0.01, 0.8, 0.95, 1e-3),
    ),
    "AdamW": (
        bl.AdamW(0.01, 0.8, 0.95, 1e-6, weight_decay=0.3),
        lambda x, g: adam(x, g, 0.01, 0.8, 0.95, 1e-6, 0.3),
    ),
}


@pytest.mark.parametrize("name", RECURRENCES)
def test_fifty_steps_equal_the_recurrence(name: str) -> None:
    optimizer, recurrence = RECURRENCES[name]
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=P), rng.normal(size=(STEPS, P)) * 10.0 ** rng.integers(-3, 3, size=P)
    expected = np.array([recurrence(start[i], gradients[:, i].tolist()) for i in range(P)]).T
    found = walk(optimizer, start, gradients, np.ones(P))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_weight_decay_leaves_biases_alone() -> None:
    mask = np.array([1.0, 1.0, 0.0])
    gradients = np.zeros((10, 3))
    end = walk(bl.AdamW(0.1, weight_decay=0.5), np.array([2.0, -4.0, 3.0]), gradients, mask)[-1]
    np.testing.assert_allclose(end, [2.0 * 0.95**10, -4.0 * 0.95**10, 3.0], rtol=1e-14)


def test_weight_decay_in_a_fit_leaves_biases_alone() -> None:
    net = bl.Network([bl.Dense(2, weight_init=1.0, bias_init=1.0)], inputs=2, loss="absolute_error", dtype="float64")
    X, y = np.zeros((1, 2)), np.ones((1, 2))  # the output is the bias, and right: no gradient at all
    bl.fit(net, X, y, epochs=3, optimizer=bl.AdamW(0.1, weight_decay=0.5), progress=False)
    np.testing.assert_allclose(net.layers[0].weight, 0.95**3, rtol=1e-14)
    np.testing.assert_array_equal(net.layers[0].bias, 1.0)


@pytest.mark.parametrize("clip_norm", [0.5, 5.0, 100.0])
def test_clip_norm_shortens_what_is_too_long(clip_norm: float) -> None:
    gradient = np.array([3.0, -4.0])  # its length is 5
    step = walk(bl.SGD(1.0, clip_norm=clip_norm), np.zeros(2), [gradient], np.ones(2))[0]
    np.testing.assert_allclose(step, -gradient * min(1.0, clip_norm / 5.0), rtol=1e-15)


# ── long vectors, moved part by part ───────────────────────────────────────────────────────────────────────
LONG = 50_011  # more than one part, and no multiple of it
RULES: dict[str, Optimizer] = {
    "SGD": bl.SGD(0.1),
    "momentum": bl.SGD(0.1, momentum=0.9),
    "Nesterov": bl.SGD(0.1, momentum=0.9, nesterov=True, clip_norm=0.5),
    "RMSprop": bl.RMSprop(0.01),
    "Adagrad": bl.Adagrad(0.1),
    "Adam": bl.Adam(0.01, clip_norm=0.5),
    "Adam, epsilon hat": bl.Adam(0.01, epsilon_hat=True),
    "AdamW": bl.AdamW(0.01, weight_decay=0.1),
    "Lion": bl.Lion(0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_parts_give_the_bits_of_the_whole(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    gradients = rng.normal(size=(3, LONG)).astype(dtype)
    values, mask = rng.normal(size=LONG).astype(dtype), rng.integers(0, 2, LONG).astype(dtype)
    in_parts = walk(RULES[name], values, gradients, mask)
    monkeypatch.setattr("backlit.kinds.optimizer.BLOCK", LONG)
    np.testing.assert_array_equal(in_parts, walk(RULES[name], values, gradients, mask))


def test_every_optimiser_of_ours_is_tried_in_parts() -> None:
    assert {type(rule) for rule in RULES.values()} == set(OPTIMIZERS.values())
    assert all(rule.elementwise for rule in OPTIMIZERS.values())


class Lengths:
    """An own optimiser that remembers what it is given."""

    learning_rate, clip_norm, slots = 0.1, None, ("memory",)

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def update(self, values: Any, gradient: Any, weight_mask: Any, state: Any, rate: float) -> None:
        self.seen.append((values.size, state))


def test_an_optimiser_of_ones_own_gets_the_whole_vector_unless_it_says_otherwise() -> None:
    rule, whole = Lengths(), np.zeros(LONG)
    state = initial_state(rule, LONG, whole.dtype)
    take_step(rule, whole, whole, whole, state, 0.1)
    assert [size for size, _ in rule.seen] == [LONG]
    assert rule.seen[0][1] is state
    rule.seen.clear()
    rule.elementwise = True  # type: ignore[attr-defined]
    take_step(rule, whole, whole, whole, state, 0.1)
    assert [size for size, _ in rule.seen] == [BLOCK, LONG - BLOCK]
    assert [own.slots.shape for _, own in rule.seen] == [(1, BLOCK), (1, LONG - BLOCK)]
    assert [own.step for _, own in rule.seen] == [2, 2]


# ── finding a minimum ──────────────────────────────────────────────────────────────────────────────────────
def rosenbrock(t: np.ndarray) -> np.ndarray:
    x, y = t
    return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray]] = {
    # gradient, start, minimum
    "a bowl": (lambda t: t - [1.0, -2.0], np.array([4.0, 3.0]), np.array([1.0, -2.0])),
    "a valley": (lambda t: np.array([1.0, 100.0]) * (t - [1.0, -2.0]), np.array([2.0, -1.0]), np.array([1.0, -2.0])),
    "Rosenbrock": (rosenbrock, np.array([-0.5, 0.5]), np.array([1.0, 1.0])),
}
# Rates that go down in the end: a method that divides by the size of the gradient steps about η around the minimum.
MINIMISERS: dict[str, Optimizer] = {
    "SGD": bl.SGD(0.0015),
    "momentum": bl.SGD(0.001, momentum=0.9),
    "Nesterov": bl.SGD(0.001, momentum=0.9, nesterov=True),
    "clipped": bl.SGD(0.002, momentum=0.5, clip_norm=100.0),
    "RMSprop": bl.RMSprop(bl.ExponentialDecay(0.05, rate=0.995)),
    "Adagrad": bl.Adagrad(0.5),
    "Adam": bl.Adam(bl.ExponentialDecay(0.05, rate=0.998)),
    "AdamW": bl.AdamW(bl.ExponentialDecay(0.05, rate=0.998), weight_decay=0.0),
    "Lion": bl.Lion(bl.ExponentialDecay(0.01, rate=0.995)),
}


def test_every_optimiser_looks_for_a_minimum() -> None:
    assert {type(rule) for rule in MINIMISERS.values()} == set(OPTIMIZERS.values())
    assert {type(rule) for rule in FITS.values()} == {*OPTIMIZERS.values(), bl.LBFGS}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", MINIMISERS)
def test_the_minimum_is_found(name: str, function: str) -> None:
    optimizer = MINIMISERS[name]
    gradient, start, minimum = FUNCTIONS[function]
    state = initial_state(optimizer, 2, np.dtype("float64"))
    values = start.copy()
    for step in range(20_000):
        take_step(optimizer, values, gradient(values), np.ones(2), state, rate_at(optimizer.learning_rate, step / 10))
    np.testing.assert_allclose(values, minimum, atol=1e-3)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lbfgs_finds_the_minimum(function: str) -> None:
    losses = {
        "a bowl": lambda t: 0.5 * float((t - [1.0, -2.0]) @ (t - [1.0, -2.0])),
        "a valley": lambda t: 0.5 * float(np.array([1.0, 100.0]) @ (t - [1.0, -2.0]) ** 2),
        "Rosenbrock": lambda t: float((1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2),
    }
    gradient, start, minimum = FUNCTIONS[function]
    loss = losses[function]
    found, _ = minimize_lbfgs(bl.LBFGS(), lambda t: (loss(t), gradient(t)), start, 100, lambda t, value: False)
    np.testing.assert_allclose(found, minimum, atol=1e-3)


FITS = {
    "SGD": bl.SGD(0.1),
    "momentum": bl.SGD(0.02, momentum=0.9),
    "Nesterov": bl.SGD(0.02, momentum=0.9, nesterov=True),
    "RMSprop": bl.RMSprop(bl.ExponentialDecay(0.1, rate=0.985)),
    "Adagrad": bl.Adagrad(0.5),
    "Adam": bl.Adam(bl.ExponentialDecay(0.1, rate=0.99)),
    "AdamW": bl.AdamW(bl.ExponentialDecay(0.1, rate=0.99), weight_decay=0.0),
    "Lion": bl.Lion(bl.ExponentialDecay(0.05, rate=0.992)),
    "LBFGS": bl.LBFGS(tolerance=1e-9),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_reaches_least_squares(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.3 + 0.1 * rng.normal(size=40)
    net = bl.Network([bl.Dense(1)], inputs=3, dtype="float64")
    bl.fit(net, X, y, epochs=1000, batch_size=None, optimizer=FITS[name], progress=False)
    expected = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
    np.testing.assert_allclose(net.parameters.values, expected, atol=1e-4)


def test_lbfgs_records_an_iteration_as_an_epoch_and_says_why_it_ended() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    net = bl.Network([bl.Dense(5, "tanh"), bl.Dense(1)], inputs=2, dtype="float64")
    start = net.loss(X, y)
    few = bl.fit(net, X, y, epochs=3, optimizer=bl.LBFGS(), validation=(X, y), progress=False)
    assert few.epochs == 3
    assert few.stopped is None
    assert start > few["loss"][0] > few["loss"][1] > few["loss"][2] == pytest.approx(net.loss(X, y))
    assert few["val_loss"] == pytest.approx(few["loss"])
    line = bl.Network([bl.Dense(1)], inputs=2, dtype="float64")
    many = bl.fit(line, X, y, epochs=500, optimizer=bl.LBFGS(), progress=False)
    assert many.epochs < 500
    assert "CONVERGENCE" in (many.stopped or "")


# ── schedules ──────────────────────────────────────────────────────────────────────────────────────────────
def test_every_schedule_has_its_formula_here() -> None:
    assert {type(schedule) for schedule, _ in RATES.values()} == set(SCHEDULES)


RATES: dict[str, tuple[Callable[[float], float], dict[float, float]]] = {
    "step": (bl.StepDecay(0.8, factor=0.5, every=2), {0.0: 0.8, 1.99: 0.8, 2.0: 0.4, 5.0: 0.2}),
    "exponential": (bl.ExponentialDecay(2.0, rate=0.9), {0.0: 2.0, 1.0: 1.8, 0.5: 2 * math.sqrt(0.9)}),
    "inverse": (bl.InverseDecay(3.0, rate=0.5, power=2.0), {0.0: 3.0, 2.0: 0.75}),
    "cosine": (
        bl.CosineDecay(1.0, epochs=4, final=0.2),
        {0.0: 1.0, 1.0: 0.6 + 0.2 * math.sqrt(2), 2.0: 0.6, 4.0: 0.2, 9.0: 0.2},
    ),
    "cosine with warm-up": (
        bl.CosineDecay(1.0, epochs=6, warmup=2),
        {0.0: 0.0, 1.0: 0.5, 2.0: 1.0, 4.0: 0.5, 6.0: 0.0},
    ),
    "flat cosine": (
        bl.FlatCosine(1.0, epochs=8, flat=0.25, final=0.2),
        {0.0: 1.0, 2.0: 1.0, 3.5: 0.6 + 0.2 * math.sqrt(2), 5.0: 0.6, 8.0: 0.2, 9.0: 0.2},
    ),
    # 1 + 15 t doubles from the start of a cycle to its end, and is √2 times that at its top
    "cosine cycles": (
        bl.CosineCycles(0.5, epochs=15),
        {0.0: 0.0, 2**0.25 - 1: 0.25, 2**0.5 - 1: 0.5, 1.0: 0.0, 2**1.5 - 1: 0.5, 7.0: 0.0, 2**3.5 - 1: 0.5, 20.0: 0.0},
    ),
    "three cycles": (bl.CosineCycles(1.0, epochs=7, cycles=3), {3.0: 0.0, 2**2.5 - 1: 1.0, 7.0: 0.0}),
}


@pytest.mark.parametrize("name", RATES)
def test_a_schedule_has_the_values_of_its_formula(name: str) -> None:
    schedule, rates = RATES[name]
    for epoch, rate in rates.items():
        assert schedule(epoch) == pytest.approx(rate, rel=1e-12, abs=1e-15)


def test_a_fit_asks_the_schedule_at_every_step() -> None:
    times: list[float] = []

    def schedule(epoch: float) -> float:
        times.append(epoch)
        return 0.01

    net = bl.Network([bl.Dense(1)], inputs=1)
    bl.fit(net, np.ones((6, 1)), np.ones(6), epochs=2, batch_size=2, optimizer=bl.SGD(schedule), progress=False)
    assert sorted(set(times)) == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])


def test_a_schedule_moves_the_parameters_as_its_rates_say() -> None:
    net = bl.Network([bl.Dense(1, weight_init=1.0, bias=False)], inputs=1, loss="absolute_error", dtype="float64")
    optimizer = bl.SGD(bl.StepDecay(0.1, factor=0.5, every=1))
    history = bl.fit(net, [[1.0]], [-9.0], epochs=3, optimizer=optimizer, progress=False)  # the gradient is always 1
    assert history["learning_rate"] == [0.1, 0.05, 0.025]
    assert net.layers[0].weight[0, 0] == pytest.approx(1 - 0.1 - 0.05 - 0.025, rel=1e-14)
