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
from .rows import outer, row_times_matrix, row_times_transposed
from .stored import Stored, multiply_stored, multiply_stored_transposed
from .tiles import HEIGHTS, TILES, WIDTH
from .vectors import VECTOR, flat, load, load_some, matrix, place_of, store, transpose_4_by_4

#: Up to this many rows, or this many bytes of B, a copy would not pay: B is read where it stands.
FEW_ROWS: Final = 16
SMALL: Final = 2**14

#: Rows of a panel, which stays in the first cache, and bytes of the panels that are made at once, which stay in the
#: second: row by row of B, as memory is read fastest. And bytes of one.
DEPTH: Final = 256
PANELS: Final = 2**20
PANEL: Final = DEPTH * WIDTH * VECTOR

TALL, LOW = HEIGHTS

#: A turned A is copied to stand together in tiles where more panels than these pass it; where its numbers that follow
#: each other in k are so many bytes apart, or a multiple, they have few places in the first cache, and two are enough.
MANY: Final = 8
FAR: Final = 2**10

#: Rows of C that pass all panels before the next ones do: their part of A stays in the second cache.
BLOCK: Final = 20 * TALL

#: Numbers of a gradient that stay in a cache.
GRADIENTS: Final = 2**16


class Room(NamedTuple):
    """Room for parts of both factors, a thread's own."""

    panels: Array  # of B, (PANELS / (DEPTH · a panel's width), DEPTH · WIDTH vectors)
    rows: Array  # of A, turned, in tiles: BLOCK · DEPTH numbers, and a vector more
    gradients: Array  # (GRADIENTS,): of some rows of a parameter, on their way to the optimiser
    held: Array  # (1,): where the delta begins of which all panels are there, or 0; (0,) where no gradients are made


def room_for_products(dtype: Any) -> Room:
    """Room that begins where a vector does."""
    size = np.dtype(dtype).itemsize
    panels = PANELS // size
    numbers = numbers_in_vectors(panels + BLOCK * DEPTH + VECTOR // size, dtype)
    made = numbers[:panels].reshape(-1, PANEL // size)
    return Room(made, numbers[panels:], np.empty(GRADIENTS, dtype), np.zeros(1, np.int64))


def numbers_in_vectors(count: int, dtype: Any) -> Array:
    """An array that begins where a vector does."""
    size = count * np.dtype(dtype).itemsize
    memory = np.empty(size + VECTOR, np.uint8)
    begin = -memory.ctypes.data % VECTOR
    numbers: Array = memory[begin : begin + size].view(dtype)
    return numbers


# Numba compiles a function anew for every number that is written out where it is called: these have a type alone.
_START, _SIDE_BY_SIDE = np.intp(0), np.intp(1)
_AS_IT_IS, _TURNED = np.bool_(False), np.bool_(True)
_ONCE = np.bool_(False)


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
def _turn_rows(A: Array, a: int, row: int, m: int, depth: int, rows: Array) -> None:
    """The same for an A whose numbers that follow each other in k stand together, its rows being `row` apart."""
    whole = depth - depth % 4
    for i in range(0, m, TALL):
        height = min(TALL, m - i)
        even = height - height % 4
        for r in range(0, even, 4):
            begin, place = a + (i + r) * row, i * depth + r
            for k in range(0, whole, 4):
                transpose_4_by_4(A, begin + k, row, rows, place + k * TALL, TALL)
        numbers = flat(A)
        for r in range(height):
            begin, place = a + (i + r) * row, i * depth + r
            for k in range(whole if r < even else 0, depth):
                rows[place + k * TALL] = numbers[begin + k]


@compiled
def _copy(B: Array, first: int, columns: int, k: int, depth: int, panels: Array, width: int) -> None:
    """Panel after panel of so many columns of B, from the `first` on, and its rows k … k + depth."""
    lanes, size = width // WIDTH, depth * width
    whole = columns - columns % width
    for p in range(depth):
        place, target = (k + p) * B.shape[1] + first, p * width
        for _ in range(0, whole, width):
            for vector in range(WIDTH):
                store(load(B, place + vector * lanes), panels, target + vector * lanes)
            place += width
            target += size
        for start in range(0, columns - whole, lanes):
            some = load_some(B, place + start, min(lanes, columns - whole - start))
            store(some, panels, target + start)


@compiled
def _turn(B: Array, first: int, columns: int, k: int, depth: int, panels: Array, width: int) -> None:
    """The same of Bᵀ: its columns are rows of B."""
    terms, size = B.shape[1], depth * width
    numbers = flat(panels)
    whole, even = depth - depth % 4, columns - columns % 4
    for start in range(0, even, 4):
        panel = start // width * size + start % width
        for p in range(0, whole, 4):
            transpose_4_by_4(B, (first + start) * terms + k + p, terms, panels, panel + p * width, width)
        for p in range(whole, depth):
            for lane in range(4):
                numbers[panel + p * width + lane] = B[first + start + lane, k + p]
    for start in range(even, (columns + width - 1) // width * width):
        panel = start // width * size + start % width
        for p in range(depth):  # what stood beyond the last column may be slow to multiply
            numbers[panel + p * width] = B[first + start, k + p] if start < columns else 0


@compiled
def all_panels_fit(B: Array, room: Room) -> bool:
    """Whether there is room for all panels of a B at once."""
    terms, n = B.shape
    width = room.panels.shape[1] // DEPTH
    return bool(terms <= DEPTH and terms * ((n + width - 1) // width * width) <= room.panels.size)


@compiled
def _product(
    A: Array, first: int, row: int, column: int, B: Array, turned: Any, C: Array, room: Room, again: Any
) -> None:  # fmt: skip
    """C ← A B, or A Bᵀ where B is turned. A[i, k] is at first + i · row + k · column of its memory.

    Of a B that comes `again` the panels are kept for the next time, where there is room for all of them.
    """
    m, n = C.shape
    terms = B.shape[1] if turned else B.shape[0]
    width = room.panels.shape[1] // DEPTH
    lanes = width // WIDTH
    in_place = not turned and n >= lanes and (m <= FEW_ROWS or B.size * B.itemsize <= SMALL)
    far = max(row, column) * C.itemsize % FAR == 0
    in_tiles = not in_place and n > (2 if far else MANY) * width and (column > 1 or far)
    pieces = 1 if in_place else (terms + DEPTH - 1) // DEPTH
    longest = (terms + pieces - 1) // pieces
    at_once = n if in_place else room.panels.size // (longest * width) * width
    source, step = (B, n) if in_place else (room.panels, width)
    known = again and room.held[0] == place_of(B)
    if room.held.size and not (in_place or known):
        room.held[0] = place_of(B) if again and all_panels_fit(B, room) else 0
    for left in range(0, n, at_once):
        columns = min(at_once, n - left)
        for k in range(0, terms, longest):
            depth = min(longest, terms - k)
            if turned:
                _turn(B, left, columns, k, depth, room.panels, width)
            elif not (in_place or known):
                _copy(B, left, columns, k, depth, room.panels, width)
            for top in range(0, m, BLOCK):
                stop = min(top + BLOCK, m)
                from_a, a, row_step, column_step = A, first + top * row + k * column, row, column
                next_tile = TALL * row
                if in_tiles:
                    if column > 1:
                        _copy_rows(A, a, column, stop - top, depth, room.rows, lanes)
                    else:
                        _turn_rows(A, a, row, stop - top, depth, room.rows)
                    from_a = matrix(room.rows, _START, _SIDE_BY_SIDE, room.rows.size)
                    a, row_step, column_step, next_tile = 0, 1, TALL, TALL * depth
                for start in range(0, columns, width):
                    two = WIDTH == 2 and columns - start > lanes
                    used = min(columns - start - lanes if two else columns - start, lanes)
                    j, b = left + start, start * depth
                    j_next, b_next = j + lanes, b + lanes
                    if in_place:
                        # the last vector may cover columns of the one before it, with the same result
                        j, j_next, used = min(j, n - lanes), min(j_next, n - lanes), lanes
                        b, b_next = j, j_next
                    if two:
                        _two_vectors(
                            from_a, a, row_step, column_step, next_tile, source, b, b_next, step, depth, C, top, stop,
                            j, j_next, used, k == 0,
                        )  # fmt: skip
                    else:
                        _one_vector(
                            from_a, a, row_step, column_step, next_tile, source, b, b_next, step, depth, C, top, stop,
                            j, j_next, used, k == 0,
                        )  # fmt: skip


# What the kernels of the layers call (`kinds/kernel.py`); of the chain they need the thread's room.


def multiply(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← A B, of (m, k) and (k, n), all contiguous."""
    _product(A, _START, A.shape[1], _SIDE_BY_SIDE, B, _AS_IT_IS, C, chain.room, _ONCE)


def multiply_left_transposed(A: Array, first: int, B: Array, C: Array, chain: Any) -> None:
    """C ← A[:, first : first + m]ᵀ B, of (k, ·) and (k, n), all contiguous; C is (m, n)."""
    _product(A, first, _SIDE_BY_SIDE, A.shape[1], B, _AS_IT_IS, C, chain.room, _ONCE)


def multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← A Bᵀ, of (m, k) and (n, k), all contiguous."""
    _product(A, _START, A.shape[1], _SIDE_BY_SIDE, B, _TURNED, C, chain.room, _ONCE)


# What the kernels of the layers call (`kinds/kernel.py`).


def _multiply_input(stored: Stored | None, chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    if stored is not None and i == 0 and stored.rows.size:
        multiply_stored(stored, first, B, C)
    elif chain.single_rows:
        if C.size:
            row_times_matrix(a_in, B, C)
    else:
        multiply(a_in[first : first + C.shape[0]], B, C, chain)


def _multiply_input_transposed(
    stored: Stored | None, chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array
) -> None:
    if stored is not None and i == 0 and stored.rows.size:
        multiply_stored_transposed(stored, first, B, C)
    elif chain.single_rows:
        outer(a_in, first, B, C)
    else:
        # delta stays as it is while the gradients are made: a factor of all rows of them
        is_delta = place_of(B) == place_of(chain.memory) + chain.layers[i, kernel.DELTA] * C.itemsize
        _product(a_in, first, _SIDE_BY_SIDE, a_in.shape[1], B, _AS_IT_IS, C, chain.room, is_delta)


def _kernel_multiply_input(chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    _multiply_input(chain.stored, chain, i, a_in, first, B, C)


def _kernel_multiply_input_transposed(chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    _multiply_input_transposed(chain.stored, chain, i, a_in, first, B, C)


def _kernel_multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    if not chain.single_rows or A.shape[0] > 1:  # a layer may have several rows for one of the batch
        multiply_right_transposed(A, B, C, chain)
    elif C.size:
        row_times_transposed(A, B, C)


teach(kernel.matrix, matrix)
teach(kernel.flat, flat)
teach(kernel.multiply_input, _kernel_multiply_input)
teach(kernel.multiply_input_transposed, _kernel_multiply_input_transposed)
teach(kernel.multiply, multiply)
teach(kernel.multiply_left_transposed, multiply_left_transposed)
teach(kernel.multiply_right_transposed, _kernel_multiply_right_transposed)
