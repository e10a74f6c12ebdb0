"""Steps of an optimiser with a mistake in it: what parameters become of a gradient that is right.

Variants are made from what the optimiser has: its settings, its memory and its own `update`. So nothing here knows its
name.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...kinds.optimizers import Optimizer, OptimizerState, initial_state, take_step
from ...kinds.schedules import rate_at
from ...network import Network
from ...parameters import Array


def fresh_state(optimizer: Optimizer, values: Array, state: OptimizerState | None) -> OptimizerState:
    """A copy of what the optimiser remembers, in float64; nothing by custom."""
    if state is None:
        return initial_state(optimizer, values.size, values.dtype)
    return OptimizerState(state.slots.astype(values.dtype), state.step, np.empty_like(values), state.optimizer)


def after_step(
    net: Network, optimizer: Optimizer, gradient: Array, state: OptimizerState | None, rate: float | None = None
) -> Array:
    """All parameters after one step, (P,)."""
    values, mask = net.parameters.values.astype(np.float64), net.parameters.weight_mask.astype(np.float64)
    eta = rate_at(optimizer.learning_rate, 0.0) if rate is None else rate
    take_step(optimizer, values, gradient.copy(), mask, fresh_state(optimizer, values, state), eta)
    return values


def wrong_steps(
    net: Network, optimizer: Optimizer, gradient: Array, state: OptimizerState | None
) -> Iterator[tuple[str, Array]]:
    """The parameters after a step with one mistake, by the mistake's name; the likelier first."""
    values = net.parameters.values.astype(np.float64)
    right = after_step(net, optimizer, gradient, state)
    eta = rate_at(optimizer.learning_rate, 0.0)
    yield "update_sign", 2.0 * values - right
    yield "update_not_taken", values
    yield "learning_rate_not_applied", after_step(net, optimizer, gradient, state, 1.0)
    yield "learning_rate_twice", after_step(net, optimizer, gradient, state, eta * eta)
    weights = net.parameters.weight_mask.astype(bool)
    yield "biases_not_updated", np.where(weights, right, values)
    yield "weights_not_updated", np.where(weights, values, right)
    settings = {"momentum": "momentum_missing", "weight_decay": "decay_missing", "nesterov": "nesterov_missing"}
    for setting, name in {**settings, "clip_norm": "clipping_missing"}.items():
        if getattr(optimizer, setting, None):
            other: Any = copy.copy(optimizer)
            setattr(other, setting, None if setting == "clip_norm" else False if setting == "nesterov" else 0.0)
            yield name, after_step(net, other, gradient, state)
    if getattr(optimizer, "weight_decay", 0.0):
        decay = eta * getattr(optimizer, "weight_decay", 0.0)
        yield "decay_on_biases", right - np.where(weights, 0.0, decay * values)
    if getattr(optimizer, "momentum", 0.0) and state is not None:
        velocity = state.slots[0].astype(np.float64)
        yield "momentum_without_decay", values + velocity - eta * gradient
    if hasattr(optimizer, "beta_1") and hasattr(optimizer, "beta_2"):
        yield from _moment_steps(net, optimizer, gradient, state, eta)


def _moment_steps(
    net: Network, optimizer: Any, gradient: Array, state: OptimizerState | None, eta: float
) -> Iterator[tuple[str, Array]]:
    """Of an optimiser with running means m and v of the gradient and its square."""
    values, mask = net.parameters.values.astype(np.float64), net.parameters.weight_mask.astype(np.float64)
    kept = fresh_state(optimizer, values, state)
    m = optimizer.beta_1 * kept.slots[0] + (1.0 - optimizer.beta_1) * gradient
    v = optimizer.beta_2 * kept.slots[1] + (1.0 - optimizer.beta_2) * gradient**2
    start = values - eta * getattr(optimizer, "weight_decay", 0.0) * mask * values
    t, epsilon = kept.step + 1, optimizer.epsilon

    def moved(numerator: Array, root: Array) -> Array:
        return start - eta * numerator / root

    def hat(t: int) -> tuple[Array, Array]:
        return m / (1.0 - optimizer.beta_1**t), v / (1.0 - optimizer.beta_2**t)

    m_hat, v_hat = hat(t)
    yield "no_bias_correction", moved(m, np.sqrt(v) + epsilon)
    yield "only_mean_corrected", moved(m_hat, np.sqrt(v) + epsilon)
    yield "only_square_corrected", moved(m, np.sqrt(v_hat) + epsilon)
    yield "epsilon_inside_root", moved(m_hat, np.sqrt(v_hat + epsilon))
    yield "square_root_missing", moved(m_hat, v_hat + epsilon)
    if t > 1:
        m_before, v_before = hat(t - 1)
        yield "bias_correction_of_step_before", moved(m_before, np.sqrt(v_before) + epsilon)
    decay = math.sqrt(optimizer.beta_1 * optimizer.beta_2)
    if decay > 0.0:
        swapped_m = optimizer.beta_2 * kept.slots[0] + (1.0 - optimizer.beta_2) * gradient
        swapped_v = optimizer.beta_1 * kept.slots[1] + (1.0 - optimizer.beta_1) * gradient**2
        numerator = swapped_m / (1.0 - optimizer.beta_2**t)
        yield "betas_exchanged", moved(numerator, np.sqrt(swapped_v / (1.0 - optimizer.beta_1**t)) + epsilon)
