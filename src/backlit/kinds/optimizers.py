"""The optimisers, one class each: description, `update` in NumPy, its kernel, its text in a script.

`kinds/optimizer.py` says what every optimiser is. A new one is a class here, or a file of its own, in `OPTIMIZERS`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final, final

import numpy as np

from ..checks import fraction, positive
from ..exceptions import ConfigurationError
from ..parameters import Array
from .adam import Adam, AdamW
from .lion import Lion
from .numbers import normal, smallest_normal
from .optimizer import (
    CompiledOptimizer,
    Optimizer,
    OptimizerState,
    ScriptedOptimizer,
    check_clip_norm,
    initial_state,
    take_step,
)
from .schedules import LearningRate, check_learning_rate
from .script import UpdateText

__all__ = [
    "OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "CompiledOptimizer", "Lion", "Optimizer", "OptimizerState",
    "RMSprop", "ScriptedOptimizer", "initial_state", "take_step",
]  # fmt: skip


# In the kernels moments that fade away become zero before they are subnormal numbers, with which a processor is slow.


def _sgd_kernel(
    values: Array, gradients: Array, slots: Array, start: int, stop: int, scale: Any, rate: Any, t: int,
    is_weight: bool, settings: Array,
) -> None:  # fmt: skip
    w, dw = values[start:stop], gradients[start:stop]
    real = values.dtype.type
    tiny, eta, mu, nesterov = real(smallest_normal(values.itemsize)), real(rate), real(settings[0]), settings[1] != 0.0
    if mu == 0.0:
        for i in range(w.size):
            g = scale * dw[i]
            dw[i] = g
            w[i] -= g * eta
        return
    v = slots[0][start:stop]
    for i in range(w.size):
        g = scale * dw[i]
        dw[i] = g
        step = g * eta
        v[i] = normal(v[i] * mu - step, tiny)
        w[i] += v[i] * mu - step if nesterov else v[i]


def _root_mean_square_kernel(
    values: Array, gradients: Array, slots: Array, start: int, stop: int, scale: Any, rate: Any, t: int,
    is_weight: bool, settings: Array,
) -> None:  # fmt: skip
    w, dw = values[start:stop], gradients[start:stop]
    # RMSprop keeps ρ v and adds (1 − ρ) g²; Adagrad keeps v and adds g²
    real = values.dtype.type
    tiny, eta = real(smallest_normal(values.itemsize)), real(rate)
    keep, add, epsilon = real(settings[0]), real(settings[1]), real(settings[2])
    v = slots[0][start:stop]
    for i in range(w.size):
        g = scale * dw[i]
        dw[i] = g
        v[i] = normal(v[i] * keep + g * g * add, tiny)
        w[i] -= g / (math.sqrt(v[i]) + epsilon) * eta


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

    name: ClassVar[str] = "sgd"
    elementwise: ClassVar[bool] = True
    kernel: ClassVar[Any] = staticmethod(_sgd_kernel)

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
        self.clip_norm = check_clip_norm(clip_norm)
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

    def numbers(self) -> tuple[float, ...]:
        """The settings of the kernel: momentum, nesterov."""
        return (self.momentum, float(self.nesterov))

    def script(self) -> UpdateText:
        """The text of an exported script."""
        if not self.momentum:
            return UpdateText("sgd", "gradient descent", "θ ← θ − η g")
        formula = "θ ← θ + μ v − η g" if self.nesterov else "θ ← θ + v"
        move = "MOMENTUM * v - {rate} * g" if self.nesterov else "v"
        return UpdateText(
            "momentum",
            "gradient descent with Nesterov's momentum" if self.nesterov else "gradient descent with momentum",
            f"v ← μ v − η g, {formula}",
            {"MOMENTUM": (self.momentum, "μ")},
            ("v",),
            "the velocity v",
            f"# v ← μ v − η g\nv[:] = MOMENTUM * v - {{rate}} * g\n# {formula}\ntheta += {move}",
        )

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

    name: ClassVar[str] = "rmsprop"
    elementwise: ClassVar[bool] = True
    kernel: ClassVar[Any] = staticmethod(_root_mean_square_kernel)
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
        self.clip_norm = check_clip_norm(clip_norm)

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

    def numbers(self) -> tuple[float, ...]:
        """The settings of the kernel: what is kept of v, the share of g², epsilon."""
        return (self.rho, 1.0 - self.rho, self.epsilon)

    def script(self) -> UpdateText:
        """The text of an exported script."""
        return UpdateText(
            "rmsprop",
            "RMSprop",
            "v ← ρ v + (1 − ρ) g², θ ← θ − η g / (√v + ε)",
            {"RHO": (self.rho, "ρ"), "EPSILON": (self.epsilon, "ε")},
            ("v",),
            "v, a running mean of the squared gradient",
            "# v ← ρ v + (1 − ρ) g²\nv[:] = RHO * v + (1 - RHO) * g**2\n"
            "# θ ← θ − η g / (√v + ε)\ntheta -= {rate} * g / (np.sqrt(v) + EPSILON)",
        )

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

    name: ClassVar[str] = "adagrad"
    elementwise: ClassVar[bool] = True
    kernel: ClassVar[Any] = staticmethod(_root_mean_square_kernel)
    slots: tuple[str, ...] = ("sum_of_squares",)

    def __init__(
        self, learning_rate: LearningRate = 0.01, epsilon: float = 1e-10, *, clip_norm: float | None = None
    ) -> None:
        self.learning_rate = check_learning_rate(learning_rate)
        self.epsilon = positive("epsilon", epsilon)
        self.clip_norm = check_clip_norm(clip_norm)

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

    def numbers(self) -> tuple[float, ...]:
        """The settings of the kernel: what is kept of v, the share of g², epsilon."""
        return (1.0, 1.0, self.epsilon)

    def script(self) -> UpdateText:
        """The text of an exported script."""
        return UpdateText(
            "adagrad",
            "Adagrad",
            "v ← v + g², θ ← θ − η g / (√v + ε)",
            {"EPSILON": (self.epsilon, "ε")},
            ("v",),
            "v, the sum of the squared gradients so far",
            "# v ← v + g²\nv += g**2\n# θ ← θ − η g / (√v + ε)\ntheta -= {rate} * g / (np.sqrt(v) + EPSILON)",
        )

    def __repr__(self) -> str:
        return f"Adagrad({self.learning_rate})"


#: All of them, by their name on the command line.
OPTIMIZERS: Final[dict[str, type[Any]]] = {
    optimizer.name: optimizer for optimizer in (SGD, RMSprop, Adagrad, Adam, AdamW, Lion)
}
