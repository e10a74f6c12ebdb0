"""What the options of `backlit train` say, and what training gives back: shared by tables and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, final

from cyclopts import Parameter

from ..checks import one_of, positive, positive_whole
from ..data.recipe import PRESETS, Preset, Recipe, recipe_for
from ..exceptions import ConfigurationError
from ..kinds import Dense
from ..kinds.optimizers import OPTIMIZERS
from ..network import Network
from ..randomness import check_seed
from ..training.history import History
from .keeping import Keeping

PATIENCE: Final = 10  # epochs without a better validation loss, after which training ends
IMAGE_VALIDATION: Final = 0.1  # fraction of the images held out unless told
# Parameters beyond which watching the network's health, a step taken again and again, costs more than training it.
MOST_WATCHED: Final = 2_000_000

TaskOption = Literal["auto", "classification", "regression"]

Flag = Parameter(negative=())


@final
@dataclass(frozen=True)
class Settings:
    """What the options say about the network and its training.

    `given` are those that replace a part of a table's recipe; the others hold what images are trained with.
    """

    validation: str | None
    seed: int
    engine: str
    keeping: Keeping
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    epochs: int = 50
    batch_size: int | None = None
    optimizer: str = "adam"
    learning_rate: float | None = None
    dropout: float = 0.0
    preset: Preset = "default"
    minutes: float | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what no network and no run can be made of, before any file is read."""
        positive_whole("--epochs", self.epochs)
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigurationError(f"--dropout must be at least 0 and below 1, received {self.dropout!r}")
        check_seed(self.seed)
        one_of("--optimizer", self.optimizer, tuple(OPTIMIZERS))
        one_of("--preset", self.preset, PRESETS)
        if self.minutes is not None:
            positive("--minutes", self.minutes)
        self.held_out(0.0)
        for units in self.hidden:
            positive_whole("--hidden", units)
        Dense(1, self.activation)

    def check_for_table(self) -> None:
        """Refuse what a table's networks cannot be trained with."""
        if self.keeping.checkpoint is not None and (self.preset == "best" or self.minutes is not None):
            asked = "--minutes" if self.minutes is not None else "--preset best"
            raise ConfigurationError(
                f"a checkpoint is of one network, and {asked} trains several: choose one of the two"
            )

    def check_for_images(self) -> None:
        """Refuse what images cannot be trained with."""
        if self.minutes is not None and self.preset != "best":
            raise ConfigurationError(
                f"of images, --minutes goes with --preset best, received --preset {self.preset}: "
                "give --preset best, or --epochs instead of --minutes"
            )

    def rate(self) -> float:
        """The learning rate asked for, or the optimiser's own."""
        kind: Any = OPTIMIZERS[self.optimizer]
        return float(kind().learning_rate) if self.learning_rate is None else self.learning_rate

    def recipe(self, rows: int, inputs: int, outputs: int, codes: Sequence[int] = ()) -> Recipe:
        """The recipe for a table, with what was asked for in place of its own."""
        # a checkpoint is of one network
        preset: Preset = self.preset if self.keeping.checkpoint is None else "fast"
        watched = self.validation is None or bool(self.held_out(0.0))  # "--validation 0" leaves no row out
        found = replace(recipe_for(rows, inputs, outputs, preset, codes=codes), watched=watched, **self.given)
        return replace(found, learning_rate=self.rate()) if "optimizer" in self.given else found

    @property
    def seconds(self) -> float | None:
        """What --minutes leave for training."""
        return None if self.minutes is None else 60.0 * self.minutes

    def held_out(self, default: float) -> float | Path:
        """The fraction of the rows held out for validation, or the file that holds validation rows."""
        if self.validation is None:
            return default
        try:
            fraction = float(self.validation)
        except ValueError:
            return Path(self.validation)
        if not 0.0 <= fraction < 1.0:
            raise ConfigurationError(
                f"--validation must be a fraction of at least 0 and below 1, or a file, received {self.validation!r}"
            )
        return fraction


@final
@dataclass(frozen=True)
class Choice:
    """What is learnt from: columns to keep or to leave out whatever they look like, and what a class weighs."""

    target: str | None
    task: TaskOption = "auto"
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    balanced: bool = False
    loose_labels: bool = False


@final
@dataclass(frozen=True)
class Outcome:
    """A trained model and what is to be said about it."""

    model: Any
    network: Network
    history: History
    task: str
    facts: dict[str, str]
    metrics: dict[str, dict[str, float]]
    members: int = 1


def separator(given: str | None) -> str | None:
    """The sign that --delimiter names."""
    sign = {"tab": "\t", "\\t": "\t", "blank": " "}.get(given or "", given)
    if sign is not None and (len(sign) != 1 or sign in "\r\n\"'" or not sign.isascii()):
        raise ConfigurationError(f"--delimiter must be one sign such as ';' or the word tab, received {given!r}")
    return sign
