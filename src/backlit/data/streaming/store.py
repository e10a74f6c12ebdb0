"""Prepared rows on disk, in blocks of a fixed number of rows, in a file that nobody else sees.

    block       numbers (rows, columns), then categories (rows, columns) as bytes, then targets (rows,)
    category    the number of its column among those of its category, from 1; 0 where it has none

The file has no name where the system allows it, and is gone when the process is, however that ends.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
import zlib
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ...exceptions import OutputError
from ...parameters import Array

#: Bytes of prepared rows that are in memory together, and mixed with each other, unless said.
WINDOW_BYTES: Final = 2**26
#: Blocks of a window.
WINDOW_BLOCKS: Final = 64


@final
@dataclass(frozen=True)
class Layout:
    """What a row is made of.

    Attributes
    ----------
    numbers : int
        Columns of numbers, of type `dtype`.
    dtype : dtype
    categories : tuple of int
        Of each category, its columns in the matrix.
    outputs : int
        Numbers that a target becomes.
    target : dtype
        int32 for the number of a class, float64 for a value.
    """

    numbers: int
    dtype: np.dtype[Any]
    categories: tuple[int, ...]
    outputs: int
    target: np.dtype[Any]

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return self.numbers + sum(self.categories)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on disk."""
        return self.numbers * self.dtype.itemsize + len(self.categories) + self.target.itemsize

    def block_rows(self, window_bytes: int = WINDOW_BYTES) -> int:
        """Rows of a block, a power of two: `WINDOW_BLOCKS` of them fill a window in memory."""
        row = self.width * self.dtype.itemsize + 4 * self.outputs + 8
        rows = max(1, window_bytes // WINDOW_BLOCKS // row)
        return int(2 ** int(np.log2(rows)))


@final
class Store:
    """Rows of a layout on disk: appended one after the other, then read block by block.

    Parameters
    ----------
    layout : Layout
    block : int
        Rows of a block.
    folder : str
        Where the file lies.

    Examples
    --------
    >>> layout = Layout(1, np.dtype("float32"), (2,), 1, np.dtype("float64"))
    >>> store = Store(layout, 2, tempfile.gettempdir())
    >>> store.append(np.float32([[5], [6], [7]]), np.uint8([[1], [0], [2]]), np.array([0.5, 1.5, 2.5]))
    >>> store.finish()
    >>> X, y = np.empty((2, 3), np.float32), np.empty(2)
    >>> store.read(1, X, y), X[:1], y[:1]
    (1, array([[7., 0., 1.]], dtype=float32), array([2.5]))
    """

    def __init__(self, layout: Layout, block: int, folder: str) -> None:
        self.layout = layout
        self.block = block
        self.rows = 0
        self.fingerprint = 0
        self._folder = folder
        self._lock = threading.Lock()
        self._held = 0
        self._parts: tuple[Array, Array, Array] = (
            np.empty((block, layout.numbers), layout.dtype),
            np.empty((block, len(layout.categories)), np.uint8),
            np.empty(block, layout.target),
        )
        try:
            self._file = tempfile.TemporaryFile(prefix=".backlit-", dir=folder)  # noqa: SIM115 - it lasts as the store does
        except OSError as error:
            raise self._unwritten(error) from error
        weakref.finalize(self, self._file.close)

    def append(self, numbers: Array, categories: Array, target: Array) -> None:
        """Take rows: their numbers, categories and targets."""
        start = 0
        while start < len(target):
            some = min(len(target) - start, self.block - self._held)
            for part, rows in zip(self._parts, (numbers, categories, target), strict=True):
                part[self._held : self._held + some] = rows[start : start + some]
            self._held += some
            start += some
            if self._held == self.block:
                self._write()

    def finish(self) -> None:
        """Write what is left; nothing comes after it."""
        if self._held:
            self._write()
        try:
            self._file.flush()
        except OSError as error:
            raise self._unwritten(error) from error
        self._parts = (np.empty(0), np.empty(0), np.empty(0))

    def _write(self) -> None:
        try:
            for part in self._parts:
                piece = np.ascontiguousarray(part[: self._held]).reshape(-1).view(np.uint8)
                self.fingerprint = zlib.crc32(piece.data, self.fingerprint)
                self._file.write(piece.data)
        except OSError as error:
            raise self._unwritten(error) from error
        self.rows += self._held
        self._held = 0

    def _unwritten(self, error: OSError) -> OutputError:
        return OutputError(
            f"prepared rows cannot be written into {self._folder!r}: {error.strerror or error}; "
            "make room, or name another folder (--scratch)"
        )

    def read(self, block: int, X: Array, y: Array) -> int:
        """Fill the first rows of X, shape (rows, width), and y with a block; returns how many they are."""
        layout = self.layout
        rows = min(self.block, self.rows - block * self.block)
        raw = np.empty(rows * layout.row_bytes, np.uint8)
        with self._lock:
            self._file.seek(block * self.block * layout.row_bytes)
            got = self._file.readinto(raw.data)
        if got != raw.size:
            raise OutputError(f"prepared rows cannot be read back from {self._folder!r}: the file has been cut short")
        end = rows * layout.numbers * layout.dtype.itemsize
        stop = end + rows * len(layout.categories)
        X[:rows, : layout.numbers] = raw[:end].view(layout.dtype).reshape(rows, layout.numbers)
        unfold(raw[end:stop].reshape(rows, -1) if layout.categories else None, layout, X[:rows])
        y[:rows] = raw[stop:].view(layout.target)
        return rows


def unfold(codes: Array | None, layout: Layout, X: Array) -> None:
    """Write the columns of the categories into the matrix: a one where the category is, zeros elsewhere."""
    if codes is None:
        return
    X[:, layout.numbers :] = 0.0
    place = layout.numbers
    for j, width in enumerate(layout.categories):
        there = np.flatnonzero(codes[:, j])
        X[there, place + codes[there, j].astype(np.int64) - 1] = 1.0
        place += width


def check_room(folder: str, needed: int) -> None:
    """Refuse to begin where the disk has no room for so many bytes of prepared rows."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(f"prepared rows cannot be written into {folder!r}: {error.strerror}") from error
    if free < needed:
        raise OutputError(
            f"the prepared rows take {needed / 1e9:,.1f} GB, and {folder!r} has {free / 1e9:,.1f} GB free: "
            "make room, or name another folder (--scratch)"
        )
