"""What a column that comes in blocks is, by the rules of `columns.found_kind` for a whole one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from ..choosing import MOST_VALUES
from ..columns import (
    FEW_VALUES,
    Kind,
    as_text,
    first_row,
    numbers_with_commas,
    parse_numbers,
    text_among_numbers,
    with_commas,
)
from ..values import (
    DAY_FORMATS,
    DAY_HEAD,
    TWO_WAYS,
    dressed_numbers,
    has_codes,
    looks_like_days,
    moments,
    plain_numbers,
)

if TYPE_CHECKING:
    import polars as pl


class Place(NamedTuple):
    """A value, and where it stands: "row 7 of a.csv"."""

    where: str
    value: Any


@final
class Counts:
    """How many rows each value has, exactly; of more than `MOST_VALUES` of them nothing but that they are too many.

    Examples
    --------
    >>> import polars as pl
    >>> counts = Counts()
    >>> counts.add(pl.Series(["a", "b", "a", None]))
    >>> sorted(counts.found.items()), counts.too_many
    ([('a', 2), ('b', 1)], False)
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self.found: Counter[str] = Counter()
        self.too_many = False
        self._most = most

    def add(self, texts: pl.Series) -> None:
        """Take texts, or numbers as their texts."""
        if self.too_many:
            return
        present = as_text(texts).alias("value").drop_nulls()
        for value, count in present.value_counts(name="count").rows():
            self.found[value] += count
        if len(self.found) > self._most:
            self.too_many = True
            self.found.clear()


@final
class ColumnFacts:
    """What is known of a column after the blocks that were added."""

    def __init__(self, name: str, *, counted: bool = False) -> None:
        self.name = name
        self._counted = counted
        self.uncounted = False  # whether numbers went by that a column of categories would have counted
        self.rows = self.present = 0
        self.counts = Counts()  # of a column that is not numbers alone
        self.numbers_only = True
        self._finite = self._infinite = self._commas = 0
        self._codes = False
        self._dressed = True  # numbers, some of them with signs of money and the like
        self.forms = list(DAY_FORMATS)
        self._heads = 0  # values looked at for days
        self.text: Place | None = None  # the first that is no plain number
        self._comma: Place | None = None
        # of numbers
        self.whole = True
        self._up = self._down = True
        self._last: float | None = None

    def add(self, column: pl.Series, file: str, first: int) -> None:
        """Take the rows of a block, of which `first` others of the file stand before."""
        import polars as pl

        self.rows += len(column)
        present = len(column) - column.null_count()
        self.present += present
        if column.dtype != pl.String:
            self._add_numbers(column, present)
            return
        self._last = None
        self._up = self._down = self._up and not len(column)  # missing values, or texts
        if present:
            self._add_texts(column, present, file, first)

    def _add_numbers(self, column: pl.Series, present: int) -> None:
        values = column.to_numpy()
        gaps = present < len(values)
        self._finite += present
        if present:
            self.forms = []  # a number is no day
        if self._counted or not self.numbers_only:
            self.counts.add(column)
        else:
            self.uncounted = self.uncounted or present > 0
        if self.whole and present:
            there = values[~np.isnan(values)] if gaps else values
            self.whole = bool((there == np.floor(there)).all())
        if self._up or self._down:
            steps = np.diff(values) if self._last is None else np.diff(values, prepend=self._last)
            counts = self.whole and not gaps
            self._up = counts and self._up and bool((steps > 0).all())
            self._down = counts and self._down and bool((steps < 0).all())
            self._last = float(values[-1]) if len(values) else self._last

    def _add_texts(self, column: pl.Series, present: int, file: str, first: int) -> None:
        self.numbers_only = False
        self.counts.add(column)
        numbers = plain_numbers(column)
        infinite = int(numbers.is_infinite().sum())
        self._finite += len(numbers) - numbers.null_count() - infinite
        self._infinite += infinite
        self._codes = self._codes or has_codes(column)
        if self.text is None and len(numbers) - numbers.null_count() < present:
            self.text = _place(column, numbers.is_null() & column.is_not_null(), file, first)
        if self._dressed:
            self._dressed = dressed_numbers(column).null_count() == column.null_count()
        commas = with_commas(column).fill_null(value=False)
        self._commas += int(commas.sum())
        if self._comma is None and commas.any():
            self._comma = _place(column, commas, file, first)
        self._add_days(column)

    def _add_days(self, column: pl.Series) -> None:
        """Leave of the forms of days those that fit all values so far."""
        if not self.forms:
            return
        there = column.drop_nulls()
        if self._heads < DAY_HEAD:
            head = there.head(DAY_HEAD - self._heads)
            self._heads += len(head)
            if not looks_like_days(head):
                self.forms = []
                return
        distinct = there.unique()
        self.forms = [form for form in self.forms if not moments(distinct, form).has_nulls()]

    @property
    def missing(self) -> bool:
        return self.present < self.rows

    @property
    def counts_rows(self) -> bool:
        """Whether the column holds whole numbers that only go up, or only down."""
        return self.numbers_only and self.rows > 1 and (self._up or self._down)

    @property
    def ambiguous(self) -> bool:
        """Whether day and month could change places."""
        return bool(self.forms) and TWO_WAYS.get(self.forms[0]) in self.forms

    @property
    def guess(self) -> Kind:
        """The kind as far as the blocks so far tell, with no complaint."""
        if not self.present:
            return "empty"
        if self.numbers_only or (self._finite + self._infinite == self.present and self._finite and not self._codes):
            return "numeric"
        if self.forms:
            return "date"
        return "numeric" if self._dressed and not self._codes else "categorical"

    def kind(self, override: str) -> Kind:
        """The kind of the whole column; `override` is what to pass on the command line to have categories.

        Raises
        ------
        TableError
            Mostly numbers, with text between them and many distinct values; numbers written with commas.
        """
        guess = self.guess
        if guess != "categorical" or self._codes_alone:
            return guess
        many = self.counts.too_many or len(self.counts.found) > FEW_VALUES
        if self.text is not None and self._finite * 2 > self.present and many:
            raise text_among_numbers(self.name, self.text.where, self.text.value, override)
        if self._commas * 2 > self.present and self._comma is not None:
            raise numbers_with_commas(self.name, self._comma.where, self._comma.value, override)
        return "categorical"

    @property
    def _codes_alone(self) -> bool:
        return self._finite + self._infinite == self.present and self._codes

    def dressed_example(self) -> Place | None:
        """A value that is a number in the dress of money or percent, of a column of such numbers."""
        return self.text if not self.numbers_only and self.guess == "numeric" else None


def _place(column: pl.Series, which: pl.Series, file: str, first: int) -> Place:
    row = first_row(which)
    return Place(f"row {first + row + 1} of {file}", column[row])


def number_of(value: Any) -> float:
    """What a number in the dress of money stands for."""
    import polars as pl

    return float(parse_numbers(pl.Series([value]))[0])
