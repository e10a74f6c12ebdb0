"""The main job, measured: training 784-30-10 against two opponents, the command line on MNIST, the import.

    python benchmarks/foundation.py

Training: one epoch of 784-30-10, batches of 10, plain SGD, over the same rows, in interleaved rounds, against a loop
over single samples in plain NumPy with the same arithmetic, and against scikit-learn's MLPClassifier.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import backlit as bl
from backlit.data import find_mnist
from measure import PEAK

ROUNDS = 7
ROWS = 5000


def sample_loop(X: np.ndarray, Y: np.ndarray, rate: float) -> None:
    """Back-propagation as the write-ups have it: one sample at a time, gradients added up over the batch."""
    rng = np.random.default_rng(0)
    W1, b1 = rng.normal(size=(30, 784)).astype(np.float32) * 0.05, np.zeros(30, np.float32)
    W2, b2 = rng.normal(size=(10, 30)).astype(np.float32) * 0.2, np.zeros(10, np.float32)
    order = rng.permutation(len(X))
    for start in range(0, len(X), 10):
        gW1, gb1, gW2, gb2 = np.zeros_like(W1), np.zeros_like(b1), np.zeros_like(W2), np.zeros_like(b2)
        for i in order[start : start + 10]:
            a0 = X[i]
            a1 = 1.0 / (1.0 + np.exp(-(W1 @ a0 + b1)))
            e = np.exp((z := W2 @ a1 + b2) - z.max())
            d2 = e / e.sum() - Y[i]
            d1 = (W2.T @ d2) * a1 * (1.0 - a1)
            gW2 += np.outer(d2, a1)
            gb2 += d2
            gW1 += np.outer(d1, a0)
            gb1 += d1
        W1 -= rate / 10 * gW1
        b1 -= rate / 10 * gb1
        W2 -= rate / 10 * gW2
        b2 -= rate / 10 * gb2


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def training() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((ROWS, 784), dtype=np.float32)
    y = rng.integers(0, 10, ROWS)
    Y = np.eye(10, dtype=np.float32)[y]
    layers = [bl.Dense(30, "sigmoid"), bl.Dense(10, "softmax")]

    def ours(engine: str) -> object:
        net = bl.Network(layers, inputs=784, loss="cross_entropy")
        return bl.fit(net, X, y, epochs=1, batch_size=10, optimizer=bl.SGD(0.1), engine=engine, progress=False)

    theirs = MLPClassifier(
        (30,), "logistic", solver="sgd", momentum=0.0, alpha=0.0, batch_size=10, learning_rate_init=0.1, max_iter=1
    )
    runs = {
        "Backlit, reference engine": lambda: ours("reference"),
        "Backlit, compiled engine": lambda: ours("compiled"),
        "a loop over single samples, plain NumPy": lambda: sample_loop(X, Y, 0.1),
        "scikit-learn MLPClassifier": lambda: theirs.fit(X, y),
    }
    ours("compiled")  # what is compiled is compiled before the clock starts
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            times[name].append(seconds(run) / (ROWS / 10) * 1e6)
    first = next(iter(runs))
    print(f"\n784-30-10, batch 10, SGD: µs a step, median of {ROUNDS} interleaved rounds of {ROWS // 10} steps\n")
    print("| | µs/step | spread | times the reference engine |")
    print("|---|---|---|---|")
    for name, values in times.items():
        ratios = sorted(value / base for value, base in zip(values, times[first], strict=True))
        spread = f"{min(values):.0f} to {max(values):.0f}"
        ratio = "1" if name == first else f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        print(f"| {name} | {statistics.median(values):.0f} | {spread} | {ratio} |")


def command_line() -> None:
    mnist = find_mnist()
    if mnist is None:
        print("\nMNIST is not here (BACKLIT_MNIST): the command line's run on it is left out")
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["train", str(mnist), "--hidden", "128", "--epochs", "10", "--seed", "0", "--json", "--out"]
        program = (
            f"{PEAK}\nimport sys; from backlit.cli import run; run(sys.argv[1:]); sys.stderr.write(f'\\n{{peak()}}')"
        )
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, str(Path(folder) / "m")],
            capture_output=True,
            text=True,
            check=True,
        )
        took = time.perf_counter() - started
    result = json.loads(done.stdout)
    most = int(done.stderr.split()[-1]) / 2**20
    print(f"\n`backlit train mnist {' '.join(arguments[2:-2])}`\n")
    print("| test accuracy | peak memory | seconds, all in all |")
    print("|---|---|---|")
    print(f"| {100 * result['test']['accuracy']:.2f} % | {most:.0f} MB | {took:.0f} |")


def imports() -> None:
    def cold(statement: str) -> float:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    numpy_alone: list[float] = []
    more: list[float] = []
    for _ in range(11):
        numpy_alone.append(cold("import numpy"))
        more.append(cold("import numpy, backlit") - numpy_alone[-1])
    print("\n| import | seconds, median of 11 | spread |\n|---|---|---|")
    for name, values in (("numpy", numpy_alone), ("backlit, beyond numpy", more)):
        print(f"| {name} | {statistics.median(values):.3f} | {min(values):.3f} to {max(values):.3f} |")


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    training()
    imports()
    command_line()
