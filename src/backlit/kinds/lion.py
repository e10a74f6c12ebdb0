"""Lion: steps of one size in every direction, from the sign of a running mean."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..checks import fraction, not_negative
from ..parameters import Array
from .numbers import normal, sign, smallest_normal
from .optimizer import OptimizerState, check_clip_norm
from .schedules import LearningRate, check_learning_rate
from .script import UpdateText


def _kernel(
    values: Array, gradients: Array, slots: Array, start: int, stop: int, scale: Any, rate: Any, t: int,
    is_weight: bool, settings: Array,
) -> None:  # fmt: skip
    w, dw = values[start:stop], gradients[start:stop]
    real = values.dtype.type
    eta, tiny = real(rate), real(smallest_normal(values.itemsize))
    b_1, b_2 = real(settings[0]), real(settings[1])
    decay = real(rate * settings[2] if is_weight else 0.0)
    m = slots[0][start:stop]
    for i in range(w.size):
        g = scale * dw[i]
        dw[i] = g
        kept = w[i] - w[i] * decay
        away = m[i] - g
        w[i] = kept - sign(g + away * b_1) * eta
        m[i] = normal(g + away * b_2, tiny)


@final
class Lion:
    """The sign of a mix of gradient and running mean.

        θ ← θ − η sign(β₁ m + (1 − β₁) g),   m ← β₂ m + (1 − β₂) g
        w ← w − η λ w   before it, for weights, never biases

    Source: Chen et al., "Symbolic discovery of optimization algorithms" (2023).
    Every parameter moves by η: choose it 3 to 10 times smaller than Adam's. Half of Adam's memory.

    Parameters
    ----------
    learning_rate : float or schedule, default=0.0001
    beta_1, beta_2 : float, default=0.9 and 0.99
    weight_decay : float, default=0
        λ.
    clip_norm : float, optional
        Longest gradient allowed.

    Examples
    --------
    >>> Lion(0.0003)
    Lion(0.0003)
    """

    name: ClassVar[str] = "lion"
    elementwise: ClassVar[bool] = True
    kernel: ClassVar[Any] = staticmethod(_kernel)
    slots: tuple[str, ...] = ("mean",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.0001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.beta_1 = fraction("beta_1", beta_1)
        self.beta_2 = fraction("beta_2", beta_2)
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.clip_norm = check_clip_norm(clip_norm)

    def update(self, values: Array, gradient: Array, weight_mask: Array, state: OptimizerState, rate: float) -> None:
        m, work = state.slots[0], state.scratch
        # w ← w − η λ w
        if self.weight_decay:
            np.multiply(values, weight_mask, out=work)
            work *= rate * self.weight_decay
            values -= work
        # c = β₁ m + (1 − β₁) g = g + β₁ (m − g), and m ← β₂ m + (1 − β₂) g in the same way
        m -= gradient
        np.multiply(m, self.beta_1, out=work)
        work += gradient
        m *= self.beta_2
        m += gradient
        # θ ← θ − η sign(c)
        np.sign(work, out=work)
        work *= rate
        values -= work

    def numbers(self) -> tuple[float, ...]:
        """The settings of the kernel: beta_1, beta_2, weight_decay."""
        return (self.beta_1, self.beta_2, self.weight_decay)

    def script(self) -> UpdateText:
        """The text of an exported script."""
        constants = {"BETA_1": (self.beta_1, "β₁"), "BETA_2": (self.beta_2, "β₂")}
        formula = "θ ← θ − η sign(β₁ m + (1 − β₁) g), m ← β₂ m + (1 − β₂) g"
        if self.weight_decay:
            constants["WEIGHT_DECAY"] = (self.weight_decay, "λ")
            formula = f"W ← W − η λ W, then {formula}"
        return UpdateText(
            "lion",
            "Lion",
            formula,
            constants,
            ("m",),
            "m, a running mean of the gradient",
            "# θ ← θ − η sign(β₁ m + (1 − β₁) g)\ntheta -= {rate} * np.sign(BETA_1 * m + (1 - BETA_1) * g)\n"
            "# m ← β₂ m + (1 − β₂) g\nm[:] = BETA_2 * m + (1 - BETA_2) * g",
            decay="{rate} * WEIGHT_DECAY" if self.weight_decay else "",
        )

    def __repr__(self) -> str:
        decay = f", weight_decay={self.weight_decay}" if self.weight_decay else ""
        return f"Lion({self.learning_rate}{decay})"
