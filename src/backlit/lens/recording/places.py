"""Places in a recording: which step, which row of its batch, and which of the stages that a row passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from ...kinds import Dense
from ...network import Network

Direction = Literal["forward", "backward", "gradient"]


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
    """What a row passes through: every layer forwards, then each Dense, last first: its delta, its gradient.

    Examples
    --------
    >>> net = Network([Dense(3, "tanh"), Dense(2)], inputs=4)
    >>> [(stage.direction, stage.layer, stage.units, stage.terms) for stage in stages_of(net)][:3]
    [('forward', 0, 3, 5), ('forward', 1, 2, 4), ('backward', 1, 2, 1)]
    """
    forward: list[Stage] = []
    back: list[Stage] = []
    following = 1  # terms of a delta: units of the next Dense; at the output there is no sum
    for index, layer in reversed(list(enumerate(net.layers))):
        if isinstance(layer, Dense):
            inputs = layer.inputs + layer.has_bias
            forward.insert(0, Stage("forward", index, layer.units, inputs))
            back.append(Stage("backward", index, layer.units, following))
            back.append(Stage("gradient", index, layer.units, inputs))
            following = layer.units
        else:
            forward.insert(0, Stage("forward", index, layer.outputs, 1))
    return [*forward, *back]
