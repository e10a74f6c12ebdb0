"""The ledger of a step and the unfolding of one weight, against arithmetic done by hand."""

# mypy: disable-error-code="union-attr, index, arg-type, operator"
# What can be None elsewhere is there in these networks; and wrong types are passed on purpose.
from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import backlit as bl
from backlit.kinds.optimizers import OPTIMIZERS
from backlit.lens import explain, loss_account, shapes, show

GOLDEN = Path(__file__).parent / "golden_systems.json"
rng = np.random.default_rng(4)


def sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


@pytest.fixture
def two_two_two() -> bl.Network:
    """The often-cited example: w1 … w8 in the order of `parameters.values`."""
    net = bl.Network([bl.Dense(2, "sigmoid"), bl.Dense(2, "sigmoid")], inputs=2, dtype="float64")
    net.parameters.values[:] = [0.15, 0.25, 0.20, 0.30, 0.35, 0.35, 0.40, 0.50, 0.45, 0.55, 0.60, 0.60]
    return net


def large_network(**settings: Any) -> bl.Network:
    layers = [bl.Dense(128, "relu"), bl.Dropout(0.3), bl.Dense(64, "tanh"), bl.Dense(10, "softmax")]
    return bl.Network(layers, inputs=784, loss="cross_entropy", **settings)


# ── one sample, by hand ────────────────────────────────────────────────────────────────────────────────────


def test_two_two_two_by_hand(two_two_two: bl.Network) -> None:
    ledger = explain(two_two_two, [[0.05, 0.10]], [[0.01, 0.99]], optimizer=bl.SGD(0.5))
    z = [0.15 * 0.05 + 0.20 * 0.10 + 0.35, 0.25 * 0.05 + 0.30 * 0.10 + 0.35]
    h = [sigmoid(v) for v in z]
    u = [0.40 * h[0] + 0.45 * h[1] + 0.60, 0.50 * h[0] + 0.55 * h[1] + 0.60]
    o = [sigmoid(v) for v in u]
    upstream = [o[0] - 0.01, o[1] - 0.99]
    out = [upstream[k] * o[k] * (1 - o[k]) for k in range(2)]
    hidden = [(0.40 * out[0] + 0.50 * out[1]) * h[0] * (1 - h[0]), (0.45 * out[0] + 0.55 * out[1]) * h[1] * (1 - h[1])]

    first, second = ledger.layers
    np.testing.assert_allclose(first.z[0], z, rtol=1e-14)
    np.testing.assert_allclose(first.a[0], h, rtol=1e-14)
    np.testing.assert_allclose(first.slope[0], [v * (1 - v) for v in h], rtol=1e-13)
    np.testing.assert_allclose(first.delta[0], hidden, rtol=1e-13)
    np.testing.assert_allclose(second.delta[0], out, rtol=1e-13)
    assert ledger.loss_before == pytest.approx(0.5 * (upstream[0] ** 2 + upstream[1] ** 2), rel=1e-14)

    w1 = ledger.weight("0.weight", 0, 0)
    assert w1.gradient == pytest.approx(0.05 * hidden[0], rel=1e-13)
    assert w1.proof.digits > 6
    assert w1.update == pytest.approx(-0.5 * 0.05 * hidden[0], rel=1e-12)
    (top,), bottom = w1.levels
    assert [(t.unit, t.weight) for t in top.terms] == [(0, 0.40), (1, 0.50)]
    np.testing.assert_allclose([t.product for t in top.terms], [0.40 * out[0], 0.50 * out[1]], rtol=1e-13)
    assert top.upstream == pytest.approx(0.40 * out[0] + 0.50 * out[1], rel=1e-13)
    assert top.slope == pytest.approx(h[0] * (1 - h[0]), rel=1e-13)
    assert top.delta == pytest.approx(hidden[0], rel=1e-13)
    assert top.equation == "delta_0 = (Σ_k w[0, k] delta_k) · f′(z_0)"
    assert [unit.unit for unit in bottom] == [0, 1]
    np.testing.assert_allclose([unit.upstream for unit in bottom], upstream, rtol=1e-13)
    np.testing.assert_allclose([unit.target for unit in bottom], [0.01, 0.99])
    assert bottom[0].equation == "delta_0 = dL/da_0 · f′(z_0)"
    text = str(w1)
    for shown in ("= 0.05 · 0.00877135", "= 0.000438568", "0.0363503 · 0.241301", "digits agree", "0.15 → 0.149781"):
        assert shown in text


def test_two_two_two_golden(two_two_two: bl.Network) -> None:
    golden = json.loads(GOLDEN.read_text())["two-two-two"]
    ledger = explain(two_two_two, [[0.05, 0.10]], [[0.01, 0.99]], optimizer=bl.SGD(0.5))
    assert ledger.loss_before == pytest.approx(golden["loss_before"], rel=1e-12)
    assert ledger.loss_after == pytest.approx(golden["loss_after_biases_updated"], rel=1e-12)
    assert ledger.weight("0.weight", 0, 0).gradient == pytest.approx(golden["gradient_w1"], abs=1e-9)


def test_two_two_one_has_nine_gradients() -> None:
    net = bl.Network([bl.Dense(2), bl.Dense(1)], inputs=2, dtype="float64")
    net.parameters.values[:] = [1, 1, 1, 1, 0, 0, 1, 1, 0]
    ledger = explain(net, [[1.0, 1.0]], [1.0], optimizer=bl.SGD(0.1))
    gradients = {name: step.gradient.ravel().tolist() for name, step in ledger.parameters.items()}
    assert gradients == {"0.weight": [3, 3, 3, 3], "0.bias": [3, 3], "1.weight": [6, 6], "1.bias": [3]}
    np.testing.assert_allclose(ledger.parameters["0.weight"].after, 0.7, rtol=1e-15)
    # after the step: hidden 0.7 + 0.7 − 0.3 = 1.1 twice, output 0.4 · 2.2 − 0.3 = 0.58
    assert ledger.loss_after == pytest.approx(0.5 * (0.58 - 1) ** 2, rel=1e-12)
    bias = ledger.weight("1.bias", 0)
    assert (bias.gradient, bias.shares.tolist()) == (3.0, [3.0])
    assert len(bias.levels) == 1


# ── where the numbers come from ────────────────────────────────────────────────────────────────────────────


def test_nothing_outside_is_changed() -> None:
    net = large_network(l2=1e-3)
    X, y = rng.random((5, 784)).astype("float32"), [0, 1, 2, 3, 4]
    net.gradient(X, y)
    values, gradients = net.parameters.values.copy(), net.parameters.gradients.copy()
    optimizer = bl.SGD(0.1, momentum=0.9)
    history = bl.fit(net.astype("float32"), X, y, epochs=1, optimizer=optimizer, progress=False)
    slots = history.state.slots.copy()
    ledger = explain(net, X, y, optimizer=optimizer, state=history.state, step=3)
    z, digits = ledger.layers[0].z.copy(), ledger.weight("3.bias", 2).proof.digits
    str(ledger.account())
    assert (net.parameters.values == values).all()
    assert (net.parameters.gradients == gradients).all()
    assert (history.state.slots == slots).all()
    assert history.state.step == 1
    assert net.classes is None
    # and what happens outside afterwards does not change the ledger
    net.parameters.values[:] = 0
    X[:] = 0
    assert (ledger.layers[0].z == z).all()
    assert ledger.proof("3.bias", 2).digits == digits
    assert explain(net, X, y).proof("3.bias", 2) != ledger.proof("3.bias", 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        *(kind(0.1) for kind in OPTIMIZERS.values()),
        bl.SGD(0.1, momentum=0.9),
        bl.SGD(0.1, momentum=0.9, nesterov=True),
        bl.SGD(bl.ExponentialDecay(0.2), clip_norm=0.01),
        bl.AdamW(0.01, weight_decay=0.1),
    ],
    ids=repr,
)
def test_the_step_is_the_one_that_training_takes(optimizer: Any, dtype: str) -> None:
    net = bl.Network(
        [bl.Dense(4, "tanh"), bl.Dropout(0.4), bl.Dense(2, "softmax")],
        inputs=3, loss="cross_entropy", l1=1e-3, l2=1e-2, dtype=dtype,
    )  # fmt: skip
    X, y = rng.normal(size=(6, 3)), [0, 1, 1, 0, 1, 0]
    history = bl.fit(net, X, y, epochs=3, batch_size=None, optimizer=optimizer, progress=False)
    ledger = explain(net, X, y, optimizer=optimizer, state=history.state, step=history.state.step, epoch=3)
    before = net.parameters.values.copy()
    after = bl.fit(net, X, y, epochs=1, batch_size=None, optimizer=optimizer, progress=False, resume=history)
    assert ledger.loss_before == after["batch_loss_min"][-1]
    for name, step in ledger.parameters.items():
        assert step.after.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(step.before, before[net.parameters.slice(name)].reshape(step.shape))
        np.testing.assert_array_equal(step.after, net.parameters.view(name))
        np.testing.assert_array_equal(step.update, step.after.astype(float) - step.before.astype(float))
        parts = step.gradient_step + step.momentum + step.decay
        np.testing.assert_allclose(parts, step.update, atol=1e-15 if dtype == "float64" else 3e-7)
        np.testing.assert_allclose(step.data_gradient + step.penalty_gradient, step.gradient, rtol=1e-5, atol=1e-8)


def test_the_parts_of_gradient_and_update() -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2, l1=0.01, l2=0.1, dtype="float64", seed=2)
    net.parameters.view("0.bias")[:] = 0.5
    plain_net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2, dtype="float64")
    plain_net.parameters.values[:] = net.parameters.values
    X, y = rng.normal(size=(4, 2)), rng.normal(size=4)
    state = bl.fit(net.astype("float64"), X, y, epochs=2, optimizer=bl.SGD(0.1, momentum=0.9), progress=False).state
    v = state.slots[0][net.parameters.slice("0.weight")].reshape(2, 3)
    step = explain(net, X, y, optimizer=bl.SGD(0.1, momentum=0.9), state=state).parameters["0.weight"]
    w = net.parameters.view("0.weight")
    np.testing.assert_allclose(step.penalty_gradient, 0.1 * w + 0.01 * np.sign(w), rtol=1e-13)
    expected = plain_net.gradient(X, y)[net.parameters.slice("0.weight")].reshape(2, 3)
    np.testing.assert_allclose(step.data_gradient, expected, rtol=1e-12)
    np.testing.assert_allclose(step.momentum, 0.9 * v, rtol=1e-9)
    np.testing.assert_allclose(step.gradient_step, -0.1 * step.gradient, rtol=1e-9)
    assert (explain(net, X, y).parameters["0.bias"].penalty_gradient == 0).all()
    nesterov = bl.SGD(0.1, momentum=0.9, nesterov=True)
    step = explain(net, X, y, optimizer=nesterov, state=state).parameters["0.weight"]
    np.testing.assert_allclose(step.momentum, 0.81 * v, rtol=1e-9)
    np.testing.assert_allclose(step.gradient_step, -0.19 * step.gradient, rtol=1e-9)
    step = explain(net, X, y, optimizer=bl.AdamW(0.01, weight_decay=0.5)).parameters["0.weight"]
    np.testing.assert_allclose(step.decay, -0.005 * w, rtol=1e-9)
    assert (step.momentum == 0).all()


def test_a_clipped_gradient_is_said_to_be() -> None:
    net = bl.Network([bl.Dense(1, weight_init=3.0)], inputs=1, dtype="float64")
    ledger = explain(net, [[1.0]], [1.0], optimizer=bl.SGD(0.1, clip_norm=1.0))  # g = (2, 2), of length √8
    assert ledger.clip_factor == pytest.approx(1 / math.sqrt(8))
    assert ledger.parameters["0.weight"].gradient.item() == 2.0
    assert ledger.parameters["0.weight"].update.item() == pytest.approx(-0.2 / math.sqrt(8))
    assert "multiplied by 0.353553" in str(ledger)


def test_slopes_where_back_propagation_needed_none() -> None:
    X, y = rng.normal(size=(3, 2)), [0, 1, 1]
    sigmoid_net = bl.Network([bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy", dtype="float64")
    layer = explain(sigmoid_net, X, y).layers[0]
    np.testing.assert_allclose(layer.slope, layer.a * (1 - layer.a), rtol=1e-15)
    assert layer.note == "delta = a − y at once: cross_entropy and sigmoid are a pair, f′(z) cancels"
    np.testing.assert_array_equal(layer.delta, layer.a - np.array([[0.0], [1.0], [1.0]]))
    softmax_net = bl.Network([bl.Dense(2, "softmax"), bl.Dense(2, "softmax")], inputs=2, loss="cross_entropy")
    hidden, output = explain(softmax_net, X, y).layers
    assert hidden.slope is None
    assert "Jacobian" in hidden.note
    assert output.slope is None
    assert output.note == "delta = a − y at once: cross_entropy and softmax are a pair"


def test_dropout_is_a_factor() -> None:
    net = bl.Network([bl.Dropout(0.5), bl.Dense(6, "tanh"), bl.Dropout(0.5), bl.Dense(1)], inputs=8, dtype="float64")
    X, y = rng.normal(size=(2, 8)), [1.0, -1.0]
    without, with_mask = explain(net, X, y), explain(net, X, y, step=4)
    assert (without.layers[2].mask == 1).all()
    assert set(np.unique(with_mask.layers[2].mask)) == {0.0, 2.0}
    assert without.layers[0].delta is None
    unit = without.weight("1.weight", 0, 0).levels[0][0]
    assert [(factor.layer, factor.symbol, factor.value) for factor in unit.factors] == [(2, "m", 1.0)]
    assert " · m_0 · f′(z_0)" in unit.equation
    masks = [with_mask.weight("1.weight", 0, j, row=1).levels[0][0].factor for j in range(6)]
    np.testing.assert_array_equal(masks, with_mask.layers[2].mask[1])
    assert "mask of training step 4" in str(with_mask)
    for j in range(6):
        assert with_mask.weight("1.bias", j).proof.digits > 6


def test_sample_weights_count_rows() -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(2)], inputs=2, dtype="float64")
    X, y = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    weighted = explain(net, X, y, sample_weight=[2, 0, 1])
    repeated = explain(net, X[[0, 0, 2]], y[[0, 0, 2]])
    for name in weighted.parameters:
        a, b = weighted.parameters[name], repeated.parameters[name]
        np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-12)
    weight = weighted.weight("0.weight", 1, 1)
    assert weight.shares.sum() == pytest.approx(weight.gradient)
    assert weight.shares[1] == 0
    assert weight.rows("size")[-1].pushes == "–"
    assert "add up to 3" in str(weighted)


# ── unfolding ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "hidden", ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softmax"]
)
@pytest.mark.parametrize(
    ("output", "loss"),
    [("softmax", "cross_entropy"), ("softmax", "squared_error"), ("tanh", "huber"), ("exp", "poisson")],
)
def test_the_unfolding_multiplies_out(hidden: str, output: str, loss: str) -> None:
    layers = [bl.Dense(7, hidden), bl.Dropout(0.3), bl.Dense(6, hidden), bl.Dense(4, output)]
    net = bl.Network(layers, inputs=3, loss=loss, dtype="float64", l2=0.01, seed=7)
    X, y = rng.normal(size=(5, 3)), np.eye(4)[[0, 1, 2, 3, 0]]
    ledger = explain(net, X, y, sample_weight=[1, 2, 1, 0.5, 1], step=1)
    for index in ((0, 0), (2, 6), (1, 3)):
        weight = ledger.weight("0.weight", *index, terms=3)
        assert weight.shares.sum() == pytest.approx(weight.data_gradient, rel=1e-12, abs=1e-17)
        assert weight.data_gradient + weight.penalty_gradient == pytest.approx(weight.gradient, rel=1e-12)
        assert [level[0].layer for level in weight.levels] == [0, 2, 3]
        for level in weight.levels[:-1]:
            for unit in level:
                assert len(unit.terms) == 3
                assert unit.rest_count == (3 if unit.layer == 0 else 1)
                total = sum(t.weight * t.delta for t in unit.terms) + unit.rest_sum
                upstream = total * unit.factor
                assert unit.upstream == pytest.approx(upstream, rel=1e-12, abs=1e-17)
                if hidden != "softmax":
                    assert unit.delta == pytest.approx(upstream * unit.slope, rel=1e-12, abs=1e-17)
        for unit in weight.levels[-1]:
            if output == "tanh":
                assert unit.delta == pytest.approx(unit.upstream * unit.slope, rel=1e-12)
            elif loss != "squared_error":
                assert unit.way == "pair"
                assert unit.delta == pytest.approx((unit.a - unit.target) * unit.sample_weight, rel=1e-12)
        assert max(map(len, str(weight).splitlines())) <= 100


def test_rows_that_push_up_and_down() -> None:
    net = bl.Network([bl.Dense(1, weight_init=0.0, bias=False)], inputs=1, dtype="float64")
    # g_r = −x y: shares −1/4, 6/4, −0/4, −8/4
    ledger = explain(net, [[1.0], [2.0], [3.0], [2.0]], [1.0, -3.0, 0.0, 4.0], row_labels=["ada", "bob", "cyd", "dan"])
    weight = ledger.weight("0.weight", 0, 0)
    np.testing.assert_allclose(weight.shares, [-0.25, 1.5, 0.0, -2.0])
    assert [(r.label, r.pushes) for r in weight.rows("up")] == [
        ("dan", "up"), ("ada", "up"), ("cyd", "–"), ("bob", "down"),
    ]  # fmt: skip
    assert [r.label for r in weight.rows("down")] == ["bob", "cyd", "ada", "dan"]
    assert [r.label for r in weight.rows("size")] == ["dan", "bob", "ada", "cyd"]
    assert [r.row for r in weight.rows("row")] == [0, 1, 2, 3]
    assert weight.row == 3
    assert ledger.weight("0.weight", 0, 0, row=1).row == 1
    assert "2 rows pushed it up (-2.25 of the gradient), 1 row down (1.5), 1 neither" in str(weight)


# ── surfaces ───────────────────────────────────────────────────────────────────────────────────────────────


def test_large_networks_are_shown_by_their_largest() -> None:
    own = np.random.default_rng(0)  # whatever tests came before: how wide a table is depends on its numbers
    X, y = own.random((40, 784)).astype("float32"), own.integers(0, 10, 40)
    ledger = explain(large_network(l2=1e-4), X, y, optimizer=bl.AdamW(0.001))
    weight = ledger.weight("0.weight", 300, 5)
    for page in (ledger.page(), ledger.page(row=39), weight.page(), ledger.account().page(), ledger.shapes().page()):
        lines = page.text().splitlines()
        assert len(lines) < 100
        assert max(map(len, lines)) <= 100
        assert not any(line != line.rstrip() for line in lines)
    assert "The 10 largest gradients" in str(ledger)
    largest = np.abs(ledger.trace.gradient).argmax()
    name, index = ledger.net.parameters.locate(int(largest))
    assert f"{name}[{', '.join(map(str, index))}]" in str(ledger)
    assert len(json.dumps(ledger.to_dict(), allow_nan=False)) < 1e6
    assert ledger.to_dict()["parameters"][0]["gradient"]["shape"] == [784, 128]
    assert np.shape(ledger.to_dict(limit=None)["parameters"][0]["gradient"]) == (784, 128)
    for proof in ledger.array_proofs.values():
        assert proof.digits > 3


def test_json_html_and_colours(two_two_two: bl.Network) -> None:
    ledger = explain(two_two_two, [[0.05, 0.10], [1, 2]], [[0.01, 0.99], [0, 1]], row_labels=["<first>", "second"])
    weight, account = ledger.weight("0.weight", 0, 0), ledger.account()
    for thing in (ledger, weight, account, ledger.shapes(), shapes(two_two_two, 2)):
        parsed = json.loads(json.dumps(thing.to_dict(), allow_nan=False))
        assert parsed
        html = thing._repr_html_()
        assert html.count("<div") == html.count("</div>")
        assert "<first>" not in html
        assert str(thing) == thing.page().text()
        piped, coloured = io.StringIO(), io.StringIO()
        show(thing, Console(file=piped, width=100))
        show(thing, Console(file=coloured, width=100, force_terminal=True, color_system="standard"))
        assert piped.getvalue() == str(thing) + "\n"
        assert "\x1b[" in coloured.getvalue()
        Console(file=piped, width=100).print(thing)
        assert piped.getvalue() == 2 * (str(thing) + "\n")
    parsed = ledger.to_dict()
    np.testing.assert_array_equal(parsed["layers"][0]["delta"], ledger.layers[0].delta)
    assert parsed["loss_after"] == ledger.loss_after
    rows = weight.to_dict()["rows"]
    assert [row["label"] for row in rows] == ["<first>", "second"]
    assert sum(row["share"] for row in rows) == pytest.approx(weight.gradient)


def test_a_network_that_is_not_finite_still_has_pages() -> None:
    net = bl.Network([bl.Dense(2, "relu"), bl.Dense(1)], inputs=2)
    net.parameters.view("0.weight")[0, 0] = np.nan
    ledger = explain(net, [[1.0, 2.0]], [1.0])
    assert "nan" in str(ledger)
    assert "not finite" in str(ledger.account())
    str(ledger.weight("0.weight", 0, 0))
    json.dumps([ledger.to_dict(), ledger.account().to_dict()], allow_nan=False)


# ── bad calls ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.weight("0.weigth", 0, 0), r"there is no parameter '0.weigth': did you mean '0.weight'"),
        (lambda e: e.weight("0.weight", 2, 0), r"0.weight\[2, 0\] does not exist: 0.weight has 2 inputs × 2 units, "),
        (lambda e: e.weight("0.weight", 0), r"0.weight\[0\] does not exist: 0.weight has 2 inputs × 2 units"),
        (lambda e: e.weight("0.weight", 0, -1), r"0.weight\[0, -1\] does not exist"),
        (lambda e: e.weight("0.weight", 0, 0.5), r"0.weight\[0, 0.5\] does not exist"),
        (lambda e: e.weight("1.bias", 2), r"1.bias\[2\] does not exist: 1.bias has 2 units, counted from 0"),
        (lambda e: e.weight("1.bias", 0, row=1), r"there is no row 1 in this batch: it has one row, 0"),
        (lambda e: e.weight("1.bias", 0, terms=0), r"terms must be a whole number of at least 1, received 0"),
        (lambda e: e.weight("1.bias", 0).rows("best"), r"order must be one of 'up', 'down', 'size', 'row'"),
        (lambda e: e.page(row=1.5), r"there is no row 1.5 in this batch"),
        (lambda e: e.proof("2.bias", 0), r"there is no parameter '2.bias'"),
        (lambda e: e.account().parameter("0.bias", 7), r"0.bias\[7\] does not exist: 0.bias has 2 units"),
        (lambda e: shapes(e.net, 0), r"n must be a whole number of at least 1, received 0"),
        (lambda e: explain(e.net, [[1, 2]], [[0, 1]], row_labels="ab"), r"row_labels must have 1 entries.* received 2"),
        (lambda e: explain(e.net, [[1, 2, 3]], [[0, 1]]), r"X must have 2 columns"),
        (lambda e: explain(e.net, [[1, 2]], [[0, 1]], optimizer=bl.LBFGS()), r"optimizer must be SGD.* received LBFGS"),
        (lambda e: explain(e.net, [[1, 2]], [[0, 1]], step="a"), r"step must be a whole number of at least 0, or None"),
        (lambda e: explain(e.net, [[1, 2]], [[0, 1]], epoch=-1), r"epoch must be a finite number of at least 0"),
        (
            lambda e: explain(e.net, [[1, 2]], [[0, 1]], optimizer=bl.Adam(), state=_state(bl.SGD(0.1, momentum=0.9))),
            r"the optimiser's state has shape \(1, 3\), but Adam\(0.001\) on this network needs \(2, 12\)",
        ),
        (lambda e: loss_account(e.net, [[1, 2]], [[0, np.nan]]), r"y has nan in row 0, column 1"),
    ],
)  # fmt: skip
def test_bad_calls_get_one_sentence(two_two_two: bl.Network, call: Callable[[Any], object], message: str) -> None:
    ledger = explain(two_two_two, [[0.05, 0.10]], [[0.01, 0.99]])
    with pytest.raises(bl.BacklitError, match=message) as error:
        call(ledger)
    assert "\n" not in str(error.value)


def _state(optimizer: Any) -> Any:
    net = bl.Network([bl.Dense(1)], inputs=2)
    return bl.fit(net, [[1.0, 2.0]], [1.0], epochs=1, optimizer=optimizer, progress=False).state
