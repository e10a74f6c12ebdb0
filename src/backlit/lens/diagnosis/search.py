"""The simplest story that explains every gradient given: from the output down, layer by layer.

A mistake in delta is handed on to every layer below; so each layer is judged from the delta that the story so far has
arrived at. Stories are kept in the order of what they cost (one for a mistake, less for the same mistake again, three
for a layer that nothing explains) and the cheapest that reaches the first layer is it: Dijkstra's shortest path.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np

from ...parameters import Array
from .match import Fit, Judge
from .mistakes import OTHER_SIDE, Mistake, Passes, Variation

UNKNOWN: Final = "unknown"

_AGAIN: Final = 0.6  # what a mistake costs that the story has already
_MEASURED: Final = 0.1  # what it costs more where one of its numbers was fitted
_IN_PART: Final = 0.5  # where it is in a layer's weights or biases alone
_CONVENTION: Final = 0.01  # f′ on the other side of a kink
_UNKNOWN: Final = 3.0


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

    def then(self, mistakes: tuple[Mistake, ...], misfit: float, delta: Array, extra: float = 0.0) -> Story:
        """The story with one more layer explained."""
        cost, names = self.cost + extra, {mistake.name for mistake in self.mistakes}
        for mistake in mistakes:
            price = _UNKNOWN if mistake.name == UNKNOWN else 1.0
            price += _IN_PART * (mistake.numbers.get("where") in ("weights", "biases"))
            cost += price * (_AGAIN if mistake.name in names else 1.0)
        return Story(self.passes, self.mistakes + mistakes, cost, max(self.misfit, misfit), delta)


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
@dataclass
class _Step:
    """The explanations of one layer, tried in the order of the mistakes they need."""

    story: Story
    index: int
    judge: Judge
    update: Update
    mistakes: int = 0
    done: bool = False
    _tried: list[tuple[Variation, Array, list[Fit]]] = field(default_factory=list)

    def take(self) -> list[Story]:
        """The stories in which this layer adds `mistakes` mistakes; three stand for "unknown"."""
        story, index = self.story, self.index
        if self.mistakes == 3:
            self.done = True
            return [story.then((Mistake(UNKNOWN, index, index),), 0.0, self._tried[0][1])]  # on with the right delta
        given = index in self.judge.given.layers
        for variation in self._variations():
            delta = story.passes.delta(index, story.delta, variation)
            if given:
                self._tried.append((variation, delta, self.judge.fits(story.passes, index, delta)))
            elif not variation.mistakes or not np.allclose(delta, self._tried[0][1], 1e-9, 0.0):
                self._tried.append((variation, delta, [Fit()]))
        found, seen = [], False
        for variation, delta, fits in self._tried:
            extra = _CONVENTION * (variation.slope == OTHER_SIDE)
            extra += _MEASURED * any("learning_rate" in mistake.numbers for mistake in variation.mistakes)
            for fit in fits:
                if len(variation.mistakes) + len(fit.mistakes) == self.mistakes:
                    found.append(story.then(variation.mistakes + fit.mistakes, fit.misfit, delta, extra))
                    seen |= all(mistake.name != "stale_gradient" for mistake in fit.mistakes)
        if not given:
            most = 1  # a mistake in delta may show further down
        elif seen:
            most = 0
        else:
            # Gradients left from the step before tell nothing of delta: it may have a mistake that shows further down.
            most = 2 if found else 3
        self.done = self.mistakes >= most
        return found

    def _variations(self) -> list[Variation]:
        passes, index = self.story.passes, self.index
        weights = passes.transposed_weight(index) + self._updated(index) if self.mistakes else []
        found = passes.variations(index, self.mistakes, weights)
        return found + (self._fitted(index) if self.mistakes else [])

    def _updated(self, index: int) -> list[Variation]:
        """The weights of the layer above after the update, where the optimiser is known."""
        passes = self.story.passes
        upper = passes.above(index)
        if upper is None:
            return []
        mistake = Mistake("updated_weights_in_backward", upper, index, True)
        return [Variation((mistake,), _weight(passes, upper, values)) for values in self.update.values]

    def _fitted(self, index: int) -> list[Variation]:
        """The same for gradient descent with a rate η that is measured: delta is linear in W − η dL/dW."""
        passes = self.story.passes
        upper = passes.above(index)
        if upper is None or index not in self.judge.given.layers:
            return []
        found = []
        others = passes.variations(index, self.mistakes - 1)
        for gradients, other in itertools.product(self.update.gradients, others):
            gradient = _weight(passes, upper, gradients)
            delta = passes.delta(index, self.story.delta, other)
            per_rate = passes.delta(index, self.story.delta, replace(other, weight=gradient))
            for rate in self.judge.rates(passes, index, delta, per_rate):
                mistake = Mistake("updated_weights_in_backward", upper, index, True, {"learning_rate": rate})
                weight = passes.dense[upper].weight - rate * gradient
                found.append(replace(other, mistakes=(mistake, *other.mistakes), weight=weight))
        return found


def _weight(passes: Passes, index: int, vector: Array) -> Array:
    parameters = passes.net.parameters
    name = f"{index}.weight"
    return vector[parameters.slice(name)].reshape(parameters.shapes[name])


def simplest_stories(judge: Judge, starts: Sequence[Passes], update: Update, *, unknown: bool = True) -> list[Story]:
    """The cheapest story, and those after it that cost the same: they cannot be told apart on this data.

    Without `unknown`, none where there is a layer that nothing explains.
    """
    order = list(judge.exact.dense)
    number = itertools.count()  # stories of the same cost: first come, first served
    heap: list[tuple[float, int, Story, int, _Step | None]] = []

    def push(story: Story, depth: int) -> None:
        step = _Step(story, order[depth], judge, update) if depth < len(order) else None
        heapq.heappush(heap, (story.cost, next(number), story, depth, step))

    for passes in starts:
        push(Story(passes, passes.mistakes, float(len(passes.mistakes))), 0)
    finished: list[Story] = []
    while heap:
        cost, _, story, depth, step = heapq.heappop(heap)
        if finished and cost > finished[0].cost + 1e-9:
            break
        if step is None:
            finished.append(story)
            continue
        for longer in step.take():
            push(longer, depth + 1)
        if not step.done and (unknown or step.mistakes < 2):
            step.mistakes += 1
            bound = (_UNKNOWN if step.mistakes == 3 else step.mistakes) * _AGAIN
            heapq.heappush(heap, (story.cost + bound, next(number), story, depth, step))
    return finished
