"""The order in which an epoch learns from rows that lie on disk in blocks: never an array of all of them.

    blocks      come in an order that is keyed by seed and epoch
    windows     as many blocks, one after the other in this order, as are in memory together
    rows        of a window come in an order keyed by seed, epoch and the window's number

Where one window holds all rows, it is the very order that they have in memory (`training.job.order_of_rows`).
"""

from __future__ import annotations

from typing import Final, final

import numpy as np

from ...parameters import Array
from ...randomness import keyed_generator

_KEPT: Final = 2  # windows whose order is remembered: a batch may stand in two


@final
class Order:
    """The order of `rows` rows in an epoch, counted from 0; an array of their numbers when it is cut.

    Parameters
    ----------
    rows, block, window : int
        Rows in all, rows of a block, blocks of a window.
    epoch : int
    seed : int or None
        None leaves the rows as they stand.

    Examples
    --------
    >>> order = Order(10, block=2, window=2, epoch=0, seed=7)
    >>> sorted(order[0:10].tolist()), len(order)
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10)
    >>> order[2:6].tolist() == order[0:10].tolist()[2:6]
    True
    >>> Order(10, block=2, window=2, epoch=0, seed=None)[3:6]
    array([3, 4, 5])
    """

    def __init__(self, rows: int, block: int, window: int, epoch: int, seed: int | None) -> None:
        self._rows, self._block, self._window = rows, block, window
        self.epoch, self.seed = epoch, seed
        count = -(-rows // block)
        self.blocks: Array = np.arange(count)
        if seed is not None and count > window:
            self.blocks = keyed_generator(seed, "blocks", epoch).permutation(count)
        sizes = np.minimum(rows - self.blocks * block, block)  # the last block may be smaller, wherever it comes
        self._starts = np.append(np.cumsum(sizes)[window - 1 :: window][: -(-count // window) - 1], rows)
        self._starts = np.insert(self._starts, 0, 0)  # where each window begins, and the end
        self.window_of_block = np.empty(count, dtype=np.int64)
        self.window_of_block[self.blocks] = np.arange(count) // window
        self._made: dict[int, Array] = {}

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self._starts) - 1

    def blocks_of(self, window: int) -> Array:
        """The numbers of a window's blocks."""
        return self.blocks[window * self._window : (window + 1) * self._window]

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, part: slice) -> Array:
        start, stop, _ = part.indices(self._rows)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        pieces: list[Array] = []
        for window in range(first, self.windows):
            begin, end = int(self._starts[window]), int(self._starts[window + 1])
            if begin >= stop:
                break
            pieces.append(self._of_window(window)[max(start - begin, 0) : min(stop, end) - begin])
        if not pieces:
            return np.arange(0)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _of_window(self, window: int) -> Array:
        if window not in self._made:
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            rows = (self.blocks_of(window)[:, None] * self._block + np.arange(self._block)).ravel()
            rows = rows[rows < self._rows]
            if self.seed is not None:
                rows = rows[keyed_generator(self.seed, "shuffle", self.epoch, window).permutation(len(rows))]
            self._made[window] = rows
        return self._made[window]
