"""CSV and its relatives: fields separated by signs, one row a line.

Two readers, one result. Polars splits the blocks of a file that are regular: as many separators in every line, quotes
only around whole fields, line ends only between rows. From the first block that is not, the standard library's `csv`
goes on, which takes single quotes, blanks before quotes and line ends inside them, and knows the line that it is at.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from ..exceptions import TableError
from .assembling import WIDE, Assembler
from .sniffing import BLANK, find_decimal, find_delimiter, single_quoted

if TYPE_CHECKING:
    import polars as pl

_HEAD_BYTES: Final = 65_536
# Bytes of a block: polars has then enough rows for all cores, and the texts of a block are some 50 MB.
_BLOCK_BYTES: Final = 8 * 2**20
# Python strings of one chunk: about 60 MB, whatever the width of the table.
_CHUNK_FIELDS: Final = 1_000_000

#: Called with the share of the file that has been read.
Progress = Callable[[float], None]


@final
class Form:
    """How a text file is cut: separator, quotes, decimal sign, and the names of its columns."""

    def __init__(self, path: Path, head: list[str], delimiter: str | None, decimal: str | None, header: bool) -> None:
        self.delimiter = delimiter or find_delimiter(head, tabs=path.suffix.lower() == ".tsv")
        self.quote = "'" if single_quoted(head, self.delimiter, header) else '"'
        self.decimal = decimal or find_decimal(head, self.delimiter) or "."


def read_delimited(
    path: Path,
    *,
    header: bool,
    missing: Iterable[str],
    delimiter: str | None = None,
    decimal: str | None = None,
    progress: Progress | None = None,
    fast: bool = True,
) -> pl.DataFrame:
    """A text file as a table of canonical columns; `fast=False` leaves all of it to the csv module."""
    try:
        head = read_head(path)
        form = Form(path, head, delimiter, decimal, header)
        rows = _rows(path, form, 0, 0, 0)
        first = next(rows, None)
        if first is None:
            raise TableError(f"{path} is empty: a table needs at least one row")
        names = column_names(first.fields, path) if header else [f"c{i}" for i in range(len(first.fields))]
        assembler = Assembler(names, missing, decimal_comma=form.decimal == ",")
        rest = rows if header else itertools.chain([first], rows)
        start = _place_after_header(path, form, first.fields, header=header) if fast else None
        blocks = _in_chunks(rest, names) if start is None else _regular(path, form, names, *start)
        size = max(1, path.stat().st_size)
        for frame, place in blocks:
            assembler.add(frame)
            if progress is not None:
                progress(min(1.0, place / size))
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    if not assembler.height:
        raise TableError(f"{path} has a header and no rows: if the first row is data, pass --no-header")
    return assembler.frame()


def read_head(path: Path) -> list[str]:
    """The first whole lines of a text file that are not blank."""
    with path.open("rb") as file:
        raw = file.read(_HEAD_BYTES)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError(f"{path} is UTF-16 text: save it as UTF-8")
    if b"\0" in raw or raw.startswith((b"\x89PNG", b"\xff\xd8\xff", b"%PDF", b"\x1f\x8b", b"PK\x03\x04")):
        raise TableError(f"{path} is not a text file, whatever its name says: save the table as CSV in UTF-8")
    lines = raw.decode("utf-8-sig", errors="replace").splitlines()
    if len(raw) == _HEAD_BYTES and len(lines) > 1:
        del lines[-1]  # cut short
    return [line for line in lines if line.strip()]


def column_names(first: Sequence[str], path: Path) -> list[str]:
    """Names without the blanks around them; a column without a name gets its number."""
    names = [name.strip() or f"c{i}" for i, name in enumerate(first)]
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if name in seen:
            raise TableError(
                f"{path} has two columns named {name!r}, numbers {seen[name]} and {i} from 0: "
                "name them apart, or pass --no-header if the first row is data"
            )
        seen[name] = i
    return names


# ── regular blocks, by polars ────────────────────────────────────────────────────────────────────────────────


def _place_after_header(path: Path, form: Form, first: list[str], *, header: bool) -> tuple[int, int] | None:
    """Where the rows begin, as byte and line from 0; None where only the csv module can tell."""
    if form.quote == "'" or form.delimiter == BLANK or len(first) < 2:
        return None
    with path.open("rb") as file:
        place, number, line = 0, 0, b""
        while not line.removeprefix(b"\xef\xbb\xbf").strip():
            place, number = file.tell(), number + 1
            line = file.readline()
        begin = 3 if place == 0 and line.startswith(b"\xef\xbb\xbf") else place
        if _cut(line[begin - place :], form, len(first)) is None:
            return None
        return (file.tell(), number) if header else (begin, number - 1)


def _regular(path: Path, form: Form, names: list[str], begin: int, line: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """The blocks of a file from a byte on, with the place that has been reached."""
    with path.open("rb") as file:
        file.seek(begin)
        while block := file.read(_BLOCK_BYTES):
            block += file.readline()
            frame = _cut(block, form, len(names))
            if frame is None:
                break
            line += block.count(b"\n")
            begin = file.tell()
            if frame.height:
                yield frame, begin
        else:
            return
    yield from _in_chunks(_rows(path, form, begin, line, len(names)), names)


def _cut(block: bytes, form: Form, width: int) -> pl.DataFrame | None:
    """Whole lines as columns of text; None where they are not regular."""
    import polars as pl

    sign = form.delimiter.encode()
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b"\0" in block or b"\r" in block:
        return None
    if block.startswith(b"\n") or b"\n\n" in block:
        block = re.sub(rb"\n{2,}", b"\n", block).lstrip(b"\n")  # blank lines
    bare = block
    quoted = b'"' in block
    if quoted:
        s = re.escape(sign)
        bare = re.sub(rb"(?:(?<=" + s + rb')|^)"(?:[^"\n]|"")*"(?=' + s + rb"|\n|\Z)", b"", block, flags=re.MULTILINE)
        if b'"' in bare:
            return None
    rows = block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
    if bare.count(sign) != rows * (width - 1):
        return None
    columns = {f"c{i}": pl.String for i in range(width)}
    if not rows:
        return pl.DataFrame(schema=columns)
    try:
        frame = pl.read_csv(
            block, has_header=False, schema=columns, separator=form.delimiter, quote_char='"' if quoted else None
        )
    except pl.exceptions.PolarsError:
        return None  # a ragged row, or bytes that are no UTF-8: the csv module says where
    if frame.height != rows:
        return None
    limit = csv.field_size_limit()  # the csv module refuses longer fields
    return None if len(block) > limit and _longest(frame) > limit else frame


def _longest(frame: pl.DataFrame) -> int:
    """Bytes of the longest text in a frame."""
    import polars as pl

    if frame.width >= WIDE:
        longest: Any = pl.concat(frame.get_columns()).str.len_bytes().max()
    else:
        longest = max(value or 0 for value in frame.select(pl.all().str.len_bytes().max()).row(0))
    return int(longest or 0)


# ── all others, by the csv module ────────────────────────────────────────────────────────────────────────────


class Row(NamedTuple):
    fields: list[str]
    place: int  # bytes of the file that have been read by then, or a little more


@final
class _Lines:
    """The lines of a file, refusing bytes that are no text, and remembering that the end was reached."""

    def __init__(self, path: Path, file: Iterable[str], line: int, *, blanks: bool) -> None:
        self._path = path
        self._lines = enumerate(file, start=line + 1)
        self._blanks = blanks
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if "\0" in line:
                raise TableError(
                    f"{self._path} is not a text file: line {number} holds a NUL byte; save it as CSV in UTF-8"
                )
            return line.strip() if self._blanks else line
        self.ended = True
        raise StopIteration


def _rows(path: Path, form: Form, begin: int, line: int, width: int) -> Iterator[Row]:
    """The rows from a byte and line on that are not blank, all of one width (0: that of the first)."""
    with path.open("rb") as raw:
        raw.seek(begin)
        # utf-8-sig drops a byte-order mark; newline="" leaves the line ends to the csv module.
        text = io.TextIOWrapper(raw, encoding="utf-8" if begin else "utf-8-sig", newline="")
        lines = _Lines(path, text, line, blanks=form.delimiter == BLANK)
        reader = csv.reader(lines, delimiter=form.delimiter, quotechar=form.quote, skipinitialspace=True)
        before = 0  # lines read before this row: a quoted value may hold line ends
        try:
            for row in reader:
                if lines.ended:
                    # The csv module takes a further line only inside a quoted value: this one was never closed.
                    raise TableError(
                        f"{path} ends inside a quoted value: the quote ({form.quote}) opened on line "
                        f"{line + before + 1} or after is never closed: close it"
                    )
                if len(row) < 2 and not "".join(row).strip():
                    before = reader.line_num  # a blank line
                    continue
                width = width or len(row)
                if len(row) != width:
                    where = f"line {line + before + 1}"
                    if reader.line_num > before + 1:
                        where = f"the row on lines {line + before + 1} to {line + reader.line_num}"
                    fields = f"{len(row)} field" + ("s" if len(row) != 1 else "")
                    raise TableError(
                        f"{path}: {where} has {fields} where the first row has {width}: "
                        f"mend it, or check its separators ({form.delimiter!r}) and quotes ({form.quote})"
                    )
                before = reader.line_num
                yield Row(row, raw.tell())
        except csv.Error as error:
            raise TableError(f"{path}: line {line + reader.line_num} cannot be split into fields ({error})") from error


def _in_chunks(rows: Iterable[Row], names: list[str]) -> Iterator[tuple[pl.DataFrame, int]]:
    """Rows of text as columns of text, some at a time."""
    height = max(1, _CHUNK_FIELDS // len(names))
    rows = iter(rows)
    while chunk := list(itertools.islice(rows, height)):
        yield _to_frame([row.fields for row in chunk], names), chunk[-1].place


def _to_frame(rows: list[list[str]], names: list[str]) -> pl.DataFrame:
    import polars as pl

    columns = zip(*rows, strict=True)
    return pl.DataFrame([pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=True)])
