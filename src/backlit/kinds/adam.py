"""Adam and AdamW: steps from running means of the gradient and of its square."""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

import numpy as np

from ..checks import fraction, not_negative, positive
from ..parameters import Array
from .numbers import normal, smallest_normal
from .optimizer import OptimizerState, check_clip_norm
from .schedules import LearningRate, check_learning_rate
from .script import UpdateText


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


def _adam_kernel(
    values: Array, gradients: Array, slots: Array, start: int, stop: int, scale: Any, rate: Any, t: int,
    is_weight: bool, settings: Array,
) -> None:  # fmt: skip
    w, dw = values[start:stop], gradients[start:stop]
    real = values.dtype.type
    beta_1, beta_2, weight_decay = settings[0], settings[1], settings[3]
    left = 1.0 - beta_2**t
    eta, correction = real(rate / (1.0 - beta_1**t)), real(1.0 / left)
    epsilon = real(settings[2] / math.sqrt(left) if settings[4] != 0.0 else settings[2])
    decay = real(rate * weight_decay if is_weight else 0.0)
    b_1, rest_1, b_2, rest_2 = real(beta_1), real(1.0 - beta_1), real(beta_2), real(1.0 - beta_2)
    tiny = real(smallest_normal(values.itemsize))
    m, v = slots[0][start:stop], slots[1][start:stop]
    for i in range(w.size):
        g = scale * dw[i]
        dw[i] = g
        m[i] = normal(m[i] * b_1 + g * rest_1, tiny)
        v[i] = normal(v[i] * b_2 + g * g * rest_2, tiny)
        kept = w[i] - w[i] * decay
        w[i] = kept - m[i] / (math.sqrt(v[i] * correction) + epsilon) * eta


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

    name: ClassVar[str] = "adam"
    elementwise: ClassVar[bool] = True
    kernel: ClassVar[Any] = staticmethod(_adam_kernel)
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
        self.clip_norm = check_clip_norm(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        epsilon = self.epsilon
        if self.epsilon_hat:
            # √v + ε̂ is √(1 − β₂ᵗ) (√v̂ + ε) with
            epsilon /= math.sqrt(1.0 - self.beta_2**state.step)
        _adam(values, gradient, state, rate, self.beta_1, self.beta_2, epsilon)

    def numbers(self) -> tuple[float, ...]:
        """The settings of the kernel: beta_1, beta_2, epsilon, weight_decay, epsilon_hat."""
        return (self.beta_1, self.beta_2, self.epsilon, 0.0, float(self.epsilon_hat))

    def script(self) -> UpdateText:
        """The text of an exported script."""
        return _script("Adam", self.beta_1, self.beta_2, self.epsilon, epsilon_hat=self.epsilon_hat)

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

    name: ClassVar[str] = "adamw"
    elementwise: ClassVar[bool] = True
    kernel: ClassVar[Any] = staticmethod(_adam_kernel)
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
        self.clip_norm = check_clip_norm(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        # w ← w − η λ w
        decay = np.multiply(values, weight_mask, out=state.scratch)
        decay *= rate * self.weight_decay
        values -= decay
        _adam(values, gradient, state, rate, self.beta_1, self.beta_2, self.epsilon)

    def numbers(self) -> tuple[float, ...]:
        """The settings of the kernel: beta_1, beta_2, epsilon, weight_decay, epsilon_hat."""
        return (self.beta_1, self.beta_2, self.epsilon, self.weight_decay, 0.0)

    def script(self) -> UpdateText:
        """The text of an exported script."""
        return _script("AdamW", self.beta_1, self.beta_2, self.epsilon, weight_decay=self.weight_decay)

    def __repr__(self) -> str:
        return f"AdamW({self.learning_rate}, weight_decay={self.weight_decay})"


def _script(
    title: str,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    *,
    epsilon_hat: bool = False,
    weight_decay: float | None = None,
) -> UpdateText:
    means = (
        "# m ← β₁ m + (1 − β₁) g\nm[:] = BETA_1 * m + (1 - BETA_1) * g\n"
        "# v ← β₂ v + (1 − β₂) g²\nv[:] = BETA_2 * v + (1 - BETA_2) * g**2\n"
    )
    if epsilon_hat:
        formula = "θ ← θ − η √(1 − β₂ᵗ)/(1 − β₁ᵗ) m / (√v + ε̂)"
        move = (
            "# θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε̂)\n"
            "corrected = {rate} * math.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)\n"
            "theta -= corrected * m / (np.sqrt(v) + EPSILON)"
        )
    else:
        formula = "θ ← θ − η m̂ / (√v̂ + ε)"
        move = (
            "# m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)\n"
            "m_hat = m / (1 - BETA_1**t)\nv_hat = v / (1 - BETA_2**t)\n"
            "# θ ← θ − η m̂ / (√v̂ + ε)\ntheta -= {rate} * m_hat / (np.sqrt(v_hat) + EPSILON)"
        )
    constants = {"BETA_1": (beta_1, "β₁"), "BETA_2": (beta_2, "β₂"), "EPSILON": (epsilon, "ε̂" if epsilon_hat else "ε")}
    if weight_decay is not None:
        constants["WEIGHT_DECAY"] = (weight_decay, "λ")
        formula = f"W ← W − η λ W, then {formula}"
    return UpdateText(
        "adam",
        title,
        formula,
        constants,
        ("m", "v"),
        "m, a running mean of the gradient, and v, one of its square",
        means + move,
        counts_steps=True,
        decay="{rate} * WEIGHT_DECAY" if weight_decay else "",
    )
