"""`backlit train` over several processes: started by `mpiexec`, or by ourselves with `--processes`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, final

from ..checks import positive, positive_whole
from ..exceptions import BacklitError, ConfigurationError
from ..parallel.guard import LAUNCHER, found_guard, guard, started_by_mpi
from ..parallel.launch import launch
from ..parallel.team import DEADLINE, SHARDS, mpi
from ..training.communicators import Communicator
from .show import Ended, plain

#: What this process was called with: the others are started with the same.
ARGUMENTS: Final[list[str]] = []


def begin(arguments: Sequence[str]) -> None:
    """Before a command runs: one of several processes is watched over from its first error on."""
    ARGUMENTS[:] = arguments
    if list(arguments[:1]) == ["train"] and started_by_mpi() and guard().rank:
        # rank 0 speaks for all; `Guard.end` finds the stream that is silenced here
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def end(error: BaseException, lines: Sequence[str], code: int) -> None:
    """After an error: end the other processes as well, unless all of them have agreed to end."""
    found = found_guard()
    if found is None or isinstance(error, Ended) or (isinstance(error, KeyboardInterrupt) and found.broken is None):
        return
    said = [found.sentence(error)] if isinstance(error, BacklitError) else lines
    found.end([plain(" ".join(line.split())) for line in said], code, speaks=found.speaks(error))


@final
@dataclass(frozen=True)
class Processes:
    """What the options say about processes."""

    number: int | None = None
    shards: int = SHARDS
    reduction: Literal["exact", "fast"] = "exact"
    deadline: float = DEADLINE
    max_restarts: int = 0

    def check(self, checkpoint: str | None, minutes: float | None) -> None:
        """Refuse what cannot be."""
        several = self.number is not None or started_by_mpi()
        if self.number is not None:
            positive_whole("--processes", self.number)
        positive_whole("--shards", self.shards)
        positive("--deadline", self.deadline)
        if self.max_restarts < 0:
            raise ConfigurationError(f"--max-restarts must be at least 0, received {self.max_restarts}")
        if self.max_restarts and (self.number is None or checkpoint is None):
            raise ConfigurationError(
                "--max-restarts begins a run again from its checkpoint: give --processes N and --checkpoint FILE too"
            )
        if several and minutes is not None:
            raise ConfigurationError("--minutes goes by the clock, which differs between processes: leave it out")

    def joins(self) -> bool:
        """Whether this process is one of those that train; not the one that starts them."""
        return self.number == 1 or started_by_mpi()

    def start(self, checkpoint: str | None) -> None:
        """Where processes are to be started: do it, and end as they do.

        Raises
        ------
        Ended
        """
        if self.number is None or self.joins():
            return

        def command(resume: Path | None) -> list[str]:
            more = [] if resume is None else ["--resume", str(resume), "--checkpoint", str(checkpoint)]
            arguments = ARGUMENTS if resume is None else without(ARGUMENTS, ("--resume", "--checkpoint"))
            return [sys.executable, "-P", "-m", "backlit", *arguments, *more]

        raise Ended(
            launch(command, self.number, deadline=self.deadline, checkpoint=checkpoint, max_restarts=self.max_restarts)
        )

    def team(self) -> Communicator:
        """The processes that train together."""
        found = mpi(self.shards, reduction=self.reduction, deadline=self.deadline)
        if self.number is not None and found.size != self.number:
            ours = "the mpiexec that was found is of another MPI than mpi4py: install one of the two beside the other"
            theirs = f"--processes says {self.number}: leave it out under mpiexec"
            raise ConfigurationError(
                f"{found.size} processes run together, and {ours if LAUNCHER in os.environ else theirs}"
            )
        return found


def without(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """The arguments without options that take a value.

    Examples
    --------
    >>> without(["train", "a.csv", "--resume", "x", "--seed=1", "--checkpoint=y"], ("--resume", "--checkpoint"))
    ['train', 'a.csv', '--seed=1']
    """
    left: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in options:
            next(rest, None)
        elif not argument.startswith(tuple(f"{option}=" for option in options)):
            left.append(argument)
    return left
