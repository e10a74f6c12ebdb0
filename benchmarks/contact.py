"""The first contact: compiling, loading, one row predicted, every gradient checked, MNIST from the command line.

Seconds are those of the processor, which other programs on the machine disturb least; what is compared takes turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit.checking.batch_loss import FrozenBatch
from backlit.data import find_mnist
from measure import PEAK, environment

ROUNDS = 11

_FIRST = """
import time
import numpy as np, backlit as bl
rng = np.random.default_rng(0)
X, y = rng.random((64, 20), np.float32), rng.integers(0, 2, 64)
layers = [bl.Dense(64, "relu"), bl.Dense(64, "relu"), bl.Dense(2, "softmax")]
net = bl.Network(layers, inputs=20, loss="cross_entropy")
started = time.process_time()
{call}
print(time.process_time() - started)
"""
_FIT = 'bl.fit(net, X, y, epochs=1, optimizer=bl.Adam(0.001), engine="compiled", progress=False)'


def main() -> None:
    print("| | measured | to reach | |\n|---|---|---|---|")
    engine()
    memory()
    predictions()
    gradients()


def row(what: str, measured: str, goal: str, reached: bool) -> None:
    print(f"| {what} | {measured} | {goal} | {'reached' if reached else '**not reached**'} |", flush=True)


def engine() -> None:
    """A first fit, and a first `compile`, with the machine code on disk or not; the import of Numba is in all."""
    fits, forwards = _FIRST.format(call=_FIT), _FIRST.format(call="net.compile().predict(X)")
    found: list[list[float]] = [[], [], [], []]
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            surroundings = {**environment(1), "NUMBA_CACHE_DIR": folder}
            for times, code in zip(found, (fits, fits, forwards, forwards), strict=True):
                times.append(float(output(code, surroundings)))
    made, loaded, forward_made, forward_loaded = map(statistics.median, found)
    row("the compiled engine, made for a job", f"{made:.1f} s", "4 s", made <= 4.0)
    row("the compiled engine, loaded", f"{loaded:.2f} s", "0.3 s", loaded <= 0.3)
    print(f"| `net.compile()`, made and loaded | {forward_made:.1f} s, {forward_loaded:.2f} s | | |")


def output(code: str, surroundings: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True).stdout


def predictions() -> None:
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20))
    y = (X[:, 0] > 0.0).astype(int)
    layers = [bl.Dense(64, "relu"), bl.Dense(64, "relu"), bl.Dense(2, "softmax")]
    net = bl.Network(layers, inputs=20, loss="cross_entropy")
    compiled = bl.Network(layers, inputs=20, loss="cross_entropy").compile()
    few = X.astype(np.float32)
    ours, quick = (bl.MLPClassifier((64, 64), max_iter=3, engine=engine).fit(X, y) for engine in ("auto", "compiled"))
    theirs = MLPClassifier((64, 64), max_iter=3).fit(X, y)
    one, many, mine, other, *readable = in_turn(
        lambda: compiled.predict(few[:1]),
        lambda: compiled.predict(few[:32]),
        lambda: quick.predict_proba(X[:1]),
        lambda: theirs.predict_proba(X[:1]),
        lambda: net.predict(few[:1]),
        lambda: net.predict(few[:32]),
        lambda: ours.predict_proba(X[:1]),
    )
    beside = [f"; the readable pass {time:.1f}" for time in readable]
    row("`net.compile().predict` of one row, 20-64-64-2", f"{one:.1f} µs{beside[0]}", "6 µs", one <= 6.0)
    row("… of 32 rows", f"{many:.1f} µs{beside[1]}", "12 µs", many <= 12.0)
    what = '`MLPClassifier(engine="compiled").predict_proba` of one row'
    row(what, f"{mine:.1f} µs{beside[2]}, scikit-learn {other:.0f}", "40 µs", mine <= 40.0)


def in_turn(*calls: Callable[[], Any]) -> list[float]:
    """Microseconds of each, the median of several rounds of 500."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, found in zip(calls, times, strict=True):
            started = time.process_time()
            for _ in range(500):
                call()
            found.append((time.process_time() - started) / 500 * 1e6)
    return [statistics.median(found) for found in times]


def gradients() -> None:
    """All 109,386 parameters on 32 rows; whole passes are measured for some, and the time for all follows."""
    rng = np.random.default_rng(0)
    X, y = rng.random((32, 784)), rng.integers(0, 10, 32)
    layers = [bl.Dense(128, "relu"), bl.Dense(64, "relu"), bl.Dense(10, "softmax")]
    net = bl.Network(layers, inputs=784, loss="cross_entropy")
    started = time.process_time()
    report = bl.check_gradients(net, X, y, sample=net.parameters.size)
    seconds = time.process_time() - started
    batch = FrozenBatch(net, *net.check_data(X, y))
    started = time.process_time()
    for position in range(0, batch.values.size, 500):
        batch.central(position)
    whole = (time.process_time() - started) * 500
    measured = f"{seconds:.1f} s (by whole passes about {whole:.0f})"
    row("`check_gradients`, all of 784-128-64-10, 32 rows", measured, "20 s", report.ok and seconds <= 20.0)


def memory() -> None:
    """The peak of `backlit train`, the first time that it is compiled and the second."""
    mnist = find_mnist()
    if mnist is None:
        print("| MNIST is not here | | | |")
        return
    code = (
        f"{PEAK}import atexit, sys\n"
        f"sys.argv = ['backlit', 'train', {str(mnist)!r}, '--hidden', '128', '--epochs', '2', '--engine', 'compiled',\n"
        "    '--out', sys.argv[1] + '/m.backlit', '--json']\n"
        "atexit.register(lambda: print(peak() // 2**20))\n"
        "from backlit.cli import main\n"
        "main()\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {**environment(1), "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", code, folder]
        runs = [subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True) for _ in range(2)]
    first, second = (int(run.stdout.split()[-1]) for run in runs)
    row("`backlit train` on MNIST, peak", f"{second} MB ({first} MB when it compiles)", "250 MB", second <= 250)


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # a thread that waits for another counts as the processor's time
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment(1), check=False).returncode)
    main()
