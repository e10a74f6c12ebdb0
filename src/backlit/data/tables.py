"""Tables as people have them: text, Parquet, Arrow, JSON lines, Excel, and `.npz`; the same rows give the same table.

Every column comes as Float64 or as String of canonical texts (`values`), with null for what is missing. What the
columns *are* is decided in `columns`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..exceptions import FileMissingError, ShapeError, TableError, missing_extra
from .arrays import read_features
from .assembling import Assembler, Missing
from .delimited import Progress, column_names, read_delimited
from .values import EXACT, MISSING_TEXTS, moment_texts

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MISSING_TEXTS", "SUFFIXES", "canonical_frame", "read_parquet", "read_table", "read_text"]

Read = TypeVar("Read")

TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".dat", ".data")
SUFFIXES: Final = (*TEXT_SUFFIXES, ".parquet", ".feather", ".arrow", ".jsonl", ".ndjson", ".xlsx", ".npz")


def read_table(
    path: str | PathLike[str],
    *,
    header: bool = True,
    missing: Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """A table from a file, by its suffix.

    Parameters
    ----------
    path : path
        Text (.csv, .tsv, .txt), .parquet, .feather or .arrow, .jsonl, .xlsx (with the extra ``excel``), or .npz.
    header : bool
        Whether the first row of a text file or a sheet names the columns; otherwise they are `c0`, `c1`, ….
    missing : iterable of str
        Further texts that stand for a missing value, besides `MISSING_TEXTS`; a number stands for its equals.
    delimiter, decimal : str, optional
        The sign between the fields of a text file and the one in its numbers; found from the file unless given.
    progress : callable, optional
        Called with the share of a text file that has been read.

    Returns
    -------
    polars.DataFrame
        Columns of numbers (Float64) or of canonical texts (String); missing values are null.
        A .npz file gives the columns `c0`, `c1`, … and, where it has it, `y`.

    Raises
    ------
    FileMissingError
        No such file.
    TableError
        Not a table, or a damaged one; the sentence names the line or the column.
    MissingExtraError
        An .xlsx file without fastexcel.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "people.csv")
    >>> _ = path.write_text("age, city\\n39, Oslo\\n?, Bergen\\n")
    >>> read_table(path).to_dicts()
    [{'age': 39.0, 'city': 'Oslo'}, {'age': None, 'city': 'Bergen'}]
    >>> folder.cleanup()
    """
    path = Path(path)
    suffix = _check_file(path)
    if suffix in TEXT_SUFFIXES:
        return read_text(path, header=header, missing=missing, delimiter=delimiter, decimal=decimal, progress=progress)
    if suffix == ".npz":
        return _read_npz(path, missing)
    if suffix == ".xlsx":
        return _read_excel(path, header, missing)
    return read_parquet(path, missing=missing) if suffix == ".parquet" else _read_typed(path, suffix, missing)


def read_text(
    path: str | PathLike[str],
    *,
    header: bool = True,
    missing: Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """A text file of separated fields.

    The file is UTF-8, with or without a byte-order mark. Fields are separated by commas, semicolons, tabs, bars or
    blanks, and numbers have a decimal point or comma: the head of the file tells. Blanks around values and names are
    dropped, and so are blank lines. Values stand in double quotes where needed; single quotes are taken as quotes
    when every text value at the head of the file stands in them. A column without a name gets its number, `c0`, ….

    Parameters, errors and result are those of `read_table`.
    """
    path = Path(path)
    _check_file(path, TEXT_SUFFIXES)
    return read_delimited(path, header=header, missing=missing, delimiter=delimiter, decimal=decimal, progress=progress)


def read_parquet(path: str | PathLike[str], *, missing: Iterable[str] = ()) -> pl.DataFrame:
    """A Parquet file. Lists, structs and other columns that are not one value a row are refused.

    Parameters, errors and result are those of `read_table`.
    """
    path = Path(path)
    _check_file(path, (".parquet",))
    return _read_typed(path, ".parquet", missing)


def _read_typed(path: Path, suffix: str, missing: Iterable[str]) -> pl.DataFrame:
    import polars as pl

    # No globs and no partitions: the path is the name of one file, whatever signs it holds.
    readers: dict[str, tuple[str, Callable[[], pl.DataFrame]]] = {
        ".parquet": ("a Parquet file", lambda: pl.read_parquet(path, glob=False, hive_partitioning=False)),
        ".jsonl": ("a file of JSON lines", lambda: pl.read_ndjson(path, infer_schema_length=None)),
    }
    readers[".ndjson"] = readers[".jsonl"]
    arrow = ("an Arrow file (Feather version 2)", lambda: pl.read_ipc(path.read_bytes()))
    what, read = readers.get(suffix, arrow)
    return _table(path, guarded(path, what, read), missing)


def _read_excel(path: Path, header: bool, missing: Iterable[str]) -> pl.DataFrame:
    """The first sheet of a workbook."""
    try:
        import fastexcel  # noqa: F401
    except ImportError as error:
        raise missing_extra("fastexcel", "excel", "reading .xlsx files") from error
    import polars as pl

    logging.getLogger("fastexcel").addHandler(logging.NullHandler())  # its remarks on types would go to stderr

    def read() -> pl.DataFrame:
        frame = pl.read_excel(path, has_header=header, infer_schema_length=None)
        return frame if header else frame.rename({name: f"c{i}" for i, name in enumerate(frame.columns)})

    return _table(path, guarded(path, "an Excel file", read), missing)


def guarded(path: Path, what: str, read: Callable[[], Read]) -> Read:
    """What a reader of polars gives; whatever it raises, panics too, becomes one sentence."""
    import polars as pl

    try:
        return read()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of polars is none of Exception
        if not isinstance(error, Exception | pl.exceptions.PanicException):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TableError(f"{path} is not {what}, or is damaged ({reason})") from error


def _table(path: Path, frame: pl.DataFrame, missing: Iterable[str]) -> pl.DataFrame:
    if not frame.width or not frame.height:
        raise TableError(f"{path} has no rows: a table needs at least one")
    frame.columns = column_names(frame.columns, path)
    return canonical_frame(frame, missing=missing, where=f"{path}: ")


def canonical_frame(
    frame: pl.DataFrame, *, missing: Iterable[str] = (), where: str = "", first: int = 0
) -> pl.DataFrame:
    """A data frame with its columns as `read_table` gives them; `first` rows of the table stand before it.

    Examples
    --------
    >>> import polars as pl
    >>> canonical_frame(pl.DataFrame({"n": [1, 2], "b": [True, None], "t": ["3.0", "x"]})).to_dicts()
    [{'n': 1.0, 'b': 'true', 't': '3'}, {'n': 2.0, 'b': None, 't': 'x'}]
    """
    import polars as pl

    gone = Missing(missing)
    return pl.DataFrame([_canonical_column(column, gone, where, first) for column in frame.get_columns()])


def _canonical_column(column: pl.Series, missing: Missing, where: str, first: int) -> pl.Series:
    """A typed column as Float64 or String, missing values null."""
    import polars as pl

    kind: Any = column.dtype
    if kind.is_nested() or kind in (pl.Object, pl.Duration):
        raise TableError(
            f"{where}column {column.name!r} holds {kind}, not one number or text a row: leave it out of the file"
        )
    if kind.is_integer():
        # Beyond 2**53 a Float64 would make two values of these into one.
        largest = max(abs(int(column.max() or 0)), abs(int(column.min() or 0)))  # type: ignore[arg-type]
        if largest >= EXACT:
            return missing.of_texts(column.cast(pl.String))
    if kind.is_numeric():
        return missing.of_numbers(column.cast(pl.Float64).fill_nan(None))
    if kind in (pl.Date, pl.Datetime):
        return missing.of_texts(_dates(column, where, first))
    try:
        texts = column.cast(pl.String)
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"{where}column {column.name!r} holds {kind} that is no text: leave it out of the file"
        ) from error
    return _as_in_text(missing.of_texts(texts))


def _dates(column: pl.Series, where: str, first: int) -> pl.Series:
    """Dates and moments as canonical texts; polars would panic at a year that no calendar has."""
    import polars as pl

    kind: Any = column.dtype
    unit = 1 if kind == pl.Date else 86_400 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[kind.time_unit]
    days = column.to_physical().cast(pl.Int64) // unit
    wrong = ((days < -719_162) | (days > 2_932_896)).fill_null(value=False)  # the years 1 to 9999
    if wrong.any():
        row = first + int(wrong.arg_true()[0])
        raise TableError(f"{where}column {column.name!r} holds a date out of all calendars in row {row + 1}: mend it")
    if kind != pl.Date and kind.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return moment_texts(column.cast(pl.Datetime("us")))


def _as_in_text(present: pl.Series) -> pl.Series:
    """A column of texts that are all plain numbers is a column of numbers, as in a text file."""
    if present.null_count() == len(present):
        return present
    assembler = Assembler([present.name], ())
    assembler.add(present.to_frame())
    return assembler.frame().to_series()


def _read_npz(path: str | PathLike[str], missing: Iterable[str]) -> pl.DataFrame:
    """Columns c0, c1, … from X, and y."""
    import numpy as np
    import polars as pl

    X, y = read_features(path)
    columns = [pl.Series(f"c{i}", X[:, i].astype(np.float64)) for i in range(X.shape[1])]
    if y is not None:
        if y.ndim != 1:
            raise ShapeError(f"y in {path} must be one column in a table, received shape {y.shape}")
        if y.dtype.kind in "bU":
            columns.append(pl.Series("y", y.tolist()))
        else:
            columns.append(pl.Series("y", y if y.dtype != np.float16 else y.astype(np.float64)))
    return canonical_frame(pl.DataFrame(columns), missing=missing, where=f"{path}: ")


def _check_file(path: Path, suffixes: Sequence[str] = SUFFIXES) -> str:
    """The suffix, in small letters, of a regular file of a known kind."""
    known = ", ".join(suffixes)
    if path.is_dir():
        raise TableError(f"{path} is a folder, and not one with MNIST's IDX files: pass a file ({known})")
    if not path.exists():
        raise FileMissingError(f"there is no file {path}")
    if not path.is_file():
        raise TableError(f"{path} is a pipe or a device, which can be read only once: write it into a file first")
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise TableError(f"{path} must be a table of a known kind ({known}), received the suffix {suffix!r}")
    return suffix
