"""Two classes as the petals of one flower: 2-4-1 with tanh and cross-entropy."""

from __future__ import annotations

import numpy as np

import backlit as bl


def main() -> None:
    flower = bl.data.load("planar")
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy", dtype="float64")
    random = np.random.RandomState(3)
    net.parameters.view("0.weight")[...] = 0.01 * random.randn(4, 2).T
    net.parameters.view("1.weight")[...] = 0.01 * random.randn(1, 4).T

    print(bl.check_gradients(net, flower.X, flower.y), "\n")
    history = bl.fit(net, flower.X, flower.y, epochs=5000, batch_size=None, optimizer=bl.SGD(1.2), progress=False)
    for iteration in range(0, 5000, 1000):
        print(f"iteration {iteration:>5,}   loss {history['loss'][iteration]:.6f}")
    right = (net.predict(flower.X)[:, 0] > 0.5) == flower.y
    print(f"{100 * right.mean():.1f} % of the points are on the right side")

    # A coarse picture of the plane: which colour the network gives to each place.
    side = np.linspace(-4.5, 4.5, 31)
    for x2 in side[::-2]:
        chance = net.predict(np.column_stack([side, np.full(31, x2)]))[:, 0]
        print("".join("█" if blue > 0.5 else "·" for blue in chance))


if __name__ == "__main__":
    main()
