"""What is learnt about columns that come in blocks: as `Preparation.learn` does, the median within a known error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import numpy as np

from ...parameters import Array
from ..categories import Categories, categories_of
from ..columns import require_numbers
from ..preparation import DAY, Dates, Numbers, date_names, date_parts, scale_of
from .facts import Counts
from .sketch import CAPACITY, Moments, Quantiles

if TYPE_CHECKING:
    import polars as pl

_PARTS: Final = 8  # of a date with a time
_DAYS, _SINE, _COSINE = 5, 6, 7  # which of them these are


@final
class NumberLearner:
    """A column of numbers, NaN where missing; the same bits wherever its blocks end."""

    def __init__(self) -> None:
        self.moments, self.sketch = Moments(), Quantiles()
        self.gaps = 0
        self._waiting = np.empty(0)  # sums are taken over pieces of one size

    def add(self, column: pl.Series, first: int) -> None:
        """Take a block, of which `first` rows of the file stand before."""
        numbers = require_numbers(column, first)
        self.add_values(numbers.fill_null(float("nan")).to_numpy() if numbers.null_count() else numbers.to_numpy())

    def add_values(self, x: Array) -> None:
        """Take numbers, shape (n,)."""
        gaps = np.isnan(x)
        if gaps.any():
            x = x[~gaps]
            self.gaps += int(gaps.sum())
        x = np.concatenate([self._waiting, x])
        whole = x.size // CAPACITY * CAPACITY
        self._waiting = x[whole:]
        for piece in x[:whole].reshape(-1, CAPACITY):
            self.moments.add(piece)
        self.sketch.add(x[:whole])

    def finish(self) -> None:
        """Take what is left over; nothing comes after it."""
        self.moments.add(self._waiting)
        self.sketch.add(self._waiting)
        self._waiting = np.empty(0)

    def add_gaps(self, rows: int) -> None:
        """Take so many rows in which the column is missing."""
        self.gaps += rows

    def learnt(self) -> tuple[float, float, float, float, float]:
        """Median, mean, scale, smallest and largest, the missing values filled with the median."""
        self.finish()
        filled, median = Moments(), self.sketch.median()
        filled.merge(self.moments.count, self.moments.mean, self.moments.squares)
        filled.merge(self.gaps, median, 0.0)
        if not self.moments.count:
            return 0.0, 0.0, 1.0, 0.0, 0.0
        scale = scale_of(filled.count, np.array(filled.mean), np.array(filled.squares / filled.count))
        return median, filled.mean, float(scale), self.moments.low, self.moments.high


@final
class DateLearner:
    """A column of dates in one form: each of its parts as numbers."""

    def __init__(self, form: str) -> None:
        self.form = form
        self._parts = [NumberLearner() for _ in range(_PARTS)]

    def add(self, column: pl.Series, first: int) -> None:
        """Take a block, of which `first` rows of the file stand before."""
        for part, values in zip(self._parts, date_parts(column, self.form, 0, clock=True, before=first), strict=True):
            part.add_values(values)

    def add_gaps(self, rows: int) -> None:
        """Take so many rows in which the column is missing."""
        for part in self._parts:
            part.add_gaps(rows)

    def learnt(self, name: str) -> Dates:
        """What a table's preparation keeps of it."""
        rows = [part.learnt() for part in self._parts]
        days, sine = self._parts[_DAYS].moments, self._parts[_SINE].moments
        day = int(np.floor(days.low)) if days.count else 0  # the first one
        clock = sine.count > 0 and (sine.low < 0.0 or sine.high > 0.0 or self._parts[_COSINE].moments.low < 1.0)
        used = rows if clock else rows[:_SINE]
        median, mean, scale, low, high = (np.array(values) for values in zip(*used, strict=True))
        for shifted in (median, mean, low, high):
            shifted[_DAYS] -= day
        numbers = Numbers(date_names(name, clock), median, mean, scale, low, high, clipped=True)
        return Dates(name, self.form, day * DAY, clock, numbers)


@final
class CategoryLearner:
    """A column of categories: how many rows each has."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.missing = False

    def add(self, column: pl.Series, first: int) -> None:
        """Take a block."""
        self.counts.add(column)
        self.missing = self.missing or bool(column.null_count())

    def add_gaps(self, rows: int) -> None:
        """Take so many rows in which the column is missing."""
        self.missing = self.missing or rows > 0

    def learnt(self, name: str) -> Categories:
        """What a table's preparation keeps of it."""
        return categories_of(name, self.counts.found, missing=self.missing)
