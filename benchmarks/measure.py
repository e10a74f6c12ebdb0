"""Interleaved measurements: one process for each library, all alive, asked in turn."""

from __future__ import annotations

import inspect
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

OURS, FLOOR = "Backlit", "products alone"
CORES = len(os.sched_getaffinity(0))
#: Seconds before a turn: threads of the library before it look for work a while longer, and keep a core busy.
PAUSE = 0.3


@dataclass(frozen=True)
class Case:
    """A network and how it is trained; the last layer is softmax with cross entropy."""

    widths: tuple[int, ...]
    batch: int
    optimizer: str
    rows: int
    activation: str = "relu"
    rate: float = 0.001
    epochs: int = 3
    threads: int = 1

    def __str__(self) -> str:
        return "-".join(map(str, self.widths))


@dataclass(frozen=True)
class Measured:
    """Seconds of a step: median, and the smallest and largest of the runs."""

    median: float
    low: float
    high: float


def peak() -> int:
    """The most memory that this process has had, in bytes: its own, where getrusage begins with its parent's."""
    with open("/proc/self/status") as status:
        return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])


#: The same for programs that are handed to another Python.
PEAK = inspect.getsource(peak)


def environment(threads: int) -> dict[str, str]:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads)), "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def interleaved(libraries: list[str], case: Case, rounds: int, *, processor: bool = False) -> dict[str, Measured]:
    """Let every library train the case in turn, `rounds` times; each process may use the first `case.threads` cores.

    With `processor` the seconds are those that the processor worked, not those that passed.
    """
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: case.threads]))
    workers = {}
    for library in libraries:
        workers[library] = subprocess.Popen(
            ["taskset", "-c", cores, sys.executable, str(Path(__file__).with_name("worker.py")), library,
             json.dumps(asdict(case)), *(["processor"] if processor else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(case.threads),
        )  # fmt: skip
        answer(workers[library])  # ready
    times: dict[str, list[float]] = {library: [] for library in libraries}
    for _ in range(rounds):
        for library, worker in workers.items():
            assert worker.stdin is not None
            time.sleep(PAUSE)
            worker.stdin.write("\n")
            worker.stdin.flush()
            times[library].append(float(answer(worker)))
    for worker in workers.values():
        worker.communicate()
    return {library: Measured(statistics.median(t), min(t), max(t)) for library, t in times.items()}


def answer(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"{worker.args} has ended: its message stands above")
    return line.strip()
