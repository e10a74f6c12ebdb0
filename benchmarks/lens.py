"""How long the lens takes: one sample explained, a whole network checked.

python benchmarks/lens.py            prints a table; fails if a promise is not kept
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.lens import explain


def best_of(runs: int, work: Callable[[], object]) -> float:
    """The shortest of several runs, in seconds."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> int:
    rng = np.random.default_rng(0)
    large = bl.Network(
        [bl.Dense(128, "relu"), bl.Dense(64, "relu"), bl.Dense(10, "softmax")], inputs=784, loss="cross_entropy"
    )
    small = bl.Network([bl.Dense(32, "tanh"), bl.Dense(10, "softmax")], inputs=64, loss="cross_entropy")
    X, x, y = rng.random((1, 784)), rng.random((32, 64)), rng.integers(0, 10, 32)
    ledger = explain(large, X, y[:1], optimizer=bl.SGD(0.1))
    figures = [
        (
            "explain one sample of 784-128-64-10",
            0.050,
            best_of(5, lambda: explain(large, X, y[:1], optimizer=bl.SGD(0.1))),
        ),
        ("its page, finite differences included", None, best_of(5, lambda: str(explain(large, X, y[:1])))),
        ("one weight of it unfolded", None, best_of(5, lambda: str(ledger.weight("0.weight", 300, 5)))),
        (
            "loss account of its step",
            None,
            best_of(3, lambda: explain(large, X, y[:1], optimizer=bl.SGD(0.1)).account()),
        ),
        ("check all 2,410 parameters of 64-32-10, 32 rows", 2.0, best_of(3, lambda: bl.check_gradients(small, x, y))),
        ("the same with the sweep over ε", None, best_of(1, lambda: bl.check_gradients(small, x, y, sweep=True))),
    ]
    print("| | seconds | to reach | |\n|---|---:|---|---|")
    for what, promise, seconds in figures:
        kept = "" if promise is None else "reached" if seconds < promise else "**not reached**"
        print(f"| {what} | {seconds:.3f} | {'' if promise is None else f'less than {promise:g}'} | {kept} |")
    return int(any(promise is not None and seconds >= promise for _, promise, seconds in figures))


if __name__ == "__main__":
    sys.exit(main())
