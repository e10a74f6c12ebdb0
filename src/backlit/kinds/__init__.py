"""What networks are made of, one record or one class for each kind: the tables that everything else goes through."""

from __future__ import annotations

from typing import Any, Final

from ..exceptions import ConfigurationError, nearest
from ..typing import Spec
from .activation import Activation
from .activations import ACTIVATIONS, get_activation
from .batch_norm import BatchNorm
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .layer import Layer
from .layer_norm import LayerNorm
from .numeric_embedding import NumericEmbedding
from .parallel_dense import ParallelDense
from .parametric import Parametric
from .scale import Scale

__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "Activation",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Embedding",
    "Layer",
    "LayerNorm",
    "NumericEmbedding",
    "ParallelDense",
    "Parametric",
    "Scale",
    "get_activation",
    "layer_from_spec",
]

#: The layers by the name that their description has in a file: a closed list, never an import path.
LAYERS: Final[dict[str, type[Any]]] = {
    layer.__name__: layer
    for layer in (
        Dense, Dropout, BatchNorm, LayerNorm, Scale, NumericEmbedding, Embedding, ParallelDense, Parametric
    )
}  # fmt: skip


def layer_from_spec(spec: Spec | Layer) -> Layer:
    """The layer of a description that came from a file; a `Layer` is passed through.

    Examples
    --------
    >>> layer_from_spec({"kind": "Dense", "units": 3, "activation": "tanh"})
    Dense(3, 'tanh')
    """
    if isinstance(spec, Layer):
        return spec
    settings: dict[str, Any] = dict(spec)
    kind = settings.pop("kind", None)
    if kind not in LAYERS:
        raise ConfigurationError(f"there is no layer {kind!r}: {nearest(str(kind), LAYERS)}")
    try:
        layer: Layer = LAYERS[kind](**settings)
    except TypeError as error:
        raise ConfigurationError(f"a {kind} layer cannot be made of {settings!r}: {error}") from error
    return layer
