"""One step of a recording, run again: the stages that a row passes through, and every sum in them term by term.

forward    z_j = Σ_i a_i w[i, j] + b_j,   a_j = f(z_j);    of a layer that is a factor: a_j = a_in_j · m_j
backward   delta_j = (Σ_k w[j, k] delta_k) · f′(z_j);      at the output from the loss
gradient   ∂L/∂w[i, j] gets a_i · delta_j of this row;     ∂L/∂b_j gets delta_j
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from ...exceptions import ConfigurationError
from ..step.delta import UnitDelta, adds_up, filled, numbered, unfold_delta, way_up
from ..step.taken import StepTaken
from ..step.trace import LayerPass, Trace
from .places import Place, Stage, learnt_by

if TYPE_CHECKING:
    from .recording import Recording


@final
@dataclass(frozen=True, slots=True)
class Product:
    """One product: what is multiplied, with names and numbers."""

    left: str
    right: str
    left_value: float
    right_value: float

    @property
    def value(self) -> float:
        return self.left_value * self.right_value


@final
@dataclass(frozen=True)
class Scene:
    """One step of a recording: its two passes and its update."""

    recording: Recording
    step: int
    trace: Trace
    taken: StepTaken
    stages: list[Stage]

    def layer(self, stage: Stage) -> LayerPass:
        return self.trace.layers[stage.layer]

    def delta(self, place: Place) -> UnitDelta:
        """How the delta at a place comes about."""
        stage = self.stages[place.stage]
        return unfold_delta(self.trace, stage.layer, place.unit, place.sample, 1)[0][0]

    def products(self, place: Place) -> list[Product]:
        """The terms of the sum at a place; none where there is no sum."""
        stage = self.stages[place.stage]
        if stage.direction == "forward":
            return self._forward(stage, place.sample, place.unit)
        if stage.direction == "backward":
            return self._backward(stage, place.sample, place.unit)
        return self._gradient(stage, place.sample, place.unit)

    def _forward(self, stage: Stage, row: int, j: int) -> list[Product]:
        passed, parameters = self.layer(stage), self.trace.net.parameters
        a_in = passed.a_in[row]  # (inputs,)
        if adds_up(passed.layer):
            w = parameters.view(f"{stage.layer}.weight")[:, j]  # (inputs,)
            found = [Product(f"a_{i}", f"w[{i}, {j}]", float(a_in[i]), float(w[i])) for i in range(w.size)]
            if stage.terms > w.size:
                found.append(Product("1", f"b_{j}", 1.0, float(parameters.view(f"{stage.layer}.bias")[j])))
            return found
        symbol, factors = passed.layer.through(passed.room)
        # the factors of the way back are those of the way up, unless something is added there
        if factors is None or not np.array_equal(a_in * factors[row], passed.a[row], equal_nan=True):
            return []
        return [Product(f"a_in_{j}", numbered(symbol, j), float(a_in[j]), float(factors[row, j]))]

    def _backward(self, stage: Stage, row: int, j: int) -> list[Product]:
        if stage.layer == len(self.trace.layers) - 1:
            return []
        following, _, through = way_up(self.trace, stage.layer)
        if through:
            return []
        w = self.trace.net.parameters.view(f"{following}.weight")[j]  # (units of the next layer with weights,)
        delta = filled(self.trace.layers[following].delta)[row]  # (units of the next layer with weights,)
        return [Product(f"w[{j}, {k}]", f"delta_{k}", float(w[k]), float(delta[k])) for k in range(w.size)]

    def _gradient(self, stage: Stage, row: int, j: int) -> list[Product]:
        passed = self.layer(stage)
        delta = filled(passed.delta)  # (n, units)
        found = []
        for name, index in learnt_by(self.trace.net, stage.layer, j):
            try:
                factors = passed.layer.gradient_factors(name, index, passed.room, passed.a_in, delta)
            except ConfigurationError:
                return []  # a layer of the user's own that does not write them out
            left, right = float(factors.left[row]), float(factors.right[row])
            found.append(Product(factors.left_name or "1", factors.right_name, left, right))
        return found
