"""Seconds of training until 98 % of MNIST's test set are right.

    python benchmarks/mnist.py LIBRARY SEED        one run; `run.py` asks for them in turn

All train 784-256-10 with relu, softmax and Adam in batches of 128, the learning rate falling from 0.003 along half a
cosine over six epochs, where it falls to nothing; scikit-learn, whose Adam knows no schedule, has a constant 0.001.
What is compiled is compiled before the clock starts. It includes the look at the test set after every epoch. All run
on one core.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from measure import environment

GOAL, EPOCHS, BATCH, RATE = 0.98, 6, 128, 0.003
CORE = str(min(os.sched_getaffinity(0)))
LIBRARIES = ("Backlit", "JAX", "PyTorch", "scikit-learn", "Keras on JAX")


def data() -> tuple[np.ndarray, ...]:
    """X, y, X_test, y_test: the pixels as bytes."""
    from backlit.data import find_mnist, read_image_folder

    folder = find_mnist()
    if folder is None:
        raise SystemExit("MNIST is not here: set BACKLIT_MNIST")
    images = read_image_folder(folder)
    return images.X_train, images.y_train, images.X_test, images.y_test


def scaled() -> tuple[np.ndarray, ...]:
    X, y, X_test, y_test = data()
    return np.multiply(X, np.float32(1 / 255)), y, np.multiply(X_test, np.float32(1 / 255)), y_test


def backlit(seed: int) -> tuple[float, int, float]:
    import backlit as bl

    X, y, X_test, y_test = data()

    class Goal(bl.Callback):
        def on_epoch_end(self, training: Any) -> None:
            if training.history["val_accuracy"][-1] >= GOAL:
                training.stop("reached")

    def train(rows: int, epochs: int) -> Any:
        net = bl.Network(
            [bl.Dense(256, "relu", weight_init="he_uniform"), bl.Dense(10, "softmax")],
            inputs=784, loss="cross_entropy", input_scale=1 / 255, seed=seed,
        )  # fmt: skip
        return bl.fit(
            net, X[:rows], y[:rows], epochs=epochs, batch_size=BATCH, validation=(X_test, y_test), callbacks=[Goal()],
            optimizer=bl.Adam(bl.CosineDecay(RATE, epochs=EPOCHS)), engine="compiled", progress=False,
        )  # fmt: skip

    train(10 * BATCH, 1)
    started = time.perf_counter()
    history = train(len(X), EPOCHS)
    return time.perf_counter() - started, history.epochs, history["val_accuracy"][-1]


def jax(seed: int) -> tuple[float, int, float]:
    import jax
    import jax.numpy as jnp

    X, y, X_test, y_test = (jax.device_put(array) for array in scaled())
    steps = len(X) // BATCH

    def logits(theta: Any, X: Any) -> Any:
        (W1, b1), (W2, b2) = theta
        return jax.nn.relu(X @ W1 + b1) @ W2 + b2

    def loss(theta: Any, X: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(theta, X)), y[:, None], axis=1).mean()

    def step(state: Any, rows: Any) -> Any:
        theta, m, v, t = state
        g = jax.grad(loss)(theta, X[rows], y[rows])
        rate = 0.5 * RATE * (1.0 + jnp.cos(jnp.pi * t / (EPOCHS * steps)))
        t = t + 1.0
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        scale, correction = rate / (1.0 - 0.9**t), 1.0 / (1.0 - 0.999**t)
        theta = jax.tree.map(lambda p, m, v: p - scale * m / (jnp.sqrt(v * correction) + 1e-8), theta, m, v)
        return (theta, m, v, t), None

    @jax.jit
    def epoch(state: Any, key: Any) -> Any:
        rows = jax.random.permutation(key, X.shape[0])[: steps * BATCH].reshape(steps, BATCH)
        state, _ = jax.lax.scan(step, state, rows)
        return state, (logits(state[0], X_test).argmax(axis=1) == y_test).mean()

    def train(epochs: int) -> tuple[float, int, float]:
        keys = jax.random.split(jax.random.key(seed), 2 + EPOCHS)
        he = jax.nn.initializers.he_uniform()
        theta = [(he(keys[0], (784, 256)), jnp.zeros(256)), (he(keys[1], (256, 10)), jnp.zeros(10))]
        zeros = jax.tree.map(jnp.zeros_like, theta)
        state = (theta, zeros, zeros, jnp.float32(0.0))
        started = time.perf_counter()
        for i in range(epochs):
            state, accuracy = epoch(state, keys[2 + i])
            if float(accuracy) >= GOAL:
                break
        return time.perf_counter() - started, i + 1, float(accuracy)

    train(1)
    return train(EPOCHS)


def torch(seed: int) -> tuple[float, int, float]:
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    X, y, X_test, y_test = (torch.from_numpy(array) for array in scaled())
    model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
    steps = -(-len(X) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    loss = torch.nn.CrossEntropyLoss()
    accuracy, epoch = 0.0, 0
    started = time.perf_counter()
    while accuracy < GOAL and epoch < EPOCHS:
        order = torch.randperm(len(X))
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad(set_to_none=True)
            loss(model(X[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        epoch += 1
        with torch.no_grad():
            accuracy = float((model(X_test).argmax(1) == y_test).float().mean())
    return time.perf_counter() - started, epoch, accuracy


def sklearn(seed: int) -> tuple[float, int, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, y_test = scaled()
    model = MLPClassifier((256,), batch_size=BATCH, alpha=0.0, max_iter=1, warm_start=True, random_state=seed)
    accuracy, epoch = 0.0, 0
    started = time.perf_counter()
    while accuracy < GOAL and epoch < 3 * EPOCHS:
        model.fit(X, y)
        epoch += 1
        accuracy = model.score(X_test, y_test)
    return time.perf_counter() - started, epoch, accuracy


def keras(seed: int) -> tuple[float, int, float]:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    X, y, X_test, y_test = scaled()

    def train(epochs: int) -> tuple[float, int, float]:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [
                keras.Input((784,)),
                keras.layers.Dense(256, "relu", kernel_initializer="he_uniform"),
                keras.layers.Dense(10),
            ]
        )
        rate = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * -(-len(X) // BATCH))
        model.compile(
            keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"], jit_compile=True,
        )  # fmt: skip
        accuracy, epoch = 0.0, 0
        started = time.perf_counter()
        while accuracy < GOAL and epoch < epochs:
            model.fit(X, y, batch_size=BATCH, epochs=1, verbose=0)
            epoch += 1
            accuracy = float(model.evaluate(X_test, y_test, batch_size=1000, verbose=0)[1])
        return time.perf_counter() - started, epoch, accuracy

    train(1)
    return train(EPOCHS)


def table(rounds: int) -> str:
    runs: dict[str, list[tuple[float, int, float]]] = {library: [] for library in LIBRARIES}
    for seed in range(rounds):
        for library in LIBRARIES:
            print(f"  {library}, seed {seed} …", flush=True)
            output = subprocess.run(
                ["taskset", "-c", CORE, sys.executable, str(Path(__file__)), library, str(seed)],
                capture_output=True, text=True, check=True, env=environment(1),
            ).stdout  # fmt: skip
            seconds, epochs, accuracy = output.split()
            runs[library].append((float(seconds), int(epochs), float(accuracy)))
    lines = ["| library | seconds, median (lowest to highest) | epochs | accuracy at the end |", "|---|---|---|---|"]
    for library, found in sorted(runs.items(), key=lambda item: statistics.median(run[0] for run in item[1])):
        times = [run[0] for run in found]
        note = "" if all(run[2] >= GOAL for run in found) else " (98 % not reached in every run)"
        lines.append(
            f"| {library} | {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) | "
            f"{', '.join(str(run[1]) for run in found)} | {', '.join(f'{run[2]:.4f}' for run in found)}{note} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    functions = dict(zip(LIBRARIES, (backlit, jax, torch, sklearn, keras), strict=True))
    print(*functions[sys.argv[1]](int(sys.argv[2])))
