"""Compiling the functions of the kinds, and the exponential and its relatives in machine code.

What a kind has for the compiled engine (`kinds/`) is plain Python: `compiled` makes machine code of it and of all that
it calls. The functions of `kinds/numbers.py` that the C library computes one number at a time are replaced for float32:
written out as below, without branches, the compiler computes as many of them at once as a vector of the processor
holds.
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


@overload(numbers.exp, jit_options=_OPTIONS)
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


@overload(numbers.tanh, jit_options=_OPTIONS)
def _tanh(x: Any) -> Any:
    def of_float32(x: Any) -> Any:
        return _tanh_float32(x)

    def of_float64(x: Any) -> Any:
        return math.tanh(x)

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
