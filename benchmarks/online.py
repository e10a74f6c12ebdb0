"""Batches of one row, and wide layers: a step on one core, in microseconds of the processor, beside JAX and PyTorch.

    python benchmarks/online.py [--rounds N] [--only one wide] [--libraries JAX PyTorch]

All take turns, each in a process of its own (`worker.py`); the order of the rows, the history and all else of `fit` is
in the time.
"""

from __future__ import annotations

import argparse
import os

from measure import OURS, Case, interleaved
from training import NAMES, microseconds

CASES = {
    "one": [
        Case((784, 30, 10), 1, "sgd", 8000, "sigmoid", rate=0.01),
        Case((784, 30, 10), 1, "adam", 8000, "sigmoid"),
        Case((20, 64, 64, 2), 1, "sgd", 8000, rate=0.01),
        Case((20, 64, 64, 2), 1, "adam", 8000),
    ],
    "wide": [Case((1024, 2048, 2048, 10), 128, "adam", 2560)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--libraries", nargs="*", default=["JAX", "PyTorch"])
    options = parser.parse_args()
    others = options.libraries
    print(f"| network, batch, optimiser | {' | '.join([OURS, *others])} | {' | '.join(f'{n} takes' for n in others)} |")
    print("|---|" + "---:|" * (2 * len(others) + 1))
    for case in (case for name in options.only for case in CASES[name]):
        times = interleaved([OURS, *others], case, options.rounds, processor=True)
        ratios = [f"{times[name].median / times[OURS].median:.2f} ×" for name in others]
        cells = [microseconds(time) for time in times.values()]
        print(f"| {case}, {case.batch}, {NAMES[case.optimizer]} | {' | '.join([*cells, *ratios])} |", flush=True)
    print(f"\nLoad average {os.getloadavg()[1]:.1f} in the five minutes before.")


if __name__ == "__main__":
    main()
