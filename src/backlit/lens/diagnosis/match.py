"""Whether the gradients given of one layer are what a certain delta leads to, rightly or with mistakes of their own.

Arrays are judged one by one. A weight gradient is compared in three random mixtures of its rows first, which costs a
fraction of the product a_inᵀ delta; only what agrees there is computed in full.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from ...parameters import Array
from .factors import Reading
from .given import Given
from .lefts import bias_sums, left_factors, whole_weights
from .passes import Mistake, Passes
from .places import moved
from .rounding import TINY, Rounding, norm, terms
from .ways import Way

_MIXTURES: Final = 3
_FEWEST: Final = 4  # numbers that a factor without a meaning has to agree in


@final
@dataclass(frozen=True)
class Fit:
    """One explanation of one array: the mistakes it needs, what they cost, and how far it misses, in tolerances."""

    mistakes: tuple[Mistake, ...] = ()
    cost: float = 0.0
    misfit: float = 0.0


RIGHT: Final = Fit()


@final
class Judge:
    """Compares the arrays given with what they should be.

    Parameters
    ----------
    rounding : Rounding
    given : Given
    previous : Given or None
        The gradients of the step before.
    readings : sequence of Reading
        The factors that have a meaning.
    """

    def __init__(self, rounding: Rounding, given: Given, previous: Given | None, readings: Sequence[Reading]) -> None:
        self.exact = rounding.exact
        self.rounding = rounding
        self.given = given
        self.previous = previous
        self.readings = readings
        rng = np.random.default_rng(0)
        self._mix: dict[int, Array] = {}
        self._mixed: dict[int, Array] = {}
        for index, layer in self.exact.dense.items():
            inputs = layer.weight.shape[0]
            mix = rng.normal(size=(inputs, _MIXTURES))
            self._mix[index] = mix / max(float(np.linalg.norm(mix, 2)), TINY)
            if f"{index}.weight" in given.arrays:
                self._mixed[index] = self._mix[index].T @ given.arrays[f"{index}.weight"]
        self._sizes = {name: norm(array) for name, array in given.arrays.items()}
        self._penalized = bool(self.exact.net.l1 or self.exact.net.l2)
        self._momenta = self._kept()

    def _kept(self) -> list[float]:
        """The shares of the gradients before that the arrays given seem to have kept, by least squares."""
        found = [0.9]
        for name, before in ({} if self.previous is None else self.previous.arrays).items():
            given = self.given.arrays.get(name)
            if given is not None and given.size >= _FEWEST:
                basis = np.stack([self.exact.part(name).ravel(), before.ravel()], axis=1)
                found.append(float(np.linalg.lstsq(basis, given.ravel(), rcond=None)[0][1]))
        return [kept for kept in found if 1e-3 < kept < 0.9999]

    def is_right(self, name: str) -> bool:
        """Whether one array equals the right one to rounding."""
        if name not in self.given.arrays or name in self.given.transposed:
            return False
        index, kind = int(name.split(".")[0]), name.split(".")[1]
        right = self.exact.part(name)
        if index not in self.exact.delta:
            return norm(self.given.arrays[name] - right) <= self.rounding.of_array(name)
        delta = self.exact.delta[index]
        added = terms(self.exact.work.a[index], delta) if kind == "weight" else norm(delta)
        return norm(self.given.arrays[name] - right) <= self.rounding.of(index, added / self.exact.weight_sum, right)

    # ── a delta, tried quickly ───────────────────────────────────────────────────────────────────────────

    def plain(self, passes: Passes, index: int, delta: Array, name: str, *, factors: bool = True) -> list[Fit]:
        """The array as this delta leads to it, or with a constant factor that has a meaning."""
        if name in self.given.odd:
            return self._odd_fits(index, delta, name)
        fits = self._weight(passes, index, delta, name) if name.endswith(".weight") else self._bias(index, delta, name)
        own = self._own_transpose(index, name)
        found = [replace(fit, mistakes=own + fit.mistakes, cost=fit.cost + len(own)) for fit in fits]
        return found if factors else [fit for fit in found if len(fit.mistakes) == len(own)]

    def _own_transpose(self, index: int, name: str) -> tuple[Mistake, ...]:
        if name not in self.given.transposed:
            return ()
        return (Mistake("transposed", index, index, name, numbers={"where": "weight gradient"}),)

    def _weight(self, passes: Passes, index: int, delta: Array, name: str) -> list[Fit]:
        given, mixed = self.given.arrays[name], self._mixed[index]
        if index not in passes.mixed:
            passes.mixed[index] = passes.work.a[index] @ self._mix[index]
        m = self.exact.weight_sum
        quick = passes.mixed[index].T @ delta / m  # (mixtures, units)
        penalty = passes.penalty(name) if self._penalized else None
        quick_penalty = np.zeros_like(quick) if penalty is None else self._mix[index].T @ penalty
        added = terms(passes.work.a[index], delta) / m
        size = math.sqrt(given.size)
        found: list[Fit] = []
        data: Array | None = None
        for whole in (False, True) if penalty is not None else (False,):
            cand = quick + quick_penalty if whole else quick
            rest = mixed if whole else mixed - quick_penalty
            for mistakes, cost, factor in self._factors(rest, cand, index, name, 1e-3):
                if whole and not mistakes:
                    continue
                tolerance = self.rounding.at(index, abs(factor) * added, self._sizes[name], given.size)
                if norm(rest - factor * cand) > tolerance * (1.0 + 1e-9) * size:
                    continue
                if data is None:
                    data = passes.work.a[index].T @ delta / m
                added_penalty = 0.0 if penalty is None else (factor if whole else 1.0) * penalty
                right = factor * data + added_penalty
                misfit = norm(given - right) / self.rounding.of(index, abs(factor) * added, right)
                if misfit <= 1.0:
                    found.append(Fit(mistakes, cost, misfit))
                    if not mistakes:
                        return found
        return found

    def _bias(self, index: int, delta: Array, name: str) -> list[Fit]:
        given = self.given.arrays[name]
        right = delta.sum(axis=0) / self.exact.weight_sum
        added = norm(delta) / self.exact.weight_sum
        return self._scaled(given, right, index, name, added)

    def _scaled(self, given: Array, right: Array, index: int, name: str, added: float) -> list[Fit]:
        found = []
        for mistakes, cost, factor in self._factors(given, right, index, name, 1e-2):
            misfit = norm(given - factor * right) / self.rounding.of(index, abs(factor) * added, factor * right)
            if misfit <= 1.0:
                found.append(Fit(mistakes, cost, misfit))
                if not mistakes:
                    return found
        return found

    def _factors(
        self, given: Array, right: Array, index: int, name: str, near: float
    ) -> Iterator[tuple[tuple[Mistake, ...], float, float]]:
        """Factors near the measured one that have a meaning: the mistakes, what they cost, the factor; first 1."""
        yield (), 0.0, 1.0
        size = float(np.vdot(right, right))
        if size <= TINY:
            return
        ratio = float(np.vdot(right, given)) / size
        for reading in self.readings:
            for sign in (1.0, -1.0):
                value = sign * reading.value
                if sign < 0.0 and (reading.value < 0.0 or reading.name == "accumulated_gradient"):
                    continue
                if abs(ratio - value) > near * abs(value):
                    continue
                numbers: dict[str, float | str] = {
                    "expected_ratio": reading.value,
                    "ratio": abs(ratio) if sign < 0 else ratio,
                    "read_as": reading.says,
                }
                made = Mistake(reading.name, index, index, name, numbers=numbers)
                if sign > 0.0:
                    yield (made,), reading.cost, value
                else:
                    yield (Mistake("sign_flipped", index, index, name), made), 1.0 + reading.cost, value

    def constant(self, passes: Passes, index: int, delta: Array, names: Sequence[str]) -> float | None:
        """The factor by which these arrays together differ from what delta leads to, where it is constant at all."""
        arrays = [self.given.arrays.get(name) for name in names if name not in self.given.transposed]
        numbers = sum(array.size for array in arrays if array is not None)
        if len(arrays) != len(names) or any(array is None for array in arrays) or numbers < _FEWEST:
            return None
        m, a_in = self.exact.weight_sum, passes.work.a[index]
        data = [a_in.T @ delta / m if name.endswith(".weight") else delta.sum(axis=0) / m for name in names]
        added = max(terms(a_in, delta), norm(delta)) / m
        penalty = [passes.penalty(name) for name in names]
        # everything times the factor, or all but the penalty
        for whole in (False, True):
            right = np.concatenate([(d + p * whole).ravel() for d, p in zip(data, penalty, strict=True)])
            given = np.concatenate(
                [
                    (array - p * (not whole)).ravel()
                    for array, p in zip(arrays, penalty, strict=True)
                    if array is not None
                ]
            )
            size = float(np.vdot(right, right))
            ratio = float(np.vdot(right, given)) / size if size > TINY else 0.0
            close = norm(given - ratio * right) <= self.rounding.of(index, abs(ratio) * added, ratio * right)
            if close and abs(ratio) * math.sqrt(size) > self.rounding.of(index, abs(ratio) * added, right):
                return ratio
        return None

    def _odd_fits(self, index: int, delta: Array, name: str) -> list[Fit]:
        """A bias gradient whose shape is a mistake already, which is all that is said of it."""
        mistake, array = self.given.odd[name]
        numbers: dict[str, float | str] = {"shape": str(array.shape)}
        if mistake == "bias_unsummed":
            rows = array if array.shape[0] == len(delta) else array.T
            total = rows.sum(axis=0)
            for said, factor in (("", 1.0), ("divided by the rows already", 1.0 / self.exact.weight_sum)):
                if norm(total - factor * delta.sum(axis=0)) <= self.rounding.of(index, factor * norm(delta), total):
                    return [Fit((Mistake(mistake, index, index, name, numbers={**numbers, "rows": said}),), 1.0)]
            return [Fit((Mistake(mistake, index, index, name, numbers=numbers),), 1.6, 1.0)]
        if mistake == "bias_scalar":
            m = self.exact.weight_sum
            sizes = (delta.sum(), delta.sum() / m, delta.mean())
            right = any(abs(float(array.ravel()[0]) - s) <= self.rounding.of(index, norm(delta), array) for s in sizes)
            return [Fit((Mistake(mistake, index, index, name, numbers=numbers),), 1.0 if right else 1.6)]
        return [Fit((Mistake(mistake, index, index, name, numbers=numbers),), 1.0)]

    # ── mistakes of one array ────────────────────────────────────────────────────────────────────────────

    def rich(self, passes: Passes, index: int, delta: Array, name: str) -> list[Fit]:
        """Every explanation of one array from this delta with one mistake of its own."""
        if name in self.given.odd:
            return []
        given, m = self.given.arrays[name], self.exact.weight_sum
        kind = name.split(".")[1]
        a_in = passes.work.a[index]
        if kind == "weight":
            data, added = a_in.T @ delta / m, terms(a_in, delta) / m
            penalty = passes.penalty(name)
        else:
            data, added = delta.sum(axis=0) / m, norm(delta) / m
            penalty = np.zeros_like(data)
        right = data + penalty
        tolerance = self.rounding.of(index, added, right)
        found: list[Fit] = []

        def say(what: str, misfit: float = 0.0, extra: float = 0.0, **numbers: float | str) -> None:
            found.append(Fit((Mistake(what, index, index, name, numbers=numbers),), 1.0 + extra, misfit))

        if not given.any():
            if norm(right) > tolerance:
                every = all(
                    not self.given.arrays[other].any()
                    for other in self.given.of_layer(index)
                    if other in self.given.arrays
                )
                say("gradient_zero" if kind == "weight" or every else "bias_zero")
            return found
        if kind == "weight":
            found += self._left_fits(passes, index, delta, name, penalty)
            found += self._penalty_fits(passes, index, name, data, added)
            if min(given.shape) > 1:
                turned = given.reshape(given.shape[::-1]).T
                if norm(turned - right) <= tolerance and not np.array_equal(given, turned):
                    say("transposed", where="weight gradient")
        else:
            for way in bias_sums(passes, index, delta):
                if norm(given - way.value) <= self.rounding.of(index, added, way.value):
                    found.append(Fit(way.mistakes, way.cost))
            found += self._bias_penalty(passes, index, name, data, tolerance)
        for axis, numbers in moved(given, right, tolerance):
            say("swapped_units", axis=axis, **numbers)
        if self.previous is not None and name in self.previous.arrays:
            found += self._with_previous(index, name, given, right, tolerance)
        for other in self.exact.net.parameters.names:
            alike = other != name and self.exact.net.parameters.shapes[other] == given.shape
            if alike and norm(given - self.exact.part(other)) <= tolerance:
                say("gradient_of_another_layer", gradient_of=other)
        if (right < 0.0).any() and norm(given - np.abs(right)) <= tolerance:
            say("absolute_value")
        most = float(np.abs(given).max())
        cut = given.size > 1 and most < (1.0 - 1e-6) * float(np.abs(right).max())
        if cut and norm(given - np.clip(right, -most, most)) <= tolerance:
            say("clipped", extra=0.1, at=most)
        return found

    def _left_fits(self, passes: Passes, index: int, delta: Array, name: str, penalty: Array) -> list[Fit]:
        given, mixed, m = self.given.arrays[name], self._mixed[index], self.exact.weight_sum
        mix, found = self._mix[index], []
        quick_rest = mixed - mix.T @ penalty
        for left in left_factors(passes, index):
            quick = (left.value @ mix).T @ delta / m
            added = terms(left.value, delta) / m
            for mistakes, cost, factor in self._factors(quick_rest, quick, index, name, 1e-3):
                most = self.rounding.at(index, abs(factor) * added, self._sizes[name], given.size)
                if norm(quick_rest - factor * quick) > most * math.sqrt(given.size):
                    continue
                right = factor * (left.value.T @ delta / m) + penalty
                misfit = norm(given - right) / self.rounding.of(index, abs(factor) * added, right)
                if misfit <= 1.0:
                    found.append(Fit(left.mistakes + mistakes, left.cost + cost, misfit))
        for way in whole_weights(passes, index, delta):
            right = way.value + penalty
            if norm(given - right) <= self.rounding.of(index, norm(way.value), right):
                found.append(Fit(way.mistakes, way.cost))
        return found

    def _penalty_fits(self, passes: Passes, index: int, name: str, data: Array, added: float) -> list[Fit]:
        """The penalty left out, or with another factor; or one that the network has not."""
        given, m, found = self.given.arrays[name], self.exact.weight_sum, []
        weight = passes.dense[index].weight
        parts = {kind: part for kind in ("l1", "l2") if (part := passes.penalty(name, kind)).any()}
        whole = passes.penalty(name)

        def close(right: Array) -> bool:
            return norm(given - right) <= self.rounding.of(index, added, right)

        # one part of two is nearer than both, so that the choice of what is missing is the smallest
        for size in range(1, len(parts) + 1):
            for missing in [[kind] for kind in parts] if size == 1 else [list(parts)]:
                if close(data + whole - sum((parts[kind] for kind in missing), np.zeros_like(whole))):
                    numbers: dict[str, float | str] = {"penalty": " and ".join(missing)}
                    for kind in missing:
                        numbers[f"{kind}_missing"] = self._coefficient(passes, kind)
                    found.append(Fit((Mistake("missing_penalty", index, index, name, numbers=numbers),), 1.0))
        if parts:
            for factor, says in ((2.0, "2"), (0.5, "½"), (-1.0, "−1"), (1.0 / m, "1/m"), (m, "m"), (2.0 / m, "2/m")):
                if factor != 1.0 and close(data + factor * whole):
                    numbers = {"factor": says}
                    found.append(Fit((Mistake("penalty_factor", index, index, name, numbers=numbers),), 1.0))
        elif weight.size >= _FEWEST and weight.any():
            coefficient = float(np.vdot(given - data, weight) / np.vdot(weight, weight))
            if close(data + coefficient * weight):
                numbers = {"coefficient": coefficient}
                found.append(Fit((Mistake("penalty_unasked", index, index, name, numbers=numbers),), 1.1))
        return found

    def _coefficient(self, passes: Passes, kind: str) -> float:
        net = passes.net
        return net.penalty_share(passes.weight_sum) * (net.l1 if kind == "l1" else net.l2)

    def _bias_penalty(self, passes: Passes, index: int, name: str, data: Array, tolerance: float) -> list[Fit]:
        bias = passes.dense[index].bias
        if bias is None or not bias.any():
            return []
        known = [self._coefficient(passes, "l2")] if passes.net.l2 else []
        if bias.size >= _FEWEST:
            known.append(float(np.vdot(self.given.arrays[name] - data, bias) / np.vdot(bias, bias)))
        for coefficient in known:
            if norm(self.given.arrays[name] - data - coefficient * bias) <= tolerance:
                numbers: dict[str, float | str] = {"coefficient": coefficient}
                return [Fit((Mistake("penalty_on_bias", index, index, name, numbers=numbers),), 1.0)]
        return []

    def _with_previous(self, index: int, name: str, given: Array, right: Array, tolerance: float) -> list[Fit]:
        """What is left of the step before: all of it, or a part added."""
        if self.previous is None:
            return []
        before = self.previous.arrays[name]
        if norm(given - before) <= 8.0 * self.rounding.epsilon * norm(before) + TINY:
            return [Fit((Mistake("stale_gradient", index, index, name),), 1.0)]
        if norm(given - right - before) <= tolerance + self.rounding.epsilon * norm(before):
            return [
                Fit((Mistake("accumulated_gradient", index, index, name, numbers={"read_as": "previous + new"}),), 1.0)
            ]
        for kept in self._momenta:
            for share in (1.0, 1.0 - kept):
                rest = norm(given - share * right - kept * before)
                if rest <= 2.0 * tolerance + 8.0 * self.rounding.epsilon * norm(before):
                    return [Fit((Mistake("momentum_inside", index, index, name, numbers={"momentum": kept}),), 1.0)]
        return []


def way_fits(judge: Judge, passes: Passes, index: int, way: Way, names: Sequence[str]) -> list[tuple[Fit, ...]]:
    """The fits of all arrays of a layer to one delta, where each has one; every combination of them."""
    found: list[tuple[Fit, ...]] = [()]
    for name in names:
        fits = judge.plain(passes, index, way.value, name)
        if not fits:
            return []
        found = [(*before, fit) for before in found for fit in fits]
    return found
