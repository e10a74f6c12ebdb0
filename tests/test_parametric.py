"""The parametric activation: its equations by hand, gradients, both engines, merged networks, exports, the lens."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.data.merging import merged
from backlit.exceptions import ConfigurationError
from backlit.kinds import ACTIVATIONS

N, INPUTS, UNITS = 7, 3, 5
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, INPUTS))
Y = RNG.normal(size=(N, 2))
WEIGHT = RNG.uniform(0.25, 2.0, N)
ELEMENT_WISE = [name for name, activation in ACTIVATIONS.items() if activation.slope is not None]


def network(activation: Any = "tanh", **settings: Any) -> bl.Network:
    """One at the inputs and one behind a layer; no α is 0 or 1."""
    layers = [bl.Parametric(activation, 0.7), bl.Dense(UNITS), bl.Parametric(activation, -0.4), bl.Dense(2)]
    net = bl.Network(layers, **{"inputs": INPUTS, "dtype": "float64", "seed": 2, **settings})
    net.parameters.values[:] += np.random.default_rng(3).normal(size=net.parameters.size) * 0.2
    return net


def given(net: bl.Network, rows: np.ndarray) -> list[np.ndarray]:
    """What every layer takes and gives."""
    work = net.workspace(len(rows))
    work.load(rows)
    net.forward_pass(work)
    return [np.array(a) for a in work.a]


def test_what_it_gives_is_its_equation() -> None:
    net = network("tanh")
    a = given(net, X)
    for i in (0, 2):
        alpha = net.parameters.view(f"{i}.share")
        assert alpha.shape == (a[i].shape[1],)
        for row in range(N):
            for j, share in enumerate(alpha):
                z = a[i][row, j]
                assert a[i + 1][row, j] == pytest.approx(z + share * (np.tanh(z) - z), rel=1e-12)


def test_with_relu_it_is_prelu() -> None:
    net = bl.Network([bl.Parametric("relu", 0.75), bl.Dense(1)], inputs=2, dtype="float64")
    assert given(net, np.array([[3.0, -4.0]]))[1].tolist() == [[3.0, -1.0]]  # a slope of ¼ below zero


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENT_WISE)
def test_it_begins_as_the_activation_and_ends_as_none(name: str, dtype: Any) -> None:
    """To the last bit: also where z is so large that f(z) is lost beside it."""
    rows = np.array([[0.3, -1e6, 50.0]])
    layers = [[bl.Parametric(name), bl.Dense(1)], [bl.Parametric(name, 0.0), bl.Dense(1)]]
    begins, ends = (given(bl.Network(chain, inputs=3, dtype=dtype), rows)[1] for chain in layers)
    f = np.empty((1, 3), dtype)
    ACTIVATIONS[name].f(rows.astype(dtype), f)
    assert begins.tobytes() == f.tobytes()
    np.testing.assert_array_equal(ends, rows.astype(dtype))


def test_it_starts_as_told_and_has_no_penalty() -> None:
    net = bl.Network([bl.Dense(4000), bl.Parametric(init="standard_normal"), bl.Dense(1)], inputs=1)
    assert net.parameters.view("1.share").std() == pytest.approx(1.0, rel=0.05)
    penalised = [name for name in net.parameters.names if net.parameters.weight_mask[net.parameters.slice(name)].any()]
    assert penalised == ["0.weight", "2.weight"]
    assert (bl.Network([bl.Parametric(), bl.Dense(1)], inputs=3).parameters.view("0.share") == 1.0).all()


@pytest.mark.parametrize("name", ELEMENT_WISE)
def test_gradients(name: str) -> None:
    net = network(name, l2=0.01, l1=0.001)
    report = bl.check_gradients(net, X, Y, sample_weight=WEIGHT)
    assert report.ok, str(report)
    assert len(report.rows) == net.parameters.size


def test_a_kink_within_reach_is_told() -> None:
    net = bl.Network([bl.Dense(1, bias_init=0.0), bl.Parametric("relu", 0.5), bl.Dense(1)], inputs=1, dtype="float64")
    report = bl.check_gradients(net, [[0.0]], [1.0])
    assert report.ok, str(report)
    (row,) = [row for row in report.rows if row.name == "0.bias"]
    assert row.reason.startswith("a relu kink of layer 1 (unit 0, row 0) lies between")


# ── the compiled engine: more in tests/test_compiled_equality.py and test_compiled_threads.py ────────────────
@pytest.mark.torture  # some seconds of compiling
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_both_engines_learn_the_same(activation: str) -> None:
    values = []
    for engine in ("reference", "compiled"):
        net = network(activation, l2=0.01)
        bl.fit(
            net, 3.0 * X, Y, epochs=5, batch_size=3, optimizer=bl.SGD(0.05), engine=engine, sample_weight=WEIGHT,
            progress=False,
        )  # fmt: skip
        values.append(net.parameters.values)
    np.testing.assert_allclose(values[1], values[0], rtol=0, atol=1e-12)


class Described:
    """A chain of this one layer, as the kernels find it."""

    def __init__(self, layer: bl.Layer, values: np.ndarray, n: int) -> None:
        self.layers = np.zeros((1, 10), np.int64)
        self.layers[0, 2:4] = layer.inputs, layer.outputs
        self.settings = np.zeros((1, 1))
        self.values, self.memory = values, np.full(layer.kernel_room(n), np.nan)


@pytest.mark.parametrize("below", [True, False])
def test_the_kernel_as_it_is_read(below: bool) -> None:
    """In plain Python, rows by rows and pieces of the gradient by pieces."""
    net = network("tanh")
    work = net.workspace(N)
    work.load(X, Y)
    net.forward_pass(work)
    layer: Any = net.layers[2]
    kernel = layer.kernel
    chain = Described(layer, net.parameters.view("2.share"), N)
    a, delta_in = np.empty_like(work.a[3]), np.full_like(work.a[2], 7.0)
    for start, stop in ((0, 4), (4, 4), (4, N)):
        kernel.forward(chain, 0, work.a[2], a, None, 0, lambda kind, z, f: np.tanh(z, out=f), start, stop)
    np.testing.assert_array_equal(a, work.a[3])
    delta = np.random.default_rng(1).normal(size=a.shape)
    before = delta.copy()
    work.delta[2][...] = delta
    layer.backward(work, 2, below=True)

    def times_slope(kind: int, z: np.ndarray, f: np.ndarray, delta: np.ndarray) -> None:
        np.testing.assert_array_equal(f, np.tanh(z))
        delta *= 1.0 - f**2

    for start, stop in ((0, 2), (2, N)):
        kernel.backward(chain, 0, a, delta, delta_in, None, below, True, times_slope, start, stop)
    np.testing.assert_array_equal(delta, before)
    if below:
        np.testing.assert_allclose(delta_in, work.delta[1], rtol=1e-13)
    else:
        assert (delta_in == 7.0).all()
    for start, stop in ((0, 1), (1, UNITS)):
        out = np.full(stop - start, np.nan)
        kernel.gradient(chain, 0, 0, work.a[2], delta, start, stop, out)
        np.testing.assert_allclose(out, net.parameters.gradient_view("2.share")[start:stop], rtol=1e-12)


# ── what cannot be ───────────────────────────────────────────────────────────────────────────────────────────
def test_softmax_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.Parametric("softmax")
    assert str(caught.value) == (
        "Parametric takes an activation of each number by itself, and softmax mixes the units of a row: use one with a "
        "slope, such as relu or mish"
    )
    with pytest.raises(ConfigurationError, match=r"there is no activation 'reul': did you mean 'relu'"):
        bl.Parametric("reul")


def test_an_activation_of_your_own(tmp_path: Path) -> None:
    net = network((np.sin, np.cos))
    assert bl.check_gradients(net, X, Y).ok
    with pytest.warns(bl.BacklitWarning, match="'sin' has no kernel"):
        bl.fit(net, X, Y, epochs=1, progress=False, engine="compiled")
    with pytest.raises(ConfigurationError, match=r"the activation 'sin' of layer 0 is a function of your own"):
        bl.export_numpy(net, tmp_path / "never.py")
    with pytest.raises(ConfigurationError, match=r"layer 0: the activation 'sin' is your own function"):
        bl.export_onnx(net, tmp_path / "never.onnx")
    with pytest.raises(ConfigurationError, match="a loss or a schedule of your own, which no file can hold"):
        bl.save(net, tmp_path / "never")


# ── networks that predict together ───────────────────────────────────────────────────────────────────────────
def test_merged_networks_have_their_shares_side_by_side() -> None:
    layers = [
        bl.Dense(4), bl.Parametric("mish"), bl.Dropout(0.2), bl.Dense(3), bl.Parametric("relu"), bl.Dense(2),
    ]  # fmt: skip
    networks = [bl.Network(layers, inputs=INPUTS, dtype="float64", seed=seed) for seed in (3, 4, 5)]
    rng = np.random.default_rng(1)
    for net in networks:
        net.parameters.values[:] += 0.3 * rng.normal(size=net.parameters.size)
    one = merged(networks)
    assert one.parameters.view("1.share").tolist() == [a for net in networks for a in net.parameters.view("1.share")]
    np.testing.assert_allclose(one.forward(X), np.mean([net.forward(X) for net in networks], axis=0), rtol=1e-12)


def test_at_the_inputs_networks_do_not_become_one() -> None:
    networks = [bl.Network([bl.Parametric(), bl.Dense(1)], inputs=2, seed=seed) for seed in (0, 1)]
    with pytest.raises(ConfigurationError, match=r"stands behind a Dense, and layer 0 is Parametric\('relu'\)"):
        merged(networks)


# ── other programs ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "identity"])
def test_in_a_script(activation: str, tmp_path: Path) -> None:
    net = network(activation)
    bl.export_numpy(net, tmp_path / "net.py")
    script = runpy.run_path(str(tmp_path / "net.py"))
    np.testing.assert_allclose(script["forward"](X), net.forward(X), rtol=1e-12)
    found = np.concatenate([gradient.ravel() for gradient in script["gradients"](X, Y)])
    np.testing.assert_allclose(found, net.gradient(X, Y), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "mish", "identity"])
def test_in_onnx(activation: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net = network(activation)
    bl.export_onnx(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: X})
    np.testing.assert_allclose(found, net.forward(X), rtol=1e-12)


# ── the lens ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_gradient_is_told_by_its_factors() -> None:
    net = network("tanh")
    ledger = bl.explain(net, X, Y, sample_weight=WEIGHT)
    share = ledger.weight("2.share", 4)
    assert (share.left, share.right) == ("(f_4 − z_4)", "dL/da_4")
    weight = ledger.weight("1.weight", 2, 4)
    # below it, dL/da is what comes through the share: 1 + α (f′ − 1)
    (unit,) = weight.levels[0]
    row = int(np.argmax(np.abs(weight.shares)))  # the one that is unfolded
    z = given(net, X)[2][row, 4]
    alpha = net.parameters.view("2.share")[4]
    assert [(f.symbol, f.layer) for f in unit.factors] == [("a′", 2)]
    assert unit.factors[0].value == pytest.approx(1.0 + alpha * ((1.0 - np.tanh(z) ** 2) - 1.0), rel=1e-12)
    for told in (share, weight):
        assert told.shares.sum() == pytest.approx(told.gradient, rel=1e-9, abs=1e-13)
        assert told.proof.digits > 6
    assert list(ledger.trace.layers[2].values) == ["a_in", "f(a_in)", "a", "dL/da"]


def test_at_the_inputs_its_slope_is_written_too() -> None:
    net = bl.Network([bl.Parametric("tanh", init=0.75), bl.Dense(1)], inputs=X.shape[1], dtype="float64")
    work = net.workspace(N)
    work.load(X, Y[:, :1])
    work.room[0]["slope"].fill(np.nan)
    net.forward_pass(work)
    net.backward_pass(work)
    symbol, slope = net.layers[0].through(work.room[0])
    assert symbol == "a′"
    np.testing.assert_allclose(slope, 0.25 + 0.75 * (1.0 - np.tanh(X) ** 2), rtol=1e-12)


def test_its_shapes_fit() -> None:
    net = network()
    layer = net.layers[2]
    for step in (*layer.forward_steps(N), *layer.backward_steps(N, below=True, pair="")):
        names = {name: size for axes in (*step.operands, step.result) for size, name in axes}
        assert names["units"] == UNITS
        assert not step.meets or step.meets in names
    text = bl.explain(net, X, Y).shapes().page().text()
    assert text.count("dL/dα = Σ_rows dL/da ⊙ (f − z)") == 2
    assert text.count("dL/da_in = dL/da ⊙ a′") == 1  # nobody needs it below the first layer
