"""`fit` and `partial_fit` of both estimators, from what the caller gave to a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from ..exceptions import ConfigurationError, DataError
from ..parameters import Array
from .building import hidden_sizes
from .rows import (
    Rows,
    check_weight,
    check_X,
    check_X_y,
    class_factors,
    counted,
    encode_labels,
    fill_missing,
    find_fill_values,
    learn_classes,
    make_rows,
    weigh,
)
from .training import train

#: X_val, y_val, sample_weight_val as they were given.
HeldOut = tuple[Any, Any, Any]


def fit_classifier(
    estimator: Any, X: Any, y: Any, sample_weight: Any, held_out: HeldOut, *, incremental: bool = False
) -> None:
    """Train a classifier on checked rows, weighted by sample weights times class weights."""
    first = _is_first(estimator, incremental)
    hidden_sizes(estimator)
    matrix, labels = check_X_y(estimator, X, y, reset=first)
    learn_classes(estimator, labels, first=first, incremental=incremental)
    several = estimator._multilabel or len(estimator.classes_) > 2
    estimator.n_outputs_ = len(estimator.classes_) if several else 1
    estimator.out_activation_ = (
        "identity" if estimator.loss == "hinge" else "logistic" if estimator._multilabel or not several else "softmax"
    )
    weight = check_weight(sample_weight, matrix)
    targets = encode_labels(estimator, labels)
    factors = class_factors(estimator, targets, weight, incremental=incremental)
    matrix = _prepared(estimator, matrix, weight, first=first)
    rows = make_rows(estimator, matrix, targets, weigh(targets, weight, factors), (X, y, sample_weight))

    def encode(y_val: Any) -> Array:
        return encode_labels(estimator, y_val, "y_val")

    validation = _validation(estimator, held_out, encode, factors)
    train(estimator, counted(rows), validation, (X, y), first=first, incremental=incremental)


def fit_regressor(
    estimator: Any, X: Any, y: Any, sample_weight: Any, held_out: HeldOut, *, incremental: bool = False
) -> None:
    """Train a regressor on checked rows."""
    first = _is_first(estimator, incremental)
    if estimator.loss == "hinge":
        raise ConfigurationError("the hinge loss is for classes: use MLPClassifier, or another loss")
    hidden_sizes(estimator)
    matrix, targets = check_X_y(estimator, X, y, reset=first, y_numeric=True)
    if estimator.loss == "poisson" and (targets < 0).any():
        raise DataError(f"the poisson loss needs y of at least 0, received {targets.min()}")
    estimator.n_outputs_ = 1 if targets.ndim == 1 else targets.shape[1]
    loss = estimator.loss if isinstance(estimator.loss, str) else ""
    estimator.out_activation_ = {"poisson": "exp", "cross_entropy": "logistic"}.get(loss, "identity")
    weight = check_weight(sample_weight, matrix)
    matrix = _prepared(estimator, matrix, weight, first=first)
    rows = make_rows(estimator, matrix, targets, weight, (X, y, sample_weight))

    def encode(y_val: Any) -> Array:
        values = check_array(y_val, ensure_2d=False, dtype="numeric", input_name="y_val")
        return column_or_1d(values) if values.ndim == 2 and values.shape[1] == 1 else np.asarray(values)

    validation = _validation(estimator, held_out, encode, None)
    train(estimator, counted(rows), validation, (X, y), first=first, incremental=incremental)


def _is_first(estimator: Any, incremental: bool) -> bool:
    """Whether the network begins anew, instead of going on from an earlier fit."""
    return not hasattr(estimator, "network_") or (not estimator.warm_start and not incremental)


def _prepared(estimator: Any, X: Any, weight: Array | None, *, first: bool) -> Any:
    if first:
        find_fill_values(estimator, X, weight)
    return fill_missing(estimator, X)


def _validation(
    estimator: Any, held_out: HeldOut, encode: Callable[[Any], Array], factors: Array | None
) -> Rows | None:
    """The rows to measure on, with their weights times the class weights: the same objective as in training."""
    X_val, y_val, sample_weight_val = held_out
    if X_val is None and y_val is None and sample_weight_val is None:
        return None
    if X_val is None or y_val is None:
        raise ConfigurationError("X_val and y_val go together: give both, or neither")
    check_consistent_length(X_val, y_val)
    X = check_X(estimator, X_val)
    targets = encode(y_val)
    weight = weigh(targets, check_weight(sample_weight_val, X), factors)
    return make_rows(estimator, X, targets, weight, held_out)
