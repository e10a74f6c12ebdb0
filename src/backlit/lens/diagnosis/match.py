"""Whether a layer's given gradients are what a certain delta leads to, rightly or with a mistake of this layer alone.

Gradients agree where they differ by no more than rounding. How much that is, is measured: the reference computes the
gradient in float32 too, and how far that is off, compared with the terms added up, is the layer's conditioning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from ...parameters import Array
from .given import Given, LayerGradient
from .mistakes import Mistake, Passes

_MOST_MOVED: Final = 512  # units looked at for an exchange
_TINY: Final = float(np.finfo(np.float64).tiny)
_OF_BOTH: Final = ("sum_not_mean", "extra_batch_division", "sign_flipped", "stale_gradient")  # of weights and biases


@final
@dataclass(frozen=True)
class Fit:
    """One explanation of what was given: the mistakes it needs, and how far it misses (in tolerances, up to 1)."""

    mistakes: tuple[Mistake, ...] = ()
    misfit: float = 0.0


@final
class Judge:
    """Compares given gradients with what they should be.

    Parameters
    ----------
    exact, rough : Passes
        The reference's passes in float64 and in float32.
    given : Given
    previous : Given or None
        The gradients of the step before.
    epsilon : float
        The spacing of the numbers that were given: 2⁻⁵² for float64.
    """

    def __init__(self, exact: Passes, rough: Passes, given: Given, previous: Given | None, epsilon: float) -> None:
        self.exact = exact
        self.given = given
        self.previous = previous
        self.epsilon = epsilon
        # what rounding to a common scale would leave, and more than nothing where every gradient is zero
        self._floor = 4.0 * epsilon * float(np.abs(exact.gradient).max()) + _TINY
        self._condition = {index: self._measure(index, rough) for index in exact.dense}
        self._weight_sum = exact.weight_sum

    # ── rounding ─────────────────────────────────────────────────────────────────────────────────────────

    def _measure(self, index: int, rough: Passes) -> float:
        """How many float32 roundings, relative to the terms added up, the layer's delta and gradients are away."""
        delta, a_in = self.exact.work.delta[index], self.exact.work.a[index]
        terms = math.sqrt(float(np.dot(_row_squares(a_in), _row_squares(delta))))
        pairs = [
            (delta, rough.work.delta[index], _norm(delta)),
            (a_in, rough.work.a[index], _norm(a_in)),
        ]
        for kind, size in (("weight", terms), ("bias", _norm(delta))):
            if f"{index}.{kind}" in self.exact.net.parameters.names:
                where = self.exact.net.parameters.slice(f"{index}.{kind}")
                size = size / self.exact.weight_sum + _norm(self.exact.gradient[where])
                pairs.append((self.exact.gradient[where], rough.gradient[where], size))
        unit = float(np.finfo(np.float32).eps)
        with np.errstate(all="ignore"):
            found = [_norm(one - other) / size / unit for one, other, size in pairs if size > 0.0]
        return max((x if math.isfinite(x) else 1.0 / unit for x in found), default=0.0)

    def _tolerance(self, index: int, terms: float, result: Array) -> float:
        """The largest distance ‖given − result‖ that rounding explains.

        `terms` is √Σ_rows ‖a_in‖² ‖delta‖² over the weight sum: the size of a sum of n terms of random sign.
        """
        roundings = 8.0 + 2.0 * math.sqrt(self.exact.work.n) + 8.0 * self._condition[index]
        return self.epsilon * roundings * (terms + _norm(result)) + self._floor * math.sqrt(result.size)

    # ── one layer ────────────────────────────────────────────────────────────────────────────────────────

    def fits(self, passes: Passes, index: int, delta: Array) -> list[Fit]:
        """Every explanation of layer `index`'s gradients from this delta, with at most two mistakes of its own."""
        given = self.given.layers[index]
        for_bias = [Fit()] if given.bias is None else self._bias_fits(index, delta, given.bias)
        if not for_bias:
            return []
        if given.weight is None:
            for_weight = [Fit()]
        else:
            for_weight = self._weight_fits(passes, index, delta, given.weight, given.turned)
        found = [_together(w, b, given) for w in for_weight for b in for_bias]
        return [fit for fit in found if len(fit.mistakes) <= 2]

    def rates(self, passes: Passes, index: int, delta: Array, per_rate: Array) -> list[float]:
        """Learning rates η for which ``delta − η per_rate`` comes nearest to what was given, by least squares.

        From weights and biases together, and from each alone, should the other have a mistake of its own; from weights
        without a penalty too. A rate that could as well be a constant factor is left out.
        """
        given = self.given.layers[index]
        parts = []  # each: what the right gradient has more than the given, what a rate of 1 takes away, the right one
        for kind, array in (("weight", given.weight), ("bias", given.bias)):
            if array is not None:
                right, added = self._plain(passes, index, kind, delta), self._plain(passes, index, kind, per_rate)
                parts.append(np.stack([(right - array).ravel(), added.ravel(), right.ravel()]))
                if kind == "weight" and passes.penalties(index):  # right has none as yet
                    penalty = passes.penalty(index)
                    parts.append(parts[0] + np.stack([penalty.ravel(), *np.zeros((2, penalty.size))]))
        if given.weight is not None and given.bias is not None:
            parts.append(np.concatenate(parts[-2:], axis=1))
        found = []
        for missing, added, right in parts:
            # missing = η added, by least squares
            rate = float(np.dot(missing, added) / max(np.dot(added, added), _TINY))
            along = right * (np.dot(right, added) / max(np.dot(right, right), _TINY))
            tolerance = self._tolerance(index, _norm(right), right)
            if rate > 0.0 and missing.size >= 3 and rate * _norm(added - along) > 3.0 * tolerance:
                found.append(rate)
        return found

    def _plain(self, passes: Passes, index: int, kind: str, delta: Array) -> Array:
        total = passes.work.a[index].T @ delta if kind == "weight" else delta.sum(axis=0)
        return np.asarray(total / self._weight_sum)

    def _bias_fits(self, index: int, delta: Array, given: Array) -> list[Fit]:
        found = []
        mean = delta.sum(axis=0) / self._weight_sum  # (units,)
        terms = _norm(delta) / self._weight_sum
        for mistakes, factor in self._factors(index):
            right = factor * mean
            misfit = _norm(given - right) / self._tolerance(index, abs(factor) * terms, right)
            if misfit <= 1.0:
                found.append(Fit(_measured(mistakes, given, mean), misfit))
                if not mistakes:
                    return found
        found += self._stale(index, "bias", given)
        found += self._moved(index, given[None, :], mean[None, :], self._tolerance(index, terms, mean), "units")
        return found

    def _weight_fits(self, passes: Passes, index: int, delta: Array, given: Array, turned: bool) -> list[Fit]:
        found = []
        delta_squares = _row_squares(delta)
        for in_input, a_in in passes.inputs(index):
            data = a_in.T @ delta / self._weight_sum  # (inputs, units)
            terms = math.sqrt(float(np.dot(_row_squares(a_in), delta_squares))) / self._weight_sum
            for in_shape, weight in _orientations(index, given, turned):
                for in_factor, factor in self._factors(index):
                    # of the mistakes in the data's part one at most, beside a shape that is wrong already
                    if len(in_input) + len(in_factor) + len(in_shape) - turned > 1:
                        continue
                    for in_penalty, penalty in self._penalties(passes, index, factor):
                        right = factor * data + penalty
                        misfit = _norm(weight - right) / self._tolerance(index, abs(factor) * terms, right)
                        if misfit <= 1.0:
                            measured = _measured(in_factor, weight - penalty, data) + _coefficients(
                                in_penalty, passes, index, factor * data - weight
                            )
                            found.append(Fit(in_input + in_shape + measured, misfit))
                            if not found[-1].mistakes:
                                return found
            if not in_input and not turned:
                right = data + passes.penalty(index)
                tolerance = self._tolerance(index, terms, right)
                found += self._moved(index, given, right, tolerance, "units")
                found += self._moved(index, given.T, right.T, tolerance, "inputs")
        return found + self._stale(index, "weight", given)

    def _factors(self, index: int) -> list[tuple[tuple[Mistake, ...], float]]:
        known = self.exact.factors()
        return [
            ((), 1.0),
            *(((Mistake(name, index, index, numbers={"expected_ratio": factor}),), factor) for name, factor in known),
        ]

    def _penalties(self, passes: Passes, index: int, factor: float) -> list[tuple[tuple[Mistake, ...], Array]]:
        """What may have been added to the data's part: the penalty, the penalty times the factor, or some of it."""
        parts = passes.penalties(index)
        whole = passes.penalty(index)
        found: list[tuple[tuple[Mistake, ...], Array]] = [((), whole)]
        if parts and factor != 1.0:
            found.append(((), factor * whole))
        present = [[], *([part] for part in parts if len(parts) > 1)] if parts else []
        for kept in present:
            missing = " and ".join(kind for kind, _ in parts if kind not in [kind for kind, _ in kept])
            mistake = Mistake("missing_penalty", index, index, numbers={"penalty": missing})
            found.append(((mistake,), sum((part for _, part in kept), np.zeros_like(whole))))
        return found

    def _stale(self, index: int, kind: str, given: Array) -> list[Fit]:
        if self.previous is None or index not in self.previous.layers:
            return []
        before: Array | None = getattr(self.previous.layers[index], kind)
        if before is None:
            return []
        misfit = _norm(given - before) / (8.0 * self.epsilon * _norm(before) + _TINY)
        return [Fit((Mistake("stale_gradient", index, index),), misfit)] if misfit <= 1.0 else []

    def _moved(self, index: int, given: Array, right: Array, tolerance: float, axis: str) -> list[Fit]:
        """Columns that stand in each other's place."""
        wrong = np.flatnonzero(np.sqrt(_row_squares((given - right).T)) > tolerance)
        if not 2 <= wrong.size <= _MOST_MOVED:
            return []
        one, other = given[:, wrong], right[:, wrong]
        lengths = [np.sort(np.sqrt(_row_squares(columns.T))) for columns in (one, other)]
        if (np.abs(lengths[0] - lengths[1]) > tolerance).any():
            return []
        from scipy.optimize import linear_sum_assignment

        distance = np.stack([np.sqrt(_row_squares((one - column[:, None]).T)) for column in other.T], axis=1)
        at, source = linear_sum_assignment(distance)
        misfit = float(distance[at, source].max()) / tolerance
        if misfit > 1.0:
            return []
        numbers: dict[str, float | str] = {
            "axis": axis,
            "first": int(wrong[0]),
            "second": int(wrong[source[0]]),
            "moved": int(wrong.size),
        }
        return [Fit((Mistake("swapped_units", index, index, numbers=numbers),), misfit)]


def _row_squares(array: Array) -> Array:
    """Σ_j x_ij², shape (n,)."""
    return np.asarray(np.vecdot(array, array))


def _norm(array: Array) -> float:
    return float(np.linalg.norm(array))


def _orientations(index: int, given: Array, turned: bool) -> list[tuple[tuple[Mistake, ...], Array]]:
    """A weight gradient as given, and as it would be if it had been written down the other way round."""
    mistake = Mistake("transposed", index, index, numbers={"where": "weight gradient"})
    if turned:
        return [((mistake,), given)]
    if min(given.shape) == 1:
        return [((), given)]
    return [((), given), ((mistake,), given.reshape(given.shape[::-1]).T)]


def _measured(mistakes: tuple[Mistake, ...], given: Array, right: Array) -> tuple[Mistake, ...]:
    """The same mistakes with the ratio that was measured, without a penalty."""
    size = float(np.vdot(right, right))
    ratio = float(np.vdot(right, given)) / size if size > 0.0 else math.nan
    return tuple(replace(mistake, numbers={**mistake.numbers, "ratio": ratio}) for mistake in mistakes)


def _coefficients(mistakes: tuple[Mistake, ...], passes: Passes, index: int, rest: Array) -> tuple[Mistake, ...]:
    """The same mistakes with the missing penalty's coefficient, from −rest = what of the penalty is there."""
    if not mistakes:
        return ()
    weight = passes.dense[index].weight
    parts = dict(passes.penalties(index))
    units = {"l1": np.sign(weight), "l2": weight}
    columns = np.stack([units[kind].ravel() for kind in parts], axis=1)
    present = np.linalg.lstsq(columns, -rest.ravel(), rcond=None)[0]
    share = passes.net.penalty_share(passes.weight_sum)
    numbers: dict[str, float | str] = {}
    for kind, found in zip(parts, present, strict=True):
        expected = share * (passes.net.l1 if kind == "l1" else passes.net.l2)
        numbers |= {f"{kind}_expected": expected, f"{kind}_missing": expected - float(found)}
    return tuple(replace(mistake, numbers={**mistake.numbers, **numbers}) for mistake in mistakes)


def _together(weight: Fit, bias: Fit, given: LayerGradient) -> Fit:
    """One explanation for weights and biases of a layer; the same mistake in both is one mistake."""
    in_bias = {mistake.name for mistake in bias.mistakes}
    mistakes = {}
    for mistake in weight.mistakes:
        if mistake.name in _OF_BOTH and mistake.name not in in_bias and given.bias is not None:
            mistake = replace(mistake, numbers={**mistake.numbers, "where": "weights"})
        mistakes[mistake.name] = mistake
    for mistake in bias.mistakes:
        if mistake.name == "sum_not_mean" and mistake.name not in mistakes:
            mistake = replace(mistake, name="bias_not_averaged")
        elif mistake.name not in mistakes and given.weight is not None:
            mistake = replace(mistake, numbers={**mistake.numbers, "where": "biases"})
        mistakes.setdefault(mistake.name, mistake)
    return Fit(tuple(mistakes.values()), max(weight.misfit, bias.misfit))
