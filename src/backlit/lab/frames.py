"""How numbers go to the page: one binary message with a JSON header and the arrays behind it, as float32.

    uint32 length of the header | header, UTF-8, blanks to a multiple of 4 | arrays, one after the other (little-endian)

The header's "arrays" lists name and shape of each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..parameters import Array


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """The message.

    Examples
    --------
    >>> header, arrays = unpack(pack({"kind": "state"}, {"values": np.array([1.5, 2.0])}))
    >>> header["kind"], arrays["values"].tolist()
    ('state', [1.5, 2.0])
    """
    shapes = [[name, list(np.shape(array))] for name, array in arrays.items()]
    head = json.dumps(finite({**header, "arrays": shapes}), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 4)
    with np.errstate(over="ignore"):  # what float32 cannot hold is drawn as infinite
        numbers = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values()]
    return b"".join([len(head).to_bytes(4, "little"), head, *numbers])


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a message, as the page reads them."""
    length = int.from_bytes(message[:4], "little")
    header: dict[str, Any] = json.loads(message[4 : 4 + length])
    at, arrays = 4 + length, {}
    for name, shape in header["arrays"]:
        count = math.prod(shape)
        arrays[name] = np.frombuffer(message, "<f4", count, at).reshape(shape)
        at += 4 * count
    return header, arrays


def finite(value: Any) -> Any:
    """The value as JSON knows it: numbers that are not finite become None, NumPy's become Python's.

    Examples
    --------
    >>> finite({"loss": float("nan"), "rows": np.array([1, 2])})
    {'loss': None, 'rows': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return finite(value.tolist())
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        return finite(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
