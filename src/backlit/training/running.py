"""The context in which epochs are run: callbacks are told of everything, and of the end whatever happens."""

from __future__ import annotations

import time
import warnings
from types import TracebackType
from typing import final

import numpy as np

from ..exceptions import ConfigurationError, ModelFileError
from .callbacks import Callback, Training, keeps
from .communicators import Communicator, SerialCommunicator
from .evaluation import evaluate
from .job import number_rate


@final
class Running:
    """A run with its callbacks.

    Their end comes after an error and after Ctrl-C as well: a progress bar has to let go of the terminal. Ctrl-C ends
    the run with a warning and no error, and the network keeps what it has learnt.

    Of several processes, rank 0 alone measures and has callbacks; what comes of it is told to the others.

    Examples
    --------
    The shape of every run, whether an epoch is many steps or one iteration of L-BFGS::

        with Running(training) as run:
            run.begins()
            for …:
                …
                run.measure(row)
                run.record(row, started)
                if run.epoch_ends():
                    break
    """

    def __init__(self, training: Training, communicator: Communicator | None = None) -> None:
        self.training = training
        self.communicator = SerialCommunicator() if communicator is None else communicator
        self.callbacks = training.callbacks
        self._begun: list[Callback] = []

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        interrupted = isinstance(error, KeyboardInterrupt)
        try:
            if self.training.between_steps and isinstance(error, KeyboardInterrupt | SystemExit):
                for callback in self.callbacks:
                    callback.on_interruption(self.training)
            if interrupted:
                self.training.history.stopped = f"interrupted in epoch {self.training.epoch}"
                message = f"training was {self.training.history.stopped}; the network keeps what it has learnt so far"
                warnings.warn(message, stacklevel=3)  # the line that called `fit`
        finally:
            for callback in self._begun:
                callback.on_fit_end(self.training)
        return interrupted

    def begins(self) -> None:
        """Tell of the beginning. Who has been told of it is told of the end, too."""
        kept = iter(self.training.kept or ())
        for callback in self.callbacks:
            self._begun.append(callback)
            callback.on_fit_begin(self.training)
            if self.training.kept is not None and keeps(callback):
                try:
                    callback.from_checkpoint(next(kept))
                except ConfigurationError:  # it is whole, and of another run
                    raise
                except (KeyError, TypeError, ValueError, StopIteration) as error:
                    raise ModelFileError(f"the checkpoint is damaged: {callback!r} cannot go on from it") from error
        self.training.between_steps = True

    def next_look(self, done: int, last: int) -> int:
        """The step of the epoch, `last` at the latest, after which a callback wants to see the network."""
        job = self.training.job
        taken = 0 if job is None else job.state.step
        for callback in self.callbacks:
            if callback.every_steps:
                last = min(last, done + callback.every_steps - taken % callback.every_steps)
        return last

    def steps_end(self, done: int, total: int) -> None:
        """Tell of steps taken: `done` of the epoch's `total`."""
        for callback in self.callbacks:
            callback.on_steps_end(self.training, done, total)

    def measure(self, row: dict[str, float]) -> None:
        """Add to the row of an epoch what is measured on the validation data after it."""
        training = self.training
        if training.validation is not None:
            X, Y, weight = training.validation
            with np.errstate(over="ignore", invalid="ignore"):
                measured = self.communicator.tell(lambda: evaluate(training.net, X, Y, weight=weight))
            row |= {f"val_{name}": value for name, value in measured.items()}

    def record(self, row: dict[str, float], started: float) -> None:
        """Write the row of an epoch into the history."""
        self.training.between_steps = False  # until all callbacks know of the epoch
        self.training.history.append(**row, seconds=time.perf_counter() - started)

    def epoch_ends(self) -> bool:
        """Tell of the end of an epoch; whether it is to be the last one."""
        training = self.training
        self.communicator.spread(training.net.parameters.state, self._tell_callbacks)
        reason, rate = self.communicator.tell(lambda: (training.stop_reason, number_rate(training.optimizer)))
        training.stop_reason = reason
        if rate is not None and rate != training.optimizer.learning_rate:
            training.optimizer.learning_rate = rate  # a callback has changed it
        training.between_steps = True
        return reason is not None

    def _tell_callbacks(self) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(self.training)
