"""8×8 digits with SGD: the plain network, then cross-entropy, a scaled start, L2 and early stopping, one by one."""

from __future__ import annotations

import backlit as bl


def accuracy(settings: dict[str, object], rate: float, callbacks: list[bl.Callback]) -> float:
    """Share of the test images that the network gets right."""
    digits = bl.data.load("digits")
    train, test = bl.data.split_rows(len(digits.y), 0.2, seed=0, labels=digits.y)
    train, validation = train[:1100], train[1100:]
    X, y = digits.X, digits.y
    net = bl.Network(
        [
            bl.Dense(30, "sigmoid", weight_init=settings["start"]),
            bl.Dense(10, "sigmoid", weight_init=settings["start"]),
        ],
        inputs=64,
        loss=settings["loss"],
        l2=settings["l2"],
        input_scale=1 / 16,
    )
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
    settings: dict[str, object] = {"loss": "squared_error", "start": "standard_normal", "l2": 0.0}
    print(f"squared error          {100 * accuracy(settings, 3.0, []):.1f} %")
    settings["loss"] = "cross_entropy"
    print(f"+ cross-entropy        {100 * accuracy(settings, 0.5, []):.1f} %")
    settings["start"] = "scaled_normal"
    print(f"+ start by 1/√fan_in   {100 * accuracy(settings, 0.5, []):.1f} %")
    settings["l2"] = 1e-4
    print(f"+ L2                   {100 * accuracy(settings, 0.5, []):.1f} %")
    stopping = bl.EarlyStopping("val_accuracy", patience=5)
    print(f"+ early stopping       {100 * accuracy(settings, 0.5, [stopping]):.1f} %")


if __name__ == "__main__":
    main()
