"""One library that trains one network, in a process of its own: `measure.py` asks it for one run at a time.

    python benchmarks/worker.py LIBRARY CASE [processor]        CASE is the JSON of `measure.Case`

For every line on stdin it trains a few epochs and answers with the seconds of a step, or with the seconds that the
processor worked for one, everything included: what is left to compare by where other programs take the cores. All
libraries do the same arithmetic: float32, the same batch, softmax with cross entropy, SGD or Adam without penalty, rows
in a new order in every epoch. What is compiled is compiled before the first line is read.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


def data(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.random((case["rows"], case["widths"][0]), dtype=np.float32)
    return X, rng.integers(0, case["widths"][-1], case["rows"])


def backlit(case: dict[str, Any], engine: str = "compiled") -> Callable[[], float]:
    import backlit as bl

    X, y = data(case)
    net = network(case)
    optimizer = bl.Adam(case["rate"]) if case["optimizer"] == "adam" else bl.SGD(case["rate"])

    def run() -> float:
        history = bl.fit(
            net,
            X,
            y,
            epochs=case["epochs"],
            batch_size=case["batch"],
            optimizer=optimizer,
            engine=engine,
            progress=False,
        )
        return float(np.median(history["seconds"])) / case["steps"]

    return run


def network(case: dict[str, Any]) -> Any:
    import backlit as bl

    layers = [bl.Dense(width, case["activation"]) for width in case["widths"][1:-1]]
    return bl.Network(
        [*layers, bl.Dense(case["widths"][-1], "softmax")], inputs=case["widths"][0], loss="cross_entropy"
    )


def products(case: dict[str, Any]) -> Callable[[], float]:
    """The floor: the matrix products of a step alone, through the BLAS that the compiled engine uses."""
    from numba import njit

    @njit
    def step(a: Any, W: Any, z: Any, gradient: Any, delta: Any, delta_in: Any, n: int, first: bool) -> None:
        for _ in range(n):
            np.dot(a, W, z)
            np.dot(a.T, delta, gradient)
            if not first:
                np.dot(delta, W.T, delta_in)

    def array(*shape: int) -> np.ndarray:
        return np.random.default_rng(0).random(shape, dtype=np.float32)

    n, widths = case["batch"], case["widths"]
    layers = [
        (array(n, i), array(i, k), array(n, k), array(i, k), array(n, k), array(n, i))
        for i, k in itertools.pairwise(widths)
    ]
    for i, arrays in enumerate(layers):
        step(*arrays, 1, i == 0)

    def run() -> float:
        steps = max(10, case["steps"] // 5)
        started = time.perf_counter()
        for i, arrays in enumerate(layers):
            step(*arrays, steps, i == 0)
        return (time.perf_counter() - started) / steps

    return run


def jax(case: dict[str, Any]) -> Callable[[], float]:
    import jax
    import jax.numpy as jnp

    X, y = (jax.device_put(array) for array in data(case))
    batch, widths, steps = case["batch"], case["widths"], case["rows"] // case["batch"]
    f = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[case["activation"]]
    keys = jax.random.split(jax.random.key(0), len(widths))
    theta = [
        (jax.random.normal(key, (i, k)) / np.sqrt(i), jnp.zeros(k))
        for key, i, k in zip(keys, widths[:-1], widths[1:], strict=False)
    ]

    def loss(theta: Any, X: Any, y: Any) -> Any:
        for W, b in theta[:-1]:
            X = f(X @ W + b)
        W, b = theta[-1]
        return -jnp.take_along_axis(jax.nn.log_softmax(X @ W + b), y[:, None], axis=1).mean()

    def step(state: Any, rows: Any) -> Any:
        theta, m, v, t = state
        value, g = jax.value_and_grad(loss)(theta, X[rows], y[rows])
        t = t + 1.0
        tree, rate = jax.tree.map, case["rate"]
        if case["optimizer"] == "sgd":
            return (tree(lambda p, g: p - rate * g, theta, g), m, v, t), value
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        scale, correction = rate / (1.0 - 0.9**t), 1.0 / (1.0 - 0.999**t)
        theta = tree(lambda p, m, v: p - scale * m / (jnp.sqrt(v * correction) + 1e-8), theta, m, v)
        return (theta, m, v, t), value

    @jax.jit
    def epoch(state: Any, key: Any) -> Any:
        rows = jax.random.permutation(key, X.shape[0])[: steps * batch].reshape(steps, batch)
        return jax.lax.scan(step, state, rows)

    zeros = jax.tree.map(jnp.zeros_like, theta)
    state = (theta, zeros, jax.tree.map(jnp.zeros_like, theta), jnp.float32(0.0))
    count = 0

    def run() -> float:
        nonlocal state, count
        seconds = []
        for _ in range(case["epochs"]):
            count += 1
            started = time.perf_counter()
            state, losses = epoch(state, jax.random.key(count))
            losses.block_until_ready()
            seconds.append(time.perf_counter() - started)
        return float(np.median(seconds)) / steps

    return run


def torch(case: dict[str, Any]) -> Callable[[], float]:
    import torch

    torch.set_num_threads(case["threads"])
    X, y = (torch.from_numpy(array) for array in data(case))
    widths, batch = case["widths"], case["batch"]
    layers: list[Any] = []
    for i, k in itertools.pairwise(widths):
        layers += [torch.nn.Linear(i, k), {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[case["activation"]]()]
    model = torch.nn.Sequential(*layers[:-1])
    if case["optimizer"] == "adam":
        optimizer: Any = torch.optim.Adam(model.parameters(), case["rate"], fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), case["rate"], fused=True)
    loss = torch.nn.CrossEntropyLoss()

    def run() -> float:
        seconds = []
        for _ in range(case["epochs"]):
            started = time.perf_counter()
            order = torch.randperm(len(X))
            for start in range(0, len(X), batch):
                rows = order[start : start + batch]
                optimizer.zero_grad(set_to_none=True)
                loss(model(X[rows]), y[rows]).backward()
                optimizer.step()
            seconds.append(time.perf_counter() - started)
        return float(np.median(seconds)) / case["steps"]

    return run


def sklearn(case: dict[str, Any]) -> Callable[[], float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = data(case)
    model = MLPClassifier(
        tuple(case["widths"][1:-1]), activation={"sigmoid": "logistic"}.get(case["activation"], "relu"), alpha=0.0,
        solver=case["optimizer"], momentum=0.0, nesterovs_momentum=False, learning_rate_init=case["rate"],
        batch_size=case["batch"], max_iter=case["epochs"], tol=0.0, n_iter_no_change=10**6, random_state=0,
    )  # fmt: skip

    def run() -> float:
        started = time.perf_counter()
        model.fit(X, y)
        return (time.perf_counter() - started) / case["epochs"] / case["steps"]

    return run


def keras(case: dict[str, Any]) -> Callable[[], float]:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    X, y = data(case)
    layers = [keras.layers.Dense(width, activation=case["activation"]) for width in case["widths"][1:-1]]
    model = keras.Sequential([keras.Input((case["widths"][0],)), *layers, keras.layers.Dense(case["widths"][-1])])
    optimizer = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[case["optimizer"]](case["rate"])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=True)

    def run() -> float:
        started = time.perf_counter()
        model.fit(X, y, batch_size=case["batch"], epochs=case["epochs"], verbose=0)
        return (time.perf_counter() - started) / case["epochs"] / case["steps"]

    return run


LIBRARIES: dict[str, Callable[[dict[str, Any]], Callable[[], float]]] = {
    "Backlit": backlit,
    "Backlit, reference": lambda case: backlit(case, "reference"),
    "products alone": products,
    "JAX": jax,
    "PyTorch": torch,
    "scikit-learn": sklearn,
    "Keras on JAX": keras,
}


if __name__ == "__main__":
    settings = json.loads(sys.argv[2])
    settings["steps"] = -(-settings["rows"] // settings["batch"])
    run = LIBRARIES[sys.argv[1]](settings)
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        found = run()
        if sys.argv[3:] == ["processor"]:
            found = (time.process_time() - before) / (settings["epochs"] * settings["steps"])
        print(found, flush=True)
