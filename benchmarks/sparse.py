"""`fit` and `predict` on text-like sparse rows, ours beside scikit-learn's, in one interleaved run.

    python benchmarks/sparse.py [--rounds 7] [--rows 20000] [--columns 20000]

The columns are filled as words are used: the k-th in proportion to 1 / (k + 10), some 68 in a row. In each round
scikit-learn's model, ours as it chooses its engine by itself, and ours on the reference engine are fitted for two
epochs; then the first two are asked three times for predictions. One goes after the other, the first changing places.
A first round, in which the compiled engine is made, is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import backlit as bl

DRAWS = 72  # of a column for each row; what comes twice is added up


def text_like(n: int, columns: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    share = 1.0 / (np.arange(columns) + 10.0)
    drawn = np.searchsorted(np.cumsum(share / share.sum()), rng.random(n * DRAWS)).clip(max=columns - 1)
    X = csr_array((np.abs(rng.normal(size=drawn.size)), (np.repeat(np.arange(n), DRAWS), drawn)), shape=(n, columns))
    return X, (X @ rng.normal(size=columns) > 0).astype(int)


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """By the clock, and of the processor."""
    time.sleep(0.1)  # the second thread of BLAS works on, waiting, for some 30 ms after the one before
    started, worked = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - started, time.process_time() - worked


def spread(times: list[float]) -> str:
    middle, low, high = (1e3 * value for value in (statistics.median(times), min(times), max(times)))
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def compare(X: Any, y: Any, rounds: int) -> list[str]:
    """Three rows of the table: fit on either engine, and predict."""
    settings = {"max_iter": 2, "random_state": 0}
    models: dict[str, Any] = {
        "theirs": MLPClassifier(**settings),
        "auto": bl.MLPClassifier(**settings),
        "reference": bl.MLPClassifier(**settings, engine="reference"),
    }
    fits: dict[str, list[tuple[float, float]]] = {who: [] for who in models}
    predictions: dict[str, list[tuple[float, float]]] = {"theirs": [], "auto": []}
    for number in range(rounds + 1):
        order = list(models)[:: -1 if number % 2 else 1]
        for who in order:
            fits[who].append(seconds(lambda who=who: models[who].fit(X, y)))  # type: ignore[misc]
        for _ in range(3):
            for who in order:
                if who in predictions:
                    predictions[who].append(seconds(lambda who=who: models[who].predict(X)))  # type: ignore[misc]
        if not number:  # the first round warms up
            for times in (*fits.values(), *predictions.values()):
                times.clear()
    rows = []
    for what, times, who, goal in (
        ("fit", fits, "auto", 1.5),
        ("fit, reference engine", fits, "reference", 1.5),
        ("predict", predictions, "auto", 1.0),
    ):
        (theirs, theirs_worked), (ours, ours_worked) = (
            [list(clock) for clock in zip(*times[name], strict=True)] for name in ("theirs", who)
        )
        ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
        ratio, worked = statistics.median(ratios), statistics.median(theirs_worked) / statistics.median(ours_worked)
        rows.append(
            f"| {what}, {X.dtype} | {spread(theirs)} | {spread(ours)} | "
            f"{ratio:.2f} × ({min(ratios):.2f} to {max(ratios):.2f}) | {worked:.2f} × | {goal} × | "
            f"{'reached' if ratio >= goal else '**not reached**'} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=20_000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = text_like(arguments.rows, arguments.columns)
    print(f"{X.shape[0]:,} × {X.shape[1]:,}, {100 * X.nnz / X.shape[0] / X.shape[1]:.2f} % filled; load", end=" ")
    print(", ".join(f"{load:.1f}" for load in os.getloadavg()), "before", end="\n\n")
    print("| | scikit-learn, ms | Backlit, ms | faster | in processor seconds | to reach | |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for dtype in ("float32", "float64"):
        for row in compare(X.astype(dtype), y, arguments.rounds):
            print(row, flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
