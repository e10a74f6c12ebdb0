"""Seconds of the processor for one step of training by finite differences: one unit at a time, and by whole passes.

    python benchmarks/nudging.py [--rounds N]

Both on one thread, in turn; random rows, forward differences, float32.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

import backlit as bl
from backlit.checking.batch_loss import batch_loss
from backlit.checking.gradcheck import finite_difference_gradient, nudged_gradient

CASES = [([784, 30, 10], 10, "sigmoid"), ([784, 128, 64, 10], 32, "relu")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("| network, rows | parameters | by whole passes, s | one unit at a time, s | faster |")
    print("|---|---:|---:|---:|---:|")
    with threadpool_limits(1), np.errstate(over="ignore"):
        for widths, rows, activation in CASES:
            rng = np.random.default_rng(0)
            layers = [*(bl.Dense(n, activation) for n in widths[1:-1]), bl.Dense(widths[-1], "softmax")]
            net = bl.Network(layers, inputs=widths[0], loss="cross_entropy")
            work = net.workspace(rows)
            X = rng.random((rows, widths[0]), dtype=np.float32)
            work.load(X, *net.encode(rng.integers(0, widths[-1], rows), rows)[:1])
            how, values, out = bl.FiniteDifference(), net.parameters.values, np.empty_like(net.parameters.values)
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                started = time.process_time()
                finite_difference_gradient(lambda: batch_loss(net, work, 0), values, how.nudge, how.scheme, out)  # noqa: B023
                between = time.process_time()
                nudged_gradient(net, work, 0, how, out)
                times[0].append(between - started)
                times[1].append(time.process_time() - between)
            whole, unit = (statistics.median(one) for one in times)
            name = "-".join(map(str, widths))
            print(f"| {name}, {rows} | {values.size:,} | {whole:.2f} | {unit:.3f} | {whole / unit:.0f} × |", flush=True)
    print(f"\nLoad average {os.getloadavg()[1]:.1f} in the five minutes before.")


if __name__ == "__main__":
    main()
