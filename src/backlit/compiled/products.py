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
from numba.extending import overload

from ..kinds import kernel
from ..parameters import Array
from .math import compiled, known
from .vectors import VECTOR, load, multiply_add, store, transpose_4_by_4, zeros

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


@compiled
def _for_blas(m: int, n: int, terms: int, lanes: int) -> bool:
    return m == 1 or n < lanes or m * n * terms > LARGEST * lanes


@compiled
def multiply(A: Array, B: Array, C: Array, panel: Array) -> None:
    """C ← A B, of (m, k) and (k, n). B and C are contiguous; A may be a transposed view."""
    m, n, terms = A.shape[0], B.shape[1], A.shape[1]
    lanes = panel.shape[1]
    if _for_blas(m, n, terms, lanes):
        np.dot(A, B, C)
        return
    for start in range(0, n, lanes):
        j = min(start, n - lanes)  # the last panel may cover columns of the one before it, with the same result
        if m <= FEW_ROWS or B.size * B.itemsize <= SMALL:
            _add_terms(A, 0, terms, B, j, n, C, j, None)
            continue
        for k in range(0, terms, DEPTH):
            depth = min(DEPTH, terms - k)
            for p in range(depth):
                store(load(B, (k + p) * n + j), panel, p * lanes)
            _add_panel(A, k, depth, panel, C, j)


@compiled
def multiply_left_transposed(A: Array, B: Array, C: Array, panel: Array, turned: Array) -> None:
    """C ← Aᵀ B as `multiply`, of (k, m) and (k, n), all contiguous; where C is narrow, through Cᵀ = Bᵀ A."""
    if C.shape[1] < panel.shape[1] <= C.shape[0]:
        rows = turned[: C.size].reshape(C.shape[1], C.shape[0])
        multiply(B.T, A, rows, panel)
        for i in range(C.shape[0]):
            for j in range(C.shape[1]):
                C[i, j] = rows[j, i]
    else:
        multiply(A.T, B, C, panel)


@compiled
def multiply_right_transposed(A: Array, B: Array, C: Array, panel: Array) -> None:
    """C ← A Bᵀ, of (m, k) and (n, k), all contiguous."""
    m, n, terms = A.shape[0], B.shape[0], A.shape[1]
    lanes = panel.shape[1]
    if _for_blas(m, n, terms, lanes):
        np.dot(A, B.T, C)
        return
    for start in range(0, n, lanes):
        j = min(start, n - lanes)
        for k in range(0, terms, DEPTH):
            depth = min(DEPTH, terms - k)
            _turn(B, j, k, depth, panel)
            _add_panel(A, k, depth, panel, C, j)


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
def _add_panel(A: Array, k: int, depth: int, panel: Array, C: Array, j: int) -> None:
    if k == 0:
        _add_terms(A, k, depth, panel, 0, panel.shape[1], C, j, None)
    else:
        _add_terms(A, k, depth, panel, 0, panel.shape[1], C, j, C)


@compiled
def _add_terms(
    A: Array, k: int, depth: int, B: Array, first: int, step: int, C: Array, j: int, before: Array | None
) -> None:
    """C[:, j … j + LANES] ← before + A[:, k … k + depth] times vectors of B: those at first, first + step, …"""
    n, last = C.shape[1], C.shape[0] - 1
    row, column = A.strides[0] // A.itemsize, A.strides[1] // A.itemsize
    for i in range(0, C.shape[0], 4):
        # a row beyond the last one is the last one again
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        if before is None:
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


# What the kernels of the layers call (`kinds/kernel.py`).


@overload(kernel.multiply, strict=False)
def _kernel_multiply(A: Any, B: Any, C: Any, chain: Any) -> Any:
    return lambda A, B, C, chain: multiply(A, B, C, chain.panel)


@overload(kernel.multiply_left_transposed, strict=False)
def _kernel_multiply_left_transposed(A: Any, B: Any, C: Any, chain: Any) -> Any:
    return lambda A, B, C, chain: multiply_left_transposed(A, B, C, chain.panel, chain.turned)


@overload(kernel.multiply_right_transposed, strict=False)
def _kernel_multiply_right_transposed(A: Any, B: Any, C: Any, chain: Any) -> Any:
    return lambda A, B, C, chain: multiply_right_transposed(A, B, C, chain.panel)


known(kernel.multiply, kernel.multiply_left_transposed, kernel.multiply_right_transposed)
