"""Products of a single row, for batches of one: what a step of online learning consists of.

    z = a W            the rows of W, each times a number of a, are added up in registers
    dL/da = W delta    each number is the product of a row of W and delta
    dL/dW = a delta    each row of W is delta times a number

Nothing is copied together, as nothing is used twice. The terms of a sum are added in another order than in `tiles.py`:
these are called where every batch has one row, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..parameters import Array
from .math import compiled, compiled_in_any_order
from .vectors import VECTOR, Vector, address_of, flat, instruction, masked_load, masked_store, multiply_add, splat

#: Vectors of columns at once, and sums of each: so many multiply-adds do not wait for each other.
WIDTH: Final = 2
SUMS: Final = 4


@instruction
def _columns(typing: Any, a: Any, place: Any, depth: Any, B: Any, b: Any, step: Any, C: Any, c: Any, used: Any) -> Any:
    """C[c : c + used] ← Σ_k a[place + k] B[b + k · step : …], of at most WIDTH vectors of columns."""
    vector = Vector(C.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a_value, place_value, depth_value, B_value, b_value, step_value, C_value, c_value, used_value = arguments
        llvm_type, whole = context.get_value_type(vector), place_value.type
        kinds = signature.args
        numbers = address_of(context, builder, kinds[0], a_value, place_value)
        rows = address_of(context, builder, kinds[3], B_value, b_value)
        out = address_of(context, builder, kinds[6], C_value, c_value)
        starts = [whole(v * vector.lanes) for v in range(WIDTH)]
        counts = [builder.sub(used_value, start) for start in starts]

        def added(k: Any, totals: list[Any], sums: int) -> list[Any]:
            found = []
            for s in range(sums):
                term = builder.add(k, whole(s))
                factor = splat(builder, builder.load(builder.gep(numbers, [term])), llvm_type)
                row = builder.gep(rows, [builder.mul(term, step_value)])
                for v, (start, count) in enumerate(zip(starts, counts, strict=True)):
                    x = masked_load(builder, builder.gep(row, [start]), llvm_type, count)
                    found.append(multiply_add(builder, factor, x, totals[s * WIDTH + v]))
            return found

        def loop(name: str, first: Any, stop: Any, step: int, totals: list[Any]) -> list[Any]:
            """Add up from `first` to below `stop`."""
            before = builder.block
            body, end = builder.append_basic_block(name), builder.append_basic_block(f"after_{name}")
            builder.cbranch(builder.icmp_signed("<", first, stop), body, end)
            builder.position_at_end(body)
            k, sums = builder.phi(whole), [builder.phi(llvm_type) for _ in totals]
            later = added(k, sums, len(totals) // WIDTH)
            following = builder.add(k, whole(step))
            for value, start, then in zip([k, *sums], [first, *totals], [following, *later], strict=True):
                value.add_incoming(start, before)
                value.add_incoming(then, body)
            builder.cbranch(builder.icmp_signed("<", following, stop), body, end)
            builder.position_at_end(end)
            found = []
            for start, then in zip(totals, later, strict=True):
                value = builder.phi(llvm_type)
                value.add_incoming(start, before)
                value.add_incoming(then, body)
                found.append(value)
            return found

        even = builder.and_(depth_value, whole(-SUMS))
        totals = loop("fours", whole(0), even, SUMS, [ir.Constant(llvm_type, None)] * (WIDTH * SUMS))
        pairs = [totals[v::WIDTH] for v in range(WIDTH)]
        together = [builder.fadd(builder.fadd(p[0], p[1]), builder.fadd(p[2], p[3])) for p in pairs]
        together = loop("rest", even, depth_value, 1, together)
        for start, count, total in zip(starts, counts, together, strict=True):
            masked_store(builder, total, builder.gep(out, [start]), count)
        return context.get_dummy_value()

    size = types.intp
    return types.none(a, size, size, B, size, size, C, size, size), generate


@compiled
def row_times_matrix(A: Array, B: Array, C: Array) -> None:
    """C ← A B, of (1, k) and (k, n)."""
    depth, n = B.shape
    at_once = WIDTH * VECTOR // B.itemsize
    for left in range(0, n, at_once):
        _columns(A, 0, depth, B, left, n, C, left, min(at_once, n - left))


@compiled_in_any_order
def row_times_transposed(A: Array, B: Array, C: Array) -> None:
    """C ← A Bᵀ, of (1, k) and (n, k)."""
    a, c = flat(A), flat(C)
    for j in range(c.size):
        row = B[j]
        total = a.dtype.type(0)
        for k in range(a.size):
            total += a[k] * row[k]
        c[j] = total


@instruction
def _scaled(typing: Any, A: Any, first: Any, count: Any, B: Any, b: Any, C: Any, c: Any, step: Any, used: Any) -> Any:
    """C[c + i · step : …] ← A[first + i] B[b : b + used], for so many i, of at most WIDTH vectors of columns."""
    vector = Vector(C.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        A_value, first_value, count_value, B_value, b_value, C_value, c_value, step_value, used_value = arguments
        llvm_type, whole = context.get_value_type(vector), first_value.type
        kinds = signature.args
        numbers = address_of(context, builder, kinds[0], A_value, first_value)
        from_b = address_of(context, builder, kinds[3], B_value, b_value)
        out = address_of(context, builder, kinds[5], C_value, c_value)
        starts = [whole(v * vector.lanes) for v in range(WIDTH)]
        counts = [builder.sub(used_value, start) for start in starts]
        rows = [
            masked_load(builder, builder.gep(from_b, [start]), llvm_type, count)
            for start, count in zip(starts, counts, strict=True)
        ]
        with cgutils.for_range(builder, count_value) as loop:
            factor = splat(builder, builder.load(builder.gep(numbers, [loop.index])), llvm_type)
            row = builder.gep(out, [builder.mul(loop.index, step_value)])
            for start, count, x in zip(starts, counts, rows, strict=True):
                masked_store(builder, builder.fmul(factor, x), builder.gep(row, [start]), count)
        return context.get_dummy_value()

    size = types.intp
    return types.none(A, size, size, B, size, C, size, size, size), generate


@compiled
def outer(A: Array, first: int, B: Array, C: Array) -> None:
    """C ← A[:, first : …]ᵀ B, of (1, ·) and (1, n): as many columns of A as C has rows."""
    m, n = C.shape
    at_once = WIDTH * VECTOR // B.itemsize
    for left in range(0, n, at_once):
        _scaled(A, first, m, B, left, C, left, n, min(at_once, n - left))
