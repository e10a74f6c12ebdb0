"""The simplest story that explains every gradient given: from the output down, layer by layer.

A mistake in delta is handed on to every layer below; so each layer is judged from the delta that the story so far has
arrived at, and from the right one, should the mistake above have stayed in that layer's own gradients. The cheapest
stories are kept on the way (a beam), and the cheapest at the first layer is it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from ...parameters import Array
from .match import RIGHT, Fit, Judge, way_fits
from .passes import UNKNOWN, Mistake, Passes
from .ways import Way, kink_slopes, output_ways, rows_of, slope_ways, source_ways

_AGAIN: Final = 0.12  # what a mistake costs that the story has already
_OWN: Final = 0.3  # where a mistake in delta was not handed on
_IN_PART: Final = 0.25  # where it is in a layer's weights or biases alone
_CONVENTION: Final = 0.01  # f′ on the other side of a kink
_UNKNOWN: Final = 3.0
_UNREAD: Final = 1.4  # a constant factor without a meaning
_WIDTH: Final = 48  # stories that are kept


@final
@dataclass(frozen=True)
class Story:
    """Mistakes from the output down to some layer, and the delta they lead to.

    Attributes
    ----------
    passes : Passes
    mistakes : tuple of Mistake
    cost : float
    misfit : float
        The largest distance from what was given, in tolerances.
    delta : ndarray or None
        Of the layer that was explained last.
    """

    passes: Passes
    mistakes: tuple[Mistake, ...] = ()
    cost: float = 0.0
    misfit: float = 0.0
    delta: Array | None = None

    def then(
        self, mistakes: tuple[Mistake, ...], cost: float, misfit: float, delta: Array, passes: Passes | None = None
    ) -> Story:
        """The story with one more layer explained."""
        names = {mistake.name for mistake in self.mistakes}
        for mistake in mistakes:
            if mistake.name in names and mistake.name != UNKNOWN:
                cost -= 1.0 - _AGAIN + _IN_PART * bool(mistake.array)
            cost -= (_UNKNOWN - 1.0) * (mistake.name == UNKNOWN and UNKNOWN in names)
        return Story(passes or self.passes, self.mistakes + mistakes, self.cost + cost, max(self.misfit, misfit), delta)


@final
@dataclass(frozen=True)
class Update:
    """The update that may have come too early.

    Attributes
    ----------
    values : list of ndarray, shape (P,)
        All parameters after the update, as an optimiser makes them of the gradients; empty where it is not known.
    gradients : list of ndarray, shape (P,)
        Gradients along which plain gradient descent would step, at a rate to be measured.
    """

    values: Sequence[Array] = ()
    gradients: Sequence[Array] = ()


@final
class Search:
    """The walk down the layers with one judge."""

    def __init__(self, judge: Judge, update: Update) -> None:
        self.judge = judge
        self.exact = judge.exact
        self.update = update
        self._right = {name for name in judge.given.names if judge.is_right(name)}

    def names(self, index: int) -> list[str]:
        """The arrays given of one Dense layer."""
        return [name for name in self.judge.given.of_layer(index) if name.split(".")[1] in ("weight", "bias")]

    def stories(self, starts: Sequence[Passes], *, unknown: bool = True) -> list[Story]:
        """The cheapest story and those that cost about the same; unless `unknown`, none with a layer unexplained."""
        beam = [Story(passes, passes.mistakes, float(len(passes.mistakes))) for passes in starts]
        for index in self.exact.delta:
            longer = [one for story in beam for one in self.step(story, index, unknown)]
            beam = _best(longer)
            if not beam:
                return []
        cheapest = beam[0].cost
        return [story for story in beam if story.cost <= cheapest + 0.2]

    # ── one layer ────────────────────────────────────────────────────────────────────────────────────────

    def step(self, story: Story, index: int, unknown: bool) -> list[Story]:
        """The story with this layer explained, in the fewest mistakes that do it."""
        names, right_delta = self.names(index), self.exact.delta[index]
        passes = story.passes
        base, dL_da = self._base(story, index)
        found: list[Story] = []
        if story.delta is not None and names and all(name in self._right for name in names):
            # equal to the right ones: whatever stood above was not handed on
            if not _same(base, right_delta):
                found.append(story.then((), (_OWN + 0.01) * bool(story.mistakes), 0.0, right_delta, self.exact))
            else:
                return [story.then((), 0.0, 0.0, base)]
        elif story.delta is None and passes is self.exact and names and all(name in self._right for name in names):
            return [story.then((), 0.0, 0.0, base)]
        bases = [Way(base)]
        moved = kink_slopes(passes, index)
        if moved is not None and dL_da is not None:
            bases.append(Way(dL_da * moved, (), _CONVENTION))
        if not names:
            return found + self._not_given(story, index, base, dL_da)
        for way in bases:
            for fits in way_fits(self.judge, passes, index, way, names):
                if not any(fit.mistakes for fit in fits):
                    found += self._told(story, index, way, fits)
        if found:
            return found
        if story.mistakes and story.passes is not self.exact and story.delta is None and not unknown:
            return []
        ways = self._ways(passes, index, story, base, dL_da)
        for way in bases:
            found += self._own(story, index, way, names, ways=False)
        for way in ways:
            for fits in way_fits(self.judge, passes, index, way, names):
                found += self._told(story, index, way, fits)
        if not found or min(one.cost for one in found) > story.cost + 1.8:
            found += self._two(story, index, bases, ways, dL_da, names)
        # of a factor without a meaning only at the last precision: rounding of a cancelled slope looks like one
        if unknown and (not found or min(one.cost for one in found) > story.cost + 1.35):
            found += self._unread(story, index, base, names)
        if unknown and passes is self.exact and not found:
            found += self._unknown(story, index, [*bases, *ways], names, right_delta)
        return found

    def _base(self, story: Story, index: int) -> tuple[Array, Array | None]:
        """delta of the layer as it follows from the story without another mistake, and dL/da."""
        passes, upper = story.passes, story.passes.above(index)
        if story.delta is None or upper is None:
            dL_da = None if passes.net.paired else passes.loss_gradient(passes.work.y) * passes.row_weights()
            return passes.delta[index], dL_da
        dL_da = passes.through(upper, index, story.delta @ passes.dense[upper].weight.T)
        return passes.times_slope(index, dL_da), dL_da

    def _ways(self, passes: Passes, index: int, story: Story, base: Array, dL_da: Array | None) -> list[Way]:
        with np.errstate(all="ignore"):
            if story.delta is None or dL_da is None:
                return output_ways(passes, index)
            found = list(slope_ways(passes, index, dL_da))
            sources = source_ways(passes, index, story.delta, self._updated(passes, index, story.delta))
            found += [replace(way, value=passes.times_slope(index, way.value)) for way in sources]
            found += rows_of(base, passes.weight_sum, index, min(passes.delta))
        return [way for way in found if np.isfinite(way.value).all()]

    def _updated(self, passes: Passes, index: int, above: Array) -> list[tuple[Array, dict[str, float]]]:
        """Weights of the layer above after an update: by the optimiser, or by descent at a rate that is measured."""
        upper = passes.above(index)
        if upper is None:
            return []
        parameters, name = passes.net.parameters, f"{upper}.weight"
        place, shape = parameters.slice(name), parameters.shapes[name]
        found: list[tuple[Array, dict[str, float]]] = [(v[place].reshape(shape), {}) for v in self.update.values]
        weight = passes.dense[upper].weight
        for vector in self.update.gradients:
            gradient = vector[place].reshape(shape)
            for rate in self._rates(passes, index, above, weight, gradient):
                found.append((weight - rate * gradient, {"learning_rate": rate}))
        return found

    def _rates(self, passes: Passes, index: int, above: Array, weight: Array, gradient: Array) -> list[float]:
        """Rates η at which weights W − η dL/dW explain the layer's arrays, by least squares, array by array."""
        upper = passes.above(index)
        if upper is None:
            return []
        made = [passes.times_slope(index, passes.through(upper, index, above @ w.T)) for w in (weight, gradient)]
        found: list[float] = []
        for name in self.names(index):
            if name in self.judge.given.odd:
                continue
            given, m = self.judge.given.arrays[name], self.exact.weight_sum
            weights = name.endswith(".weight")
            right, added = (passes.work.a[index].T @ d / m if weights else d.sum(axis=0) / m for d in made)
            missing = right - given + (passes.penalty(name) if weights else 0.0)
            size = float(np.vdot(added, added))
            rate = float(np.vdot(missing, added)) / size if size > 0.0 else 0.0
            if rate > 1e-9 and given.size >= 3 and np.linalg.norm(missing) > 0.0:
                found.append(rate)
        return found

    def _told(self, story: Story, index: int, way: Way, fits: Sequence[Fit]) -> list[Story]:
        """The stories that a delta with these fits leads to: factors in delta or in the gradients alone."""
        mistakes, cost = joined(fits, len(self.names(index)))
        cost += way.cost
        misfit = max((fit.misfit for fit in fits), default=0.0)
        shared = [
            m
            for m in mistakes
            if (not m.array and "expected_ratio" in m.numbers) or (m.name == "sign_flipped" and not m.array)
        ]
        found = [story.then(way.mistakes + mistakes, cost, misfit, way.value)]
        if shared and len(shared) == len(mistakes):
            factor = float(np.prod([float(m.numbers.get("expected_ratio", -1.0)) for m in shared]))
            onward = tuple(replace(m, onward=True) for m in shared)
            found.append(story.then(way.mistakes + onward, cost - 0.001, misfit, way.value * factor))
        return found

    def _own(self, story: Story, index: int, way: Way, names: Sequence[str], *, ways: bool) -> list[Story]:
        """Mistakes of single arrays, from a delta that at least one array agrees with, or each in its own way."""
        options: list[list[Fit]] = []
        for name in names:
            plain = self.judge.plain(story.passes, index, way.value, name)
            if any(not fit.mistakes for fit in plain):
                options.append([RIGHT])
                continue
            options.append(plain + self.judge.rich(story.passes, index, way.value, name))
        if ways and not any(option == [RIGHT] for option in options):
            return []
        found = []
        for fits in itertools.product(*options):
            if fits:
                found += self._told(story, index, way, fits)
        return found

    def _two(
        self, story: Story, index: int, bases: list[Way], ways: list[Way], dL_da: Array | None, names: Sequence[str]
    ) -> list[Story]:
        """One mistake in delta and one in an array, or two in delta."""
        found = []
        for way in ways:
            if any(self.judge.plain(story.passes, index, way.value, name, factors=False) for name in names):
                found += self._own(story, index, way, names, ways=True)
        if story.delta is not None and dL_da is not None:
            with np.errstate(all="ignore"):
                for source in source_ways(story.passes, index, story.delta, ()):
                    for slope in slope_ways(story.passes, index, source.value):
                        if not np.isfinite(slope.value).all():
                            continue
                        both = Way(slope.value, source.mistakes + slope.mistakes, source.extra + slope.extra)
                        for fits in way_fits(self.judge, story.passes, index, both, names):
                            if not any(fit.mistakes for fit in fits):
                                found += self._told(story, index, both, fits)
        return found

    def _unread(self, story: Story, index: int, base: Array, names: Sequence[str]) -> list[Story]:
        """A factor that is constant and has no meaning."""
        wrong = [name for name in names if not self.judge.plain(story.passes, index, base, name, factors=False)]
        factor = self.judge.constant(story.passes, index, base, wrong)
        if factor is None:
            return []
        if wrong == list(names):
            mistake = Mistake("constant_factor", index, index, numbers={"ratio": factor})
            onward = story.then((replace(mistake, onward=True),), _UNREAD - 0.001, 0.0, base * factor)
            return [story.then((mistake,), _UNREAD, 0.0, base), onward]
        mistakes = tuple(Mistake("constant_factor", index, index, name, numbers={"ratio": factor}) for name in wrong)
        return [story.then(mistakes, (_UNREAD + _IN_PART) * len(mistakes), 0.0, base)]

    def _not_given(self, story: Story, index: int, base: Array, dL_da: Array | None) -> list[Story]:
        """A layer of which nothing was given: a mistake in its delta may show further down."""
        found = [story.then((), 0.0, 0.0, base)]
        if any(self.names(i) for i in self.exact.delta if i < index):
            for way in self._ways(story.passes, index, story, base, dL_da):
                found.append(story.then(way.mistakes, way.cost + 0.2, 0.0, way.value))
        return found

    def _unknown(
        self, story: Story, index: int, ways: Sequence[Way], names: Sequence[str], right_delta: Array
    ) -> list[Story]:
        """What nothing explains: the arrays that are wrong, where another agrees; else the layer."""
        found = []
        for way in ways:
            fits = {name: self.judge.plain(story.passes, index, way.value, name) for name in names}
            agreeing = [name for name in names if any(not fit.mistakes for fit in fits[name])]
            if agreeing and len(agreeing) < len(names):
                mistakes = [Mistake(UNKNOWN, index, index, name) for name in names if name not in agreeing]
                cost = way.cost + (_UNKNOWN - 0.4) * len(mistakes)
                found.append(story.then(way.mistakes + tuple(mistakes), cost, 0.0, way.value))
        whole = story.then((Mistake(UNKNOWN, index, index),), _UNKNOWN, 0.0, right_delta, self.exact)
        return [*found, whole]


def joined(fits: Sequence[Fit], arrays: int) -> tuple[tuple[Mistake, ...], float]:
    """The mistakes of a layer's arrays together: the same one in all of them is one mistake, of the layer."""
    cost = sum(fit.cost for fit in fits)
    by_name: dict[tuple[str, object], list[Mistake]] = {}
    for mistake in itertools.chain(*(fit.mistakes for fit in fits)):
        by_name.setdefault((mistake.name, mistake.numbers.get("expected_ratio")), []).append(mistake)
    found: list[Mistake] = []
    for (name, _), same in by_name.items():
        if len(same) == arrays:
            if arrays > 1:
                cost -= len(same) - 1.0
            one = same[0]
            found.append(replace(one, array="" if arrays > 1 else one.array))
            continue
        cost += _IN_PART * (name != "sum_not_mean" or not same[0].array.endswith(".bias"))
        for mistake in same:
            if name == "sum_not_mean" and mistake.array.endswith(".bias"):
                mistake = replace(mistake, name="bias_not_averaged")
            found.append(mistake)
    return tuple(found), cost


def _same(one: Array, other: Array) -> bool:
    return one is other or bool(np.allclose(one, other, 1e-9, 0.0))


def _best(stories: Sequence[Story]) -> list[Story]:
    """The cheapest, each mistake-list once."""
    kept: dict[object, Story] = {}
    for story in sorted(stories, key=lambda one: (one.cost, one.misfit)):
        key = (
            id(story.passes),
            tuple((m.name, m.layer, m.array, m.onward, str(m.numbers.get("expected_ratio"))) for m in story.mistakes),
        )
        kept.setdefault(key, story)
    found = list(kept.values())
    if not found:
        return []
    limit = found[0].cost + 3.5
    return [story for story in found if story.cost <= limit][:_WIDTH]
