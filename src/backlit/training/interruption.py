"""Ctrl-C and SIGTERM during a step wait for the end of the step, so that what was learnt is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, final

from .communicators import Communicator, SerialCommunicator


@final
class Interruption:
    """While it is entered, a signal that comes within `step` is kept until the step is over; a second one is not.

    Signals that somebody else handles already stay theirs, and so do all of them outside the main thread. Processes
    that train together end after the same step: a signal is kept until all of them have agreed, wherever it comes.

    Parameters
    ----------
    terminate : bool
        Whether SIGTERM is waited for as well. It ends the process with exit code 143.
    communicator : Communicator, optional
        The processes that train together.

    Attributes
    ----------
    asked : int or None
        The number of the signal that is waiting.
    step : context manager
        A step, or several, that an engine takes.

    Examples
    --------
    >>> with Interruption() as interruption:
    ...     with interruption.step:
    ...         pass
    >>> interruption.asked is None
    True
    """

    def __init__(self, *, terminate: bool = False, communicator: Communicator | None = None) -> None:
        self._communicator = SerialCommunicator() if communicator is None else communicator
        self._communicator.asked = None
        self._noticed = False
        self.step = _Step(self)
        self._defaults: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
        if terminate:
            self._defaults[signal.SIGTERM] = signal.SIG_DFL
        self._ours: list[int] = []

    @property
    def asked(self) -> int | None:
        return self._communicator.asked

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._ours = [number for number, default in self._defaults.items() if signal.getsignal(number) is default]
        for number in self._ours:
            signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._ours:
            signal.signal(number, self._defaults[number])

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._noticed and (self.step.within or self._communicator.size > 1):
            self._noticed = True
            self._communicator.ask(number)
        else:
            self.end(number)

    def end(self, number: int) -> None:
        """Do what the signal asks for."""
        self._communicator.asked, self._noticed = None, False
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


@final
class _Step:
    """Entered once for every few steps: a class costs less than a generator."""

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption
        self.within = False

    def __enter__(self) -> None:
        self.within = True

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.within = False
        if error is None and self.interruption.asked is not None:
            self.interruption.end(self.interruption.asked)
