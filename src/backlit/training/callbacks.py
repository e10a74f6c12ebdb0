"""Callbacks: what is to happen while a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from ..checks import not_negative, positive_whole
from ..exceptions import ConfigurationError, nearest
from ..kinds.optimizers import Optimizer
from ..network import Network
from ..parameters import Array
from .history import History

if TYPE_CHECKING:
    from .job import Job


@final
@dataclass
class Training:
    """The run as a callback sees it.

    Attributes
    ----------
    net : Network
    optimizer : Optimizer or LBFGS
    history : History
        Up to the last finished epoch.
    epoch : int
        Number of the epoch at work or just finished, from 1.
    epochs : int
        Number of the last epoch planned.
    data, validation : tuple of ndarray
        (X, Y, weight), the targets in the form that the loss compares with the outputs; validation may be None.
    engine : str
        Name of the engine that runs the steps.
    job : Job or None
        The order of the rows, and the optimiser's state as the steps change it; None with LBFGS, which has no steps.
    """

    net: Network
    optimizer: Optimizer | Any
    history: History
    epoch: int
    epochs: int
    data: tuple[Any, Array, Array | None]
    validation: tuple[Any, Array, Array | None] | None
    engine: str = "reference"
    stop_reason: str | None = field(default=None)
    job: Job | None = None

    def stop(self, reason: str) -> None:
        """End training after this epoch."""
        self.stop_reason = reason


class Callback:
    """Override what you need; every method does nothing here.

    Attributes
    ----------
    every_steps : int or None
        Where it is a number k, `on_steps_end` comes after every k-th step of the run (and at other times too); it may
        change during the run.

    Examples
    --------
    >>> class Print(Callback):
    ...     def on_epoch_end(self, training):
    ...         print(training.epoch, training.history["loss"][-1])
    """

    every_steps: int | None = None

    def on_fit_begin(self, training: Training) -> None:
        """Before the first step."""

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        """Now and then within an epoch, `done` of `total` steps taken: for progress."""

    def on_epoch_end(self, training: Training) -> None:
        """After each epoch, its row in ``training.history`` written."""

    def on_fit_end(self, training: Training) -> None:
        """After the last step; after an error as well."""


@final
class EarlyStopping(Callback):
    """Stop when a value has not improved for `patience` epochs, and go back to the best parameters. Prechelt (1998).

    Parameters
    ----------
    monitor : str, default="val_loss"
        A name of the history; smaller is better, but for accuracy and r2.
    patience : int, default=10
        Epochs without improvement.
    min_delta : float, default=0.0
        How much better counts as improvement.
    restore_best : bool, default=True
        Whether the network gets the best epoch's parameters back at the end, whatever ended it.

    Examples
    --------
    >>> EarlyStopping(patience=5)
    EarlyStopping(monitor='val_loss', patience=5)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        *,
        restore_best: bool = True,
    ) -> None:
        self.monitor = monitor
        self.patience = positive_whole("patience", patience)
        self.min_delta = not_negative("min_delta", min_delta)
        self.restore_best = restore_best
        self._best_values: Array | None = None
        self._sign = -1.0 if monitor.endswith(("accuracy", "r2")) else 1.0

    def on_fit_begin(self, training: Training) -> None:
        self.best = math.inf
        self.best_epoch = 0
        self._best_values = None  # of this run: on_fit_end comes after a refusal below, too
        if self.monitor.startswith("val_") and training.validation is None:
            raise ConfigurationError(
                f"EarlyStopping watches {self.monitor!r}, which needs validation data: "
                "give fit(…, validation=(X, y)), or monitor='loss'"
            )

    def on_epoch_end(self, training: Training) -> None:
        if self.monitor not in training.history:
            raise ConfigurationError(
                f"EarlyStopping watches {self.monitor!r}: {nearest(self.monitor, training.history)}"
            )
        value = self._sign * training.history[self.monitor][-1]
        if value < self.best - self.min_delta:
            self.best, self.best_epoch = value, training.epoch
            if self.restore_best:
                self._best_values = training.net.parameters.values.copy()
        elif training.epoch - self.best_epoch >= self.patience:
            training.stop(
                f"{self.monitor} has not improved on {self._sign * self.best:.6g} (epoch {self.best_epoch}) "
                f"for {self.patience} epochs"
            )

    def on_fit_end(self, training: Training) -> None:
        if self._best_values is not None:
            training.net.parameters.values[:] = self._best_values
            training.history.best_epoch = self.best_epoch

    def __repr__(self) -> str:
        return f"EarlyStopping(monitor={self.monitor!r}, patience={self.patience})"


@final
class LearningRateLog(Callback):
    """Keep, and on request print, the epochs at which the learning rate changed.

    Attributes
    ----------
    changes : list of (int, float)
        Epoch and the learning rate from there on.

    Examples
    --------
    >>> LearningRateLog(show=True).changes
    []
    """

    def __init__(self, *, show: bool = False) -> None:
        self.show = show
        self.changes: list[tuple[int, float]] = []

    def on_fit_begin(self, training: Training) -> None:
        self.changes = []
        if not hasattr(training.optimizer, "learning_rate"):
            raise ConfigurationError(f"LearningRateLog has nothing to log: {training.optimizer!r} has no learning rate")

    def on_epoch_end(self, training: Training) -> None:
        rate = training.history["learning_rate"][-1]
        if not self.changes or self.changes[-1][1] != rate:
            self.changes.append((training.epoch, rate))
            if self.show:
                print(f"epoch {training.epoch}: learning rate {rate:g}")
