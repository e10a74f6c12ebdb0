"""The files of a table, block by block: each block as `read_table` would have read these rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ...exceptions import DataError, TableError
from ..delimited import TextForm, column_names, delimited_blocks, form_of
from ..model import Reading
from ..tables import TEXT_SUFFIXES, canonical_frame, guarded
from .matrices import matrix_blocks
from .places import Part

if TYPE_CHECKING:
    import polars as pl

_NUMBERS: Final = 2**22  # of a block of Parquet: some 32 MB


@final
@dataclass(frozen=True)
class Block:
    """Rows of one file.

    Attributes
    ----------
    frame : polars.DataFrame
        Canonical columns, in the order of the first file.
    part : Part
    first : int
        Rows of the file before these.
    share : float
        Of all bytes of the stream, those that have been read.
    """

    frame: pl.DataFrame
    part: Part
    first: int
    share: float

    @contextmanager
    def named(self) -> Iterator[None]:
        """A context whose errors about data name the file of these rows."""
        try:
            yield
        except DataError as error:
            raise type(error)(f"{self.part.path}: {error}") from error


def form_for(reading: Reading, *, header: bool | None = None) -> TextForm:
    """What a model, or the options, say about text files."""
    known = reading.header if header is None else header
    return TextForm(known, reading.missing, reading.delimiter, reading.decimal)


def table_blocks(parts: Sequence[Part], form: TextForm, names: Sequence[str] | None = None) -> Iterator[Block]:
    """All rows, file after file.

    Parameters
    ----------
    parts : sequence of Part
    form : TextForm
        How text files are read; what it leaves open is found from the first one, for all.
    names : sequence of str, optional
        What every file has to have, in any order; the columns of the first one unless given.

    Raises
    ------
    TableError
        A damaged file, one without rows, one with other columns than the first, or one that has changed meanwhile.
    FileMissingError
        A file that has gone.
    """
    if parts[0].suffix in TEXT_SUFFIXES:
        parts[0].check_unchanged()
        form = form_of(parts[0].path, form)
    total, before = max(1, sum(part.size for part in parts)), 0
    columns = None if names is None else list(names)
    for part in parts:
        part.check_unchanged()
        row = 0
        for frame, share in _blocks_of(part, form):
            if row == 0:
                part.check_unchanged()
            if columns is None:
                columns = frame.columns
            elif frame.columns != columns:
                if row == 0:
                    _check_columns(part, frame.columns, parts[0], columns)
                frame = frame.select(columns)
            yield Block(frame, part, row, (before + share * part.size) / total)
            row += frame.height
        part.check_unchanged()
        before += part.size


def _check_columns(part: Part, found: Sequence[str], first: Part, columns: Sequence[str]) -> None:
    lacking = [name for name in columns if name not in found]
    more = [name for name in found if name not in columns]
    if not lacking and not more:
        return
    said = [f"it lacks {_few(lacking)}"] if lacking else []
    said += [f"it has {_few(more)} besides"] if more else []
    raise TableError(f"{part.path} has other columns than {first.path}: {' and '.join(said)}; mend it, or leave it out")


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _blocks_of(part: Part, form: TextForm) -> Iterator[tuple[pl.DataFrame, float]]:
    if part.suffix in TEXT_SUFFIXES:
        return delimited_blocks(part.path, form)
    if part.suffix == ".parquet":
        return _parquet_blocks(part, form.missing)
    return matrix_blocks(part.path, form.missing)


def _parquet_blocks(part: Part, missing: Sequence[str]) -> Iterator[tuple[pl.DataFrame, float]]:
    """A Parquet file, some rows at a time: polars reads the pages that a slice needs, whatever the row groups are."""
    import polars as pl

    path = part.path

    def scan() -> pl.LazyFrame:
        # one file by its name, whatever signs that holds
        return pl.scan_parquet(path, glob=False, hive_partitioning=False)

    what = "a Parquet file"
    rows = guarded(path, what, lambda: int(scan().select(pl.len()).collect().item()))
    names = column_names(guarded(path, what, lambda: scan().collect_schema().names()), path)
    if not rows or not names:
        raise TableError(f"{path} has no rows: a table needs at least one")
    some = max(1, _NUMBERS // len(names))
    for start in range(0, rows, some):
        part.check_unchanged()
        frame = guarded(path, what, scan().slice(start, some).collect)
        if frame.height != min(some, rows - start):
            raise TableError(f"{path} is damaged: it has fewer rows than it says")
        frame.columns = names
        yield canonical_frame(frame, missing=missing, where=f"{path}: ", first=start), min(1.0, (start + some) / rows)
