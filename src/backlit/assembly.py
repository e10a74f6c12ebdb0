"""Putting a network together: its own copies of the layers, their initial values, and whether loss and output fit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .checks import positive_whole
from .exceptions import ConfigurationError, ShapeError
from .kinds import LAYERS, Activation, Dense, Layer, layer_from_spec
from .kinds.activations import ACTIVATIONS
from .kinds.loss import Loss
from .parameters import Array, ParameterVector
from .randomness import keyed_generator
from .typing import Spec

#: Shapes of arrays by name.
Shapes = dict[str, tuple[int, ...]]


def copied_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Copies of the layers, so that one description can serve several networks."""
    kept = tuple(layers) if isinstance(layers, Sequence) else (layers,)
    if not kept:
        raise ConfigurationError("a network needs at least one layer, received none")
    for layer in kept:
        if not isinstance(layer, Layer):
            raise ConfigurationError(f"a layer is one of {', '.join(LAYERS)} or your own Layer, received {layer!r}")
    if not isinstance(kept[-1], Dense):
        raise ConfigurationError(f"the last layer must be Dense, received {kept[-1]!r}")
    return tuple(copy.copy(layer) for layer in kept)


def is_own(layer: Layer) -> bool:
    """Whether a layer, or its activation, is of the user's own making, which no file can hold."""
    return not layer.builtin or (layer.activation is not None and not layer.activation.builtin)


def check_pair(output: Activation, loss: Loss) -> None:
    """Refuse a loss that does not go with the activation of the last layer."""
    if loss.needs_pair and output.name not in loss.pairs:
        raise ConfigurationError(
            f"{loss.name} goes with a {' or '.join(loss.pairs)} output, received {output.name!r}: "
            "change the last layer's activation, or the loss"
        )
    if loss.positive and output.builtin and not output.positive:
        fitting = [a.name for a in ACTIVATIONS.values() if a.positive and not a.probabilities]
        raise ConfigurationError(
            f"the loss {loss.name!r} needs outputs above 0, received the activation {output.name!r}: "
            f"use {' or '.join(sorted(fitting))} in the last layer"
        )


def network_shapes(layers: Sequence[Layer], inputs: int) -> tuple[Shapes, Shapes]:
    """Tell each layer its number of inputs; the shapes of all parameters, and of all buffers, by name."""
    shapes: Shapes = {}
    buffers: Shapes = {}
    for index, layer in enumerate(layers):
        shapes |= {f"{index}.{name}": shape for name, shape in layer.build(inputs).items()}
        buffers |= {f"{index}.{name}": shape for name, shape in layer.buffers().items()}
        inputs = layer.outputs
    return shapes, buffers


def parameter_shapes(spec: Spec) -> tuple[Shapes, Shapes]:
    """The shapes of parameters and buffers of a network's description, worked out before anything is allocated.

    Examples
    --------
    >>> spec = {"inputs": 4, "layers": [{"kind": "Dense", "units": 3}, {"kind": "Dropout", "rate": 0.5}]}
    >>> parameter_shapes(spec)
    ({'0.weight': (4, 3), '0.bias': (3,)}, {})
    """
    layers = [copy.copy(layer_from_spec(layer)) for layer in spec["layers"]]
    return network_shapes(layers, positive_whole("inputs", spec["inputs"]))


def check_values(values: Any, size: int) -> Array:
    """All parameters and buffers of a network in one vector of `size` numbers, or a `ShapeError`."""
    array = np.asarray(values)
    if array.shape != (size,):
        raise ShapeError(f"the network has {size} parameters, received values of shape {array.shape}")
    return array


def set_initial_values(layers: Sequence[Layer], parameters: ParameterVector, seed: int) -> None:
    """Draw every parameter, each from its own stream: keyed by seed, layer, and its number in the layer."""
    for index, layer in enumerate(layers):
        own = [name for name in parameters.names if name.split(".")[0] == str(index)]
        for which, name in enumerate(own):
            view = parameters.view(name)
            rng = keyed_generator(seed, "initial values", index, which)
            view[...] = layer.initial_value(name.split(".", 1)[1], view.shape, rng)
        for name in parameters.buffer_names:
            if name.split(".")[0] == str(index):
                view = parameters.buffer(name)
                view[...] = layer.initial_value(
                    name.split(".", 1)[1], view.shape, keyed_generator(seed, "initial values")
                )
