"""A table's columns made fit for a network, and what was learnt about them: numbers standardised, categories one-hot.

    number     filled with the median where missing, s = (x − mean) / scale, then s / √(1 + (s/3)²), which leaves small
               numbers nearly as they are and keeps outliers within ±3. Holzmüller, Grinsztajn & Steinwart (2024)
    date       year, month, day of the week, sine and cosine of the day of the year, days since the first; and of the
               time of day, where there is one: each then a number as above
    category   one column for each frequent value, one for all rare ones, one for a missing value; or, where there are
               many and it is asked for, one column of codes, for an `Embedding`

Column by column, into one matrix: numbers first, then dates, then categories, those as codes at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ..exceptions import NonFiniteError, TableError
from ..parameters import Array
from .categories import Categories, category_index, learn_categories
from .columns import Kind, typed
from .values import day_format, moments

if TYPE_CHECKING:
    import polars as pl

#: Standardised numbers stay within ± this.
CLIP: Final = 3.0
_BLOCK_NUMBERS: Final = 2**20  # numbers that are looked at in one piece
DAY: Final = 86_400_000_000  # µs
_DATE_PARTS: Final = ("year", "month", "weekday", "yearday_sin", "yearday_cos", "days")
_CLOCK_PARTS: Final = ("daytime_sin", "daytime_cos")


@final
@dataclass
class Numbers:
    """What was learnt about columns of numbers, one value a column."""

    names: list[str]
    median: Array
    mean: Array
    scale: Array
    low: Array
    high: Array
    clipped: bool = field(default=False, kw_only=True)  # files of older versions hold columns without the smooth clip


@final
@dataclass
class Dates:
    """A column of dates: how it is written, its first day (µs since 1970), whether it has times, and its parts."""

    name: str
    form: str
    first: int
    clock: bool
    parts: Numbers


@final
class Preparation:
    """How a table becomes a matrix. `learn` makes one; `apply` uses it on any table with the same columns.

    Attributes
    ----------
    kinds : dict of str to str
        The columns that are used, in the order of the table, with "numeric", "categorical" or "date".
    numbers, dates, categories
        What was learnt.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"age": [20.0, 40.0], "town": ["Rome", "Oslo"]})
    >>> preparation = Preparation.learn(table, {"age": "numeric", "town": "categorical"})
    >>> preparation.apply(table).round(2)
    array([[-0.95,  0.  ,  1.  ],
           [ 0.95,  1.  ,  0.  ]])
    >>> preparation.names()
    ['age', 'town_Oslo', 'town_Rome']
    """

    def __init__(
        self, kinds: Mapping[str, Kind], numbers: Numbers, dates: Sequence[Dates], categories: Sequence[Categories]
    ) -> None:
        self.kinds = dict(kinds)
        self.numbers = numbers
        self.dates = list(dates)
        self.categories = list(categories)

    @classmethod
    def learn(
        cls, frame: pl.DataFrame, kinds: Mapping[str, Kind], rows: Array | None = None, *, coded: bool = False
    ) -> Preparation:
        """What the rows of a table say about its columns.

        Parameters
        ----------
        frame : polars.DataFrame
        kinds : mapping
        rows : ndarray of int, optional
            The numbers of the rows to learn from, all of them unless given.
        coded : bool
            Whether columns of more than `MOST_CATEGORIES` become codes.
        """
        kinds = {name: kind for name, kind in kinds.items() if kind != "empty"}
        table = typed(frame, kinds)
        numbers = _learn_numbers(_blocks(table, _of(kinds, "numeric"), rows), _of(kinds, "numeric"))
        dates = [_learn_dates(_take(table.get_column(name), rows)) for name in _of(kinds, "date")]
        texts = [_take(table.get_column(name), rows) for name in _of(kinds, "categorical")]
        found = [learn_categories(column, coded=coded) for column in texts]
        return cls(kinds, numbers, dates, found)

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        dates = sum(len(date.parts.names) for date in self.dates)
        return len(self.numbers.names) + dates + sum(column.width for column in self.categories)

    @property
    def numbers_width(self) -> int:
        """Columns of the matrix that are numbers and parts of dates: the first ones."""
        return self.width - sum(column.width for column in self.categories)

    @property
    def codes(self) -> tuple[int, ...]:
        """How many categories each of the matrix's last columns has a code of."""
        return tuple(column.count for column in self.categories if column.coded)

    @property
    def in_order(self) -> list[Categories]:
        """The categories in the order of the matrix: codes last."""
        return sorted(self.categories, key=lambda column: column.coded)

    def names(self) -> list[str]:
        """Names of the matrix's columns, no two alike: "age", "born_year", "town_Rome"."""
        names = list(self.numbers.names)
        names += [name for date in self.dates for name in date.parts.names]
        for column in self.in_order:
            if column.coded:
                names.append(column.name)
                continue
            names += [f"{column.name}_{value}" for value in column.frequent]
            names += [f"{column.name}_missing"] * column.missing + [f"{column.name}_rare"] * column.rare_column
        return _told_apart(names)

    def sources(self) -> list[str]:
        """The column of the table that each column of the matrix comes from: "age", "born", "town"."""
        found = [*self.numbers.names, *(date.name for date in self.dates for _ in date.parts.names)]
        return found + [column.name for column in self.in_order for _ in range(column.width)]

    def apply(
        self, frame: pl.DataFrame, rows: Array | None = None, dtype: Any = np.float64, *, first: int = 0
    ) -> Array:
        """The matrix of a table, shape (n_rows, width).

        Parameters
        ----------
        frame : polars.DataFrame
            As `read_table` gives it; its columns may come in any order, with others between them.
        rows : ndarray of int, optional
            Numbers of the rows to take, all of them unless given.
        dtype : dtype
            Of the matrix.
        first : int
            Rows of the table before these: errors count them.

        Raises
        ------
        TableError
            A column that the table lacks, or text where numbers are expected.
        NonFiniteError
            An infinity, or a number too far from those learnt from.
        """
        table = typed(frame, self.kinds, first)
        height = table.height if rows is None else len(rows)
        matrix = np.empty((height, self.width), dtype=dtype)  # (n_rows, width)
        place = self._fill_numbers(table, rows, matrix, first)
        for found in self.in_order:
            index = category_index(_take(table.get_column(found.name), rows), found)  # (n_rows,)
            if found.coded:
                matrix[:, place] = index
            else:
                part = matrix[:, place : place + found.width]
                part[...] = 0.0
                known = index >= 0
                part[np.flatnonzero(known), index[known]] = 1.0
            place += found.width
        return matrix

    def compact(self, frame: pl.DataFrame, dtype: Any, first: int = 0) -> tuple[Array, Array]:
        """The same in less room: the matrix's numbers, and of each category the number of its column.

        Parameters
        ----------
        frame : polars.DataFrame
        dtype : dtype
        first : int
            Rows of the table before these: errors count them.

        Returns
        -------
        numbers : ndarray, shape (n_rows, numbers and parts of dates)
        categories : ndarray of uint8, shape (n_rows, categories)
            From 1; 0 for none.
        """
        table = typed(frame, self.kinds, first)
        numbers = np.empty((table.height, self.numbers_width), dtype=dtype)
        self._fill_numbers(table, None, numbers, first)
        codes = np.empty((table.height, len(self.categories)), dtype=np.uint8)
        for j, found in enumerate(self.categories):
            codes[:, j] = category_index(table.get_column(found.name), found) + 1
        return numbers, codes

    def _fill_numbers(self, table: pl.DataFrame, rows: Array | None, matrix: Array, first: int) -> int:
        """Write numbers and parts of dates into the first columns of the matrix; returns how many these are."""
        place = len(self.numbers.names)
        height = len(matrix)
        columns = [table.get_column(name).to_numpy() for name in self.numbers.names]
        some = max(1, _BLOCK_NUMBERS // max(1, place))
        for start in range(0, height if columns else 0, some):  # rows of one piece stay in the processor's cache
            part = slice(start, start + some) if rows is None else rows[start : start + some]
            block = np.stack([column[part] for column in columns])
            _standardise(block, self.numbers, matrix[start : start + some, :place])
        if not np.isfinite(matrix[:, :place]).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(matrix[:, :place]))[0])
            where = row if rows is None else int(rows[row])
            name = self.numbers.names[column]
            raise NonFiniteError(
                f"column {name!r} holds {table[name][where]:g} in row {first + where + 1}, too far from the numbers "
                f"learnt from ({self.numbers.low[column]:g} to {self.numbers.high[column]:g}) to compute with: mend it"
            )
        for date in self.dates:
            taken = _take(table.get_column(date.name), rows)
            parts = date_parts(taken, date.form, date.first, date.clock, before=first)
            stop = place + len(parts)
            _standardise(parts, date.parts, matrix[:, place:stop])
            place = stop
        return place


def _of(kinds: Mapping[str, Kind], kind: str) -> list[str]:
    return [name for name, found in kinds.items() if found == kind]


def _take(column: pl.Series, rows: Array | None) -> pl.Series:
    return column if rows is None else column.gather(rows)


def _blocks(table: pl.DataFrame, names: Sequence[str], rows: Array | None) -> Iterator[Array]:
    """Columns of numbers, shape (some, n_rows), NaN where missing: one at a time of a tall table."""
    some = max(1, _BLOCK_NUMBERS // max(1, table.height))
    for start in range(0, len(names), some):
        chosen = [table.get_column(name).to_numpy() for name in names[start : start + some]]
        block = chosen[0][None, :] if len(chosen) == 1 else np.stack(chosen)
        yield block if rows is None else block[:, rows]


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────


def _learn_numbers(blocks: Iterable[Array], names: Sequence[str]) -> Numbers:
    """Median, mean and standard deviation of columns, the missing values filled with the median."""
    found = [_moments(block) for block in blocks]
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)] if found else [np.zeros(0)] * 5
    return Numbers(list(names), *columns, clipped=True)


def _moments(block: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Median, mean, standard deviation, smallest and largest of each row of a matrix: of each column of the table."""
    gaps = np.isnan(block)
    n = block.shape[1]
    if gaps.any():
        median = np.zeros(len(block))
        some = ~gaps.all(axis=1)  # a column that is missing throughout stays, as zeros
        median[some] = np.nanmedian(block[some], axis=1)
        block = np.where(gaps, median[:, None], block)
    else:
        median = np.median(block, axis=1)
    mean = block.mean(axis=1)
    centred = block - mean[:, None]
    variance = np.square(centred, out=centred).mean(axis=1)
    return median, mean, scale_of(n, mean, variance), block.min(axis=1), block.max(axis=1)


def scale_of(n: int, mean: Array, variance: Array) -> Array:
    """The standard deviations of columns of n numbers; 1 for one that is constant."""
    # what rounding alone leaves of a constant column is no spread
    limit = n * np.finfo(np.float64).eps * variance + (n * mean * np.finfo(np.float64).eps) ** 2
    return np.where(variance <= limit, 1.0, np.sqrt(variance))


def _standardise(block: Array, learnt: Numbers, out: Array) -> None:
    """(x − mean) / scale, clipped, into `out`, the median in place of NaN; the block, (columns, rows), is used up."""
    gaps = np.isnan(block)
    if gaps.any():
        np.copyto(block, learnt.median[:, None], where=gaps)
    block -= learnt.mean[:, None]
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves the finite numbers is named by the caller
        block /= learnt.scale[:, None]
        if learnt.clipped:
            # s / √(1 + (s/3)²): hypot does not overflow where a square would
            block /= np.hypot(1.0, block / CLIP)
        out[...] = block.T


# ── dates ────────────────────────────────────────────────────────────────────────────────────────────────────


def _learn_dates(column: pl.Series) -> Dates:
    found = day_format(column)
    if found is None:
        raise TableError(f"column {column.name!r} holds no dates: pass --categorical {column.name!r} for categories")
    form = found[0]
    when = moments(column, form).to_physical().drop_nulls().to_numpy()  # µs since 1970
    clock = bool((when % DAY).any())
    first = int(when.min() // DAY * DAY)
    parts = _moments(date_parts(column, form, first, clock))
    return Dates(column.name, form, first, clock, Numbers(date_names(column.name, clock), *parts, clipped=True))


def date_names(name: str, clock: bool) -> list[str]:
    """The names of a date's parts."""
    return [f"{name}_{part}" for part in (*_DATE_PARTS, *(_CLOCK_PARTS if clock else ()))]


def date_parts(column: pl.Series, form: str, first: int, clock: bool, *, before: int = 0) -> Array:
    """The numbers of each date, shape (6, n_rows) or (8, n_rows), NaN where missing."""
    import polars as pl

    when = moments(column, form)
    wrong = when.is_null() & column.is_not_null()
    if wrong.any():
        row = int(wrong.arg_true()[0])
        where = f"row {before + row + 1}"
        raise TableError(
            f"column {column.name!r} should hold dates like the others, received {column[row]!r} in {where}: "
            "mend it, or pass --missing if it stands for a missing value"
        )
    w = pl.col("w")
    turn = 2.0 * np.pi * (w.dt.ordinal_day() - 1) / 365.25
    micros = w.to_physical().cast(pl.Float64)
    parts = [w.dt.year(), w.dt.month(), w.dt.weekday(), turn.sin(), turn.cos(), (micros - first) / DAY]
    if clock:
        of_day = 2.0 * np.pi * (w.to_physical() % DAY) / DAY
        parts += [of_day.sin(), of_day.cos()]
    frame = pl.DataFrame({"w": when}).select(part.cast(pl.Float64).alias(str(i)) for i, part in enumerate(parts))
    return np.array(frame.fill_null(float("nan")).to_numpy().T)


def _told_apart(names: list[str]) -> list[str]:
    """The names, a number behind those that stood before."""
    taken, result = set(names), []
    seen: set[str] = set()
    for name in names:
        unique, count = name, 2
        while unique in seen or (count > 2 and unique in taken):
            unique, count = f"{name}_{count}", count + 1
        seen.add(unique)
        result.append(unique)
    return result
