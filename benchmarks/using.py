"""Using a network: predictions for one row and for a million, and the memory that training takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

import backlit as bl
from backlit.training.threads import blas_limit
from measure import PEAK, environment

CALLS = 1_000


def prediction(rounds: int) -> str:
    readable, compiled = network(), network().compile()
    rng = np.random.default_rng(0)
    X = rng.random((1_000_000, 20), dtype=np.float32)
    row = X[:1]
    one, one_compiled = in_turn([lambda net=net: repeat(net, row) for net in (readable, compiled)], rounds)
    alone = network().compile(n_threads=1)
    with blas_limit(1):  # a thread that waits for another counts as the processor's time
        floor, many, many_compiled, by_all = in_turn(
            [lambda: bare(readable, X), *(lambda net=net: net.predict(X) for net in (readable, alone, compiled))],
            rounds,
        )
    lines = ["| 20-64-64-2 | to reach | processor | ratio | clock | |", "|---|---|---|---|---|---|"]
    for name, (processor, clock), goal in (
        ("one row", one, 15e-6), ("one row, compiled", one_compiled, 6e-6),
    ):  # fmt: skip
        processor, clock = processor / CALLS, clock / CALLS
        lines.append(
            f"| {name} | at most {goal * 1e6:g} µs | {processor * 1e6:.1f} µs | | {clock * 1e6:.1f} µs "
            f"| {verdict(processor <= goal)} |"
        )
    lines.append(f"| a million rows, the floor | | {floor[0]:.3f} s | 1 | {floor[1]:.3f} s | |")
    for name, (processor, clock), goal in (
        ("a million rows", many, 1.5), ("a million rows, compiled", many_compiled, 1.2),
        ("the same on all cores", by_all, 1.2),
    ):  # fmt: skip
        ratio = processor / floor[0]
        lines.append(
            f"| {name} | at most {goal} × the floor | {processor:.3f} s | {ratio:.2f} × | {clock:.3f} s "
            f"| {verdict(ratio <= goal)} |"
        )
    return "\n".join(lines)


def network() -> bl.Network:
    layers = [bl.Dense(64, "relu"), bl.Dense(64, "relu"), bl.Dense(2, "softmax")]
    return bl.Network(layers, inputs=20, loss="cross_entropy")


def repeat(net: bl.Network, row: np.ndarray) -> None:
    for _ in range(CALLS):
        net.predict(row)


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


def in_turn(calls: Sequence[Callable[[], object]], rounds: int) -> list[tuple[float, float]]:
    """Seconds of the processor and of the clock that each takes, medians."""
    times: list[list[tuple[float, float]]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, found in zip(calls, times, strict=True):
            processor, clock = time.process_time(), time.perf_counter()
            call()
            found.append((time.process_time() - processor, time.perf_counter() - clock))
    return [tuple(statistics.median(part) for part in zip(*found[1:], strict=True)) for found in times]


_MEMORY = """
import numpy as np, backlit as bl
from backlit.data import find_mnist, read_image_folder
import backlit.compiled.engine
bare = peak()
{load}
net = bl.Network({layers}, inputs=X.shape[1], loss="cross_entropy", input_scale=1 / 255)
bl.fit(net, X, y, epochs=2, batch_size=128, optimizer=bl.Adam(0.001), engine="compiled", progress=False)
print(bare, (peak() - bare) // 2**20, X.nbytes // 2**20)
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
        code = PEAK + _MEMORY.format(load=load, layers=layers)
        output = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(1)
        ).stdout
        _, peak, size = map(int, output.split())
        goal = f"at most {size + 150} MB | {verdict(peak <= size + 150)}" if name.startswith("MNIST") else "|"
        lines.append(f"| {name} | {size} MB | {peak} MB | {goal} |")
    return "\n".join(lines)


def verdict(reached: bool) -> str:
    return "reached" if reached else "**not reached**"
