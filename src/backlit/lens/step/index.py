"""Finding one number among the parameters, or saying in a sentence why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...exceptions import ConfigurationError
from ...pages import place
from ...parameters import ParameterVector


def check_index(parameters: ParameterVector, name: str, index: Sequence[Any]) -> tuple[int, ...]:
    """The index of one number of the parameter `name`, counted from 0.

    Raises
    ------
    ParameterNameError
        If there is no parameter of that name; the nearest names are offered.
    ConfigurationError
        If the index is outside its shape.

    Examples
    --------
    >>> check_index(ParameterVector({"0.weight": (2, 3)}, np.dtype("float64")), "0.weight", (2, 0))
    Traceback (most recent call last):
        ...
    backlit.exceptions.ConfigurationError: 0.weight[2, 0] does not exist: 0.weight has 2 inputs × 3 units, ...
    """
    shape = parameters.view(name).shape
    whole = all(hasattr(i, "__index__") and not isinstance(i, bool) for i in index)
    if len(index) == len(shape) and whole and all(0 <= i < size for i, size in zip(index, shape, strict=True)):
        return tuple(int(i) for i in index)
    if len(shape) == 2:
        axes = f"{shape[0]} inputs × {shape[1]} units"
    else:
        axes = f"{shape[0]} units" if len(shape) == 1 else f"the shape {shape}"
    raise ConfigurationError(f"{place(name, index)} does not exist: {name} has {axes}, counted from 0")


def position_of(parameters: ParameterVector, name: str, index: Sequence[int]) -> int:
    """Where that number stands in `values`."""
    where, shape = parameters.slice(name), parameters.shapes[name]
    return int(where.start) + int(np.ravel_multi_index(tuple(index), shape))
