"""Compiling the functions of the kinds, and the exponential and its relatives in machine code.

What a kind has for the compiled engine (`kinds/`) is plain Python: `compiled` makes machine code of it and of all that
it calls. The functions of `kinds/numbers.py` that the C library computes one number at a time are replaced for float32:
written out as below, without branches, the compiler computes as many of them at once as a vector of the processor
holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import overload

from ..kinds import kernel, numbers

_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_known: Final[set[Any]] = set()  # functions that Numba has been taught
_dispatchers: Final[dict[Any, Any]] = {}


def compiled(function: Callable[..., Any], *, inside: bool = False) -> Any:
    """Compile a function that only compiled functions call: without what Python would need, in half the time.

    Plain functions that it calls are compiled with it; `inside` makes it a part of the function that calls it.
    Division by zero gives infinity, as in NumPy: a loss that is not finite ends the run.
    """
    if function not in _dispatchers:
        for called in _called(function):
            teach(called)
        _dispatchers[function] = njit(**_OPTIONS, inline="always" if inside else "never")(function)
    return _dispatchers[function]


def teach(function: Any, instead: Any = None) -> None:
    """Let compiled functions call a plain one; `instead` of it they call another of the same arguments."""
    if function in _known:
        return
    _known.add(function)
    chosen = function if instead is None else instead
    for called in _called(chosen):
        teach(called)
    # what works on arrays becomes a part of its caller, where Numba sees that nothing has to be counted or freed
    inline: Any = "always" if function.__module__ == kernel.__name__ else "never"
    overload(function, strict=False, inline=inline, jit_options={"error_model": "numpy"})(lambda *arguments: chosen)


def known(*functions: Any) -> None:
    """Take note of plain functions for which compiled functions have others already."""
    _known.update(functions)


def _called(function: Any) -> list[Any]:
    """The plain functions that a function may call: of its module, or enclosed in it."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    used = [function.__globals__.get(name) for name in function.__code__.co_names]
    return [thing for thing in (*cells, *used) if isinstance(thing, FunctionType)]


_f: Final = np.float32
_SMALLEST, _LARGEST = _f(-87.33654), _f(88.72283)  # where eˣ leaves the normal float32 numbers
_PER_LN2, _LN2_HIGH, _LN2_LOW = _f(1.44269504), _f(0.693359375), _f(-2.12194440e-4)
_ROUND: Final = _f(1.5 * 2**23)  # the sum of this and a small number has no place for a fraction


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


@overload(numbers.exp)
def _exp(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _exp_float32(x)

    def of_float64(x: Any) -> Any:
        return math.exp(x)

    return of_float32 if x == types.float32 else of_float64


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


@overload(numbers.tanh)
def _tanh(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _tanh_float32(x)

    def of_float64(x: Any) -> Any:
        return math.tanh(x)

    return of_float32 if x == types.float32 else of_float64


@overload(numbers.log)
def _log(x: Any) -> Any:
    def of_any(x: Any) -> Any:
        return math.log(x)

    return of_any


known(numbers.exp, numbers.tanh, numbers.log)
