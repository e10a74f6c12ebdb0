"""What the options of `backlit train` say, and what training gives back: shared by tables and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

from cyclopts import Parameter

from ..checks import one_of, positive_whole
from ..exceptions import ConfigurationError
from ..kinds import Dense
from ..kinds.optimizers import OPTIMIZERS
from ..network import Network
from ..randomness import check_seed
from ..training.history import History
from .keeping import Keeping

PATIENCE: Final = 10  # epochs without a better validation loss, after which training ends
TABLE_VALIDATION, IMAGE_VALIDATION = 0.2, 0.1  # fraction of the rows held out unless told

TaskOption = Literal["auto", "classification", "regression"]

Flag = Parameter(negative=())


@final
@dataclass(frozen=True)
class Settings:
    """What the options say about the network and its training."""

    hidden: tuple[int, ...]
    activation: str
    epochs: int
    batch_size: int | None
    optimizer: str
    learning_rate: float | None
    dropout: float
    validation: str | None
    seed: int
    engine: str
    keeping: Keeping

    def check(self) -> None:
        """Refuse what no network and no run can be made of, before any file is read."""
        positive_whole("--epochs", self.epochs)
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigurationError(f"--dropout must be at least 0 and below 1, received {self.dropout!r}")
        check_seed(self.seed)
        one_of("--optimizer", self.optimizer, tuple(OPTIMIZERS))
        self.held_out(0.0)
        for units in self.hidden:
            positive_whole("--hidden", units)
        Dense(1, self.activation)

    def rate(self) -> float:
        """The learning rate asked for, or the optimiser's own."""
        kind: Any = OPTIMIZERS[self.optimizer]
        return float(kind().learning_rate) if self.learning_rate is None else self.learning_rate

    def batch(self, rows: int) -> int:
        """32 rows, or 128 of many."""
        return self.batch_size or (32 if rows < 10_000 else 128)

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
class Outcome:
    """A trained model and what is to be said about it."""

    model: Any
    network: Network
    history: History
    task: str
    facts: dict[str, str]
    metrics: dict[str, dict[str, float]]


def separator(given: str | None) -> str | None:
    """The sign that --delimiter names."""
    sign = {"tab": "\t", "\\t": "\t", "blank": " "}.get(given or "", given)
    if sign is not None and (len(sign) != 1 or sign in "\r\n\"'" or not sign.isascii()):
        raise ConfigurationError(f"--delimiter must be one sign such as ';' or the word tab, received {given!r}")
    return sign
