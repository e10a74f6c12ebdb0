"""Some blocks of a store at a time in memory; a thread reads those that come next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar, final

import numpy as np

from ...parameters import Array
from .order import Order
from .store import WINDOW_BLOCKS, Layout

_T = TypeVar("_T")
_PIECE_BYTES: Final = 2**23  # of rows that are gone through as they stand


class Blocks(Protocol):
    """Rows in blocks, on disk."""

    layout: Layout
    block: int
    rows: int
    fingerprint: int

    def read(self, block: int, X: Array, y: Array) -> int: ...


#: Target values, and weights where rows do not count alike, from the targets of a store.
Encoder = Callable[[Array], tuple[Array, Array | None]]


@final
class Window:
    """Blocks in memory: X, Y and weight, with a place for each block that is there."""

    def __init__(self, store: Blocks, blocks: int) -> None:
        rows = blocks * store.block
        self.X = np.zeros((rows, store.layout.width), store.layout.dtype)
        self.Y: Array = np.empty((0, store.layout.outputs))
        self.weight: Array | None = None
        self._y = np.zeros(rows, store.layout.target)
        self.places = np.full(-(-store.rows // store.block), -1, dtype=np.int64)  # of each block, −1 if not here
        self.key: tuple[Any, ...] = ()

    def fill(self, store: Blocks, blocks: Array, encode: Encoder) -> None:
        """Read blocks, one behind the other."""
        self.places.fill(-1)
        size = store.block
        stop = 0
        for place, block in enumerate(blocks):
            start = place * size
            stop = start + store.read(int(block), self.X[start : start + size], self._y[start : start + size])
            self.places[block] = place
        # behind a block that is not full stand old targets: they are encoded too, and never asked for
        self.Y, self.weight = encode(self._y[: len(blocks) * size] if stop else self._y[:0])

    def find(self, rows: Array, size: int) -> Array:
        """Where the rows stand here; negative for those that do not."""
        return np.asarray(self.places[rows // size] * size + rows % size)


@final
class Windows:
    """The windows of a store in the order of an epoch: the one at work, the one before, and the one that is read ahead.

    Parameters
    ----------
    store : Blocks
    encode : callable
        Targets as the network takes them.
    """

    def __init__(self, store: Blocks, encode: Encoder) -> None:
        self._store, self._encode = store, encode
        count = -(-store.rows // store.block)
        self._blocks = min(WINDOW_BLOCKS, count)
        self._whole = count <= WINDOW_BLOCKS
        self.order = self.order_of(0, None)
        self._held: list[Window] = []  # the newest last
        self._free: list[Window] = []
        self._coming: tuple[tuple[Any, ...], Future[Window]] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="backlit-reader")

    def order_of(self, epoch: int, seed: int | None) -> Order:
        """The order of an epoch."""
        return Order(self._store.rows, self._store.block, self._blocks, epoch, seed)

    def follow(self, epoch: int, seed: int | None) -> Order:
        """The order of an epoch, whose windows are read from now on."""
        if (self.order.epoch, self.order.seed) != (epoch, seed):
            self.order = self.order_of(epoch, seed)
        return self.order

    def parts(self, rows: Array) -> Iterator[tuple[Window, Array | slice, Array]]:
        """The rows by windows: the window, which of the rows, and their places in it."""
        size = self._store.block
        if self._held:
            places = self._held[-1].find(rows, size)
            if places.min() >= 0:
                yield self._held[-1], slice(None), places
                return
        needed = self.order.window_of_block[rows // size]
        distinct = list(dict.fromkeys(needed.tolist()))
        if len(distinct) <= 2:
            for number in distinct:
                which = needed == number
                window = self._window(number)
                yield window, which, window.find(rows[which], size)
            return
        alone = Window(self._store, 1)  # scattered over the whole: block by block
        blocks = rows // size
        for block in np.unique(blocks):
            which = blocks == block
            alone.fill(self._store, np.array([block]), self._encode)
            yield alone, which, alone.find(rows[which], size)

    def together(self, rows: Array) -> tuple[Window, Array]:
        """The window in which the first of the rows stands, and the places of all that follow it there."""
        size = self._store.block
        window = self._window(int(self.order.window_of_block[rows[0] // size]))
        places = window.find(rows, size)
        absent = places < 0
        return window, places[: int(np.argmax(absent))] if absent.any() else places

    def _key(self, order: Order, number: int) -> tuple[Any, ...]:
        return ("all",) if self._whole else (order.epoch, order.seed, number)

    def _window(self, number: int) -> Window:
        """A window of the order at work: one that is there, or that is being read; the one after it is begun."""
        key = self._key(self.order, number)
        for window in self._held:
            if window.key == key:
                return window
        if self._coming is not None and self._coming[0] == key:
            future = self._coming[1]
        else:
            self._drop_coming()
            future = self._begin(self.order, number, key)
        self._coming = None
        window = future.result()
        self._held.append(window)
        if len(self._held) > 2:
            self._free.append(self._held.pop(0))
        order, following = self.order, number + 1
        if following == order.windows:
            order, following = self.order_of(order.epoch + 1, order.seed), 0
        if not self._whole:
            after = self._key(order, following)
            self._coming = after, self._begin(order, following, after)
        return window

    def _begin(self, order: Order, number: int, key: tuple[Any, ...]) -> Future[Window]:
        window = self._free.pop() if self._free else Window(self._store, self._blocks)
        blocks = order.blocks_of(number)

        def read() -> Window:
            window.key = ()
            window.fill(self._store, blocks, self._encode)
            window.key = key
            return window

        return self._reader.submit(read)

    def _drop_coming(self) -> None:
        if self._coming is not None:
            future = self._coming[1]
            self._coming = None
            if not future.cancel() and future.exception() is None:
                self._free.append(future.result())


def in_order(store: Blocks, encode: Encoder) -> Iterator[tuple[Array, Array, Array | None]]:
    """All rows as they stand, in pieces X, Y and weight, the next piece read meanwhile; each is gone with the next."""
    row = store.layout.width * store.layout.dtype.itemsize
    some = max(1, _PIECE_BYTES // max(1, row * store.block))
    count = -(-store.rows // store.block)
    windows = [Window(store, min(some, count)) for _ in range(2)]

    def read(start: int) -> tuple[Window, int]:
        window = windows[start // some % 2]
        blocks = np.arange(start, min(start + some, count))
        window.fill(store, blocks, encode)
        return window, min(store.rows - start * store.block, len(blocks) * store.block)

    for window, rows in ahead(read(start) for start in range(0, count, some)):
        yield window.X[:rows], window.Y[:rows], None if window.weight is None else window.weight[:rows]


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """The same items, the next one made by a thread while one is at work.

    Examples
    --------
    >>> list(ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="backlit-ahead") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item
