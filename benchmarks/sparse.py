"""`fit` and `predict` on text-like sparse rows, ours beside scikit-learn's, in one interleaved run.

    python benchmarks/sparse.py [--rounds 7] [--rows 20000] [--columns 20000] [--engine reference]

The columns are filled as words are used: the k-th in proportion to 1 / (k + 10), some 68 in a row. In each round both
are fitted for two epochs, and asked three times for predictions, one after the other, the first changing places.
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


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def spread(times: list[float]) -> str:
    middle, low, high = (1e3 * value for value in (statistics.median(times), min(times), max(times)))
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def compare(X: Any, y: Any, rounds: int, engine: str) -> list[str]:
    """Two rows of the table: fit and predict."""
    settings = {"max_iter": 2, "random_state": 0}
    models: dict[str, Any] = {"theirs": MLPClassifier(**settings), "ours": bl.MLPClassifier(**settings, engine=engine)}
    fits: dict[str, list[float]] = {"theirs": [], "ours": []}
    predictions: dict[str, list[float]] = {"theirs": [], "ours": []}
    for number in range(rounds + 1):
        order = ("ours", "theirs") if number % 2 else ("theirs", "ours")
        for who in order:
            fits[who].append(seconds(lambda who=who: models[who].fit(X, y)))  # type: ignore[misc]
        for _ in range(3):
            for who in order:
                predictions[who].append(seconds(lambda who=who: models[who].predict(X)))  # type: ignore[misc]
        if not number:  # the first round warms up
            for times in (*fits.values(), *predictions.values()):
                times.clear()
    rows = []
    for what, times, goal in (("fit, two epochs", fits, 1.5), ("predict", predictions, 1.0)):
        ratios = [theirs / ours for theirs, ours in zip(times["theirs"], times["ours"], strict=True)]
        ratio = statistics.median(ratios)
        rows.append(
            f"| {what}, {X.dtype} | {spread(times['theirs'])} | {spread(times['ours'])} | "
            f"{ratio:.2f} × ({min(ratios):.2f} to {max(ratios):.2f}) | {goal} × | "
            f"{'reached' if ratio >= goal else '**not reached**'} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=20_000)
    parser.add_argument("--engine", default="reference")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = text_like(arguments.rows, arguments.columns)
    print(f"{X.shape[0]:,} × {X.shape[1]:,}, {100 * X.nnz / X.shape[0] / X.shape[1]:.2f} % filled; load", end=" ")
    print(", ".join(f"{load:.1f}" for load in os.getloadavg()), "before", end="\n\n")
    print("| | scikit-learn, ms | Backlit, ms | faster | to reach | |\n|---|---:|---:|---:|---:|---|")
    for dtype in ("float32", "float64"):
        for row in compare(X.astype(dtype), y, arguments.rounds, arguments.engine):
            print(row, flush=True)


if __name__ == "__main__":
    main()
