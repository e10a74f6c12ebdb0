"""2-2-1 with every weight 1: the gradients of one sample, and why equal weights stay equal."""

from __future__ import annotations

import backlit as bl

XOR = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]


def network(activation: str, start: str | float) -> bl.Network:
    layers = [bl.Dense(2, activation, weight_init=start), bl.Dense(1, weight_init=start)]
    return bl.Network(layers, inputs=2, loss="mean_squared_error", dtype="float64")


def main() -> None:
    X, y = [[1.0, 1.0]], [1.0]
    net = network("identity", 1.0)
    print("gradients at the start:", *net.gradient(X, y), f"  loss {net.loss(X, y):g}")
    print(bl.check_gradients(net, X, y))
    history = bl.fit(net, X, y, epochs=10, batch_size=1, optimizer=bl.SGD(0.1), progress=False)
    print("\nloss of each epoch:", *(f"{loss:.4f}" for loss in history["loss"]))
    print("hidden weights, still equal:", *net.parameters.view("0.weight").ravel().round(6))

    # Exclusive or needs both: hidden neurons that start differently, and an activation.
    X, y = XOR
    for start in (1.0, "standard_normal"):
        for activation in ("identity", "tanh"):
            net = network(activation, start)
            bl.fit(net, X, y, epochs=300, batch_size=1, optimizer=bl.SGD(0.1), progress=False)
            print(f"{start!s:<16} {activation:<9} loss on exclusive or {net.loss(X, y):.4f}")


if __name__ == "__main__":
    main()
