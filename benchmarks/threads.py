"""One core and several, also beside other programs: what a step costs where cores are not free.

    python benchmarks/threads.py [--busy N] [--rounds N] [--libraries JAX PyTorch …]

First a step of each network on one core, in seconds of the processor, beside other libraries in turn; then steps by one
thread, two and four, in turn in this process, in seconds that pass, beside N programs that do nothing but work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

import backlit as bl
from measure import OURS, Case, interleaved
from training import CASES, microseconds

COUNTS = (1, 2, 4)
LONG, SECONDS = 1.5, 0.25  # a warm-up, in which the number of threads is found; and a round


def beside_libraries(libraries: list[str], rounds: int) -> None:
    print(
        f"| network, batch | {' | '.join([OURS, *libraries])} | {' | '.join(f'{name} takes' for name in libraries)} |"
    )
    print("|---|" + "---:|" * (2 * len(libraries) + 1))
    for case, _ in CASES:
        times = interleaved([OURS, *libraries], replace(case, rows=case.rows // 2), rounds, processor=True)
        ratios = [f"{times[name].median / times[OURS].median:.2f} ×" for name in libraries]
        cells = [microseconds(time) for time in times.values()]
        print(f"| {case}, {case.batch} | {' | '.join([*cells, *ratios])} |", flush=True)


class Steps:
    """Steps of one network, by at most so many threads."""

    def __init__(self, case: Case, n_threads: int) -> None:
        rng = np.random.default_rng(0)
        rows = 20 * case.batch
        self.X = rng.random((rows, case.widths[0]), dtype=np.float32)
        self.y = rng.integers(0, case.widths[-1], rows)
        layers = [*(bl.Dense(n, case.activation) for n in case.widths[1:-1]), bl.Dense(case.widths[-1], "softmax")]
        self.net = bl.Network(layers, inputs=case.widths[0], loss="cross_entropy")
        self.case, self.n_threads = case, n_threads

    def run(self, seconds: float) -> float:
        """Microseconds of a step, in about so many seconds."""
        history = bl.fit(
            self.net, self.X, self.y, epochs=10**6, batch_size=self.case.batch, optimizer=bl.Adam(0.001),
            engine="compiled", n_threads=self.n_threads, progress=False, callbacks=[Until(seconds)],
        )  # fmt: skip
        return 1e6 * statistics.mean(history["seconds"]) / 20


class Until(bl.Callback):
    """Ends training after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds

    def on_epoch_end(self, training: bl.Training) -> None:
        if time.perf_counter() > self.end:
            training.stop("the time is over")


def several_threads(rounds: int) -> None:
    print(f"| network, batch | {' | '.join(f'at most {n}' for n in COUNTS)} | ratios, median |")
    print("|---|" + "---:|" * (len(COUNTS) + 1))
    for case in [case for case, _ in CASES if case.batch == 128]:
        steps = [Steps(case, n) for n in COUNTS]
        for one in steps:
            one.run(LONG)
        times = [[one.run(SECONDS) for one in steps] for _ in range(rounds)]
        cells = [f"{statistics.median(t):,.0f} ({min(t):,.0f} to {max(t):,.0f})" for t in zip(*times)]  # noqa: B905
        ratios = [statistics.median(row[k] / row[0] for row in times) for k in range(1, len(COUNTS))]
        print(f"| {case}, {case.batch} | {' | '.join(cells)} | {', '.join(f'{r:.2f}' for r in ratios)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--libraries", nargs="*", default=["JAX", "PyTorch"])
    options = parser.parse_args()
    print(f"Load average of five minutes {os.getloadavg()[1]:.1f}, {len(os.sched_getaffinity(0))} cores.\n")
    if options.libraries:
        beside_libraries(options.libraries, options.rounds)
        print()
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        several_threads(options.rounds)
    finally:
        for other in others:
            other.kill()
            other.wait()
    print(f"\nLoad average of one minute at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
