"""From an estimator's settings to a network and an optimiser."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..assembly import is_own
from ..exceptions import ConfigurationError
from ..kinds import Dense, Dropout
from ..kinds.optimizers import Optimizer
from ..kinds.schedules import LearningRate
from ..network import Network
from ..training.lbfgs import LBFGS
from .names import SOLVERS, loss_of, named_rate, our_activation, solver_of, starts_narrower


def hidden_sizes(estimator: Any) -> list[int]:
    """Units of the hidden layers, as a list."""
    given = estimator.hidden_layer_sizes
    sizes = _listed(given)
    if any(isinstance(size, bool) or not isinstance(size, Integral) for size in sizes):
        raise ConfigurationError(
            "hidden_layer_sizes must be a whole number, or one whole number for each hidden layer, "
            f"received {given!r}: give (64, 32) for two layers"
        )
    if any(size <= 0 for size in sizes):
        raise ConfigurationError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def _listed(given: Any) -> list[Any]:
    """One value or several, as a list."""
    plain = given.tolist() if isinstance(given, np.ndarray) else given
    return list(plain) if hasattr(plain, "__iter__") else [plain]


def _one_per_layer(name: str, given: Any, count: int) -> list[Any]:
    values = _listed(given)
    if len(values) != count:
        raise ConfigurationError(f"{name} needs one value for each of the {count} hidden layers, received {given!r}")
    return values


def _activations(estimator: Any, count: int) -> list[Any]:
    given = estimator.activation
    pair = isinstance(given, tuple | list) and len(given) == 2 and all(callable(part) for part in given)
    each = [given] * count if isinstance(given, str) or pair else _one_per_layer("activation", given, count)
    return [our_activation(part) for part in each]


def _layers(estimator: Any, outputs: int, output_activation: str) -> list[Dense | Dropout]:
    """Dense layers with Glorot & Bengio's bound for weights and biases, as in scikit-learn, and Dropout after each."""
    sizes = hidden_sizes(estimator)
    given = estimator.dropout
    rates = _one_per_layer("dropout", given, len(sizes)) if not isinstance(given, Real) else [given] * len(sizes)
    layers: list[Dense | Dropout] = []
    for size, activation, rate in zip(sizes, _activations(estimator, len(sizes)), rates, strict=True):
        layers.append(Dense(size, activation, bias_init="glorot_uniform"))
        if rate != 0:
            layers.append(Dropout(rate))
    layers.append(Dense(outputs, our_activation(output_activation), bias_init="glorot_uniform"))
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
    if starts_narrower(estimator.activation):
        # the bound is then √(2 / (fan_in + fan_out)) where it is √(6 / …) elsewhere
        net.parameters.values[:] /= math.sqrt(3.0)
    return net


def renew_network(estimator: Any, net: Network) -> Network:
    """The network to go on with: the same parameters under settings that may have changed since the last fit."""
    description = net.spec()
    layers = _layers(estimator, estimator.n_outputs_, estimator.out_activation_)
    loss = loss_of(estimator)
    own = not loss.builtin or any(is_own(part) for part in layers)
    same = [layer.describe() for layer in layers] == description["layers"] and loss.spec() == description["loss"]
    if same and not own:  # functions of one's own may differ under one name
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
    solver = solver_of(estimator)
    if estimator.weight_decay and not solver.decays:
        decaying = " and ".join(repr(name) for name, other in SOLVERS.items() if other.decays)
        raise ConfigurationError(
            f"weight_decay goes with the solvers {decaying}, received {estimator.solver!r}: use alpha, the L2 penalty"
        )
    if not solver.stochastic and (estimator.clip_norm is not None or callable(estimator.learning_rate)):
        raise ConfigurationError(
            f"{estimator.solver} chooses its own steps: leave out clip_norm and the schedule, or choose another solver"
        )
    return solver.make(estimator, _learning_rate(estimator))


def _learning_rate(estimator: Any) -> LearningRate:
    """The learning rate to begin the next epoch with."""
    if callable(estimator.learning_rate):
        schedule: LearningRate = estimator.learning_rate
        return schedule
    rate, name = float(estimator.learning_rate_init), named_rate(estimator)
    if name == "invscaling":
        return inverse_scaling(estimator) if estimator.t_ else rate
    if name == "adaptive":
        for _ in range(estimator._rate_cuts):
            rate /= 5.0
    return rate


def inverse_scaling(estimator: Any) -> float:
    """η = initial / (t + 1)^power_t, t the number of rows seen, counted again for every epoch."""
    return float(float(estimator.learning_rate_init) / (estimator.t_ + 1) ** estimator.power_t)
