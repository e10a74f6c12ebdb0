"""Rows held out by their numbers: the same whatever the blocks are in which they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ...parameters import Array
from ...randomness import keyed_generator

_CHUNK: Final = 65_536  # rows whose numbers are drawn together


@final
@dataclass(frozen=True)
class HeldOut:
    """A share of the rows, each drawn by itself, keyed by the seed.

    Examples
    --------
    >>> held = HeldOut(0.25, seed=0)
    >>> whole = held.mask(0, 100_000)
    >>> bool((held.mask(70_000, 80_000) == whole[70_000:80_000]).all()), round(float(whole.mean()), 2)
    (True, 0.25)
    """

    share: float
    seed: int

    def mask(self, start: int, stop: int) -> Array:
        """Which of the rows from `start` to `stop`, counted over all files, are held out."""
        if not self.share or stop <= start:
            return np.zeros(max(0, stop - start), dtype=np.bool_)
        first = start // _CHUNK
        chunks = [self._chunk(chunk) for chunk in range(first, (stop - 1) // _CHUNK + 1)]
        return np.concatenate(chunks)[start - first * _CHUNK : stop - first * _CHUNK]

    def _chunk(self, chunk: int) -> Array:
        drawn = keyed_generator(self.seed, "split", chunk, 1).random(_CHUNK)
        return np.asarray(drawn < self.share)
