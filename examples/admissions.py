"""A single sigmoid unit on the 400 graduate admissions."""

from __future__ import annotations

import numpy as np

import backlit as bl


def main() -> None:
    data = bl.data.load("admissions")
    scores = data.X[:, :2]  # gre, gpa
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0, ddof=1)
    rank = (data.X[:, 2:] == [1, 2, 3, 4]).astype(float)  # four 0/1 columns
    X, y = np.hstack([scores, rank]), data.y
    train = np.random.RandomState(42).choice(400, 360, replace=False)
    test = np.setdiff1d(np.arange(400), train)

    net = bl.Network([bl.Dense(1, "sigmoid", bias=False)], inputs=6, loss="squared_error", dtype="float64")
    net.parameters.values[:] = np.random.RandomState(42).normal(scale=1 / np.sqrt(6), size=6)
    history = bl.fit(net, X[train], y[train], epochs=1000, batch_size=None, optimizer=bl.SGD(0.5), progress=False)

    # The history holds ½ mean (y − out)² before each step, so that the error after an epoch stands with the next one.
    mse = [2 * loss for loss in history["loss"][1:]]
    for epoch in range(0, 1000, 100):
        warning = "   WARNING: it increased" if epoch and mse[epoch] > mse[epoch - 100] else ""
        print(f"epoch {epoch:>4}   mean squared error {mse[epoch]:.6f}{warning}")
    right = (net.predict(X[test])[:, 0] > 0.5) == y[test]
    print(f"test accuracy {100 * right.mean():.1f} %")
    for name, weight in zip(("gre", "gpa", "rank 1", "rank 2", "rank 3", "rank 4"), net.parameters.values, strict=True):
        print(f"{name:<7} {weight:+.4f}")


if __name__ == "__main__":
    main()
