"""What `--preset best` learns pictures with: a plain network, on pictures that are deformed anew in every epoch.

The settings were chosen on the last 10,000 training images of MNIST, learning from the others; docs/digits.md has the
figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from ..kinds import Dense, Dropout, get_activation
from ..kinds.loss import Loss
from ..kinds.losses import cross_entropy
from ..kinds.optimizers import OPTIMIZERS, Optimizer
from ..kinds.schedules import CosineDecay
from ..network import Network
from .deforming import Deformation

#: Minutes up to which hidden layers so wide are taken: wider ones take more time to learn.
_WIDTHS: Final = ((10.0, (512, 512)), (60.0, (1024, 1024)), (math.inf, (2048, 2048)))
#: Units of the widest layer up to which a learning rate is taken: of wide layers half the units die at a higher one.
_RATES: Final = ((512, 0.002), (1024, 0.001), (math.inf, 0.0007))
WARM_UP: Final = 0.1  # share of the epochs in which the learning rate rises


@final
@dataclass(frozen=True)
class ImageRecipe:
    """How a network for pictures is made and trained.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    learning_rate : float
        At its largest: it rises in a line for a tenth of the epochs, and falls along half a cosine to 0.
    activation, dropout
        Of the hidden layers.
    epochs, batch_size, optimizer
    weight_decay : float
        For AdamW; other optimisers have none.
    smoothing : float
        Of the labels.
    decay : float
        Of the moving average of the parameters, for each step.
    deformation : Deformation

    Examples
    --------
    >>> image_recipe(minutes=5).hidden
    (512, 512)
    >>> image_recipe(minutes=5, hidden=[1000]).learning_rate
    0.001
    """

    hidden: tuple[int, ...]
    learning_rate: float
    activation: str = "relu"
    dropout: float = 0.1
    epochs: int = 100
    batch_size: int = 256
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    smoothing: float = 0.05
    decay: float = 0.999
    deformation: Deformation = field(default_factory=Deformation)

    def network(self, inputs: int, classes: int, seed: int) -> Network:
        """A new network, for bytes."""
        layers = hidden_layers(self.hidden, self.activation, self.dropout)
        return network_of_bytes(layers, inputs, classes, cross_entropy(self.smoothing), seed)

    def optimizer_for(self, epochs: int) -> Optimizer:
        """The optimiser, its schedule stretched over so many epochs."""
        kind: Any = OPTIMIZERS[self.optimizer]
        rate = CosineDecay(self.learning_rate, epochs, warmup=WARM_UP * epochs)
        made: Optimizer = kind(rate, weight_decay=self.weight_decay) if self.optimizer == "adamw" else kind(rate)
        return made


def hidden_layers(hidden: Sequence[int], activation: str, dropout: float) -> list[Dense | Dropout]:
    """Dense layers that begin as their activation likes, each with dropout after it."""
    layers: list[Dense | Dropout] = []
    for units in hidden:
        layers.append(Dense(units, activation, weight_init=get_activation(activation).initializer))
        if dropout:
            layers.append(Dropout(dropout))
    return layers


def network_of_bytes(
    layers: Sequence[Dense | Dropout], inputs: int, classes: int, loss: str | Loss, seed: int
) -> Network:
    """Hidden layers and a softmax over the classes, on bytes that are scaled to 0 … 1."""
    whole = [*layers, Dense(classes, "softmax")]
    return Network(whole, inputs=inputs, loss=loss, seed=seed, input_scale=1.0 / 255.0)


def image_recipe(minutes: float | None = None, hidden: Sequence[int] | None = None) -> ImageRecipe:
    """The recipe for so many minutes of training, 30 unless told, with hidden layers of its own or those given."""
    given = 30.0 if minutes is None else minutes
    own = next(own for most, own in _WIDTHS if given <= most)
    widths = tuple(hidden or own)
    return ImageRecipe(widths, next(rate for widest, rate in _RATES if max(widths) <= widest))
