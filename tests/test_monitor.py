"""The monitor: the network as it is after each epoch."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.training.callbacks import Monitor

X = np.linspace(-1.0, 1.0, 20)[:, None]
Y = (X[:, 0] > 0.2).astype(int)


def network(**settings: object) -> bl.Network:
    return bl.Network([bl.Dense(1, "sigmoid")], inputs=1, loss="cross_entropy", dtype="float64", **settings)


def test_it_measures_after_the_epoch() -> None:
    net, monitor = network(l2=0.1), Monitor(train=(X, Y), evaluation=(X[::2], Y[::2]))
    bl.fit(net, X, Y, epochs=3, optimizer=bl.SGD(0.5), callbacks=[monitor], progress=False)
    assert monitor.history.epochs == 3
    assert monitor.history["train_loss"][-1] == pytest.approx(net.loss(X, Y))
    assert monitor.history["evaluation_loss"][-1] == pytest.approx(net.loss(X[::2], Y[::2]))
    right = (net.forward(X)[:, 0] > 0.5) == Y
    assert monitor.history["train_accuracy"][-1] == pytest.approx(right.mean())


def test_it_leaves_training_alone() -> None:
    plain, watched = network(), network()
    bl.fit(plain, X, Y, epochs=5, batch_size=3, progress=False)
    bl.fit(watched, X, Y, epochs=5, batch_size=3, callbacks=[Monitor(train=(X, Y))], progress=False)
    assert np.array_equal(plain.parameters.values, watched.parameters.values)


def test_weights_of_samples_count() -> None:
    weight = np.linspace(0.0, 1.0, 20)
    net, monitor = network(), Monitor(train=(X, Y, weight))
    bl.fit(net, X, Y, epochs=1, callbacks=[monitor], progress=False)
    assert monitor.history["train_loss"][-1] == pytest.approx(net.loss(X, Y, sample_weight=weight))


@pytest.mark.parametrize(("sets", "message"), [({}, "needs data"), ({"train": X}, r"'train' must be \(X, y\)")])
def test_wrong_sets_are_refused(sets: dict[str, object], message: str) -> None:
    with pytest.raises(bl.BacklitError, match=message):
        Monitor(**sets)  # type: ignore[arg-type]


def test_wrong_data_is_refused_when_training_begins() -> None:
    with pytest.raises(bl.BacklitError, match="columns"):
        bl.fit(network(), X, Y, epochs=1, callbacks=[Monitor(train=(np.hstack([X, X]), Y))], progress=False)
