"""Arrays in files, some rows at a time: `.npy`, `.npz` and IDX, plain or packed."""

from __future__ import annotations

import gzip
import math
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, final

import numpy as np

from ...exceptions import FileMissingError, ShapeError, TableError
from ...parameters import Array
from ..arrays import check_finite
from ..images import GZIP_MAGIC, read_idx_header
from ..tables import canonical_frame

if TYPE_CHECKING:
    import polars as pl

_PIECE_BYTES: Final = 2**24
_BROKEN: Final = (ValueError, OSError, EOFError, KeyError, SyntaxError, RuntimeError, zlib.error, zipfile.BadZipFile)


@final
class Matrix:
    """Rows of an array in a file: all one after the other; or from any place on, where the file is not packed.

    Attributes
    ----------
    path : Path
    name : str
        What errors call it: "X in a.npz".
    rows : int
    columns : tuple of int
        Sides of a row.
    dtype : dtype
    packed : bool
        Whether the rows can only be read from the first on.
    """

    def __init__(self, path: Path, name: str, file: IO[bytes], about: tuple[Any, ...], *, packed: bool) -> None:
        shape, self.dtype = about
        self.path, self.name, self.packed = path, name, packed
        self.rows, self.columns = int(shape[0]), tuple(int(side) for side in shape[1:])
        self._file, self._lock = file, threading.Lock()
        self._begin = file.tell()
        weakref.finalize(self, file.close)

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return math.prod(self.columns)

    def at(self, start: int, stop: int) -> Array:
        """The rows from `start` to `stop`, shape (rows, width)."""
        with self._lock:
            self._file.seek(self._begin + start * self.width * self.dtype.itemsize)
            return self._next(stop - start)

    def pieces(self, bytes_at_once: int = _PIECE_BYTES) -> Iterator[Array]:
        """All rows, some at a time."""
        some = max(1, bytes_at_once // max(1, self.width * self.dtype.itemsize))
        self._file.seek(self._begin)
        for start in range(0, self.rows, some):
            yield self._next(min(some, self.rows - start))

    def _next(self, rows: int) -> Array:
        raw = bytearray(rows * self.width * self.dtype.itemsize)
        held = 0
        try:
            while held < len(raw):
                count = self._file.readinto(memoryview(raw)[held:])  # type: ignore[attr-defined]
                if not count:
                    raise TableError(f"{self.name} is cut short: it has fewer than the {self.rows:,} rows it says")
                held += count
        except TableError:
            raise
        except _BROKEN as error:
            raise _damaged(self.path, error) from error
        found = np.frombuffer(raw, self.dtype).reshape(rows, self.width)
        return found if self.dtype.isnative else found.astype(self.dtype.newbyteorder("="))

    def close(self) -> None:
        self._file.close()


def _damaged(path: Path, error: Exception) -> TableError:
    reason = str(error).strip().partition("\n")[0]
    return TableError(f"{path} is damaged, or not what its name says ({reason}): save it again")


def open_npy(path: Path, name: str | None = None) -> Matrix:
    """The array of a `.npy` file."""
    return _opened(path, name or str(path), _raw(path), packed=False)


def open_npz(path: Path, name: str) -> Matrix | None:
    """An array of a `.npz` file; None where it lacks it. What is stored without packing is read from any place."""
    shown = f"{name} in {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                return None
            info = archive.getinfo(f"{name}.npy")
    except FileNotFoundError as error:
        raise FileMissingError(f"there is no file {path}") from error
    except _BROKEN as error:
        raise TableError(f"{path} is not a .npz file, or is damaged ({error}): save it again") from error
    if info.compress_type != zipfile.ZIP_STORED:
        try:
            return _opened(path, shown, zipfile.ZipFile(path).open(info), packed=True)
        except _BROKEN as error:
            raise _damaged(path, error) from error
    file = _raw(path)
    file.seek(info.header_offset + 26)
    lengths = np.frombuffer(file.read(4), "<u2")  # of the name and of what is said besides
    file.seek(info.header_offset + 30 + int(lengths.sum()))
    return _opened(path, shown, file, packed=False)


def _raw(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileMissingError(f"there is no file {path}") from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error


def _opened(path: Path, name: str, file: Any, *, packed: bool) -> Matrix:
    """An array behind NumPy's header, which is checked."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
    except _BROKEN as error:
        file.close()
        raise _damaged(path, error) from error
    found = Matrix(path, name, file, (shape or (0,), dtype), packed=packed)
    if dtype.hasobject:
        raise TableError(f"{name} is an array of Python objects, which only pickle could read: save numbers or text")
    if by_columns and len(shape) > 1:
        raise TableError(
            f"{name} stands column by column in its file (Fortran's order), and a stream reads rows: save "
            "numpy.ascontiguousarray of it"
        )
    if not shape or 0 in shape:
        raise ShapeError(f"{name} must hold at least one row and one column, received shape {shape}")
    return found


def open_idx(path: Path) -> Matrix:
    """The array of an IDX file, plain or gzipped."""
    file: Any = _raw(path)
    packed = file.read(2) == GZIP_MAGIC
    file.seek(0)
    if packed:
        file.close()
        file = gzip.open(path)  # noqa: SIM115 - closed by the matrix
    try:
        shape, dtype = read_idx_header(file, path)
    except _BROKEN as error:
        file.close()
        if isinstance(error, TableError):
            raise
        raise _damaged(path, error) from error
    if 0 in shape:
        file.close()
        raise TableError(f"{path} holds nothing: its header says {shape}")
    return Matrix(path, str(path), file, (shape, dtype), packed=packed)


def matrix_blocks(path: Path, missing: Sequence[str]) -> Iterator[tuple[pl.DataFrame, float]]:
    """An array as a table: columns c0, c1, … of X, and y where a `.npz` file has it."""
    import polars as pl

    X = open_npy(path) if path.suffix.lower() == ".npy" else open_npz(path, "X")
    if X is None:
        raise TableError(f"{path} lacks the array 'X': save it with numpy.savez(path, X=X, y=y)")
    y = None if path.suffix.lower() == ".npy" else open_npz(path, "y")
    check_matrix(X, y)
    some = max(1, _PIECE_BYTES // (8 * X.width))
    rows_of_y = iter(()) if y is None else y.pieces(some * y.width * y.dtype.itemsize)
    row = 0
    for piece in X.pieces(some * X.width * X.dtype.itemsize):
        check_finite(piece, "X", path, row)
        columns = [pl.Series(f"c{i}", piece[:, i].astype(np.float64)) for i in range(X.width)]
        if y is not None:
            values = next(rows_of_y)[:, 0]
            check_finite(values, "y", path, row)
            texts = values.dtype.kind in "bU"
            columns.append(pl.Series("y", values.tolist() if texts else values.astype(np.float64)))
        row += len(piece)
        frame = canonical_frame(pl.DataFrame(columns), missing=missing, where=f"{path}: ", first=row - len(piece))
        yield frame, row / X.rows
    for matrix in (X, y):
        if matrix is not None:
            matrix.close()


def check_matrix(X: Matrix, y: Matrix | None) -> None:
    """Refuse rows that are no numbers, and targets that do not fit them."""
    if X.dtype.kind not in "buif":
        raise TableError(f"{X.name} must hold numbers, received dtype {X.dtype}")
    if len(X.columns) not in (1, 2):
        raise ShapeError(f"{X.name} must be (rows, columns) or images (n, h, w), received {len(X.columns) + 1} sides")
    if y is None:
        return
    if y.width != 1:
        raise ShapeError(f"{y.name} must be one label or value a row, received {y.width} columns")
    if y.rows != X.rows:
        raise ShapeError(f"{X.name} and {y.name} must have as many rows, received {X.rows:,} and {y.rows:,}")
    if y.dtype.kind not in "buifU":
        raise TableError(f"{y.name} must hold numbers or text, received dtype {y.dtype}")
