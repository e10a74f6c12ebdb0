"""Pictures deformed in machine code: the numbers of `data.deforming`, to the bit, without Python's lock.

Everything that could be rounded in two ways is not: random fields are whole numbers, whose sums are exact, and every
operation on fractions stands in the same order as in the NumPy form, in the same precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from ..parameters import Array
from ..randomness import PURPOSES
from . import draws
from .cache import fingerprint, keep_or_say
from .math import compiled, whole

_AUGMENTATION = np.uint64(PURPOSES["augmentation"])
_AFFINE_WORDS: Final = 8  # the first words of a picture's random numbers; the fields come after them
_HALF: Final = np.float32(0.5)


@compiled
def _box_sums(field: Array, before: int, after: int, sums: Array, out: Array) -> None:
    """Down each column the sums of a pixel, `before` above it and `after` below it, 0 beyond the edges; sums (b,)."""
    height = field.shape[0]
    sums[:] = 0
    for r in range(-after, height):
        if r + after < height:
            for c in range(field.shape[1]):
                sums[c] += field[r + after, c]
        if r >= 0:
            if r - before > 0:
                for c in range(field.shape[1]):
                    sums[c] -= field[r - before - 1, c]
            for c in range(field.shape[1]):
                out[r, c] = sums[c]


@compiled
def _three_box_sums(field: Array, widths: Array, sums: Array, room: Array) -> None:
    """Three filters down the columns, the result in `field`."""
    # an even width has its middle between two pixels: once above, once below
    _box_sums(field, widths[0] // 2, (widths[0] - 1) // 2, sums, room)
    _box_sums(room, (widths[1] - 1) // 2, widths[1] // 2, sums, field)
    _box_sums(field, widths[2] // 2, (widths[2] - 1) // 2, sums, room)
    for r in range(field.shape[0]):
        for c in range(field.shape[1]):
            field[r, c] = room[r, c]


@compiled
def _smooth(field: Array, widths: Array, sums: Array, room: Array, turned: Array, turned_room: Array) -> None:
    """Three filters in each direction."""
    _three_box_sums(field, widths, sums, room)
    for r in range(field.shape[0]):
        for c in range(field.shape[1]):
            turned[c, r] = field[r, c]
    _three_box_sums(turned, widths, sums, turned_room)
    for r in range(field.shape[0]):
        for c in range(field.shape[1]):
            field[r, c] = turned[c, r]


@compiled
def _uniform(word: Any, size: float) -> float:
    """From −size to size, of the 53 upper bits of a random word."""
    return (float(word >> np.uint64(11)) * 2.0**-52 - 1.0) * size


@compiled
def _sample(
    old: Array, source: Array, rows: Array, columns: Array, amplitude: Any, height: int, width: int, out: Array
) -> None:
    """Read each pixel of the new picture between four of the old one; `old` has one edge of 0 before and two behind."""
    one, zero = np.float32(1), np.float32(0)
    lowest, bottom, right = np.float32(-1), np.float32(height), np.float32(width)
    middle_y, middle_x = np.float32(0.5 * (height - 1)), np.float32(0.5 * (width - 1))
    for r in range(height):
        from_y = np.float32(r) - middle_y
        for c in range(width):
            from_x = np.float32(c) - middle_x
            y = source[0] * from_y + source[1] * from_x + source[2]
            x = source[3] * from_y + source[4] * from_x + source[5]
            if amplitude > zero:
                y += amplitude * np.float32(rows[r, c])
                x += amplitude * np.float32(columns[r, c])
            y = min(max(y, lowest), bottom) + one
            x = min(max(x, lowest), right) + one
            i, j = int(y), int(x)
            v, u = y - np.float32(i), x - np.float32(j)
            above = old[i, j] * (one - u) + old[i, j + 1] * u
            below = old[i + 1, j] * (one - u) + old[i + 1, j + 1] * u
            out[r * width + c] = np.uint8(above * (one - v) + below * v + _HALF)


def _deform(
    X: Array, rows: Array, seed: Any, epoch: int, shape: Array, sizes: Array, widths: Array, amplitude: Any, out: Array
) -> None:
    height, width = shape[0], shape[1]
    words = np.empty(_AFFINE_WORDS, np.uint64)
    fields = np.zeros(64 * ((2 * height * width + 63) // 64), np.int32)
    by_rows = fields[: height * width].reshape(height, width)
    by_columns = fields[height * width : 2 * height * width].reshape(height, width)
    sums = np.empty(max(height, width), np.int32)
    room, turned, turned_room = (
        np.empty((height, width), np.int32),
        np.empty((width, height), np.int32),
        np.empty((width, height), np.int32),
    )
    old = np.zeros((height + 3, width + 3), np.float32)
    source = np.empty(6, np.float32)
    for place in range(rows.size):
        row = rows[place]
        for k in range(2):
            block = draws.philox_block(seed, _AUGMENTATION, np.uint64(k + 1), np.uint64(epoch), np.uint64(row))
            for i in range(4):
                words[4 * k + i] = block[i]
        # A = R(θ) S with cos θ and sin θ from t = tan ½θ
        t = _uniform(words[0], sizes[0])
        cos, sin = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
        k_y, k_x = 1.0 + _uniform(words[1], sizes[1]), 1.0 + _uniform(words[2], sizes[1])
        h = _uniform(words[3], sizes[2])
        source[0], source[1] = np.float32(cos * k_y - sin * h), np.float32(-sin * k_x)
        source[3], source[4] = np.float32(sin * k_y + cos * h), np.float32(cos * k_x)
        source[2] = np.float32(0.5 * (height - 1) + _uniform(words[4], sizes[3]))
        source[5] = np.float32(0.5 * (width - 1) + _uniform(words[5], sizes[3]))
        if amplitude > np.float32(0):
            for k in range((2 * height * width + 31) // 32):
                block = draws.philox_block(seed, _AUGMENTATION, np.uint64(k + 3), np.uint64(epoch), np.uint64(row))
                for i in range(4):
                    word = block[i]
                    for j in range(8):
                        byte = np.int32((word >> np.uint64(8 * j)) & np.uint64(255))
                        fields[32 * k + 8 * i + j] = np.int32(2) * byte - np.int32(255)
            _smooth(by_rows, widths, sums, room, turned, turned_room)
            _smooth(by_columns, widths, sums, room, turned, turned_room)
        for r in range(height):
            for c in range(width):
                old[r + 1, c + 1] = np.float32(X[row, r * width + c])
        _sample(old, source, by_rows, by_columns, amplitude, height, width, out[place])


#: The pictures `rows` of X as they are in an epoch, into `out`: see `data.deforming.Deformed` for the rest.
deform: Any = whole(_deform)
_FILES: Final = [Path(__file__), Path(draws.__file__), Path(__file__).with_name("math.py")]
keep_or_say(deform, ("pictures", fingerprint(_FILES)), "what deforms pictures is compiled")
