"""The BLAS that SciPy brings, called from compiled functions: products of matrices of any size.

Numba's own `np.dot` is compiled anew for every order of the numbers in its arguments, with checks of their shapes; here
the addresses and the shapes are handed over as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.linalg import ensure_blas

from .vectors import address_of, instruction

# SciPy's BLAS is loaded at once: `threads` limits the libraries that it finds loaded.
ensure_blas()  # type: ignore[no-untyped-call]

_CHAR, _INT, _SIZE = ir.IntType(8), ir.IntType(32), ir.IntType(8 * np.dtype(np.intp).itemsize)
_ADDRESS = _CHAR.as_pointer()


def _kind(array: Any) -> Any:
    return _CHAR(ord("s" if array.dtype == types.float32 else "d"))


def _constant(builder: Any, array: Any, number: float) -> Any:
    real = ir.FloatType() if array.dtype == types.float32 else ir.DoubleType()
    return builder.bitcast(cgutils.alloca_once_value(builder, real(number)), _ADDRESS)  # type: ignore[no-untyped-call]


def _letter(builder: Any, transposed: Any) -> Any:
    return builder.select(transposed, _CHAR(ord("t")), _CHAR(ord("n")))


@instruction
def blas_product(
    typing: Any, A: Any, turn_a: Any, step_a: Any, B: Any, turn_b: Any, step_b: Any, C: Any, m: Any, n: Any, terms: Any
) -> Any:
    """C ← A B, of (m, terms) and (terms, n), where C is contiguous and the rows of A and B are a step apart.

    A factor that is turned stands in memory as its transpose.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, turn_left, lda, b, turn_right, ldb, c, rows, columns, inner = arguments
        a, b, c = (
            builder.bitcast(address_of(context, builder, signature.args[place], array), _ADDRESS)
            for place, array in ((0, a), (3, b), (6, c))
        )
        one, zero = _constant(builder, C, 1.0), _constant(builder, C, 0.0)
        # BLAS counts by columns, where a matrix of ours is its transpose: Cᵀ = Bᵀ Aᵀ
        letters = _letter(builder, turn_right), _letter(builder, turn_left)
        sides = [_CHAR] * 3 + [_SIZE] * 3 + [_ADDRESS] * 2 + [_SIZE, _ADDRESS, _SIZE, _ADDRESS, _ADDRESS, _SIZE]
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(_INT, sides), "numba_xxgemm"
        )
        builder.call(function, [_kind(C), *letters, columns, rows, inner, one, b, ldb, a, lda, zero, c, columns])
        return context.get_dummy_value()

    flag, size = types.boolean, types.intp
    return types.none(A, flag, size, B, flag, size, C, size, size, size), generate


@instruction
def blas_vector_product(typing: Any, A: Any, turned: Any, rows: Any, columns: Any, x: Any, y: Any) -> Any:
    """y ← A x for a contiguous A of (rows, columns) in memory, or Aᵀ x where it is turned; x and y are contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, turn, m, n, vector, result = arguments
        a, vector, result = (
            builder.bitcast(address_of(context, builder, signature.args[place], array), _ADDRESS)
            for place, array in ((0, a), (4, vector), (5, result))
        )
        one, zero = _constant(builder, A, 1.0), _constant(builder, A, 0.0)
        letter = _letter(builder, builder.not_(turn))  # by columns, A is its transpose
        sides = [_CHAR] * 2 + [_SIZE] * 2 + [_ADDRESS] * 2 + [_SIZE] + [_ADDRESS] * 3
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(_INT, sides), "numba_xxgemv"
        )
        builder.call(function, [_kind(A), letter, n, m, one, a, n, vector, zero, result])
        return context.get_dummy_value()

    return types.none(A, types.boolean, types.intp, types.intp, x, y), generate
