"""Random networks with data for them, drawn from the tables of kinds: a new kind is drawn by itself."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit.kinds import ACTIVATIONS, LAYERS
from backlit.kinds.activation import Activation
from backlit.kinds.initializers import NAMES as INITIALIZERS
from backlit.kinds.losses import LOSSES, Loss

LARGEST_LOSS = 100.0
STEP = 7  # of training, whose masks and statistics are frozen


@dataclass(frozen=True)
class Case:
    """A network with a batch, in float64 and in float32, with the same parameters."""

    seed: int
    net: bl.Network
    single: bl.Network
    X: np.ndarray
    Y: np.ndarray
    weight: np.ndarray | None
    step: int | None

    def __str__(self) -> str:
        net = self.net
        layers = ", ".join(map(repr, net.layers))
        penalties = f"l1={net.l1:g}, l2={net.l2:g}{' divided' if net.divide_penalty else ''}"
        return (
            f"case {self.seed}: [{layers}], inputs={net.inputs}, loss={net.loss_function}, {penalties}, "
            f"{len(self.X)} rows, {'weighted, ' if self.weight is not None else ''}step={self.step}"
        )


def draw_case(seed: int) -> Case:
    """1 to 5 layers, batches of 1 to 64 rows, sample weights and penalties in a part of the cases."""
    rng = np.random.default_rng([20, seed])
    output, loss = _draw_end(rng)
    inputs = int(rng.integers(1, 6))
    layers = [_draw_layer(rng) for _ in range(int(rng.integers(0, 5)))]
    counts = [int(count) for count in rng.integers(1, 6, rng.integers(0, inputs + 1))] if rng.random() < 0.3 else []
    if counts:
        layers.insert(0, bl.Embedding(counts, size=int(rng.integers(1, 4))))
    outputs = int(rng.integers(2 if output.sums_to_one else 1, 5))
    layers.append(bl.Dense(outputs, output.name, bias=bool(rng.random() < 0.8)))
    settings = {
        "inputs": inputs,
        "loss": loss,
        "l1": float(rng.choice([0.0, 0.02])),
        "l2": float(rng.choice([0.0, 0.05])),
        "divide_penalty": bool(rng.random() < 0.3),
        "input_scale": 1.0 if counts else float(rng.choice([1.0, 0.25])),
        "seed": seed,
    }
    net = bl.Network(layers, dtype="float64", **settings)
    n = int(np.exp(rng.uniform(0.0, np.log(64.99))))
    X = rng.normal(size=(n, inputs)).astype(np.float32)
    X[:, inputs - len(counts) :] = rng.integers(0, counts, (n, len(counts)))
    Y = _draw_targets(rng, output, loss, (n, outputs))
    weight = _draw_weight(rng, n) if rng.random() < 0.4 else None
    random = any(layer.random or layer.mixes_rows for layer in net.layers)
    step = STEP if random and rng.random() < 0.8 else None
    _draw_values(rng, net)
    single = bl.Network(layers, dtype="float32", **settings)
    for _ in range(20):  # exp of exp of exp: smaller weights, until the loss is one that can be computed with
        single.parameters.state[:] = net.parameters.state
        net.parameters.state[:] = single.parameters.state
        with np.errstate(all="ignore"):
            if batch_loss(net, X, Y, weight, step) <= LARGEST_LOSS:
                break
        net.parameters.values[:] *= 0.7
    return Case(seed, net, single, X, Y, weight, step)


def loaded(net: bl.Network, X: Any, Y: Any, weight: Any, step: int | None) -> Any:
    """The workspace of a batch after the forward pass."""
    X, Y, weight = net.check_data(X, Y, sample_weight=weight)
    work = net.workspace(len(X))
    work.load(X, Y, weight)
    # Once in many runs a product of finite numbers, with finite results, has NumPy warn of an invalid value.
    with np.errstate(invalid="ignore"):
        net.forward_pass(work, step)
    return work


def batch_loss(net: bl.Network, X: Any, Y: Any, weight: Any, step: int | None) -> float:
    """The mean of the losses of the rows and the penalty, added up here and not by the network."""
    work = loaded(net, X, Y, weight, step)
    losses = net.row_losses(work).astype(np.float64)
    weights = np.ones(len(losses)) if weight is None else np.asarray(weight, np.float64)
    total = float(weights.sum())
    mean = float((weights * losses).sum()) / total if total else 0.0
    w = np.concatenate([net.parameters.view(name).ravel() for name in net.parameters.weight_names])
    share = 1.0 if not net.divide_penalty else 1.0 / total if total else 0.0
    return mean + share * float(net.l1 * np.abs(w).sum() + net.l2 / 2 * (w**2).sum())


def batch_gradient(net: bl.Network, X: Any, Y: Any, weight: Any, step: int | None) -> np.ndarray:
    work = loaded(net, X, Y, weight, step)
    with np.errstate(invalid="ignore"):
        net.backward_pass(work)
    net.average()
    return net.parameters.gradients.copy()


# ── what is drawn ──────────────────────────────────────────────────────────────────────────────────────────


def _draw_end(rng: np.random.Generator) -> tuple[Activation, Loss]:
    """An activation of the last layer and a loss that goes with it."""
    loss = _made(rng, LOSSES[str(rng.choice(list(LOSSES)))])
    fitting = [
        activation
        for name, activation in ACTIVATIONS.items()
        if (not loss.needs_pair or name in loss.pairs) and (not loss.positive or activation.positive)
    ]
    return fitting[int(rng.integers(len(fitting)))], loss


def _draw_layer(rng: np.random.Generator) -> Any:
    """One that may stand anywhere."""
    return _made(rng, LAYERS[str(rng.choice([kind for kind in LAYERS if kind != "Embedding"]))])


def _made(rng: np.random.Generator, make: Any) -> Any:
    """What `make` makes of arguments that are drawn by their names."""
    given = {name: _DRAWS[name](rng) for name in inspect.signature(make).parameters}
    while make is LAYERS["Parametric"] and ACTIVATIONS[given["activation"]].slope is None:
        given["activation"] = _DRAWS["activation"](rng)
    if "units" in given and ACTIVATIONS[given["activation"]].sums_to_one:
        given["units"] += 1
    return make(**given)


def _draw_initial(rng: np.random.Generator) -> Any:
    name = str(rng.choice(INITIALIZERS))
    return 0.5 if name == "constant" else name


#: The arguments of layers and losses. A kind with an argument of another name needs a line here.
_DRAWS: dict[str, Any] = {
    "units": lambda rng: int(rng.integers(1, 7)),
    "activation": lambda rng: str(rng.choice(list(ACTIVATIONS))),
    "weight_init": _draw_initial,
    "bias_init": _draw_initial,
    "init": _draw_initial,
    "bias": lambda rng: bool(rng.random() < 0.8),
    "rate": lambda rng: float(rng.uniform(0.0, 0.6)),
    "momentum": lambda rng: float(rng.uniform(0.0, 0.99)),
    "size": lambda rng: int(rng.integers(1, 4)),
    "frequencies": lambda rng: int(rng.integers(1, 9)),
    "scale": lambda rng: float(rng.uniform(0.05, 1.0)),
    "columns": lambda rng: 1 if rng.random() < 0.3 else None,
    "members": lambda rng: int(rng.integers(1, 4)),
    "shared": lambda rng: True,  # what is left over cannot be divided
    "epsilon": lambda rng: float(10.0 ** rng.uniform(-5, -1)),
    "delta": lambda rng: float(rng.uniform(0.1, 2.0)),
    "q": lambda rng: float(rng.uniform(0.05, 0.95)),
    "smoothing": lambda rng: float(rng.choice([0.0, rng.uniform(0.0, 0.5)])),
}


def _draw_targets(rng: np.random.Generator, output: Activation, loss: Loss, shape: tuple[int, int]) -> np.ndarray:
    if loss.targets == "counts":
        return rng.poisson(2.0, shape).astype(float)
    if loss.targets == "numbers":
        return rng.normal(size=shape)
    if output.sums_to_one:
        if loss.targets == "classes" or rng.random() < 0.5:
            return np.eye(shape[1])[rng.integers(shape[1], size=shape[0])]
        return rng.dirichlet(np.ones(shape[1]), shape[0])
    if loss.targets == "classes":
        return rng.integers(0, 2, shape).astype(float)
    return rng.uniform(size=shape)


def _draw_weight(rng: np.random.Generator, n: int) -> np.ndarray:
    weight = rng.uniform(0.0, 3.0, n) * (rng.random(n) < 0.8)
    weight[0] += 0.25  # one row counts
    return weight.astype(np.float32)


def _draw_values(rng: np.random.Generator, net: bl.Network) -> None:
    """All parameters anew: weights of the size that keeps z near 1, the others near where they begin; no zeros."""
    parameters = net.parameters
    for name in parameters.names:
        view = parameters.view(name)
        if name in parameters.weight_names:
            view[...] = rng.normal(size=view.shape) / np.sqrt(view.shape[0])
        else:
            view += rng.normal(size=view.shape) * 0.3
    for name in parameters.buffer_names:
        view = parameters.buffer(name)
        view += rng.uniform(0.0, 0.5, view.shape)
