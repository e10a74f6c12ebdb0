"""Optimisers: from a gradient to a step, on the one vector.

θ are all parameters of the network (``values``), g all gradients, η the learning rate. An optimiser is a description;
what it remembers between steps (velocity, moments) lives in `OptimizerState`, one row of one array for each kind of
memory. Every line below works in place: no array of the size of θ is made during training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from ..checks import fraction, not_negative, positive
from ..exceptions import ConfigurationError
from ..parameters import Array
from .schedules import LearningRate, check_learning_rate


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
    """The interface of an optimiser."""

    learning_rate: LearningRate
    clip_norm: float | None
    slots: tuple[str, ...]

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        """Move `values` by one step with learning rate `rate`; ``state.step`` is the number of this step, from 1."""
        ...


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
    optimizer.update(values, gradient, weight_mask, state, rate)


@final
class SGD:
    """Stochastic gradient descent, with momentum if wanted.

        θ ← θ − η g                                     momentum = 0
        v ← μ v − η g,   θ ← θ + v                      momentum = μ, Polyak (1964)
        v ← μ v − η g,   θ ← θ + μ v − η g              with nesterov, Sutskever et al. (2013)

    PyTorch keeps v without η (v ← μ v + g, θ ← θ − η v), which differs when η changes during training;
    scikit-learn and Keras do as written here.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.01
    momentum : float, default=0
    nesterov : bool, default=False
    clip_norm : float, optional
        Longest gradient allowed.

    Examples
    --------
    >>> SGD(3.0)
    SGD(3.0)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        clip_norm: float | None = None,
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.momentum = fraction("momentum", momentum)
        self.nesterov = bool(nesterov)
        if self.nesterov and not self.momentum:
            raise ConfigurationError(f"nesterov needs a momentum above 0, received momentum={momentum!r}")
        self.clip_norm = _clip(clip_norm)
        self.slots: tuple[str, ...] = ("velocity",) if self.momentum else ()

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        step = np.multiply(gradient, rate, out=state.scratch)  # η g
        if self.momentum:
            v = state.slots[0]
            # v ← μ v − η g
            v *= self.momentum
            v -= step
            if not self.nesterov:
                # θ ← θ + v
                values += v
                return
            # θ ← θ − η g + μ v
            values -= step
            values += np.multiply(v, self.momentum, out=step)
        else:
            # θ ← θ − η g
            values -= step

    def __repr__(self) -> str:
        momentum = f", momentum={self.momentum}" if self.momentum else ""
        return f"SGD({self.learning_rate}{momentum}{', nesterov=True' if self.nesterov else ''})"


@final
class RMSprop:
    """Divide by a running root mean square of the gradient. Hinton, lecture 6e (2012).

        v ← ρ v + (1 − ρ) g²,   θ ← θ − η g / (√v + ε)

    PyTorch's default ρ is 0.99; Keras' ε is 1e-7.

    Examples
    --------
    >>> RMSprop(0.001)
    RMSprop(0.001)
    """

    slots: tuple[str, ...] = ("mean_square",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        *,
        clip_norm: float | None = None,
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.rho = fraction("rho", rho)
        self.epsilon = positive("epsilon", epsilon)
        self.clip_norm = _clip(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        v, work = state.slots[0], state.scratch
        # v ← ρ v + (1 − ρ) g²
        np.multiply(gradient, gradient, out=work)
        work *= 1.0 - self.rho
        v *= self.rho
        v += work
        # θ ← θ − η g / (√v + ε)
        np.sqrt(v, out=work)
        work += self.epsilon
        np.divide(gradient, work, out=work)
        work *= rate
        values -= work

    def __repr__(self) -> str:
        return f"RMSprop({self.learning_rate})"


@final
class Adagrad:
    """Divide by the root of the sum of all squared gradients so far. Duchi et al. (2011).

        v ← v + g²,   θ ← θ − η g / (√v + ε)

    Keras starts v at 0.1; PyTorch at 0, as here.

    Examples
    --------
    >>> Adagrad(0.01)
    Adagrad(0.01)
    """

    slots: tuple[str, ...] = ("sum_of_squares",)

    def __init__(
        self, learning_rate: LearningRate = 0.01, epsilon: float = 1e-10, *, clip_norm: float | None = None
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.epsilon = positive("epsilon", epsilon)
        self.clip_norm = _clip(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        v, work = state.slots[0], state.scratch
        # v ← v + g²
        np.multiply(gradient, gradient, out=work)
        v += work
        # θ ← θ − η g / (√v + ε)
        np.sqrt(v, out=work)
        work += self.epsilon
        np.divide(gradient, work, out=work)
        work *= rate
        values -= work

    def __repr__(self) -> str:
        return f"Adagrad({self.learning_rate})"


@final
class Adam:
    """Running means of the gradient and of its square. Kingma & Ba (2015), algorithm 1.

        m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)          θ ← θ − η m̂ / (√v̂ + ε)

    PyTorch does the same. scikit-learn and Keras add ε before the correction of v, as the paper's ε̂ at the end of its
    section 2: ``epsilon_hat=True`` does as they do.

    Examples
    --------
    >>> Adam(0.001)
    Adam(0.001)
    """

    slots: tuple[str, ...] = ("mean", "mean_square")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        epsilon_hat: bool = False,
        clip_norm: float | None = None,
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.beta_1 = fraction("beta_1", beta_1)
        self.beta_2 = fraction("beta_2", beta_2)
        self.epsilon = positive("epsilon", epsilon)
        self.epsilon_hat = bool(epsilon_hat)
        self.clip_norm = _clip(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        epsilon = self.epsilon
        if self.epsilon_hat:
            # √v + ε̂ is √(1 − β₂ᵗ) (√v̂ + ε) with
            epsilon /= math.sqrt(1.0 - self.beta_2**state.step)
        _adam(values, gradient, state, rate, self.beta_1, self.beta_2, epsilon)

    def __repr__(self) -> str:
        return f"Adam({self.learning_rate})"


@final
class AdamW:
    """Adam with weight decay apart from the gradient. Loshchilov & Hutter (2019).

        w ← w − η λ w   for weights, never biases; then Adam's step

    The decay does not pass through the moments, as the gradient of an l2 penalty would.
    PyTorch decays biases as well unless told otherwise.

    Examples
    --------
    >>> AdamW(0.001, weight_decay=0.01)
    AdamW(0.001, weight_decay=0.01)
    """

    slots: tuple[str, ...] = ("mean", "mean_square")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        clip_norm: float | None = None,
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.beta_1 = fraction("beta_1", beta_1)
        self.beta_2 = fraction("beta_2", beta_2)
        self.epsilon = positive("epsilon", epsilon)
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.clip_norm = _clip(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        # w ← w − η λ w
        decay = np.multiply(values, weight_mask, out=state.scratch)
        decay *= rate * self.weight_decay
        values -= decay
        _adam(values, gradient, state, rate, self.beta_1, self.beta_2, self.epsilon)

    def __repr__(self) -> str:
        return f"AdamW({self.learning_rate}, weight_decay={self.weight_decay})"


def _adam(
    values: Array,
    gradient: Array,
    state: OptimizerState,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    m, v = state.slots
    t, work = state.step, state.scratch
    # m ← β₁ m + (1 − β₁) g
    m *= beta_1
    m += np.multiply(gradient, 1.0 - beta_1, out=work)
    # v ← β₂ v + (1 − β₂) g²
    v *= beta_2
    np.multiply(gradient, gradient, out=work)
    work *= 1.0 - beta_2
    v += work
    # θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
    np.divide(v, 1.0 - beta_2**t, out=work)
    np.sqrt(work, out=work)
    work += epsilon
    np.divide(m, work, out=work)
    work *= rate / (1.0 - beta_1**t)
    values -= work


def _clip(clip_norm: float | None) -> float | None:
    return None if clip_norm is None else positive("clip_norm", clip_norm)
