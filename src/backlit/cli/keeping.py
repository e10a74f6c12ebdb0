"""What is kept of `backlit train` when it ends early: a checkpoint to go on from, and the model as far as it has come.

Ctrl-C and SIGTERM end the step at work. What was learnt so far is then saved beside the model, as `<out>.partial`, and
the command ends with the code that a shell expects of such an end: 128 and the number of the signal.
"""

from __future__ import annotations

import re
import shlex
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from ..exceptions import ConfigurationError
from ..io import save
from ..network import Network
from ..training.callbacks import Callback, Training
from ..training.checkpoint import Checkpoint, read_checkpoint
from ..training.communicators import Communicator
from ..training.fit import fit
from ..training.history import History
from .outputs import check_output
from .show import Ended

PARTIAL: Final = ".partial"
_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Seconds as people write them.

    Examples
    --------
    >>> seconds_of("60"), seconds_of("90s"), seconds_of("1.5m"), seconds_of("1h")
    (60.0, 90.0, 90.0, 3600.0)
    """
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smh]?)", text.strip())
    if found is None:
        raise ConfigurationError(f"--every must be a time such as 60, 60s, 5m or 1h, received {text!r}")
    return float(found[1]) * _UNITS[found[2]]


@final
@dataclass(frozen=True)
class Keeping:
    """Where a run is kept.

    Attributes
    ----------
    out : str
        Where the model is saved at the end; what an interruption leaves comes beside it.
    checkpoint, resume : str or None
        What the run is written into now and then, and the file from which it goes on.
    every : float
        Seconds between two writings.
    team : Communicator or None
        The processes that train together, of which rank 0 keeps what is learnt.
    """

    out: str
    checkpoint: str | None = None
    every: float = 60.0
    resume: str | None = None
    team: Communicator | None = None

    @classmethod
    def of(cls, out: str, checkpoint: str | None, every: str | None, resume: str | None) -> Keeping:
        """As the options say: a run that goes on is written where it was, unless told."""
        place = resume if checkpoint is None else checkpoint
        if every is not None and place is None:
            raise ConfigurationError("--every says how often a checkpoint is written: give --checkpoint FILE too")
        return cls(out, place, 60.0 if every is None else seconds_of(every), resume)

    @property
    def partial(self) -> str:
        return self.out + PARTIAL

    def check(self, *, inputs: Mapping[str, str], others: Mapping[str, str]) -> None:
        """Refuse what cannot be read or written, or is something else as well, before any work is done."""
        if self.resume is not None:
            read_checkpoint(self.resume)
        written = {"--out": self.out, **others}
        if self.checkpoint is not None:
            check_output("--checkpoint", self.checkpoint, inputs=inputs, others=written)
            written["--checkpoint"] = self.checkpoint
        if self.resume is not None:
            inputs = {**inputs, "the checkpoint": self.resume}
        for option, path in written.items():
            if option != "--checkpoint":
                check_output(option, path, inputs=inputs)
        # what an interruption leaves has a name of its own that nobody gave
        check_output(f"--out with {PARTIAL}", self.partial, inputs=inputs, others=written)

    def fit(self, model: Callable[[History], Any], *data: Any, **settings: Any) -> History:
        """Train as `run` does, and save the model."""
        history = self.run(model, *data, **settings)
        self.save(model(history))
        return history

    def save(self, model: Any) -> None:
        """Save what was learnt, before anything is measured, which takes its time.

        Raises
        ------
        Ended
            On other ranks than the first: for them this is the end.
        """
        if self.team is not None and self.team.rank:
            raise Ended(0)
        save(model, self.out)

    def run(
        self,
        model: Callable[[History], Any],
        net: Network,
        X: Any,
        y: Any,
        *,
        callbacks: Sequence[Callback],
        **settings: Any,
    ) -> History:
        """Train as `fit` of the library does; of a run that ends early, keep what the options say.

        Parameters
        ----------
        model : callable (history) -> Network or TableModel
            What is saved of the network as it is.
        net, X, y, callbacks, **settings
            What `fit` takes.

        Raises
        ------
        Ended
            By Ctrl-C or SIGTERM.
        """
        watch = _Watch()
        several = self.team is not None
        kept = [] if self.checkpoint is None else [Checkpoint(self.checkpoint, self.every, keep_previous=several)]
        number = signal.SIGINT
        try:
            with warnings.catch_warnings():
                # said below, with what to do
                warnings.filterwarnings("ignore", message="training was interrupted")
                told = [*callbacks, watch, *kept]
                history = fit(net, X, y, callbacks=told, resume=self.resume, communicator=self.team, **settings)
        except SystemExit:
            if watch.interrupted is None:
                raise
            number = signal.SIGTERM
        else:
            if not watch.ended_early(history):
                return history
            if watch.interrupted is None:  # nothing was learnt, or the step at work was not waited for
                raise KeyboardInterrupt
        save(model(watch.history), self.partial)
        raise self._end(number, watch.interrupted)

    def _end(self, number: int, where: str) -> Ended:
        cause = "interrupted" if number == signal.SIGINT else "asked to end"
        said = f"{cause} in epoch {where}: what was learnt so far is saved as {self.partial}"
        if self.checkpoint is None:
            go_on = "a run can only be gone on with if it has a checkpoint: --checkpoint FILE writes one"
        else:
            go_on = f"the same command goes on from here with --resume {shlex.quote(self.checkpoint)}"
        return Ended(128 + number, said, go_on)


@final
class _Watch(Callback):
    """Sees whether a run was interrupted between two steps, and where."""

    def __init__(self) -> None:
        self.interrupted: str | None = None
        self.history = History()

    def on_interruption(self, training: Training) -> None:
        if training.job is not None and training.job.state.step:
            self.interrupted = f"{training.epoch} of {training.epochs}"
            self.history = training.history

    def ended_early(self, history: History) -> bool:
        """Whether Ctrl-C ended the run: told of it, or not because the step at work was not waited for."""
        return self.interrupted is not None or (history.stopped or "").startswith("interrupted")
