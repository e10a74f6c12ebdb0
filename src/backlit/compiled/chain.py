"""What a compiled step is told: data, network and optimiser as arrays and numbers, in the place of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..kinds.kernel import ACTIVATION, BUFFERS, BY_COLUMNS, COLUMNS, INPUTS, KERNEL, OUTPUTS, PARAMETERS
from ..network import Network
from ..parameters import Array
from .plan import Plan
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
    single_rows: bool  # whether every batch is one row


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


def described(net: Network, plan: Plan, places: Sequence[int]) -> tuple[Array, Array]:
    """The layers at these places as numbers, and their settings; A, DELTA and ROOM are left to who has the memory."""
    at_work, parameters = [net.layers[place] for place in places], net.parameters
    starts = {name: parameters.slice(name).start for name in parameters.names}
    layers = np.zeros((len(places), COLUMNS), np.int64)
    settings = np.zeros((len(places), max(1, *(len(layer.kernel_settings()) for layer in at_work))))
    for i, (place, layer) in enumerate(zip(places, at_work, strict=True)):
        layers[i, [INPUTS, OUTPUTS]] = layer.inputs, layer.outputs
        layers[i, KERNEL] = place_among(plan.kernels, layer.kernel)
        layers[i, BY_COLUMNS] = layer.kernel is not None and layer.kernel.by_columns
        if layer.function is not None:
            layers[i, ACTIVATION] = place_among(plan.activations, layer.function)
        layers[i, PARAMETERS] = _first_of(place, starts)
        layers[i, BUFFERS] = _first_of(place, parameters.buffer_starts)
        settings[i, : len(layer.kernel_settings())] = layer.kernel_settings()
    return layers, settings


def renew_settings(net: Network, chain: Chain) -> None:
    """Write the settings of layers that follow a schedule anew: it is another epoch."""
    for i, layer in enumerate(net.layers):
        if layer.schedule is not None:
            chain.settings[i, : len(layer.kernel_settings())] = layer.kernel_settings()


def place_among(kinds: Sequence[Any], kind: Any) -> int:
    return next(place for place, known in enumerate(kinds) if known is kind)


def _first_of(index: int, starts: dict[str, int]) -> int:
    """Where the arrays of a layer begin; 0 where it has none."""
    return min((start for name, start in starts.items() if name.split(".")[0] == str(index)), default=0)
