"""What a compiled step is told: data, network and optimiser as arrays and numbers, in the place of objects."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ..parameters import Array
from .products import Room
from .stored import Stored

#: Types of X that are read as they are, in the order of `Data.kind`.
INPUT_TYPES: Final = ("float32", "float64", "uint8")


class Data(NamedTuple):
    """All rows. X stays in the type it came in, and is passed as bytes: one compiled function takes every type."""

    X: Array  # (n, inputs · bytes of a number); (n, 0) where the rows are sparse
    kind: int
    input_scale: float
    Y: Array  # (n, outputs)
    weight: Array  # (n,), or (0,) where every row counts once


class Batch(NamedTuple):
    """Room for the rows of one step; or, where a step takes all rows, these rows."""

    a: Array  # (batch, inputs), or (batch, 0) where the rows are sparse
    y: Array  # (batch, outputs)
    weight: Array  # (batch,)


class Chain(NamedTuple):
    """The network: see `kinds.kernel`."""

    layers: Array  # (layers, COLUMNS)
    settings: Array  # (layers, largest number of settings)
    first_learning: int  # nobody needs delta below this layer
    remembers: bool  # whether there are buffers
    parts: Array  # (parameters, 7), in the columns below
    memory: Array  # a, delta and room of every layer
    first: Array  # (1,): the number of the first row at work in its batch
    room: Room  # each thread's own
    stored: Stored | None  # sparse rows; None where the plan knows none
    values: Array  # (P,)
    sums: Array  # (P + 2,)
    buffers: Array  # (B,)
    losses: Array  # (batch,): w L of every row
    pieces: Array  # (number of `PIECE`s,): sums over pieces of the vector
    loss: int
    loss_setting: float
    l1: float
    l2: float
    divide_penalty: bool
    seed: Any  # uint64


#: The columns of `Chain.parts`: where a parameter stands in the vector, whether it is a weight, the layer, its number
#: in the layer, how many numbers a row of it has (one, where it has a single axis), and whether its gradient is left by
#: the backward pass.
START, STOP, IS_WEIGHT, LAYER, PART, ROW, LEFT = range(7)


class Rule(NamedTuple):
    """The optimiser."""

    kind: int
    settings: Array
    clip_norm: float  # infinity where the gradient is not clipped
    whole: bool  # whether a parameter is moved whole: its norm, say, may be needed
    slots: Array  # (slots, P)
