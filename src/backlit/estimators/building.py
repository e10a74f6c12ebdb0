"""From an estimator's settings to a network and an optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sklearn.utils import check_random_state

from ..exceptions import ConfigurationError
from ..kinds import Dense, Dropout
from ..kinds.losses import get_loss
from ..kinds.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from ..kinds.schedules import LearningRate
from ..network import Network
from ..training.lbfgs import LBFGS

#: scikit-learn's names, and ours for the same functions.
_ACTIVATIONS: Final = {"logistic": "sigmoid"}
_LOSSES: Final = {"log_loss": "cross_entropy"}


def loss_of(estimator: Any) -> Any:
    """The loss in the form that a network takes."""
    return _LOSSES.get(estimator.loss, estimator.loss) if isinstance(estimator.loss, str) else estimator.loss


def hidden_sizes(estimator: Any) -> list[int]:
    """Units of the hidden layers, as a list."""
    given = estimator.hidden_layer_sizes
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if any(size <= 0 for size in sizes):
        raise ConfigurationError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def _one_per_layer(name: str, given: Any, count: int) -> list[Any]:
    values = list(given)
    if len(values) != count:
        raise ConfigurationError(f"{name} needs one value for each of the {count} hidden layers, received {given!r}")
    return values


def _activations(estimator: Any, count: int) -> list[Any]:
    given = estimator.activation
    pair = isinstance(given, tuple | list) and len(given) == 2 and all(callable(part) for part in given)
    each = [given] * count if isinstance(given, str) or pair else _one_per_layer("activation", given, count)
    return [_ACTIVATIONS.get(part, part) if isinstance(part, str) else part for part in each]


def _layers(estimator: Any, outputs: int, output_activation: str) -> list[Dense | Dropout]:
    """Dense layers with Glorot & Bengio's bound for weights and biases, as in scikit-learn, and Dropout after each."""
    sizes = hidden_sizes(estimator)
    given = estimator.dropout
    several = isinstance(given, Sequence | np.ndarray)
    rates = _one_per_layer("dropout", given, len(sizes)) if several else [given] * len(sizes)
    layers: list[Dense | Dropout] = []
    for size, activation, rate in zip(sizes, _activations(estimator, len(sizes)), rates, strict=True):
        layers.append(Dense(size, activation, bias_init="glorot_uniform"))
        if rate:
            layers.append(Dropout(rate))
    layers.append(Dense(outputs, _ACTIVATIONS.get(output_activation, output_activation), bias_init="glorot_uniform"))
    return layers


def make_network(estimator: Any, inputs: int, dtype: Any) -> Network:
    """A new network with initial values drawn from `random_state`."""
    net = Network(
        _layers(estimator, estimator.n_outputs_, estimator.out_activation_),
        inputs=inputs,
        loss=loss_of(estimator),
        l2=estimator.alpha,
        divide_penalty=True,
        dtype=dtype,
        seed=int(check_random_state(estimator.random_state).randint(2**31 - 1)),
    )
    if estimator.activation in ("logistic", "sigmoid"):
        # the bound is then √(2 / (fan_in + fan_out)) where it is √(6 / …) elsewhere
        net.parameters.values[:] /= math.sqrt(3.0)
    return net


def renew_network(estimator: Any, net: Network) -> Network:
    """The network to go on with: the same parameters under settings that may have changed since the last fit."""
    description = net.spec()
    layers = _layers(estimator, estimator.n_outputs_, estimator.out_activation_)
    loss = get_loss(loss_of(estimator))
    if [layer.describe() for layer in layers] == description["layers"] and loss.spec() == description["loss"]:
        net.l2 = float(estimator.alpha)
        return net
    other = Network(
        layers,
        inputs=net.inputs,
        loss=loss,
        l2=estimator.alpha,
        divide_penalty=True,
        dtype=net.dtype,
        seed=net.seed,
    )
    if list(other.parameters.shapes.values()) != list(net.parameters.shapes.values()):
        raise ConfigurationError(
            f"going on with a fitted network needs the same layers: it has {net!r}, the settings ask for {other!r}"
        )
    other.parameters.values[:] = net.parameters.values
    other.classes = net.classes
    return other


def make_optimizer(estimator: Any) -> Optimizer | LBFGS:
    """The optimiser that `solver` names."""
    e = estimator
    rate, clip = _learning_rate(e), e.clip_norm
    if e.weight_decay and e.solver not in ("adam", "adamw"):
        raise ConfigurationError(
            f"weight_decay goes with the solvers 'adam' and 'adamw', received {e.solver!r}: use alpha, the L2 penalty"
        )
    if e.solver == "lbfgs":
        if clip is not None or callable(e.learning_rate):
            raise ConfigurationError(
                "lbfgs chooses its own steps: leave out clip_norm and the schedule, or choose another solver"
            )
        # scikit-learn leaves ftol at SciPy's default
        return LBFGS(max_evaluations=e.max_fun, tolerance=e.tol, loss_tolerance=1e7 * np.finfo(np.float64).eps)
    if e.solver == "sgd":
        # scikit-learn admits a momentum of 1; a hair's breadth below it is the same for any number of steps
        momentum = min(e.momentum, float(np.nextafter(1.0, 0.0)))
        return SGD(rate, momentum, e.nesterovs_momentum and momentum > 0.0, clip_norm=clip)
    if e.solver == "rmsprop":
        return RMSprop(rate, clip_norm=clip)
    if e.solver == "adagrad":
        return Adagrad(rate, clip_norm=clip)
    if e.solver == "adam" and not e.weight_decay:
        return Adam(rate, e.beta_1, e.beta_2, e.epsilon, epsilon_hat=True, clip_norm=clip)
    return AdamW(rate, e.beta_1, e.beta_2, e.epsilon, weight_decay=e.weight_decay, clip_norm=clip)


def _learning_rate(estimator: Any) -> LearningRate:
    """The learning rate to begin the next epoch with; names of schedules are for sgd, as in scikit-learn."""
    initial = float(estimator.learning_rate_init)
    if callable(estimator.learning_rate):
        schedule: LearningRate = estimator.learning_rate
        return schedule
    if estimator.solver != "sgd" or estimator.learning_rate == "constant":
        return initial
    if estimator.learning_rate == "invscaling":
        return inverse_scaling(estimator) if estimator.t_ else initial
    for _ in range(estimator._rate_cuts):
        initial /= 5.0
    return initial


def inverse_scaling(estimator: Any) -> float:
    """η = initial / (t + 1)^power_t, t the number of rows seen, counted again for every epoch."""
    return float(float(estimator.learning_rate_init) / (estimator.t_ + 1) ** estimator.power_t)
