"""Threads that take the steps of one call together: how they wait for each other, and how work is shared.

Every thread runs the same compiled function, without Python's lock, and is told its place among them. It takes its own
rows of each part of a step, so that nothing is added up across threads and their number does not show in the bits. They
wait for each other at a few places of a step: briefly in a loop, then letting others have the core, then asleep. On a
machine with other work to do, the thread that is waited for may have to wait for a core itself.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, final

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types

from ..exceptions import BacklitWarning
from ..parameters import Array
from .math import compiled
from .vectors import address_of, instruction

#: How often a thread looks before it lets others have the core (some 15 µs), how often it does so before it sleeps, and
#: for how long, in µs.
LOOKS, YIELDS, NAP = 300, 200, 50

#: Seconds for which a number of threads is tried, how often, and after which it is tried again whether it is the best.
#: The first time a core has none of what it works on in its cache yet: the middle one counts.
TRIAL, TRIALS, SETTLED = 0.01, 3, 1.0

# Places in `Team.signals`, a cache line apart: how many have come, how often all have, and whether nobody is to wait.
_COME, _ROUND, _END = 0, 8, 16
_SIGNALS: Final = 24

_YIELD, _SLEEP, _PAUSE = "backlit_yield", "backlit_sleep", "llvm.x86.sse2.pause"


_T = TypeVar("_T")


class Team(NamedTuple):
    """The place of a thread among those that take a step together."""

    place: int  # 0 … members − 1
    members: int
    signals: Array  # (_SIGNALS,), shared by all


def team_of_one() -> Team:
    """A thread that works alone."""
    return Team(0, 1, np.zeros(_SIGNALS, np.int64))


def _name_functions_of_the_system() -> None:
    """Tell the machine code where to find what lets others have the core, and what sleeps."""
    if sys.platform == "win32":
        system, pause, sleep = ctypes.windll.kernel32, "SwitchToThread", "Sleep"
    else:
        system, pause, sleep = ctypes.CDLL(None), "sched_yield", "usleep"
    for name, function in ((_YIELD, pause), (_SLEEP, sleep)):
        llvm.add_symbol(name, ctypes.cast(getattr(system, function), ctypes.c_void_p).value)


_name_functions_of_the_system()


def _call(builder: Any, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.IntType(32), [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, arguments)


@instruction
def _pause(typing: Any) -> Any:
    """Tell the processor, where it can be told, that a loop only waits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if llvm.get_process_triple().startswith("x86_64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.globals.get(_PAUSE) or ir.Function(builder.module, kind, _PAUSE), [])
        return context.get_dummy_value()

    return types.none(), generate


@instruction
def _let_others(typing: Any) -> Any:
    """Let another thread have the core, where one waits for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _call(builder, _YIELD)
        return context.get_dummy_value()

    return types.none(), generate


@instruction
def _sleep(typing: Any, duration: Any) -> Any:
    """Sleep for so many µs; on Windows, which counts milliseconds, for one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        short = ir.IntType(32)
        _call(builder, _SLEEP, short(1) if sys.platform == "win32" else builder.trunc(arguments[0], short))
        return context.get_dummy_value()

    return types.none(types.intp), generate


@instruction
def _add(typing: Any, signals: Any, place: Any, number: Any) -> Any:
    """Add to a signal at once, as seen by all threads; return what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", address, arguments[2], "seq_cst")

    return types.int64(signals, types.intp, types.int64), generate


@instruction
def _look(typing: Any, signals: Any, place: Any) -> Any:
    """A signal as it is now; what others wrote before they set it is seen after it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(address, "seq_cst", 8)

    return types.int64(signals, types.intp), generate


@compiled
def wait(team: Team) -> bool:
    """Until all threads of the team have come here; False where one of them will never come."""
    if team.members == 1:
        return True
    signals = team.signals
    now = _look(signals, _ROUND)
    if _add(signals, _COME, 1) == team.members - 1:
        _add(signals, _COME, -team.members)
        _add(signals, _ROUND, 1)
        return True
    looks = 0
    while _look(signals, _ROUND) == now:
        if _look(signals, _END) != 0:
            return False
        looks += 1
        if looks > LOOKS + YIELDS:
            _sleep(NAP)
        elif looks > LOOKS:
            _let_others()
        else:
            _pause()
    return True


@compiled
def share(size: int, grain: int, team: Team) -> Any:
    """The part of 0 … size that is the team member's own, in whole grains but for the last one."""
    grains = (size + grain - 1) // grain
    start, stop = grains * team.place // team.members, grains * (team.place + 1) // team.members
    return min(start * grain, size), min(stop * grain, size)


def run_together(run: Callable[[Team], _T], count: int) -> _T:
    """Run a function that lets go of Python's lock in `count` threads at once, this one among them; what it returns.

    Where the system gives no more threads, this one works alone, which is said, with the same results.
    """
    if count == 1:
        return run(team_of_one())
    signals = np.zeros(_SIGNALS, np.int64)
    errors: list[BaseException] = []

    def work(place: int) -> None:
        try:
            run(Team(place, count, signals))
        except BaseException as error:  # noqa: BLE001 — of whatever kind: it is raised again in the thread that asked
            errors.append(error)
            signals[_END] = 1

    threads = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(1, count)]
    started: list[threading.Thread] = []
    finished = False
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        result = run(Team(0, count, signals))
        finished = True
    except RuntimeError as error:
        if len(started) == len(threads):  # no thread's start
            raise
        signals[_END] = 1
        _join(started)
        warnings.warn(f"the system gives no more threads ({error}): one works alone", BacklitWarning, stacklevel=2)
        return run(team_of_one())
    finally:
        if not finished:
            signals[_END] = 1
        _join(started)
    if errors:
        raise errors[0]
    return result


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


@final
class TeamSize:
    """How many threads take the next steps: as many as were fastest when it was last tried.

    On a machine with other work to do a thread that is waited for may wait for a core, and one thread alone may be
    faster. As the number does not show in the bits, the clock may decide.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._sizes = [1]
        while self._sizes[-1] < most:
            self._sizes.append(min(2 * self._sizes[-1], most))
        self._untried = list(self._sizes)
        self._found: list[tuple[float, int]] = []  # seconds of a step, and the number of threads
        self._tried: list[float] = []  # seconds of a step in the trials of the number at hand
        self._steps, self._seconds, self._step = 0, 0.0, TRIAL
        self._best = 1

    def choose(self) -> tuple[int, float]:
        """The number of threads, and for how many steps at most."""
        if self.most > 1 and self._untried:
            return self._untried[0], max(1.0, TRIAL / self._step)
        return self._best, math.inf

    def note(self, steps: int, seconds: float) -> None:
        """That so many steps, by the threads that were chosen, took so long."""
        self._steps += steps
        self._seconds += seconds
        self._step = self._seconds / max(self._steps, 1)
        if self._seconds < (TRIAL if self._untried else SETTLED):
            return
        if self._untried:
            self._tried.append(self._step)
            if len(self._tried) == TRIALS:
                self._found.append((statistics.median(self._tried), self._untried.pop(0)))
                self._tried.clear()
                if self._found[-1] > min(self._found):  # more threads would be slower still
                    self._untried.clear()
                self._best = min(self._found)[1]
        else:
            self._found.clear()
            place = self._sizes.index(self._best)
            self._untried = self._sizes[max(place - 1, 0) : place + 2]
        self._steps, self._seconds = 0, 0.0
