"""Products of the small matrices of one step, for Numba.

BLAS is made for large matrices: it first copies both factors into the order that its kernel reads, and a batch of ten
rows is over before that has paid. Here four rows of C stay in registers, as wide as a vector of the processor (LANES
numbers), while k runs:

    C[i, j … j + LANES]  =  Σ_k  A[i, k] · B[k, j … j + LANES]        for four i at once

Each number of B is read once for four multiplications, each number of A once for LANES. Where many rows follow, these
columns of B are first copied to stand together: a panel. Products beyond LARGEST, where BLAS is as fast and has several
threads, are left to it. Source: Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), of
which this is the innermost part.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..kinds import kernel
from ..parameters import Array
from .blas import blas_product, blas_vector_product
from .math import compiled, teach
from .stored import Stored, multiply_stored, multiply_stored_transposed
from .vectors import VECTOR, load, matrix, multiply_add, store, transpose_4_by_4, zeros

#: Multiplications of vectors, beyond which BLAS is as fast, and may have several threads (`threads.py`).
LARGEST: Final = 2**19

#: Up to this many rows, or this many bytes of B, a copy would not pay: B is read where it stands.
FEW_ROWS: Final = 16
SMALL: Final = 2**14

#: Rows of a panel: it stays in the processor's first cache.
DEPTH: Final = 256


def empty_panel(dtype: Any) -> Array:
    """Room for a panel, (DEPTH, LANES); it begins where a vector does."""
    room = np.empty((DEPTH + 1) * VECTOR, np.uint8)
    skipped = -room.ctypes.data % VECTOR
    panel: Array = room[skipped : skipped + DEPTH * VECTOR].view(dtype).reshape(DEPTH, -1)
    return panel


# Numba compiles a function anew for every number that is written out where it is called: these have a type alone.
_START, _SIDE_BY_SIDE = np.intp(0), np.intp(1)
_STRAIGHT, _TURNED = np.bool_(False), np.bool_(True)


@compiled
def _for_blas(m: int, n: int, terms: int, lanes: int) -> bool:
    return m == 1 or n < lanes or m * n * terms > LARGEST * lanes


@compiled
def _by_blas(A: Array, turn_a: Any, B: Array, turn_b: Any, C: Array, terms: int) -> None:
    m, n = C.shape
    if n == 1:  # B is a column, turned or not
        blas_vector_product(A, turn_a, A.shape[0], A.shape[1], B, C)
    elif m == 1:  # A is a row: Cᵀ = Bᵀ Aᵀ
        blas_vector_product(B, not turn_b, B.shape[0], B.shape[1], A, C)
    else:
        blas_product(A, turn_a, A.shape[1], B, turn_b, B.shape[1], C, m, n, terms)


@compiled
def _add_terms(
    A: Array, row: int, column: int, k: int, depth: int, B: Array, first: int, step: int, C: Array, j: int
) -> None:
    """Add A[:, k … k + depth] times vectors of B, those at first, first + step, …, to C[:, j … j + LANES].

    The first terms, those from k = 0, replace what stands there. A[i, k] is at i · row + k · column of its memory.
    """
    n, last = C.shape[1], C.shape[0] - 1
    for i in range(0, C.shape[0], 4):
        # a row beyond the last one is the last one again
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        if k == 0:
            c0, c1, c2, c3 = zeros(C), zeros(C), zeros(C), zeros(C)
        else:
            c0, c1, c2, c3 = load(C, i * n + j), load(C, i1 * n + j), load(C, i2 * n + j), load(C, i3 * n + j)
        for p in range(depth):
            b, a = load(B, first + p * step), (k + p) * column
            c0 = multiply_add(A, i * row + a, b, c0)
            c1 = multiply_add(A, i1 * row + a, b, c1)
            c2 = multiply_add(A, i2 * row + a, b, c2)
            c3 = multiply_add(A, i3 * row + a, b, c3)
        store(c0, C, i * n + j)
        store(c1, C, i1 * n + j)
        store(c2, C, i2 * n + j)
        store(c3, C, i3 * n + j)


@compiled
def _turn(B: Array, j: int, k: int, depth: int, panel: Array) -> None:
    """panel ← B[j … j + LANES, k … k + depth]ᵀ."""
    lanes, terms = panel.shape[1], B.shape[1]
    whole = depth - depth % 4
    for p in range(0, whole, 4):
        for lane in range(0, lanes, 4):
            transpose_4_by_4(B, (j + lane) * terms + k + p, terms, panel, p * lanes + lane, lanes)
    for p in range(whole, depth):
        for lane in range(lanes):
            panel[p, lane] = B[j + lane, k + p]


@compiled
def _product(A: Array, turned: Any, B: Array, C: Array, panel: Array) -> None:
    """C ← A B, all contiguous; or Aᵀ B where A is turned."""
    m, n, terms = C.shape[0], C.shape[1], B.shape[0]
    lanes = panel.shape[1]
    row, column = (1, A.shape[1]) if turned else (A.shape[1], 1)
    if _for_blas(m, n, terms, lanes):
        _by_blas(A, turned, B, _STRAIGHT, C, terms)
        return
    for start in range(0, n, lanes):
        j = min(start, n - lanes)  # the last panel may cover columns of the one before it, with the same result
        if m <= FEW_ROWS or B.size * B.itemsize <= SMALL:
            _add_terms(A, row, column, _START, terms, B, j, n, C, j)
            continue
        for k in range(0, terms, DEPTH):
            depth = min(DEPTH, terms - k)
            for p in range(depth):
                store(load(B, (k + p) * n + j), panel, p * lanes)
            _add_terms(A, row, column, k, depth, panel, _START, lanes, C, j)


@compiled
def multiply(A: Array, B: Array, C: Array, panel: Array) -> None:
    """C ← A B, of (m, k) and (k, n), all contiguous."""
    _product(A, _STRAIGHT, B, C, panel)


@compiled
def multiply_left_transposed(A: Array, B: Array, C: Array, panel: Array, turned: Array) -> None:
    """C ← Aᵀ B as `multiply`, of (k, m) and (k, n), all contiguous; where C is narrow, through Cᵀ = Bᵀ A."""
    if C.shape[1] < panel.shape[1] <= C.shape[0]:
        rows = matrix(turned, 0, C.shape[1], C.shape[0])
        _product(B, _TURNED, A, rows, panel)
        for i in range(C.shape[0]):
            for j in range(C.shape[1]):
                C[i, j] = rows[j, i]
    else:
        _product(A, _TURNED, B, C, panel)


@compiled
def multiply_right_transposed(A: Array, B: Array, C: Array, panel: Array) -> None:
    """C ← A Bᵀ, of (m, k) and (n, k), all contiguous."""
    m, n, terms = A.shape[0], B.shape[0], A.shape[1]
    lanes = panel.shape[1]
    if _for_blas(m, n, terms, lanes):
        _by_blas(A, _STRAIGHT, B, _TURNED, C, terms)
        return
    for start in range(0, n, lanes):
        j = min(start, n - lanes)
        for k in range(0, terms, DEPTH):
            depth = min(DEPTH, terms - k)
            _turn(B, j, k, depth, panel)
            _add_terms(A, terms, _SIDE_BY_SIDE, k, depth, panel, _START, lanes, C, j)


# What the kernels of the layers call (`kinds/kernel.py`).


def _multiply_input(stored: Stored | None, chain: Any, i: Any, a_in: Array, B: Array, C: Array) -> None:
    if stored is not None and i == 0 and stored.rows.size:
        multiply_stored(stored, B, C)
    else:
        multiply(a_in, B, C, chain.panel)


def _multiply_input_transposed(stored: Stored | None, chain: Any, i: Any, a_in: Array, B: Array, C: Array) -> None:
    if stored is not None and i == 0 and stored.rows.size:
        multiply_stored_transposed(stored, B, C)
    else:
        multiply_left_transposed(a_in, B, C, chain.panel, chain.turned)


def _kernel_multiply_input(chain: Any, i: Any, a_in: Array, B: Array, C: Array) -> None:
    _multiply_input(chain.stored, chain, i, a_in, B, C)


def _kernel_multiply_input_transposed(chain: Any, i: Any, a_in: Array, B: Array, C: Array) -> None:
    _multiply_input_transposed(chain.stored, chain, i, a_in, B, C)


def _kernel_multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    multiply_right_transposed(A, B, C, chain.panel)


teach(kernel.matrix, matrix)
teach(kernel.multiply_input, _kernel_multiply_input)
teach(kernel.multiply_input_transposed, _kernel_multiply_input_transposed)
teach(kernel.multiply_right_transposed, _kernel_multiply_right_transposed)
