"""Microseconds of a step of the compiled engine alone, for the networks of the README, on one thread and on two.

    python benchmarks/steps.py

Random rows; the median of three epochs after a first one, in which what is missing is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl

CASES: list[tuple[list[int], int, int, Any, str]] = [
    ([784, 30, 10], 60_000, 10, bl.SGD(0.5), "sigmoid"),
    ([20, 64, 64, 2], 20_000, 32, bl.Adam(0.001), "relu"),
    ([784, 128, 64, 10], 60_000, 128, bl.Adam(0.001), "relu"),
    ([784, 800, 10], 30_000, 128, bl.Adam(0.001), "relu"),
]


def microseconds(widths: list[int], rows: int, batch: int, optimizer: Any, activation: str, threads: int) -> float:
    rng = np.random.default_rng(0)
    X, y = rng.random((rows, widths[0])).astype(np.float32), rng.integers(0, widths[-1], rows)
    layers = [*(bl.Dense(units, activation) for units in widths[1:-1]), bl.Dense(widths[-1], "softmax")]
    net = bl.Network(layers, inputs=widths[0], loss="cross_entropy")
    history = bl.fit(
        net, X, y, epochs=4, batch_size=batch, optimizer=optimizer, engine="compiled", progress=False, n_threads=threads
    )
    return 1e6 * float(np.median(history["seconds"][1:])) / -(-rows // batch)


if __name__ == "__main__":
    for case in CASES:
        times = ", ".join(f"{microseconds(*case, threads):,.0f} µs on {threads}" for threads in (1, 2))
        print(f"{'-'.join(map(str, case[0]))}, batch {case[2]}: {times}")
