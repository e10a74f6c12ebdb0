"""One step of a recording, run again: the stages that a row passes through, and every sum in them term by term.

forward    z_j = Σ_i a_i w[i, j] + b_j,   a_j = f(z_j);    Dropout: a_j = a_in_j · m_j
backward   delta_j = (Σ_k w[j, k] delta_k) · f′(z_j);      at the output from the loss
gradient   ∂L/∂w[i, j] gets a_i · delta_j of this row;     ∂L/∂b_j gets delta_j
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ...kinds import Dense
from ..step.delta import UnitDelta, filled, unfold_delta
from ..step.taken import StepTaken
from ..step.trace import LayerPass, Trace
from .places import Place, Stage
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
    """One step of the recording: its two passes and its update."""

    recording: Recording
    step: int
    trace: Trace
    taken: StepTaken
    stages: list[Stage]

    def layer(self, stage: Stage) -> LayerPass:
        return self.trace.layers[stage.layer]

    def next_dense(self, layer: int) -> int | None:
        layers = self.trace.net.layers
        return next((i for i in range(layer + 1, len(layers)) if isinstance(layers[i], Dense)), None)

    def delta(self, place: Place) -> UnitDelta:
        """How the delta at a place comes about."""
        stage = self.stages[place.stage]
        return unfold_delta(self.trace, stage.layer, place.unit, place.sample, 1)[0][0]

    def products(self, place: Place) -> list[Product]:
        """The terms of the sum at a place; none where delta comes from the loss."""
        stage, row, j = self.stages[place.stage], place.sample, place.unit
        layer, parameters = self.layer(stage), self.trace.net.parameters
        a_in = layer.a_in[row]  # (inputs,)
        if stage.direction == "backward":
            following = self.next_dense(stage.layer)
            if following is None:
                return []
            w = parameters.view(f"{following}.weight")[j]  # (units of the next Dense,)
            delta = filled(self.trace.layers[following].delta)[row]  # (units of the next Dense,)
            return [Product(f"w[{j}, {k}]", f"delta_{k}", float(w[k]), float(delta[k])) for k in range(w.size)]
        if layer.mask is not None:
            return [Product(f"a_{j}", f"m_{j}", float(a_in[j]), float(layer.mask[row, j]))]
        if stage.direction == "forward":
            w = parameters.view(f"{stage.layer}.weight")[:, j]  # (inputs,)
            found = [Product(f"a_{i}", f"w[{i}, {j}]", float(a_in[i]), float(w[i])) for i in range(w.size)]
            if stage.terms > w.size:
                found.append(Product("1", f"b_{j}", 1.0, float(parameters.view(f"{stage.layer}.bias")[j])))
            return found
        d = float(filled(layer.delta)[row, j])
        found = [Product(f"a_{i}", f"delta_{j}", float(a), d) for i, a in enumerate(a_in)]
        return found if stage.terms == a_in.size else [*found, Product("1", f"delta_{j}", 1.0, d)]
