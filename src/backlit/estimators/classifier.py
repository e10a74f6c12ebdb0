"""`MLPClassifier`: scikit-learn's names and rules on Backlit's network."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from ..parameters import Array
from .base import BaseMLP, keep_parameters
from .classes import class_factors, encode_labels, learn_classes
from .constraints import (
    CLASSIFIER_CONSTRAINTS,
    available_where,
    can_go_on,
    gives_margins,
    gives_probabilities,
    parameters_checked,
)
from .docs import ATTRIBUTES, PARAMETERS
from .fitting import fit_estimator
from .hidden import outputs


@final
class MLPClassifier(BaseMLP, ClassifierMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    __doc__ = f"""A feed-forward network that tells classes apart, with scikit-learn's interface.

    The parameters θ, weights W and biases b, minimise on each batch

        J(θ) = 1/Σw · [ Σ_i w_i L(y_i, a_i) + (alpha/2) Σ W² ],    w_i = sample weight · class weight (1 unless given)

    where a_i are the outputs for row i, and L is the loss: cross-entropy −Σ_k y_k log a_k of a softmax over the
    classes, or −Σ_k [y_k log a_k + (1 − y_k) log(1 − a_k)] of one sigmoid for two classes, and of one for each label
    where a row may have several. alpha spares the biases. The parameters are those of scikit-learn's class of this
    name, with its defaults; those from `dropout` on are additions.

    Parameters
    ----------
    {PARAMETERS}
    loss : str, Loss or pair, default="log_loss"
        "log_loss" (= cross_entropy), hinge (on linear outputs, without probabilities), or any of `backlit.losses`.
    class_weight : dict or "balanced", optional
        Factors of the sample weights, by class. "balanced" lets every class weigh the same.

    Attributes
    ----------
    classes_ : ndarray
    {ATTRIBUTES}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((16,), max_iter=500, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.95
    True
    >>> classifier.transform(X).shape
    (150, 16)
    """

    _parameter_constraints = CLASSIFIER_CONSTRAINTS

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: Any = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        scoring: Any = None,
        callbacks: Any = None,
        impute_missing: bool = False,
        engine: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        keep_parameters(self, locals())

    @available_where(can_go_on)
    @parameters_checked
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        classes: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train for one epoch over the rows given; `classes` lists all classes and is needed in the first call."""
        held_out = (X_val, y_val, sample_weight_val)
        return fit_estimator(self, (X, y, sample_weight), held_out, incremental=True, classes=classes)

    @available_where(gives_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n_samples, n_classes), in the order of ``classes_``."""
        a = outputs(self, X)
        if self.n_outputs_ > 1:
            return a
        return np.ones_like(a) if len(self.classes_) == 1 else np.hstack([1.0 - a, a])

    @available_where(gives_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    @available_where(gives_margins)
    def decision_function(self, X: Any) -> Array:
        """The outputs of a network trained on the hinge loss: shape (n_samples,) for two classes, else one a class."""
        a = outputs(self, X)
        return a if self.n_outputs_ > 1 else a[:, 0]

    def predict(self, X: Any) -> Array:
        """The class of each row, shape (n_samples,); or 0/1 columns, shape (n_samples, n_labels)."""
        a = outputs(self, X)
        middle = 0.0 if gives_margins(self) else 0.5
        if self._multilabel:
            return (a > middle).astype(np.int64)
        if self.n_outputs_ > 1:
            return np.asarray(self.classes_[a.argmax(axis=1)])
        return np.asarray(self.classes_[(a[:, 0] > middle).astype(np.int64).clip(max=len(self.classes_) - 1)])

    def _learn_targets(self, y: Any, *, first: bool, incremental: bool, classes: Any) -> None:
        learn_classes(self, y, first=first, incremental=incremental, classes=classes)

    def _encode_targets(self, y: Any, what: str) -> Array:
        return encode_labels(self, y, what)

    def _class_factors(self, targets: Array, weight: Array | None, *, incremental: bool) -> Array | None:
        return class_factors(self, targets, weight, incremental=incremental)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
