"""One process that ends early ends all: without that, the others would wait for it for ever.

MPI knows nothing of Python's errors. So an error that leaves the program on one rank is said in one line, which names
the rank and the step, and `MPI_Abort` ends the other processes.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

import numpy as np

from ..exceptions import BacklitError, DivergenceError, RankError, missing_extra

#: What the launchers of MPI tell their processes, by which we know that we are one of several.
_RANKS: Final = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")

#: Names in the environment: the process that started us with `--processes`, and the file in which it looks how far we
#: have come.
LAUNCHER: Final = "BACKLIT_LAUNCHER"
STATUS: Final = "BACKLIT_STATUS"
STATUS_COLUMNS: Final = 3

BEFORE: Final = "before the first step"

#: Seconds that the others leave to the one who speaks first: where all fail alike, rank 0 says it.
_POLITE: Final = 1.0


#: Seconds that the launcher of MPI has to hand on what was said: at an abort it forgets what is in its pipes.
_READ: Final = 0.2


def said_in(status: str | os.PathLike[str]) -> Path:
    """Where a process leaves its last words for our own launcher, beside the status."""
    return Path(f"{os.fspath(status)}.said")


def started_by_mpi() -> bool:
    """Whether a launcher of MPI (`mpiexec`, `mpirun`, `srun`) has started this process."""
    return any(name in os.environ for name in _RANKS)


def mpi4py_mpi() -> Any:
    """The module `mpi4py.MPI`, which begins MPI when it is loaded.

    Raises
    ------
    MissingExtraError
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the package without a library of MPI is a RuntimeError
        raise missing_extra("mpi4py", "mpi", "training over several processes") from error
    return MPI


@final
class Guard:
    """Watches over this process, one of several.

    Attributes
    ----------
    rank, size : int
    place : str
        Where this process is, in words.
    broken : BaseException or None
        An error that has left a training: the others still wait in it.
    deadline : float
        Seconds that rank 0 waits for the others at the end of the program.
    """

    def __init__(self) -> None:
        self.mpi = mpi4py_mpi()
        self.rank, self.size = int(self.mpi.COMM_WORLD.rank), int(self.mpi.COMM_WORLD.size)
        self.place = BEFORE
        self.broken: BaseException | None = None
        self.deadline = math.inf
        self._status = self._open_status()
        self._excepthook = sys.excepthook
        sys.excepthook = self._hook
        atexit.register(self._at_exit)
        if self._status is not None:
            threading.Thread(target=self._live, args=(int(os.environ[LAUNCHER]),), daemon=True).start()

    def _open_status(self) -> Any:
        """The row of this rank where our own launcher looks: its process, the step at work, and how it lives."""
        if STATUS not in os.environ:
            return None
        status = np.memmap(Path(os.environ[STATUS]), np.int64, "r+").reshape(-1, STATUS_COLUMNS)
        if self.rank >= len(status):
            return None  # more processes than were started: the command line says so
        status[self.rank] = os.getpid(), 0, 1
        return status[self.rank]

    def _live(self, launcher: int) -> None:
        """Show that this process is not stopped; end it when the one that has started the run is gone."""
        while True:
            time.sleep(0.2)
            self._status[2] += 1
            try:
                os.kill(launcher, 0)
            except ProcessLookupError:
                os.kill(os.getpid(), signal.SIGKILL)

    def at_step(self, step: int) -> None:
        """Take note of the step at work, counted from 1."""
        self.place = f"in step {step}"
        if self._status is not None:
            self._status[1] = step

    def end(self, lines: Sequence[str], code: int, *, speaks: bool) -> None:
        """Say why, and end all processes; where there are no others, come back.

        `speaks` tells that this process is the one to say it: others leave it the time to do so.
        """
        if self.size == 1:
            return
        if not speaks:
            time.sleep(_POLITE)
        text = "".join(f"backlit: {line}\n" for line in lines)
        if self._status is not None:
            with contextlib.suppress(OSError):  # a full disk, say, may be what is to be told of
                said_in(os.environ[STATUS]).write_text(text, encoding="utf-8")
        if sys.__stderr__ is not None:
            sys.__stderr__.write(text)
            sys.__stderr__.flush()
        time.sleep(_READ)
        self.mpi.COMM_WORLD.Abort(code)
        os._exit(code)  # MPICH comes back, and is ended a moment later

    def sentence(self, error: BaseException) -> str:
        """What is to be said of an error: with the rank and the place, unless it speaks of them itself."""
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, RankError | DivergenceError):
            return text
        if not isinstance(error, BacklitError):
            text = f"{type(error).__name__}: {text}"
        elif self.rank == 0 and self.place == BEFORE:  # what was asked for cannot be, on whatever rank
            return text
        return f"rank {self.rank} failed {self.place}: {text}"

    def speaks(self, error: BaseException) -> bool:
        """Whether this process is the first to speak of an error."""
        return error.speaks if isinstance(error, RankError) else self.rank == 0

    def _hook(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if self.size > 1 and not self.speaks(error):
            time.sleep(_POLITE)
        self._excepthook(kind, error, traceback)
        self.end([self.sentence(error)], 130 if isinstance(error, KeyboardInterrupt) else 1, speaks=True)

    def _at_exit(self) -> None:
        if self.broken is not None:
            self.end([self.sentence(self.broken)], 1, speaks=self.speaks(self.broken))
        elif self.size > 1 and not self.mpi.Is_finalized():
            self._wait_for_all()

    def _wait_for_all(self) -> None:
        """Meet the others: MPI's own end waits for them with all its power, and without end."""
        started, everybody = time.monotonic(), self.mpi.COMM_WORLD.Ibarrier()
        while not everybody.Test():
            if self.rank == 0 and time.monotonic() - started > self.deadline:
                self.end([f"not all ranks have come to the end within {self.deadline:g} s"], 1, speaks=True)
            time.sleep(0.001)


_guards: Final[list[Guard]] = []


def guard() -> Guard:
    """The guard of this process, which begins MPI the first time."""
    if not _guards:
        _guards.append(Guard())
    return _guards[0]


def found_guard() -> Guard | None:
    """The guard, where there is one."""
    return _guards[0] if _guards else None
