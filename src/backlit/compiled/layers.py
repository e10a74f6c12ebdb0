"""Activations and dropout as loops over single numbers, for Numba.

Every formula stands with its source in `layers/activations.py` and `layers/dropout.py`, to which these are proven
equal; here a batch passes through memory once for what NumPy does in several passes.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ..kinds.activations import LEAK
from ..parameters import Array
from ..randomness import PURPOSES
from .math import compiled, exp, largest_of, normal_cdf, sigmoid, softplus, tanh

ACTIVATIONS: Final = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "exp", "softmax", "gelu", "softplus", "silu",
)  # fmt: skip
IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, EXP, SOFTMAX, GELU, SOFTPLUS, SILU = range(len(ACTIVATIONS))


# Z, A and DELTA below are contiguous; what belongs to single numbers runs over all rows in one loop.


@compiled
def activate(activation: int, Z: Array, b: Array, A: Array) -> None:
    """Z ← Z + b, A ← f(Z)."""
    zero, leak = Z.dtype.type(0), Z.dtype.type(LEAK)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] += b[j]
    z, a = Z.reshape(Z.size), A.reshape(A.size)
    if activation == IDENTITY:
        for i in range(z.size):
            a[i] = z[i]
    elif activation == SIGMOID:
        for i in range(z.size):
            a[i] = sigmoid(z[i])
    elif activation == TANH:
        for i in range(z.size):
            a[i] = tanh(z[i])
    elif activation == RELU:
        for i in range(z.size):
            a[i] = zero if z[i] < zero else z[i]
    elif activation == LEAKY_RELU:
        for i in range(z.size):
            a[i] = leak * z[i] if z[i] < zero else z[i]
    elif activation == ELU:
        for i in range(z.size):
            a[i] = math.expm1(z[i]) if z[i] < zero else z[i]
    elif activation == EXP:
        for i in range(z.size):
            a[i] = exp(z[i])
    elif activation == GELU:
        for i in range(z.size):
            a[i] = z[i] * normal_cdf(z[i])
    elif activation == SOFTPLUS:
        for i in range(z.size):
            a[i] = softplus(z[i])
    elif activation == SILU:
        for i in range(z.size):
            a[i] = z[i] * sigmoid(z[i])
    else:
        _softmax(Z, A)


@compiled
def _softmax(Z: Array, A: Array) -> None:
    # a_k = e^(z_k − max z) / Σ_j e^(z_j − max z)
    for i in range(Z.shape[0]):
        largest = largest_of(Z[i])
        for j in range(Z.shape[1]):
            A[i, j] = Z[i, j] - largest
    a = A.reshape(A.size)
    for i in range(a.size):
        a[i] = exp(a[i])
    for i in range(A.shape[0]):
        total = A.dtype.type(0)
        for j in range(A.shape[1]):
            total += A[i, j]
        for j in range(A.shape[1]):
            A[i, j] /= total


@compiled
def multiply_by_slope(activation: int, Z: Array, A: Array, DELTA: Array) -> None:
    """DELTA ← DELTA ⊙ f′(Z); for softmax the product with its Jacobian."""
    real = Z.dtype.type
    zero, one, leak, density = real(0), real(1), real(LEAK), real(1.0 / math.sqrt(2.0 * math.pi))
    z, a, delta = Z.reshape(Z.size), A.reshape(A.size), DELTA.reshape(DELTA.size)
    if activation == SIGMOID:
        for i in range(z.size):
            delta[i] *= a[i] * (one - a[i])
    elif activation == TANH:
        for i in range(z.size):
            delta[i] *= one - a[i] * a[i]
    elif activation == RELU:
        for i in range(z.size):
            delta[i] *= one if a[i] > zero else zero
    elif activation == LEAKY_RELU:
        for i in range(z.size):
            delta[i] *= one if a[i] > zero else leak
    elif activation == ELU:
        for i in range(z.size):
            delta[i] *= a[i] + one if a[i] < zero else one
    elif activation == EXP:
        for i in range(z.size):
            delta[i] *= a[i]
    elif activation == GELU:
        for i in range(z.size):
            x = z[i]
            delta[i] *= normal_cdf(x) + x * density * exp(real(-0.5) * x * x)
    elif activation == SOFTPLUS:
        for i in range(z.size):
            delta[i] *= sigmoid(z[i])
    elif activation == SILU:
        for i in range(z.size):
            s = sigmoid(z[i])
            delta[i] *= s + a[i] * (one - s)
    elif activation == SOFTMAX:
        for i in range(Z.shape[0]):
            mean = zero
            for j in range(Z.shape[1]):
                mean += A[i, j] * DELTA[i, j]
            for j in range(Z.shape[1]):
                DELTA[i, j] = A[i, j] * (DELTA[i, j] - mean)


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
