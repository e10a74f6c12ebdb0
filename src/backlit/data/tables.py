"""Tables as people have them: CSV, TSV, Parquet and `.npz`.

A text file is split by the standard library's `csv` module, which knows the line it is at, and goes to polars
in chunks: columns of text with nulls for missing values. What the columns *are* is decided in `columns`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from ..exceptions import FileMissingError, ShapeError, TableError
from .arrays import read_features

if TYPE_CHECKING:
    import polars as pl

#: Texts that stand for a missing value. `NA` only in capitals, as R writes it: "Na" may be sodium.
#: `NaN` and `null` in the three ways that programs write them.
MISSING_TEXTS: Final = ("", "NA", "NaN", "nan", "NAN", "null", "NULL", "Null", "?")

SUFFIXES: Final = (".csv", ".tsv", ".parquet", ".npz")

_HEAD_BYTES: Final = 65_536
# Python strings of one chunk: about 60 MB, whatever the width of the table.
_CHUNK_FIELDS: Final = 1_000_000
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_table(path: str | PathLike[str], *, header: bool = True, missing: Iterable[str] = ()) -> pl.DataFrame:
    """A table from a file, by its suffix: .csv, .tsv, .parquet or .npz.

    Parameters
    ----------
    path : path
        The file.
    header : bool
        Whether the first row of a text file names the columns; otherwise they are `c0`, `c1`, ….
    missing : iterable of str
        Further texts that stand for a missing value, besides `MISSING_TEXTS`.

    Returns
    -------
    polars.DataFrame
        Columns of text (String) or of numbers (Float64); missing values are null.
        A .npz file gives the columns `c0`, `c1`, … and, where it has it, `y`.

    Raises
    ------
    FileMissingError
        No such file.
    TableError
        Not a table, or a damaged one; the sentence names the line or the column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "people.csv")
    >>> _ = path.write_text("age, city\\n39, Oslo\\n?, Bergen\\n")
    >>> read_table(path).to_dicts()
    [{'age': '39', 'city': 'Oslo'}, {'age': None, 'city': 'Bergen'}]
    >>> folder.cleanup()
    """
    suffix = _check_file(Path(path))
    if suffix == ".parquet":
        return read_parquet(path, missing=missing)
    if suffix == ".npz":
        return _read_npz(path, missing)
    return read_text(path, header=header, missing=missing)


def read_text(path: str | PathLike[str], *, header: bool = True, missing: Iterable[str] = ()) -> pl.DataFrame:
    """A CSV or TSV file as columns of text, with nulls for missing values.

    The file is UTF-8, with or without a byte-order mark. A .csv file whose first line has no comma is
    separated by its semicolons or tabs. Blanks around values and names are dropped, and so are blank
    lines. Values stand in double quotes where needed; single quotes are taken as quotes when every text
    value at the head of the file stands in them. A column without a name gets its number, `c0`, `c1`, ….

    Parameters, errors and result are those of `read_table`.
    """
    import polars as pl

    path = Path(path)
    _check_file(path, (".csv", ".tsv"))
    head = _read_head(path)
    delimiter = _delimiter(path, head)
    quote = "'" if _single_quoted(head, delimiter, header) else '"'

    chunks: list[pl.DataFrame] = []
    gone = [*MISSING_TEXTS, *(text.strip() for text in missing)]
    try:
        # utf-8-sig drops a byte-order mark; newline="" leaves the line ends to the csv module.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _rows(path, file, delimiter, quote)
            first = next(rows, None)
            if first is None:
                raise TableError(f"{path} is empty: a table needs at least one row")
            width = len(first)
            names = _column_names(first, path) if header else [f"c{i}" for i in range(width)]
            height = max(1, _CHUNK_FIELDS // width)
            chunk = [] if header else [first]
            for row in rows:
                chunk.append(row)
                if len(chunk) == height:
                    chunks.append(_to_frame(chunk, names, gone))
                    chunk = []
            if chunk:
                chunks.append(_to_frame(chunk, names, gone))
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    if not chunks:
        raise TableError(f"{path} has a header and no rows: if the first row is data, pass --no-header")
    return pl.concat(chunks)


def read_parquet(path: str | PathLike[str], *, missing: Iterable[str] = ()) -> pl.DataFrame:
    """A Parquet file as columns of numbers (Float64) and of text (String), with nulls for missing values.

    Integers, floats and decimals become Float64 (NaN is missing too), booleans "true" and "false",
    categories and dates text. Lists, structs and other columns that are not one value a row are refused.
    A text in `missing` that is a number, "-999" say, is missing in columns of numbers as well.
    """
    import polars as pl

    path = Path(path)
    _check_file(path, (".parquet",))
    try:
        # No globs and no partitions: the path is the name of one file, whatever signs it holds.
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise TableError(f"{path} is not a Parquet file, or is damaged ({reason})") from error
    if not frame.width or not frame.height:
        raise TableError(f"{path} has no rows: a table needs at least one")

    names = _column_names(frame.columns, path)
    texts = [text.strip() for text in missing]
    columns = [_plain_column(column, texts, path) for column in frame.get_columns()]
    return pl.DataFrame([column.alias(name) for column, name in zip(columns, names, strict=True)])


def _read_npz(path: str | PathLike[str], missing: Iterable[str]) -> pl.DataFrame:
    """Columns c0, c1, … from X, and y."""
    import numpy as np
    import polars as pl

    X, y = read_features(path)
    columns = [pl.Series(f"c{i}", X[:, i].astype(np.float64)) for i in range(X.shape[1])]
    if y is not None:
        if y.ndim != 1:
            raise ShapeError(f"y in {path} must be one column in a table, received shape {y.shape}")
        columns.append(pl.Series("y", y.tolist() if y.dtype.kind in "bU" else y.astype(np.float64)))
    texts = [text.strip() for text in missing]
    return pl.DataFrame([_plain_column(column, texts, path) for column in columns])


def _check_file(path: Path, suffixes: Sequence[str] = SUFFIXES) -> str:
    """The suffix, in small letters, of a file that is there and is of a known kind."""
    known = ", ".join(suffixes)
    if path.is_dir():
        raise TableError(f"{path} is a folder, and not one with MNIST's IDX files: pass a file ({known})")
    if not path.exists():
        raise FileMissingError(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise TableError(f"{path} must be a table of a known kind ({known}), received the suffix {suffix!r}")
    return suffix


# ---------------------------------------------------------------------------------------------------
# Text files
# ---------------------------------------------------------------------------------------------------


@final
class _Lines:
    """The lines of a file, refusing bytes that are no text, and remembering that the end was reached."""

    def __init__(self, path: Path, file: Iterable[str]) -> None:
        self._path = path
        self._lines = enumerate(file, start=1)
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if "\0" in line:
                raise TableError(
                    f"{self._path} is not a text file: line {number} holds a NUL byte; save it as CSV in UTF-8"
                )
            return line
        self.ended = True
        raise StopIteration


def _rows(path: Path, file: Iterable[str], delimiter: str, quote: str) -> Iterator[list[str]]:
    """The rows that are not blank, all of one width."""
    lines = _Lines(path, file)
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    width = 0
    before = 0  # lines read before this row: a quoted value may hold line ends
    try:
        for row in reader:
            if lines.ended:
                # The csv module takes a further line only inside a quoted value: this one was never closed.
                raise TableError(
                    f"{path} ends inside a quoted value: the quote ({quote}) opened on line {before + 1} "
                    "or after is never closed: close it"
                )
            if len(row) < 2 and not "".join(row).strip():
                before = reader.line_num  # a blank line
                continue
            width = width or len(row)
            if len(row) != width:
                where = f"line {before + 1}"
                if reader.line_num > before + 1:
                    where = f"the row on lines {before + 1} to {reader.line_num}"
                fields = f"{len(row)} field" + ("s" if len(row) != 1 else "")
                raise TableError(
                    f"{path}: {where} has {fields} where the first row has {width}: "
                    f"mend it, or check its separators ({delimiter!r}) and quotes ({quote})"
                )
            before = reader.line_num
            yield row
    except csv.Error as error:
        raise TableError(f"{path}: line {reader.line_num} cannot be split into fields ({error})") from error


def _to_frame(rows: list[list[str]], names: list[str], missing: list[str]) -> pl.DataFrame:
    """Rows of text as columns of text: blanks dropped, missing values null."""
    import polars as pl

    columns = zip(*rows, strict=True)
    frame = pl.DataFrame(
        [pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=True)]
    )
    stripped = pl.all().str.strip_chars()
    return frame.select(pl.when(stripped.is_in(missing)).then(None).otherwise(stripped).name.keep())


def _column_names(first: list[str], path: Path) -> list[str]:
    """Names without the blanks around them; a column without a name gets its number."""
    names = [name.strip() or f"c{i}" for i, name in enumerate(first)]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise TableError(
                f"{path} has two columns named {name!r}, numbers {names.index(name)} and {i} from 0: "
                "name them apart, or pass --no-header if the first row is data"
            )
    return names


def _read_head(path: Path) -> list[str]:
    """The first whole lines of a text file that are not blank."""
    try:
        with path.open("rb") as file:
            raw = file.read(_HEAD_BYTES)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError(f"{path} is UTF-16 text: save it as UTF-8")
    if b"\0" in raw or raw.startswith((b"\x89PNG", b"\xff\xd8\xff", b"%PDF", b"\x1f\x8b", b"PK\x03\x04")):
        raise TableError(f"{path} is not a text file, whatever its name says: save the table as CSV in UTF-8")
    lines = raw.decode("utf-8-sig", errors="replace").splitlines()
    if len(raw) == _HEAD_BYTES and len(lines) > 1:
        del lines[-1]  # cut short
    return [line for line in lines if line.strip()]


def _delimiter(path: Path, head: list[str]) -> str:
    """The sign between fields: a comma in .csv files, unless their first line has none but others."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = head[0] if head else ""
    if "," in first or not (";" in first or "\t" in first):
        return ","
    return ";" if first.count(";") >= first.count("\t") else "\t"


def _single_quoted(head: list[str], delimiter: str, header: bool) -> bool:
    """Whether every text value at the head of the file stands in single quotes."""
    # A header may go without quotes above values that have them.
    lines = head[1:] if header and len(head) > 1 else head
    sign = re.escape(delimiter)
    field = re.compile(rf"[ ]*(?:'((?:[^']|'')*)'[ ]*(?={sign}|$)|([^{sign}]*))(?:{sign}|$)")
    seen = False
    for line in lines:
        place = 0
        while place < len(line):
            match = field.match(line, place)
            if match is None:
                return False
            quoted, bare = match.group(1), (match.group(2) or "").strip()
            if quoted is not None:
                seen = True
            elif bare not in MISSING_TEXTS and _NUMBER.fullmatch(bare) is None:
                return False
            place = match.end()
    return seen


# ---------------------------------------------------------------------------------------------------
# Typed files
# ---------------------------------------------------------------------------------------------------


def _plain_column(column: pl.Series, missing: list[str], path: str | PathLike[str]) -> pl.Series:
    """A typed column as Float64 or String, missing values null."""
    import polars as pl

    kind: Any = column.dtype
    if kind.is_nested() or kind in (pl.Object, pl.Duration):
        raise TableError(
            f"{path}: column {column.name!r} holds {kind}, not one number or text a row: leave it out of the file"
        )
    if kind.is_numeric():
        numbers = column.cast(pl.Float64).fill_nan(None)
        values = [float(text) for text in missing if _NUMBER.fullmatch(text)]
        return numbers.set(numbers.is_in(values), None) if values else numbers
    if kind == pl.Boolean:
        return column.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    try:
        texts = column.cast(pl.String).str.strip_chars()
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"{path}: column {column.name!r} holds {kind} that is no text: leave it out of the file"
        ) from error
    return texts.set(texts.is_in([*MISSING_TEXTS, *missing]), None)
