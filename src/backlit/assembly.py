"""Putting a network together: its own copies of the layers, their initial values, and whether loss and output fit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .checks import positive_whole
from .exceptions import ConfigurationError, ShapeError
from .kinds import Activation, Dense, Dropout, layer_from_spec
from .kinds.initializers import initial_values
from .kinds.losses import Loss
from .parameters import Array, ParameterVector
from .randomness import keyed_generator
from .typing import Spec

_POSITIVE = ("exp", "softplus", "sigmoid", "softmax")


def copied_layers(layers: Sequence[Dense | Dropout]) -> tuple[Dense | Dropout, ...]:
    """Copies of the layers, so that one description can serve several networks."""
    kept = tuple(layers) if isinstance(layers, Sequence) else (layers,)
    if not kept:
        raise ConfigurationError("a network needs at least one layer, received none")
    for layer in kept:
        if not isinstance(layer, Dense | Dropout):
            raise ConfigurationError(f"a layer is Dense(…) or Dropout(…), received {layer!r}")
    if not isinstance(kept[-1], Dense):
        raise ConfigurationError(f"the last layer must be Dense, received {kept[-1]!r}")
    return tuple(copy.copy(layer) for layer in kept)


def check_pair(output: Activation, loss: Loss) -> None:
    """Refuse a loss that does not go with the activation of the last layer."""
    if loss.name == "cross_entropy" and output.name not in loss.pairs:
        raise ConfigurationError(
            f"cross_entropy goes with a softmax or sigmoid output, received {output.name!r}: "
            "change the last layer's activation, or the loss"
        )
    if loss.positive and output.builtin and output.name not in _POSITIVE:
        raise ConfigurationError(
            f"the loss {loss.name!r} needs outputs above 0, received the activation {output.name!r}: "
            "use exp or softplus in the last layer"
        )


def parameter_shapes(spec: Spec) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of a network's description, by name, worked out before anything is allocated.

    Examples
    --------
    >>> parameter_shapes({"inputs": 4, "layers": [{"kind": "Dense", "units": 3}, {"kind": "Dropout", "rate": 0.5}]})
    {'0.weight': (4, 3), '0.bias': (3,)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    width = positive_whole("inputs", spec["inputs"])
    for index, layer in enumerate(layer_from_spec(layer) for layer in spec["layers"]):
        shapes |= {f"{index}.{name}": shape for name, shape in layer.build(width).items()}
        width = layer.outputs
    return shapes


def check_values(values: Any, size: int) -> Array:
    """All parameters of a network in one vector of `size` numbers, or a `ShapeError`."""
    array = np.asarray(values)
    if array.shape != (size,):
        raise ShapeError(f"the network has {size} parameters, received values of shape {array.shape}")
    return array


def set_initial_values(layers: Sequence[Dense | Dropout], parameters: ParameterVector, seed: int) -> None:
    """Draw every weight and bias, each from its own stream: keyed by seed, layer, and 0 for weights, 1 for biases."""
    for index, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            continue
        for which, (name, init) in enumerate((("weight", layer.weight_init), ("bias", layer.bias_init))):
            if name == "weight" or layer.has_bias:
                view = parameters.view(f"{index}.{name}")
                rng = keyed_generator(seed, "initial values", index, which)
                view[...] = initial_values(init, rng, view.shape, layer.inputs, layer.units)
