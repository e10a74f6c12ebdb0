"""Constant factors read: what a gradient that is c times the right one has been multiplied by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

from ...kinds.optimizers import Optimizer
from ...kinds.schedules import rate_at
from .passes import Passes

_COUNTS: Final = range(2, 65)  # steps for which gradients may have been kept


@final
@dataclass(frozen=True)
class Reading:
    """What a factor stands for.

    Attributes
    ----------
    name : str
        The mistake.
    value : float
    says : str
        In words: "the 12 rows".
    cost : float
        How likely another reading of the same number is; 1 for the plain ones.
    """

    name: str
    value: float
    says: str
    cost: float = 1.0


def readings(passes: Passes, optimizer: Optimizer | None = None) -> list[Reading]:
    """Every factor that has a meaning here, the likeliest of equals first; a factor of 1 has none."""
    n, m, k = float(passes.n), passes.weight_sum, float(passes.net.outputs)
    found = [Reading("sign_flipped", -1.0, "the sign")]
    for rows in dict.fromkeys((m, n)):
        found += [
            Reading("sum_not_mean", rows, "a sum over the batch"),
            Reading("extra_batch_division", 1.0 / rows, "divided once more by the batch"),
            Reading("extra_batch_division", rows**-2.0, "divided twice more by the batch", 1.1),
        ]
    found += [
        Reading("loss_factor", 2.0, "2, of a square without its ½", 1.02),
        Reading("loss_factor", 0.5, "½ of a square", 1.02),
        Reading("outputs_averaged", 1.0 / k, "a mean over the outputs too", 1.04),
        Reading("outputs_averaged", k, "a sum over the outputs for their mean", 1.04),
        Reading("outputs_averaged", 2.0 / k, "2 over the outputs, of mean (a − y)²", 1.05),
        Reading("outputs_averaged", k / 2.0, "half the outputs", 1.05),
        Reading("logarithm_base", 1.0 / math.log(2.0), "1/ln 2, of a logarithm to base 2", 1.05),
        Reading("logarithm_base", 1.0 / math.log(10.0), "1/ln 10, of a logarithm to base 10", 1.05),
    ]
    for layer in passes.layers:
        rate = getattr(layer, "rate", None)
        if isinstance(rate, float) and 0.0 < rate < 1.0:
            found += [
                Reading("dropout_scale", 1.0 - rate, "1 − rate of Dropout", 1.06),
                Reading("dropout_scale", 1.0 / (1.0 - rate), "1/(1 − rate) of Dropout", 1.06),
            ]
    if optimizer is not None:
        eta = rate_at(optimizer.learning_rate, 0.0)
        found += [
            Reading("learning_rate_inside", eta, "the learning rate", 1.01),
            Reading("learning_rate_inside", -eta, "minus the learning rate: the step, not the gradient", 1.01),
        ]
    found += [Reading("accumulated_gradient", float(j), f"{j} steps added up", 1.1 + 1e-4 * j) for j in _COUNTS]
    return [reading for reading in found if abs(reading.value - 1.0) > 1e-12]
