"""What a report was made from: fingerprints of the arrays, the seed, the versions; and a row drawn as a picture."""

from __future__ import annotations

import base64
import hashlib
import platform
import struct
import zlib
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, final

import numpy as np

from ...network import Network
from ...pages import number, plain
from ...parameters import Array
from ..step.trace import Trace


@final
@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By what an array is known again.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
    low, high : float
        Its smallest and largest number.
    sha256 : str
        Of its bytes, row by row: ``hashlib.sha256(numpy.ascontiguousarray(X).tobytes()).hexdigest()``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    sha256: str

    @property
    def range(self) -> str:
        """From the smallest to the largest number."""
        return f"{number(self.low)} to {number(self.high)}"

    @property
    def size(self) -> str:
        """The shape in words."""
        return " × ".join(f"{size:,}" for size in self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        result: dict[str, Any] = plain(asdict(self))
        return result


def fingerprint(name: str, array: Array) -> Fingerprint:
    """The fingerprint of an array.

    Examples
    --------
    >>> found = fingerprint("X", np.array([[1.0, 2.0]]))
    >>> found.size, found.dtype, found.range, found.sha256[:8]
    ('1 × 2', 'float64', '1 to 2', 'dc91ce9a')
    """
    data = np.ascontiguousarray(array).tobytes()
    return Fingerprint(
        name,
        tuple(array.shape),
        str(array.dtype),
        float(array.min()),
        float(array.max()),
        hashlib.sha256(data).hexdigest(),
    )


def fingerprints(trace: Trace) -> list[Fingerprint]:
    """Of the rows as they were given, of the target values, of the sample weights, and of the parameters."""
    X, y, weight = trace.data
    found = [fingerprint("X", X), fingerprint("y, target values", y)]
    if weight is not None:
        found.append(fingerprint("sample weights", weight))
    return [*found, fingerprint("parameters", trace.net.parameters.values)]


def settings(net: Network) -> list[tuple[str, str]]:
    """What besides the data decides the numbers: seed, dtype, loss, penalties; and the versions at work."""
    rows = [
        ("seed", str(net.seed)),
        ("computed in", str(net.dtype)),
        ("loss", net.loss_function.name),
    ]
    if net.l1 or net.l2:
        divided = ", divided by the rows of the batch" if net.divide_penalty else ""
        rows.append(("penalties", f"l1 {net.l1:g}, l2 {net.l2:g}{divided}"))
    if net.input_scale != 1.0:
        rows.append(("inputs multiplied by", number(net.input_scale)))
    return [*rows, *versions().items()]


def versions() -> dict[str, str]:
    """Of Backlit, NumPy, Python and the system."""
    return {
        "Backlit": version("backlit"),
        "NumPy": np.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def picture(values: Array, shape: tuple[int, int]) -> str:
    """A row as a grey picture: a PNG in a ``data:`` address. The smallest number is black, the largest white.

    Examples
    --------
    >>> picture(np.array([0.0, 1.0, 2.0, 3.0]), (2, 2))[:22]
    'data:image/png;base64,'
    """
    grey = values.astype(np.float64).reshape(shape)
    grey = (grey - grey.min()) / (float(np.ptp(grey)) or 1.0)
    return png(np.round(255.0 * grey).astype(np.uint8))


def png(pixels: Array) -> str:
    """Pixels as a PNG in a ``data:`` address: (height, width) for grey, (height, width, 4) with colour and opacity."""
    height, width = pixels.shape[:2]
    # every line of a PNG begins with its filter, 0 for none
    lines = np.pad(pixels.reshape(height, -1), ((0, 0), (1, 0)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 6, 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    encoded = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in pieces)
    return "data:image/png;base64," + base64.b64encode(encoded).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
