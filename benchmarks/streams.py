"""`backlit train` on one table, in memory and with --stream: memory and speed of both, in turn.

    python benchmarks/streams.py [--gigabytes 0.4] [--form parquet] [--epochs 3] [--rounds 1] [--folder DIR]
    python benchmarks/streams.py --fit [--rounds 3]     `fit` alone, on prepared rows in memory and on disk

The table of the first form is written into a temporary folder, which is removed afterwards: 24 columns of numbers, two
of categories, and a target of three classes. Each command is a process of its own, whose largest memory and processor
seconds the kernel tells; they run one after the other, the first one changing places. Seconds of an epoch are those of
the training alone, validation included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import backlit as bl

NUMBERS, ROWS = 24, 250_000  # columns of numbers, and rows that are made at once
BYTES = {"parquet": 195.0, "csv": 178.0}  # of a row, about


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--gigabytes", type=float, default=0.4)
    arguments.add_argument("--form", choices=sorted(BYTES), default="parquet")
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--folder", default=None)
    arguments.add_argument("--engine", default="compiled")
    arguments.add_argument("--fit", action="store_true")
    asked = arguments.parse_args()
    if asked.fit:
        compare_fits(asked.rounds, asked.engine)
        return
    needed = asked.gigabytes * 1e9 * 2.5  # the table, and its prepared rows
    with tempfile.TemporaryDirectory(prefix="backlit-streams-", dir=asked.folder) as folder:
        free = shutil.disk_usage(folder).free
        if free < needed:
            sys.exit(f"{folder} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed")
        table = write_table(Path(folder), asked.gigabytes, asked.form)
        print(f"{table.stat().st_size / 1e9:.2f} GB of {asked.form}, {rows_of(asked):,} rows, {asked.epochs} epochs")
        found: dict[str, list[dict[str, float]]] = {"in memory": [], "stream": []}
        for number in range(asked.rounds):
            for how in ("stream", "in memory") if number % 2 else ("in memory", "stream"):
                measured = train(table, how, asked.epochs, asked.engine)
                found[how].append(measured)
                print(f"  {how}: {json.dumps({name: round(value, 4) for name, value in measured.items()})}", flush=True)
        print_table(found)


def rows_of(asked: argparse.Namespace) -> int:
    return max(1, round(asked.gigabytes * 1e9 / BYTES[asked.form] / ROWS)) * ROWS


def write_table(folder: Path, gigabytes: float, form: str) -> Path:
    """One file, made piece by piece."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(NUMBERS, 3))
    path = folder / f"table.{form}"
    count = max(1, round(gigabytes * 1e9 / BYTES[form] / ROWS))
    if form == "csv":
        with path.open("wb") as file:
            for k in range(count):
                piece(rng, weights, digits=3).write_csv(file, include_header=k == 0)
        return path
    parts = []
    for k in range(count):
        parts.append(folder / f"part-{k}.parquet")
        piece(rng, weights, digits=None).write_parquet(parts[-1])
    pl.scan_parquet(parts).sink_parquet(path)
    for part in parts:
        part.unlink()
    return path


def piece(rng: np.random.Generator, weights: np.ndarray, digits: int | None) -> pl.DataFrame:
    X = rng.normal(size=(ROWS, NUMBERS))
    signal = np.tanh(X @ weights / 2.0) + 0.5 * rng.normal(size=(ROWS, 3))
    columns = {f"x{j}": X[:, j] if digits is None else X[:, j].round(digits) for j in range(NUMBERS)}
    towns, kinds = rng.integers(0, 12, ROWS), rng.integers(0, 6, ROWS)
    columns |= {"town": np.char.add("town ", towns.astype(str)), "kind": np.char.add("k", kinds.astype(str))}
    columns["y"] = np.array(["red", "green", "blue"])[signal.argmax(axis=1)]
    return pl.DataFrame(columns)


def train(table: Path, how: str, epochs: int, engine: str) -> dict[str, float]:
    """One command: seconds of an epoch and of the whole, processor seconds, and the most memory, in MB."""
    out = table.with_name("model.backlit")
    command = [sys.executable, "-m", "backlit", "train", str(table), "--target", "y", "--preset", "fast", "--json"]
    command += ["--epochs", str(epochs), "--engine", engine, "--out", str(out), "--batch-size", "256"]
    command += ["--stream"] if how == "stream" else []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (output, said):
            file.seek(0)
            texts.append(file.read())
    if process.returncode:
        raise RuntimeError(texts[1])
    trained = re.search(r"trained +(\d+) epochs in ([\d.]+) s", texts[1])
    assert trained is not None, texts[1]
    result = json.loads(texts[0])
    return {
        "epoch": float(trained[2]) / int(trained[1]),
        "whole": seconds,
        "processor": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss / 1024,
        "loss": result["validation"]["loss"],
    }


def compare_fits(rounds: int, engine: str, rows: int = 1_600_000) -> None:
    """Two epochs of `fit` on the same rows in memory and as a stream, in turn; no validation."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows, 42)).astype(np.float32), rng.integers(0, 3, rows)
    with tempfile.TemporaryDirectory(prefix="backlit-streams-") as folder:
        np.savez(Path(folder, "rows.npz"), X=X, y=y)
        stream = bl.data.stream(Path(folder, "rows.npz"))
        data: dict[str, tuple[Any, ...]] = {"in memory": (X, y), "stream": (stream,)}
        fit(X[:1000], y[:1000], engine=engine)  # what is compiled is compiled before
        ratios = []
        for number in range(rounds):
            found = {}
            for how in ("stream", "in memory") if number % 2 else ("in memory", "stream"):
                found[how] = fit(*data[how], engine=engine)
                print(f"  {how}: {found[how][0]:.2f} s and {found[how][1]:.2f} processor s an epoch", flush=True)
            ratios.append(found["in memory"][0] / found["stream"][0])
    print(f"speed of fit on a stream, of that in memory: {100 * statistics.median(ratios):.0f} %")


def fit(*data: Any, engine: str) -> tuple[float, float]:
    layers = [bl.Dense(64, "relu"), bl.Dropout(0.1), bl.Dense(64, "relu"), bl.Dropout(0.1), bl.Dense(3, "softmax")]
    net = bl.Network(layers, inputs=42, loss="cross_entropy")
    started, before = time.perf_counter(), time.process_time()
    bl.fit(net, *data, epochs=2, batch_size=256, optimizer=bl.AdamW(0.003), engine=engine, progress=False)
    return (time.perf_counter() - started) / 2, (time.process_time() - before) / 2


def print_table(found: dict[str, list[dict[str, float]]]) -> None:
    print("| | s an epoch | whole command, s | processor, s | memory, MB | validation loss |")
    print("|---|---|---|---|---|---|")
    for how, rounds in found.items():
        cells = [statistics.median(each[name] for each in rounds) for name in ("epoch", "whole", "processor", "memory")]
        shown = " | ".join(f"{cell:,.1f}" for cell in cells)
        print(f"| {how} | {shown} | {rounds[-1]['loss']:.4f} |")
    for name in ("epoch", "whole"):
        ratio = [a[name] / b[name] for a, b in zip(found["in memory"], found["stream"], strict=True)]
        print(f"speed of the stream, of that in memory ({name}): {100 * statistics.median(ratio):.0f} %")


if __name__ == "__main__":
    main()
