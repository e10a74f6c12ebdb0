"""Checks of single settings: each returns the value in its plain form, or refuses it with a sentence."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .exceptions import ConfigurationError


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
