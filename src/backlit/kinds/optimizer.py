"""From a gradient to a step, on the one vector: what every optimiser is.

θ are all parameters of the network (``values``), g all gradients, η the learning rate. An optimiser is a description;
what it remembers between steps (velocity, moments) lives in `OptimizerState`, one row of one array for each kind of
memory. `update` works in place: no array of the size of θ is made during training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, final, runtime_checkable

import numpy as np

from ..checks import positive
from ..parameters import BLOCK, Array, blocks
from .schedules import LearningRate
from .script import UpdateText


@final
@dataclass
class OptimizerState:
    """What an optimiser remembers.

    Attributes
    ----------
    slots : ndarray, shape (number of slots, P)
        One row for each kind of memory, in the order of the optimiser's `slots`.
    step : int
        Steps taken so far.
    scratch : ndarray, shape (P,)
        Room to work in; holds nothing between steps.
    optimizer : str
        The name of the optimiser whose memory it is; empty where nobody knows.
    """

    slots: Array
    step: int
    scratch: Array
    optimizer: str = ""


class Optimizer(Protocol):
    """The interface of an optimiser; one of your own needs these four.

    One that moves every parameter by its own gradient and memory alone may say ``elementwise = True``: a long vector is
    then moved part by part, with the same result in less time.
    """

    learning_rate: LearningRate
    clip_norm: float | None
    slots: tuple[str, ...]

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        """Move `values` by one step with learning rate `rate`; ``state.step`` is the number of this step, from 1."""
        ...


@runtime_checkable
class CompiledOptimizer(Protocol):
    """What an optimiser has besides, for the compiled engine."""

    #: The step for the part of the vector from `start` to `stop`, which is one parameter, or a block of one where the
    #: optimiser is ``elementwise``; in what `kinds.numbers` has, as Numba can compile it:
    #: ``kernel(values, gradients, slots, start, stop, scale, rate, t, is_weight, settings)``. `gradients` are sums:
    #: g is scale · gradients, and is written back. `settings` is what `numbers` gave, as float64.
    kernel: ClassVar[Callable[..., None]]

    def numbers(self) -> tuple[float, ...]:
        """The settings that `kernel` takes."""
        ...


@runtime_checkable
class ScriptedOptimizer(Protocol):
    """What an optimiser has besides, for a NumPy script."""

    def script(self) -> UpdateText: ...


def initial_state(optimizer: Optimizer, size: int, dtype: np.dtype[Any]) -> OptimizerState:
    """A memory of nothing, for a vector of `size` parameters."""
    slots = np.zeros((len(optimizer.slots), size), dtype)
    return OptimizerState(slots, 0, np.empty(size, dtype), type(optimizer).__name__)


def take_step(
    optimizer: Optimizer,
    values: Array,
    gradient: Array,
    weight_mask: Array,
    state: OptimizerState,
    rate: float,
) -> None:
    """One step: clip the gradient if asked, count the step, move the parameters."""
    if optimizer.clip_norm is not None:
        # g ← g · min(1, clip_norm / ‖g‖). Pascanu et al. (2013)
        norm = math.sqrt(float(np.dot(gradient, gradient)))
        if norm > optimizer.clip_norm:
            gradient *= optimizer.clip_norm / norm
    state.step += 1
    # An optimiser that says nothing of it may need the whole vector: the norm of all moments, say.
    if values.size <= BLOCK or not getattr(optimizer, "elementwise", False):
        optimizer.update(values, gradient, weight_mask, state, rate)
        return
    for part in blocks(values.size):
        moved = values[part]
        # one piece of scratch for all parts: it is in the cache already
        own = OptimizerState(state.slots[:, part], state.step, state.scratch[: moved.size], state.optimizer)
        optimizer.update(moved, gradient[part], weight_mask[part], own, rate)


def check_clip_norm(clip_norm: float | None) -> float | None:
    """The longest gradient allowed, above 0; or None."""
    return None if clip_norm is None else positive("clip_norm", clip_norm)
