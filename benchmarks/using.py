"""Using a network: predictions for one row and for a million, and the memory that training takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import backlit as bl
from measure import environment

MEGABYTE = 2**20


def prediction(rounds: int) -> str:
    net = bl.Network(
        [bl.Dense(64, "relu"), bl.Dense(64, "relu"), bl.Dense(2, "softmax")], inputs=20, loss="cross_entropy"
    )
    rng = np.random.default_rng(0)
    X = rng.random((1_000_000, 20), dtype=np.float32)
    row = X[:1]
    one = median(lambda: [net.predict(row) for _ in range(1000)], rounds) / 1000
    million, floor = interleaved_pair(lambda: net.predict(X), lambda: bare(net, X), rounds)
    return "\n".join(
        [
            "| 20-64-64-2 | to reach | measured | |",
            "|---|---|---|---|",
            f"| one row | at most 15 µs | {one * 1e6:.1f} µs | {verdict(one <= 15e-6)} |",
            f"| a million rows | at most 1.5 × the floor of {floor:.3f} s | {million:.3f} s, {million / floor:.2f} × "
            f"| {verdict(million <= 1.5 * floor)} |",
        ]
    )


def bare(net: bl.Network, X: np.ndarray) -> np.ndarray:
    """The floor: what cannot be left out, in pieces that a cache holds: three products, and a pass over each result."""
    (W1, b1), (W2, b2), (W3, b3) = ((layer.weight, layer.bias) for layer in net.layers if isinstance(layer, bl.Dense))
    n = 4096
    z1, z2 = np.empty((n, 64), np.float32), np.empty((n, 64), np.float32)
    result = np.empty((X.shape[0], 2), np.float32)
    for start in range(0, X.shape[0], n):
        rows = X[start : start + n]
        a1, a2, out = z1[: len(rows)], z2[: len(rows)], result[start : start + n]
        np.maximum(np.add(np.matmul(rows, W1, out=a1), b1, out=a1), 0.0, out=a1)
        np.maximum(np.add(np.matmul(a1, W2, out=a2), b2, out=a2), 0.0, out=a2)
        np.exp(np.add(np.matmul(a2, W3, out=out), b3, out=out), out=out)
        out /= out.sum(axis=1, keepdims=True)
    return result


def median(work: Callable[[], object], rounds: int) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(rounds))


def interleaved_pair(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    times = [(seconds(one), seconds(other)) for _ in range(rounds + 1)][1:]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


_MEMORY = """
import resource, sys
import numpy as np, backlit as bl
from backlit.data import find_mnist, read_image_folder
import backlit.compiled.engine
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
bare = peak()
{load}
net = bl.Network({layers}, inputs=X.shape[1], loss="cross_entropy", input_scale=1 / 255)
bl.fit(net, X, y, epochs=2, batch_size=128, optimizer=bl.Adam(0.001), engine="compiled", progress=False)
print(bare, peak() - bare, X.nbytes // 2**20)
"""


def memory(quick: bool) -> str:
    """Peak memory over the bare interpreter with the imports, in a fresh process."""
    mnist = "images = read_image_folder(find_mnist()); X, y = images.X_train, images.y_train"
    small = "X = np.random.default_rng(0).random(({rows}, 20), np.float32); y = np.tile(np.uint8([0, 1]), {rows} // 2)"
    cases = [("MNIST, 784-128-64-10", mnist, "[bl.Dense(128, 'relu'), bl.Dense(64, 'relu'), bl.Dense(10, 'softmax')]")]
    for rows in (1_000_000,) if quick else (1_000_000, 10_000_000):
        cases.append(
            (f"{rows:,} rows, 20-64-2", small.format(rows=rows), "[bl.Dense(64, 'relu'), bl.Dense(2, 'softmax')]")
        )
    lines = ["| training | the data | peak over the bare interpreter | to reach | |", "|---|---|---|---|---|"]
    for name, load, layers in cases:
        code = _MEMORY.format(load=load, layers=layers)
        output = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(1)
        ).stdout
        _, peak, size = map(int, output.split())
        goal = f"at most {size + 150} MB | {verdict(peak <= size + 150)}" if name.startswith("MNIST") else "|"
        lines.append(f"| {name} | {size} MB | {peak} MB | {goal} |")
    return "\n".join(lines)


def verdict(reached: bool) -> str:
    return "reached" if reached else "**not reached**"
