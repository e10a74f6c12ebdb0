"""A table's columns of categories: which values have a column of the matrix, or a code, of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ..parameters import Array
from .values import canonical

if TYPE_CHECKING:
    import polars as pl

#: Categories of a column beyond the most frequent ones share one column, or the whole column becomes codes: a name
#: would fill the memory.
MOST_CATEGORIES: Final = 100
#: So many of a column of codes, the most frequent ones, have a code of their own.
MOST_OWN: Final = 10_000
#: Values of one row each teach what values never seen are, where there are at least so many: fewer are chance.
ENOUGH_RARE: Final = 100
#: Rare categories that are remembered, to tell them from values never seen.
MOST_RARE: Final = 10_000


@final
@dataclass
class Categories:
    """A column of categories: those with a column, or code, of their own, the rare ones, and whether some were missing.

    With `coded` it is one column of whole numbers: those of the frequent ones, of a missing value, and of all others.
    """

    name: str
    frequent: list[str]
    rare: list[str] = field(default_factory=list)
    rare_column: bool = False
    missing: bool = False
    all_known: bool = True  # false where there were too many rare ones to remember
    coded: bool = False

    @property
    def count(self) -> int:
        """How many values are told apart."""
        return len(self.frequent) + self.missing + self.rare_column

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 1 if self.coded else self.count


def learn_categories(column: pl.Series, *, coded: bool) -> Categories:
    """The values of a column: the most frequent in the order of their texts, the others rare."""
    counts = dict(column.alias("value").drop_nulls().value_counts(name="count").rows())
    missing = bool(column.null_count())
    if coded and len(counts) + missing > MOST_CATEGORIES:
        return _coded(column.name, counts, missing=missing)
    return categories_of(column.name, counts, missing=missing)


def _coded(name: str, counts: Mapping[str, int], *, missing: bool) -> Categories:
    """Values with a code each, but for those of one row where these are many; the last code is that of all others."""
    values = sorted((-count, value) for value, count in counts.items())
    several = sum(count < -1 for count, _ in values)
    own = min(MOST_OWN, several if len(values) - several >= ENOUGH_RARE else len(values))
    return _divided(name, [value for _, value in values], own, missing=missing, coded=True)


def categories_of(name: str, counts: Mapping[str, int], *, missing: bool) -> Categories:
    """The same from the number of rows that each value has."""
    values = sorted((-count, value) for value, count in counts.items())
    if len(values) + missing <= MOST_CATEGORIES:
        return Categories(name, sorted(value for _, value in values), missing=missing)
    own = MOST_CATEGORIES - 1 - missing
    return _divided(name, [value for _, value in values], own, missing=missing, coded=False)


def _divided(name: str, values: Sequence[str], own: int, *, missing: bool, coded: bool) -> Categories:
    """The first so many values, the most frequent ones, are told apart; the others are rare."""
    rare = list(values[own:])
    known = len(rare) <= MOST_RARE
    return Categories(
        name, sorted(values[:own]), rare[:MOST_RARE], rare_column=True, missing=missing, all_known=known, coded=coded
    )


def category_index(column: pl.Series, learnt: Categories) -> Array:
    """The column of each value among those of its category, −1 for none; what was never seen is rare."""
    import polars as pl

    last = learnt.count - 1
    other = last if learnt.rare_column else -1
    places = pl.Series(range(len(learnt.frequent)), dtype=pl.Int64)
    if learnt.frequent:
        index = column.replace_strict(
            pl.Series(learnt.frequent, dtype=pl.String), places, default=other, return_dtype=pl.Int64
        )
    else:
        index = pl.Series([other] * len(column), dtype=pl.Int64)
    gap = len(learnt.frequent) if learnt.missing else other
    return index.set(column.is_null(), gap).to_numpy()


def as_canonical(values: Iterable[str]) -> list[str]:
    """Categories in their canonical texts, each once."""
    import polars as pl

    return list(dict.fromkeys(canonical(pl.Series(list(values), dtype=pl.String)).to_list()))
