"""What the estimators' parameters may be, and which of their methods there are."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Final, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if

from ..kinds.losses import Loss
from .names import CLASSIFIER_LOSSES, HIDDEN_ACTIVATIONS, REGRESSOR_LOSSES, SOLVERS, loss_of, makes_margins, solver_of

_Method = TypeVar("_Method", bound=Callable[..., Any])

# As scikit-learn states its own: https://scikit-learn.org/stable/developers/develop.html
_CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(HIDDEN_ACTIVATIONS)), list, tuple],
    "solver": [StrOptions(set(SOLVERS))],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), callable],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "scoring": [str, callable, list, tuple, dict, None],
    "callbacks": [list, tuple, None],
    "impute_missing": ["boolean"],
    "engine": [StrOptions({"auto", "reference", "compiled"})],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
}

CLASSIFIER_CONSTRAINTS: Final = {
    **_CONSTRAINTS,
    "loss": [StrOptions(set(CLASSIFIER_LOSSES)), tuple, Loss],
    "class_weight": [dict, StrOptions({"balanced"}), None],
}
REGRESSOR_CONSTRAINTS: Final = {**_CONSTRAINTS, "loss": [StrOptions(set(REGRESSOR_LOSSES)), tuple, Loss]}


def parameters_checked(method: _Method) -> _Method:
    """A method of fitting that begins by checking the parameters against their constraints."""
    checked: _Method = _fit_context(prefer_skip_nested_validation=True)(method)
    return checked


def available_where(check: Callable[[Any], bool]) -> Callable[[_Method], _Method]:
    """A method that only estimators have for which `check` is true."""
    decorate: Callable[[_Method], _Method] = available_if(check)
    return decorate


def can_go_on(estimator: Any) -> bool:
    """Whether there is `partial_fit`."""
    if not solver_of(estimator).stochastic:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def gives_margins(classifier: Any) -> bool:
    """Whether there is `decision_function`: the hinge loss leaves margins."""
    return makes_margins(loss_of(classifier))


def gives_probabilities(classifier: Any) -> bool:
    """Whether there is `predict_proba`."""
    return not gives_margins(classifier)
