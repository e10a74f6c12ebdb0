"""Products of the matrices of one step, for Numba.

Some rows and columns of C at a time stay in registers while k runs (`tiles.py`). The columns of B that these need are
first copied to stand together, a panel, which stays in the processor's first cache while many rows pass it; where few
rows follow, or B is small, it is read where it stands. Source: Goto & van de Geijn, "Anatomy of High-Performance Matrix
Multiplication" (2008).

Every number of C is one chain of multiply-adds in the order of k. So a product has the same bits however it is divided:
threads may each take some of the rows of C.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..kinds import kernel
from ..parameters import Array
from .math import compiled, teach
from .tiles import HEIGHTS, TILES, WIDTH
from .vectors import VECTOR, load, load_some, matrix, store, transpose_4_by_4

#: Up to this many rows, or this many bytes of B, a copy would not pay: B is read where it stands.
FEW_ROWS: Final = 16
SMALL: Final = 2**14

#: Rows of a panel: it stays in the processor's first cache.
DEPTH: Final = 256

#: Rows of C that pass all panels before the next ones do: their part of A stays in the second cache.
BLOCK: Final = 240


def empty_panel(dtype: Any) -> Array:
    """Room for a panel, (DEPTH, WIDTH vectors); it begins where a vector does."""
    room = np.empty((DEPTH * WIDTH + 1) * VECTOR, np.uint8)
    skipped = -room.ctypes.data % VECTOR
    panel: Array = room[skipped : skipped + DEPTH * WIDTH * VECTOR].view(dtype).reshape(DEPTH, -1)
    return panel


# Numba compiles a function anew for every number that is written out where it is called: these have a type alone.
_START, _SIDE_BY_SIDE = np.intp(0), np.intp(1)
_STRAIGHT, _TURNED = np.bool_(False), np.bool_(True)


def _column_of_tiles(vectors: int) -> Any:
    """All rows of C, in tiles of so many vectors."""
    heights = HEIGHTS
    high, low = TILES[vectors, heights[0]], TILES[vectors, heights[-1]]
    middle = TILES[vectors, heights[len(heights) // 2]]
    high_rows, middle_rows, low_rows = heights[0], heights[len(heights) // 2], heights[-1]

    def tiles(
        A: Array, a: int, row: int, column: int, B: Array, b: int, b_next: int, step: int, depth: int, C: Array,
        top: int, stop: int, j: int, j_next: int, fresh: bool,
    ) -> None:  # fmt: skip
        n, i = C.shape[1], top
        while stop - i >= high_rows:
            high(
                A, a + i * row, row, column, B, b, b_next, step, depth, C, i * n + j, i * n + j_next, n, stop - i, n,
                fresh,
            )  # fmt: skip
            i += high_rows
        while stop - i >= middle_rows:
            middle(
                A, a + i * row, row, column, B, b, b_next, step, depth, C, i * n + j, i * n + j_next, n, stop - i, n,
                fresh,
            )  # fmt: skip
            i += middle_rows
        while i < stop:
            low(
                A, a + i * row, row, column, B, b, b_next, step, depth, C, i * n + j, i * n + j_next, n, stop - i, n,
                fresh,
            )  # fmt: skip
            i += low_rows

    return compiled(tiles)


_one_vector, _two_vectors = _column_of_tiles(1), _column_of_tiles(WIDTH)


@compiled
def _copy(B: Array, j: int, k: int, depth: int, panel: Array, place: int) -> None:
    """The vectors of B at columns j and rows k … k + depth, into the panel's columns from `place` on."""
    n, width = B.shape[1], panel.shape[1]
    lanes = width // WIDTH
    if n < lanes:
        for p in range(depth):
            store(load_some(B, (k + p) * n, n), panel, p * width + place)
    else:
        for p in range(depth):
            store(load(B, (k + p) * n + j), panel, p * width + place)


@compiled
def _turn(B: Array, j: int, k: int, depth: int, panel: Array, place: int) -> None:
    """The same of Bᵀ: panel ← B[j … j + LANES, k … k + depth]ᵀ."""
    (n, terms), width = B.shape, panel.shape[1]
    lanes = width // WIDTH
    whole = depth - depth % 4 if n >= lanes else 0
    for p in range(0, whole, 4):
        for lane in range(0, lanes, 4):
            transpose_4_by_4(B, (j + lane) * terms + k + p, terms, panel, p * width + place + lane, width)
    for p in range(whole, depth):
        for lane in range(min(lanes, n)):
            panel[p, place + lane] = B[j + lane, k + p]


@compiled
def _product(A: Array, first: int, row: int, column: int, B: Array, turned: Any, C: Array, panel: Array) -> None:
    """C ← A B, or A Bᵀ where B is turned. A[i, k] is at first + i · row + k · column of its memory."""
    m, n = C.shape
    terms = B.shape[1] if turned else B.shape[0]
    width = panel.shape[1]
    lanes = width // WIDTH
    in_place = not turned and n >= lanes and (m <= FEW_ROWS or B.size * B.itemsize <= SMALL)
    pieces = 1 if in_place else (terms + DEPTH - 1) // DEPTH
    longest = (terms + pieces - 1) // pieces
    for top in range(0, m, BLOCK):
        stop = min(top + BLOCK, m)
        for start in range(0, n, width):
            # the last vector may cover columns of the one before it, with the same result
            j = max(min(start, n - lanes), 0)
            two = n - start > lanes and WIDTH == 2
            j_next = min(start + lanes, n - lanes) if two else j
            for k in range(0, terms, longest):
                depth = min(longest, terms - k)
                a, fresh = first + k * column, k == 0
                if in_place:
                    if two:
                        _two_vectors(A, a, row, column, B, j, j_next, n, depth, C, top, stop, j, j_next, fresh)
                    else:
                        _one_vector(A, a, row, column, B, j, j_next, n, depth, C, top, stop, j, j_next, fresh)
                    continue
                if turned:
                    _turn(B, j, k, depth, panel, _START)
                else:
                    _copy(B, j, k, depth, panel, _START)
                if two and turned:
                    _turn(B, j_next, k, depth, panel, lanes)
                elif two:
                    _copy(B, j_next, k, depth, panel, lanes)
                if two:
                    _two_vectors(A, a, row, column, panel, _START, lanes, width, depth, C, top, stop, j, j_next, fresh)
                else:
                    _one_vector(A, a, row, column, panel, _START, lanes, width, depth, C, top, stop, j, j_next, fresh)


@compiled
def multiply(A: Array, B: Array, C: Array, panel: Array) -> None:
    """C ← A B, of (m, k) and (k, n), all contiguous."""
    _product(A, _START, A.shape[1], _SIDE_BY_SIDE, B, _STRAIGHT, C, panel)


@compiled
def multiply_left_transposed(A: Array, first: int, B: Array, C: Array, panel: Array) -> None:
    """C ← A[:, first : first + m]ᵀ B, of (k, ·) and (k, n), all contiguous; C is (m, n)."""
    _product(A, first, _SIDE_BY_SIDE, A.shape[1], B, _STRAIGHT, C, panel)


@compiled
def multiply_right_transposed(A: Array, B: Array, C: Array, panel: Array) -> None:
    """C ← A Bᵀ, of (m, k) and (n, k), all contiguous."""
    _product(A, _START, A.shape[1], _SIDE_BY_SIDE, B, _TURNED, C, panel)


# What the kernels of the layers call (`kinds/kernel.py`).


def _kernel_multiply(A: Array, B: Array, C: Array, chain: Any) -> None:
    multiply(A, B, C, chain.panel)


def _kernel_multiply_left_transposed(A: Array, first: int, B: Array, C: Array, chain: Any) -> None:
    multiply_left_transposed(A, first, B, C, chain.panel)


def _kernel_multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    multiply_right_transposed(A, B, C, chain.panel)


teach(kernel.matrix, matrix)
teach(kernel.multiply, _kernel_multiply)
teach(kernel.multiply_left_transposed, _kernel_multiply_left_transposed)
teach(kernel.multiply_right_transposed, _kernel_multiply_right_transposed)
