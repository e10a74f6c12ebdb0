"""The IDX reader, and folders with MNIST's four files."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backlit.data import images
from backlit.data.images import find_mnist, is_image_folder, read_idx, read_image_folder
from backlit.exceptions import FileMissingError, TableError

MNIST = Path(os.environ.get("BACKLIT_MNIST") or Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist")
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason=f"MNIST is not at {MNIST}; set BACKLIT_MNIST")

CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx(values: np.ndarray[Any, Any], dtype: str = "u1") -> bytes:
    """The bytes of an IDX file."""
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, CODES[dtype], values.ndim, *values.shape)
    return header + values.astype(dtype).tobytes()


def write_folder(folder: Path, *, sign: str = "-", zipped: bool = False) -> dict[str, np.ndarray[Any, Any]]:
    """A tiny folder of images: 6 for training, 4 for testing, 3×2 pixels."""
    random = np.random.default_rng(0)
    arrays = {
        f"train-images{sign}idx3-ubyte": random.integers(0, 256, (6, 3, 2)),
        f"train-labels{sign}idx1-ubyte": random.integers(0, 10, 6),
        f"t10k-images{sign}idx3-ubyte": random.integers(0, 256, (4, 3, 2)),
        f"t10k-labels{sign}idx1-ubyte": random.integers(0, 10, 4),
    }
    for name, values in arrays.items():
        raw = idx(values)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(raw, mtime=0) if zipped else raw)
    return arrays


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dtype", CODES)
def test_round_trip(tmp_path: Path, dtype: str, zipped: bool) -> None:
    values = np.arange(24).reshape(2, 3, 4) * (1 if dtype == "u1" else -1)
    raw = idx(values, dtype)
    path = tmp_path / "any name"  # the content tells whether it is gzipped
    path.write_bytes(gzip.compress(raw, mtime=0) if zipped else raw)
    result = read_idx(path)
    assert result.dtype == np.dtype(dtype).newbyteorder("=")
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, values)


def test_an_empty_dimension_is_an_empty_array(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(idx(np.zeros((0, 3))))
    assert read_idx(tmp_path / "x").shape == (0, 3)


IMAGE = idx(np.arange(60).reshape(5, 4, 3))
HUGE = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 2**31, 2**31)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x89PNG and so on", "not an IDX file: it begins with 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\1\5", "not an IDX file"),
        (b"\0\0\x08\x00", "not an IDX file"),
        (IMAGE[:9], "cut short in its header"),
        (IMAGE[:-1], "cut short: its header says 5×4×3 values"),
        (HUGE + b"1", "cut short: its header says 2147483648×2147483648×2147483648 values"),
        (IMAGE + b"\0", "longer than the 5×4×3 values"),
        (gzip.compress(IMAGE[:9], mtime=0), "cut short in its header"),
        (gzip.compress(IMAGE[:-1], mtime=0), "cut short: its header says 5×4×3 values, 60 bytes, received 59"),
        (gzip.compress(HUGE, mtime=0), "cut short"),
        (gzip.compress(IMAGE + b"\0", mtime=0), "longer than the 5×4×3 values"),
        (gzip.compress(b"text, no images", mtime=0), "not an IDX file: it begins with 74 65 78 74"),
        (gzip.compress(IMAGE, mtime=0)[:-10], "damaged or cut short"),
        (gzip.compress(IMAGE, mtime=0)[:-8] + b"\0" * 8, "damaged or cut short .*CRC"),
        (gzip.compress(IMAGE, mtime=0)[:3], "damaged or cut short"),
        (gzip.compress(IMAGE, mtime=0)[:10] + b"\xff" * 50, "damaged or cut short"),
    ],
)
def test_damage_is_named(tmp_path: Path, raw: bytes, says: str) -> None:
    path = tmp_path / "bad-idx3-ubyte"
    path.write_bytes(raw)
    with pytest.raises(TableError, match=f"bad-idx3-ubyte.*{says}"):
        read_idx(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"there is no file .*none"):
        read_idx(tmp_path / "none")


@pytest.mark.parametrize("sign", ["-", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_folder(tmp_path: Path, sign: str, zipped: bool) -> None:
    arrays = list(write_folder(tmp_path, sign=sign, zipped=zipped).values())
    assert is_image_folder(tmp_path)
    folder = read_image_folder(tmp_path)
    assert folder.shape == (3, 2)
    assert (folder.X_train.dtype, folder.y_train.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(folder.X_train, arrays[0].reshape(6, 6))
    np.testing.assert_array_equal(folder.y_train, arrays[1])
    np.testing.assert_array_equal(folder.X_test, arrays[2].reshape(4, 6))
    np.testing.assert_array_equal(folder.y_test, arrays[3])


def test_every_missing_file_is_named(tmp_path: Path) -> None:
    assert not is_image_folder(tmp_path)
    write_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert is_image_folder(tmp_path)
    with pytest.raises(FileMissingError, match=r"lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte \("):
        read_image_folder(tmp_path)
    with pytest.raises(FileMissingError, match="there is no folder"):
        read_image_folder(tmp_path / "none")
    assert not is_image_folder(tmp_path / "t10k-labels-idx1-ubyte")


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("train-labels-idx1-ubyte", idx(np.zeros(5)), "holds 6 images, and .* 5 labels"),
        ("train-labels-idx1-ubyte", idx(np.zeros((6, 1))), r"one byte an image, received uint8 in shape \(6, 1\)"),
        ("train-images-idx3-ubyte", idx(np.zeros((6, 6))), r"images of bytes .* received uint8 in shape \(6, 6\)"),
        ("train-images-idx3-ubyte", idx(np.zeros((6, 3, 2)), ">f4"), "images of bytes .* received float32"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((4, 2, 3))), "must have one size, received 3×2 and 2×3"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((0, 3, 2))), r"images of bytes .* shape \(0, 3, 2\)"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, name: str, raw: bytes, says: str) -> None:
    write_folder(tmp_path)
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(TableError, match=says):
        read_image_folder(tmp_path)


def test_find_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shared" / "data" / "mnist"
    folder.mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.delenv("BACKLIT_MNIST", raising=False)
    # As if the package were installed elsewhere: only the current directory can tell.
    monkeypatch.setattr(images, "__file__", str(tmp_path / "a" / "b" / "c" / "d" / "e" / "images.py"))
    monkeypatch.chdir(tmp_path / "work")
    assert find_mnist() is None
    write_folder(folder)
    assert find_mnist() == folder
    monkeypatch.setenv("BACKLIT_MNIST", str(tmp_path))
    with pytest.raises(FileMissingError, match=r"BACKLIT_MNIST says .* correct it"):
        find_mnist()
    monkeypatch.setenv("BACKLIT_MNIST", str(folder))
    assert find_mnist() == folder


@needs_mnist
def test_mnist() -> None:
    assert is_image_folder(MNIST)
    folder = read_image_folder(MNIST)
    assert folder.shape == (28, 28)
    assert (folder.X_train.shape, folder.X_test.shape) == ((60_000, 784), (10_000, 784))
    assert (folder.X_train.dtype, folder.X_test.dtype) == (np.uint8, np.uint8)
    assert folder.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert folder.y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(folder.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The published mean of the training pixels, as a share of 255.
    assert folder.X_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    # Reshaped in place: nothing holds a second copy of the pixels.
    assert not folder.X_train.flags.owndata
