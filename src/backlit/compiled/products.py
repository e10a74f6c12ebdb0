"""Products of the matrices of one step, for Numba.

Some rows and columns of C at a time stay in registers while k runs (`tiles.py`). The columns of B that these need are
first copied to stand together, a panel, which stays in the processor's first cache while many rows pass it; where few
rows follow, or B is small, it is read where it stands. Source: Goto & van de Geijn, "Anatomy of High-Performance Matrix
Multiplication" (2008).

Every number of C is one chain of multiply-adds in the order of k. So a product has the same bits however it is divided:
threads may each take some of the rows of C.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from ..kinds import kernel
from ..parameters import Array
from .math import compiled, teach
from .stored import Stored, multiply_stored, multiply_stored_transposed
from .tiles import HEIGHTS, TILES, WIDTH
from .vectors import VECTOR, load, load_some, matrix, store, transpose_4_by_4

#: Up to this many rows, or this many bytes of B, a copy would not pay: B is read where it stands.
FEW_ROWS: Final = 16
SMALL: Final = 2**14

#: Rows of a panel: it stays in the processor's first cache.
DEPTH: Final = 256

#: Rows of C that pass all panels before the next ones do: their part of A stays in the second cache.
TALL, LOW = HEIGHTS

#: Numbers of a turned A that follow each other in k and are so many bytes apart, or a multiple, have few places in the
#: first cache: they are copied to stand together.
FAR: Final = 2**10
BLOCK: Final = 20 * TALL


class Room(NamedTuple):
    """Room for parts of both factors, a thread's own."""

    panel: Array  # of B, (DEPTH, WIDTH vectors)
    rows: Array  # of A, turned, in tiles: BLOCK · DEPTH numbers, and a vector more


def room_for_products(dtype: Any) -> Room:
    """Room that begins where a vector does."""
    size = np.dtype(dtype).itemsize
    panel, rows = DEPTH * WIDTH * VECTOR, BLOCK * DEPTH * size + VECTOR
    memory = np.empty(panel + rows + VECTOR, np.uint8)
    begin = -memory.ctypes.data % VECTOR
    numbers: Array = memory[begin : begin + panel + rows].view(dtype)
    return Room(numbers[: panel // size].reshape(DEPTH, -1), numbers[panel // size :])


# Numba compiles a function anew for every number that is written out where it is called: these have a type alone.
_START, _SIDE_BY_SIDE = np.intp(0), np.intp(1)
_AS_IT_IS, _TURNED = np.bool_(False), np.bool_(True)


def _column_of_tiles(vectors: int) -> Any:
    """So many vectors of columns of C, in the rows from `top` to `stop`."""
    tall_tile, low_tile = TILES[vectors, TALL], TILES[vectors, LOW]

    def tiles(
        A: Array, a: int, row: int, column: int, next_tile: int, B: Array, b: int, b_next: int, step: int, depth: int,
        C: Array, top: int, stop: int, j: int, j_next: int, used: int, fresh: bool,
    ) -> None:  # fmt: skip
        n, i = C.shape[1], top
        while stop - i > TALL - LOW:
            c = i * n
            tall_tile(A, a, row, column, B, b, b_next, step, depth, C, c + j, c + j_next, n, stop - i, used, fresh)
            i += TALL
            a += next_tile
        while i < stop:
            c = i * n
            low_tile(A, a, row, column, B, b, b_next, step, depth, C, c + j, c + j_next, n, stop - i, used, fresh)
            i += LOW
            a += LOW * row

    return compiled(tiles)


_one_vector, _two_vectors = _column_of_tiles(1), _column_of_tiles(WIDTH)


@compiled
def _copy_rows(A: Array, a: int, column: int, m: int, depth: int, rows: Array, lanes: int) -> None:
    """The rows of a turned A in tiles that stand together: tile by tile, of each the rows of a k side by side."""
    for i in range(0, m, TALL):
        height = min(TALL, m - i)
        for k in range(depth):
            for start in range(0, height, lanes):
                # what a vector writes too much is written over by the next k
                some = load_some(A, a + i + start + k * column, min(lanes, height - start))
                store(some, rows, i * depth + k * TALL + start)


@compiled
def _copy(B: Array, j: int, k: int, depth: int, panel: Array) -> None:
    """The columns of B from j on, as many as a panel has, and its rows k … k + depth."""
    n, width = B.shape[1], panel.shape[1]
    lanes = width // WIDTH
    for start in range(0, min(width, n - j), lanes):
        if n - j - start >= lanes:
            for p in range(depth):
                store(load(B, (k + p) * n + j + start), panel, p * width + start)
        else:
            for p in range(depth):
                store(load_some(B, (k + p) * n + j + start, n - j - start), panel, p * width + start)


@compiled
def _turn(B: Array, j: int, k: int, depth: int, panel: Array) -> None:
    """The same of Bᵀ: panel ← B[j … j + width, k … k + depth]ᵀ."""
    (n, terms), width = B.shape, panel.shape[1]
    columns = min(width, n - j)
    whole, even = depth - depth % 4, columns - columns % 4
    for p in range(0, whole, 4):
        for start in range(0, even, 4):
            transpose_4_by_4(B, (j + start) * terms + k + p, terms, panel, p * width + start, width)
    for p in range(depth):
        for start in range(0 if p >= whole else even, columns):
            panel[p, start] = B[j + start, k + p]
        for start in range(columns, width):  # what stood here may be slow to multiply
            panel[p, start] = 0


@compiled
def _product(A: Array, first: int, row: int, column: int, B: Array, turned: Any, C: Array, room: Room) -> None:
    """C ← A B, or A Bᵀ where B is turned. A[i, k] is at first + i · row + k · column of its memory."""
    m, n = C.shape
    terms = B.shape[1] if turned else B.shape[0]
    width = room.panel.shape[1]
    lanes = width // WIDTH
    in_place = not turned and n >= lanes and (m <= FEW_ROWS or B.size * B.itemsize <= SMALL)
    in_tiles = not in_place and column * C.itemsize % FAR == 0 and n > 2 * width
    pieces = 1 if in_place else (terms + DEPTH - 1) // DEPTH
    longest = (terms + pieces - 1) // pieces
    source, step = (B, n) if in_place else (room.panel, width)
    for top in range(0, m, BLOCK):
        stop = min(top + BLOCK, m)
        for k in range(0, terms, longest):
            depth = min(longest, terms - k)
            from_a, a, row_step, column_step = A, first + top * row + k * column, row, column
            next_tile = TALL * row
            if in_tiles:
                _copy_rows(A, a, column, stop - top, depth, room.rows, lanes)
                from_a, a, row_step, column_step = room.rows.reshape(1, room.rows.size), 0, 1, TALL
                next_tile = TALL * depth
            for start in range(0, n, width):
                two = WIDTH == 2 and n - start > lanes
                used = min(n - start - lanes if two else n - start, lanes)
                j, j_next, b, b_next = start, start + lanes, 0, lanes
                if in_place:
                    # the last vector may cover columns of the one before it, with the same result
                    j, j_next, used = min(j, n - lanes), min(j_next, n - lanes), lanes
                    b, b_next = j, j_next
                elif turned:
                    _turn(B, start, k, depth, room.panel)
                else:
                    _copy(B, start, k, depth, room.panel)
                if two:
                    _two_vectors(
                        from_a, a, row_step, column_step, next_tile, source, b, b_next, step, depth, C, top, stop, j,
                        j_next, used, k == 0,
                    )  # fmt: skip
                else:
                    _one_vector(
                        from_a, a, row_step, column_step, next_tile, source, b, b_next, step, depth, C, top, stop, j,
                        j_next, used, k == 0,
                    )  # fmt: skip


@compiled
def multiply(A: Array, B: Array, C: Array, room: Room) -> None:
    """C ← A B, of (m, k) and (k, n), all contiguous."""
    _product(A, _START, A.shape[1], _SIDE_BY_SIDE, B, _AS_IT_IS, C, room)


@compiled
def multiply_left_transposed(A: Array, first: int, B: Array, C: Array, room: Room) -> None:
    """C ← A[:, first : first + m]ᵀ B, of (k, ·) and (k, n), all contiguous; C is (m, n)."""
    _product(A, first, _SIDE_BY_SIDE, A.shape[1], B, _AS_IT_IS, C, room)


@compiled
def multiply_right_transposed(A: Array, B: Array, C: Array, room: Room) -> None:
    """C ← A Bᵀ, of (m, k) and (n, k), all contiguous."""
    _product(A, _START, A.shape[1], _SIDE_BY_SIDE, B, _TURNED, C, room)


# What the kernels of the layers call (`kinds/kernel.py`).


def _multiply_input(stored: Stored | None, chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    if stored is not None and i == 0 and stored.rows.size:
        multiply_stored(stored, first, B, C)
    else:
        multiply(a_in[first : first + C.shape[0]], B, C, chain.room)


def _multiply_input_transposed(
    stored: Stored | None, chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array
) -> None:
    if stored is not None and i == 0 and stored.rows.size:
        multiply_stored_transposed(stored, first, B, C)
    else:
        multiply_left_transposed(a_in, first, B, C, chain.room)


def _kernel_multiply_input(chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    _multiply_input(chain.stored, chain, i, a_in, first, B, C)


def _kernel_multiply_input_transposed(chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    _multiply_input_transposed(chain.stored, chain, i, a_in, first, B, C)


def _kernel_multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    multiply_right_transposed(A, B, C, chain.room)


teach(kernel.matrix, matrix)
teach(kernel.multiply_input, _kernel_multiply_input)
teach(kernel.multiply_input_transposed, _kernel_multiply_input_transposed)
teach(kernel.multiply_right_transposed, _kernel_multiply_right_transposed)
