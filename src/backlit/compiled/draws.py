"""Random numbers for dropout in machine code: those of `randomness.keyed_generator`, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kinds import kernel
from ..parameters import Array
from ..randomness import PURPOSES
from .math import compiled, teach

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
def philox_block(key_0: Any, key_1: Any, first: Any, third: Any, fourth: Any) -> Any:
    """Four words of the generator with this key, whose counter is (first, 0, third, fourth)."""
    c0, c1, c2, c3 = first, np.uint64(0), third, fourth
    k0, k1 = key_0, key_1
    for _ in range(10):
        high0, low0 = _high_word(_M0, c0), _M0 * c0
        high1, low1 = _high_word(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += _W0
        k1 += _W1
    return c0, c1, c2, c3


@compiled
def draw_factors(seed: Any, layer: int, step: int, rate: float, first: int, factors: Array) -> None:
    """0 with probability `rate`, else 1/(1 − rate): the numbers of `keyed_generator(seed, "dropout", step, layer)`.

    They are those from the `first` on.

    Philox 4×64, 10 rounds. Each 64-bit word makes two float32 numbers, its low half first, of 24 bits each.
    The first `skip` of them are left out. Source: Salmon et al. (2011); the order of words is that of NumPy.
    """
    kept = factors.dtype.type(1.0 / (1.0 - rate))
    threshold = np.float32(rate)
    end = first + factors.size
    for block in range(first // 8, (end + 7) // 8):
        w_0, w_1, w_2, w_3 = philox_block(
            np.uint64(seed), _DROPOUT, np.uint64(block + 1), np.uint64(step), np.uint64(layer)
        )
        for i in range(max(0, first - 8 * block), min(8, end - 8 * block)):
            word = (w_0 if i < 2 else w_1) if i < 4 else (w_2 if i < 6 else w_3)
            bits = (word >> np.uint64(32 * (i % 2))) & np.uint64(0xFFFFFFFF)
            uniform = np.float32(bits >> np.uint64(8)) * np.float32(2.0**-24)
            factors[8 * block + i - first] = kept if uniform >= threshold else factors.dtype.type(0)


teach(kernel.draw_uniform_factors, draw_factors)
