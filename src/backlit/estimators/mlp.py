"""`MLPClassifier` and `MLPRegressor`: scikit-learn's parameter names on Backlit's network."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..exceptions import LabelError
from ..layers import Dense
from ..network import Network
from ..parameters import Array
from ..targets import check_sample_weight
from .training import make_network, run

_SETTINGS = """
    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(100,)
        Units of each hidden layer.
    activation : str, default="relu"
        Of the hidden layers: any of `backlit.Dense`; "logistic" is sigmoid.
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop", "adagrad"}, default="adam"
    alpha : float, default=0.0001
        Weight of the L2 penalty, divided by the rows of a batch.
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling"} or schedule, default="constant"
    learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, momentum, nesterovs_momentum,
    early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn.
    dropout : float, default=0.0
        Rate of dropout after each hidden layer.
    callbacks : sequence of Callback, optional
    engine : {"auto", "reference"}, default="auto"

    Attributes
    ----------
    network_ : Network
        What was trained.
    history_ : History
    coefs_, intercepts_ : list of ndarray
        Views of the weights and biases, layer by layer.
    loss_, loss_curve_, best_loss_, n_iter_, n_features_in_
        As in scikit-learn.
"""


@final
class MLPClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    __doc__ = f"""A classifier: a softmax output, or one sigmoid unit for two classes, trained on cross-entropy.
{_SETTINGS}
    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier((16,), max_iter=500, learning_rate_init=0.01, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

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
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        callbacks: Any = None,
        engine: str = "auto",
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
        self.callbacks = callbacks
        self.engine = engine

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> MLPClassifier:
        """Train; with `X_val` and `y_val`, measure on them after every epoch."""
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        self.classes_, labels = np.unique(y, return_inverse=True)
        if self.classes_.size < 2:
            raise LabelError(f"y has only one class, {self.classes_.tolist()[0]!r}: at least two are needed")
        validation = None
        if X_val is not None:
            X_val = validate_data(self, X_val, dtype=(np.float64, np.float32), reset=False)
            validation = (X_val, np.searchsorted(self.classes_, _known(np.asarray(y_val), self.classes_)))
        outputs = 1 if self.classes_.size == 2 else self.classes_.size
        output = "sigmoid" if outputs == 1 else "softmax"
        self.network_ = make_network(self, X.shape[1], outputs, output, "cross_entropy", len(y), X.dtype)
        weight = check_sample_weight(sample_weight, len(y))
        self.history_ = run(self, self.network_, X, labels, weight, validation, labels)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n, n_classes), in the order of ``classes_``."""
        a = _outputs(self, X)
        return a if a.shape[1] > 1 else np.hstack([1.0 - a, a])

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    @property
    def coefs_(self) -> list[Array]:
        return [layer.weight for layer in _dense(self.network_)]

    @property
    def intercepts_(self) -> list[Array | None]:
        return [layer.bias for layer in _dense(self.network_)]


@final
class MLPRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    __doc__ = f"""A regressor: linear outputs, trained on half the squared error.
{_SETTINGS}
    Examples
    --------
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> MLPRegressor((8,), "tanh", solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
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
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        callbacks: Any = None,
        engine: str = "auto",
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
        self.callbacks = callbacks
        self.engine = engine

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> MLPRegressor:
        """Train; with `X_val` and `y_val`, measure on them after every epoch."""
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), multi_output=True, y_numeric=True)
        self._one_column = y.ndim == 1
        validation = None
        if X_val is not None:
            validation = (validate_data(self, X_val, dtype=(np.float64, np.float32), reset=False), np.asarray(y_val))
        outputs = 1 if y.ndim == 1 else y.shape[1]
        output = "exp" if self.loss == "poisson" else "identity"
        self.network_ = make_network(self, X.shape[1], outputs, output, self.loss, len(y), X.dtype)
        self.history_ = run(
            self, self.network_, X, y, check_sample_weight(sample_weight, len(y)), validation, labels=None
        )
        return self

    def predict(self, X: Any) -> Array:
        """The outputs, shape (n,) for one target and (n, n_targets) for several."""
        a = _outputs(self, X)
        return a[:, 0] if self._one_column else a

    @property
    def coefs_(self) -> list[Array]:
        return [layer.weight for layer in _dense(self.network_)]

    @property
    def intercepts_(self) -> list[Array | None]:
        return [layer.bias for layer in _dense(self.network_)]


def _outputs(estimator: MLPClassifier | MLPRegressor, X: Any) -> Array:
    check_is_fitted(estimator, "network_")
    X = validate_data(estimator, X, dtype=(np.float64, np.float32), reset=False)
    return estimator.network_.forward(X)


def _dense(network: Network) -> list[Dense]:
    return [layer for layer in network.layers if isinstance(layer, Dense)]


def _known(labels: Array, classes: Array) -> Array:
    unknown = ~np.isin(labels, classes)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise LabelError(
            f"the validation label {labels.tolist()[row]!r} in row {row} is not among the training classes"
        )
    return labels
