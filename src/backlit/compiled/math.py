"""Compiling the functions of the kinds, and the exponential and its relatives in machine code.

What a kind has for the compiled engine (`kinds/`) is plain Python: `compiled` makes machine code of it and of all that
it calls. Functions of `kinds/numbers.py` that the C library computes one number at a time are replaced: written out as
below, without branches, the compiler computes as many of them at once as a vector of the processor holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import overload

from ..kinds import numbers
from .parts import PartCompiler, WholeCompiler
from .vectors import same_bits

_OPTIONS: Final[Any] = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": PartCompiler,
    "_nrt": False,  # nobody counts who holds an array: none is made
}
_jit: Any = njit  # its types do not know all of its options
#: Numba chooses what is called instead by the type of the number.
_overloaded: Final[set[Any]] = {
    numbers.exp, numbers.tanh, numbers.log, numbers.cos_turns, numbers.sin_turns,
}  # fmt: skip
_instead: Final[dict[Any, Any]] = {}  # what compiled functions call instead of a plain function


def compiled(function: Callable[..., Any], *, inside: bool = False) -> Any:
    """Compile a function that only compiled functions call: without what Python would need, in half the time.

    Plain functions that it calls are compiled with it; `inside`, for what does little more than call another function,
    makes it a part of the function that calls it. Division by zero gives infinity, as in NumPy: a loss that is not
    finite ends the run.
    """
    if function not in _instead:
        # what is not ours may make arrays
        options = _OPTIONS if function.__module__.startswith("backlit.") else {**_OPTIONS, "_nrt": True}
        _instead[function] = _jit(**options, inline="always" if inside else "never")(with_compiled(function))
    return _instead[function]


def compiled_in_any_order(function: Callable[..., Any]) -> Any:
    """The same for a function whose sums may be added up in whatever order is fastest."""
    _instead[function] = _jit(**_OPTIONS, fastmath={"reassoc", "contract"})(with_compiled(function))
    return _instead[function]


def whole(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function that Python calls, without Python's lock."""
    return _jit(
        function, error_model="numpy", nogil=True, no_cfunc_wrapper=True, pipeline_class=WholeCompiler, **options
    )


def teach(function: Any, instead: Any) -> None:
    """Let compiled functions call another function instead of a plain one, with the same arguments."""
    _instead[function] = compiled(instead) if isinstance(instead, FunctionType) else instead


def with_compiled(function: Any) -> Any:
    """The same function, which calls compiled ones in the place of the plain ones: of its module, or enclosed in it."""
    known, cells = function.__globals__, function.__closure__ or ()
    names = {name: _called(known[name]) for name in function.__code__.co_names if name in known}
    contents = [_called(cell.cell_contents) for cell in cells]
    if all(names[name] is known[name] for name in names) and not contents:
        return function
    closure = tuple(CellType(thing) for thing in contents)
    made = FunctionType(function.__code__, {**known, **names}, function.__name__, function.__defaults__, closure)
    made.__qualname__, made.__module__ = function.__qualname__, function.__module__
    return made


def as_argument(function: Any) -> Any:
    """A function that compiled functions hand to others: what Numba makes of a compiled one cannot be kept on disk."""

    def stand_in(*arguments: Any) -> None:
        """What it is handed on by."""

    made = with_compiled(function)
    _overloaded.add(stand_in)
    overload(stand_in, strict=False, jit_options=_OPTIONS)(lambda *arguments: made)
    return stand_in


def _called(thing: Any) -> Any:
    if not isinstance(thing, FunctionType) or thing in _overloaded:
        return thing
    return compiled(thing)


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
    whole = np.int32(same_bits(rounded, np.int32) - np.int32(0x4B400000))  # n: the bits of _ROUND taken off
    half = whole >> np.int32(1)
    rest = whole - half
    y = p * same_bits(np.int32((half + np.int32(127)) << np.int32(23)), np.float32)
    y = y * same_bits(np.int32((rest + np.int32(127)) << np.int32(23)), np.float32)
    y = _f(0.0) if x < _SMALLEST else y
    return _f(np.inf) if x > _LARGEST else y


#: For functions that LLVM takes for too long to put them where they are called, in a loop of vectors.
_WITHIN: Final[Any] = {**_OPTIONS, "forceinline": True}


def _within(function: Callable[..., Any]) -> Any:
    return _jit(**_WITHIN)(with_compiled(function))


_d: Final = np.float64
_SMALLEST_64, _LARGEST_64 = _d(-745.1332), _d(709.782712893384)  # where eˣ leaves the float64 numbers
_PER_LN2_64, _LN2_HIGH_64, _LN2_LOW_64 = _d(1.4426950408889634), _d(6.93145751953125e-1), _d(1.42860682030941723212e-6)
_ROUND_64: Final = _d(1.5 * 2**52)
_ROUND_BITS: Final = np.int64(0x4338000000000000)


@_within
def _exp_float64(x: Any) -> Any:
    # the same with the first 14 terms of the series of eʳ, whose rest is below 4e-18. The constants are those of exp.c
    inside = _SMALLEST_64 if x < _SMALLEST_64 else (_LARGEST_64 if x > _LARGEST_64 else x)
    rounded = inside * _PER_LN2_64 + _ROUND_64
    n = rounded - _ROUND_64
    r = inside - n * _LN2_HIGH_64 - n * _LN2_LOW_64
    p = _d(1 / 6227020800)
    p = p * r + _d(1 / 479001600)
    p = p * r + _d(1 / 39916800)
    p = p * r + _d(1 / 3628800)
    p = p * r + _d(1 / 362880)
    p = p * r + _d(1 / 40320)
    p = p * r + _d(1 / 5040)
    p = p * r + _d(1 / 720)
    p = p * r + _d(1 / 120)
    p = p * r + _d(1 / 24)
    p = p * r + _d(1 / 6)
    p = p * r + _d(0.5)
    p = p * r * r + r + _d(1.0)
    whole = np.int64(same_bits(rounded, np.int64) - _ROUND_BITS)
    half = whole >> np.int64(1)
    rest = whole - half
    y = p * same_bits(np.int64((half + np.int64(1023)) << np.int64(52)), np.float64)
    y = y * same_bits(np.int64((rest + np.int64(1023)) << np.int64(52)), np.float64)
    y = _d(0.0) if x < _SMALLEST_64 else y
    return _d(np.inf) if x > _LARGEST_64 else y


@overload(numbers.exp, jit_options=_OPTIONS)
def _exp(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _exp_float32(x)

    def of_float64(x: Any) -> Any:
        return _exp_float64(x)

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


@_within
def _tanh_float64(x: Any) -> Any:
    # the same with a quotient of polynomials near 0. Source: Moshier, Cephes, tanh.c (1995)
    size, square = abs(x), x * x
    p = _d(-9.64399179425052238628e-1)
    p = p * square + _d(-9.92877231001918586564e1)
    p = p * square + _d(-1.61468768441708447952e3)
    q = square + _d(1.12811678491632931402e2)
    q = q * square + _d(2.23548839060100448583e3)
    q = q * square + _d(4.84406305325125486048e3)
    # one quotient for both: x + x³ p/q, and 1 − 2/(e²ˣ + 1)
    near, above, below = size < _d(0.625), p * square * x, _exp_float64(size + size) + _d(1.0)
    above = above if near else _d(2.0)
    below = q if near else below
    quotient = above / below
    close, away = quotient + x, _d(1.0) - quotient
    away = -away if x < _d(0.0) else away
    return close if near else away


@overload(numbers.tanh, jit_options=_WITHIN)
def _tanh(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _tanh_float32(x)

    def of_float64(x: Any) -> Any:
        return _tanh_float64(x)

    return of_float32 if x == types.float32 else of_float64


@compiled
def _sin_of_a_quarter(x: Any) -> Any:
    # sin 2πx for |x| ≤ ¼: the odd polynomial of degree 9 whose largest error there, 4e-9, is the least
    square = x * x
    p = _f(39.536704075)
    p = p * square + _f(-76.549782045)
    p = p * square + _f(81.601004063)
    p = p * square + _f(-41.341655031)
    p = p * square + _f(6.2831851601)
    return p * x


@overload(numbers.cos_turns, jit_options=_OPTIONS)
def _cos_turns(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        # cos 2πx = sin 2π(¼ − |x|), for |x| ≤ ½
        return _sin_of_a_quarter(_f(0.25) - abs(x - np.rint(x)))

    def of_float64(x: Any) -> Any:
        return math.cos(2.0 * math.pi * (x - np.rint(x)))

    return of_float32 if x == types.float32 else of_float64


@overload(numbers.sin_turns, jit_options=_OPTIONS)
def _sin_turns(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        # sin 2π|x| = sin 2π(¼ − ||x| − ¼|), for |x| ≤ ½
        rest = x - np.rint(x)
        y = _sin_of_a_quarter(_f(0.25) - abs(abs(rest) - _f(0.25)))
        return -y if rest < _f(0.0) else y

    def of_float64(x: Any) -> Any:
        return math.sin(2.0 * math.pi * (x - np.rint(x)))

    return of_float32 if x == types.float32 else of_float64


@overload(numbers.log, jit_options=_OPTIONS)
def _log(x: Any) -> Any:
    def of_any(x: Any) -> Any:
        return math.log(x)

    return of_any
