"""`MLPRegressor`: scikit-learn's names and rules on Backlit's network."""

from __future__ import annotations

from typing import Any, final

from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.utils import metadata_routing

from ..parameters import Array
from .constraints import REGRESSOR_CONSTRAINTS, available_where, can_go_on, parameters_checked
from .docs import ATTRIBUTES, PARAMETERS
from .drawing import html_with_network
from .fitting import fit_regressor
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
class MLPRegressor(CallbackSupport, RegressorMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    __doc__ = f"""A feed-forward network for numbers, with scikit-learn's interface.

    The parameters θ, weights W and biases b, minimise on each batch

        J(θ) = 1/Σw · [ Σ_i w_i L(y_i, a_i) + (alpha/2) Σ W² ],    w_i = sample weight (1 unless given)

    where a_i are the outputs for row i, and L is the loss: half the squared error, ½ Σ_k (a_k − y_k)², on linear
    outputs, or another. alpha spares the biases. For several targets scikit-learn follows the gradient of this J too,
    but reports the mean over k where this is the sum. The parameters are those of scikit-learn's class of this name,
    with its defaults; those from `dropout` on are additions.

    Parameters
    ----------
    loss : str, Loss or pair, default="squared_error"
        "poisson" (on outputs exp z), "cross_entropy" (on sigmoid outputs, for y from 0 to 1), or any other of
        `backlit.losses` on linear outputs: mean_squared_error, huber, absolute_error, quantile, ``quantile(0.9)``, or
        your own pair of functions.
    {PARAMETERS}

    Attributes
    ----------
    {ATTRIBUTES}

    Examples
    --------
    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> regressor = MLPRegressor("squared_error", (8,), "tanh", solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> regressor.predict([[0.5]]).round(2)
    array([0.25])
    """

    _parameter_constraints = REGRESSOR_CONSTRAINTS
    __metadata_request__transform = {"layer": metadata_routing.UNUSED}  # noqa: RUF012

    def __init__(
        self,
        loss: Any = "squared_error",
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
        dropout: Any = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        scoring: Any = None,
        callbacks: Any = None,
        impute_missing: bool = False,
        engine: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        self.loss = loss
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
    ) -> MLPRegressor:
        """Train.

        Parameters
        ----------
        X : array, data frame or sparse matrix, shape (n_samples, n_features)
        y : array_like, shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array_like, shape (n_samples,), optional
            A row of weight 2 counts as two rows, a row of weight 0 is left out.
        X_val, y_val, sample_weight_val : optional
            Rows to measure on after every epoch; early stopping watches them in place of a part of X.
        """
        fit_regressor(self, X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_where(can_go_on)
    @parameters_checked
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPRegressor:
        """Train for one epoch over the rows given."""
        fit_regressor(self, X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """The outputs, shape (n_samples,) for one target and (n_samples, n_targets) for several."""
        a = outputs(self, X)
        return a if self.n_outputs_ > 1 else a[:, 0]

    def transform(self, X: Any, layer: int = -1) -> Any:
        """The activations of a hidden layer, shape (n_samples, units): 0 is the first, -1 the last."""
        return hidden_activations(self, X, layer)

    def get_feature_names_out(self, input_features: Any = None, layer: int = -1) -> Array:
        """The names of the columns of `transform`."""
        return unit_names(self, layer)

    def set_output(self, *, transform: str | None = None) -> MLPRegressor:
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
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
