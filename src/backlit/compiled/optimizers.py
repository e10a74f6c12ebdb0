"""Optimisers in one pass over the vector each, for Numba.

Every formula stands with its source in `optimizers.py`, to which these are proven equal.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from ..parameters import Array
from .math import compiled

OPTIMIZERS: Final = ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW")
SGD, RMSPROP, ADAGRAD, ADAM, ADAMW = range(len(OPTIMIZERS))


class Rule(NamedTuple):
    """The optimiser."""

    kind: int
    settings: Array  # (5,): see `update`
    clip_norm: float  # infinity where the gradient is not clipped
    slots: Array  # (slots, P)


# Each takes a part of the vector. `scale` makes means of the summed gradients on the way: g is scale · gradient.
# Moments that fade away are set to zero before they become subnormal numbers, with which a processor is slow.


@compiled
def _normal(x: Any, tiny: Any) -> Any:
    return x if abs(x) >= tiny else type(x)(0)


@compiled
def _sgd(values: Array, gradients: Array, scale: Any, rate: Any) -> None:
    for i in range(values.size):
        g = scale * gradients[i]
        gradients[i] = g
        values[i] -= g * rate


@compiled
def _momentum(
    values: Array, gradients: Array, v: Array, scale: Any, rate: Any, mu: Any, nesterov: bool, tiny: Any
) -> None:
    for i in range(values.size):
        g = scale * gradients[i]
        gradients[i] = g
        step = g * rate
        v[i] = _normal(v[i] * mu - step, tiny)
        values[i] += v[i] * mu - step if nesterov else v[i]


@compiled
def _root_mean_square(
    values: Array, gradients: Array, v: Array, scale: Any, rate: Any, keep: Any, add: Any, epsilon: Any, tiny: Any
) -> None:
    # RMSprop keeps ρ v and adds (1 − ρ) g²; Adagrad keeps v and adds g²
    for i in range(values.size):
        g = scale * gradients[i]
        gradients[i] = g
        v[i] = _normal(v[i] * keep + g * g * add, tiny)
        values[i] -= g / (math.sqrt(v[i]) + epsilon) * rate


@compiled
def _adam(
    values: Array, gradients: Array, m: Array, v: Array, scale: Any, rate: Any, correction: Any,
    beta_1: Any, rest_1: Any, beta_2: Any, rest_2: Any, epsilon: Any, decay: Any, tiny: Any,
) -> None:  # fmt: skip
    for i in range(values.size):
        g = scale * gradients[i]
        gradients[i] = g
        m[i] = _normal(m[i] * beta_1 + g * rest_1, tiny)
        v[i] = _normal(v[i] * beta_2 + g * g * rest_2, tiny)
        w = values[i] - values[i] * decay
        values[i] = w - m[i] / (math.sqrt(v[i] * correction) + epsilon) * rate


@compiled
def update(
    rule: Rule, values: Array, gradients: Array, start: int, stop: int, scale: Any, rate: float, t: int, decays: bool
) -> None:
    """Step t (from 1) of the optimiser for the parameters from `start` to `stop`; only weights decay."""
    real = values.dtype.type
    tiny = real(np.finfo(values.dtype).tiny)
    w, g, s = values[start:stop], gradients[start:stop], rule.settings
    if rule.kind == SGD and s[0] == 0.0:
        _sgd(w, g, scale, real(rate))
    elif rule.kind == SGD:  # settings: momentum, nesterov
        _momentum(w, g, rule.slots[0][start:stop], scale, real(rate), real(s[0]), s[1] != 0.0, tiny)
    elif rule.kind == RMSPROP or rule.kind == ADAGRAD:  # settings: what is kept of v, the share of g², epsilon
        v = rule.slots[0][start:stop]
        _root_mean_square(w, g, v, scale, real(rate), real(s[0]), real(s[1]), real(s[2]), tiny)
    else:  # settings: beta_1, beta_2, epsilon, weight_decay, epsilon_hat
        correction = 1.0 - s[1] ** t
        epsilon = s[2] / math.sqrt(correction) if s[4] != 0.0 else s[2]
        _adam(
            w, g, rule.slots[0][start:stop], rule.slots[1][start:stop], scale,
            real(rate / (1.0 - s[0] ** t)), real(1.0 / correction),
            real(s[0]), real(1.0 - s[0]), real(s[1]), real(1.0 - s[1]), real(epsilon),
            real(rate * s[3] if decays else 0.0), tiny,
        )  # fmt: skip
