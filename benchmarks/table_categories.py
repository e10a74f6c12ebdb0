"""Columns of many categories: codes with an embedding beside columns for the most frequent ones alone.

python benchmarks/table_categories.py                                   both, for 300 and 3,000 cities and two seeds
python benchmarks/table_categories.py --cities 10000 --preset fast --seeds 1

20,000 rows of three numbers and a city that has an effect and a slope of its own; a fifth is held out. Each run is a
process of its own, on one core: its processor seconds are those of learning, its memory is the most of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from measure import peak

ROWS, LEARNT = 20_000, 16_000
WAYS = ("grouped", "codes")
TASKS = ("regression", "classification")


def table(cities: int, task: str, seed: int, effect: float) -> tuple[Any, Any]:
    import polars as pl

    rng = np.random.default_rng(seed)
    frequent = 1.0 / (np.arange(cities) + 10)
    city = rng.choice(cities, ROWS, p=frequent / frequent.sum())
    gain, slope = effect * rng.normal(size=cities), effect * rng.normal(size=cities)
    x = rng.normal(size=(ROWS, 3))
    value = gain[city] + x[:, 0] + 0.5 * slope[city] * x[:, 1]
    if task == "regression":
        y = value + rng.normal(size=ROWS)
    else:
        y = np.where(rng.random(ROWS) < 1.0 / (1.0 + np.exp(-1.5 * value)), "yes", "no")
    numbers = {name: x[:, j] for j, name in enumerate("abc")}
    return pl.DataFrame({**numbers, "city": [f"city {k}" for k in city]}), y


def learn(way: str, cities: int, task: str, seed: int, preset: str, effect: float) -> dict[str, Any]:
    """RMSE in standard deviations of the target, or log loss, of the rows held out; and what it took."""
    from backlit import TabularClassifier, TabularRegressor
    from backlit.data.preparation import Preparation

    if way == "grouped":
        usual = Preparation.learn

        def grouped(*arguments: Any, coded: bool = False) -> Preparation:
            return usual(*arguments)

        Preparation.learn = grouped  # type: ignore[method-assign]
    X, y = table(cities, task, seed, effect)
    kind = TabularRegressor if task == "regression" else TabularClassifier
    started = time.process_time()
    model = kind(preset=preset, random_state=seed).fit(X[:LEARNT], y[:LEARNT])
    seconds = time.process_time() - started
    if task == "regression":
        loss = np.sqrt(np.mean((model.predict(X[LEARNT:]) - y[LEARNT:]) ** 2)) / y.std()
    else:
        right = model.predict_proba(X[LEARNT:])[np.arange(ROWS - LEARNT), (y[LEARNT:] == "yes").astype(int)]
        loss = -np.log(np.clip(right, 1e-7, 1.0)).mean()
    memory = peak() // 2**20
    parameters = model.model_.network.parameters.size
    return {"loss": float(loss), "seconds": seconds, "memory": memory, "parameters": parameters}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cities", nargs="+", type=int, default=[300, 3000])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--effect", type=float, default=1.0, help="spread of what a city does")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        way, cities, task, seed = options.one
        print(json.dumps(learn(way, int(cities), task, int(seed), options.preset, options.effect)))
        return 0
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "BACKLIT_NUM_THREADS": "1"}
    common = [sys.executable, __file__, "--preset", options.preset, "--effect", str(options.effect), "--one"]
    print("| cities | task | way | loss | processor seconds | memory, MB | parameters |\n|---:|---|---|" + "---:|" * 4)
    for cities in options.cities:
        for task in TASKS:
            for way in WAYS:
                for seed in range(options.seeds):
                    command = [*common, way, str(cities), task, str(seed)]
                    run = subprocess.run(command, env=alone, check=True, capture_output=True, text=True)
                    found = json.loads(run.stdout)
                    print(f"| {cities:,} | {task} | {way} | {found['loss']:.4f} | {found['seconds']:.1f} | "
                          f"{found['memory']} | {found['parameters']:,} |", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
