"""What a named mistake is, and what training shows of those that have no sign of their own.

In `done`, {where} is the place, {which_p}, {which_v} and {which_s} the gradients that it is in (with "is" or "has"),
{m} the number of rows, {f} the activation; what was measured stands under its own name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

#: What is to be mended: the line of the pass that would be right.
Cure = Literal[
    "output",
    "delta",
    "down",
    "weight",
    "bias",
    "both",
    "forward",
    "penalty",
    "mean",
    "step",
    "dropout",
    "loss",
    "update",
]


@final
@dataclass(frozen=True)
class Named:
    """One mistake of the catalogue.

    Attributes
    ----------
    name : str
    cure : str
        Which line of the pass is to be mended.
    done : str
        What was done, a sentence.
    symptom : str
        What training shows of it.
    wrong : str
        The line of NumPy as people write it.
    """

    name: str
    cure: Cure
    done: str
    symptom: str
    wrong: str


SLOWER: Final = "Learning goes on, but slower or faster than the learning rate says."
WRONG_WAY: Final = "The loss rises from the first step."
STUCK: Final = "The loss falls a little and stays."
LOWER: Final = "The layers below learn slowly or not at all; a deeper network is no better than a shallow one."
QUIET: Final = "It learns, only worse than it could: nothing but a comparison shows it."
