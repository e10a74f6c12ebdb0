"""`fit` with default parameters, ours beside scikit-learn's: time and score, in one interleaved run.

    python benchmarks/estimators.py [--seeds 10] [--seconds 240] [--only digits …] [--engine auto]

For each seed both are fitted one after the other, the first one of them changing places, so that what else the machine
does falls on both. Reported: the median time of a fit, the mean test score and its standard deviation over the seeds,
and how many times faster ours is by the clock and in seconds of the processor, which count every thread's work.
The table's larger data have fewer seeds: after --seconds no new one is begun, but for the second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import backlit as bl
from backlit.data import read_image_folder

Split = tuple[Any, Any, Any, Any]  # X_train, X_test, y_train, y_test


def scaled(X: Any, y: Any) -> Split:
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    scaler = StandardScaler().fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test), y_train, y_test


def diabetes() -> Split:
    X, y = load_diabetes(return_X_y=True)
    return scaled(X, (y - y.mean()) / y.std())


def mnist() -> Split:
    folder = Path(os.environ.get("BACKLIT_MNIST", Path(__file__).parent.parent.parent / "shared" / "data" / "mnist"))
    if not folder.exists():
        raise FileNotFoundError(f"MNIST is not in {folder}: set BACKLIT_MNIST")
    images = read_image_folder(folder)
    X, X_test = images.X_train[:10_000] / np.float32(255), images.X_test[:2_000] / np.float32(255)
    return X, X_test, images.y_train[:10_000], images.y_test[:2_000]


def wide_table() -> Split:
    return scaled(*make_classification(100_000, 50, n_informative=20, random_state=0))


def table() -> Split:
    return scaled(*make_classification(13_334, 20, n_informative=10, random_state=0))  # 10,000 to learn from


#: The estimator, its settings where they are not the defaults, and the data.
DATA: dict[str, tuple[str, dict[str, Any], Callable[[], Split]]] = {
    "digits": ("MLPClassifier", {}, lambda: scaled(*load_digits(return_X_y=True))),
    "breast_cancer": ("MLPClassifier", {}, lambda: scaled(*load_breast_cancer(return_X_y=True))),
    "diabetes": ("MLPRegressor", {}, diabetes),
    "MNIST 10k": ("MLPClassifier", {}, mnist),
    "100,000 × 50": ("MLPClassifier", {}, wide_table),
    "diabetes, lbfgs": ("MLPRegressor", {"solver": "lbfgs"}, diabetes),
    "10,000 × 20, 64-64, lbfgs": ("MLPClassifier", {"solver": "lbfgs", "hidden_layer_sizes": (64, 64)}, table),
}


def measure(make: Callable[[int], Any], data: Split, seed: int) -> tuple[float, float, float, int]:
    """Seconds, those of the processor, test score and epochs of one fit."""
    X_train, X_test, y_train, y_test = data
    model = make(seed)
    started, worked = time.perf_counter(), time.process_time()
    model.fit(X_train, y_train)
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    return seconds, work, model.score(X_test, y_test), model.n_iter_


def compare(name: str, seeds: int, seconds: float, engine: str) -> str:
    """One row of the table."""
    kind, settings, load = DATA[name]
    data = load()
    makers = {
        "ours": lambda seed: getattr(bl, kind)(random_state=seed, engine=engine, **settings),
        "theirs": lambda seed: getattr(neural_network, kind)(random_state=seed, **settings),
    }
    X, _, y, _ = data
    makers["ours"](0).set_params(max_iter=1).fit(X[:500], y[:500])  # compiled, where there is something to compile
    results: dict[str, list[tuple[float, float, float, int]]] = {"ours": [], "theirs": []}
    started = time.perf_counter()
    for seed in range(seeds):
        if seed >= 2 and time.perf_counter() - started > seconds:
            break
        for who in ("ours", "theirs") if seed % 2 else ("theirs", "ours"):
            results[who].append(measure(makers[who], data, seed))
    cells = [name, str(len(results["ours"]))]
    for who in ("theirs", "ours"):
        times, _, scores, epochs = zip(*results[who], strict=True)
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        cells += [
            f"{statistics.median(times):.2f} s",
            f"{statistics.mean(epochs):.0f}",
            f"{statistics.mean(scores):.4f} ± {spread:.4f}",
        ]
    for k in range(2):
        theirs, ours = (statistics.median(row[k] for row in results[who]) for who in ("theirs", "ours"))
        cells.append(f"{theirs / ours:.1f} ×")
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| data | seeds | scikit-learn | epochs | score | Backlit | epochs | score | faster | in processor seconds |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=240.0, help="for each data set")
    parser.add_argument("--only", choices=DATA, nargs="+", default=list(DATA))
    parser.add_argument("--engine", default="auto")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(HEAD)
    for name in arguments.only:
        print(compare(name, arguments.seeds, arguments.seconds, arguments.engine), flush=True)


if __name__ == "__main__":
    main()
