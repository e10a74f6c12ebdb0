"""What the columns of a table are: numbers or categories, found by their content.

Rows are counted from 1, the first row of data, in every message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from ..exceptions import ConfigurationError, NonFiniteError, TableError, nearest
from .values import LARGEST, day_format, dressed_numbers, has_codes, number_texts, plain_numbers

if TYPE_CHECKING:
    import polars as pl

#: "empty" is a column without a single value: there is nothing in it to learn from.
Kind = Literal["numeric", "categorical", "date", "empty"]

#: Up to this many distinct values, a column (or a target) of numbers may stand for classes.
FEW_VALUES: Final = 20

_COMMA_NUMBER: Final = r"^[+-]?\d+(,\d+)+(\.\d+)?$"
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def find_kinds(
    frame: pl.DataFrame,
    *,
    numeric: Iterable[str | int] = (),
    categorical: Iterable[str | int] = (),
) -> dict[str, Kind]:
    """The kind of each column, found by its content.

    - *numeric*: every value that is there is a finite decimal number, with a sign of money or percent or its
      thousands apart too, and none is a code with leading zeros such as "02208".
    - *date*: every value is a day, with a time or not, in one of `values.DAY_FORMATS`.
    - *categorical*: text; also mostly numbers with some text between them, when there are at most 20
      distinct values ("0", "1", "2", "3+").
    - *empty*: no value at all. `typed` leaves such columns out.

    Parameters
    ----------
    frame : polars.DataFrame
        As `read_table` gives it, without the target.
    numeric, categorical : iterable of str or int
        Columns whose kind is decided: names, or numbers from 0 (from the end where negative).

    Raises
    ------
    TableError
        Mostly numbers, with text between them and more than 20 distinct values; numbers written with
        commas; text in a column said to be numeric. The sentence names column, row and value.
    NonFiniteError
        An infinity among numbers.
    ConfigurationError
        One column said to be both.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame(
    ...     {"age": ["39", "50", None], "zip": ["02208", "11300", "0"], "sex": ["F", "M", "F"]}
    ... )
    >>> find_kinds(frame)
    {'age': 'numeric', 'zip': 'categorical', 'sex': 'categorical'}
    >>> find_kinds(frame, categorical=["age"], numeric=[1])
    {'age': 'categorical', 'zip': 'numeric', 'sex': 'categorical'}
    """
    said_numeric = {resolve_column(frame.columns, which) for which in numeric}
    said_categorical = {resolve_column(frame.columns, which) for which in categorical}
    for name in sorted(said_numeric & said_categorical):
        raise ConfigurationError(f"column {name!r} is said to be both numeric and categorical: choose one")

    kinds: dict[str, Kind] = {}
    for column in frame.get_columns():
        if column.null_count() == len(column):
            kinds[column.name] = "empty"
        elif column.name in said_categorical:
            kinds[column.name] = "categorical"
        elif column.name in said_numeric:
            require_numbers(column)
            kinds[column.name] = "numeric"
        else:
            kinds[column.name] = found_kind(column, f"--categorical {column.name!r}")
    return kinds


def found_kind(column: pl.Series, override: str) -> Literal["numeric", "categorical", "date"]:
    """The kind of one column that holds at least one value: the rule of `find_kinds`.

    `override` is what to pass on the command line to have categories: errors offer it.
    """
    import polars as pl

    if column.dtype != pl.String:
        require_numbers(column)
        return "numeric"
    numbers = plain_numbers(column)  # null where missing or text, infinite where infinite
    present = len(column) - column.null_count()
    finite = int(numbers.is_finite().sum())
    infinite = int(numbers.is_infinite().sum())
    if finite + infinite == present and finite:
        if has_codes(column):
            return "categorical"
        require_numbers(column)
        return "numeric"
    if day_format(column) is not None:
        return "date"
    if dressed_numbers(column).null_count() == column.null_count() and not has_codes(column):
        return "numeric"
    if finite * 2 > present and column.drop_nulls().n_unique() > FEW_VALUES:
        row = first_row(numbers.is_null() & column.is_not_null())
        raise text_among_numbers(column.name, f"row {row + 1}", column[row], override)
    commas = with_commas(column)
    if int(commas.sum()) * 2 > present:
        row = first_row(commas.fill_null(value=False))
        raise numbers_with_commas(column.name, f"row {row + 1}", column[row], override)
    return "categorical"


def typed(frame: pl.DataFrame, kinds: Mapping[str, Kind], first: int = 0) -> pl.DataFrame:
    """Exactly the columns of `kinds`, in that order, in the type of their kind.

    The columns of `frame` may come in any order, with others between them.

    Parameters
    ----------
    frame : polars.DataFrame
        As `read_table` gives it: the table for training, or a later one.
    kinds : mapping of str to str
        From `find_kinds`, on the table for training. Columns of kind "empty" are left out.
    first : int
        Rows of the table before these: errors count them.

    Returns
    -------
    polars.DataFrame
        Numeric columns Float64, NaN where missing; categorical columns and dates String, null where missing.

    Raises
    ------
    TableError
        Columns that `frame` lacks (all are named), or text where numbers are expected (row and column are).
    NonFiniteError
        An infinity, naming row and column.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"sex": ["F", "M"], "note": ["a", "b"], "age": ["39", None]})
    >>> typed(frame, {"age": "numeric", "sex": "categorical"}).rows()
    [(39.0, 'F'), (nan, 'M')]
    """
    import polars as pl

    wanted = [name for name in kinds if kinds[name] != "empty"]
    there = set(frame.columns)
    lacking = [name for name in wanted if name not in there]
    if lacking:
        plural = "s" if len(lacking) > 1 else ""
        raise TableError(
            f"the table lacks the column{plural} {', '.join(repr(name) for name in lacking)}: "
            f"it has {_listed(frame.columns)}"
        )
    columns = []
    for name in wanted:
        column = frame.get_column(name)
        if kinds[name] == "numeric":
            numbers = require_numbers(column, first)
            columns.append(numbers.fill_null(float("nan")) if numbers.null_count() else numbers)
        else:
            columns.append(as_text(column))
    return pl.DataFrame(columns)


def resolve_column(names: Sequence[str], which: str | int) -> str:
    """The name of a column given by its name, or by its number.

    Parameters
    ----------
    names : sequence of str
        The columns' names.
    which : str or int
        A name, or a number from 0 (-1 is the last column). A column whose name is that very text wins.

    Raises
    ------
    TableError
        No such column, with the names nearest to it.

    Examples
    --------
    >>> resolve_column(["age", "sex", "class"], "-1")
    'class'
    >>> resolve_column(["age", "sex", "class"], "sex")
    'sex'
    """
    text = str(which).strip()
    if text in names:
        return text
    if not names:
        raise TableError(f"there is no column {text!r}: the table has no other column than the target")
    if re.fullmatch(r"[+-]?\d+", text):
        number = int(text)
        if not -len(names) <= number < len(names):
            raise TableError(
                f"there is no column number {number}: the table has {len(names)} columns, "
                f"0 to {len(names) - 1} or -{len(names)} to -1"
            )
        return names[number]
    hint = nearest(text, names)
    if not hint.startswith("did you mean"):
        many = f"the table has {len(names)} columns, {names[0]!r} to {names[-1]!r}"
        hint = looks_like_data(names) or (many if len(names) > 30 else hint)
    raise TableError(f"there is no column {text!r}: {hint}")


def looks_like_data(names: Sequence[str], frame: pl.DataFrame | None = None) -> str | None:
    """A remark, where the row that named the columns looks like data, otherwise None.

    A name that is a number or a missing value is suspicious, and so is, where `frame` is given, one that
    occurs among the values of its own column. Names that just count (0, 1, 2, …) are not.

    Examples
    --------
    >>> looks_like_data(["39", "State-gov", "77516"])
    "the first row looks like data ('39' is no name for a column): pass --no-header if it is"
    >>> looks_like_data(["age", "workclass", "0", "1", "2"]) is None
    True
    """
    suspicious = [name for name in names if _NUMBER.fullmatch(name)]
    if len(suspicious) > 2 and suspicious in ([str(k + first) for k in range(len(suspicious))] for first in (0, 1)):
        suspicious = []
    suspicious += [name for name in names if name in ("?", "NA", "NaN", "nan", "null")]
    if not suspicious and frame is not None:
        import polars as pl

        texts = [c for c in frame.get_columns() if c.dtype == pl.String]
        suspicious = [column.name for column in texts if (column == column.name).any()]
    if not suspicious:
        return None
    name = suspicious[0]
    return f"the first row looks like data ({name!r} is no name for a column): pass --no-header if it is"


def parse_numbers(column: pl.Series) -> pl.Series:
    """The column as Float64: null where missing or not a number, infinite where infinite."""
    import polars as pl

    if column.dtype != pl.String:
        return column.cast(pl.Float64, strict=False).fill_nan(None)
    numbers = plain_numbers(column)
    return numbers if numbers.null_count() == column.null_count() else dressed_numbers(column)


def require_numbers(column: pl.Series, first: int = 0) -> pl.Series:
    """The column as Float64, null where missing; text, infinities and numbers near them are refused, naming the row.

    `first` rows of the table stand before these.
    """
    import polars as pl

    if column.dtype == pl.Float64 and not column.null_count():
        values = column.to_numpy()
        if values.size and -LARGEST < values.min() <= values.max() < LARGEST:  # false where one is NaN
            return column
    numbers = parse_numbers(column)
    # A NaN in a column of floats is a missing value, not text.
    missing = column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()
    text = numbers.is_null() & ~missing
    if text.any():
        row = first_row(text)
        raise TableError(
            f"column {column.name!r} should hold numbers, received {column[row]!r} in row {first + row + 1}: "
            "mend it, or pass --missing if it stands for a missing value"
        )
    _refuse_infinity(column, numbers, first)
    return numbers


def as_text(column: pl.Series) -> pl.Series:
    """The column as String: numbers as one writes them, so that 3.0 is "3"."""
    import polars as pl

    if column.dtype == pl.String:
        return column
    return number_texts(parse_numbers(column)) if column.dtype.is_numeric() else column.cast(pl.String)


def first_row(mask: pl.Series) -> int:
    """The first row, from 0, where the mask is true."""
    return int(mask.arg_true()[0])


def _refuse_infinity(column: pl.Series, numbers: pl.Series, first: int) -> None:
    wrong = (numbers.abs() >= LARGEST).fill_null(value=False)
    if wrong.any():
        row = first_row(wrong)
        what = "an infinity" if numbers[row] in (float("inf"), float("-inf")) else "a number too large to compute with"
        raise NonFiniteError(
            f"column {column.name!r} holds {what} ({column[row]}) in row {first + row + 1}: leave the row out, "
            f"or pass --missing {column[row]} if it stands for a missing value"
        )


def text_among_numbers(name: str, where: str, value: str, override: str) -> TableError:
    """The error of a column of numbers that holds a text; `where` is "row 7"."""
    return TableError(
        f"column {name!r} is mostly numbers, but {where} holds {value!r}: "
        f"pass --missing {value!r} if it stands for a missing value, or {override} if these are categories"
    )


def with_commas(column: pl.Series) -> pl.Series:
    """Which of the texts are numbers written with commas."""
    return column.str.contains(_COMMA_NUMBER)


def numbers_with_commas(name: str, where: str, value: str, override: str) -> TableError:
    """The error of a column of numbers written with commas; `where` is "row 7"."""
    return TableError(
        f"column {name!r} holds numbers written with commas ({value!r} in {where}): "
        f"pass --decimal , if these are decimals, or {override} if these are categories"
    )


def _listed(names: Sequence[str]) -> str:
    if len(names) <= 30:
        return ", ".join(repr(name) for name in names)
    return f"{len(names)} columns, {names[0]!r} to {names[-1]!r}"
