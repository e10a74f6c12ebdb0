"""Which columns of a table are learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ..exceptions import ConfigurationError
from .columns import Kind, find_kinds, resolve_column
from .leaving import column_remarks, columns_left_out

if TYPE_CHECKING:
    import polars as pl

#: Why a column without a single value is left out.
EMPTY: Final = "every value in it is missing"
#: Distinct values of a column that are counted where its rows come in pieces.
MOST_VALUES: Final = 2**18
#: Why a column with more of them is left out.
TOO_MANY: Final = f"it has more than {MOST_VALUES:,} distinct texts, more than a stream counts"


def choose_columns(
    features: pl.DataFrame,
    *,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> tuple[dict[str, Kind], dict[str, str], list[str]]:
    """The columns that are learnt from, with their kinds; those left out, with why; and remarks on the former.

    Parameters
    ----------
    features : polars.DataFrame
        As `read_table` gives it, without the target.
    numeric, categorical, keep, drop : sequence of str
        Columns, see `resolve_column`, whose kind is decided, or that are used or left out whatever they look like.

    Raises
    ------
    ConfigurationError
        A column that is to be dropped and to be used.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"id": [float(i) for i in range(12)], "age": [3.0, 1.0] * 6})
    >>> choose_columns(table)
    ({'age': 'numeric'}, {'id': 'it counts the rows'}, [])
    """
    names = features.columns
    numbers, groups, kept, dropped = (
        [resolve_column(names, column) for column in given] for given in (numeric, categorical, keep, drop)
    )
    for column in dropped:
        if column in (*numbers, *groups, *kept):
            raise ConfigurationError(f"column {column!r} is to be dropped and to be used: choose one")
    kinds = find_kinds(features.drop(dropped), numeric=numbers, categorical=groups)
    left_out = {name: EMPTY for name, kind in kinds.items() if kind == "empty"}
    said = {*numbers, *groups, *kept}
    left_out |= columns_left_out(features, {c: k for c, k in kinds.items() if k != "empty" and c not in said})
    used = {name: kind for name, kind in kinds.items() if name not in left_out}
    return used, left_out, list(column_remarks(features, used, said=said)) if used else []
