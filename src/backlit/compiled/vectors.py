"""Vectors of the processor as values, for Numba: what the products are written in.

Each function below is one instruction, or a few, that the compiler is handed as it stands. An array is its memory here,
and a position counts numbers from where that begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.extending import models
from numba.np.arrayobj import populate_array

#: A vector, in bytes: a register of AVX-512, two of AVX2, four of the older ones and of ARM.
VECTOR: Final = 64


def instruction(function: Callable[..., Any]) -> Any:
    """Make a function of Numba's types into one of the values: it gives the signature, and what generates the code.

    The first argument comes from Numba; a caller leaves it out.
    """
    return extending.intrinsic(function)


class Vector(types.Type):
    """The type, for Numba, of a vector of real numbers."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.lanes = VECTOR * 8 // real.bitwidth
        super().__init__(name=f"Vector({real})")


@extending.register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        real = manager.lookup(vector.real).get_value_type()
        super().__init__(manager, vector, ir.VectorType(real, vector.lanes))  # type: ignore[no-untyped-call]


def address_of(context: Any, builder: Any, array_type: Any, array: Any, position: Any = None) -> Any:
    """Where an array begins in memory, or where its number at a position stands."""
    begin = context.make_array(array_type)(context, builder, array).data
    return begin if position is None else builder.gep(begin, [position])


def splat(builder: Any, number: Any, llvm_type: Any) -> Any:
    """A vector with the number in every lane."""
    nothing = ir.Constant(llvm_type, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), llvm_type.count), None))


def multiply_add(builder: Any, x: Any, y: Any, total: Any) -> Any:
    """x · y + total of vectors: one instruction where the processor has it, otherwise two."""
    kind = ir.FunctionType(total.type, [total.type] * 3)
    return builder.call(llvm_function(builder, f"llvm.fmuladd.{_short(total.type)}", kind), [x, y, total])


def masked_load(builder: Any, address: Any, llvm_type: Any, count: Any) -> Any:
    """The first numbers of a vector; what stands after them is not touched, and is zero."""
    pointer, mask, align = _masked(builder, address, llvm_type, count)
    kind = ir.FunctionType(llvm_type, [pointer.type, align.type, mask.type, llvm_type])
    function = llvm_function(builder, f"llvm.masked.load.{_short(llvm_type)}.p0{_short(llvm_type)}", kind)
    return builder.call(function, [pointer, align, mask, ir.Constant(llvm_type, None)])


def masked_store(builder: Any, vector: Any, address: Any, count: Any) -> None:
    """Write the first numbers of a vector; what stands after them is not touched."""
    pointer, mask, align = _masked(builder, address, vector.type, count)
    kind = ir.FunctionType(ir.VoidType(), [vector.type, pointer.type, align.type, mask.type])
    function = llvm_function(builder, f"llvm.masked.store.{_short(vector.type)}.p0{_short(vector.type)}", kind)
    builder.call(function, [vector, pointer, align, mask])


def _masked(builder: Any, address: Any, llvm_type: Any, count: Any) -> tuple[Any, Any, Any]:
    places = ir.VectorType(ir.IntType(32), llvm_type.count)
    lanes = ir.Constant(places, list(range(llvm_type.count)))
    mask = builder.icmp_signed("<", lanes, splat(builder, builder.trunc(count, ir.IntType(32)), places))
    size = 4 if isinstance(llvm_type.element, ir.FloatType) else 8
    return builder.bitcast(address, llvm_type.as_pointer()), mask, ir.IntType(32)(size)


def _short(llvm_type: Any) -> str:
    return f"v{llvm_type.count}f{32 if isinstance(llvm_type.element, ir.FloatType) else 64}"


def llvm_function(builder: Any, name: str, kind: Any) -> Any:
    """A function that LLVM brings."""
    return cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]


@instruction
def matrix(typing: Any, vector: Any, start: Any, rows: Any, columns: Any) -> Any:
    """A part of a vector as a matrix, which does not hold the memory that it stands in: nothing has to be counted."""
    made = types.Array(vector.dtype, 2, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place, m, n = arguments
        address = address_of(context, builder, signature.args[0], array, place)
        return _array(context, builder, made, address, m, n)

    return made(vector, types.intp, types.intp, types.intp), generate


@instruction
def flat(typing: Any, array: Any) -> Any:
    """The numbers of a matrix that stand together one after the other, in the same way."""
    if array.layout != "C":
        return None
    made = types.Array(array.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, arguments[0])
        return _array(context, builder, made, given.data, given.nitems)

    return made(array), generate


@instruction
def read_as(typing: Any, array: Any, like: Any) -> Any:
    """The bytes of a matrix as numbers of a type."""
    made = types.Array(like.dtype, 2, "C", readonly=True)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(array)(context, builder, arguments[0])
        address = builder.bitcast(given.data, context.get_data_type(like.dtype).as_pointer())
        rows, columns = cgutils.unpack_tuple(builder, given.shape)  # type: ignore[no-untyped-call]
        size = ir.Constant(columns.type, like.dtype.bitwidth // 8)
        return _array(context, builder, made, address, rows, builder.sdiv(columns, size))

    return made(array, like), generate


@instruction
def placed(typing: Any, part: Any, start: Any, size: Any) -> Any:
    """A vector of that size, of which only the part is there that stands from `start` on."""
    made = types.Array(part.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place, count = arguments
        address = address_of(context, builder, signature.args[0], array, builder.neg(place))
        vector = context.make_array(made)(context, builder)
        item = ir.Constant(count.type, part.dtype.bitwidth // 8)
        populate_array(vector, address, (count,), (item,), item, meminfo=None)  # type: ignore[no-untyped-call]
        return vector._getvalue()

    return made(part, types.intp, types.intp), generate


@instruction
def place_of(typing: Any, array: Any) -> Any:
    """Where an array begins in memory, as a number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], arguments[0])
        return builder.ptrtoint(address, context.get_value_type(types.intp))

    return types.intp(array), generate


@instruction
def same_bits(typing: Any, number: Any, like: Any) -> Any:
    """The bits of a number as one of another type."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(like.dtype))

    return like.dtype(number, like), generate


def _array(context: Any, builder: Any, kind: Any, address: Any, *shape: Any) -> Any:
    array = context.make_array(kind)(context, builder)
    size = ir.Constant(shape[-1].type, kind.dtype.bitwidth // 8)
    strides = [builder.mul(columns, size) for columns in shape[1:]] + [size]
    populate_array(array, address, shape, strides, size, meminfo=None)  # type: ignore[no-untyped-call]
    return array._getvalue()


@instruction
def load(typing: Any, array: Any, position: Any) -> Any:
    """The vector that begins at a position of the array's memory."""
    vector = Vector(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], *arguments)
        loaded = builder.load(builder.bitcast(address, context.get_value_type(vector).as_pointer()))
        loaded.align = array.dtype.bitwidth // 8
        return loaded

    return vector(array, types.intp), generate


@instruction
def store(typing: Any, vector: Any, array: Any, position: Any) -> Any:
    """Write the vector to a position of the array's memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[1], *arguments[1:])
        stored = builder.store(arguments[0], builder.bitcast(address, arguments[0].type.as_pointer()))
        stored.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(vector, array, types.intp), generate


@instruction
def load_some(typing: Any, array: Any, position: Any, count: Any) -> Any:
    """The first numbers of the vector that begins at a position; zeros after them, wherever the array ends."""
    vector = Vector(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_value, position_value, count_value = arguments
        address = address_of(context, builder, signature.args[0], array_value, position_value)
        return masked_load(builder, address, context.get_value_type(vector), count_value)

    return vector(array, types.intp, types.intp), generate


@instruction
def transpose_4_by_4(
    typing: Any, source: Any, position: Any, step: Any, target: Any, place: Any, target_step: Any
) -> Any:
    """Write the transpose of the 4 × 4 numbers at a position of one array to a place of another.

    The rows of either are a step apart.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_value, position_value, step_value, target_value, place_value, target_step_value = arguments
        pointer = ir.VectorType(context.get_value_type(source.dtype), 4).as_pointer()

        def row(array_type: Any, array: Any, start: Any, distance: Any, number: int) -> Any:
            offset = builder.add(start, builder.mul(distance, ir.Constant(distance.type, number)))
            return builder.bitcast(address_of(context, builder, array_type, array, offset), pointer)

        def mixed(x: Any, y: Any, *lanes: int) -> Any:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 4), [ir.Constant(ir.IntType(32), lane) for lane in lanes])
            return builder.shuffle_vector(x, y, mask)

        rows = []
        for number in range(4):
            rows.append(builder.load(row(signature.args[0], source_value, position_value, step_value, number)))
            rows[-1].align = source.dtype.bitwidth // 8
        left = mixed(rows[0], rows[1], 0, 4, 1, 5), mixed(rows[2], rows[3], 0, 4, 1, 5)
        right = mixed(rows[0], rows[1], 2, 6, 3, 7), mixed(rows[2], rows[3], 2, 6, 3, 7)
        columns = [mixed(*half, *lanes) for half in (left, right) for lanes in ((0, 1, 4, 5), (2, 3, 6, 7))]
        for number, column in enumerate(columns):
            address = row(signature.args[3], target_value, place_value, target_step_value, number)
            builder.store(column, address).align = source.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(source, types.intp, types.intp, target, types.intp, types.intp), generate
