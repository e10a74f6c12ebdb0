"""`MLPClassifier`: scikit-learn's names and rules on Backlit's network."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import metadata_routing
from sklearn.utils.multiclass import _check_partial_fit_first_call

from ..parameters import Array
from .constraints import (
    CLASSIFIER_CONSTRAINTS,
    available_where,
    can_go_on,
    gives_margins,
    gives_probabilities,
    parameters_checked,
)
from .docs import ATTRIBUTES, PARAMETERS
from .drawing import html_with_network
from .fitting import fit_classifier
from .hidden import (
    ParameterViews,
    bias_views,
    hidden_activations,
    outputs,
    set_container,
    set_views,
    unit_names,
    weight_views,
)
from .tracking import CallbackSupport, with_callbacks


@final
class MLPClassifier(CallbackSupport, ClassifierMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
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
    # `layer` is an argument of `transform` alone, nothing for a pipeline to route.
    __metadata_request__transform = {"layer": metadata_routing.UNUSED}  # noqa: RUF012

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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.scoring = scoring
        self.callbacks = callbacks
        self.impute_missing = impute_missing
        self.engine = engine
        self.n_threads = n_threads

    @with_callbacks
    @parameters_checked
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPClassifier:
        """Train.

        Parameters
        ----------
        X : array, data frame or sparse matrix, shape (n_samples, n_features)
        y : array_like, shape (n_samples,) or (n_samples, n_labels)
            Class labels, or a 0/1 column for each label.
        sample_weight : array_like, shape (n_samples,), optional
            A row of weight 2 counts as two rows, a row of weight 0 is left out.
        X_val, y_val, sample_weight_val : optional
            Rows to measure on after every epoch; early stopping watches them in place of a part of X.
        """
        fit_classifier(self, X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_where(can_go_on)
    @parameters_checked
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPClassifier:
        """Train for one epoch over the rows given; `classes` lists all classes and is needed in the first call."""
        _check_partial_fit_first_call(self, classes)
        fit_classifier(self, X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental=True)
        return self

    @available_where(gives_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n_samples, n_classes), in the order of ``classes_``."""
        a = outputs(self, X)
        return a if self.n_outputs_ > 1 else np.hstack([1.0 - a, a])[:, : len(self.classes_)]

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
        middle = 0.0 if self.loss == "hinge" else 0.5
        if self._multilabel:
            return (a > middle).astype(np.int64)
        if self.n_outputs_ > 1:
            return np.asarray(self.classes_[a.argmax(axis=1)])
        return np.asarray(self.classes_[(a[:, 0] > middle).astype(np.int64).clip(max=len(self.classes_) - 1)])

    def transform(self, X: Any, layer: int = -1) -> Any:
        """The activations of a hidden layer, shape (n_samples, units): 0 is the first, -1 the last."""
        return hidden_activations(self, X, layer)

    def get_feature_names_out(self, input_features: Any = None, layer: int = -1) -> Array:
        """The names of the columns of `transform`."""
        return unit_names(self, layer)

    def set_output(self, *, transform: str | None = None) -> MLPClassifier:
        """What `transform` gives: "default" (an array), "pandas" or "polars"."""
        set_container(self, transform)
        return self

    @property
    def coefs_(self) -> ParameterViews:
        return weight_views(self)

    @coefs_.setter
    def coefs_(self, arrays: Any) -> None:
        set_views(weight_views(self), arrays)

    @property
    def intercepts_(self) -> ParameterViews:
        return bias_views(self)

    @intercepts_.setter
    def intercepts_(self, arrays: Any) -> None:
        set_views(bias_views(self), arrays)

    @property
    def n_layers_(self) -> int:
        return len(weight_views(self)) + 1

    def _html_repr(self) -> str:
        return html_with_network(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.impute_missing
        tags.input_tags.allow_nan = self.impute_missing
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
