"""From scikit-learn's settings to a network, an optimiser and a run: what both estimators share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from ..callbacks import Callback, EarlyStopping, Training
from ..exceptions import ConfigurationError, nearest
from ..history import History
from ..layers import Dense, Dropout
from ..lbfgs import LBFGS
from ..network import Network
from ..optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from ..parameters import Array
from ..progress import ProgressBar
from ..schedules import LearningRate
from ..trainer import fit

_ACTIVATIONS = {"logistic": "sigmoid"}  # scikit-learn's name for it


def make_network(estimator: Any, inputs: int, outputs: int, activation: str, loss: str, n: int, dtype: Any) -> Network:
    """The network that the estimator's settings describe.

    scikit-learn divides alpha by the number of rows of a batch: l2 = alpha / batch size.
    """
    hidden = estimator.hidden_layer_sizes
    sizes = list(hidden) if isinstance(hidden, Sequence | np.ndarray) else [hidden]
    name = _ACTIVATIONS.get(estimator.activation, estimator.activation)
    # Glorot & Bengio for tanh and sigmoid, He et al. for the relu family
    init = "he_uniform" if name in ("relu", "leaky_relu", "elu", "gelu", "silu") else "glorot_uniform"
    layers: list[Dense | Dropout] = []
    for size in sizes:
        layers.append(Dense(size, name, weight_init=init))
        if estimator.dropout:
            layers.append(Dropout(estimator.dropout))
    layers.append(Dense(outputs, activation))
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    rows = n if estimator.solver == "lbfgs" else batch_size(estimator, n)
    return Network(layers, inputs=inputs, loss=loss, l2=estimator.alpha / rows, dtype=dtype, seed=seed)


def batch_size(estimator: Any, n: int) -> int:
    return min(200, n) if estimator.batch_size == "auto" else min(int(estimator.batch_size), n)


def make_optimizer(estimator: Any, n: int) -> Optimizer | LBFGS:
    """The optimiser of the name in `solver`."""
    rate = _learning_rate(estimator, n)
    match estimator.solver:
        case "lbfgs":
            return LBFGS(max_evaluations=estimator.max_fun, tolerance=estimator.tol)
        case "sgd":
            nesterov = estimator.nesterovs_momentum and estimator.momentum > 0
            return SGD(rate, estimator.momentum, nesterov)
        case "adam":
            return Adam(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
        case "adamw":
            return AdamW(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
        case "rmsprop":
            return RMSprop(rate)
        case "adagrad":
            return Adagrad(rate)
    known = ("lbfgs", "sgd", "adam", "adamw", "rmsprop", "adagrad")
    raise ConfigurationError(f"there is no solver {estimator.solver!r}: {nearest(str(estimator.solver), known)}")


def _learning_rate(estimator: Any, n: int) -> LearningRate:
    initial, power = estimator.learning_rate_init, estimator.power_t
    if estimator.learning_rate == "invscaling" and estimator.solver == "sgd":
        # scikit-learn counts t in rows: η = initial / t^power, t from the first epoch's rows on
        return lambda epoch: float(initial / max(1.0, np.floor(epoch) * n + 1.0) ** power)
    if callable(estimator.learning_rate):
        schedule: LearningRate = estimator.learning_rate
        return schedule
    return float(initial)


@final
class NoImprovement(Callback):
    """scikit-learn's end of training: the loss has not become smaller by `tol` for more than `patience` epochs."""

    def __init__(self, tol: float, patience: int) -> None:
        self.tol = tol
        self.patience = patience

    def on_fit_begin(self, training: Training) -> None:
        self.best = np.inf
        self.waited = 0

    def on_epoch_end(self, training: Training) -> None:
        loss = training.history["loss"][-1]
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        self.best = min(self.best, loss)
        if self.waited > self.patience:
            training.stop(f"the loss has not improved by {self.tol:g} for {self.patience} epochs")


def run(
    estimator: Any,
    net: Network,
    X: Array,
    y: Array,
    sample_weight: Array | None,
    validation: tuple[Array, Array] | None,
    labels: Array | None,
) -> History:
    """Train, with scikit-learn's rules for when to stop; sets ``n_iter_``, ``loss_``, ``loss_curve_``, …"""
    callbacks = list(estimator.callbacks or ())
    if estimator.early_stopping and validation is None:
        rows = np.arange(len(y))
        kept, held = train_test_split(
            rows, test_size=estimator.validation_fraction, random_state=net.seed % 2**32, stratify=labels
        )
        validation = (X[held], y[held])
        X, y = X[kept], y[kept]
        sample_weight = None if sample_weight is None else sample_weight[kept]
    if estimator.early_stopping:
        monitor = "val_accuracy" if labels is not None else "val_loss"
        callbacks.append(EarlyStopping(monitor, estimator.n_iter_no_change, estimator.tol))
    elif estimator.solver != "lbfgs":
        callbacks.append(NoImprovement(estimator.tol, estimator.n_iter_no_change))
    if estimator.verbose:
        callbacks.append(ProgressBar())
    history = fit(
        net,
        X,
        y,
        epochs=estimator.max_iter,
        batch_size=batch_size(estimator, len(y)),
        optimizer=make_optimizer(estimator, len(y)),
        validation=validation,
        sample_weight=sample_weight,
        shuffle=estimator.shuffle,
        callbacks=callbacks,
        engine=estimator.engine,
        progress=False,
    )
    if history.stopped is None:
        warnings.warn(
            f"{estimator.solver}: max_iter={estimator.max_iter} epochs reached before the loss stopped falling",
            ConvergenceWarning,
            stacklevel=3,
        )
    estimator.n_iter_ = history.epochs
    estimator.loss_curve_ = history["loss"]
    estimator.loss_ = history["loss"][-1]
    estimator.best_loss_ = min(history["loss"])
    return history
