"""Callbacks: what is to happen while a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ..checks import not_negative, positive_whole
from ..exceptions import ConfigurationError, nearest
from ..kinds.optimizers import Optimizer
from ..network import Network
from ..parameters import Array
from .evaluation import evaluate
from .history import History
from .job import EpochSoFar

if TYPE_CHECKING:
    from .divergence import BestParameters
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
    callbacks : list of Callback
        In the order in which they are told of things.
    so_far : EpochSoFar
        How far the epoch at work has come.
    best : BestParameters
        What is restored if training diverges.
    first_epoch : int
        Epochs that were over when the run began; those before a checkpoint from which it went on belong to the run.
    given_rate : float or None
        The learning rate that `fit` was given, where it is a number.
    between_steps : bool
        Whether parameters, optimiser, history and callbacks all stand at the same step: what a checkpoint may hold.
    kept : list of dict, or None
        What callbacks remembered in the checkpoint from which the run goes on.
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
    callbacks: list[Callback] = field(default_factory=list)
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    best: BestParameters | None = None
    first_epoch: int = 0
    given_rate: float | None = None
    between_steps: bool = False
    kept: list[dict[str, Any]] | None = None

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
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(1, weight_init=0.0)], inputs=1, dtype="float64")
    >>> _ = bl.fit(net, [[1.0]], [1.0], epochs=2, optimizer=bl.SGD(0.5), callbacks=[Print()], progress=False)
    1 0.5
    2 0.0
    """

    every_steps: int | None = None

    def on_fit_begin(self, training: Training) -> None:
        """Before the first step."""

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        """Now and then within an epoch, `done` of `total` steps taken: for progress."""

    def on_epoch_end(self, training: Training) -> None:
        """After each epoch, its row in ``training.history`` written."""

    def on_interruption(self, training: Training) -> None:
        """Ctrl-C (or SIGTERM) ends the run between two steps; before `on_fit_end`."""

    def to_checkpoint(self) -> dict[str, Any]:
        """What a checkpoint has to keep: arrays of float32 or float64, and what JSON holds, by name."""
        return {}

    def from_checkpoint(self, state: dict[str, Any]) -> None:
        """Remember it again; after `on_fit_begin`."""

    def on_fit_end(self, training: Training) -> None:
        """After the last step; after an error as well."""


def keeps(callback: Callback) -> bool:
    """Whether a callback remembers something that a checkpoint has to keep."""
    return type(callback).to_checkpoint is not Callback.to_checkpoint


def writes_at_interruption(callback: Callback) -> bool:
    """Whether a callback has something to do when the run is interrupted: SIGTERM then waits for it, too."""
    return type(callback).on_interruption is not Callback.on_interruption


@final
class EarlyStopping(Callback):
    """Stop when a value has not improved for `patience` epochs, and go back to the best parameters. Prechelt (1998).

    Parameters
    ----------
    monitor : str, default="val_loss"
        A name of the history; smaller is better, but for accuracy and r2. With "loss" the training data is measured
        after each epoch, as ``history["loss_after"]``: the history's own ``loss`` is the mean over an epoch's batches,
        each before its step, and belongs to no parameters that could be restored.
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
        row = training.history.get(self.monitor)
        if row is None:
            raise ConfigurationError(
                f"EarlyStopping watches {self.monitor!r}: {nearest(self.monitor, training.history)}"
            )
        value = self._sign * (self._loss_after(training) if self.monitor == "loss" else row[-1])
        if value < self.best - self.min_delta:
            self.best, self.best_epoch = value, training.epoch
            if self.restore_best:
                self._best_values = training.net.parameters.state.copy()
        elif training.epoch - self.best_epoch >= self.patience:
            best = (
                f"improved on {self._sign * self.best:.6g} (epoch {self.best_epoch})"
                if self.best_epoch
                else "been a number"
            )
            training.stop(f"{self.monitor} has not {best} for {self.patience} epochs")

    def _loss_after(self, training: Training) -> float:
        X, Y, weight = training.data
        with np.errstate(over="ignore", invalid="ignore"):
            loss = evaluate(training.net, X, Y, weight=weight)["loss"]
        training.history.amend(loss_after=loss)
        return loss

    def on_fit_end(self, training: Training) -> None:
        if self._best_values is not None:
            training.net.parameters.state[:] = self._best_values
            training.history.best_epoch = self.best_epoch

    def to_checkpoint(self) -> dict[str, Any]:
        values = {} if self._best_values is None else {"best_values": self._best_values}
        return {"best": self.best, "best_epoch": self.best_epoch, **values}

    def from_checkpoint(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self._best_values = state.get("best_values")

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

    def to_checkpoint(self) -> dict[str, Any]:
        return {"changes": self.changes}

    def from_checkpoint(self, state: dict[str, Any]) -> None:
        self.changes = [(int(epoch), float(rate)) for epoch, rate in state["changes"]]


@final
class Monitor(Callback):
    """Measure the network on each of the given sets after every epoch.

    The ``loss`` of `fit`'s history is the mean over an epoch's batches, each measured before its step, with dropout at
    work; a monitor measures the network as it is at the end of the epoch.

    Parameters
    ----------
    **sets : (X, y) or (X, y, sample_weight)
        The data to measure on, by name.

    Attributes
    ----------
    history : History
        For each set ``<name>_loss`` and ``<name>_accuracy`` (or ``_r2`` and ``_rmse``), one value an epoch.

    Raises
    ------
    ConfigurationError
        For no sets, or something else than such a tuple.

    Examples
    --------
    >>> from backlit import Dense, Network, SGD, fit
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> monitor = Monitor(train=(X, y), evaluation=([[1.4], [1.6]], [0, 1]))
    >>> net = Network([Dense(1, "sigmoid")], inputs=1, loss="cross_entropy")
    >>> _ = fit(net, X, y, epochs=200, optimizer=SGD(1.0), callbacks=[monitor])
    >>> sorted(monitor.history), monitor.history["train_accuracy"][-1]
    (['evaluation_accuracy', 'evaluation_loss', 'train_accuracy', 'train_loss'], 1.0)
    """

    def __init__(self, **sets: tuple[Any, ...]) -> None:
        if not sets:
            raise ConfigurationError("a Monitor needs data to measure on: give it sets by name, train=(X, y)")
        for name, data in sets.items():
            if not isinstance(data, tuple) or len(data) not in (2, 3):
                raise ConfigurationError(
                    f"the Monitor's set {name!r} must be (X, y) or (X, y, sample_weight), "
                    f"received {type(data).__name__}"
                )
        self.sets = sets
        self.history = History()

    def on_fit_begin(self, training: Training) -> None:
        self.history = History()
        self._checked: dict[str, tuple[Array, Array, Array | None]] = {
            name: training.net.check_data(X, y, sample_weight=weight[0] if weight else None)
            for name, (X, y, *weight) in self.sets.items()
        }

    def on_epoch_end(self, training: Training) -> None:
        row: dict[str, float] = {}
        for name, (X, Y, weight) in self._checked.items():
            measured = evaluate(training.net, X, Y, weight=weight)
            row |= {f"{name}_{metric}": value for metric, value in measured.items()}
        self.history.append(**row)

    def to_checkpoint(self) -> dict[str, Any]:
        return {"history": self.history.to_dict()}

    def from_checkpoint(self, state: dict[str, Any]) -> None:
        self.history = History.of(state["history"])
