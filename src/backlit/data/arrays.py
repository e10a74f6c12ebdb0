"""NumPy's `.npz` files with the arrays `X` and `y`."""

from __future__ import annotations

import zipfile
import zlib
from os import PathLike
from pathlib import Path

import numpy as np

from ..exceptions import FileMissingError, NonFiniteError, ShapeError, TableError
from ..parameters import Array


def read_arrays(path: str | PathLike[str]) -> tuple[Array, Array]:
    """The arrays `X` and `y` of a `.npz` file, checked.

    Parameters
    ----------
    path : path
        A file written by ``numpy.savez`` or ``numpy.savez_compressed``.

    Returns
    -------
    X : ndarray, shape (n_samples, n_features)
        In the dtype of the file, so that images stay uint8. Images (n, h, w) are flattened to (n, h·w).
    y : ndarray, shape (n_samples,) or (n_samples, n_outputs)
        Labels or target values; one column (n, 1) comes back as (n,).

    Raises
    ------
    FileMissingError
        No such file.
    TableError
        A damaged file, no `X` or `y` in it, or an array of Python objects (which only pickle could read).
    ShapeError
        `X` that is not rows and columns, or another number of rows in `y`.
    NonFiniteError
        NaN or infinity, naming row (from 1) and column (`c0`, `c1`, …).

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.savez(folder.name + "/t.npz", X=np.zeros((5, 2, 3), np.uint8), y=np.arange(5))
    >>> X, y = read_arrays(folder.name + "/t.npz")
    >>> X.shape, X.dtype, y.shape
    ((5, 6), dtype('uint8'), (5,))
    >>> folder.cleanup()
    """
    X, y = read_features(path)
    if y is None:
        raise TableError(f"{path} lacks the array 'y': it needs one label or target value a row of X")
    return X, y


def read_features(path: str | PathLike[str]) -> tuple[Array, Array | None]:
    """As `read_arrays`, for a file that may lack `y` (rows to predict): y is then None."""
    held = _load(Path(path))
    if "X" not in held:
        there = ", ".join(repr(name) for name in held) or "no arrays"
        raise TableError(f"{path} lacks the array 'X': it holds {there}; save it with numpy.savez(path, X=X, y=y)")

    X = held["X"]  # (n_samples, n_features) or (n_samples, height, width)
    if X.ndim not in (2, 3):
        raise ShapeError(f"X in {path} must be (rows, columns) or images (n, h, w), received shape {X.shape}")
    if 0 in X.shape:
        raise ShapeError(f"X in {path} must hold at least one row and one column, received shape {X.shape}")
    X = X.reshape(len(X), -1)
    if X.dtype.kind not in "buif":
        raise TableError(f"X in {path} must hold numbers, received dtype {X.dtype}")
    check_finite(X, "X", path)
    if "y" not in held:
        return X, None

    y = held["y"]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]  # (n_samples,)
    if y.ndim not in (1, 2):
        raise ShapeError(f"y in {path} must be one value or one row a sample, received shape {y.shape}")
    if len(y) != len(X):
        raise ShapeError(f"X and y in {path} must have as many rows, received {len(X)} and {len(y)}")
    if y.dtype.kind not in "buifU":
        raise TableError(f"y in {path} must hold numbers or text, received dtype {y.dtype}")
    check_finite(y, "y", path)
    return X, y


def _load(path: Path) -> dict[str, Array]:
    """The arrays by name. Only X and y are read; the others may be large, or need pickle, and stay empty."""
    if not path.exists():
        raise FileMissingError(f"there is no file {path}")
    name = "X"
    try:
        # Opened here, and so closed here: numpy.load leaves a damaged file open.
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise TableError(f"{path} holds one array without a name: save it with numpy.savez(path, X=X, y=y)")
            held: dict[str, Array] = {}
            for name in file.files:
                held[name] = file[name] if name in ("X", "y") else np.empty(0)
            return held
    except TableError:
        raise
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        SyntaxError,
        MemoryError,
        OverflowError,
        RuntimeError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        if "Object arrays" in str(error):
            raise TableError(
                f"{name} in {path} is an array of Python objects, which only pickle could read: "
                "save it as an array of numbers or of text (dtype str)"
            ) from error
        reason = str(error).strip().partition("\n")[0]
        raise TableError(f"{path} is not a .npz file, or is damaged ({reason}): save it again") from error


def check_finite(values: Array, name: str, path: str | PathLike[str], first: int = 0) -> None:
    """Refuse NaN and infinity, naming row (from 1) and column; `first` rows of the file stand before these."""
    if values.dtype.kind != "f":
        return
    bad = ~np.isfinite(values)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        column = f", column c{place[1]}" if len(place) == 2 else ""
        raise NonFiniteError(
            f"{name} in {path} holds {values[place]} in row {first + place[0] + 1}{column}: "
            "leave the row out, or fill the value in"
        )
