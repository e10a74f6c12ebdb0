"""Columns that name a row instead of telling something about it, and what to say about the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from .columns import Kind, parse_numbers
from .values import day_format, plain_numbers

if TYPE_CHECKING:
    import polars as pl

#: Share of distinct values from which on a text tells one row from all others, and nothing else.
NEARLY_ALL: Final = 0.95
_FEWEST_TEXTS, _FEWEST_NUMBERS = 20, 10  # rows below which chance may look like a rule
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
    unnamed = not all(re.fullmatch(r"c\d+", name) for name in frame.columns)
    for i, (name, kind) in enumerate(kinds.items()):
        if kind == "numeric":
            first = i == 0 and name == frame.columns[0] and ((name == "c0" and unnamed) or _INDEX.fullmatch(name))
            named = _IDENTIFIER.fullmatch(name) or _IDENTIFIER.fullmatch(name.lower())
            if (first or named) and _counts(frame.get_column(name)):
                found[name] = "it counts the rows"
        elif kind == "categorical":
            column = frame.get_column(name)
            present = len(column) - column.null_count()
            if present >= _FEWEST_TEXTS and column.dtype == pl.String:
                distinct = column.n_unique() - (column.null_count() > 0)
                if distinct >= NEARLY_ALL * present:
                    found[name] = f"it is different in nearly every row ({distinct:,} texts in {present:,} rows)"
    return found


def _counts(column: pl.Series) -> bool:
    """Whether a column holds whole numbers that only go up, or only down."""
    values = parse_numbers(column).to_numpy()
    if len(values) < _FEWEST_NUMBERS or not np.isfinite(values).all() or (values != np.floor(values)).any():
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
            doubt = f", taken as {_shown(form[0])} throughout" if form and form[1] else ""
            remarks.append(
                f"the column {name!r} holds dates{doubt}: learnt as year, month, day of the week, day of the year "
                "(sine and cosine) and days since the first"
            )
        elif kind == "numeric" and column.dtype == pl.String and name not in said:
            plain = plain_numbers(column)
            dressed = (plain.is_null() & column.is_not_null()).arg_true()
            if len(dressed):
                row = int(dressed[0])
                value = parse_numbers(column)[row]
                remarks.append(f"the column {name!r} is written like {column[row]!r}: read as numbers, {value:g} there")
    return remarks


def _shown(form: str) -> str:
    return form.replace("%d", "day").replace("%m", "month").replace("%Y", "year")
