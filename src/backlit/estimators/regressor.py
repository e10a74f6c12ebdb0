"""`MLPRegressor`: scikit-learn's names and rules on Backlit's network."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, column_or_1d

from ..exceptions import ConfigurationError, DataError
from ..parameters import Array
from .base import BaseMLP, keep_parameters
from .constraints import REGRESSOR_CONSTRAINTS, available_where, can_go_on, parameters_checked
from .docs import ATTRIBUTES, PARAMETERS
from .fitting import fit_estimator
from .hidden import outputs
from .names import counts, loss_of, makes_margins, number_activation, their_activation


@final
class MLPRegressor(BaseMLP, RegressorMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
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
        keep_parameters(self, locals())

    @available_where(can_go_on)
    @parameters_checked
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train for one epoch over the rows given."""
        return fit_estimator(self, (X, y, sample_weight), (X_val, y_val, sample_weight_val), incremental=True)

    def predict(self, X: Any) -> Array:
        """The outputs, shape (n_samples,) for one target and (n_samples, n_targets) for several."""
        a = outputs(self, X)
        return a if self.n_outputs_ > 1 else a[:, 0]

    def _learn_targets(self, y: Any, *, first: bool, incremental: bool, classes: Any) -> None:
        loss = loss_of(self)
        if makes_margins(loss):
            raise ConfigurationError(f"the {loss.name} loss is for classes: use MLPClassifier, or another loss")
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = their_activation(number_activation(loss))

    def _encode_targets(self, y: Any, what: str) -> Array:
        values = check_array(y, ensure_2d=False, dtype="numeric", input_name=what)
        values = column_or_1d(values) if values.ndim == 2 and values.shape[1] == 1 else np.asarray(values)
        loss = loss_of(self)
        if counts(loss) and (values < 0).any():
            raise DataError(f"the {loss.name} loss needs {what} of at least 0, received {values.min()}")
        return values

    def _class_factors(self, targets: Array, weight: Array | None, *, incremental: bool) -> Array | None:
        return None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
