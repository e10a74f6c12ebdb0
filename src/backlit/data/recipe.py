"""What a table is learnt with: how many networks, their layers, and how they are trained, by the size of the table.

The settings were chosen by measuring on one half of the tables of `benchmarks/table_learning.py`; docs/tables.md has
the figures, and those of the other half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, final

from ..checks import one_of

Preset = Literal["fast", "default", "best"]

PRESETS: Final[tuple[Preset, ...]] = ("fast", "default", "best")

#: Of the embedding of a table's numbers: how many each gets, of how many waves, and the spread of their frequencies.
EMBEDDED: Final = 2
WAVES: Final = 16
SPREAD: Final = 2.0

#: How many numbers each category learns of a column that became codes.
CODED: Final = 8

#: A run is planned to take no more than these seconds, on one core of a server.
_SECONDS: Final[dict[Preset, float]] = {"fast": 10.0, "default": 20.0, "best": 120.0}
_MEMBERS: Final[dict[Preset, int]] = {"fast": 1, "default": 5, "best": 24}
_STEPS: Final = 2_500  # that a network learns in where epochs would be too few
_EPOCHS: Final = (20, 250)  # the fewest and the most
_FEWEST_TO_TRY: Final = 100  # rows, below which a fold is too small to tell which networks are better
# What the reference engine does: operations of the matrix products, and the calls of one step.
_OPERATIONS_PER_SECOND: Final = 2e10
_SECONDS_PER_STEP: Final = 1.5e-4
_SECONDS_PER_CODE: Final = CODED * 3e-9  # of a step, in which the optimiser goes over what every category has learnt


@final
@dataclass(frozen=True)
class Recipe:
    """How the networks of a table are made and trained.

    Attributes
    ----------
    members : int
        Networks that predict together. Each learns from all rows but those of its own fold, on which it is watched; a
        single one is watched on a fifth of the rows.
    folds : int
        Into how many the rows are dealt; where there are more members than folds, the rows are dealt anew.
    hidden, activation, dropout
        Of the hidden layers.
    epochs : int
        Passes over the rows at the most.
    batch_size, optimizer, learning_rate
        Of a step. The rate falls along half a cosine.
    weight_decay : float
        For AdamW; other optimisers have none.
    watched : bool
        Whether a single network is watched at all, or learns from every row for all epochs.
    embedded : int
        Numbers that each column of numbers gets beside itself (`NumericEmbedding`), where the first of several networks
        is better with them; 0 for none.

    Examples
    --------
    >>> recipe_for(rows=166, inputs=60, outputs=2).members
    5
    >>> recipe_for(rows=166, inputs=60, outputs=2, preset="fast").members
    1
    """

    members: int
    folds: int
    hidden: tuple[int, ...]
    activation: str
    dropout: float
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    watched: bool = True
    embedded: int = 0

    @property
    def patience(self) -> int:
        """Epochs without a better loss on the rows watched, after which training ends."""
        return max(10, math.ceil(0.3 * self.epochs))


def recipe_for(
    rows: int, inputs: int, outputs: int, preset: Preset = "default", *, codes: Sequence[int] = ()
) -> Recipe:
    """The recipe for a table of so many rows to learn from, inputs of the network, and outputs.

    Some of the inputs may be `codes` of so many categories each.

    Raises
    ------
    ConfigurationError
        For a preset that is none.
    """
    one_of("preset", preset, PRESETS)
    hidden = (64, 64)
    batch_size = 32 if rows < 2_000 else 64 if rows < 8_000 else 128 if rows < 50_000 else 256
    fewest, most = _EPOCHS
    epochs = min(max(math.ceil(_STEPS * batch_size / rows), fewest), most)
    widths = (inputs + (CODED - 1) * len(codes), *hidden, outputs)
    parameters = sum(a * b for a, b in pairwise(widths))
    # three products a layer, of one multiplication and one addition for a weight and a row
    products = 6.0 * rows * parameters / _OPERATIONS_PER_SECOND
    of_epoch = products + math.ceil(rows / batch_size) * (_SECONDS_PER_STEP + sum(codes) * _SECONDS_PER_CODE)
    affordable = max(1, int(_SECONDS[preset] / of_epoch))  # epochs of all members together
    members = min(_MEMBERS[preset], max(1, affordable // fewest), rows)
    embedded = EMBEDDED if members > 1 and rows >= _FEWEST_TO_TRY else 0
    return Recipe(
        members=members,
        folds=min(members, 8),
        hidden=hidden,
        activation="relu",
        dropout=0.1,
        epochs=max(1, min(epochs, affordable // (members + bool(embedded)))),
        batch_size=batch_size,
        optimizer="adamw",
        learning_rate=0.003,
        weight_decay=0.5,
        embedded=embedded,
    )
