"""The arrays that one batch passes through, allocated once per batch size and used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from .kinds import Layer
from .parameters import Array
from .typing import BatchSource, SparseSource


def takes_sparse(layers: Sequence[Layer], input_scale: float, *, training: bool) -> bool:
    """Whether a batch may be sparse rows: where the first layer that computes anything takes them as they are."""
    at_work = (layer for layer in layers if training or not layer.same_in_inference)
    return input_scale == 1.0 and next(at_work).takes_sparse


@final
class Workspace:
    """Every intermediate result of one batch of n rows. Forward fills a and z, backward fills slope and delta.

    Layer l takes ``a[l]``, shape (n, inputs), and gives ``a[l + 1]``, shape (n, units): ``a[0]`` is the batch itself.

    Attributes
    ----------
    a : list of ndarray
        Activations; a[l + 1] is the output of layer l.
    delta : list of ndarray
        Of layer l, (n, units), for each row by itself (times its sample weight): not yet divided by n. First dL/da of
        what the layer gives; a layer with an activation turns it into dL/dz.
    room : list of dict of str to ndarray
        The arrays that layer l asked for: z and slope of Dense, the mask of Dropout.
    paired : bool
        Whether delta of the output is dL/dz = a − y from the start.
    y : ndarray, shape (n, outputs)
        Target values, as the loss compares them with the outputs: what `aim` makes of those that are loaded.
    weight : ndarray, shape (n,), or None
        Sample weights; None counts every row once.
    ones : ndarray, shape (n,)
        1ᵀ delta is the sum of delta over the rows.
    takes_sparse : bool
        Whether a[0] may be sparse rows.
    first : int
        The number of the first row in its batch: 0, unless the rows are a shard of it.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        inputs: int,
        n: int,
        dtype: np.dtype[Any],
        *,
        aim: Callable[[Array], Array] | None,
        input_scale: float = 1.0,
        training: bool = True,
    ) -> None:
        self.n = n
        self.first = 0
        self.dtype = dtype
        self.input_scale = input_scale
        self._aim = aim
        self._input: Array | None = None
        self._raw: Array | None = None
        self.paired = False
        self._nothing = np.empty((0, 0), dtype)
        self._last = len(layers) - 1
        self.a: list[Array] = [np.empty((0, inputs), dtype)]
        self.delta: list[Array] = []
        self.room: list[dict[str, Array]] = []
        for layer in layers:
            shape = (n, layer.outputs)
            self.a.append(self.a[-1] if layer.same_in_inference and not training else np.empty(shape, dtype))
            self.delta.append(np.empty(shape if training else (0, 0), dtype))
            self.room.append(layer.room(n, dtype, training))
        outputs = layers[-1].outputs
        self._inputs = [i for i, a in enumerate(self.a) if a is self.a[0]]
        self.takes_sparse = takes_sparse(layers, input_scale, training=training)
        # One flat piece of memory that every layer, and the loss, works in.
        widest = max(2 * outputs, *(layer.outputs for layer in layers))
        memory = np.empty(n * widest, dtype)
        self.scratch = [memory[: n * layer.outputs].reshape(n, layer.outputs) for layer in layers]
        self.loss_scratch = memory[: 2 * n * outputs].reshape(2, n, outputs)
        self._y = np.empty((n, outputs), dtype)
        self.y = self._y
        self._weight = np.empty(n, dtype)
        self.weight: Array | None = None
        self.ones = np.ones(n, dtype)

    @property
    def z(self) -> list[Array]:
        """The pre-activations of each layer, (n, units); empty for a layer without."""
        return [room.get("z", self._nothing) for room in self.room]

    @property
    def slope(self) -> list[Array]:
        """f′(z) of each layer, as far as the backward pass filled it."""
        return [room.get("slope", self._nothing) for room in self.room]

    @property
    def mask(self) -> dict[int, Array]:
        """The factors of the Dropout layers, by layer."""
        return {i: room["mask"] for i, room in enumerate(self.room) if "mask" in room}

    def paired_output(self, i: int) -> bool:
        """Whether layer i is an output whose delta is dL/dz already."""
        return self.paired and i == self._last

    def _own_input(self) -> Array:
        if self._input is None:
            self._input = np.empty((self.n, self.a[0].shape[1]), self.dtype)
        return self._input

    def load(self, X: Array, Y: Array | None = None, weight: Array | None = None) -> None:
        """Take n rows as they stand, shapes (n, inputs), (n, outputs), (n,): without a copy where the dtype fits."""
        if X.dtype == self.dtype and self.input_scale == 1.0:
            self._set_input(X)
        else:
            self._set_scaled(X)
        if Y is not None:
            self.y = Y if self._aim is None else self._aim(Y)
            self.weight = weight

    def gather(self, X: Array, Y: Array, weight: Array | None, rows: Array) -> None:
        """Take the given rows of a whole data set, which stays in the type it came in (uint8 images, say)."""
        # mode="clip" lets `take` write straight into `out`; the rows are known to be in range.
        if X.dtype == self.dtype and self.input_scale == 1.0:
            self._set_input(X.take(rows, axis=0, out=self._own_input(), mode="clip"))
        else:
            if self._raw is None or self._raw.dtype != X.dtype:
                self._raw = np.empty((self.n, X.shape[1]), X.dtype)
            X.take(rows, axis=0, out=self._raw, mode="clip")
            self._set_scaled(self._raw)
        self._take_targets(Y, weight, rows)

    def _take_targets(self, Y: Array, weight: Array | None, rows: Array) -> None:
        self.y = Y.take(rows, axis=0, out=self._y, mode="clip")
        if self._aim is not None:
            self.y = self._aim(self.y)
        self.weight = None if weight is None else weight.take(rows, out=self._weight, mode="clip")

    def _set_scaled(self, X: Array) -> None:
        # a_0 = X · input_scale, in the network's own dtype: bytes need no detour through float64
        scaled = np.multiply(X, self.input_scale, out=self._own_input(), dtype=self.dtype, casting="unsafe")
        self._set_input(scaled)

    def _set_input(self, batch: Array) -> None:
        self.first = 0
        # A leading Dropout in inference shares its input's array: keep both names on the same batch.
        for i in self._inputs:
            self.a[i] = batch

    def fetch(self, source: BatchSource, Y: Array, weight: Array | None, rows: Array, epoch: int) -> None:
        """Take the given rows of a source that makes them when asked."""
        self.fetch_inputs(source, rows, epoch)
        self._take_targets(Y, weight, rows)

    def fetch_inputs(self, source: BatchSource, rows: Array | slice, epoch: int = 0) -> None:
        """Take the rows without targets; sparse ones as they are, where the network takes them."""
        if self.takes_sparse and isinstance(source, SparseSource):
            self._set_input(source.sparse_rows(rows).astype(self.dtype, copy=False))
        else:
            out = self._own_input()
            source.fetch(rows, out, epoch=epoch)
            if self.input_scale != 1.0:
                out *= self.input_scale
            self._set_input(out)
