"""`fit` and `partial_fit` of both estimators, from what the caller gave to a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_consistent_length

from ..exceptions import ConfigurationError
from ..network import Network
from ..parameters import Array
from .building import hidden_sizes
from .classes import weigh
from .rows import (
    Rows,
    check_weight,
    check_X,
    check_X_y,
    counted,
    fill_missing,
    find_fill_values,
    make_rows,
)
from .training import train

#: X, y and their weights as they were given; X and y may be None where they are for validation.
Given = tuple[Any, Any, Any]

_Estimator = TypeVar("_Estimator", bound=Any)

#: What scikit-learn puts into an estimator during `fit`, and takes out again itself.
_MANAGED: Final = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def fit_estimator(
    estimator: _Estimator, given: Given, held_out: Given, *, incremental: bool = False, classes: Any = None
) -> _Estimator:
    """Train an estimator on checked rows, weighted by sample weights times class weights."""
    with unchanged_if_refused(estimator):
        first = not hasattr(estimator, "network_") or (not estimator.warm_start and not incremental)
        hidden_sizes(estimator)
        X, y, sample_weight = given
        matrix, y = check_X_y(estimator, X, y, reset=first, y_numeric=is_regressor(estimator))
        estimator._learn_targets(y, first=first, incremental=incremental, classes=classes)
        targets = estimator._encode_targets(y, "y")
        weight = check_weight(sample_weight, matrix)
        factors = estimator._class_factors(targets, weight, incremental=incremental)
        if first:
            find_fill_values(estimator, matrix, weight)
        matrix = fill_missing(estimator, matrix)
        dtype = matrix.dtype if first else estimator.network_.dtype
        rows = counted(make_rows(estimator, matrix, targets, weigh(targets, weight, factors), given), "weight", dtype)
        validation = _validation(estimator, held_out, factors, dtype)
        train(estimator, rows, validation, given[:2], first=first, incremental=incremental)
    return estimator


@contextmanager
def unchanged_if_refused(estimator: Any) -> Iterator[None]:
    """What fails before an epoch is done leaves an estimator as it was: after a refused refit it predicts as before."""
    before = dict(vars(estimator))
    net: Network | None = before.get("network_")
    kept = None if net is None else (net.parameters.state.copy(), net.l2)
    estimator.n_iter_ = 0  # epochs of this call
    try:
        yield
    except BaseException:
        if estimator.n_iter_ == 0:
            managed = {name: value for name, value in vars(estimator).items() if name in _MANAGED}
            vars(estimator).clear()
            vars(estimator).update(before | managed)
            if net is not None and kept is not None:
                net.parameters.state[:], net.l2 = kept
        raise


def _validation(estimator: Any, held_out: Given, factors: Array | None, dtype: np.dtype[Any]) -> Rows | None:
    """The rows to measure on, with their weights times the class weights: the same objective as in training."""
    X_val, y_val, sample_weight_val = held_out
    if X_val is None and y_val is None and sample_weight_val is None:
        return None
    if X_val is None or y_val is None:
        raise ConfigurationError("X_val and y_val go together: give both, or neither")
    check_consistent_length(X_val, y_val)
    X = check_X(estimator, X_val)
    targets = estimator._encode_targets(y_val, "y_val")
    weight = weigh(targets, check_weight(sample_weight_val, X), factors)
    return counted(make_rows(estimator, X, targets, weight, held_out), "weight in validation", dtype)
