"""Threads that take the steps of one call together: how they wait for each other, and how work is shared.

Every thread runs the same compiled function, without Python's lock, and is told its place among them. It takes its own
rows of each part of a step, so that nothing is added up across threads and their number does not show in the bits. They
wait for each other at a few places of a step: briefly in a loop, then letting others have the core, then asleep. On a
machine with other work to do, the thread that is waited for may have to wait for a core itself.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types

from ..exceptions import BacklitWarning
from ..parameters import Array
from .math import compiled
from .vectors import address_of, instruction

#: How often a thread looks before it lets others have the core, and before it sleeps; and for how long, in µs.
LOOKS, YIELDS, NAP = 300, 20, 50

# Places in `Team.signals`, a cache line apart: how many have come, how often all have, and whether nobody is to wait.
_COME, _ROUND, _END = 0, 8, 16
_SIGNALS: Final = 24

_YIELD, _SLEEP = "backlit_yield", "backlit_sleep"


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
    return True


@compiled
def share(size: int, grain: int, team: Team) -> Any:
    """The part of 0 … size that is the team member's own, in whole grains but for the last one."""
    grains = (size + grain - 1) // grain
    start, stop = grains * team.place // team.members, grains * (team.place + 1) // team.members
    return min(start * grain, size), min(stop * grain, size)


def run_together(run: Callable[[Team], int], count: int) -> int:
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
        warnings.warn(f"the system gives no more threads ({error}): one trains alone", BacklitWarning, stacklevel=2)
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
