"""8×8 digits with SGD: the plain network, then cross-entropy, a scaled start, L2 and early stopping, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import backlit as bl


def accuracy(
    rate: float,
    *,
    loss: str = "squared_error",
    start: str = "standard_normal",
    l2: float = 0.0,
    callbacks: Sequence[bl.Callback] = (),
) -> float:
    """Share of the test images that the network gets right."""
    digits = bl.data.load("digits")
    train, test = bl.data.split_rows(len(digits.y), 0.2, seed=0, labels=digits.y)
    train, validation = train[:1100], train[1100:]
    X, y = digits.X, digits.y
    layers = [bl.Dense(30, "sigmoid", weight_init=start), bl.Dense(10, "sigmoid", weight_init=start)]
    net = bl.Network(layers, inputs=64, loss=loss, l2=l2, input_scale=1 / 16)
    bl.fit(
        net,
        X[train],
        y[train],
        epochs=15,
        batch_size=10,
        optimizer=bl.SGD(rate),
        validation=(X[validation], y[validation]),
        callbacks=callbacks,
        progress=False,
    )
    return float((net.predict(X[test]).argmax(axis=1) == y[test]).mean())


def main() -> None:
    print(f"squared error          {100 * accuracy(3.0):.1f} %")
    print(f"+ cross-entropy        {100 * accuracy(0.5, loss='cross_entropy'):.1f} %")
    print(f"+ start by 1/√fan_in   {100 * accuracy(0.5, loss='cross_entropy', start='scaled_normal'):.1f} %")
    print(f"+ L2                   {100 * accuracy(0.5, loss='cross_entropy', start='scaled_normal', l2=1e-4):.1f} %")
    stopped = accuracy(
        0.5,
        loss="cross_entropy",
        start="scaled_normal",
        l2=1e-4,
        callbacks=[bl.EarlyStopping("val_accuracy", patience=5)],
    )
    print(f"+ early stopping       {100 * stopped:.1f} %")


if __name__ == "__main__":
    main()
