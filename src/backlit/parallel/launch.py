"""Starting the processes of one run on this machine, watching over them, and starting them again.

MPI's own `mpiexec` does it. What it says of a process that has ended badly is many lines for a programmer: here they
become one, which names the rank and the step.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final, final

import numpy as np

from ..exceptions import missing_extra
from ..training.checkpoint import last_whole
from .guard import LAUNCHER, STATUS, STATUS_COLUMNS, said_in

#: What launchers print besides, of MPICH and of Open MPI.
_NOISE: Final = re.compile(
    rb"=+$|=   |YOUR APPLICATION TERMINATED|This typically refers|Please see the FAQ|Abort\(|\[mpiexec@|\[proxy|"
    rb"-{20,}$|MPI_ABORT was invoked|with errorcode|NOTE: invoking MPI_Abort|You may or may not|exactly when Open MPI|"
    rb"mpirun noticed|mpiexec noticed|prterun|Primary job +terminated|a non-zero exit code|\[[^]]+:[0-9]+\] "
)
_LOOK: Final = 0.1  # seconds between two looks at the processes
_TO_BEGIN: Final = 120.0  # seconds that all processes have to load their libraries
_LATER: Final = 1.2  # seconds that the processes have to find out by themselves
_PROCESS: Final = re.compile(rb"PID ([0-9]+) RUNNING AT|[Pp]rocess rank ([0-9]+) with PID")
_SIGNAL: Final = re.compile(rb"EXIT STRING: .*\(signal ([0-9]+)\)|exited on signal ([0-9]+)")


def launcher_of_mpi() -> list[str]:
    """The command that starts processes: as BACKLIT_MPIEXEC says, or of Python's environment, or of the system.

    Raises
    ------
    MissingExtraError
    """
    beside = Path(sys.executable).parent / "mpiexec"
    found = os.environ.get("BACKLIT_MPIEXEC") or (str(beside) if beside.exists() else shutil.which("mpiexec"))
    if found is None or shutil.which(found) is None:
        raise missing_extra("mpiexec", "mpi", "training over several processes")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    # Open MPI starts no more processes than there are cores unless it is told that it may.
    return [found, *(["--map-by", ":OVERSUBSCRIBE"] if "Open MPI" in said or "OpenRTE" in said else [])]


@final
class Launch:
    """One run of several processes.

    Parameters
    ----------
    command : sequence of str
        What each process runs.
    processes : int
    deadline : float
        Seconds after which a process that shows no life ends the run.

    Attributes
    ----------
    step : int
        The step that had been begun when it ended; 0 before the first.
    """

    def __init__(self, command: Sequence[str], processes: int, deadline: float) -> None:
        self._command, self._processes, self._deadline = list(command), processes, deadline
        self.step = 0
        self._said = False  # whether a process has said what was wrong
        self._dead: int | None = None  # the rank
        self._signal = self._asked = 0
        self._stopped: list[int] = []  # ranks

    def run(self) -> int:
        """Start the processes and wait for their end; returns the exit code."""
        with tempfile.TemporaryDirectory(prefix="backlit-") as folder:
            path = Path(folder) / "status"
            status = np.memmap(path, np.int64, "w+", shape=(self._processes, STATUS_COLUMNS))
            environment = {**os.environ, LAUNCHER: str(os.getpid()), STATUS: str(path)}
            arguments = [*launcher_of_mpi(), "-n", str(self._processes), *self._command]
            # In a session of its own: Ctrl-C comes through us, once.
            with subprocess.Popen(
                arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            ) as process:
                code = self._follow(process, status)
            said = said_in(path).read_text(encoding="utf-8") if said_in(path).exists() else ""
        self.step = int(status[:, 1].max())
        if code and not self._said:
            sys.stderr.write(said or self._words(status, code))
            sys.stderr.flush()
        number = self._asked or self._signal
        return 128 + number if code and number else code

    def _follow(self, process: subprocess.Popen[bytes], status: Any) -> int:
        pumps = [
            threading.Thread(target=self._pump, args=(process.stdout, sys.stdout, status)),
            threading.Thread(target=self._pump, args=(process.stderr, sys.stderr, status)),
        ]

        def forward(number: int, frame: Any) -> None:
            self._asked = number
            process.send_signal(number)

        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for pump in pumps:
                pump.start()
            code = self._wait(process, status)
            for pump in pumps:
                pump.join()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if code < 0:  # the launcher itself
            self._signal = self._signal or -code
        return code

    def _wait(self, process: subprocess.Popen[bytes], status: Any) -> int:
        """Wait for the end of all processes, and make one of them where a process is stopped."""
        seen, since = status[:, 2].copy(), time.monotonic()
        while True:
            try:
                return process.wait(_LOOK)
            except subprocess.TimeoutExpired:
                still = status[:, 2] == seen
            if not still.any():
                seen, since = status[:, 2].copy(), time.monotonic()
            elif time.monotonic() - since > (self._deadline + _LATER if (seen > 0).all() else _TO_BEGIN):
                self._stopped = np.flatnonzero(still).tolist()
                process.kill()

    def _rank_of(self, status: Any, process: int) -> int | None:
        return next((r for r, pid in enumerate(status[:, 0].tolist()) if pid == process), None)

    def _pump(self, source: IO[bytes], to: Any, status: Any) -> None:
        """Hand on what the processes say, without what their launcher says."""
        held = b""  # an empty line, which belongs to what comes after it
        for line in source:
            found = _PROCESS.search(line)
            if found or _NOISE.match(line):
                if found and self._dead is None:
                    self._dead = int(found[2]) if found[2] else self._rank_of(status, int(found[1]))
                if found := _SIGNAL.search(line):
                    self._signal = int(found[1] or found[2])
                held = b""
                continue
            if not line.strip():
                held += line
                continue
            self._said = self._said or (to is sys.stderr and line.startswith(b"backlit: "))
            to.write((held + line).decode(errors="replace"))
            to.flush()
            held = b""

    def _words(self, status: Any, code: int) -> str:
        """What nobody could say who is dead."""
        ranks = self._stopped or ([] if self._dead is None else [self._dead])
        step = int(status[ranks[0], 1]) if ranks else self.step
        who = f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}" if ranks else "one of the processes"
        if self._stopped:
            how = f"showed no life for {self._deadline:g} s"
        elif self._asked:
            who, how = "the run", "was interrupted" if self._asked == signal.SIGINT else "was asked to end"
        else:
            how = f"was ended by {signal.Signals(self._signal).name}" if self._signal else f"ended with code {code}"
        where = f"in step {step}" if step else "before the first step"
        return f"backlit: {who} {how} {where}\n"


def launch(
    command: Callable[[Path | None], Sequence[str]],
    processes: int,
    *,
    deadline: float,
    checkpoint: str | None = None,
    max_restarts: int = 0,
) -> int:
    """Run a command in several processes of this machine; returns its exit code.

    Parameters
    ----------
    command : callable (checkpoint) -> sequence of str
        What each process runs: from the beginning (None), or going on from a checkpoint.
    processes : int
    deadline : float
        Seconds after which a process that shows no life ends the run.
    checkpoint : str, optional
        Where the run is written.
    max_restarts : int, default=0
        How often a run that has failed is begun again from its last checkpoint. What failed before its first step, or
        no further on than the time before, is not begun again; nor is what was asked to end.
    """
    resume: Path | None = None
    furthest = 0
    for left in range(max_restarts, -1, -1):
        run = Launch(command(resume), processes, deadline)
        code = run.run()
        asked = code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
        resume = last_whole(checkpoint) if checkpoint is not None else None
        if code == 0 or asked or not left or run.step <= furthest or resume is None:
            break
        furthest = run.step
        sys.stderr.write(f"backlit: the run goes on from {str(resume)!r}, {left} restarts are left\n")
        sys.stderr.flush()
    return code
