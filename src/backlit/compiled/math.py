"""The exponential and its relatives, for Numba.

The C library computes one exponential at a time. Written out as below, without branches, the compiler computes as many
of them at once as a vector of the processor holds; that is for float32, while float64 is left to the C library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numba import njit, types
from numba.extending import overload

from ..parameters import Array

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

_f: Final = np.float32
_SMALLEST, _LARGEST = _f(-87.33654), _f(88.72283)  # where eˣ leaves the normal float32 numbers
_PER_LN2, _LN2_HIGH, _LN2_LOW = _f(1.44269504), _f(0.693359375), _f(-2.12194440e-4)
_ROUND: Final = _f(1.5 * 2**23)  # the sum of this and a small number has no place for a fraction


def exp(x: float) -> float:
    """eˣ."""
    return math.exp(x)


@compiled
def _exp_float32(x: Any) -> Any:
    # eˣ = 2ⁿ eʳ with a whole n and |r| ≤ ln 2 / 2; eʳ is a polynomial, 2ⁿ is written into the exponent.
    # Source: Moshier, Cephes, expf.c (1992), with rounding by addition.
    inside = _SMALLEST if x < _SMALLEST else (_LARGEST if x > _LARGEST else x)
    rounded = inside * _PER_LN2 + _ROUND
    n = rounded - _ROUND
    r = inside - n * _LN2_HIGH - n * _LN2_LOW
    p = _f(1.9875691500e-4)
    p = p * r + _f(1.3981999507e-3)
    p = p * r + _f(8.3334519073e-3)
    p = p * r + _f(4.1665795894e-2)
    p = p * r + _f(1.6666665459e-1)
    p = p * r + _f(5.0000001201e-1)
    p = p * r * r + r + _f(1.0)
    # 2ⁿ in two factors, as n = 128 has no exponent of its own
    whole = np.int32(np.float32(rounded).view(np.int32) - np.int32(0x4B400000))  # n: the bits of _ROUND taken off
    half = whole >> np.int32(1)
    rest = whole - half
    y = p * np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    y = y * np.int32((rest + np.int32(127)) << np.int32(23)).view(np.float32)
    y = _f(0.0) if x < _SMALLEST else y
    return _f(np.inf) if x > _LARGEST else y


@overload(exp)
def _exp(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _exp_float32(x)

    def of_float64(x: Any) -> Any:
        return math.exp(x)

    return of_float32 if x == types.float32 else of_float64


def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    return math.tanh(x)


@compiled
def _tanh_float32(x: Any) -> Any:
    # near 0 a polynomial, elsewhere 1 − 2/(e²ˣ + 1), which would cancel there. Source: Moshier, Cephes, tanhf.c (1992)
    size, square = abs(x), x * x
    p = _f(-5.70498872745e-3)
    p = p * square + _f(2.06390887954e-2)
    p = p * square + _f(-5.37397155531e-2)
    p = p * square + _f(1.33314422036e-1)
    p = p * square + _f(-3.33332819422e-1)
    near = p * square * x + x
    away = _f(1.0) - _f(2.0) / (_exp_float32(size + size) + _f(1.0))
    away = -away if x < _f(0.0) else away
    return near if size < _f(0.625) else away


@overload(tanh)
def _tanh(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _tanh_float32(x)

    def of_float64(x: Any) -> Any:
        return math.tanh(x)

    return of_float32 if x == types.float32 else of_float64


@compiled
def sigmoid(x: Any) -> Any:
    one = type(x)(1)
    return one / (one + exp(-x))


@compiled
def softplus(x: Any) -> Any:
    # log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|)
    return (type(x)(0) if x < 0 else x) + math.log1p(exp(-abs(x)))


@compiled
def normal_cdf(x: Any) -> Any:
    # Φ(x) = ½ erfc(−x/√2)
    return type(x)(0.5) * math.erfc(-x * type(x)(math.sqrt(0.5)))


@compiled
def largest_of(row: Array) -> Any:
    largest = row[0]
    for x in row:
        largest = x if x > largest else largest
    return largest
