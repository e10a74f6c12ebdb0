"""Places in a recording: which step, which row of its batch, and which of the stages that a row passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from ...kinds import Layer
from ...network import Network
from ..step.delta import adds_up

Direction = Literal["forward", "backward", "gradient"]

#: One number among the parameters of a layer: its short name and its index.
Learnt = tuple[str, tuple[int, ...]]


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A place in a recording: the number of the step, and counted from 0 the sample in its batch, stage, unit, term."""

    step: int
    sample: int = 0
    stage: int = 0
    unit: int = 0
    term: int = 0

    @property
    def digits(self) -> tuple[int, int, int, int, int]:
        return self.step, self.sample, self.stage, self.unit, self.term


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """One layer in one direction, its number of units, and the number of terms in each unit's sum."""

    direction: Direction
    layer: int
    units: int
    terms: int


def stages_of(net: Network) -> list[Stage]:
    """What a row passes through in training: every layer forwards; then, last first, what each layer learns by.

    A layer with parameters has its delta (without activation: its dL/da) and its gradient; a layer that mixes its
    units has its dL/da. A layer in which every unit stands alone is a factor in the delta below it.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(3, "tanh"), Dense(2)], inputs=4)
    >>> [(stage.direction, stage.layer, stage.units, stage.terms) for stage in stages_of(net)][:3]
    [('forward', 0, 3, 5), ('forward', 1, 2, 4), ('backward', 1, 2, 1)]
    """
    forward: list[Stage] = []
    back: list[Stage] = []
    following = 1  # terms of a delta: units of the next layer with weights; without a sum there is one
    for index, layer in reversed(list(enumerate(net.layers))):
        has_bias = f"{index}.bias" in net.parameters.names
        forward.insert(0, Stage("forward", index, layer.outputs, layer.inputs + has_bias if adds_up(layer) else 1))
        alone, learnt = stands_alone(layer, net), learnt_by(net, index, 0)
        has_parameters = any(name.split(".")[0] == str(index) for name in net.parameters.names)
        if index >= net.first_learning and (has_parameters or not alone):
            back.append(Stage("backward", index, layer.outputs, following))
        if has_parameters:
            back.append(Stage("gradient", index, layer.outputs, max(1, len(learnt))))
        if adds_up(layer):
            following = layer.outputs
        elif not alone:
            following = 1
    return [*forward, *back]


def stands_alone(layer: Layer, net: Network) -> bool:
    """Whether in training dL/da of each unit passes through the layer by itself, times a factor."""
    with np.errstate(all="ignore"):
        return not layer.mixes_rows and layer.through(layer.room(1, net.dtype, True))[1] is not None


def learnt_by(net: Network, index: int, unit: int) -> list[Learnt]:
    """The parameters of a layer that belong to one of its units: its column of a weight, its place in a vector."""
    layer = net.layers[index]
    # a matrix of Backlit's own layers has a column for each unit where they add up; otherwise sizes may agree by chance
    axes = (1, 2) if adds_up(layer) or not layer.builtin else (1,)
    found: list[Learnt] = []
    for full, shape in net.parameters.shapes.items():
        place, name = full.split(".", 1)
        if place == str(index) and len(shape) in axes and shape[-1] == layer.outputs:
            found += [(name, (*rest, unit)) for rest in np.ndindex(shape[:-1])]
    return found
