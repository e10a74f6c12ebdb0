"""What the estimators' parameters may be, and which of their methods there are."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Final, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if

from ..kinds.activations import NAMES as ACTIVATIONS
from ..kinds.losses import NAMES as LOSSES
from ..kinds.losses import Loss

_Method = TypeVar("_Method", bound=Callable[..., Any])

_STOCHASTIC: Final = ("adam", "adamw", "adagrad", "rmsprop", "sgd")

# As scikit-learn states its own: https://scikit-learn.org/stable/developers/develop.html
_CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({"logistic", *ACTIVATIONS} - {"softmax"}), list, tuple],
    "solver": [StrOptions({"lbfgs", *_STOCHASTIC})],
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
    "loss": [StrOptions({"log_loss", *LOSSES}), tuple, Loss],
    "class_weight": [dict, StrOptions({"balanced"}), None],
}
REGRESSOR_CONSTRAINTS: Final = {**_CONSTRAINTS, "loss": [StrOptions({*LOSSES}), tuple, Loss]}


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
    if estimator.solver not in _STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def gives_probabilities(classifier: Any) -> bool:
    """Whether there is `predict_proba`: the hinge loss leaves margins, not probabilities."""
    return bool(classifier.loss != "hinge")


def gives_margins(classifier: Any) -> bool:
    """Whether there is `decision_function`."""
    return bool(classifier.loss == "hinge")
