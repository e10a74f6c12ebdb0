"""Losses and their gradients in one loop each, for Numba.

Every formula stands with its source in `losses.py`, to which these are proven equal.
"""

from __future__ import annotations

import math
from typing import Any, Final

from ..parameters import Array
from .math import compiled, largest_of, softplus

#: By name; the last three are pairs of an output activation and a loss, with delta = a − y.
LOSSES: Final = (
    "squared_error", "mean_squared_error", "huber", "absolute_error", "poisson", "quantile", "hinge",
    "softmax cross_entropy", "sigmoid cross_entropy", "exp poisson",
)  # fmt: skip
(
    SQUARED_ERROR, MEAN_SQUARED_ERROR, HUBER, ABSOLUTE_ERROR, POISSON, QUANTILE, HINGE,
    SOFTMAX_CROSS_ENTROPY, SIGMOID_CROSS_ENTROPY, EXP_POISSON,
) = range(len(LOSSES))  # fmt: skip
FIRST_PAIR: Final = SOFTMAX_CROSS_ENTROPY


@compiled
def _y_log(y: Any, x: Any) -> Any:
    # y log x, which is 0 where y = 0
    return type(y)(0) if y == 0 and not math.isnan(x) else y * math.log(x)


@compiled
def _sign(x: Any) -> Any:
    return type(x)(1) if x > 0 else (type(x)(-1) if x < 0 else x)


@compiled
def loss_and_delta(loss: int, z: Array, a: Array, y: Array, w: Array, setting: Any, delta: Array) -> float:
    """Add up the losses of the rows, times their weights w; write w dL/da, or w dL/dz for a pair, into delta."""
    half, one = type(setting)(0.5), type(setting)(1)
    total = 0.0
    for i in range(a.shape[0]):
        row = 0.0
        if loss == SOFTMAX_CROSS_ENTROPY:
            # −Σ_k y_k log a_k = −log max a − Σ_k y_k (z_k − max z)
            largest = largest_of(z[i])
            row = -math.log(largest_of(a[i]))
            for j in range(a.shape[1]):
                row -= y[i, j] * (z[i, j] - largest)
                delta[i, j] = w[i] * (a[i, j] - y[i, j])
        else:
            for j in range(a.shape[1]):
                r = a[i, j] - y[i, j]
                if loss == SQUARED_ERROR:
                    row += half * r * r
                    slope = r
                elif loss == MEAN_SQUARED_ERROR:  # setting: K
                    row += r * r / setting
                    slope = r * (type(r)(2) / setting)
                elif loss == HUBER:  # setting: delta
                    c = min(abs(r), setting)
                    row += c * (abs(r) - half * c)
                    slope = max(min(r, setting), -setting)
                elif loss == ABSOLUTE_ERROR:
                    row += abs(r)
                    slope = _sign(r)
                elif loss == POISSON:
                    row += r + _y_log(y[i, j], y[i, j] / a[i, j])
                    slope = one - y[i, j] / a[i, j]
                elif loss == QUANTILE:  # setting: q
                    row += max(-setting * r, (one - setting) * r)
                    slope = half * _sign(r) + (half - setting)
                elif loss == HINGE:
                    t = y[i, j] + y[i, j] - one
                    row += max(one - t * a[i, j], type(r)(0))
                    slope = -t if t * a[i, j] < one else type(r)(0)
                elif loss == SIGMOID_CROSS_ENTROPY:
                    row += softplus(z[i, j]) - y[i, j] * z[i, j]
                    slope = r
                else:  # exp poisson
                    row += r + _y_log(y[i, j], y[i, j]) - y[i, j] * z[i, j]
                    slope = r
                delta[i, j] = w[i] * slope
        total += w[i] * row
    return total
