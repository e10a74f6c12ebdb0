"""CSV and its relatives: fields separated by signs, one row a line.

Two readers, one result. Polars splits the blocks of a file that are regular: as many separators in every line, quotes
only around whole fields, line ends only between rows. From the first block that is not, the standard library's `csv`
goes on, which takes single quotes, blanks before quotes and line ends inside them, and knows the line that it is at.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, final

from ..exceptions import TableError
from .assembling import WIDE, Assembler
from .blocks import cut
from .sniffing import BLANK, find_decimal, find_delimiter, single_quoted

if TYPE_CHECKING:
    import polars as pl

_HEAD_BYTES: Final = 65_536
# Bytes of a block: polars has then enough rows for all cores, and the texts of a block are some 25 MB.
_BLOCK_BYTES: Final = 4 * 2**20
_FIRST_BYTES: Final = 2**17
# So many blocks may turn out not to be numbers where numbers were expected; then the rest is read as text.
_MISFITS: Final = 8
# Python strings of one chunk: about 60 MB, whatever the width of the table.
_CHUNK_FIELDS: Final = 1_000_000

#: Called with the share of the file that has been read.
Progress = Callable[[float], None]


@final
@dataclass(frozen=True)
class TextForm:
    """What is said about a text file; None is found from its head."""

    header: bool = True
    missing: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None


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
    form = TextForm(header=header, missing=tuple(missing), delimiter=delimiter, decimal=decimal)
    assembler: Assembler | None = None
    for taken, share in _assembled(path, form, fast=fast):
        assembler = taken
        if progress is not None:
            progress(share)
    if assembler is None:
        raise TableError(f"{path} has a header and no rows: if the first row is data, pass --no-header")
    return assembler.frame()


def delimited_blocks(path: Path, form: TextForm) -> Iterator[tuple[pl.DataFrame, float]]:
    """The rows of a text file, some thousand at a time, with the share of the file that has been read.

    Each block has canonical columns by itself: one that holds numbers here may hold texts in another block. What a
    value is does not hang on where blocks end (`assembling.Assembler`).
    """
    read = False
    for assembler, share in _assembled(path, form):
        read = True
        yield assembler.frame(), share
    if not read:
        raise TableError(f"{path} has a header and no rows: if the first row is data, pass --no-header")


def form_of(path: Path, given: TextForm) -> TextForm:
    """The form in which a text file stands, with nothing left to be found: for the other files of the same table."""
    try:
        found = Form(path, read_head(path), given.delimiter, given.decimal, given.header)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    return replace(given, delimiter=found.delimiter, decimal=found.decimal)


def _assembled(path: Path, given: TextForm, *, fast: bool = True) -> Iterator[tuple[Assembler, float]]:
    """The assembler of a text file after each block that it has taken, with the share of the file read."""
    header = given.header
    try:
        head = read_head(path)
        form = Form(path, head, given.delimiter, given.decimal, header)
        rows = _rows(path, form, 0, 0, 0)
        first = next(rows, None)
        if first is None:
            raise TableError(f"{path} is empty: a table needs at least one row")
        names = column_names(first.fields, path) if header else [f"c{i}" for i in range(len(first.fields))]
        assembler = Assembler(names, given.missing, decimal_comma=form.decimal == ",")
        rest = rows if header else itertools.chain([first], rows)
        start = _place_after_header(path, form, first.fields, header=header) if fast else None
        blocks = _in_chunks(rest, names) if start is None else _regular(path, form, assembler, start)
        size = max(1, path.stat().st_size)
        for frame, place in blocks:
            assembler.add(frame)
            yield assembler, min(1.0, place / size)
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error


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


def _place_after_header(path: Path, form: Form, first: list[str], *, header: bool) -> int | None:
    """The byte where the rows begin; None where only the csv module can tell."""
    if form.quote == "'" or form.delimiter == BLANK or len(first) < 2:
        return None
    with path.open("rb") as file:
        place, line = 0, b""
        while not line.removeprefix(b"\xef\xbb\xbf").strip() and form.delimiter.encode() not in line:
            place = file.tell()
            line = file.readline()
        begin = 3 if place == 0 and line.startswith(b"\xef\xbb\xbf") else place
        if cut(line[begin - place :], form.delimiter, len(first)) is None:
            return None
        return file.tell() if header else begin


def _regular(path: Path, form: Form, assembler: Assembler, begin: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """The blocks of a file from a byte on, with the place that has been reached.

    The first block is small and all text: by the second, the assembler knows the columns that hold numbers.
    """
    import polars as pl

    misfits = 0
    with path.open("rb") as file:
        file.seek(begin)
        while block := file.read(_block_bytes(assembler)):
            block += file.readline()
            numbers = assembler.numbers if misfits < _MISFITS else frozenset[int]()
            frame = cut(block, form.delimiter, len(assembler.names), numbers, assembler.missing_texts)
            if frame is None:
                break
            begin = file.tell()
            if frame.height:
                misfits += bool(numbers) and pl.Float64 not in frame.dtypes
                yield frame, begin
        else:
            return
    line = _lines_before(path, begin)
    yield from _in_chunks(_rows(path, form, begin, line, len(assembler.names)), assembler.names)


def _block_bytes(assembler: Assembler) -> int:
    """A wide table comes in fewer blocks, as each costs a little for every column, and its numbers are not foreseen."""
    if len(assembler.names) >= WIDE:
        return 4 * _BLOCK_BYTES
    return _BLOCK_BYTES if assembler.height else _FIRST_BYTES


def _lines_before(path: Path, place: int) -> int:
    lines = 0
    with path.open("rb") as file:
        while piece := file.read(min(_BLOCK_BYTES, place - file.tell())):
            lines += piece.count(b"\n")
    return lines


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
