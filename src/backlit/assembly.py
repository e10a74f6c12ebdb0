"""Putting a network together: its description checked, its own copies of the layers, their initial values."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .checks import positive_whole
from .exceptions import ConfigurationError, RebindingError, ShapeError
from .kinds import LAYERS, Activation, Dense, Layer, layer_from_spec
from .kinds.activations import ACTIVATIONS
from .kinds.loss import Loss
from .kinds.schedules import is_own_schedule
from .parameters import Array, ParameterVector
from .randomness import keyed_generator
from .typing import Spec

#: Shapes of arrays by name.
Shapes = dict[str, tuple[int, ...]]

# What a description may have; `docs/reliability.md` says so. No size is made into an array before it is checked.
LAYER_LIMIT: Final = 4096
SIZE_LIMIT: Final = 2**40  # of inputs and units, and of all parameters together
CLASS_LIMIT: Final = 2**22
TEXT_LIMIT: Final = 2**24  # characters that the classes take as an array: their number times the longest
_DRAWN: Final = 2**18  # initial values that are drawn at once
_NAME_LIMIT: Final = 100
_ENTRY_LIMIT: Final = 20
_NEEDED: Final = {"layers", "inputs", "loss"}
_KNOWN: Final = {*_NEEDED, "l1", "l2", "divide_penalty", "dtype", "seed", "input_scale", "classes"}


def check_spec(spec: Any) -> None:
    """Refuse a description that no network has, whatever it is made of and before anything is made of it.

    Raises
    ------
    ConfigurationError

    Examples
    --------
    >>> check_spec({"layers": ["Dense"], "inputs": 2, "loss": {"name": "squared_error"}})
    Traceback (most recent call last):
        ...
    backlit.exceptions.ConfigurationError: a network's description is wrong in its layer 0
    """
    if not isinstance(spec, dict):
        raise _wrong(f"form: it is a dictionary of layers, inputs, loss and settings, received {type(spec).__name__}")
    if missing := sorted(_NEEDED - set(spec)):
        raise _wrong(f"names: it lacks {', '.join(missing)}")
    if more := sorted(map(repr, set(spec) - _KNOWN)):
        raise _wrong(f"names: it has {', '.join(more[:3])[:100]}, which no network has")
    layers = spec["layers"]
    if not isinstance(layers, list | tuple) or not 1 <= len(layers) <= LAYER_LIMIT:
        raise _wrong(f"layers: they are a list of 1 to {LAYER_LIMIT}")
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer) and not _is_layer(layer):
            raise _wrong(f"layer {index}")
    if not isinstance(spec["loss"], Loss) and not _is_record(spec["loss"]):
        raise _wrong("loss")
    if not _is_record({name: spec[name] for name in spec if name not in ("layers", "loss", "seed", "classes")}):
        raise _wrong("settings")
    if spec.get("dtype", "float32") not in ("float32", "float64"):
        raise _wrong("dtype: it is 'float32' or 'float64'")
    if not _is_list_of_classes(spec.get("classes")):
        raise _wrong("classes: they are a list of texts or of numbers, each once")


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"a network's description is wrong in its {what}")


def _is_record(value: Any) -> bool:
    """Whether it is a few settings by name, each a number or a short text."""
    return (
        isinstance(value, dict)
        and len(value) <= _ENTRY_LIMIT
        and all(isinstance(name, str) and len(name) <= _NAME_LIMIT for name in value)
        and all(_is_scalar(setting) for setting in value.values())
    )


def _is_layer(value: Any) -> bool:
    """The same, but for settings that layers of its kind have as a list of whole numbers or as a record."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return _is_record(value)
    composed = getattr(LAYERS.get(value["kind"]), "composed", ())
    parts = [setting for name, setting in value.items() if name in composed]
    if not all(_is_scalar(part) or _is_record(part) or _is_short_list(part) for part in parts):
        return False
    return _is_record({name: setting for name, setting in value.items() if name not in composed})


def _is_short_list(value: Any) -> bool:
    """Whether it is a list of whole numbers, no longer than a network has layers."""
    if not isinstance(value, list) or len(value) > LAYER_LIMIT:
        return False
    return all(type(one) is int and abs(one) < SIZE_LIMIT for one in value)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _NAME_LIMIT
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < SIZE_LIMIT)


def _is_list_of_classes(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or not 1 <= len(value) <= CLASS_LIMIT:
        return False
    kinds = {type(label) for label in value}
    if kinds == {str}:
        return len(value) * max(map(len, value)) <= TEXT_LIMIT and len(set(value)) == len(value)
    if not kinds <= {bool, int, float} or not all(-(2**63) <= label < 2**64 for label in value):
        return False
    return len(set(value)) == len(value)


class Layers(tuple[Layer, ...]):
    """The layers of a network: as a tuple, and what would change a list says why it does not."""

    __slots__ = ()

    def __setitem__(self, index: Any, layer: Any) -> None:
        raise layers_are_fixed()

    def __delitem__(self, index: Any) -> None:
        raise layers_are_fixed()

    def __getattr__(self, name: str) -> Any:
        raise layers_are_fixed() if hasattr(list, name) else AttributeError(f"the layers have no attribute {name!r}")


def layers_are_fixed() -> RebindingError:
    return RebindingError(
        "the layers of a network cannot be changed, as its one vector is made for them: make a new "
        "Network([*net.layers, …], …); a layer's parameters are written through, net.layers[0].weight = W"
    )


def copied_layers(layers: Sequence[Layer]) -> Layers:
    """Copies of the layers, so that one description can serve several networks."""
    kept = tuple(layers) if isinstance(layers, Sequence) else (layers,)
    if not kept:
        raise ConfigurationError("a network needs at least one layer, received none")
    for layer in kept:
        if not isinstance(layer, Layer):
            raise ConfigurationError(f"a layer is one of {', '.join(LAYERS)} or your own Layer, received {layer!r}")
    if not isinstance(kept[-1], Dense):
        raise ConfigurationError(f"the last layer must be Dense, received {kept[-1]!r}")
    return Layers(copy.copy(layer) for layer in kept)


def is_own(layer: Layer) -> bool:
    """Whether a layer, its activation or its schedule is of the user's own making, which no file can hold."""
    if not layer.builtin or (layer.function is not None and not layer.function.builtin):
        return True
    return layer.schedule is not None and is_own_schedule(layer.schedule)


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
        if index and layer.categories:
            raise ConfigurationError(
                f"layer {index}, {layer!r}, takes codes of categories, which only the rows themselves hold: make it "
                "the first layer"
            )
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
    shapes = network_shapes(layers, positive_whole("inputs", spec["inputs"]))
    if number_of_values(shapes) >= SIZE_LIMIT:
        raise ConfigurationError(f"a network has fewer than {SIZE_LIMIT} parameters")
    return shapes


def number_of_values(shapes: tuple[Shapes, Shapes]) -> int:
    """How many numbers the parameters and the buffers have together."""
    return sum(math.prod(shape) for kind in shapes for shape in kind.values())


def check_values(values: Any, size: int) -> Array:
    """All parameters and buffers of a network in one vector of `size` numbers, or a `ShapeError`."""
    array = np.asarray(values)
    if array.shape != (size,):
        raise ShapeError(f"the network has {size} parameters, received values of shape {array.shape}")
    return array


def check_state(layers: Sequence[Layer]) -> None:
    """Refuse values that came out of a file and that no training leaves, with a `ConfigurationError`."""
    for layer in layers:
        layer.check_state()


def set_initial_values(layers: Sequence[Layer], parameters: ParameterVector, seed: int) -> None:
    """Draw every parameter, each from its own stream: keyed by seed, layer, and its number in the layer."""
    for index, layer in enumerate(layers):
        for which, name in enumerate(parameters.names_of(index)):
            view = parameters.view(name)
            rng = keyed_generator(seed, "initial values", index, which)
            # Ours are drawn number after number, so some rows at a time are the same, and no second array of the whole
            # is made; a layer of the user's own may need to know the whole shape.
            some = max(1, _DRAWN // math.prod(view.shape[1:])) if layer.builtin else max(1, len(view))
            for start in range(0, len(view), some):
                part = view[start : start + some]
                part[...] = layer.initial_value(name.split(".", 1)[1], part.shape, rng)
        for name in parameters.buffer_names_of(index):
            view = parameters.buffer(name)
            view[...] = layer.initial_value(name.split(".", 1)[1], view.shape, keyed_generator(seed, "initial values"))
