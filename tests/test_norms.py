"""Batch norm, layer norm and scale: values by hand, buffers through training, files and copies."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import backlit as bl

rng = np.random.default_rng(5)
X = rng.normal(2.0, 3.0, (12, 3))
Y = rng.normal(size=(12, 2))
WEIGHT = np.array([0.0, 1.0, 2.0, 1.0, 1.0, 0.5, 3.0, 1.0, 1.0, 2.0, 1.0, 1.0])


def network(dtype: str = "float64", momentum: float = 0.6) -> bl.Network:
    layers = [bl.BatchNorm(momentum), bl.Dense(4, "tanh"), bl.BatchNorm(momentum), bl.Dense(2)]
    return bl.Network(layers, inputs=3, dtype=dtype, seed=3)


def test_batch_norm_by_hand() -> None:
    net = bl.Network([bl.BatchNorm(epsilon=1e-3), bl.Dense(3)], inputs=3, dtype="float64")
    work = net.workspace(12)
    work.load(X)
    net.forward_pass(work, step=0)
    expected = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-3)
    np.testing.assert_allclose(work.a[1], expected, rtol=1e-12)
    # in inference the running mean 0 and variance 1 are at work
    np.testing.assert_allclose(net.forward(X), X / np.sqrt(1 + 1e-3) @ net.layers[1].weight, rtol=1e-12)


def test_running_statistics_are_means_over_the_steps() -> None:
    net = bl.Network([bl.BatchNorm(0.6), bl.Dense(2)], inputs=3, dtype="float64")
    bl.fit(net, X, Y, epochs=1, batch_size=4, shuffle=False, progress=False, engine="reference")
    mean, variance = np.zeros(3), np.ones(3)
    for start in (0, 4, 8):
        rows = X[start : start + 4]
        mean, variance = 0.6 * mean + 0.4 * rows.mean(axis=0), 0.6 * variance + 0.4 * rows.var(axis=0)
    np.testing.assert_allclose(net.layers[0].mean, mean, rtol=1e-12)
    np.testing.assert_allclose(net.layers[0].variance, variance, rtol=1e-12)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    twice, weighted = network(), network()
    rows = np.repeat(np.arange(12), [1, 2] * 6)
    bl.fit(twice, X[rows], Y[rows], epochs=3, batch_size=None, progress=False, engine="reference")
    weights = np.tile([1.0, 2.0], 6)
    bl.fit(weighted, X, Y, sample_weight=weights, epochs=3, batch_size=None, progress=False, engine="reference")
    np.testing.assert_allclose(weighted.parameters.state, twice.parameters.state, rtol=1e-9, atol=1e-12)


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_both_engines_agree_with_sample_weights(dtype: str, tolerance: float) -> None:
    pytest.importorskip("numba")
    one, other = network(dtype), network(dtype)
    for net, engine in ((one, "reference"), (other, "compiled")):
        bl.fit(net, X, Y, sample_weight=WEIGHT, epochs=4, batch_size=5, progress=False, engine=engine)
    np.testing.assert_allclose(other.parameters.state, one.parameters.state, rtol=0, atol=tolerance)


@pytest.mark.parametrize("step", [None, 7])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    "layer", [bl.BatchNorm(), bl.LayerNorm(), bl.Scale("standard_normal")], ids=lambda layer: type(layer).__name__
)
def test_gradients(layer: bl.Layer, step: int | None, weight: np.ndarray | None) -> None:
    layers = [layer, bl.Dense(4, "tanh"), layer, bl.Dense(3, "silu"), layer, bl.Dense(2)]
    net = bl.Network(layers, inputs=3, dtype="float64", l2=0.01)
    rng = np.random.default_rng(1)
    net.parameters.values[:] += 0.3 * rng.normal(size=net.parameters.size)
    net.parameters.buffers[:] += rng.uniform(0.1, 0.5, net.parameters.buffers.size)
    report = bl.check_gradients(net, X, Y, sample_weight=weight, step=step)
    assert report.ok, str(report)
    assert len(report.rows) == net.parameters.size


def test_layer_norm_by_hand() -> None:
    net = bl.Network([bl.LayerNorm(1e-3), bl.Dense(2)], inputs=3, dtype="float64")
    net.layers[0].scale[...], net.layers[0].shift[...] = [1.0, 2.0, 3.0], [0.1, 0.2, 0.3]
    work = net.workspace(12)
    work.load(X)
    net.forward_pass(work)
    x_hat = (X - X.mean(axis=1, keepdims=True)) / np.sqrt(X.var(axis=1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(work.a[1], [1.0, 2.0, 3.0] * x_hat + [0.1, 0.2, 0.3], rtol=1e-12)


def test_the_best_epoch_has_its_own_running_statistics() -> None:
    seen: dict[int, np.ndarray] = {}

    class Look(bl.Callback):
        def on_epoch_end(self, training: object) -> None:
            seen[training.epoch] = training.net.parameters.state.copy()  # type: ignore[attr-defined]

    net = network()
    stop = bl.EarlyStopping(patience=3)
    rate = bl.StepDecay(0.05, factor=8.0, every=4)  # it gets worse after the fourth epoch
    history = bl.fit(
        net, X[:8], Y[:8], epochs=30, batch_size=4, optimizer=bl.SGD(rate), validation=(X[8:], Y[8:]),
        callbacks=[Look(), stop], progress=False,
    )  # fmt: skip
    assert history.best_epoch is not None
    assert history.best_epoch < history.epochs
    np.testing.assert_array_equal(net.parameters.state, seen[history.best_epoch])
    np.testing.assert_allclose(net.loss(X[8:], Y[8:]), history["val_loss"][history.best_epoch - 1], rtol=1e-12)


def test_buffers_go_with_copies_and_files(tmp_path: Path) -> None:
    net = network()
    bl.fit(net, X, Y, epochs=2, batch_size=4, progress=False, engine="reference")
    bl.save(net, tmp_path / "net.backlit")
    copies = [
        bl.load(tmp_path / "net.backlit"), copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.astype("float64")
    ]  # fmt: skip
    for other in copies:
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
        np.testing.assert_array_equal(other.parameters.buffers, net.parameters.buffers)
        assert np.shares_memory(other.layers[0].mean, other.parameters.buffers)
        assert np.shares_memory(other.layers[1].weight, other.parameters.values)


def test_penalties_and_decay_leave_norms_alone() -> None:
    net = bl.Network([bl.BatchNorm(), bl.Scale(), bl.LayerNorm(), bl.Dense(2)], inputs=3, l2=1.0)
    assert [name for name in net.parameters.names if net.parameters.weight_mask[net.parameters.slice(name)].any()] == [
        "3.weight"
    ]


def test_a_constant_feature_and_a_batch_of_one_row_stay_finite() -> None:
    constant = X.copy()
    constant[:, 1] = 4.0
    net = network()
    bl.fit(net, constant, Y, epochs=2, batch_size=11, progress=False, engine="reference")  # the last batch has one row
    assert np.isfinite(net.predict(constant)).all()


def test_lbfgs_refuses_a_layer_that_mixes_rows() -> None:
    with pytest.raises(ValueError, match=r"leave out BatchNorm\(momentum=0.6\), or choose another optimiser"):
        bl.fit(network(), X, Y, optimizer=bl.LBFGS(), progress=False)
