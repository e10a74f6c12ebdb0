"""Somebody's own gradients as they come: brought to the network's names and shapes, and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np

from ...exceptions import DataError, NonFiniteError, ShapeError
from ...parameters import Array, ParameterVector
from .layouts import named_arrays, of_kind

_DTYPES: Final = ("float64", "float32", "float16")  # from the most exact to the least


@final
@dataclass(frozen=True)
class Given:
    """All that was given.

    Attributes
    ----------
    arrays : dict of str to ndarray
        By parameter name, float64, in the parameter's shape.
    shapes : dict of str to tuple of int
        As they came, in the network's order.
    precision : str
        Name of the least exact floating-point type among the arrays.
    notes : tuple of str
        How they were read, where that was not plain.
    turned : bool
        Whether weights are kept as (units, inputs) throughout.
    transposed : frozenset of str
        Single weight gradients that came as their transpose.
    odd : dict of str to (str, ndarray)
        Bias gradients whose shape shows the mistake already: its name, and the array as it came.
    missing : tuple of str
        Parameters of which no gradient was given.
    """

    arrays: dict[str, Array]
    shapes: dict[str, tuple[int, ...]]
    precision: str
    notes: tuple[str, ...] = ()
    turned: bool = False
    transposed: frozenset[str] = frozenset()
    odd: dict[str, tuple[str, Array]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return list(self.shapes)

    def of_layer(self, index: int) -> list[str]:
        """The names that were given of one layer."""
        return [name for name in self.names if name.startswith(f"{index}.")]


def read_gradients(gradients: Any, parameters: ParameterVector, what: str = "my_gradients", rows: int = 0) -> Given:
    """Gradients by parameter name, in float64, with how they were read.

    Parameters
    ----------
    gradients : array_like of shape (P,), mapping, list or tuple
        In the order of ``parameters.values``; by name, the network's or one's own (dW1, nabla_w, fc1.weight, coefs_);
        or in a list. Weight gradients may be (units, inputs) throughout; a bias gradient a row or a column.
    parameters : ParameterVector
        Of the network.
    what : str
        The argument's name, for the errors.
    rows : int
        n, by which a bias gradient that was never summed is known.

    Raises
    ------
    ShapeError, DataError, NonFiniteError, ParameterNameError

    Examples
    --------
    >>> p = ParameterVector({"0.weight": (2, 3), "0.bias": (3,)}, np.dtype("float64"))
    >>> given = read_gradients({"W1": np.ones((3, 2)), "b1": np.ones((3, 1))}, p)
    >>> given.arrays["0.weight"].shape, given.arrays["0.bias"].shape, given.turned
    ((2, 3), (3,), True)
    """
    vector = _as_vector(gradients)
    if vector is not None:
        vector = numbers(vector, what)
        if vector.shape != (parameters.size,):
            raise ShapeError(
                f"{what} must have one number for each parameter, shape ({parameters.size},), "
                f"or be a dict of arrays by parameter name, received shape {vector.shape}"
            )
        raw = {name: vector[parameters.slice(name)].reshape(shape) for name, shape in parameters.shapes.items()}
        notes: list[str] = []
    else:
        named, notes = named_arrays(gradients, parameters, what)
        raw = {name: numbers(array, f"{what}[{name!r}]") for name, array in named.items()}
    names = [name for name in parameters.names if name in raw]
    weights = [name for name in of_kind(parameters, "weight") if name in raw]
    telling = [name for name in weights if parameters.shapes[name] != parameters.shapes[name][::-1]]
    flipped = [name for name in telling if raw[name].shape == parameters.shapes[name][::-1]]
    turned = bool(flipped) and flipped == telling
    if turned:
        notes.append("weight gradients were read as (units, inputs) and turned")
    arrays, odd = {}, {}
    for name in names:
        array, shape = raw[name].astype(np.float64), parameters.shapes[name]
        if len(shape) == 2:
            arrays[name] = array.T if (turned and name in weights) or name in flipped else array
            found = arrays[name].shape
        else:
            found = _row(array, shape)
            mistake = None if found == shape else _odd(array, shape, rows)
            if mistake is not None:
                odd[name] = (mistake, array)
                continue
            if found == shape:
                arrays[name] = array.reshape(shape)
        if found != shape:
            more = f": sum it over the rows, {what}[{name!r}].sum(axis=0)" if _stacked(array, shape) else ""
            raise ShapeError(
                f"{what}[{name!r}] must have shape {shape}, as the parameter, received {array.shape}{more}"
            )
    precision = max((raw[name].dtype.name for name in names), key=_DTYPES.index)
    return Given(
        arrays,
        {name: raw[name].shape for name in names},
        precision,
        tuple(note for note in notes if note),
        turned,
        frozenset() if turned else frozenset(flipped),
        odd,
        tuple(name for name in parameters.names if name not in raw),
    )


def _as_vector(gradients: Any) -> Any:
    """What is one array of numbers, as it is; None for a collection of arrays."""
    if isinstance(gradients, np.ndarray) and gradients.dtype != object:
        return gradients
    if isinstance(gradients, list | tuple) and gradients and all(np.isscalar(one) for one in gradients):
        return gradients
    return gradients if not hasattr(gradients, "__iter__") else None


def _row(array: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if array.shape in (shape, (1, *shape), (*shape, 1)) else array.shape


def _stacked(array: Array, shape: tuple[int, ...]) -> bool:
    return array.ndim == 2 and shape[0] in array.shape


def _odd(array: Array, shape: tuple[int, ...], rows: int) -> str | None:
    """The mistake that a bias gradient's shape shows."""
    if array.size == 1:
        return "bias_scalar"
    if array.shape in ((rows, *shape), (*shape, rows)):
        return "bias_unsummed"
    if array.shape in ((rows,), (rows, 1), (1, rows)):
        return "bias_over_wrong_axis"
    return None


def numbers(values: Any, what: str) -> Array:
    """An array of finite floating-point numbers; whole numbers become float64, a tensor's gradient is taken."""
    if hasattr(values, "detach"):  # PyTorch: the gradient of a parameter, or a tensor
        grad = getattr(values, "grad", None)
        values = (values if grad is None else grad).detach().cpu()
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
