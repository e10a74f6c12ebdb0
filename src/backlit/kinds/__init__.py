"""Layers: descriptions of what a network is made of."""

from __future__ import annotations

from typing import Any

from ..exceptions import ConfigurationError, nearest
from ..typing import Spec
from .activation import Activation
from .activations import get_activation
from .dense import Dense
from .dropout import Dropout
from .layer import Layer

__all__ = ["Activation", "Dense", "Dropout", "Layer", "get_activation", "layer_from_spec"]


def layer_from_spec(spec: Spec) -> Dense | Dropout:
    """The layer of a description that came from a file. Kinds come from this closed list, never from import paths.

    Examples
    --------
    >>> layer_from_spec({"kind": "Dense", "units": 3, "activation": "tanh"})
    Dense(3, 'tanh')
    """
    settings: dict[str, Any] = dict(spec)
    kind = settings.pop("kind", None)
    try:
        if kind == "Dense":
            return Dense(**settings)
        if kind == "Dropout":
            return Dropout(**settings)
    except TypeError as error:
        raise ConfigurationError(f"a {kind} layer cannot be made of {settings!r}: {error}") from error
    raise ConfigurationError(f"there is no layer {kind!r}: {nearest(str(kind), ['Dense', 'Dropout'])}")
