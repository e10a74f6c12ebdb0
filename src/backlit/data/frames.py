"""Data frames of others as tables of canonical columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import TableError
from .tables import canonical_frame

if TYPE_CHECKING:
    import polars as pl


def as_frame(table: Any) -> pl.DataFrame:
    """A polars or pandas data frame, or an array, as `read_table` would give it.

    Examples
    --------
    >>> as_frame([[1, 2.5], [3, float("nan")]]).to_dicts()
    [{'c0': 1.0, 'c1': 2.5}, {'c0': 3.0, 'c1': None}]
    """
    import polars as pl

    if isinstance(table, pl.DataFrame):
        if all(kind == pl.Float64 for kind in table.dtypes):
            return table
        return canonical_frame(table)
    if hasattr(table, "columns") and hasattr(table, "dtypes"):
        return canonical_frame(pl.DataFrame([_pandas_column(str(name), table[name]) for name in table.columns]))
    values = np.asarray(table)
    if values.ndim != 2:
        raise TableError(f"a table is a data frame or an array of rows and columns, received shape {values.shape}")
    columns = [_pandas_column(f"c{i}", values[:, i]) for i in range(values.shape[1])]
    return canonical_frame(pl.DataFrame(columns))


def _pandas_column(name: str, column: Any) -> pl.Series:
    """A column of pandas or NumPy; in a column of objects, what is neither None nor NaN becomes text."""
    import polars as pl

    values = np.asarray(column)
    if values.dtype.kind in "biufM":
        return pl.Series(name, values)
    objects = [None if value is None or value != value else value for value in _objects(column)]
    if all(value is None or isinstance(value, bool | np.bool_) for value in objects):
        return pl.Series(name, objects, dtype=pl.Boolean)
    return pl.Series(name, [None if value is None else str(value) for value in objects], dtype=pl.String)


def _objects(column: Any) -> list[Any]:
    listed = column.astype(object).where(column.notna(), None) if hasattr(column, "notna") else column
    return list(listed)
