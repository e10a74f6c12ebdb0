"""One vector holds every parameter of a network; a second one holds every gradient.

An optimiser step, a checkpoint, "restore the best epoch", L-BFGS and a finite-difference check are then
each one operation on one array. Layers see their own part through views, so a parameter is never rebound:
write through the view (``weight[...] = …``, ``values[:] = best``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np

from .exceptions import DataError, ParameterNameError, RebindingError, ShapeError, nearest

#: What is done number by number is done to so many of a long vector at once: they stay in the processor's cache.
BLOCK: Final = 2**15

#: An array of floating-point numbers (or whatever the place says).
Array = np.ndarray[Any, np.dtype[Any]]


def blocks(size: int) -> list[slice]:
    """A vector of that size in parts of at most `BLOCK` numbers.

    Examples
    --------
    >>> blocks(3), len(blocks(2 * BLOCK + 1))
    ([slice(0, 3, None)], 3)
    """
    return [slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]


def written(value: Any, view: Array, what: str) -> Array:
    """What is to be written into a view, as an array: of the view's shape, and of real numbers.

    Raises
    ------
    ShapeError, DataError
    """
    given = np.asarray(value)
    if given.shape != view.shape:
        raise ShapeError(f"{what} has shape {view.shape}, received {given.shape}")
    if given.dtype.kind not in "biuf":
        raise DataError(f"{what} holds real numbers, received an array of {given.dtype}")
    return given


_ARRAYS: Final = ("values", "gradients", "sums", "buffers", "state", "weight_mask")


@final
class ParameterVector:
    """All parameters of a network in one contiguous vector, all gradients in another, all buffers in a third.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        The shape of each parameter by name, in order: ``{"0.weight": (784, 30), "0.bias": (30,)}``.
    dtype : numpy dtype
        float32 or float64.
    buffers : mapping of str to tuple of int, optional
        The shape of each buffer by name: what layers remember without learning it, such as running statistics.

    Attributes
    ----------
    values : ndarray, shape (size,)
        Every parameter. Write into it, never replace it.
    gradients : ndarray, shape (size,)
        The gradient of the loss with respect to `values`, same order.
    sums : ndarray, shape (size + 2,)
        The buffer below `gradients`. While a batch is worked on it holds gradients *summed* over samples,
        and in its two tail slots the sum of the losses and the sum of the sample weights: one allreduce of
        this one array is right for shards of unequal size.
    buffers : ndarray, shape (B,)
        Every buffer: saved, never optimised.
    state : ndarray, shape (size + B,)
        `values` and `buffers` in one piece: what a network has to keep. "Restore the best epoch" copies it.
    weight_mask : ndarray, shape (size,)
        1 where the parameter is a weight, 0 where it is a bias. Penalties and weight decay multiply by it.
    names : list of str
        Parameter names in the order of `values`.

    Examples
    --------
    >>> p = ParameterVector({"0.weight": (2, 3), "0.bias": (3,)}, np.dtype("float64"))
    >>> p.view("0.weight")[1, 2] = 7.0
    >>> p.values
    array([0., 0., 0., 0., 0., 7., 0., 0., 0.])
    >>> p.locate(5)
    ('0.weight', (1, 2))
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: np.dtype[Any],
        buffers: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self._shapes = dict(shapes)
        self._buffer_shapes = dict(buffers or {})
        self._slices, size = _places(self._shapes)
        self._buffer_slices, buffered = _places(self._buffer_shapes)
        self._bind(np.zeros(size + buffered, dtype), np.zeros(size + 2, dtype))

    def _bind(self, state: Array, sums: Array) -> None:
        self._state = state
        self._sums = sums
        self._of_layer, self._buffers_of_layer = _by_layer(self._shapes), _by_layer(self._buffer_shapes)
        self._values = state[: sums.size - 2]
        self._buffers = state[sums.size - 2 :]
        self._gradients = sums[:-2]
        self._weight_mask = np.zeros_like(self._values)
        for name in self.weight_names:
            self._weight_mask[self._slices[name]] = 1.0

    # `parameters.values = x` would leave every layer looking at the old array.
    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _ARRAYS:
            object.__setattr__(self, name, value)
        elif value is not getattr(self, name):  # `parameters.values *= 2` assigns the array itself
            raise _rebinding(name)

    def __delattr__(self, name: str) -> None:
        raise _rebinding(name)

    @property
    def values(self) -> Array:
        return self._values

    @property
    def gradients(self) -> Array:
        return self._gradients

    @property
    def sums(self) -> Array:
        return self._sums

    @property
    def buffers(self) -> Array:
        return self._buffers

    @property
    def state(self) -> Array:
        return self._state

    @property
    def weight_mask(self) -> Array:
        return self._weight_mask

    @property
    def names(self) -> list[str]:
        return list(self._shapes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return dict(self._shapes)

    @property
    def weight_names(self) -> list[str]:
        """Those that have penalties and weight decay."""
        return [name for name in self._shapes if name.endswith(".weight")]

    @property
    def buffer_names(self) -> list[str]:
        return list(self._buffer_shapes)

    def names_of(self, index: int) -> list[str]:
        """The parameters of one layer, by its index."""
        return list(self._of_layer.get(str(index), ()))

    def buffer_names_of(self, index: int) -> list[str]:
        """The buffers of one layer, by its index."""
        return list(self._buffers_of_layer.get(str(index), ()))

    @property
    def buffer_shapes(self) -> dict[str, tuple[int, ...]]:
        return dict(self._buffer_shapes)

    @property
    def buffer_starts(self) -> dict[str, int]:
        """Where each buffer begins in `buffers`."""
        return {name: where.start for name, where in self._buffer_slices.items()}

    @property
    def size(self) -> int:
        return int(self._values.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._values.dtype

    def slice(self, name: str) -> slice:
        """Where the parameter stands in `values`.

        Raises
        ------
        ParameterNameError
            If there is no parameter of that name; the nearest names are offered.
        """
        if name not in self._slices:
            raise ParameterNameError(f"there is no parameter {name!r}: {nearest(name, self._slices)}")
        return self._slices[name]

    def view(self, name: str) -> Array:
        """The parameter `name` in its own shape: a view into `values`, not a copy."""
        return self._values[self.slice(name)].reshape(self._shapes[name])

    def gradient_view(self, name: str) -> Array:
        """The gradient of the parameter `name` in its own shape: a view into `gradients`."""
        return self._gradients[self.slice(name)].reshape(self._shapes[name])

    def buffer(self, name: str) -> Array:
        """The buffer `name` in its own shape: a view into `buffers`.

        Raises
        ------
        ParameterNameError
            If there is no buffer of that name.
        """
        if name not in self._buffer_slices:
            raise ParameterNameError(f"there is no buffer {name!r}: {nearest(name, self._buffer_slices)}")
        return self._buffers[self._buffer_slices[name]].reshape(self._buffer_shapes[name])

    def locate(self, position: int) -> tuple[str, tuple[int, ...]]:
        """The name and the index of the number at `position` in `values`."""
        for name, where in self._slices.items():
            if where.start <= position < where.stop:
                index = np.unravel_index(position - where.start, self._shapes[name])
                return name, tuple(int(i) for i in index)
        raise ParameterNameError(
            f"position {position} is outside the {self.size} parameters: choose 0 to {self.size - 1}"
        )

    # copy, deepcopy, pickle and joblib would copy `gradients` as an array of its own, cut off from `sums`.
    def __getstate__(self) -> dict[str, Any]:
        return {
            "shapes": self._shapes,
            "buffers": self._buffer_shapes,
            "state": self._state.copy(),
            "sums": self._sums.copy(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._shapes, self._buffer_shapes = state["shapes"], state["buffers"]
        self._slices, _ = _places(self._shapes)
        self._buffer_slices, _ = _places(self._buffer_shapes)
        self._bind(state["state"], state["sums"])

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {shape}" for name, shape in self._shapes.items())
        return f"ParameterVector({self.size} parameters in {self.dtype}: {parts})"


def _rebinding(name: str) -> RebindingError:
    return RebindingError(
        f"parameters.{name} cannot be replaced, as every layer holds its part of it: write into the array, "
        f"parameters.{name}[:] = …"
    )


def _places(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, slice], int]:
    """Where arrays of these shapes stand one behind the other, and how many numbers they have together."""
    slices: dict[str, slice] = {}
    start = 0
    for name, shape in shapes.items():
        slices[name] = slice(start, start + math.prod(shape))
        start += math.prod(shape)
    return slices, start


def _by_layer(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """The names by what stands before their point."""
    found: dict[str, list[str]] = {}
    for name in shapes:
        found.setdefault(name.split(".")[0], []).append(name)
    return found
