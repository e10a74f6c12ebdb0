"""Rows on disk as training takes them: a source of batches that brings its targets along."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, final

import numpy as np

from ...checks import cast_weight
from ...exceptions import ShapeError
from ...network import Network
from ...parameters import Array
from .order import Order
from .windows import Blocks, Window, Windows, in_order


@final
class Targets:
    """What the targets of a store are: classes by their numbers, or values that are standardised.

    Attributes
    ----------
    labels : ndarray or None
        The classes; None for values.
    mean, scale : float
        A value v is learnt as (v − mean) / scale.
    low, high : float
        The smallest and the largest value, in its own units.
    factors : ndarray, shape (classes,), or None
        What a row of each class weighs.
    named : bool
        Whether the network learns the labels by their names; otherwise by their numbers, as that of a table does.
    """

    def __init__(
        self,
        labels: Array | None,
        *,
        mean: float = 0.0,
        scale: float = 1.0,
        low: float = 0.0,
        high: float = 1.0,
        factors: Array | None = None,
        named: bool = False,
    ) -> None:
        self.labels, self.named = labels, named
        self.mean, self.scale, self.low, self.high = mean, scale, low, high
        self.factors = factors


@final
class BoundRows:
    """The rows of a store as the runs of one network take them: a `StreamedSource`.

    Parameters
    ----------
    store : Blocks
    targets : Targets
    net : Network

    Raises
    ------
    ShapeError
        Another number of inputs, or of outputs, than the network has.
    """

    def __init__(self, store: Blocks, targets: Targets, net: Network) -> None:
        if store.layout.width != net.inputs:
            raise ShapeError(
                f"the stream has {store.layout.width} columns, and the network {net.inputs} inputs: "
                "make it with inputs=stream.shape[1]"
            )
        self._store = store
        self.shape = (store.rows, store.layout.width)
        learnt = [targets.mean, targets.scale, *([] if targets.factors is None else targets.factors)]
        self.fingerprint = zlib.crc32(np.array(learnt, dtype=np.float64).data, store.fingerprint)
        labels = targets.labels
        if labels is not None and net.outputs not in (len(labels), 1 if len(labels) == 2 else 0):
            raise ShapeError(
                f"the stream has {len(labels)} classes, and the network {net.outputs} outputs: make its last layer "
                f"Dense({len(labels)}, 'softmax')"
            )
        if labels is None:
            ends = np.array([targets.low, targets.high])
        else:
            ends = labels if targets.named else np.arange(len(labels))  # each class once, as the network encodes it
        self._targets = targets
        self._net = net
        encoded, classes = net.encode((ends - targets.mean) / targets.scale if labels is None else ends, len(ends))
        if labels is not None and net.classes is None:
            net.classes = classes
        self._table = encoded  # (classes, outputs), or the two ends
        self._weights = None if targets.factors is None else cast_weight(targets.factors, net.dtype)
        self._windows = Windows(store, self._encode)

    def _encode(self, y: Array) -> tuple[Array, Array | None]:
        if self._targets.labels is None:
            return ((y - self._targets.mean) / self._targets.scale).astype(self._net.dtype)[:, None], None
        return self._table[y], None if self._weights is None else self._weights[y]

    @property
    def data(self) -> tuple[Any, Any, Any]:
        """Rows, targets and weights, as `typing.RowStream` has them."""
        low, high = float(self._table.min()), float(self._table.max())
        Y = _Column(self, "Y", (self.shape[0], self._net.outputs), low, high)
        if self._weights is None:
            return self, Y, None
        return self, Y, _Column(self, "weight", (self.shape[0],), 0.0, float(self._weights.max()))

    def order(self, epoch: int, seed: int | None) -> Order:
        """The order of the rows in an epoch; without a seed as they stand."""
        return self._windows.follow(epoch, seed)

    def fetch(self, rows: Array, out: Array, *, epoch: int) -> None:
        """Write the rows numbered `rows` into `out`, shape (len(rows), columns)."""
        self.take(lambda window: window.X, np.asarray(rows), out)

    def take(self, part: Any, rows: Array, out: Array) -> None:
        """Write a part of the windows, X, Y or weight, for the rows."""
        for window, which, places in self._windows.parts(rows):
            if isinstance(which, slice) and part(window).dtype == out.dtype:
                part(window).take(places, axis=0, out=out, mode="clip")
            else:
                out[which] = part(window)[places]

    def together(self, rows: Array) -> tuple[Array, Array, Array | None, Array]:
        """X, Y and weight of the window with the first of the rows, and the places of all that follow it there."""
        window, places = self._windows.together(rows)
        return window.X, window.Y, window.weight, places

    def in_order(self) -> Iterator[tuple[Array, Array, Array | None]]:
        """All rows as they stand, in pieces X, Y and weight, each good until the next is asked for."""
        return in_order(self._store, self._encode)


@final
class _Column:
    """Targets, or weights, of rows on disk: what an array of them is asked."""

    def __init__(self, rows: BoundRows, name: str, shape: tuple[int, ...], low: float, high: float) -> None:
        self._rows, self._name = rows, name
        self.shape = shape
        self._low, self._high = low, high

    def _part(self, window: Window) -> Any:
        return getattr(window, self._name)

    def take(self, rows: Array, axis: int = 0, out: Array | None = None, mode: str = "clip") -> Array:
        """The targets of these rows."""
        if out is None:
            out = np.empty((len(rows), *self.shape[1:]), self._rows._net.dtype)
        self._rows.take(self._part, np.asarray(rows), out)
        return out

    def __getitem__(self, rows: Array) -> Array:
        return self.take(rows)

    def __len__(self) -> int:
        return self.shape[0]

    def max(self) -> float:
        return self._high

    def min(self) -> float:
        return self._low
