"""Numbers that come in pieces: their mean and spread exactly, their median within an error that is known."""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np

from ...parameters import Array

CAPACITY: Final = 4096


@final
class Moments:
    """How many numbers there were, their mean, Σ (x − mean)², the smallest and the largest.

    Pieces are put together as Chan, Golub & LeVeque (1983) have it, so that nothing is lost by large means.

    Examples
    --------
    >>> moments = Moments()
    >>> for piece in ([1.0, 2.0], [6.0]):
    ...     moments.add(np.array(piece))
    >>> moments.count, moments.mean, moments.squares, moments.low, moments.high
    (3, 3.0, 14.0, 1.0, 6.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, x: Array) -> None:
        """Take numbers, shape (n,)."""
        if not x.size:
            return
        mean = float(x.mean())
        squares = float(np.square(x - mean).sum())  # not by BLAS, whose threads would wait for each other
        self.merge(x.size, mean, squares)
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    def merge(self, count: int, mean: float, squares: float) -> None:
        """Take `count` numbers by their mean and Σ (x − mean)²."""
        if not count:
            return
        together = self.count + count
        step = mean - self.mean
        self.squares += squares + step * step * (self.count * count / together)
        self.mean += step * (count / together)
        self.count = together


@final
class Quantiles:
    """The median of numbers that come in pieces, in a bounded memory. Munro & Paterson (1980), Karnin et al. (2016).

    Numbers gather at level 0. Whenever `capacity` of a level are there, they are sorted, every second one goes up a
    level, where it stands for twice as many, and the others are forgotten. That moves the rank of any number by at most
    the weight 2^i of the level, up and down in turns, so after c_i times at level i

        | rank − true rank |  ≤  Σ_i 2^i ⌈c_i / 2⌉  ≈  n log₂(n / capacity) / (2 capacity)

    which is `error`: for 10⁸ numbers and 4,096 less than 0.2 % of them. Up to `capacity` − 1 numbers all are there, and
    the median is exact. Nothing is drawn at random: the same numbers in the same order give the same median.

    Parameters
    ----------
    capacity : int, default=4096
        Even.

    Attributes
    ----------
    count : int
        Numbers so far.

    Examples
    --------
    >>> sketch = Quantiles()
    >>> sketch.add(np.array([3.0, 1.0]))
    >>> sketch.add(np.array([2.0, 10.0]))
    >>> sketch.median(), sketch.error
    (2.5, 0)
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.count = 0
        self._capacity = capacity
        self._levels: list[Array] = [np.empty(0)]
        self._times: list[int] = []  # how often each level was thinned out

    @property
    def error(self) -> int:
        """By how many ranks the median may be wrong, at the most."""
        return sum(2**i * ((times + 1) // 2) for i, times in enumerate(self._times))

    def add(self, x: Array) -> None:
        """Take finite numbers, shape (n,)."""
        self.count += x.size
        level = 0
        while x.size:
            if level == len(self._levels):
                self._levels.append(np.empty(0))
            waiting = np.concatenate([self._levels[level], x])
            whole = waiting.size // self._capacity * self._capacity
            self._levels[level] = waiting[whole:]
            if not whole:
                return
            x = self._thinned(waiting[:whole].reshape(-1, self._capacity), level)
            level += 1

    def _thinned(self, rows: Array, level: int) -> Array:
        """Every second number of each sorted row, from the first and from the second one in turns."""
        if level == len(self._times):
            self._times.append(0)
        turn = (self._times[level] + np.arange(len(rows))) % 2
        self._times[level] += len(rows)
        sorted_rows = np.sort(rows, axis=1).reshape(len(rows), -1, 2)
        return np.asarray(sorted_rows[np.arange(len(rows)), :, turn]).ravel()

    def median(self) -> float:
        """The median; of an even count the mean of the two in the middle. 0 without numbers."""
        if not self.count:
            return 0.0
        values = np.concatenate(self._levels)
        weights = np.concatenate([np.full(level.size, 2**i) for i, level in enumerate(self._levels)])
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])  # Σ of the weights is the count: nothing is lost by thinning out
        middle = values[order[np.searchsorted(reached, [(self.count - 1) // 2, self.count // 2], side="right")]]
        return float(middle.mean())
