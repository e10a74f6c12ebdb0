"""Cross entropy with smoothed labels: by hand, on both engines, through the lens and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds.losses import cross_entropy
from backlit.training.evaluation import evaluate

rng = np.random.default_rng(5)
X = rng.normal(size=(12, 3))
LABELS = np.arange(12) % 4


def network(output: str = "softmax", smoothing: float = 0.2, dtype: str = "float64") -> bl.Network:
    layers = [bl.Dense(5, "tanh"), bl.Dense(4, output)]
    return bl.Network(layers, inputs=3, loss=cross_entropy(smoothing), dtype=dtype, seed=3)


@pytest.mark.parametrize(("output", "classes"), [("softmax", 4), ("sigmoid", 2)])
def test_loss_and_gradient_are_those_of_the_smoothed_targets(output: str, classes: int) -> None:
    net, plain = network(output), network(output, 0.0)
    one_hot = np.eye(4)[LABELS]
    smoothed = 0.8 * one_hot + 0.2 / classes
    assert net.loss(X, LABELS) == pytest.approx(plain.loss(X, smoothed), rel=1e-14)
    np.testing.assert_allclose(net.gradient(X, LABELS), plain.gradient(X, smoothed), rtol=1e-12)
    a = net.forward(X)
    by_hand = -(smoothed * np.log(a)).sum(axis=1)
    if output == "sigmoid":
        by_hand -= ((1 - smoothed) * np.log(1 - a)).sum(axis=1)
    assert net.loss(X, LABELS) == pytest.approx(by_hand.mean(), rel=1e-13)


def test_without_smoothing_it_is_the_plain_loss() -> None:
    assert cross_entropy(0.0) is cross_entropy()
    assert network(smoothing=0.0).spec()["loss"] == {"name": "cross_entropy"}


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan"), "0.1", True])
def test_what_is_no_share_is_refused(smoothing: object) -> None:
    with pytest.raises(ConfigurationError, match="the smoothing of labels must be at least 0 and below 1"):
        cross_entropy(smoothing)  # type: ignore[arg-type]


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("batch_size", [5, None])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_both_engines(output: str, batch_size: int | None) -> None:
    pytest.importorskip("numba")
    found = []
    for engine in ("reference", "compiled"):
        net = network(output)
        history = bl.fit(net, X, LABELS, epochs=3, batch_size=batch_size, optimizer=bl.SGD(0.5), engine=engine)
        found.append((net.parameters.values.copy(), history["loss"]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)


def test_accuracy_is_that_of_the_labels() -> None:
    net = network()
    bl.fit(net, X, LABELS, epochs=400, batch_size=None, optimizer=bl.Adam(0.05), engine="reference")
    Y = np.eye(4)[LABELS]
    found = evaluate(net, X, Y)
    assert found["accuracy"] == (net.forward(X).argmax(axis=1) == LABELS).mean() > 0.7
    assert found["loss"] == pytest.approx(net.loss(X, LABELS))
    floor = -(0.85 * np.log(0.85) + 3 * 0.05 * np.log(0.05))  # the entropy of 0.85, 0.05, 0.05, 0.05
    assert found["loss"] > floor


def test_the_lens_shows_the_smoothed_target() -> None:
    net = network()
    ledger = bl.explain(net, X[:2], LABELS[:2], optimizer=bl.SGD(0.1))
    np.testing.assert_allclose(ledger.trace.y, 0.8 * np.eye(4)[LABELS[:2]] + 0.05, rtol=1e-15)
    np.testing.assert_allclose(ledger.trace.layers[-1].delta, net.forward(X[:2]) - ledger.trace.y, atol=1e-15)
    assert ledger.loss_after < ledger.loss_before
    assert bl.check_gradients(net, X, LABELS).ok


def test_code_typed_into_the_lab_is_given_the_labels() -> None:
    pytest.importorskip("starlette")
    from backlit.lab.own_code import template
    from backlit.lens.step.trace import trace_batch

    trace = trace_batch(network(), X[:3], LABELS[:3])
    given = template(trace, 1)
    names: dict[str, object] = {"np": np, **given.arrays}
    exec(given.source, names)
    size = names["dW"]
    np.testing.assert_allclose(size, trace.gradient[trace.net.parameters.slice("1.weight")].reshape(5, 4), rtol=1e-12)


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    net = network()
    bl.save(net, tmp_path / "n")
    again = bl.load(tmp_path / "n")
    assert again.loss_function.spec() == {"name": "cross_entropy", "smoothing": 0.2}
    assert again.loss(X, LABELS) == net.loss(X, LABELS)
