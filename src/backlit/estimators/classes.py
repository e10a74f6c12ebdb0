"""Classes: learnt from labels, numbered, and weighed."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from ..exceptions import ConfigurationError, LabelError
from ..parameters import Array
from .names import class_activation, loss_of, their_activation


def learn_classes(estimator: Any, y: Any, *, first: bool, incremental: bool, classes: Any = None) -> None:
    """Set ``classes_`` and the outputs, or check y against those known, with scikit-learn's rules and messages.

    `classes` are those that the first call of `partial_fit` lists.
    """
    if incremental:
        _check_partial_fit_first_call(estimator, classes)
    if not hasattr(estimator, "classes_") or (not estimator.warm_start and not incremental):
        estimator.classes_ = LabelBinarizer().fit(y).classes_
    else:
        found = unique_labels(y)
        if estimator.warm_start:
            if set(found) != set(estimator.classes_):
                raise LabelError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {estimator.classes_}, `y` has {found}"
                )
        elif np.setdiff1d(found, estimator.classes_, assume_unique=True).size:
            raise LabelError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {estimator.classes_}. 'y' has {found}."
            )
    if first:
        estimator._multilabel = type_of_target(y).startswith("multilabel")
    several = estimator._multilabel or len(estimator.classes_) > 2
    estimator.n_outputs_ = len(estimator.classes_) if several else 1
    output = class_activation(loss_of(estimator), one_each=estimator._multilabel or not several)
    estimator.out_activation_ = their_activation(output)


def encode_labels(estimator: Any, y: Any, what: str) -> Array:
    """The number of each row's class, shape (n,), or 0/1 columns, shape (n, n_labels)."""
    if estimator._multilabel:
        array = np.asarray(y.toarray() if issparse(y) else y)
        if array.ndim != 2 or array.shape[1] != len(estimator.classes_):
            raise LabelError(f"{what} must have {len(estimator.classes_)} columns of 0 and 1, received {array.shape}")
        return array
    labels = np.asarray(y)
    labels = column_or_1d(labels) if labels.ndim == 2 else labels
    order = np.searchsorted(estimator.classes_, labels).clip(0, len(estimator.classes_) - 1)
    unknown = estimator.classes_[order] != labels
    if unknown.any():
        row = int(np.argmax(unknown))
        raise LabelError(
            f"the label {labels.tolist()[row]!r} in row {row} of {what} is not among the classes {estimator.classes_}"
        )
    return np.asarray(order)


def class_factors(estimator: Any, targets: Array, weight: Array | None, *, incremental: bool) -> Array | None:
    """What `class_weight` multiplies the weight of each class by, shape (n_classes,), or None.

    "balanced" is Σw / (K Σ_j w), for class j of K: every class then weighs the same. w are the sample weights.
    """
    chosen, classes = estimator.class_weight, estimator.classes_
    if chosen is None:
        return None
    if estimator._multilabel:
        raise ConfigurationError(
            "class_weight is for one class a row, received rows of several labels: give sample_weight instead"
        )
    if isinstance(chosen, str):
        if incremental:
            raise ConfigurationError(
                "class_weight 'balanced' is not supported for partial_fit, which never sees all rows: "
                "give the weights as a dictionary"
            )
        sums = np.bincount(targets, weights=weight, minlength=len(classes))
        # a class without rows has no weight to give
        return np.asarray(np.where(sums > 0.0, sums.sum(), 0.0) / np.maximum(np.count_nonzero(sums) * sums, 1e-300))
    unknown = [label for label in chosen if label not in classes]
    if unknown:
        raise ConfigurationError(f"class_weight names the class {unknown[0]!r}, which is not among {classes}")
    return np.array([float(chosen.get(label, 1.0)) for label in classes.tolist()])


def weigh(targets: Array, weight: Array | None, factors: Array | None) -> Array | None:
    """Sample weights times class weights."""
    if factors is None:
        return weight
    return np.asarray(factors[targets] if weight is None else factors[targets] * weight)
