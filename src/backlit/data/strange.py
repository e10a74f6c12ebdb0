"""Remarks on rows whose values are unlike those that a model has learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, final

import numpy as np

from .columns import typed
from .preparation import Preparation

if TYPE_CHECKING:
    import polars as pl

_SHARE = 0.2  # of the values in a column, from which on it is said that they were never seen
_EXAMPLES = 3


@final
class Strangeness:
    """What is unlike the rows learnt from, of a table that comes in one block or in many.

    Examples
    --------
    >>> import polars as pl
    >>> preparation = Preparation.learn(pl.DataFrame({"age": [20.0, 40.0]}), {"age": "numeric"})
    >>> strange = Strangeness(preparation)
    >>> strange.add(pl.DataFrame({"age": [0.2, 0.4]}))
    >>> strange.remarks()
    ["the column 'age' holds 0.2 to 0.4 here, where the model was trained on 20 to 40"]
    """

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        count = len(preparation.numbers.names)
        self._low, self._high = np.full(count, np.inf), np.full(count, -np.inf)
        self._present = [0] * len(preparation.categories)
        self._unseen = [0] * len(preparation.categories)
        self._examples: list[list[str]] = [[] for _ in preparation.categories]

    def add(self, frame: pl.DataFrame, first: int = 0) -> None:
        """Look at rows; `first` others stand before them."""
        table = typed(frame, self._preparation.kinds, first)
        for i, name in enumerate(self._preparation.numbers.names):
            values = table.get_column(name).to_numpy()
            values = values[~np.isnan(values)]
            self._low[i] = min(self._low[i], values.min(initial=np.inf))
            self._high[i] = max(self._high[i], values.max(initial=-np.inf))
        for j, column in enumerate(self._preparation.categories):
            if not column.all_known:
                continue
            present = table.get_column(column.name).drop_nulls()
            unseen = present.filter(~present.is_in([*column.frequent, *column.rare]))
            self._present[j] += len(present)
            self._unseen[j] += len(unseen)
            if len(self._examples[j]) < _EXAMPLES and len(unseen):
                found = [*self._examples[j], *unseen.unique(maintain_order=True)[:_EXAMPLES]]
                self._examples[j] = list(dict.fromkeys(found))[:_EXAMPLES]

    def remarks(self) -> list[str]:
        """What is to be said, a sentence for each column."""
        return [*self._of_numbers(), *self._of_categories()]

    def _of_numbers(self) -> Iterator[str]:
        learnt = self._preparation.numbers
        outside = (self._high >= self._low) & ((self._low > learnt.high) | (self._high < learnt.low))
        for i in np.flatnonzero(outside):
            yield (
                f"the column {learnt.names[i]!r} holds {self._low[i]:g} to {self._high[i]:g} here, where the model was "
                f"trained on {learnt.low[i]:g} to {learnt.high[i]:g}"
            )

    def _of_categories(self) -> Iterator[str]:
        for j, column in enumerate(self._preparation.categories):
            unseen, present = self._unseen[j], self._present[j]
            if unseen and unseen >= _SHARE * present:
                examples = ", ".join(repr(value) for value in self._examples[j])
                yield (
                    f"{100.0 * unseen / present:.0f} % of the values in the column {column.name!r} were never seen in "
                    f"training, such as {examples}"
                )


def strange_values(preparation: Preparation, frame: pl.DataFrame) -> list[str]:
    """Remarks on columns of a table whose values are unlike those learnt from."""
    strange = Strangeness(preparation)
    strange.add(frame)
    return strange.remarks()
