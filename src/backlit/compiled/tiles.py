"""The innermost part of a matrix product: a tile of C that stays in registers while k runs.

    C[i, j]  =  Σ_k  A[i, k] · B[k, j]        some rows i, one or two vectors of columns j

Every number of C is one chain of multiply-adds in the order of k, whatever the tile: so a product has the same bits
however its rows and columns are divided, among tiles or among threads. Source: Goto & van de Geijn, "Anatomy of
High-Performance Matrix Multiplication" (2008).
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from .vectors import Vector, address_of, instruction, masked_load, masked_store, multiply_add, splat

_FEATURES: Final = str(cpu_target.target_context.codegen().magic_tuple()[2]).split(",")

#: Vectors of columns in a tile, and its rows: as many as the registers hold beside the vectors of B. AVX-512 has 32
#: registers of a vector each; the others hold a vector in two (AVX2, of 16) or in four (ARM, of 32).
WIDTH, HEIGHTS = (2, (12, 8, 4)) if "+avx512f" in _FEATURES else (1, (6, 4))


def _tile(rows: int, vectors: int) -> Any:
    """A tile of so many rows and vectors; one of fewer vectors than it could hold stores no more than `used` lanes."""

    @instruction
    def tile(
        typing: Any, A: Any, a: Any, row: Any, column: Any, B: Any, b: Any, b_next: Any, step: Any, depth: Any,
        C: Any, c: Any, c_next: Any, c_step: Any, left: Any, used: Any, fresh: Any,
    ) -> Any:  # fmt: skip
        """C ← A B, or C + A B where it is not `fresh`; of the lowest tile no more rows than are `left`.

        A[i, k] is at a + i · row + k · column of its memory; the vectors of B at b and b_next + k · step; those of C
        at c and c_next + i · c_step.
        """
        vector = Vector(C.dtype)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _Tile(context, builder, signature, vector, rows, vectors).generate(*arguments)

        size, flag = types.intp, types.boolean
        return types.none(A, *[size] * 3, B, *[size] * 4, C, *[size] * 5, flag), generate

    return tile


class _Tile:
    """What generates the code of a tile."""

    def __init__(self, context: Any, builder: Any, signature: Any, vector: Any, rows: int, vectors: int) -> None:
        self.context, self.builder, self.arrays = context, builder, signature.args
        self.vector, self.llvm_type = vector, context.get_value_type(vector)
        self.rows, self.vectors = rows, vectors
        self.align = vector.real.bitwidth // 8

    def generate(
        self, A: Any, a: Any, row: Any, column: Any, B: Any, b: Any, b_next: Any, step: Any, depth: Any, C: Any,
        c: Any, c_next: Any, c_step: Any, left: Any, used: Any, fresh: Any,
    ) -> Any:  # fmt: skip
        builder, whole = self.builder, a.type
        lines = [self._at_most(whole(i), left) if self.rows == HEIGHTS[-1] else whole(i) for i in range(self.rows)]
        from_a = [self._address(0, A, builder.add(a, builder.mul(row, line))) for line in lines]
        from_b = [self._address(4, B, start) for start in (b, b_next)[: self.vectors]]
        results = [
            [
                self._address(9, C, builder.add(start, builder.mul(c_step, line)))
                for start in (c, c_next)[: self.vectors]
            ]
            for line in lines
        ]
        before = builder.block
        going_on, loop, end = (builder.append_basic_block(name) for name in ("going_on", "loop", "end"))
        builder.cbranch(fresh, loop, going_on)

        builder.position_at_end(going_on)
        kept = [[self._load(address, used) for address in line] for line in results]
        going_on = builder.block
        builder.branch(loop)

        builder.position_at_end(loop)
        k = builder.phi(whole)
        totals = [[builder.phi(self.llvm_type) for _ in line] for line in results]
        at_b, at_a = builder.mul(k, step), builder.mul(k, column)
        vectors = [self._load(builder.gep(address, [at_b])) for address in from_b]
        sums = []
        for address, line in zip(from_a, totals, strict=True):
            factor = splat(builder, builder.load(builder.gep(address, [at_a])), self.llvm_type)
            sums.append([multiply_add(builder, factor, x, total) for x, total in zip(vectors, line, strict=True)])
        following = builder.add(k, whole(1))
        for value, starts, later in [
            (k, (whole(0), whole(0)), following),
            *(
                (total, (ir.Constant(self.llvm_type, None), old), new)
                for lines_ in zip(totals, kept, sums, strict=True)
                for total, old, new in zip(*lines_, strict=True)
            ),
        ]:
            value.add_incoming(starts[0], before)
            value.add_incoming(starts[1], going_on)
            value.add_incoming(later, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)

        builder.position_at_end(end)
        for line, addresses in zip(sums, results, strict=True):
            for total, address in zip(line, addresses, strict=True):
                self._store(total, address, used)
        return self.context.get_dummy_value()

    def _at_most(self, line: Any, left: Any) -> Any:
        """A row beyond the last one is the last one again."""
        last = self.builder.sub(left, left.type(1))
        return self.builder.select(self.builder.icmp_signed("<", line, last), line, last)

    def _address(self, argument: int, array: Any, position: Any) -> Any:
        return address_of(self.context, self.builder, self.arrays[argument], array, position)

    def _load(self, address: Any, used: Any = None) -> Any:
        pointer = self.builder.bitcast(address, self.llvm_type.as_pointer())
        if used is None or self.vectors == 2:
            loaded = self.builder.load(pointer)
            loaded.align = self.align
            return loaded
        return masked_load(self.builder, address, self.llvm_type, used)

    def _store(self, total: Any, address: Any, used: Any) -> None:
        pointer = self.builder.bitcast(address, self.llvm_type.as_pointer())
        if self.vectors == 2:
            self.builder.store(total, pointer).align = self.align
            return
        narrow = self.builder.icmp_signed("<", used, used.type(self.vector.lanes))
        with self.builder.if_else(narrow) as (then, otherwise):
            with then:
                masked_store(self.builder, total, address, used)
            with otherwise:
                self.builder.store(total, pointer).align = self.align


#: By vectors and rows.
TILES: Final = {(vectors, rows): _tile(rows, vectors) for vectors in range(1, WIDTH + 1) for rows in HEIGHTS}
