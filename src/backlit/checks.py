"""Checks of single settings, and of numbers on their way into a dtype: what cannot be is refused with a sentence."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .exceptions import ConfigurationError, DataError, NonFiniteError


def positive_whole(name: str, value: Any) -> int:
    """A whole number of at least 1.

    Examples
    --------
    >>> positive_whole("epochs", 3)
    3
    >>> positive_whole("epochs", 2.5)
    Traceback (most recent call last):
        ...
    backlit.exceptions.ConfigurationError: epochs must be a whole number of at least 1, received 2.5
    """
    try:
        whole = operator.index(value)
    except TypeError:
        whole = 0
    if isinstance(value, bool) or whole < 1:
        raise ConfigurationError(f"{name} must be a whole number of at least 1, received {value!r}")
    return whole


def not_negative(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 <= value < math.inf:
        raise ConfigurationError(f"{name} must be a finite number of at least 0, received {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < value < math.inf:
        raise ConfigurationError(f"{name} must be a finite number above 0, received {value!r}")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """A number of at least 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 <= value < 1.0:
        raise ConfigurationError(f"{name} must be at least 0 and below 1, received {value!r}")
    return float(value)


def one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    """One of the known names."""
    if not isinstance(value, str) or value not in known:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, known))}, received {value!r}")
    return value


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        found: np.dtype[Any] = np.dtype("V" if dtype is None else dtype)  # np.dtype(None) is float64
    except TypeError:
        found = np.dtype("V")
    if found not in (np.dtype("float32"), np.dtype("float64")):
        raise ConfigurationError(f"dtype must be 'float32' or 'float64', received {dtype!r}")
    return found


def check_reach(array: np.ndarray[Any, Any], dtype: np.dtype[Any], what: str, scale: float = 1.0) -> None:
    """Refuse finite numbers that would become infinite in `dtype`, multiplied by `scale`.

    Examples
    --------
    >>> check_reach(np.array([[1.0, 1e39]]), np.dtype("float32"), "X")
    Traceback (most recent call last):
        ...
    backlit.exceptions.NonFiniteError: X has 1e+39 in row 0, column 1, which float32 cannot hold: scale it, or use
    dtype="float64"
    """
    if array.dtype.kind != "f" or (array.dtype.itemsize <= dtype.itemsize and scale <= 1.0) or not array.size:
        return
    limit = float(np.finfo(dtype).max) / max(scale, 1e-300)
    if float(array.max()) > limit or float(array.min()) < -limit:
        place = np.argwhere(np.abs(array) > limit)[0]
        column = f", column {place[1]}" if array.ndim == 2 else ""
        raise NonFiniteError(
            f"{what} has {array[tuple(place)]} in row {place[0]}{column}, which {dtype} cannot hold: scale it, or use "
            'dtype="float64"'
        )


def check_reached(array: np.ndarray[Any, Any], what: str) -> None:
    """Refuse what has become infinite in its dtype, shape (n, columns); it was finite before."""
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise NonFiniteError(
            f"{what} has a number in row {row}, column {column}, which {array.dtype} cannot hold: scale it, or use "
            'dtype="float64"'
        )


def check_outputs(a: np.ndarray[Any, Any]) -> None:
    """Refuse outputs for finite inputs that are not finite themselves, shape (n, outputs) or (n,).

    Examples
    --------
    >>> check_outputs(np.array([[1.0], [np.inf]]))
    Traceback (most recent call last):
        ...
    backlit.exceptions.NonFiniteError: output 0 of row 1 is inf: the numbers grow beyond float64 on their way through
    the network; train it again with a smaller learning rate, or with inputs of a smaller range
    """
    finite = np.isfinite(a)
    if not finite.all():
        row, *unit = np.argwhere(~finite)[0].tolist()
        raise NonFiniteError(
            f"output {unit[0] if unit else 0} of row {row} is {a[(row, *unit)]}: the numbers grow beyond {a.dtype} on "
            "their way through the network; train it again with a smaller learning rate, or with inputs of a smaller "
            "range"
        )


def cast_weight(weight: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Sample weights in `dtype`: their sum has to be finite, and one at least must not vanish beside 1.

    Weights so small that the mean over a batch of them would lose its digits count as 0.

    Examples
    --------
    >>> cast_weight(np.array([1e-50, 2.0]), np.dtype("float32"))
    array([0., 2.], dtype=float32)
    """
    facts = np.finfo(dtype)
    smallest = float(facts.tiny / facts.eps)
    if not float(weight.sum()) < float(facts.max):
        raise DataError(
            f"sample_weight adds up to {weight.sum():g}, and {dtype} holds numbers up to {facts.max:.2g}: "
            "divide all of them by the largest"
        )
    if weight.max() < smallest:
        raise DataError(
            f"sample_weight is at most {weight.max():g}, and {dtype} needs one of at least {smallest:.1g}: "
            "divide all of them by the largest"
        )
    return np.where(weight < smallest, 0.0, weight).astype(dtype)
