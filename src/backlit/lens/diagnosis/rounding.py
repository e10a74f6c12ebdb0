"""How far two gradients may lie apart by rounding alone.

That is measured: the reference computes the gradient in float32 too, and how far that is off, compared with the terms
added up, is the layer's conditioning.
"""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np

from ...parameters import Array
from .passes import Passes

TINY: Final = float(np.finfo(np.float64).tiny)


@final
class Rounding:
    """Tolerances of one batch.

    Parameters
    ----------
    exact, rough : Passes
        The reference's passes in float64 and in float32.
    epsilon : float
        The spacing of the numbers that were given: 2⁻⁵² for float64.
    """

    def __init__(self, exact: Passes, rough: Passes, epsilon: float) -> None:
        self.exact = exact
        self._rough = rough
        self.epsilon = epsilon
        # what rounding to a common scale would leave, and more than nothing where every gradient is zero
        self._floor = 4.0 * epsilon * float(np.abs(exact.gradient).max()) + TINY
        self._condition = {index: self._measure(index, rough) for index in exact.delta}

    def _measure(self, index: int, rough: Passes) -> float:
        """How many float32 roundings, relative to the terms added up, the layer's delta and gradients are away."""
        delta, a_in = self.exact.delta[index], self.exact.work.a[index]
        pairs = [(delta, rough.delta[index], norm(delta)), (a_in, rough.work.a[index], norm(a_in))]
        for kind, size in (("weight", terms(a_in, delta)), ("bias", norm(delta))):
            if f"{index}.{kind}" in self.exact.net.parameters.names:
                right = self.exact.part(f"{index}.{kind}")
                size = size / self.exact.weight_sum + norm(right)
                pairs.append((right, rough.part(f"{index}.{kind}"), size))
        unit = float(np.finfo(np.float32).eps)
        with np.errstate(all="ignore"):
            found = [norm(one - other) / size / unit for one, other, size in pairs if size > 0.0]
        return max((x if math.isfinite(x) else 1.0 / unit for x in found), default=0.0)

    def of(self, index: int, added: float, result: Array) -> float:
        """The largest distance ‖given − result‖ that rounding explains.

        `added` is the size of the sum that `result` is: of n terms of random sign, √Σ_rows ‖a_in‖² ‖delta‖² over the
        weight sum.
        """
        return self.at(index, added, norm(result), result.size)

    def at(self, index: int, added: float, size: float, count: int) -> float:
        """The same for a result of that length ‖result‖ and that many numbers."""
        condition = self._condition.get(index, max(self._condition.values()))
        roundings = 8.0 + 2.0 * math.sqrt(self.exact.n) + 8.0 * condition
        return self.epsilon * roundings * (added + size) + self._floor * math.sqrt(count)

    def of_array(self, name: str) -> float:
        """The same for a whole array of a layer that is not Dense, by how far float32 is off."""
        right = self.exact.part(name)
        measured = norm(right - self._rough.part(name)) / float(np.finfo(np.float32).eps)
        roundings = 8.0 + 2.0 * math.sqrt(self.exact.n)
        return self.epsilon * (16.0 * measured + roundings * norm(right)) + self._floor * math.sqrt(right.size)


def row_squares(array: Array) -> Array:
    """Σ_j x_ij², shape (n,)."""
    return np.asarray(np.vecdot(array, array))


def norm(array: Array) -> float:
    return float(np.linalg.norm(array))


def terms(a_in: Array, delta: Array) -> float:
    """√Σ_rows ‖a_in‖² ‖delta‖²."""
    return math.sqrt(float(np.dot(row_squares(a_in), row_squares(delta))))
