"""The target column: class labels or values, and labels held against the classes a model knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..exceptions import ConfigurationError, LabelError, ShapeError, TableError, nearest
from ..parameters import Array
from .columns import FEW_VALUES, as_text, found_kind, parse_numbers, require_numbers
from .values import EXACT, has_codes

if TYPE_CHECKING:
    import polars as pl

Task = Literal["classification", "regression"]


def target_column(
    frame: pl.DataFrame,
    name: str,
    task: Literal["auto", "classification", "regression"] = "auto",
    *,
    allow_single: bool = False,
) -> tuple[Array, Task, Array, list[str]]:
    """The target of a table.

    With `task` "auto", text is for classification, whole numbers with at most 20 distinct values too,
    and all else for regression.

    Parameters
    ----------
    frame : polars.DataFrame
        As `read_table` gives it.
    name : str
        The column, see `resolve_column`.
    task : {"auto", "classification", "regression"}
        What is to be learned.
    allow_single : bool
        Whether one single value is enough: for evaluating, not for training.

    Returns
    -------
    values : ndarray, shape (n_kept,)
        Values of the rows that are kept: float64 for regression; for classification int64 where every
        label is a whole number ("1" and "1.0" alike), otherwise text. Codes such as "007" are text.
    task : "classification" or "regression"
        What was asked for, or found.
    keep : ndarray of bool, shape (n_rows,)
        False where the target is missing.
    remarks : list of str
        What the user should know: what was decided, how many rows are left out.

    Raises
    ------
    TableError
        No such column, no value in it, or text where numbers are expected.
    LabelError
        One single value: nothing to learn.
    NonFiniteError
        An infinity.

    Examples
    --------
    >>> import polars as pl
    >>> values, task, keep, remarks = target_column(pl.DataFrame({"y": ["1", None, "2.0"]}), "y", "auto")
    >>> values, task, keep
    (array([1, 2]), 'classification', array([ True, False,  True]))
    >>> for remark in remarks:
    ...     print(remark)
    1 of 3 rows has no target ('y') and is left out
    the target 'y' has 2 distinct whole numbers: classification (pass --task regression for regression)
    """
    if task not in ("auto", "classification", "regression"):
        raise ConfigurationError(f"task must be 'auto', 'classification' or 'regression', received {task!r}")
    if name not in frame.columns:
        raise TableError(f"there is no column {name!r}: {nearest(name, frame.columns)}")
    column = frame.get_column(name)
    present = (column.is_not_null() & column.is_not_nan()) if column.dtype.is_float() else column.is_not_null()
    keep = present.to_numpy()  # (n_rows,)
    kept = column.filter(present)
    if not len(kept):
        raise TableError(f"the target {name!r} has no value in any row: choose another column with --target")

    remarks = left_out_remark(name, len(column) - len(kept), len(column))
    found: Task
    if task == "auto":
        found, remark = _found_task(column, kept)
        remarks.append(remark)
    else:
        found = task

    values = require_numbers(column).filter(present).to_numpy() if found == "regression" else labels_of(column, kept)
    if not allow_single and len(np.unique(values)) == 1:
        raise LabelError(
            f"the target {name!r} has the one value {values[0]!s} in all {len(values)} rows: "
            "there is nothing to learn, choose another column with --target"
        )
    return values, found, keep, remarks


def left_out_remark(name: str, left_out: int, rows: int) -> list[str]:
    """What to say of rows that have no target, if there are any."""
    if not left_out:
        return []
    has, stand = ("rows has no target", "is") if left_out == 1 else ("rows have no target", "are")
    return [f"{left_out} of {rows} {has} ({name!r}) and {stand} left out"]


def _found_task(column: pl.Series, kept: pl.Series) -> tuple[Task, str]:
    """The task that the content of the target suggests, and the remark that says so."""
    # `column` and not `kept`: a row named in an error is counted in the whole table.
    if found_kind(column, "--task classification") != "numeric":
        return task_of(column.name, kept.n_unique(), whole=None)
    numbers = require_numbers(kept)
    return task_of(column.name, numbers.n_unique(), whole=bool((numbers == numbers.floor()).all()))


def task_of(name: str, distinct: int, *, whole: bool | None) -> tuple[Task, str]:
    """The task of a target with so many distinct values, and the remark that says so; `whole` is None for text."""
    target = f"the target {name!r}"
    if whole is None:
        return "classification", f"{target} has {_counted(distinct)} of text: classification"
    if whole and distinct <= FEW_VALUES:
        return "classification", (
            f"{target} has {_counted(distinct, 'distinct whole number')}: classification "
            "(pass --task regression for regression)"
        )
    what = "distinct whole number" if whole else "distinct number"
    return "regression", (
        f"{target} has {_counted(distinct, what)}: regression (pass --task classification for classification)"
    )


def _counted(number: int, what: str = "distinct value") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def labels_of(column: pl.Series, kept: pl.Series) -> Array:
    """Class labels: int64 where all are whole numbers, otherwise text as it stands."""
    import polars as pl

    numbers = parse_numbers(kept)
    whole = numbers.is_not_null() & (numbers == numbers.floor()) & (numbers.abs() < EXACT)
    if whole.all() and (kept.dtype != pl.String or not has_codes(kept)):
        return numbers.cast(pl.Int64).to_numpy()
    if kept.dtype.is_float():
        require_numbers(column)  # an infinity is no class
    return np.array(as_text(kept).to_list(), dtype=np.str_)


def match_labels(
    labels: Array | Sequence[Any],
    classes: Array | Sequence[Any],
    *,
    loose: bool = False,
    rows: Array | Sequence[int] | None = None,
) -> Array:
    """Labels as the classes a model knows, in the classes' dtype.

    Numbers and their texts are the same label: "1", 1 and 1.0, where the classes are numbers.

    Parameters
    ----------
    labels : array-like, shape (n,)
        Labels of a table, from `target_column`.
    classes : array-like, shape (n_classes,)
        The known classes.
    loose : bool
        Whether labels that differ from a known one only by case, blanks or a full stop at the end are
        the same.
    rows : array-like of int, shape (n,), optional
        Rows of the table, from 0, that the labels stand in: for the message, where some were left out
        (``np.flatnonzero(keep)``).

    Returns
    -------
    ndarray, shape (n,)
        Each an element of `classes`.

    Raises
    ------
    LabelError
        A label that is none of the classes, naming its row and the class it nearly is.

    Examples
    --------
    >>> match_labels(["<=50K.", ">50K."], ["<=50K", ">50K"], loose=True)
    array(['<=50K', '>50K'], dtype='<U5')
    """
    known = np.asarray(classes)  # (n_classes,)
    given = np.asarray(labels)  # (n,)
    if given.ndim != 1:
        raise ShapeError(f"labels must be one column, received shape {given.shape}")
    numbers = known.dtype.kind in "iuf"
    exact = {_label_text(value, numbers): i for i, value in enumerate(known)}
    near: dict[str, list[int]] = {}
    for i, value in enumerate(known):
        near.setdefault(_loose_text(_label_text(value, numbers)), []).append(i)

    distinct, first, inverse = np.unique(given, return_index=True, return_inverse=True)
    places = np.zeros(len(distinct), dtype=np.int64)
    # In the order of their rows, so that the first row that is wrong is the one named.
    for j in np.argsort(first):
        text = _label_text(distinct[j], numbers)
        alike = near.get(_loose_text(text), [])
        if text in exact:
            places[j] = exact[text]
        elif loose and len(alike) == 1:
            places[j] = alike[0]
        else:
            row = int(first[j]) if rows is None else int(rows[int(first[j])])
            message = f"row {row + 1} has the label {text!r}, which is none of the classes"
            if alike:
                message += f" but differs from {str(known[alike[0]])!r} only by case, blanks or a full stop"
            if len(alike) == 1:
                raise LabelError(f"{message}: pass --loose-labels to take them as the same")
            raise LabelError(f"{message}: {nearest(text, [str(value) for value in known[:20]])}")
    return known[places[inverse]]


def _label_text(label: Any, number: bool) -> str:
    """A label in its canonical text; where classes are numbers, a whole number in its plain form: "1.0" is "1"."""
    text = str(label)
    if text in ("True", "TRUE", "False", "FALSE"):
        return text.lower()  # a class of a model that an earlier version saved
    if not number:
        # The other way round: 1.0 in a Parquet file against a class "1" that was read as text.
        return str(int(label)) if isinstance(label, float | np.floating) and float(label).is_integer() else text
    try:
        value = float(text)
    except ValueError:
        return text
    return str(int(value)) if value.is_integer() else text


def _loose_text(text: str) -> str:
    return "".join(text.split()).rstrip(".").casefold()
