"""Arrays as rows to train on, read in place: `.npz`, `.npy` and IDX files, of which images are made."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np

from ...exceptions import ConfigurationError, FileMissingError, LabelError, TableError
from ...parameters import Array
from ..arrays import check_finite
from ..images import find_idx
from .holding import HELD, TRAIN, HeldOut
from .matrices import Matrix, check_matrix, open_idx, open_npy, open_npz
from .places import Part, part_of
from .source import Targets
from .store import Layout, Store, check_room
from .stream import Stream

_PIECE_BYTES: Final = 2**23
#: Kinds of numbers that are kept as they are; others become the first that holds them.
_AS_THEY_ARE: Final = tuple(np.dtype(name) for name in ("uint8", "float32", "float64"))

Which = Literal["train", "t10k"]


@final
class ArrayRows:
    """Some rows of an array, read in place, with their targets: blocks as a `Store` has them.

    Parameters
    ----------
    part : Part
        The file, which has to stay as it is.
    X : Matrix
    layout : Layout
    block : int
    numbers : ndarray
        Of the rows, in ascending order.
    y : ndarray
        Their targets.
    fingerprint : int
    """

    def __init__(
        self, part: Part, X: Matrix, layout: Layout, block: int, numbers: Array, y: Array, fingerprint: int
    ) -> None:
        self.layout, self.block, self.fingerprint = layout, block, fingerprint
        self.rows = len(numbers)
        self._part, self._X, self._numbers, self._y = part, X, numbers, y

    def read(self, block: int, X: Array, y: Array) -> int:
        """Fill the first rows of X, shape (rows, width), and y with a block; returns how many they are."""
        self._part.check_unchanged()
        chosen = slice(block * self.block, (block + 1) * self.block)
        numbers = self._numbers[chosen].astype(np.int64)
        first, last = int(numbers[0]), int(numbers[-1])
        raw = self._X.at(first, last + 1)
        X[: len(numbers)] = raw if len(raw) == len(numbers) else raw[numbers - first]
        y[: len(numbers)] = self._y[chosen]
        return len(numbers)


def open_arrays(
    path: str | PathLike[str], y: str | PathLike[str] | None = None, which: Which = "train"
) -> tuple[Matrix, Matrix | None]:
    """X and y in files: a `.npz` with both, a `.npy` or IDX file for each, or a folder with MNIST's files."""
    place = Path(path)
    if place.is_dir():
        found = [find_idx(place, f"{which}-{kind}") for kind in ("images{}idx3-ubyte", "labels{}idx1-ubyte")]
        if found[0] is None or found[1] is None:
            raise FileMissingError(
                f"{str(place)!r} lacks MNIST's {which} images or labels: name target= if its files are tables"
            )
        return open_idx(found[0]), open_idx(found[1])
    suffix = place.suffix.lower()
    if suffix == ".npz":
        X = open_npz(place, "X")
        if X is None:
            raise TableError(f"{path} lacks the array 'X': save it with numpy.savez(path, X=X, y=y)")
        return X, open_npz(place, "y") if y is None else _one(Path(y))
    return _one(place), None if y is None else _one(Path(y))


def _one(path: Path) -> Matrix:
    return open_npy(path) if path.suffix.lower() == ".npy" else open_idx(path)


def is_array(path: str | PathLike[str]) -> bool:
    """Whether a file is `.npz`, `.npy` or IDX, by its name or its first bytes."""
    place = Path(path)
    if place.suffix.lower() in (".npz", ".npy"):
        return True
    if not place.is_file():
        return False
    with place.open("rb") as file:
        head = file.read(3)
    return head[:2] in (b"\x1f\x8b", b"\0\0")


def stream_arrays(
    path: str | PathLike[str],
    y: str | PathLike[str] | None = None,
    *,
    which: Which = "train",
    task: Literal["auto", "classification", "regression"] = "auto",
    labels: Array | None = None,
    held: HeldOut | None = None,
    window: int,
    folder: str,
) -> Stream:
    """The rows of an array as they are, those held out apart.

    One pass over X looks at every number. Rows that are held out, and all rows of a file that is packed, are copied to
    disk; the others are read from their own file.

    Raises
    ------
    TableError, ShapeError, NonFiniteError, LabelError, FileMissingError, OutputError
    """
    X, target = open_arrays(path, y, which)
    if target is None:
        raise TableError(f"{path} has no targets: give y, or save it with numpy.savez(path, X=X, y=y)")
    check_matrix(X, target)
    part = part_of(X.path)
    values = np.concatenate([piece[:, 0] for piece in target.pieces()])
    target.close()
    check_finite(values, "y", path)
    codes, targets = _targets(values, task, labels, str(target.name))
    held = held or HeldOut(0.0, 0)
    purpose = held.purpose(0, X.rows)
    outputs = 1 if targets.labels is None else len(targets.labels)
    layout = Layout(X.width, _kept_type(X.dtype), (), outputs, codes.dtype)
    size = layout.block_rows(window)
    copied = [HELD, TRAIN] if X.packed else [HELD]
    check_room(folder, int(np.isin(purpose, copied).sum()) * layout.row_bytes)
    stores = {what: Store(layout, size, folder) for what in copied}
    fingerprint, row = zlib.crc32(np.ascontiguousarray(codes).view(np.uint8).data), 0
    for piece in X.pieces(_PIECE_BYTES):
        check_finite(piece, "X", path, row)
        fingerprint = zlib.crc32(np.ascontiguousarray(piece).view(np.uint8).data, fingerprint)
        rows = slice(row, row + len(piece))
        for what, store in stores.items():
            chosen = purpose[rows] == what
            store.append(piece[chosen], np.empty((int(chosen.sum()), 0), np.uint8), codes[rows][chosen])
        row += len(piece)
    part.check_unchanged()
    for store in stores.values():
        store.finish()
    apart = Stream(stores[HELD], targets) if stores[HELD].rows else None
    if X.packed:
        X.close()
        return Stream(stores[TRAIN], targets, held=apart)
    numbers = np.flatnonzero(purpose == TRAIN).astype(np.uint32 if X.rows < 2**32 else np.int64)
    return Stream(ArrayRows(part, X, layout, size, numbers, codes[numbers], fingerprint), targets, held=apart)


def _kept_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    native = dtype.newbyteorder("=")
    if native in _AS_THEY_ARE:
        return native
    return np.dtype("float32") if native.itemsize <= 2 else np.dtype("float64")


def _targets(values: Array, task: str, labels: Array | None, name: str) -> tuple[Array, Targets]:
    """Targets as they are stored, and what they are."""
    if task == "regression" or (task == "auto" and values.dtype.kind == "f" and labels is None):
        if values.dtype.kind not in "buif":
            raise TableError(f"{name} holds text, which is no value: pass task='classification'")
        y = values.astype(np.float64)
        return y, Targets(None, low=float(y.min()), high=float(y.max()))
    found, codes = np.unique(values, return_inverse=True)
    if labels is not None:
        unknown = ~np.isin(found, labels)
        if unknown.any():
            first = int(np.argmax(np.isin(values, found[unknown])))
            raise LabelError(f"{name} has the label {values[first]!s} in row {first + 1}, which is none of the classes")
        codes = np.searchsorted(labels, values)
        found = labels
    elif len(found) < 2:
        raise LabelError(f"{name} has only one label, {found[0]!s}: at least two are needed")
    return codes.astype(np.int32), Targets(found, named=True)


def image_pieces(file: str, inputs: int, name: str) -> Iterator[tuple[Array, Array | None]]:
    """Rows of a later file for a network, some at a time, with their labels where there are any.

    Of a folder with MNIST's files, the t10k pair.
    """
    X, y = open_arrays(file, which="t10k")
    check_matrix(X, y)
    if X.width != inputs:
        raise ConfigurationError(f"{name!r} takes {inputs} numbers a row, but {file!r} has {X.width}")
    some = max(1, _PIECE_BYTES // (X.width * X.dtype.itemsize))
    labels = iter(()) if y is None else y.pieces(some * y.dtype.itemsize)
    row = 0
    for piece in X.pieces(some * X.width * X.dtype.itemsize):
        check_finite(piece, "X", file, row)
        row += len(piece)
        yield piece, None if y is None else next(labels)[:, 0]
    for matrix in (X, y):
        if matrix is not None:
            matrix.close()
