"""Dropout: during training, each activation is set to zero with probability `rate`."""

from __future__ import annotations

from typing import final

import numpy as np

from ..checks import fraction
from ..parameters import Array, ParameterVector
from ..randomness import keyed_generator
from ..typing import Spec


@final
class Dropout:
    """Inverted dropout.

        a = a_in ⊙ m,   m = 0 with probability rate, else 1/(1 − rate)

    The division keeps the mean of a where it was, so that inference needs no dropout and no scaling.
    Source: Srivastava et al. (2014), who scaled at inference instead. The mask is keyed by
    (seed, layer, step): the same step of a resumed run draws the same mask.

    Parameters
    ----------
    rate : float
        Probability of zero, at least 0 and below 1.

    Examples
    --------
    >>> Dropout(0.2)
    Dropout(0.2)
    """

    def __init__(self, rate: float) -> None:
        self.rate = fraction("the dropout rate", rate)
        self.inputs = 0
        self.outputs = 0

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {}

    def bind(self, parameters: ParameterVector, index: int) -> None:
        """Dropout has no parameters."""

    def draw_mask(self, mask: Array, uniform: Array, key: tuple[int, int, int]) -> None:
        """Write the mask of one training step.

        Parameters
        ----------
        mask : ndarray, shape (n, inputs)
            Receives 0 or 1/(1 − rate).
        uniform : ndarray of float32, shape (n, inputs)
            Room for the random numbers, float32 for every dtype of network, so that all draw the same mask.
        key : (seed, layer, step)
        """
        seed, layer, step = key
        keyed_generator(seed, "dropout", step, layer).random(dtype=np.float32, out=uniform)
        np.greater_equal(uniform, self.rate, out=mask)
        mask *= 1.0 / (1.0 - self.rate)

    def spec(self) -> Spec:
        return {"kind": "Dropout", "rate": self.rate}

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"
