"""Activations and dropout as loops over single numbers, for Numba.

Every formula stands with its source in `layers/activations.py` and `layers/dropout.py`, to which these are proven
equal; here a batch passes through memory once for what NumPy does in several passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numba import njit

from ..layers.activations import LEAK
from ..parameters import Array
from ..randomness import PURPOSES

ACTIVATIONS: Final = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "exp", "softmax", "gelu", "softplus", "silu",
)  # fmt: skip
IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, EXP, SOFTMAX, GELU, SOFTPLUS, SILU = range(len(ACTIVATIONS))

_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function that only compiled functions call: without what Python would need, in half the time.

    Division by zero gives infinity, as in NumPy: a loss that is not finite ends the run.
    """
    dispatcher: _Function = njit(**_OPTIONS)(function)
    return dispatcher


# `type(x)(1)` is a one of the network's own type: a plain 1.0 would turn float32 arithmetic into float64. Comparisons
# are written so that NaN passes through: a network that has left the numbers must be seen.


@compiled
def sigmoid(x: Any) -> Any:
    one = type(x)(1)
    return one / (one + math.exp(-x))


@compiled
def softplus(x: Any) -> Any:
    # log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|)
    return (type(x)(0) if x < 0 else x) + math.log1p(math.exp(-abs(x)))


@compiled
def _normal_cdf(x: Any) -> Any:
    # Φ(x) = ½ erfc(−x/√2)
    return type(x)(0.5) * math.erfc(-x * type(x)(math.sqrt(0.5)))


@compiled
def largest_of(row: Array) -> Any:
    largest = row[0]
    for x in row:
        if x > largest:
            largest = x
    return largest


@compiled
def activate(activation: int, z: Array, b: Array, a: Array) -> None:
    """z ← z + b, a ← f(z)."""
    zero, leak = z.dtype.type(0), z.dtype.type(LEAK)
    units = range(z.shape[1])
    for i in range(z.shape[0]):
        for j in units:
            z[i, j] += b[j]
        if activation == IDENTITY:
            for j in units:
                a[i, j] = z[i, j]
        elif activation == SIGMOID:
            for j in units:
                a[i, j] = sigmoid(z[i, j])
        elif activation == TANH:
            for j in units:
                a[i, j] = math.tanh(z[i, j])
        elif activation == RELU:
            for j in units:
                a[i, j] = zero if z[i, j] < zero else z[i, j]
        elif activation == LEAKY_RELU:
            for j in units:
                a[i, j] = leak * z[i, j] if z[i, j] < zero else z[i, j]
        elif activation == ELU:
            for j in units:
                a[i, j] = math.expm1(z[i, j]) if z[i, j] < zero else z[i, j]
        elif activation == EXP:
            for j in units:
                a[i, j] = math.exp(z[i, j])
        elif activation == GELU:
            for j in units:
                a[i, j] = z[i, j] * _normal_cdf(z[i, j])
        elif activation == SOFTPLUS:
            for j in units:
                a[i, j] = softplus(z[i, j])
        elif activation == SILU:
            for j in units:
                a[i, j] = z[i, j] * sigmoid(z[i, j])
        else:  # softmax
            largest, total = largest_of(z[i]), zero
            for j in units:
                a[i, j] = math.exp(z[i, j] - largest)
                total += a[i, j]
            for j in units:
                a[i, j] /= total


@compiled
def multiply_by_slope(activation: int, z: Array, a: Array, delta: Array) -> None:
    """delta ← delta ⊙ f′(z); for softmax the product with its Jacobian."""
    real = z.dtype.type
    zero, one, leak, density = real(0), real(1), real(LEAK), real(1.0 / math.sqrt(2.0 * math.pi))
    units = range(z.shape[1])
    for i in range(z.shape[0]):
        if activation == SIGMOID:
            for j in units:
                delta[i, j] *= a[i, j] * (one - a[i, j])
        elif activation == TANH:
            for j in units:
                delta[i, j] *= one - a[i, j] * a[i, j]
        elif activation == RELU:
            for j in units:
                delta[i, j] *= one if a[i, j] > zero else zero
        elif activation == LEAKY_RELU:
            for j in units:
                delta[i, j] *= one if a[i, j] > zero else leak
        elif activation == ELU:
            for j in units:
                delta[i, j] *= a[i, j] + one if a[i, j] < zero else one
        elif activation == EXP:
            for j in units:
                delta[i, j] *= a[i, j]
        elif activation == GELU:
            for j in units:
                x = z[i, j]
                delta[i, j] *= _normal_cdf(x) + x * density * math.exp(real(-0.5) * x * x)
        elif activation == SOFTPLUS:
            for j in units:
                delta[i, j] *= sigmoid(z[i, j])
        elif activation == SILU:
            for j in units:
                s = sigmoid(z[i, j])
                delta[i, j] *= s + a[i, j] * (one - s)
        elif activation == SOFTMAX:
            mean = zero
            for j in units:
                mean += a[i, j] * delta[i, j]
            for j in units:
                delta[i, j] = a[i, j] * (delta[i, j] - mean)


# Philox 4×64 with 10 rounds: multipliers, increments of the key, and the key's word for dropout.
_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_DROPOUT = np.uint64(PURPOSES["dropout"])


@compiled
def _high_word(a: Any, b: Any) -> Any:
    """The upper 64 bits of the product of two 64-bit numbers."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    middle = (a >> half) * (b & low) + (((a & low) * (b & low)) >> half)
    other = (a & low) * (b >> half) + (middle & low)
    return (a >> half) * (b >> half) + (middle >> half) + (other >> half)


@compiled
def draw_factors(seed: Any, layer: int, step: int, rate: float, factors: Array) -> None:
    """0 with probability `rate`, else 1/(1 − rate): the numbers of `keyed_generator(seed, "dropout", step, layer)`.

    Philox 4×64, 10 rounds. Each 64-bit word makes two float32 numbers, its low half first, of 24 bits each.
    Source: Salmon et al. (2011); the order of words is that of NumPy.
    """
    kept = factors.dtype.type(1.0 / (1.0 - rate))
    threshold = np.float32(rate)
    words = np.empty(4, np.uint64)
    for block in range((factors.size + 7) // 8):
        c0, c1, c2, c3 = np.uint64(block + 1), np.uint64(0), np.uint64(step), np.uint64(layer)
        k0, k1 = np.uint64(seed), np.uint64(_DROPOUT)
        for _ in range(10):
            high0, low0 = _high_word(_M0, c0), _M0 * c0
            high1, low1 = _high_word(_M1, c2), _M1 * c2
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0 += _W0
            k1 += _W1
        words[0], words[1], words[2], words[3] = c0, c1, c2, c3
        for i in range(min(8, factors.size - 8 * block)):
            bits = (words[i // 2] >> np.uint64(32 * (i % 2))) & np.uint64(0xFFFFFFFF)
            uniform = np.float32(bits >> np.uint64(8)) * np.float32(2.0**-24)
            factors[8 * block + i] = kept if uniform >= threshold else factors.dtype.type(0)
