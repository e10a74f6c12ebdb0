"""Damage and malice for files: bytes that change, and JSON that says something else. All of it is drawn from a seed."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator

# ── bytes ──────────────────────────────────────────────────────────────────────────────────────────────────


def flip_bits(data: bytes, rng: Rng) -> bytes:
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        found[rng.integers(len(found))] ^= 1 << int(rng.integers(8))
    return bytes(found)


def cut(data: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(len(data))]


def lose_a_part(data: bytes, rng: Rng) -> bytes:
    begin, size = int(rng.integers(len(data))), int(rng.integers(1, 64))
    return data[:begin] + data[begin + size :]


def insert(data: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(len(data)))
    return data[:place] + rng.bytes(int(rng.integers(1, 64))) + data[place:]


def repeat_a_part(data: bytes, rng: Rng) -> bytes:
    begin, size = int(rng.integers(len(data))), int(rng.integers(1, 400))
    return data[: begin + size] + data[begin:]


def overwrite(data: bytes, rng: Rng) -> bytes:
    """A few bytes in a row: noise, zeros, ones, or a number that is much too large for a length."""
    size = int(rng.choice([1, 2, 4, 8, 32]))
    place = int(rng.integers(max(1, len(data) - size)))
    new = [rng.bytes(size), bytes(size), b"\xff" * size, struct.pack("<Q", 2 ** int(rng.integers(20, 63)))[:size]]
    return data[:place] + new[int(rng.integers(4))] + data[place + size :]


def first_length(data: bytes, rng: Rng) -> bytes:
    """Another number in the first eight bytes: the length of a header."""
    size = int(rng.choice([0, 1, len(data), len(data) - 8, 2**20, 2**24, 2**31, 2**63, int(rng.integers(2**16))]))
    return struct.pack("<Q", size) + data[8:]


BYTES: tuple[Callable[[bytes, Rng], bytes], ...] = (
    flip_bits, cut, lose_a_part, insert, repeat_a_part, overwrite, first_length
)  # fmt: skip


# ── JSON ───────────────────────────────────────────────────────────────────────────────────────────────────


def _deep(levels: int) -> Any:
    found: Any = 0
    for _ in range(levels):
        found = [found]
    return found


#: What stands where something else should.
FOREIGN: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**40 - 1, 2**40, 2**53, 2**63, 10**400, -(10**400), 0.5, -0.0, 1e308,
    1e-320, float("nan"), float("inf"), "",
    "x", "nan", "0", "Dense", "softmax", "a" * 5000, "\x1b[31m\n\0", "\u202e", "\ud800",
    [], {}, [[]], [None], [0, 0], {"kind": "Dense"}, _deep(50), [0] * 20_000, ["a"] * 20_000, {"a": {"a": {"a": {}}}},
)  # fmt: skip


def mutated(value: Any, rng: Rng) -> Any:
    """A copy of a value of JSON in which one place is another; texts that hold JSON are gone into."""
    return _changed(copy.deepcopy(value), rng)


def _changed(value: Any, rng: Rng) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        return _text(_changed(json.loads(value), rng), rng)
    inside = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    if not len(inside) or rng.random() < 0.12:
        return _replaced(value, rng)
    key = inside[int(rng.integers(len(inside)))]
    what = rng.random()
    if what < 0.06:
        del value[key]
    elif what < 0.09 and isinstance(value, dict):
        value[f"{key}2"] = value[key]
    elif what < 0.12 and isinstance(value, list):
        value.append(value[key])
    elif what < 0.16:
        other = inside[int(rng.integers(len(inside)))]
        value[key], value[other] = value[other], value[key]
    else:
        value[key] = _changed(value[key], rng)
    return value


def _replaced(value: Any, rng: Rng) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.5:
        return rng.choice([value + 1, value - 1, -value, value * 2, value * 1000]).item()
    return FOREIGN[int(rng.integers(len(FOREIGN)))]


def _text(value: Any, rng: Rng) -> str:
    """JSON, in some cases with a key twice, with a great many brackets, or cut short."""
    text = json.dumps(value)
    what = rng.random()
    if what < 0.04 and text[:1] == "{":
        return '{"layers":[],' + text[1:]
    if what < 0.05:
        return "[" * 100_000 + text
    if what < 0.07:
        return text[: rng.integers(len(text))]
    return text


def mutated_text(text: str, rng: Rng) -> str:
    return _text(_changed(json.loads(text), rng), rng)
