"""Rows held out by their numbers: the same whatever the blocks are in which they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ...parameters import Array
from ...randomness import keyed_generator

_CHUNK: Final = 65_536  # rows whose numbers are drawn together

#: What a row is for.
TRAIN, WATCHED, HELD = 0, 1, 2


@final
@dataclass(frozen=True)
class HeldOut:
    """A share of the rows held out, and of the others a share on which training is watched; each row drawn by itself.

    Examples
    --------
    >>> held = HeldOut(0.25, seed=0)
    >>> whole = held.purpose(0, 100_000)
    >>> bool((held.purpose(70_000, 80_000) == whole[70_000:80_000]).all()), round(float((whole == HELD).mean()), 2)
    (True, 0.25)
    """

    share: float
    seed: int
    watched: float = 0.0

    def purpose(self, start: int, stop: int) -> Array:
        """What each row from `start` to `stop`, counted over all files, is for: `TRAIN`, `WATCHED` or `HELD`."""
        if stop <= start or not (self.share or self.watched):
            return np.full(max(0, stop - start), TRAIN, dtype=np.int8)
        first = start // _CHUNK
        chunks = [self._chunk(chunk) for chunk in range(first, (stop - 1) // _CHUNK + 1)]
        return np.concatenate(chunks)[start - first * _CHUNK : stop - first * _CHUNK]

    def _chunk(self, chunk: int) -> Array:
        drawn = keyed_generator(self.seed, "split", chunk, 1).random(_CHUNK)
        watched = self.share + (1.0 - self.share) * self.watched
        return np.where(drawn < self.share, HELD, np.where(drawn < watched, WATCHED, TRAIN)).astype(np.int8)
