"""Training over the processes of MPI: sums by a fixed tree, every wait with a deadline.

Between the processes the tree goes on where that over the shards of each ends: rank r meets r ± 1, then the neighbour
at distance 2, at 4, …. In each meeting the two halve what they have in common, so that every number of the sums is
added up once (recursive halving), and on the way back they tell each other what they have (recursive doubling). Adding
up is the only arithmetic, its order is that of the tree, and a + b is b + a to the bit: all end with the same bits,
those of one process that does it all.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import time
import warnings
import zlib
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, final

import numpy as np

from ..checks import one_of, positive, positive_whole
from ..exceptions import BacklitWarning, ConfigurationError, DivergenceError, RankError
from ..files import library_version
from ..parameters import Array
from ..training.communicators import Ahead, TreeSum, cut
from .guard import BEFORE, Guard, guard
from .model import SHARED_MEMORY, step_seconds

T = TypeVar("T")

SHARDS: Final = 8
DEADLINE: Final = 300.0

_SMALL: Final = 2**13  # bytes, below which one message of all is quicker than halves there and back
_SPINS: Final = 200  # looks at a request before the clock is asked
_ROLL_CALL: Final = 0.7  # seconds that others have to answer when one is missing
_SHORT: Final = 10.0  # seconds on one core, below which starting several processes takes longer than it saves
_let_others_run: Final = getattr(os, "sched_yield", lambda: time.sleep(0.0))


def mpi(
    shards: int = SHARDS, *, reduction: Literal["exact", "fast"] = "exact", deadline: float = DEADLINE
) -> MPICommunicator:
    """The processes that MPI has started, for `fit`: ``fit(net, X, y, communicator=mpi())`` in each of them.

    Parameters
    ----------
    shards : int, default=8
        Into how many pieces each batch is cut, a power of two. The bits of a run depend on it, and not on how many
        processes there are.
    reduction : {"exact", "fast"}, default="exact"
        "exact" adds up by a fixed tree: any power of two of processes, up to the shards, gives the same bits. "fast" is
        MPI's own sum over one piece for each process: any number of processes, and bits that depend on it.
    deadline : float, default=300
        Seconds after which a process that does not answer ends the run.

    Raises
    ------
    MissingExtraError
        Without mpi4py, or a library of MPI.
    ConfigurationError
        For a number of processes that does not fit the shards.
    RankError
        Where the processes run other versions.

    Examples
    --------
    Without `mpiexec` it is a team of one:

    >>> import backlit as bl
    >>> team = mpi()
    >>> net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
    >>> _ = bl.fit(net, [[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0], optimizer=bl.SGD(0.1), communicator=team)
    >>> team
    MPICommunicator(rank 0 of 1, 8 shards, exact)
    """
    return MPICommunicator(shards, reduction, deadline)


def _about(seconds: float) -> str:
    """A length of time in round words.

    Examples
    --------
    >>> _about(0.3), _about(4.2), _about(130.0), _about(9000.0)
    ('1 s', '4 s', '2 min', '2.5 h')
    """
    if seconds < 90.0:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"


@final
class MPICommunicator:
    """What `mpi` makes; see there."""

    def __init__(self, shards: int, reduction: Literal["exact", "fast"], deadline: float) -> None:
        self._guard: Guard = guard()
        self._mpi = self._guard.mpi
        self.rank, self.size = self._guard.rank, self._guard.size
        self.reduction = one_of("reduction", reduction, ("exact", "fast"))
        self.deadline = self._guard.deadline = positive("deadline", deadline)
        self.asked: int | None = None
        self._asking = 0
        self._agreed = False
        self._step = 0
        self._received = np.empty(0)
        self._comm = self._mpi.COMM_WORLD.Dup()
        self._roll = self._mpi.COMM_WORLD.Dup()
        self._spins = _SPINS
        self._look_at_crowd()
        self._check_versions()
        self._shards = self._checked_shards(shards)
        self.division = f"{self._shards} shards, {reduction}" if reduction == "exact" else "fast"
        self._tree = TreeSum(self._shards // self.size, tail=2)

    def _checked_shards(self, shards: int) -> int:
        shards, size = positive_whole("shards", shards), self.size
        if self.reduction == "fast":
            return size
        if shards & (shards - 1):
            raise ConfigurationError(f"shards must be a power of two, received {shards}")
        if size & (size - 1) or size > shards:
            raise ConfigurationError(
                f"the exact reduction takes a power of two of processes, up to the {shards} shards of a batch, "
                f"received {size}: start {min(shards, 1 << (size.bit_length() - 1))}, or choose the fast reduction"
            )
        return shards

    def _check_versions(self) -> None:
        own = f"Backlit {library_version()}, NumPy {np.__version__}, Python {platform.python_version()}".encode()[:96]
        texts = self._gather(np.frombuffer(own.ljust(96), np.uint8).copy())
        said = [bytes(text).decode().strip() for text in texts]
        other = next((r for r, text in enumerate(said) if text != said[0]), None)
        if other is not None:
            raise RankError(
                f"rank {other} runs {said[other]}, and rank 0 {said[0]}: install the same versions for all",
                speaks=self.rank == 0,
            )

    def _look_at_crowd(self) -> None:
        here = self._mpi.COMM_WORLD.Split_type(self._mpi.COMM_TYPE_SHARED).size
        cores = os.cpu_count() or 1
        if here > cores:
            self._spins = 1
        if self.rank == 0 and here > cores:
            warnings.warn(
                f"{here} processes share the {cores} cores of this machine: more processes than cores are slower",
                BacklitWarning,
                stacklevel=4,
            )

    # ── a step ───────────────────────────────────────────────────────────────────────────────────────────

    def shards(self, n: int) -> list[slice]:
        self._guard.at_step(self._step + 1)
        own = self._shards // self.size
        pieces = cut(n, self._shards)[self.rank * own : (self.rank + 1) * own]
        return [piece for piece in pieces if piece.stop > piece.start]

    def add(self, sums: Array) -> None:
        self._tree.add(sums)

    def allreduce(self, sums: Array) -> None:
        self._step += 1
        vector = self._tree.total(sums)
        if self._received.size != vector.size or self._received.dtype != vector.dtype:
            self._received = np.empty_like(vector)
        # Signals travel with the sums, so that all end after the same step.
        vector[-2:] = self._asking == signal.SIGINT, self._asking == signal.SIGTERM
        self._own = float(vector[-4]), float(vector[-3])
        if self.size > 1:
            if self.reduction == "exact":
                self._add_by_tree(vector)
            else:
                self._wait([self._comm.Iallreduce(self._mpi.IN_PLACE, vector, self._mpi.SUM)])
        sums[:] = vector[:-2]
        if vector[-2] or vector[-1]:
            self.asked = signal.SIGINT if vector[-2] else signal.SIGTERM
            self._asking, self._agreed = 0, True

    def _add_by_tree(self, vector: Array) -> None:
        """Leave the sums of all ranks in `vector`."""
        start, stop = 0, vector.size
        halves = vector.nbytes > _SMALL
        met: list[tuple[int, slice, slice]] = []
        distance = 1
        while distance < self.size:
            other = self.rank ^ distance
            mine = theirs = slice(start, stop)
            if halves:
                middle = (start + stop) // 2
                mine, theirs = slice(start, middle), slice(middle, stop)
                if self.rank & distance:
                    mine, theirs = theirs, mine
                met.append((other, mine, theirs))
            self._exchange(other, vector[theirs], self._received[mine])
            np.add(vector[mine], self._received[mine], out=vector[mine])
            start, stop = mine.start, mine.stop
            distance *= 2
        for other, mine, theirs in reversed(met):
            self._exchange(other, vector[mine], vector[theirs])

    def _exchange(self, other: int, out: Array, into: Array) -> None:
        self._wait([self._comm.Irecv(into, other), self._comm.Isend(out, other)])

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────

    def _wait(self, requests: list[Any]) -> None:
        """Until all requests are done, or the deadline has passed.

        Raises
        ------
        RankError
        """
        done = self._mpi.Request.Testall
        for _ in range(self._spins):
            if done(requests):
                return
        started = time.monotonic()
        while not done(requests):
            waited = time.monotonic() - started
            # Who finds out first asks the others, who then need not wait for their own deadline.
            if waited > self.deadline or (waited > 0.1 and self._roll.Iprobe(self._mpi.ANY_SOURCE)):
                raise self._roll_call()
            if waited < 0.02:
                _let_others_run()
            else:
                time.sleep(0.0005)

    def _roll_call(self) -> RankError:
        """Find out who is there: everybody who waits as well answers at once."""
        others = [r for r in range(self.size) if r != self.rank]
        notes, note = dict.fromkeys(others, 0), np.zeros(1, np.int8)
        kept = [self._roll.Isend(note, r) for r in others]
        silent = self._silent(notes, 1)
        if silent:
            who = f"rank {silent[0]}" if len(silent) == 1 else f"ranks {', '.join(map(str, silent))}"
            verb = "has" if len(silent) == 1 else "have"
            message = f"{who} {verb} not answered for {self.deadline:g} s {self._guard.place}: the run is ended"
            return RankError(message, speaks=self.rank == min({*range(self.size)} - {*silent}))
        # A rank that slept finds the calls of others who have ended the run since: those do not answer again.
        kept += [self._roll.Isend(note, r) for r in others]
        ended = self._silent(notes, 2)
        del kept
        message = (
            f"all {self.size} ranks answer, but wait for different things {self._guard.place}: let every process "
            "make the same calls"
        )
        return RankError(message, speaks=self.rank == 0 and not ended)

    def _silent(self, notes: dict[int, int], wanted: int) -> list[int]:
        """The ranks of which fewer notes than wanted have come in time; `notes` counts them."""
        status, end = self._mpi.Status(), time.monotonic() + _ROLL_CALL
        while time.monotonic() < end and min(notes.values()) < wanted:
            if self._roll.Iprobe(self._mpi.ANY_SOURCE, status=status):
                self._roll.Recv(np.empty(1, np.int8), status.source)
                notes[status.source] += 1
            else:
                time.sleep(0.005)
        return [rank for rank, count in notes.items() if count < wanted]

    # ── rank 0 and the others ────────────────────────────────────────────────────────────────────────────

    def tell(self, find: Callable[[], T]) -> T:
        if self.size == 1:
            return find()
        text = json.dumps(find()).encode() if self.rank == 0 else b""
        length = np.array([len(text)], np.int64)
        self._wait([self._comm.Ibcast(length)])
        data = np.frombuffer(text, np.uint8).copy() if self.rank == 0 else np.empty(int(length[0]), np.uint8)
        self._wait([self._comm.Ibcast(data)])
        told: T = json.loads(data.tobytes())
        return told

    def spread(self, array: Array, change: Callable[[], object]) -> None:
        if self.size == 1:
            change()
            return
        own = zlib.crc32(array.data)
        found = self._gather(np.array([own], np.int64))[:, 0]
        if (found != own).any():
            kinds, counts = np.unique(found, return_counts=True)
            usual = kinds[counts.argmax()]
            odd = [r for r, one in enumerate(found) if one != usual]
            who = f"rank {odd[0]} no longer has the parameters of the others"
            if self.size == 2:
                who = "ranks 0 and 1 no longer have the same parameters"
            raise RankError(
                f"{who} after step {self._step}: let callbacks change them at the end of "
                "an epoch alone, and look for differences between the machines",
                speaks=self.rank == 0,
            )
        change()
        if self.tell(lambda: zlib.crc32(array.data) != own):
            self.give(array)

    def give(self, array: Array) -> None:
        if self.size > 1:
            self._wait([self._comm.Ibcast(array)])

    def _gather(self, own: Array) -> Array:
        """The arrays of all ranks, one below the other."""
        found = np.empty((self.size, *own.shape), own.dtype)
        if self.size == 1:
            found[0] = own
        else:
            self._wait([self._comm.Iallgather(own, found)])
        return found

    def agree(self, describe: Callable[[], dict[str, Any]], ahead: Ahead) -> None:
        self._step, self._agreed, self._asking = ahead.first_step, False, 0
        self._guard.place = BEFORE
        self._tree = TreeSum(self._shards // self.size, tail=2)
        if self.size == 1:
            return
        described = {**describe(), "division of batches": self.division}
        own = np.array([zlib.crc32(json.dumps(value).encode()) for value in described.values()], np.int64)
        theirs = self._gather(own)
        differs = np.argwhere(theirs != theirs[0])
        if differs.size:
            other, what = differs[0]
            raise RankError(
                f"rank {other} does not have the same {list(described)[what]} as rank 0: give every process the same "
                "files and settings",
                speaks=self.rank == 0,
            )
        if self.rank == 0:
            self._advise(ahead)

    def _advise(self, ahead: Ahead) -> None:
        """Say it where one core would be as fast."""
        alone = ahead.seconds / max(1, ahead.steps)
        shared = max(0.0, alone - ahead.update)
        together = step_seconds(shared, ahead.update, ahead.size, self.size, SHARED_MEMORY)
        if ahead.steps > 0 and (together > 0.9 * alone or ahead.seconds < _SHORT):
            warnings.warn(
                f"this run would take about {_about(ahead.seconds)} on one core: {self.size} processes win little or "
                "nothing on a step as small as that",
                BacklitWarning,
                stacklevel=5,
            )

    def ask(self, number: int) -> None:
        self._asking = number

    def origin(self, lost: Callable[[float], bool]) -> str:
        total, weight = self._own
        own = lost(total / weight if weight else 0.0)
        where = np.flatnonzero(self._gather(np.array([own], np.int64))[:, 0])
        if self.size == 1 or where.size in (0, self.size):
            return ""
        return f"rank{'s' if where.size > 1 else ''} {', '.join(map(str, where))}"

    def leaves(self, error: BaseException | None) -> None:
        if error is None:
            self._guard.place = "after the last step"
        agreed = self._agreed and isinstance(error, KeyboardInterrupt | SystemExit)
        together = error is None or agreed or isinstance(error, DivergenceError)
        self._guard.broken = None if together else error

    def __repr__(self) -> str:
        shards = "" if self.reduction == "fast" else f"{self._shards} shards, "
        return f"MPICommunicator(rank {self.rank} of {self.size}, {shards}{self.reduction})"
