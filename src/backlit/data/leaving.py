"""Columns that name a row instead of telling something about it, and what to say about the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from .columns import Kind, parse_numbers
from .values import day_format, plain_numbers

if TYPE_CHECKING:
    import polars as pl

#: Share of distinct values from which on a text tells one row from all others, and nothing else.
NEARLY_ALL: Final = 0.95
#: Rows below which chance may look like a rule.
FEWEST_TEXTS, FEWEST_NUMBERS = 20, 10
#: Why a column that numbers the rows is left out.
COUNTS_ROWS: Final = "it counts the rows"
_IDENTIFIER: Final = re.compile(
    r"(.*[\s_.\-])?(id|ids|idx|index|nr|no|num|number|row|rowid|rownum|rownumber|key|uuid|guid)|.*[a-z](Id|ID|Idx|Nr|No)",
)
_INDEX: Final = re.compile(r"unnamed: ?0|index|__index_level_0__|rownames|x\.?1?", re.IGNORECASE)


def columns_left_out(frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Why columns are left out of what is learnt from, by name: a count of the rows, or a text that is never the same.

    Parameters
    ----------
    frame : polars.DataFrame
        As `read_table` gives it, without the target.
    kinds : mapping
        The columns to judge, with their kinds.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user_id": [float(i) for i in range(10)], "age": [3.0, 1.0] * 5})
    >>> columns_left_out(frame, {"user_id": "numeric", "age": "numeric"})
    {'user_id': 'it counts the rows'}
    """
    import polars as pl

    found = {}
    named = named_like_counts(frame.columns, kinds)
    for name, kind in kinds.items():
        if kind == "numeric":
            if name in named and _counts(frame.get_column(name)):
                found[name] = COUNTS_ROWS
        elif kind == "categorical":
            column = frame.get_column(name)
            present = len(column) - column.null_count()
            if present >= FEWEST_TEXTS and column.dtype == pl.String:
                distinct = column.n_unique() - (column.null_count() > 0)
                if distinct >= NEARLY_ALL * present:
                    found[name] = never_the_same(distinct, present)
    return found


def never_the_same(distinct: int, present: int) -> str:
    """Why a column is left out that has another text in nearly every row."""
    return f"it is different in nearly every row ({distinct:,} texts in {present:,} rows)"


def named_like_counts(names: Sequence[str], kinds: Mapping[str, Kind]) -> set[str]:
    """Of the columns to judge, those whose names say that they may number the rows; `names` are all of the table."""
    unnamed = not all(re.fullmatch(r"c\d+", name) for name in names)
    found = set()
    for i, name in enumerate(kinds):
        first = i == 0 and name == names[0] and ((name == "c0" and unnamed) or _INDEX.fullmatch(name))
        if first or _IDENTIFIER.fullmatch(name) or _IDENTIFIER.fullmatch(name.lower()):
            found.add(name)
    return found


def _counts(column: pl.Series) -> bool:
    """Whether a column holds whole numbers that only go up, or only down."""
    values = parse_numbers(column).to_numpy()
    if len(values) < FEWEST_NUMBERS or not np.isfinite(values).all() or (values != np.floor(values)).any():
        return False
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all())


def column_remarks(frame: pl.DataFrame, kinds: Mapping[str, Kind], *, said: Collection[str] = ()) -> list[str]:
    """What to say about how columns are read: dates, and numbers in the dress of money or percent.

    Columns in `said` are those whose kind the user has decided.
    """
    import polars as pl

    remarks = []
    for name, kind in kinds.items():
        column = frame.get_column(name)
        if kind == "date":
            form = day_format(column)
            remarks.append(date_remark(name, form[0] if form and form[1] else None))
        elif kind == "numeric" and column.dtype == pl.String and name not in said:
            plain = plain_numbers(column)
            dressed = (plain.is_null() & column.is_not_null()).arg_true()
            if len(dressed):
                row = int(dressed[0])
                remarks.append(dressed_remark(name, column[row], parse_numbers(column)[row]))
    return remarks


def date_remark(name: str, doubtful: str | None) -> str:
    """How a column of dates is read; `doubtful` is its form, where day and month could change places."""
    doubt = f", taken as {_shown(doubtful)} throughout" if doubtful else ""
    return (
        f"the column {name!r} holds dates{doubt}: learnt as year, month, day of the week, day of the year "
        "(sine and cosine) and days since the first"
    )


def dressed_remark(name: str, text: str, value: float) -> str:
    """How a column of numbers in the dress of money or percent is read."""
    return f"the column {name!r} is written like {text!r}: read as numbers, {value:g} there"


def _shown(form: str) -> str:
    return form.replace("%d", "day").replace("%m", "month").replace("%Y", "year")
