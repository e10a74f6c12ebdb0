"""MNIST's files: the IDX format, plain or gzipped.

Format: two zero bytes, one byte for the type, one for the number of dimensions, each dimension as a
big-endian 32-bit number, then the values, row by row.
Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits",
http://yann.lecun.com/exdb/mnist/ ("The IDX file format").
"""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, final

import numpy as np

from ..exceptions import FileMissingError, TableError
from ..parameters import Array

_DTYPES: Final = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC: Final = b"\x1f\x8b"
# Deflate makes its input at most 1032 times smaller: a header that claims more than that is damaged.
_MOST_DEFLATED: Final = 1032
_STEMS: Final = {
    "training images": "train-images{}idx3-ubyte",
    "training labels": "train-labels{}idx1-ubyte",
    "test images": "t10k-images{}idx3-ubyte",
    "test labels": "t10k-labels{}idx1-ubyte",
}


@final
@dataclass(frozen=True, eq=False)
class ImageFolder:
    """Images and labels of a folder with MNIST's four files.

    Attributes
    ----------
    X_train, X_test : ndarray of uint8, shape (n_images, height·width)
        Pixels, 0 (background) to 255. They stay uint8: a batch is made floating-point when it is needed.
    y_train, y_test : ndarray of int64, shape (n_images,)
        Labels.
    shape : tuple of int
        (height, width) of an image.
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    shape: tuple[int, int]


def read_idx(path: str | PathLike[str]) -> Array:
    """The array of an IDX file, plain or gzipped (told by its content, not its name).

    Returns
    -------
    ndarray
        In the shape and type the file states, in native byte order.

    Raises
    ------
    FileMissingError
        No such file.
    TableError
        Not an IDX file, cut short, longer than its header says, or otherwise damaged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "labels.idx1-ubyte")
    >>> _ = path.write_bytes(b"\\0\\0\\x08\\x01" + b"\\0\\0\\0\\x03" + b"\\x05\\0\\x04")
    >>> read_idx(path)
    array([5, 0, 4], dtype=uint8)
    >>> folder.cleanup()
    """
    path = Path(path)
    if not path.exists():
        raise FileMissingError(f"there is no file {path}")
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            zipped = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if not zipped:
                return _read(raw, path, size)
            with gzip.GzipFile(fileobj=raw) as file:
                return _read(file, path, _MOST_DEFLATED * size)
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{path} is damaged or cut short ({error}): fetch it again") from error


def read_idx_header(file: io.BufferedIOBase, path: Path) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """The shape and the type of numbers (in the file's order of bytes) that an IDX file says, and no more is read."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise TableError(
            f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}, not with 00 00, a "
            "type and a number of dimensions"
        )
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise TableError(f"{path} is cut short in its header: fetch it again")
    return tuple(int(n) for n in np.frombuffer(header, ">u4")), np.dtype(_DTYPES[magic[2]])


def _read(file: io.BufferedIOBase, path: Path, at_most: int) -> Array:
    """One IDX array from an open file that holds no more than `at_most` bytes."""
    shape, dtype = read_idx_header(file, path)
    expected = math.prod(shape) * dtype.itemsize
    if expected > at_most:
        raise TableError(
            f"{path} is cut short: its header says {_dimensions(shape)} values, more than the file can hold: "
            "fetch it again"
        )

    # Straight into the array: the images are in memory once, not twice.
    buffer = np.empty(expected, np.uint8)
    view, held = buffer.data, 0
    while held < expected:
        count = file.readinto(view[held : held + (1 << 20)])
        if not count:
            raise TableError(
                f"{path} is cut short: its header says {_dimensions(shape)} values, "
                f"{expected} bytes, received {held}: fetch it again"
            )
        held += count
    # Reading on to the end is also what makes gzip compare its checksum.
    if file.read(1):
        raise TableError(f"{path} is longer than the {_dimensions(shape)} values its header says: fetch it again")
    values = buffer.view(dtype).reshape(shape)
    if not dtype.isnative:
        return values.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return values


def read_image_folder(path: str | PathLike[str]) -> ImageFolder:
    """Training and test images from a folder with MNIST's four files.

    They are named `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, with a full stop in place of the hyphen before `idx` where one likes, and
    `.gz` behind or not. Fashion-MNIST and others come as the same four files.

    Raises
    ------
    FileMissingError
        No such folder, or files that it lacks (all are named).
    TableError
        A damaged file, or images and labels that do not fit each other.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileMissingError(f"there is no folder {folder}")
    places = {what: find_idx(folder, stem) for what, stem in _STEMS.items()}
    lacking = [stem.format("-") for what, stem in _STEMS.items() if places[what] is None]
    if lacking:
        raise FileMissingError(f"{folder} lacks {', '.join(lacking)} (with or without .gz): put them there")
    found = [place for place in places.values() if place is not None]  # in the order of _STEMS

    X_train, y_train = _read_pair(found[0], found[1])
    X_test, y_test = _read_pair(found[2], found[3])
    height, width = X_train.shape[1:]
    if X_test.shape[1:] != (height, width):
        raise TableError(
            f"training and test images in {folder} must have one size, "
            f"received {height}×{width} and {X_test.shape[1]}×{X_test.shape[2]}"
        )
    # (n_images, height, width) -> (n_images, height·width): views, no copies.
    return ImageFolder(
        X_train.reshape(len(X_train), -1), y_train, X_test.reshape(len(X_test), -1), y_test, (height, width)
    )


def _read_pair(images: Path, labels: Path) -> tuple[Array, Array]:
    """Images (n, height, width), uint8, and their labels (n,), int64."""
    X, y = read_idx(images), read_idx(labels)
    if X.dtype != np.uint8 or X.ndim != 3 or X.size == 0:
        raise TableError(
            f"{images} must hold images of bytes (n, height, width), received {X.dtype} in shape {X.shape}"
        )
    if y.dtype != np.uint8 or y.ndim != 1:
        raise TableError(f"{labels} must hold one byte an image, received {y.dtype} in shape {y.shape}")
    if len(X) != len(y):
        raise TableError(f"{images} holds {len(X)} images, and {labels} {len(y)} labels: fetch both again")
    return X, y.astype(np.int64)


def is_image_folder(path: str | PathLike[str]) -> bool:
    """Whether the path is a folder with at least one of MNIST's four files.

    One is enough, so that `read_image_folder` can name those that are missing.
    """
    folder = Path(path)
    return folder.is_dir() and any(find_idx(folder, stem) is not None for stem in _STEMS.values())


def find_mnist() -> Path | None:
    """The folder with MNIST on this machine, if there is one.

    It is what the environment variable BACKLIT_MNIST says, or `../shared/data/mnist` beside the
    repository or the current directory.

    Raises
    ------
    FileMissingError
        BACKLIT_MNIST names a folder without MNIST's files.
    """
    said = os.environ.get("BACKLIT_MNIST")
    if said:
        if not is_image_folder(said):
            raise FileMissingError(f"BACKLIT_MNIST says {said}, which is no folder with MNIST's files: correct it")
        return Path(said)
    repository = Path(__file__).resolve().parents[3]
    for beside in (repository, Path.cwd()):
        folder = beside.parent / "shared" / "data" / "mnist"
        if is_image_folder(folder):
            return folder
    return None


def find_idx(folder: Path, stem: str) -> Path | None:
    """One of MNIST's files in a folder, however it is written; `stem` is "train-images{}idx3-ubyte", say."""
    for sign in ("-", "."):
        for suffix in ("", ".gz"):
            path = folder / (stem.format(sign) + suffix)
            if path.is_file():
                return path
    return None


def _dimensions(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape)
