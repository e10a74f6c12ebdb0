"""The finite difference beside a number of back-propagation: float64, central, on the same batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from ...checking.batch_loss import FrozenBatch, hidden_gradient
from ...checking.gradreport import agreed_digits
from ...parameters import Array
from ...randomness import keyed_generator
from .trace import Trace


@final
@dataclass(frozen=True, slots=True)
class Proof:
    """A gradient, its finite difference, and to how many digits they agree.

    Digits are NaN where both are smaller than the rounding of the loss shows.
    """

    gradient: float
    finite_difference: float
    digits: float


@final
class Prover:
    """Checks numbers of one trace against finite differences, when they are asked for."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    @cached_property
    def batch(self) -> FrozenBatch:
        """The batch in float64, at the parameters of the trace."""
        return self._trace.frozen()

    @cached_property
    def _hidden(self) -> float:
        """The largest gradient that the rounding of the loss can hide."""
        return hidden_gradient(self.batch.loss())

    def one(self, position: int) -> Proof:
        """Of the number at a position in the parameter vector."""
        return self._proof(float(self._trace.gradient[position]), self.batch.central(position))

    def array(self, name: str) -> Proof:
        """Of a whole parameter array at once: ⟨v, g⟩ along one random direction v, |v| = 1, within it."""
        parameters = self._trace.net.parameters
        where = parameters.slice(name)
        v: Array = np.zeros(parameters.size)
        v[where] = keyed_generator(0, "sampling", 2, where.start).standard_normal(where.stop - where.start)
        v /= np.linalg.norm(v)
        with np.errstate(invalid="ignore"):  # 0 · ∞ of a gradient that is not finite: NaN, and shown as that
            g = float(np.dot(v, self._trace.gradient.astype(np.float64)))
        return self._proof(g, self.batch.along(v))

    def _proof(self, g: float, d: float) -> Proof:
        return Proof(g, d, agreed_digits(g, d, self._hidden))
