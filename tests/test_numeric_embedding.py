"""The numeric embedding: its equations once more by hand, its gradients, its settings, and the lens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds.numbers import cos_turns, sin_turns

N, INPUTS, COLUMNS, K, M = 6, 4, 3, 2, 5
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, INPUTS))
Y = RNG.normal(size=(N, 2))
WEIGHT = np.array([1.0, 2.0, 0.5, 1.5, 0.25, 1.0])


def network(layer: bl.NumericEmbedding | None = None, **settings: Any) -> bl.Network:
    layer = layer or bl.NumericEmbedding(K, frequencies=M, scale=0.6, columns=COLUMNS)
    layers = [layer, bl.Dense(3, "tanh"), bl.Dense(2)]
    return bl.Network(layers, **{"inputs": INPUTS, "dtype": "float64", "seed": 2, **settings})


def by_hand(net: bl.Network, rows: np.ndarray) -> np.ndarray:
    """What the first layer gives, number by number."""
    w, b, V, c = (net.parameters.view(f"0.{name}") for name in ("frequency", "phase", "weight", "shift"))
    found = np.zeros((len(rows), INPUTS + COLUMNS * K))
    for n, row in enumerate(rows):
        found[n, :INPUTS] = row
        for j in range(COLUMNS):
            for q in range(K):
                waves = [V[j * K + q, m] * np.cos(2 * np.pi * (w[j, m] * row[j] + b[j, m])) for m in range(M)]
                found[n, INPUTS + j * K + q] = sum(waves) + c[j * K + q]
    return found


def given(net: bl.Network, rows: np.ndarray) -> np.ndarray:
    work = net.workspace(len(rows))
    work.load(rows)
    net.forward_pass(work)
    return np.array(work.a[1])


def test_what_it_gives_is_its_equation() -> None:
    net = network()
    assert (net.layers[0].outputs, net.layers[1].inputs) == (10, 10)
    np.testing.assert_allclose(given(net, X), by_hand(net, X), rtol=1e-12)


def test_it_starts_as_told() -> None:
    net = network(bl.NumericEmbedding(3, frequencies=400, scale=0.2), inputs=2)
    w, b, V, c = (net.parameters.view(f"0.{name}") for name in ("frequency", "phase", "weight", "shift"))
    assert (w.shape, b.shape, V.shape, c.shape) == ((2, 400), (2, 400), (6, 400), (6,))
    assert w.std() == pytest.approx(0.2, rel=0.1)
    assert 0.0 <= b.min() < 0.02
    assert 0.98 < b.max() < 1.0
    assert 0.049 < np.abs(V).max() <= 0.05
    assert 0.0 < np.abs(c).max() <= 0.05
    assert net.parameters.weight_mask[net.parameters.slice("0.weight")].all()
    for name in ("0.frequency", "0.phase", "0.shift"):
        assert not net.parameters.weight_mask[net.parameters.slice(name)].any()


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("columns", [None, 1])
def test_gradients(columns: int | None, weight: np.ndarray | None) -> None:
    layer = bl.NumericEmbedding(2, frequencies=3, scale=0.5, columns=columns)
    layers = [layer, bl.Dense(3, "tanh"), layer, bl.Dense(2)]
    net = bl.Network(layers, inputs=INPUTS, dtype="float64", l2=0.01, l1=0.001)
    report = bl.check_gradients(net, X, Y, sample_weight=weight)
    assert report.ok, str(report)
    assert len(report.rows) == net.parameters.size


def test_both_engines_learn_the_same() -> None:
    one, other = network(dtype="float32"), network(dtype="float32")
    for net, engine in ((one, "reference"), (other, "compiled")):
        bl.fit(
            net, 3.0 * X, Y, epochs=9, batch_size=4, optimizer=bl.AdamW(0.02, weight_decay=0.1), engine=engine,
            sample_weight=WEIGHT, progress=False,
        )  # fmt: skip
    np.testing.assert_allclose(other.parameters.values, one.parameters.values, rtol=0, atol=2e-5)


def test_narrow_ranges_are_learnt() -> None:
    """Every other of 12 steps: a line, or a few kinks, cannot follow."""
    x = np.linspace(-1.5, 1.5, 240, endpoint=False)[:, None]
    y = np.floor(4.0 * x) % 2.0
    losses = []
    for first in ([], [bl.NumericEmbedding(3, scale=1.0)]):
        net = bl.Network([*first, bl.Dense(16, "relu"), bl.Dense(1)], inputs=1, seed=1)
        bl.fit(net, x, y, epochs=150, batch_size=48, optimizer=bl.Adam(0.01), progress=False, engine="reference")
        losses.append(net.loss(x, y))
    assert losses[1] < 0.2 * losses[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_far_away_stay_numbers(dtype: str) -> None:
    net = network(dtype=dtype)
    far = given(net, np.array([[1e20, -1e9, 3e5, 0.0]]))
    assert np.isfinite(far).all()
    V, c = net.parameters.view("0.weight"), net.parameters.view("0.shift")
    assert (np.abs(far[0, INPUTS:] - c) <= np.abs(V).sum(axis=1) * 1.0001).all()


def test_turns_as_numbers() -> None:
    for x in (-2.3, -0.5, 0.0, 0.125, 0.75, 1e6 + 0.25):
        assert cos_turns(x) == pytest.approx(np.cos(2 * np.pi * x), abs=1e-9)
        assert sin_turns(x) == pytest.approx(np.sin(2 * np.pi * x), abs=1e-9)
    assert cos_turns(np.float32(0.5)).dtype == np.float32
    for function in (cos_turns, sin_turns):
        assert np.isnan(function(np.inf))
        assert np.isnan(function(np.nan))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be a whole number of at least 1, received 0"),
        ({"frequencies": 1.5}, "frequencies must be a whole number of at least 1, received 1.5"),
        ({"scale": 0.0}, "scale must be a finite number above 0, received 0.0"),
        ({"columns": 0}, "columns must be a whole number of at least 1, received 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.NumericEmbedding(**settings)
    assert str(caught.value) == message


def test_more_columns_than_there_are() -> None:
    with pytest.raises(ConfigurationError) as caught:
        network(bl.NumericEmbedding(columns=5))
    assert str(caught.value) == (
        "NumericEmbedding(3, columns=5) embeds 5 columns, and takes 4: give columns=4 or fewer"
    )


# ── the lens ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_gradient_is_told_by_its_factors() -> None:
    net = network()
    ledger = bl.explain(net, X, Y, sample_weight=WEIGHT)
    told = {
        ("0.weight", 5, 4): ("p_2,4", "dL/da_9"),
        ("0.shift", 3): ("", "dL/da_7"),
        ("0.frequency", 1, 2): ("a_1", "dL/du_1,2"),
        ("0.phase", 2, 0): ("", "dL/du_2,0"),
    }
    for (name, *index), names in told.items():
        weight = ledger.weight(name, *index)
        assert (weight.left, weight.right) == names
        assert weight.shares.sum() == pytest.approx(weight.gradient, rel=1e-9, abs=1e-13)
        assert weight.proof.digits > 6
    dL_da = (np.asarray(ledger.layers[0].delta))[:, 9]
    waves = by_hand(net, X)  # of V = 1 for one wave alone: the wave itself
    net.parameters.view("0.weight")[...] = 0.0
    net.parameters.view("0.weight")[5, 4] = 1.0
    net.parameters.view("0.shift")[...] = 0.0
    waves = by_hand(net, X)[:, 9]
    np.testing.assert_allclose(ledger.weight("0.weight", 5, 4).shares, waves * dL_da / WEIGHT.sum(), rtol=1e-9)


def test_as_many_units_as_waves() -> None:
    """Four features, and 4 + 4 · 3 = 16 units beside 16 waves: a wave is not taken for a unit."""
    net = network(bl.NumericEmbedding())
    assert net.layers[0].outputs == net.layers[0].frequencies == 16  # type: ignore[attr-defined]
    recorder = bl.Recorder()
    bl.fit(net, X, Y, epochs=1, progress=False, callbacks=[recorder], engine="reference")
    stages = [(s.direction, s.layer, s.terms) for s in recorder.recording.player().stages if s.layer == 0]
    assert stages == [("forward", 0, 1), ("backward", 0, 3), ("gradient", 0, 1)]
    assert bl.diagnose(net, X, Y, net.gradient(X, Y)).ok
    wrong = net.gradient(X, Y)
    wrong[net.parameters.slice("0.weight")] *= 2.0
    assert [finding.array for finding in bl.diagnose(net, X, Y, wrong).findings] == ["0.weight"]
