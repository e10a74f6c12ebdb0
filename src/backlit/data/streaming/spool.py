"""A table that is gone through more than once: text is cut into columns the first time, and kept as columns."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Final, final

from ...exceptions import OutputError
from ..delimited import TextForm
from ..tables import TEXT_SUFFIXES
from .places import Part
from .reading import Block, table_blocks
from .windows import ahead

_ROOM: Final = 4.0  # times the size of the files that have to be free before a copy is made


@final
class Spool:
    """All rows of a table, block by block, as often as asked.

    Cutting text takes longer than anything else that is done to it. Where the disk has room for it, the columns of text
    files are kept in a file without a name: some 8 bytes for a number. The blocks are the same with it and without.

    Parameters
    ----------
    parts : sequence of Part
    form : TextForm
    folder : str
        Where the copy lies.
    """

    def __init__(self, parts: Sequence[Part], form: TextForm, folder: str) -> None:
        self.parts, self.form = parts, form
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._kept: list[tuple[Block, int, int]] = []  # blocks without their rows; where these lie, and how long
        self._whole = False

    def blocks(self) -> Iterator[Block]:
        """The rows from the first on, the next block made by a thread while one is at work."""
        return ahead(self._read_back() if self._whole else self._read())

    def close(self) -> None:
        """Let go of the copy."""
        if self._file is not None:
            self._file.close()
        self._file, self._kept, self._whole = None, [], False

    def _read(self) -> Iterator[Block]:
        self.close()
        self._file = self._copy()
        for block in table_blocks(self.parts, self.form):
            if self._file is not None:
                self._keep(block, self._file)
            yield block
        self._whole = self._file is not None

    def _copy(self) -> IO[bytes] | None:
        size = sum(part.size for part in self.parts)
        try:
            if self.parts[0].suffix not in TEXT_SUFFIXES or shutil.disk_usage(self._folder).free < _ROOM * size:
                return None
            file = tempfile.TemporaryFile(prefix=".backlit-", dir=self._folder)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._unwritten(error) from error
        weakref.finalize(self, file.close)
        return file

    def _keep(self, block: Block, file: IO[bytes]) -> None:
        written = io.BytesIO()
        block.frame.write_ipc(written, compression="uncompressed")
        try:
            start = file.tell()
            file.write(written.getbuffer())
        except OSError as error:
            raise self._unwritten(error) from error
        self._kept.append((dataclasses.replace(block, frame=block.frame.clear()), start, written.tell()))

    def _unwritten(self, error: OSError) -> OutputError:
        return OutputError(
            f"the columns of the text cannot be kept in {self._folder!r}: {error.strerror or error}; "
            "make room, or name another folder (--scratch)"
        )

    def _read_back(self) -> Iterator[Block]:
        import polars as pl

        if self._file is None:
            return
        for block, start, length in self._kept:
            self._file.seek(start)
            yield dataclasses.replace(block, frame=pl.read_ipc(self._file.read(length)))
