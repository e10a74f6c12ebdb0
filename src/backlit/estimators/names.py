"""What scikit-learn calls our activations, losses and solvers, and what the estimators have to know about each.

The one file of the estimators in which a kind is told by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ..kinds.activations import ACTIVATIONS, get_activation
from ..kinds.losses import NAMES as LOSSES
from ..kinds.losses import Loss, get_loss
from ..kinds.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer
from ..kinds.schedules import LearningRate
from ..training.lbfgs import LBFGS

# ── activations ──────────────────────────────────────────────────────────────────────────────────────────────

#: scikit-learn's names, and ours for the same functions.
_OURS: Final = {"logistic": "sigmoid"}
_THEIRS: Final = {ours: theirs for theirs, ours in _OURS.items()}

#: What hidden layers may have: every function that is taken unit by unit.
HIDDEN_ACTIVATIONS: Final = frozenset({*_OURS, *(name for name, f in ACTIVATIONS.items() if f.slope is not None)})


def our_activation(given: Any) -> Any:
    """An activation as a layer takes it.

    Examples
    --------
    >>> our_activation("logistic"), our_activation("relu")
    ('sigmoid', 'relu')
    """
    return _OURS.get(given, given) if isinstance(given, str) else given


def their_activation(name: str) -> str:
    """scikit-learn's name of one of our activations."""
    return _THEIRS.get(name, name)


def starts_narrower(activation: Any) -> bool:
    """Whether scikit-learn draws the initial values of such a network from a range narrower by √3."""
    return isinstance(activation, str) and our_activation(activation) == "sigmoid"


def class_activation(loss: Loss, *, one_each: bool) -> str:
    """The output activation of a classifier; `one_each` is for units that each stand for a label of their own."""
    if makes_margins(loss):
        return "identity"
    return "sigmoid" if one_each else "softmax"


def number_activation(loss: Loss) -> str:
    """The output activation of a regressor: the one that makes a pair with the loss unit by unit, or none."""
    pairs = [name for name in loss.pairs if get_activation(name).slope is not None]
    return pairs[0] if pairs else "identity"


# ── losses ───────────────────────────────────────────────────────────────────────────────────────────────────

_LOSSES: Final = {"log_loss": "cross_entropy"}

CLASSIFIER_LOSSES: Final = frozenset({*_LOSSES, *LOSSES})
REGRESSOR_LOSSES: Final = frozenset(LOSSES)


def loss_of(estimator: Any) -> Loss:
    """The loss that the parameter `loss` asks for."""
    given = estimator.loss
    return get_loss(_LOSSES.get(given, given) if isinstance(given, str) else given)


def makes_margins(loss: Loss) -> bool:
    """Whether the outputs are margins around 0 that tell classes apart: no probabilities, and no numbers."""
    return loss.targets == "classes"


def counts(loss: Loss) -> bool:
    """Whether the loss is one of numbers that are counted: never below 0."""
    return loss.positive


# ── solvers ──────────────────────────────────────────────────────────────────────────────────────────────────


@final
@dataclass(frozen=True)
class Solver:
    """A value of the parameter `solver`.

    Attributes
    ----------
    make : callable (estimator, learning rate) -> Optimizer or LBFGS
    stochastic : bool
        Whether it takes steps on batches: with those come `partial_fit`, early stopping, schedules and `clip_norm`.
    named_rates : bool
        Whether "invscaling" and "adaptive" are for it.
    decays : bool
        Whether it has `weight_decay`.
    """

    make: Callable[[Any, LearningRate], Optimizer | LBFGS]
    stochastic: bool = True
    named_rates: bool = False
    decays: bool = False


def _adamw(e: Any, rate: LearningRate) -> Optimizer:
    return AdamW(rate, e.beta_1, e.beta_2, e.epsilon, weight_decay=e.weight_decay, clip_norm=e.clip_norm)


def _adam(e: Any, rate: LearningRate) -> Optimizer:
    if e.weight_decay:
        return _adamw(e, rate)
    return Adam(rate, e.beta_1, e.beta_2, e.epsilon, epsilon_hat=True, clip_norm=e.clip_norm)


def _sgd(e: Any, rate: LearningRate) -> Optimizer:
    # scikit-learn admits a momentum of 1; a hair's breadth below it is the same for any number of steps
    momentum = min(e.momentum, float(np.nextafter(1.0, 0.0)))
    return SGD(rate, momentum, e.nesterovs_momentum and momentum > 0.0, clip_norm=e.clip_norm)


def _lbfgs(e: Any, rate: LearningRate) -> LBFGS:
    # scikit-learn leaves ftol at SciPy's default
    return LBFGS(max_evaluations=e.max_fun, tolerance=e.tol, loss_tolerance=1e7 * np.finfo(np.float64).eps)


def _plain(kind: Any) -> Solver:
    return Solver(lambda e, rate: kind(rate, clip_norm=e.clip_norm))


#: By name; an optimiser that takes no more than a learning rate from the estimator needs no entry of its own.
SOLVERS: Final = {
    **{name: _plain(kind) for name, kind in OPTIMIZERS.items()},
    "lbfgs": Solver(_lbfgs, stochastic=False),
    "adam": Solver(_adam, decays=True),
    "adamw": Solver(_adamw, decays=True),
    "sgd": Solver(_sgd, named_rates=True),
}


def solver_of(estimator: Any) -> Solver:
    """What the parameter `solver` asks for."""
    return SOLVERS[estimator.solver]


def named_rate(estimator: Any) -> str:
    """The name in `learning_rate` where the solver heeds it, else "constant"."""
    given = estimator.learning_rate
    return given if isinstance(given, str) and solver_of(estimator).named_rates else "constant"
