"""Somebody's own gradients as they come: a vector, or arrays by parameter name; sorted by layer and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ...exceptions import DataError, NonFiniteError, ShapeError
from ...parameters import Array, ParameterVector

_DTYPES: Final = ("float64", "float32", "float16")  # from the most exact to the least


@final
@dataclass
class LayerGradient:
    """What was given for one Dense layer.

    Attributes
    ----------
    weight : ndarray, shape (inputs, units), or None
        None where it was not given.
    bias : ndarray, shape (units,), or None
    turned : bool
        Whether the weight gradient came as (units, inputs); `weight` is then its transpose.
    """

    weight: Array | None = None
    bias: Array | None = None
    turned: bool = False


@final
@dataclass(frozen=True)
class Given:
    """All that was given.

    Attributes
    ----------
    layers : dict of int to LayerGradient
        By the layer's index in the network's list; only layers of which something was given.
    shapes : dict of str to tuple of int
        As they came, by parameter name, in the network's order.
    precision : str
        Name of the least exact floating-point type among the arrays.
    """

    layers: dict[int, LayerGradient]
    shapes: dict[str, tuple[int, ...]]
    precision: str

    @property
    def names(self) -> list[str]:
        return list(self.shapes)

    def vector(self, parameters: ParameterVector, missing: Array) -> Array:
        """Everything in the order of ``parameters.values``, shape (P,); what was not given is taken from `missing`."""
        vector = missing.copy()
        for name in self.names:
            layer, _, kind = name.partition(".")
            vector[parameters.slice(name)] = getattr(self.layers[int(layer)], kind).ravel()
        return vector


def read_gradients(gradients: Any, parameters: ParameterVector, what: str = "my_gradients") -> Given:
    """Sort gradients by layer, in float64.

    Parameters
    ----------
    gradients : array_like of shape (P,), or mapping of parameter name to array_like
        A weight gradient may come as its transpose; a bias gradient as a row or a column.
    parameters : ParameterVector
        Of the network.
    what : str
        The argument's name, for the errors.

    Raises
    ------
    ShapeError, DataError, NonFiniteError, ParameterNameError

    Examples
    --------
    >>> p = ParameterVector({"0.weight": (2, 3), "0.bias": (3,)}, np.dtype("float64"))
    >>> given = read_gradients({"0.weight": np.ones((3, 2))}, p)
    >>> given.names, given.layers[0].weight.shape, given.layers[0].turned
    (['0.weight'], (2, 3), True)
    """
    if isinstance(gradients, Mapping):
        if not gradients:
            raise ShapeError(f"{what} is empty: give at least one array, such as {what}[{parameters.names[0]!r}]")
        for name in gradients:
            parameters.slice(str(name))  # refuses an unknown name
        arrays = {name: _numbers(array, f"{what}[{name!r}]") for name, array in gradients.items()}
    else:
        vector = _numbers(gradients, what)
        if vector.shape != (parameters.size,):
            raise ShapeError(
                f"{what} must have one number for each parameter, shape ({parameters.size},), "
                f"or be a dict of arrays by parameter name, received shape {vector.shape}"
            )
        arrays = {name: vector[parameters.slice(name)].reshape(shape) for name, shape in parameters.shapes.items()}

    layers: dict[int, LayerGradient] = {}
    names = [name for name in parameters.names if name in arrays]
    for name in names:
        index, _, kind = name.partition(".")
        layer = layers.setdefault(int(index), LayerGradient())
        array, shape = arrays[name].astype(np.float64), parameters.shapes[name]
        if kind == "weight":
            layer.turned = array.shape != shape and array.shape == shape[::-1]
            layer.weight = array.T if layer.turned else array
            found = layer.weight
        else:
            layer.bias = array.ravel() if array.shape in ((1, *shape), (*shape, 1)) else array
            found = layer.bias
        if found.shape != shape:
            raise ShapeError(f"{what}[{name!r}] must have shape {shape}, as the parameter, received {array.shape}")
    precision = max((arrays[name].dtype.name for name in names), key=_DTYPES.index)
    return Given(layers, {name: arrays[name].shape for name in names}, precision)


def _numbers(values: Any, what: str) -> Array:
    """An array of finite floating-point numbers; whole numbers become float64."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal length
        raise ShapeError(f"{what} must be one array of numbers, received arrays of unequal shapes in a list") from error
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.name not in _DTYPES:
        raise DataError(f"{what} must hold real numbers of at most 64 bits, received an array of {array.dtype}")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise NonFiniteError(f"{what} has {array[place]} at {list(place)}: a gradient has to be finite to be diagnosed")
    return array
