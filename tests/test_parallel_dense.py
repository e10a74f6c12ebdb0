"""Parallel dense: its equations by hand, each member as a network of its own, gradients, exports, the lens."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiled.describe import most_threads
from backlit.exceptions import ConfigurationError
from backlit.kinds.optimizers import initial_state
from backlit.kinds.parallel_kernel import PARALLEL_KERNEL
from backlit.training.choose import estimated_seconds
from backlit.training.job import Job

N, INPUTS, K, FIRST, SECOND = 6, 4, 3, 4, 2
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, INPUTS))
Y = RNG.normal(size=(N, 2))
WEIGHT = np.array([1.0, 2.0, 0.5, 1.5, 0.25, 1.0])


def network(activation: str = "tanh", below: bool = False, **settings: Any) -> bl.Network:
    """Three members of two layers; no number of theirs is one that hides a mistake."""
    layers = [
        *([bl.Dense(INPUTS, "tanh")] if below else []),
        bl.ParallelDense(FIRST, K, activation),
        bl.ParallelDense(SECOND, K, activation, shared=False),
        bl.Dense(2),
    ]
    net = bl.Network(layers, **{"inputs": INPUTS, "dtype": "float64", "seed": 2, **settings})
    net.parameters.values[:] += np.random.default_rng(3).normal(size=net.parameters.size) * 0.3
    return net


def given(net: bl.Network, rows: np.ndarray) -> list[np.ndarray]:
    """What every layer gives."""
    work = net.workspace(len(rows))
    work.load(rows)
    net.forward_pass(work)
    return [np.array(a) for a in work.a[1:]]


def test_what_it_gives_is_its_equation() -> None:
    net = network()
    first, second, _ = given(net, X)
    for i, (a_in, a, units) in enumerate([(np.tile(X, K), first, FIRST), (first, second, SECOND)]):
        W, r, s, b = (net.parameters.view(f"{i}.{name}") for name in ("weight", "factor", "scale", "bias"))
        p = W.shape[0]
        for n in range(N):
            for m in range(K):
                for j in range(units):
                    unit = m * units + j
                    z = sum(a_in[n, m * p + f] * r[m, f] * W[f, j] for f in range(p)) * s[unit] + b[unit]
                    assert a[n, unit] == pytest.approx(np.tanh(z), rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "softmax"])
def test_each_member_is_a_network_of_its_own(activation: str) -> None:
    net = network(activation)
    outputs = given(net, X)[1]
    for m in range(K):
        values = []
        for i, units in ((0, FIRST), (1, SECOND)):
            W, r, s, b = (net.parameters.view(f"{i}.{name}") for name in ("weight", "factor", "scale", "bias"))
            own = slice(m * units, (m + 1) * units)
            values += [(r[m][:, None] * W * s[own]).ravel(), b[own]]
        alone = bl.Network(
            [bl.Dense(FIRST, activation), bl.Dense(SECOND, activation), bl.Dense(1)], inputs=INPUTS, dtype="float64",
            values=np.concatenate([*values, np.zeros(SECOND + 1)]),
        )  # fmt: skip
        np.testing.assert_allclose(outputs[:, m * SECOND : (m + 1) * SECOND], given(alone, X)[1], rtol=1e-12)


def test_it_starts_as_told() -> None:
    layers = [bl.ParallelDense(60, 5, bias_init="glorot_normal"), bl.ParallelDense(60, 5, shared=False), bl.Dense(1)]
    net = bl.Network(layers, inputs=40, seed=1, dtype="float64")
    W, r, s, b = (net.parameters.view(f"0.{name}") for name in ("weight", "factor", "scale", "bias"))
    assert (W.shape, r.shape, s.shape, b.shape) == ((40, 60), (5, 40), (300,), (300,))
    limit = np.sqrt(6 / 100)  # of 40 inputs and 60 units of a member
    assert 0.95 * limit < np.abs(W).max() <= limit
    assert set(np.unique(r)) == {-1.0, 1.0}
    assert abs(r.mean()) < 0.2
    assert len({tuple(row) for row in r}) == 5
    assert (s == 1.0).all()
    assert b.std() == pytest.approx(np.sqrt(2 / 100), rel=0.2)
    assert len(np.unique(b)) == 300
    assert net.parameters.view("1.weight").shape == (60, 60)
    assert (net.parameters.view("1.factor") == 1.0).all()
    assert (net.parameters.view("1.bias") == 0.0).all()


def test_only_w_has_penalties() -> None:
    net = network()
    penalised = [name for name in net.parameters.names if net.parameters.weight_mask[net.parameters.slice(name)].any()]
    assert penalised == ["0.weight", "1.weight", "2.weight"]


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(("activation", "below"), [("tanh", False), ("softmax", True), ("relu", True)])
def test_gradients(activation: str, below: bool, weight: np.ndarray | None) -> None:
    net = network(activation, below, l2=0.01, l1=0.001)
    report = bl.check_gradients(net, X, Y, sample_weight=weight)
    assert report.ok, str(report)
    assert len(report.rows) == net.parameters.size


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_both_engines_learn_the_same(activation: str, batch: int) -> None:
    values = []
    for engine in ("reference", "compiled"):
        net = network(activation, below=True, l2=0.01)
        bl.fit(
            net, 3.0 * X, Y, epochs=5, batch_size=batch, optimizer=bl.SGD(0.05), engine=engine, sample_weight=WEIGHT,
            progress=False,
        )  # fmt: skip
        values.append(net.parameters.values)
    np.testing.assert_allclose(values[1], values[0], rtol=0, atol=1e-12)


def test_every_member_is_counted_as_work() -> None:
    """What chooses engine and threads goes by the arithmetic, which is not that of as many parameters."""
    members = bl.Network([bl.ParallelDense(50, 40, "relu"), bl.Dense(1)], inputs=100)
    assert members.row_work == members.parameters.size + 39 * 100 * 50
    dense = bl.Network([bl.Dense(50, "relu"), bl.Dense(1)], inputs=100)
    assert dense.row_work == dense.parameters.size
    rows = np.zeros((10_000, 100), np.float32)
    seconds, threads = [], []
    for net in (members, dense):
        job = Job(
            net, rows, np.zeros((10_000, 1), np.float32), None, bl.SGD(),
            initial_state(bl.SGD(), net.parameters.size, net.dtype), batch_size=500,
        )  # fmt: skip
        seconds.append(estimated_seconds(job, 1))
        threads.append(most_threads(net, 500, 64))
    # 20 steps of 6 · 500 operations for each multiplication
    assert seconds[0] > 20 * 6 * 500 * 40 * 100 * 50 / 6e10 > 10 * seconds[1]
    assert threads[0] > threads[1]


class Described:
    """A chain of this one layer, as the kernels find it."""

    def __init__(self, layer: bl.ParallelDense, values: np.ndarray, n: int) -> None:
        self.layers = np.zeros((1, 10), np.int64)
        self.layers[0, 2:4] = layer.inputs, layer.outputs
        self.settings = np.array([layer.kernel_settings()])
        self.values, self.memory = values, np.full(layer.kernel_room(n), np.nan)


@pytest.mark.parametrize("place", [1, 2])
def test_the_kernel_as_it_is_read(place: int) -> None:
    """In plain Python, rows by rows and pieces of the gradients by pieces."""
    net = network("tanh", below=True)
    work = net.workspace(N)
    work.load(X, Y)
    net.forward_pass(work)
    layer: Any = net.layers[place]
    names = [f"{place}.{name}" for name in ("weight", "factor", "scale", "bias")]
    chain = Described(layer, np.concatenate([net.parameters.view(name).ravel() for name in names]), N)
    a, delta_in = np.empty_like(work.a[place + 1]), np.empty_like(work.a[place])
    for start, stop in ((0, 4), (4, 4), (4, N)):
        PARALLEL_KERNEL.forward(
            chain, 0, work.a[place], a, None, 0, lambda kind, z, a: np.tanh(z, out=a), start, stop
        )  # fmt: skip
    np.testing.assert_allclose(a, work.a[place + 1], rtol=1e-12)
    # dL/da, as the layers above leave it
    delta = np.random.default_rng(1).normal(size=a.shape)
    work.delta[place][...] = delta
    layer.backward(work, place, below=True)

    def times_slope(kind: int, z: np.ndarray, a: np.ndarray, delta: np.ndarray) -> None:
        delta *= 1.0 - a**2

    for start, stop in ((0, 2), (2, N)):
        PARALLEL_KERNEL.backward(chain, 0, a, delta, delta_in, None, True, True, times_slope, start, stop)
    np.testing.assert_allclose(delta, work.delta[place], rtol=1e-12)
    np.testing.assert_allclose(delta_in, work.delta[place - 1], rtol=1e-12, atol=1e-14)
    for part, name in enumerate(names):
        expected = net.parameters.gradient_view(name)
        assert PARALLEL_KERNEL.gradient is not None
        for start, stop in ((0, 1), (1, len(expected))):
            out = np.full(expected[start:stop].size, np.nan)
            PARALLEL_KERNEL.gradient(chain, 0, part, work.a[place], delta, start, stop, out)
            np.testing.assert_allclose(out, expected[start:stop].ravel(), rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), "units must be a whole number of at least 1, received 0"),
        ((2, 1.5), "members must be a whole number of at least 1, received 1.5"),
        ((2, "relu"), "members must be a whole number of at least 1, received 'relu'"),
        ((1, 3, "softmax"), "softmax over 1 unit of a member is always 1: use 2 units or more"),
    ],
)
def test_settings_that_cannot_be(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.ParallelDense(*arguments)
    assert str(caught.value) == message


def test_inputs_that_cannot_be_divided() -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.Network([bl.ParallelDense(2, 3, shared=False), bl.Dense(1)], inputs=5)
    assert str(caught.value) == (
        "ParallelDense(2, 3, 'identity', shared=False) takes as many features for each of 3 members, and 5 cannot be "
        "divided by 3: put it behind a layer of 3 members, or let them share their inputs"
    )


def test_an_activation_of_your_own() -> None:
    layer = bl.ParallelDense(2, 2, (lambda z: z**2, lambda z: 2.0 * z))
    net = bl.Network([layer, bl.Dense(2)], inputs=INPUTS, dtype="float64")
    assert bl.check_gradients(net, X, Y).ok
    with pytest.raises(ConfigurationError, match=r"the activation '<lambda>' of layer 0 is a function of your own"):
        bl.export_numpy(net, "never.py")
    with pytest.raises(ConfigurationError, match=r"layer 0: the activation '<lambda>' is your own function"):
        bl.export_onnx(net, "never.onnx")


# ── other programs ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("activation", ["silu", "softmax"])
def test_members_in_a_script(activation: str, tmp_path: Path) -> None:
    net = network(activation, below=True)
    bl.export_numpy(net, tmp_path / "net.py")
    script = runpy.run_path(str(tmp_path / "net.py"))
    np.testing.assert_allclose(script["forward"](X), net.forward(X), rtol=1e-12)
    found = np.concatenate([gradient.ravel() for gradient in script["gradients"](X, Y)])
    np.testing.assert_allclose(found, net.gradient(X, Y), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["silu", "softmax"])
def test_members_in_onnx(activation: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net = network(activation)
    bl.export_onnx(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: X})
    np.testing.assert_allclose(found, net.forward(X), rtol=1e-12)


# ── the lens ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_gradient_is_told_by_its_factors() -> None:
    net = network()
    ledger = bl.explain(net, X, Y, sample_weight=WEIGHT)
    told = {
        ("0.weight", 3, 1): ("", "Σ_m c_m,3 g_m,1"),
        ("0.factor", 2, 3): ("a_3", "t_2,3"),
        ("1.factor", 2, 3): ("a_11", "t_2,3"),
        ("1.scale", 5): ("q_5", "delta_5"),
        ("1.bias", 3): ("", "delta_3"),
    }
    for (name, *index), names in told.items():
        weight = ledger.weight(name, *index)
        assert (weight.left, weight.right) == names
        assert weight.shares.sum() == pytest.approx(weight.gradient, rel=1e-9, abs=1e-13)
        assert weight.proof.digits > 6
    # the numbers of a unit are unfolded further: through the output layer to the loss
    assert [len(ledger.weight("1.scale", 5).levels), len(ledger.weight("0.weight", 3, 1).levels)] == [2, 0]


@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_its_shapes_fit(activation: str) -> None:
    net = network(activation, below=True)
    for layer in net.layers[1:3]:
        for step in (*layer.forward_steps(N), *layer.backward_steps(N, below=True, pair="")):
            names = {name: size for axes in (*step.operands, step.result) for size, name in axes}
            assert names["samples"] == N or step.meets == ""
            assert not step.meets or step.meets in names
            assert step.multiplications in (0, N * layer.outputs * layer.features)  # type: ignore[attr-defined]
    text = bl.explain(net, X, Y).shapes().page().text()
    for equation in ("z = q ⊙ s + b", "dL/dW = Σ_m c_mᵀ g_m", "dL/da_in = Σ_m t_m ⊙ r_m", "dL/da_in = t ⊙ r"):
        assert equation in text


def test_one_member_is_no_dense_layer() -> None:
    """Its weight has the shape of a dense layer's, but factors stand before and behind it."""
    net = bl.Network([bl.Dense(3, "tanh"), bl.ParallelDense(3, 1, "tanh"), bl.Dense(2)], inputs=INPUTS, dtype="float64")
    net.parameters.values[:] += np.random.default_rng(3).normal(size=net.parameters.size) * 0.3
    recorder = bl.Recorder()
    bl.fit(net, X, Y, epochs=1, progress=False, callbacks=[recorder], engine="reference")
    stages = [(s.direction, s.terms) for s in recorder.recording.player().stages if s.layer == 1]
    assert stages == [("forward", 1), ("backward", 2), ("gradient", 2)]  # its scale and its bias
    assert bl.explain(net, X, Y).weight("0.weight", 0, 1).levels[0][0].through == "through the members' W"
    assert bl.diagnose(net, X, Y, net.gradient(X, Y)).ok
    wrong = net.gradient(X, Y)
    wrong[net.parameters.slice("1.weight")] *= 2.0
    assert [finding.array for finding in bl.diagnose(net, X, Y, wrong).findings] == ["1.weight"]
