"""One training over two processes: what a message costs, what a step costs, and what overlapping would save.

    python benchmarks/scaling.py [--rounds 9] [--part messages|steps|overlap]

Rows of docs/scaling.md. What is compared takes turns in one run; of each the smallest time counts, as whatever else
the machine does can only add to it, with the median beside it. Every process has one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit.parallel.launch import launcher_of_mpi
from backlit.training.threads import blas_limit

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
CHAINS = {"784-800-10": [800], "784-800-800-800-10": [800, 800, 800], "784-30-10": [30]}

CASES = [
    ("784-800-10", 1024, "reference"),
    ("784-800-10", 1024, "compiled"),
    ("784-800-10", 128, "reference"),
    ("784-30-10", 32, "reference"),
]


def network(name: str) -> bl.Network:
    layers = [bl.Dense(units, "relu") for units in CHAINS[name]]
    return bl.Network([*layers, bl.Dense(10, "softmax")], inputs=784, loss="cross_entropy", input_scale=1 / 255, seed=1)


# ── messages, in two processes ─────────────────────────────────────────────────────────────────────────────
def messages(rounds: int) -> dict[str, Any]:
    """Seconds of a sum over two processes: of each way the smallest of all rounds."""
    team: Any = bl.parallel.mpi()
    comm, mpi = team._comm, team._mpi
    found: dict[str, Any] = {}
    for numbers in (2, 2**8, 2**11, 2**14, 2**17, 2**20, 2**23):
        vector, room = np.ones(numbers, np.float32), np.empty(numbers, np.float32)

        def blocking(other: int, out: Any, into: Any) -> None:
            comm.Sendrecv(out, other, recvbuf=into, source=other)

        def without_deadline(vector: Any = vector, blocking: Any = blocking) -> None:
            exchange, team._exchange = team._exchange, blocking
            team._add_by_tree(vector)
            team._exchange = exchange

        def with_deadline(vector: Any = vector) -> None:
            team._add_by_tree(vector)

        def fast(vector: Any = vector) -> None:
            team._wait([comm.Iallreduce(mpi.IN_PLACE, vector, mpi.SUM)])

        def fast_blocking(vector: Any = vector) -> None:
            comm.Allreduce(mpi.IN_PLACE, vector, mpi.SUM)

        ways: dict[str, Callable[[], None]] = {
            "exact": with_deadline, "exact, no deadline": without_deadline, "fast": fast,
            "fast, no deadline": fast_blocking,
        }  # fmt: skip
        team._received = room
        times: dict[str, list[float]] = {name: [] for name in ways}
        calls = max(3, min(200, 2**22 // numbers))
        for _ in range(rounds):
            for name, way in ways.items():
                comm.Barrier()
                started = time.perf_counter()
                for _ in range(calls):
                    vector[:2] = 1.0
                    way()
                times[name].append((time.perf_counter() - started) / calls)
                vector[:] = 1.0
        found[str(4 * numbers)] = {name: (min(t), statistics.median(t)) for name, t in times.items()}
    return found


# ── steps, in one process or two ───────────────────────────────────────────────────────────────────────────
class Clock(bl.Callback):
    """The seconds of each step but the first few."""

    every_steps = 1

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_steps_end(self, training: Any, done: int, total: int) -> None:
        now = time.perf_counter()
        if training.job.state.step > 3 and done > 1:  # the end of an epoch is no part of its next step
            self.seconds.append(now - self._last)
        self._last = time.perf_counter()


def steps(name: str, batch: int, engine: str, reduction: str, seconds: float) -> list[float]:
    """Seconds of each step of a training that takes about so long."""
    rng = np.random.default_rng(0)
    rows = max(8 * batch, 2048)
    X, y = rng.integers(0, 256, size=(rows, 784), dtype=np.uint8), rng.integers(0, 10, size=rows)
    net, clock = network(name), Clock()
    team = None if reduction == "none" else bl.parallel.mpi(reduction=reduction)  # type: ignore[arg-type]
    epochs = 2 + int(seconds / (6e-11 / 3 * net.parameters.size * rows * 6))
    with blas_limit(1):
        bl.fit(
            net, X, y, epochs=min(epochs, 30), batch_size=batch, optimizer=bl.SGD(0.01, momentum=0.9), engine=engine,
            progress=False, communicator=team, callbacks=[clock],
        )  # fmt: skip
    return clock.seconds


def overlapped(name: str, batch: int, repeats: int) -> dict[str, list[float]]:
    """A gradient over two processes, its sums on their way after the backward pass, or layer by layer during it.

    Each process has its half of the batch; what is measured is forward, backward and the sums.
    """
    team: Any = bl.parallel.mpi(2)
    comm, mpi, other = team._comm, team._mpi, 1 - team.rank
    rng = np.random.default_rng(team.rank)
    net = network(name)
    work = net.workspace(batch // 2)
    X = rng.random((batch // 2, 784), dtype=np.float32)
    Y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, size=batch // 2)]
    work.load(X, Y)
    sums = net.parameters.sums
    room = np.empty_like(sums)
    parts = [
        slice(net.parameters.slice(f"{i}.weight").start, net.parameters.slice(f"{i}.bias").stop)
        for i in range(len(net.layers))
    ]

    def halves(part: slice) -> tuple[slice, slice]:
        middle = (part.start + part.stop) // 2
        both = slice(part.start, middle), slice(middle, part.stop)
        return both if team.rank == 0 else both[::-1]

    def begin(part: slice) -> list[Any]:
        mine, theirs = halves(part)
        return [comm.Irecv(room[mine], other), comm.Isend(sums[theirs], other)]

    def finish(part: slice, requests: list[Any]) -> None:
        mine, theirs = halves(part)
        team._wait(requests)
        sums[mine] += room[mine]
        team._wait([comm.Irecv(sums[theirs], other), comm.Isend(sums[mine], other)])

    def after() -> None:
        net.forward_pass(work, 0)
        net.backward_pass(work)
        finish(slice(0, sums.size), begin(slice(0, sums.size)))

    def during() -> None:
        net.forward_pass(work, 0)
        on_their_way: list[Any] = []
        backward = {layer: layer.backward for layer in net.layers}

        def then_send(layer: Any, i: int) -> Callable[..., None]:
            def both(*given: Any, **named: Any) -> None:
                backward[layer](*given, **named)
                for _, requests in on_their_way:  # MPI moves on while it is asked
                    mpi.Request.Testall(requests)
                on_their_way.append((parts[i], begin(parts[i])))

            return both

        for i, layer in enumerate(net.layers):
            layer.__dict__["backward"] = then_send(layer, i)
        net.backward_pass(work)
        for layer in net.layers:
            del layer.__dict__["backward"]
        on_their_way.append((slice(sums.size - 2, sums.size), begin(slice(sums.size - 2, sums.size))))
        for part, requests in on_their_way:
            finish(part, requests)

    times: dict[str, list[float]] = {"after": [], "during": []}
    with blas_limit(1):
        for _ in range(repeats):
            for way, function in (("after", after), ("during", during)):
                comm.Barrier()
                started = time.perf_counter()
                function()
                times[way].append(time.perf_counter() - started)
    return times


# ── asking the workers ─────────────────────────────────────────────────────────────────────────────────────
def ask(processes: int, *given: str) -> Any:
    """What rank 0 of a worker prints."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    command = [*launcher_of_mpi(), "-n", str(processes), sys.executable, "-W", "ignore", __file__, "--worker", *given]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def worker(given: list[str]) -> None:
    kind, *rest = given
    if kind == "messages":
        found: Any = messages(int(rest[0]))
    elif kind == "steps":
        found = steps(rest[0], int(rest[1]), rest[2], rest[3], float(rest[4]))
    else:
        found = overlapped(rest[0], int(rest[1]), int(rest[2]))
    if int(os.environ.get("PMI_RANK", "0")) == 0:
        print(json.dumps(found))


def show_messages(rounds: int) -> None:
    print("| bytes | exact | without its deadline | MPI's own | blocking |")
    for size, ways in ask(2, "messages", str(rounds)).items():
        cells = " | ".join(f"{1e6 * low:,.1f} ({1e6 * middle:,.1f})" for low, middle in ways.values())
        print(f"| {int(size):,} | {cells} |")


def show_steps(rounds: int) -> None:
    print("| network | batch | engine | no team | 1 process | 2, exact | 2, fast | efficiency, exact | fast |")
    for name, batch, engine in CASES:
        ways = {"no team": (1, "none"), "1": (1, "exact"), "2": (2, "exact"), "2 fast": (2, "fast")}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, (processes, reduction) in ways.items():
                times[way] += ask(processes, "steps", name, str(batch), engine, reduction, "2.0")
        low = {way: min(t) for way, t in times.items()}
        cells = " | ".join(f"{1e3 * low[way]:.2f} ({1e3 * statistics.median(times[way]):.2f})" for way in ways)
        shares = " | ".join(f"{low['1'] / (2 * low[way]):.2f}" for way in ("2", "2 fast"))
        print(f"| {name} | {batch:,} | {engine} | {cells} | {shares} |", flush=True)


def show_overlap(rounds: int) -> None:
    print("| network | batch | sums after the backward pass | during it |")
    for name, batch in [("784-800-10", 1024), ("784-800-800-800-10", 256), ("784-800-800-800-10", 1024)]:
        times: dict[str, list[float]] = {"after": [], "during": []}
        for _ in range(rounds):
            for way, some in ask(2, "overlap", name, str(batch), "40").items():
                times[way] += some
        cells = " | ".join(f"{1e3 * min(t):.2f} ({1e3 * statistics.median(t):.2f})" for t in times.values())
        print(f"| {name} | {batch:,} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--part", choices=["messages", "steps", "overlap"])
    parser.add_argument("--worker", nargs="+")
    given = parser.parse_args()
    if given.worker:
        worker(given.worker)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    parts = {"messages": show_messages, "steps": show_steps, "overlap": show_overlap}
    for name, show in parts.items():
        if given.part in (None, name):
            show(given.rounds)


if __name__ == "__main__":
    main()
