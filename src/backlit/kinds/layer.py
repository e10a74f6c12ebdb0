"""What every layer has.

A layer is a description (units, activation, rate) until a `Network` is made of it. The network copies the
description, tells the copy its sizes, and binds its parameters as views into the one vector.
"""

from __future__ import annotations

from typing import Protocol

from ..parameters import ParameterVector
from ..typing import Spec


class Layer(Protocol):
    """The interface of a layer."""

    inputs: int
    outputs: int

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Take note of the number of inputs; return the shapes of the parameters by short name."""
        ...

    def bind(self, parameters: ParameterVector, index: int) -> None:
        """Hold views of this layer's parameters; `index` is the layer's place in the network's list."""
        ...

    def spec(self) -> Spec:
        """The description, in values that JSON can hold."""
        ...
