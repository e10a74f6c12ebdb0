"""y = w·x + b learnt without calculus: nudge each parameter, see what the loss does, move it by that."""

from __future__ import annotations

import backlit as bl

X = [[1.0], [2.0], [3.0], [4.0]]
y = [2.0, 4.0, 6.0, 8.0]


def learn(gradient: str) -> tuple[float, float, float]:
    """w, b and the seconds it took, with gradients from there."""
    net = bl.Network([bl.Dense(1)], inputs=1, loss="mean_squared_error", dtype="float64")
    net.parameters.values[:] = [1.477867, 0.0]  # w and b
    history = bl.fit(net, X, y, epochs=1000, batch_size=None, optimizer=bl.SGD(0.01), gradient=gradient, progress=False)
    w, b = net.parameters.values
    return float(w), float(b), sum(history["seconds"])


def main() -> None:
    for gradient, passes in (("finite_difference", 3), ("central_difference", 5), ("backprop", 1)):
        w, b, seconds = learn(gradient)
        print(f"{gradient:<20} y = {w:.6f} x + {b:.6f}   {passes} forward passes a step, {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
