"""The first minute with a table: how long a command takes, and how long a large file.

python benchmarks/tables.py            prints two tables; fails if a goal is not reached

Every figure is a ratio of medians in one interleaved run: commands to ``python -c "import numpy, polars"``, the large
file to polars' `read_csv` with scikit-learn's `StandardScaler`, its memory (of the whole process) to the size of the
numbers. Times are medians, with the shortest and the longest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from measure import PEAK

BASE = "import numpy, polars"
MAIN = "from backlit.cli import main; main()"
FILES = {
    "read_csv and StandardScaler": (
        "import polars as pl; from sklearn.preprocessing import StandardScaler; import time; t = time.perf_counter();"
        "StandardScaler().fit_transform(pl.read_csv('big.csv'))"
    ),
    "Backlit: read and prepare": (
        "from backlit.data import read_table, find_kinds; from backlit.data.preparation import Preparation;"
        "import polars, time; import numpy as np; t = time.perf_counter(); f = read_table('big.csv');"
        "Preparation.learn(f, k := find_kinds(f)).apply(f, dtype=np.float32)"
    ),
}
AFTER = "; print(time.perf_counter() - t, peak())"


def write_tables(folder: Path, rows: int) -> None:
    """A table of 208 × 60 with classes, 1,000 rows to predict, and `rows` × 30 numbers."""
    import polars as pl

    rng = np.random.default_rng(0)
    for name, n in (("train.csv", 208), ("rows.csv", 1000)):
        X = rng.normal(size=(n, 60)).round(4)
        columns = {f"b{i}": X[:, i] for i in range(60)}
        pl.DataFrame({**columns, "kind": np.where(X[:, 0] + X[:, 1] > 0, "mine", "rock")}).write_csv(folder / name)
    floats = {f"x{i}": rng.normal(size=rows).round(6) for i in range(20)}
    wholes = {f"k{i}": rng.integers(0, 1000, rows) for i in range(10)}
    pl.DataFrame({**floats, **wholes}).write_csv(folder / "big.csv")


def seconds(arguments: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", *arguments], cwd=folder, check=True, capture_output=True, env=dict(os.environ)
    )
    return time.perf_counter() - started


def spread(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


def commands(folder: Path, rounds: int) -> bool:
    """The commands in turn with the bare import; True where every goal is reached."""
    train = [MAIN, "train", "train.csv", "--target", "kind", "--out", "m"]
    cases = [
        ("backlit train, 208 × 60", 11.0, train),
        ("backlit train --preset fast, 208 × 60", 6.0, [*train, "--preset", "fast"]),
        ("backlit predict, 1,000 rows", 2.5, [MAIN, "predict", "m", "rows.csv", "--out", "p.csv"]),
        ("backlit --help", 1.5, [MAIN, "--help"]),
        ("backlit demo", 1.5, [MAIN, "demo"]),
        ("backlit inspect, 208 × 60", None, [MAIN, "inspect", "train.csv"]),
    ]
    seconds(train, folder)
    base: list[float] = []
    times: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for _ in range(rounds):
        base.append(seconds([BASE], folder))
        for name, _, arguments in cases:
            times[name].append(seconds(arguments, folder))
    own = statistics.median(base)
    print(f"| command | seconds | times `{BASE}` ({spread(base)} s) | at most | |\n|---|---|---:|---:|---|")
    reached = True
    for name, goal, _ in cases:
        median = statistics.median(times[name])
        kept = "" if goal is None else "reached" if median <= goal * own else "**not reached**"
        reached &= kept != "**not reached**"
        print(f"| {name} | {spread(times[name])} | {median / own:.2f} | {goal or ''} | {kept} |")
    return reached


def large_file(folder: Path, rows: int, rounds: int) -> bool:
    """Reading and preparing in turn with the neighbours; True where both goals are reached."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in FILES}
    for _ in range(rounds):
        for name, code in FILES.items():
            done = subprocess.run(
                [sys.executable, "-c", PEAK + code + AFTER], cwd=folder, check=True, capture_output=True, text=True
            )
            took, peak = map(float, done.stdout.split())
            found[name].append((took, peak))
    size = rows * 30 * 8
    print(f"\n| {rows:,} rows × 30 columns | seconds | peak memory, times the numbers ({size / 1e6:.0f} MB) |")
    print("|---|---|---:|")
    medians = {name: statistics.median(took for took, _ in runs) for name, runs in found.items()}
    for name, runs in found.items():
        share = statistics.median(peak for _, peak in runs) / size
        print(f"| {name} | {spread([took for took, _ in runs])} | {share:.2f} |")
    theirs, ours = medians.values()
    peak = statistics.median(peak for _, peak in found["Backlit: read and prepare"]) / size
    print(f"\nRatio {ours / theirs:.2f}, at most 1.5; memory {peak:.2f}, at most 3.")
    return ours <= 1.5 * theirs and peak <= 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, options.rows)
        reached = commands(folder, options.rounds)
        reached &= large_file(folder, options.rows, options.rounds)
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
