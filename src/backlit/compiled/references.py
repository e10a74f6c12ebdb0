"""Named tuples handed on by their address, for Numba.

A function that is given a tuple of arrays gets the address, sizes and strides of each: a hundred numbers for a
`Chain`, written and read again at every call, which is a large part of what is compiled. Of an address there is one.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils, imputils
from numba.core.typing import templates
from numba.extending import models, register_model

from .vectors import instruction

_imputils: Any = imputils  # without types
_templates: Any = templates
_cgutils: Any = cgutils


class Reference(types.Type):
    """The type, for Numba, of the address of a named tuple; it has the attributes of the tuple."""

    def __init__(self, record: Any) -> None:
        self.record = record
        super().__init__(name=f"Reference({record})")


@register_model(Reference)
class _ReferenceModel(models.PrimitiveModel):
    def __init__(self, manager: Any, reference: Reference) -> None:
        record = manager.lookup(reference.record).get_value_type()
        super().__init__(manager, reference, record.as_pointer())  # type: ignore[no-untyped-call]


@instruction
def refer(typing: Any, record: Any) -> Any:
    """The address of a named tuple, which stands on the stack until the function that asks for it returns."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _cgutils.alloca_once_value(builder, arguments[0])

    return Reference(record)(record), generate


@_templates.infer_getattr
class _Fields(_templates.AttributeTemplate):  # type: ignore[misc]
    key = Reference

    def generic_resolve(self, reference: Reference, name: str) -> Any:
        fields = reference.record.fields
        return reference.record[fields.index(name)] if name in fields else None


@_imputils.lower_getattr_generic(Reference)  # type: ignore[untyped-decorator]
def _field(context: Any, builder: Any, reference: Reference, address: Any, name: str) -> Any:
    place = reference.record.fields.index(name)
    loaded = builder.load(_cgutils.gep_inbounds(builder, address, 0, place))
    return _imputils.impl_ret_borrowed(context, builder, reference.record[place], loaded)
