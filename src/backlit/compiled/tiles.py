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

from .vectors import Vector, address_of, instruction, llvm_function, masked_load, masked_store, multiply_add, splat

_FEATURES: Final = str(cpu_target.target_context.codegen().magic_tuple()[2]).split(",")

#: Vectors of columns in a tile, and its rows: as many as the registers hold beside the vectors of B. AVX-512 has 32
#: registers of a vector each; the others hold a vector in two (AVX2, of 16) or in four (ARM, of 32).
WIDTH, HEIGHTS = (2, (12, 4)) if "+avx512f" in _FEATURES else (1, (6, 4))

#: From so many terms on, the memory of C is asked for before they are added up.
LONG: Final = 64


def _tile(rows: int, vectors: int) -> Any:
    """A tile of so many rows and vectors."""

    @instruction
    def tile(
        typing: Any, A: Any, a: Any, row: Any, column: Any, B: Any, b: Any, b_next: Any, step: Any, depth: Any,
        C: Any, c: Any, c_next: Any, c_step: Any, left: Any, used: Any, fresh: Any,
    ) -> Any:  # fmt: skip
        """C ← A B, or C + A B where it is not `fresh`.

        A[i, k] is at a + i · row + k · column of its memory; the vectors of B at b and b_next + k · step; those of C at
        c and c_next + i · c_step. Of the last vector of C the first `used` numbers are there; the lowest tile has no
        more rows than are `left`.
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
        lines = [self._at_most(whole(i), left) if i >= self.rows - 4 else whole(i) for i in range(self.rows)]
        results = [
            self._address(9, C, builder.add(start, builder.mul(c_step, line)))
            for line in lines
            for start in (c, c_next)[: self.vectors]
        ]
        # rows of A in fours: the processor adds a row's distance, twice and three times it to an address by the way
        fours = [self._address(0, A, builder.add(a, builder.mul(row, whole(i)))) for i in range(0, self.rows, 4)]
        distances = [builder.mul(row, builder.sub(line, whole(i // 4 * 4))) for i, line in enumerate(lines)]
        starts, gap = [depth, self._address(4, B, b), *fours], builder.sub(b_next, b)
        with builder.if_then(builder.icmp_signed(">=", depth, whole(LONG))):
            for address in results:
                self._fetch(address)

        before = builder.block
        going_on, loop, end = (builder.append_basic_block(name) for name in ("going_on", "loop", "end"))
        builder.cbranch(fresh, loop, going_on)
        builder.position_at_end(going_on)
        kept = [
            self._load(address, used if place % self.vectors == self.vectors - 1 else None)
            for place, address in enumerate(results)
        ]
        going_on = builder.block
        builder.branch(loop)

        builder.position_at_end(loop)
        moving = [builder.phi(start.type) for start in starts]
        totals = [builder.phi(self.llvm_type) for _ in results]
        remaining, *addresses = moving
        from_b, *from_a = [self._as_it_is(address) for address in addresses]
        vectors = (
            [self._load(from_b), self._load(builder.gep(from_b, [gap]))] if self.vectors == 2 else [self._load(from_b)]
        )
        sums: list[Any] = []
        for i in range(self.rows):
            number = builder.load(builder.gep(from_a[i // 4], [distances[i]]))
            factor = splat(builder, number, self.llvm_type)
            sums += [multiply_add(builder, factor, x, totals[len(sums) + v]) for v, x in enumerate(vectors)]
        fewer = builder.sub(remaining, whole(1))
        later = [fewer, builder.gep(from_b, [step]), *(builder.gep(address, [column]) for address in from_a)]
        for value, start, then in zip(moving, starts, later, strict=True):
            value.add_incoming(start, before)
            value.add_incoming(start, going_on)
            value.add_incoming(then, loop)
        for total, old, new in zip(totals, kept, sums, strict=True):
            total.add_incoming(ir.Constant(self.llvm_type, None), before)
            total.add_incoming(old, going_on)
            total.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed(">", fewer, whole(0)), loop, end)

        builder.position_at_end(end)
        self._store(sums, results, used)
        return self.context.get_dummy_value()

    def _fetch(self, address: Any) -> None:
        """Ask for the numbers of C, which are written when the loop is over."""
        builder, flag = self.builder, ir.IntType(32)
        pointer = builder.bitcast(address, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, flag, flag, flag])
        builder.call(llvm_function(builder, "llvm.prefetch.p0i8", kind), [pointer, flag(1), flag(3), flag(1)])

    def _as_it_is(self, address: Any) -> Any:
        """The address, of which LLVM does not know where it comes from.

        It would make a single one of all, to which it then adds a row's distance again and again.
        """
        kind = ir.FunctionType(address.type, [address.type])
        return self.builder.asm(kind, "", "=r,0", [address], side_effect=False)

    def _at_most(self, line: Any, left: Any) -> Any:
        """A row beyond the last one is the last one again."""
        last = self.builder.sub(left, left.type(1))
        return self.builder.select(self.builder.icmp_signed("<", line, last), line, last)

    def _address(self, argument: int, array: Any, position: Any) -> Any:
        return address_of(self.context, self.builder, self.arrays[argument], array, position)

    def _load(self, address: Any, used: Any = None) -> Any:
        pointer = self.builder.bitcast(address, self.llvm_type.as_pointer())
        if used is not None:
            return masked_load(self.builder, address, self.llvm_type, used)
        loaded = self.builder.load(pointer)
        loaded.align = self.align
        return loaded

    def _store(self, sums: list[Any], addresses: list[Any], used: Any) -> None:
        builder, places = self.builder, range(len(sums))
        last = [place for place in places if place % self.vectors == self.vectors - 1]
        for place in places:
            if place not in last:
                self._write(sums[place], addresses[place])
        if WIDTH == 2:  # AVX-512 writes a part of a vector as fast as the whole
            for place in last:
                masked_store(builder, sums[place], addresses[place], used)
            return
        with builder.if_else(builder.icmp_signed(">=", used, used.type(self.vector.lanes))) as (then, otherwise):
            with then:
                for place in last:
                    self._write(sums[place], addresses[place])
            with otherwise:
                for place in last:
                    masked_store(builder, sums[place], addresses[place], used)

    def _write(self, total: Any, address: Any) -> None:
        pointer = self.builder.bitcast(address, self.llvm_type.as_pointer())
        self.builder.store(total, pointer).align = self.align


#: By vectors and rows.
TILES: Final = {(vectors, rows): _tile(rows, vectors) for vectors in {1, WIDTH} for rows in HEIGHTS}
