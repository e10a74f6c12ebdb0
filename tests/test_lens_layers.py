"""Every layer in the lens: explained, unfolded, recorded and drawn, against arithmetic written out here in NumPy."""

# mypy: disable-error-code="union-attr, index, arg-type, operator"
# What can be None elsewhere is there in these networks.
from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import kinds
from backlit.kinds.layer import Computation, Factors, Layer
from backlit.lens import explain, shapes
from backlit.lens.recording.player import Player
from backlit.lens.recording.recording import Recording
from backlit.lens.report.page import report
from backlit.lens.step.delta import adds_up
from backlit.parameters import Array

rng = np.random.default_rng(12)
X = rng.normal(size=(5, 2))
Y = rng.normal(size=(5, 2))
W = np.array([0.5, 2.0, 1.0, 1.5, 0.25])  # sample weights
STEP = 3
EPSILON = 1e-5


class Twice(Layer):
    """A layer of a user, with nothing but its passes."""

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.multiply(work.a[i], 2.0, out=work.a[i + 1])

    def backward(self, work: Any, i: int, below: bool) -> None:
        if below:
            np.multiply(work.delta[i], 2.0, out=work.delta[i - 1])


class Gain(Layer):
    """One factor for everything, whose gradient is not written out."""

    gain: Array
    gain_gradient: Array

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"gain": (1,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> float:
        return 1.5

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.multiply(work.a[i], self.gain[0], out=work.a[i + 1])

    def backward(self, work: Any, i: int, below: bool) -> None:
        self.gain_gradient[0] = (work.a[i] * work.delta[i]).sum()
        if below:
            np.multiply(work.delta[i], self.gain[0], out=work.delta[i - 1])


class Shift(Gain):
    """One number added to every unit, and told to the lens in its own words."""

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"offset": (inputs,)}

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.add(work.a[i], self.offset, out=work.a[i + 1])  # type: ignore[attr-defined]

    def backward(self, work: Any, i: int, below: bool) -> None:
        self.offset_gradient[...] = work.delta[i].sum(axis=0)  # type: ignore[attr-defined]
        if below:
            work.delta[i - 1][...] = work.delta[i]

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "1", np.ones((5, self.outputs))

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        return Factors(np.ones(len(delta)), delta[:, index[0]], "", f"dL/da_{index[0]}")


# ── a network of three layers, worked out by hand ──────────────────────────────────────────────────────────


@dataclass
class Hand:
    """2 → tanh 3 → the layer in question → 2, squared error: every number of it, rows weighted."""

    a1: Array  # what the layer takes, (n, 3)
    middle: dict[str, Array]  # by symbol, (n, 3)
    a2: Array  # what it gives
    upstream: Array  # dL/da of what it gives, weighted
    below: Array  # dL/da of what it takes
    delta1: Array  # of the tanh layer
    gradients: dict[str, Array]


MIDDLE: dict[str, tuple[Callable[[], Layer], int | None]] = {
    "scale": (lambda: bl.Scale(), None),
    "layer norm": (lambda: bl.LayerNorm(), None),
    "batch norm in inference": (lambda: bl.BatchNorm(), None),
    "batch norm in training": (lambda: bl.BatchNorm(), STEP),
    "dropout in training": (lambda: bl.Dropout(0.4), STEP),
    "of the user": (lambda: Twice(), None),
    "of the user, told": (lambda: Shift(), None),
}
every_layer = pytest.mark.parametrize("name", list(MIDDLE))


def network(name: str) -> bl.Network:
    make, _ = MIDDLE[name]
    net = bl.Network([bl.Dense(3, "tanh"), make(), bl.Dense(2)], inputs=2, dtype="float64", seed=6)
    values = np.random.default_rng(3)
    for parameter in net.parameters.names:
        view = net.parameters.view(parameter)
        view[...] = values.normal(size=view.shape) + (1.0 if parameter == "1.scale" else 0.0)
    if net.parameters.buffers.size:
        net.layers[1].mean, net.layers[1].variance = [0.1, -0.2, 0.3], [0.5, 0.4, 0.9]
    return net


def by_hand(name: str, net: bl.Network) -> Hand:
    v = net.parameters.view
    a1 = np.tanh(X @ v("0.weight") + v("0.bias"))
    p = W / W.sum()
    jacobian = np.zeros((5, 3, 5, 3))  # d a2[r, i] / d a1[s, j]
    middle: dict[str, Array] = {}
    eye = np.eye(3)
    if name == "scale":
        a2 = a1 * v("1.factor")
        for r in range(5):
            jacobian[r, :, r, :] = np.diag(v("1.factor"))
    elif name == "layer norm":
        sigma = np.sqrt(a1.var(axis=1) + EPSILON)
        x_hat = (a1 - a1.mean(axis=1)[:, None]) / sigma[:, None]
        a2 = v("1.scale") * x_hat + v("1.shift")
        middle["x̂"] = x_hat
        for r in range(5):
            jacobian[r, :, r, :] = v("1.scale")[:, None] / sigma[r] * (eye - 1 / 3 - np.outer(x_hat[r], x_hat[r]) / 3)
    elif name == "batch norm in inference":
        sigma = np.sqrt(np.array([0.5, 0.4, 0.9]) + EPSILON)
        middle["x̂"] = (a1 - [0.1, -0.2, 0.3]) / sigma
        a2 = v("1.scale") * middle["x̂"] + v("1.shift")
        for r in range(5):
            jacobian[r, :, r, :] = np.diag(v("1.scale") / sigma)
    elif name == "batch norm in training":
        mean = np.average(a1, axis=0, weights=W)
        sigma = np.sqrt(np.average((a1 - mean) ** 2, axis=0, weights=W) + EPSILON)
        x_hat = middle["x̂"] = (a1 - mean) / sigma
        a2 = v("1.scale") * x_hat + v("1.shift")
        for j in range(3):
            rows = np.eye(5) - p[None, :] - np.outer(x_hat[:, j], x_hat[:, j] * p)
            jacobian[:, j, :, j] = v("1.scale")[j] / sigma[j] * rows
    elif name == "dropout in training":
        drawn, room = np.empty((5, 3)), np.empty((5, 3), np.float32)
        bl.Dropout(0.4).draw_mask(drawn, room, (6, 1, STEP))
        middle["mask"] = drawn
        a2 = a1 * drawn
        for r in range(5):
            jacobian[r, :, r, :] = np.diag(drawn[r])
    elif name == "of the user":
        a2 = 2.0 * a1
        for r in range(5):
            jacobian[r, :, r, :] = 2.0 * eye
    else:
        a2 = a1 + v("1.offset")
        for r in range(5):
            jacobian[r, :, r, :] = eye
    delta2 = W[:, None] * (a2 @ v("2.weight") + v("2.bias") - Y)
    upstream = delta2 @ v("2.weight").T
    below = np.einsum("ri,risj->sj", upstream, jacobian)
    delta1 = below * (1 - a1**2)
    gradients = {"0.weight": X.T @ delta1, "0.bias": delta1.sum(axis=0)}
    gradients |= {"2.weight": a2.T @ delta2, "2.bias": delta2.sum(axis=0)}
    if name == "scale":
        gradients["1.factor"] = (a1 * upstream).sum(axis=0)
    elif "norm" in name:
        gradients |= {"1.scale": (middle["x̂"] * upstream).sum(axis=0), "1.shift": upstream.sum(axis=0)}
    elif name == "of the user, told":
        gradients["1.offset"] = upstream.sum(axis=0)
    return Hand(a1, middle, a2, upstream, below, delta1, {k: g / W.sum() for k, g in gradients.items()})


def explained(name: str) -> tuple[bl.Network, Any, Hand]:
    net = network(name)
    ledger = explain(net, X, Y, sample_weight=W, step=MIDDLE[name][1], optimizer=bl.SGD(0.1))
    return net, ledger, by_hand(name, net)


# ── explain ────────────────────────────────────────────────────────────────────────────────────────────────


@every_layer
def test_the_ledger_holds_what_was_worked_out_by_hand(name: str) -> None:
    _, ledger, hand = explained(name)
    first, middle, last = ledger.layers
    np.testing.assert_allclose(middle.a_in, hand.a1, rtol=1e-12)
    np.testing.assert_allclose(middle.a, hand.a2, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(middle.delta, hand.upstream, rtol=1e-9)
    np.testing.assert_allclose(middle.upstream, hand.upstream, rtol=1e-9)
    np.testing.assert_allclose(first.upstream, hand.below, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(first.delta, hand.delta1, rtol=1e-8, atol=1e-11)
    for symbol, array in hand.middle.items():
        np.testing.assert_allclose(middle.values[symbol], array, rtol=1e-9, atol=1e-12)
    assert (middle.z, middle.slope, middle.activation, middle.delta_name) == (None, None, None, "dL/da")
    assert list(middle.columns(0))[-2:] == ["a", "dL/da"]
    assert last.delta_name == "delta"
    assert set(ledger.parameters) == set(hand.gradients)
    for parameter, gradient in hand.gradients.items():
        np.testing.assert_allclose(ledger.parameters[parameter].gradient, gradient, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(ledger.parameters[parameter].update, -0.1 * gradient, rtol=1e-7, atol=1e-12)
    json.dumps(ledger.to_dict(), allow_nan=False)
    # the layers have their own backward pass back
    assert all("backward" not in layer.__dict__ for layer in ledger.net.layers)


@every_layer
def test_every_parameter_is_unfolded_and_proven(name: str) -> None:
    _, ledger, hand = explained(name)
    for parameter, gradient in hand.gradients.items():
        for index in np.ndindex(gradient.shape):
            weight = ledger.weight(parameter, *index)
            assert weight.gradient == pytest.approx(gradient[index], rel=1e-8, abs=1e-12)
            assert weight.shares.sum() == pytest.approx(gradient[index], rel=1e-8, abs=1e-12)
            assert weight.proof.digits > 6
            assert weight.levels[-1][0].layer == 2
            assert max(map(len, str(weight).splitlines())) <= 100
    assert ledger.account().unaccounted < 0.01
    assert max(map(len, ledger.shapes().page().text(80).splitlines())) <= 80


OWN = {
    "scale": ("1.factor", "a_2", "dL/da_2"),
    "layer norm": ("1.scale", "x̂_2", "dL/da_2"),
    "batch norm in inference": ("1.scale", "x̂_2", "dL/da_2"),
    "batch norm in training": ("1.scale", "x̂_2", "dL/da_2"),
}


@pytest.mark.parametrize("name", list(OWN))
def test_the_parameters_of_a_layer_have_equations_of_their_own(name: str) -> None:
    net, ledger, hand = explained(name)
    parameter, left, right = OWN[name]
    weight = ledger.weight(parameter, 2, row=4)
    assert (weight.left, weight.right, weight.product) == (left, right, f"{left} · {right}")
    factor = hand.a1 if name == "scale" else hand.middle["x̂"]
    np.testing.assert_allclose(weight.a, factor[:, 2], rtol=1e-9)
    np.testing.assert_allclose(weight.delta, hand.upstream[:, 2], rtol=1e-9)
    assert f"∂L/∂{parameter[2:]}[2]" in str(weight)
    assert f"= Σ_rows {left} · {right} / 5.25" in str(weight)
    # dL/da_2 of row 4 = Σ_k w[2, k] delta_k: no slope, no factor
    unit = weight.levels[0][0]
    v = net.parameters.view
    delta2 = W[4] * (hand.a2[4] @ v("2.weight") + v("2.bias") - Y[4])
    assert (unit.name, unit.way, unit.slope, unit.z, unit.factors, unit.through) == (
        "dL/da", "given", None, None, [], "",
    )  # fmt: skip
    assert unit.equation == "dL/da_2 = Σ_k w[2, k] delta_k"
    by_unit = sorted((term.unit, term.product) for term in unit.terms)
    np.testing.assert_allclose([product for _, product in by_unit], v("2.weight")[2] * delta2, rtol=1e-9)
    assert unit.total == pytest.approx(hand.upstream[4, 2], rel=1e-9)
    if name != "scale":
        shift = ledger.weight("1.shift", 1)
        assert (shift.left, shift.right) == ("", "dL/da_1")
        np.testing.assert_allclose(shift.a, 1.0)


@pytest.mark.parametrize(
    ("name", "symbol", "equation"),
    [
        ("scale", "s", "delta_1 = (Σ_k w[1, k] delta_k) · s_1 · f′(z_1)"),
        ("batch norm in inference", "γ/σ", "delta_1 = (Σ_k w[1, k] delta_k) · γ_1/σ_1 · f′(z_1)"),
        ("dropout in training", "m", "delta_1 = (Σ_k w[1, k] delta_k) · m_1 · f′(z_1)"),
    ],
)
def test_a_layer_whose_units_stand_alone_is_a_factor(name: str, symbol: str, equation: str) -> None:
    net, ledger, hand = explained(name)
    v = net.parameters.view
    factors = {
        "s": lambda: v("1.factor")[1],
        "γ/σ": lambda: v("1.scale")[1] / np.sqrt(0.4 + EPSILON),
        "m": lambda: hand.middle["mask"][2, 1],
    }
    weight = ledger.weight("0.bias", 1, row=2)
    unit = weight.levels[0][0]
    assert [(factor.layer, factor.symbol) for factor in unit.factors] == [(1, symbol)]
    assert unit.factor == pytest.approx(factors[symbol](), rel=1e-12)
    assert unit.equation == equation
    assert unit.total == pytest.approx(hand.upstream[2, 1], rel=1e-9)
    assert unit.upstream == pytest.approx(hand.below[2, 1], rel=1e-9)
    assert [level[0].layer for level in weight.levels] == [0, 2]
    assert f"{unit.total:.6g} · {unit.factor:.6g} · {unit.slope:.6g} = {unit.delta:.6g}" in str(weight)


@pytest.mark.parametrize(
    ("name", "through"),
    [
        ("layer norm", "through mean and spread of the row"),
        ("batch norm in training", "through mean and spread of the batch"),
        ("of the user", "through Twice"),
    ],
)
def test_a_layer_that_mixes_its_units_shows_what_is_above_and_below(name: str, through: str) -> None:
    _, ledger, hand = explained(name)
    weight = ledger.weight("0.weight", 0, 1, row=2)
    below, above, output = weight.levels
    assert [level[0].layer for level in weight.levels] == [0, 1, 2]
    assert (below[0].through, below[0].terms, below[0].factors) == (through, [], [])
    assert below[0].upstream == below[0].total == pytest.approx(hand.below[2, 1], rel=1e-9)
    assert below[0].delta == pytest.approx(hand.delta1[2, 1], rel=1e-9)
    assert below[0].equation == f"delta_1 = (dL/da {through}) · f′(z_1)"
    assert above[0].unit == 1  # the same unit first, then those with the largest dL/da
    assert {unit.unit for unit in above} == {0, 1, 2}
    for unit in above:
        assert unit.delta == pytest.approx(hand.upstream[2, unit.unit], rel=1e-9)
        assert (unit.name, unit.way) == ("dL/da", "given")
    assert {unit.unit for unit in output} == {0, 1}
    assert through in str(weight)


def test_factors_below_a_layer_that_mixes() -> None:
    layers = [bl.Dense(3, "tanh"), bl.Scale(2.0), bl.Scale(-1.5), bl.LayerNorm(), bl.Dense(1)]
    net = bl.Network(layers, inputs=2, dtype="float64")
    unit = explain(net, X, Y[:, 0]).weight("0.bias", 2, row=1).levels[0][0]
    assert [(f.layer, f.symbol, f.value) for f in unit.factors] == [(1, "s", 2.0), (2, "s", -1.5)]
    assert unit.next_layer == 3
    assert unit.upstream == pytest.approx(-3.0 * unit.total, rel=1e-12)
    assert unit.equation == "delta_2 = (dL/da through mean and spread of the row) · s_2 · s_2 · f′(z_2)"


def test_a_parameter_that_is_not_written_out_has_its_finite_difference() -> None:
    net = bl.Network([bl.Dense(3, "tanh"), Gain(), bl.Dense(2)], inputs=2, dtype="float64")
    ledger = explain(net, X, Y)
    v = net.parameters.view
    a1 = np.tanh(X @ v("0.weight") + v("0.bias"))
    delta2 = 1.5 * a1 @ v("2.weight") + v("2.bias") - Y
    expected = float((a1 * (delta2 @ v("2.weight").T)).sum() / 5)
    weight = ledger.weight("1.gain", 0)
    assert weight.gradient == pytest.approx(expected, rel=1e-12)
    assert weight.proof.finite_difference == pytest.approx(expected, rel=1e-7)
    assert (weight.shares.size, weight.rows(), weight.levels, weight.n) == (0, [], [], 5)
    text = " ".join(str(weight).split())
    assert "The gradient of gain of Gain() is not written out: the layer is your own." in text
    assert "digits agree" in text
    assert json.loads(json.dumps(weight.to_dict(), allow_nan=False))["not_written_out"]
    assert "1.gain[0]" in str(ledger)


class Whole(Gain):
    """The same gain, its gradient told as one product a row: of no single unit."""

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        return Factors(np.ones(len(delta)), (a_in * delta).sum(axis=1), "", "⟨a, dL/da⟩")


def test_a_factor_that_is_no_delta_of_a_unit_is_not_unfolded_further() -> None:
    net = bl.Network([bl.Dense(3, "tanh"), Whole(), bl.Dense(2)], inputs=2, dtype="float64")
    weight = explain(net, X, Y).weight("1.gain", 0)
    assert weight.levels == []
    assert weight.shares.sum() == pytest.approx(weight.proof.finite_difference, rel=1e-7)
    assert "= Σ_rows ⟨a, dL/da⟩ / 5" in str(weight)


def test_what_counts_as_a_layer_with_weights() -> None:
    class Elementwise(Layer):  # a weight for each feature, without activation
        def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
            self.inputs = self.outputs = inputs
            return {"weight": (inputs, inputs)}

    class Untold(Elementwise):  # with one, but it does not say that its inputs meet in a sum
        activation = bl.Dense(1, "tanh").activation

    class Told(Untold):
        def forward_steps(self, n: int) -> list[Computation]:
            return [Computation("z = a_in W", ((), ()), (), "inputs", "")]

    class Said(Elementwise):  # the sum, but no activation: its delta is no dL/dz
        forward_steps = Told.forward_steps

    layers = [Elementwise(), Untold(), Told(), Said(), bl.Scale(), bl.Dense(2)]
    net = bl.Network(layers, inputs=2)
    assert [adds_up(layer) for layer in net.layers] == [False, False, True, False, False, True]


# ── any place ──────────────────────────────────────────────────────────────────────────────────────────────

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Scale": (1.2,), "Dropout": (0.3,),
    "ParallelDense": (3, 2, "tanh"), "Parametric": ("tanh", 0.7),
}  # fmt: skip
LAYERS: list[Callable[[], Layer]] = [
    *(partial(kind, *ARGUMENTS.get(name, ())) for name, kind in kinds.LAYERS.items()
      if name not in ("Dense", "Embedding")), Twice, Gain,
]  # fmt: skip


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("step", [None, 2])
def test_a_layer_in_any_place(make: Callable[[], Layer], place: int, step: int | None, tmp_path: Path) -> None:
    layers: list[Layer] = [bl.Dense(4, "tanh"), bl.Dense(3, "sigmoid"), bl.Dense(2, "softmax")]
    layers.insert(min(place, 2), make())
    if place == 3:
        layers[2:2] = [make(), make()]
    net = bl.Network(layers, inputs=2, loss="cross_entropy", dtype="float64", l2=0.01)
    y = [0, 1, 1, 0, 1]
    ledger = explain(net, X, y, step=step, optimizer=bl.Adam())
    for position in range(0, net.parameters.size, 3):
        name, index = net.parameters.locate(position)
        weight = ledger.weight(name, *index)
        assert weight.gradient == pytest.approx(weight.proof.finite_difference, rel=1e-6, abs=1e-10)
        str(weight)
    for page in (ledger.page(), ledger.page(row=1), ledger.account().page(), ledger.shapes().page()):
        assert page.text()
    text = report(net, X, y, tmp_path / "r.html", step=step).read_text()
    assert ledger.net.layers[place if place < 3 else 2].title in text


# ── which pass ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_says_which_pass_it_is(tmp_path: Path) -> None:
    net = network("batch norm in training")
    inference, training = explain(net, X, Y), explain(net, X, Y, step=STEP)
    assert "pass of inference: batch norm uses what it remembers" in " ".join(str(inference).split())
    assert "pass of training: batch norm with mean and spread of this very batch" in " ".join(str(training).split())
    assert inference.loss_before == pytest.approx(net.loss(X, Y), rel=1e-12)
    assert training.loss_before != inference.loss_before
    for step, told in ((None, "This is the pass of inference"), (STEP, "This is the pass of training")):
        assert told in report(net, X, Y, tmp_path / "r.html", step=step).read_text()
    assert explain(network("scale"), X, Y, step=STEP).trace.which_pass == ""
    assert explain(network("dropout in training"), X, Y).trace.which_pass == ""
    assert training.to_dict()["pass"] == training.trace.which_pass
    # nothing of the explained step is remembered
    np.testing.assert_array_equal(net.layers[1].mean, [0.1, -0.2, 0.3])


# ── shapes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_shapes_of_every_layer_are_told() -> None:
    layers = [bl.Scale(), bl.Dense(3, "tanh"), bl.LayerNorm(), Twice(), bl.Dense(1)]
    steps = shapes(bl.Network(layers, inputs=2), 7).steps
    told = [(step.layer, step.direction, step.equation) for step in steps if step.layer in (0, 2, 3)]
    assert told == [
        (0, "forward", "a = a_in ⊙ s"),
        (2, "forward", "x̂ = (a_in − μ) / σ"),
        (2, "forward", "a = γ ⊙ x̂ + β"),
        (3, "forward", "a = Twice(a_in)"),
        (3, "backward", "dL/da_in from dL/da, through Twice"),
        (2, "backward", "dL/dγ = Σ_rows x̂ ⊙ dL/da"),
        (2, "backward", "dL/dβ = Σ_rows dL/da"),
        (2, "backward", "dL/da_in = (g − mean g − x̂ mean(g ⊙ x̂)) / σ, g = γ ⊙ dL/da"),
        (0, "backward", "dL/ds = Σ_rows a_in ⊙ dL/da"),  # nobody needs dL/da below the first layer that learns
    ]
    scale = steps[0]
    assert scale.shapes == "(7 samples × 2 inputs) with (2 units) → (7 samples × 2 units)"
    assert scale.to_dict()["reason"] == scale.reason == scale.computation.reason
    below = shapes(bl.Network([bl.Dropout(0.5), bl.Dense(1)], inputs=2), 1).steps
    assert {(step.layer, step.direction) for step in below} == {(0, "forward"), (1, "forward"), (1, "backward")}


# ── recordings ─────────────────────────────────────────────────────────────────────────────────────────────


def recorded(*layers: Layer, **settings: Any) -> tuple[bl.Network, Player]:
    net = bl.Network(list(layers), inputs=2, dtype="float64", seed=6)
    recorder = bl.Recorder()
    start = net.astype("float64")
    bl.fit(
        net, X, Y, epochs=3, batch_size=5, shuffle=False, optimizer=bl.SGD(0.1), callbacks=[recorder],
        engine="reference", progress=False, **settings,
    )  # fmt: skip
    return start, recorder.recording.player()


def test_the_player_shows_a_scale_as_one_product() -> None:
    net, player = recorded(bl.Dense(3, "tanh"), bl.Scale(2.0), bl.Dense(2))
    v = net.parameters.view
    a1 = np.tanh(X @ v("0.weight") + v("0.bias"))
    delta2 = 2.0 * a1 @ v("2.weight") + v("2.bias") - Y
    upstream = delta2 @ v("2.weight").T
    stages = [(s.direction, s.layer, s.units, s.terms) for s in player.stages]
    assert stages == [
        ("forward", 0, 3, 3), ("forward", 1, 3, 1), ("forward", 2, 2, 4),
        ("backward", 2, 2, 1), ("gradient", 2, 2, 4),
        ("backward", 1, 3, 2), ("gradient", 1, 3, 1),
        ("backward", 0, 3, 2), ("gradient", 0, 3, 3),
    ]  # fmt: skip
    frame = player.at(0, sample=3, direction="forward", layer=1, unit=2)
    assert frame.values == {"a_in": pytest.approx(a1[3, 2]), "a": pytest.approx(2.0 * a1[3, 2])}
    assert frame.line.startswith("a_2 = a_in_2 · s_2 = ")
    frame = player.at(0, sample=3, direction="backward", layer=1, unit=2, term=1)
    assert frame.values["product"] == pytest.approx(v("2.weight")[2, 1] * delta2[3, 1])
    assert player.frame("neuron").values["delta"] == pytest.approx(upstream[3, 2])
    frame = player.at(0, sample=3, direction="gradient", layer=1, unit=2, term=0)
    assert frame.values["product"] == pytest.approx(a1[3, 2] * upstream[3, 2])
    assert frame.values["share"] == pytest.approx(a1[3, 2] * upstream[3, 2] / 5)
    assert frame.values["gradient"] == pytest.approx((a1[:, 2] * upstream[:, 2]).mean())
    layer = player.frame("layer").values
    assert layer["∂L/∂factor"] == pytest.approx((a1[3] * upstream[3]).tolist())
    below = player.at(0, sample=3, direction="backward", layer=0, unit=2)
    assert below.values["delta"] == pytest.approx(2.0 * upstream[3, 2] * (1 - a1[3, 2] ** 2))
    assert "· s_2 · f′(z_2)" in str(below)


@pytest.mark.parametrize(("layer", "axis"), [(bl.LayerNorm(), 1), (bl.BatchNorm(), 0)])
def test_the_player_shows_a_norm_as_a_line_with_its_numbers(layer: Layer, axis: int) -> None:
    net, player = recorded(bl.Dense(3, "tanh"), layer, bl.Dense(2))
    v = net.parameters.view
    a1 = np.tanh(X @ v("0.weight") + v("0.bias"))
    x_hat = (a1 - a1.mean(axis=axis, keepdims=True)) / np.sqrt(a1.var(axis=axis, keepdims=True) + EPSILON)
    delta2 = x_hat @ v("2.weight") + v("2.bias") - Y
    upstream = delta2 @ v("2.weight").T
    # each parameter of a unit is a product of its gradient; a delta that comes through all units is no sum
    assert [(s.direction, s.layer, s.terms) for s in player.stages] == [
        ("forward", 0, 3), ("forward", 1, 1), ("forward", 2, 4), ("backward", 2, 1), ("gradient", 2, 4),
        ("backward", 1, 2), ("gradient", 1, 2), ("backward", 0, 1), ("gradient", 0, 3),
    ]  # fmt: skip
    frame = player.at(0, sample=1, direction="forward", layer=1, unit=0)
    assert frame.values == {s: pytest.approx(n[1, 0]) for s, n in (("a_in", a1), ("x̂", x_hat), ("a", x_hat))}
    assert frame.line.startswith("a_in_0 = ")
    assert "a = γ ⊙ x̂ + β" in str(frame)
    assert player.frame("layer").values["x̂"] == pytest.approx(x_hat[1].tolist())
    frame = player.at(0, sample=1, direction="gradient", layer=1, unit=0, term=0)
    assert frame.values["product"] == pytest.approx(x_hat[1, 0] * upstream[1, 0])
    assert frame.values["gradient"] == pytest.approx((x_hat[:, 0] * upstream[:, 0]).mean())
    assert player.frame("neuron").values["products"] == pytest.approx([x_hat[1, 0] * upstream[1, 0], upstream[1, 0]])
    frame = player.next("product")
    assert frame.values["product"] == pytest.approx(upstream[1, 0])
    assert "1.shift[0]" in str(frame)
    told = "This is the pass of training: batch norm with mean and spread of this very batch"
    assert (told in " ".join(str(player.frame("batch")).split())) == (axis == 0)
    # dL/da of one row through the Jacobian of its mean and spread; of a batch, through that of each unit
    sigma = np.sqrt(a1.var(axis=axis) + EPSILON)
    if axis == 1:
        jacobian = (np.eye(3) - 1 / 3 - np.outer(x_hat[1], x_hat[1]) / 3) / sigma[1]
        below = float(upstream[1] @ jacobian[:, 0])
    else:
        jacobian = (np.eye(5) - 1 / 5 - np.outer(x_hat[:, 0], x_hat[:, 0]) / 5) / sigma[0]
        below = float(upstream[:, 0] @ jacobian[:, 1])
    frame = player.at(0, sample=1, direction="backward", layer=0, unit=0)
    assert frame.values["upstream"] == pytest.approx(below, rel=1e-7)
    assert frame.values["delta"] == pytest.approx(below * (1 - a1[1, 0] ** 2), rel=1e-7)
    assert frame.line.endswith(f"through mean and spread of the {'row' if axis else 'batch'}")


def test_the_player_shows_what_a_layer_of_the_user_tells() -> None:
    _, player = recorded(bl.Dense(3, "tanh"), Twice(), bl.Dense(2))
    assert [(s.direction, s.layer, s.terms) for s in player.stages][5:] == [
        ("backward", 1, 2), ("backward", 0, 1), ("gradient", 0, 3),
    ]  # fmt: skip
    # what is added up is no product, though it has a factor on the way back
    net, player = recorded(bl.Dense(3, "tanh"), Shift(), bl.Dense(2))
    net.layers[1].offset[:] = 0.0
    step = player.at(1, sample=0, direction="forward", layer=1, unit=2)
    shift = player.scene.trace.net.layers[1].offset[2]
    assert shift != 0.0
    assert step.values["a"] == pytest.approx(step.values["a_in"] + shift)
    assert step.line.startswith("a_in_2 = ")
    assert player.at(1, sample=0, direction="backward", layer=0, unit=2).line.count(" · ") == 2  # sum, factor, slope


def test_every_layer_can_be_stepped_through() -> None:
    layers = [bl.Dropout(0.2), Gain(), bl.Dense(3, "softmax"), bl.BatchNorm(), Twice(), bl.LayerNorm(), bl.Dense(2)]
    _, player = recorded(*layers)
    lines = [player.frame("product").line]
    while player.place.sample < 1:
        lines.append(player.next("product").line)
    assert len(lines) == 1 + sum(stage.units * stage.terms for stage in player.stages)
    assert all(line and "nan" not in line for line in lines)
    for stage in player.stages:
        frame = player.at(1, sample=2, direction=stage.direction, layer=stage.layer)
        json.dumps(frame.to_dict(), allow_nan=False)
        assert frame.line
        assert max(map(len, frame.page().text(80).splitlines())) <= 80
    text = str(player.at(1, sample=2, direction="gradient", layer=1, unit=0))
    assert "no parameter of Gain() belongs to a single unit" in text


def test_a_recording_of_batch_norm_comes_back_with_its_statistics(tmp_path: Path) -> None:
    net = network("batch norm in training")
    recorder = bl.Recorder(every=2)
    settings: dict[str, Any] = {"engine": "reference", "progress": False, "optimizer": bl.Lion(0.01)}
    bl.fit(net, X, Y, epochs=4, batch_size=2, callbacks=[recorder], **settings)
    recording = recorder.recording
    recording.save(tmp_path / "run")
    again = Recording.load(tmp_path / "run")
    np.testing.assert_array_equal(again.net.parameters.state, recording.net.parameters.state)
    np.testing.assert_array_equal(again.net.layers[1].variance, [0.5, 0.4, 0.9])
    assert repr(again.optimizer) == repr(recording.optimizer)
    for step in (0, 5, 11):
        assert again.player().at(step).to_dict() == recording.player().at(step).to_dict()
    with pytest.raises(bl.BacklitError, match="a layer, an activation, a loss or a schedule of your own"):
        recorded(bl.Dense(2, "tanh"), Twice(), bl.Dense(2))[1].recording.save(tmp_path / "own")


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────────


@every_layer
def test_the_report_has_the_numbers_of_every_layer(name: str, tmp_path: Path) -> None:
    net = network(name)
    hand = by_hand(name, net)
    path = report(net, X, Y, tmp_path / "r.html", sample_weight=W, step=MIDDLE[name][1])
    text = path.read_text()
    rows = [re.sub("<[^>]*>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]
    for parameter, gradient in hand.gradients.items():
        row = next(row for row in rows if f"|{parameter}[{', '.join('0' for _ in gradient.shape)}]|" in row)
        numbers = [float(number) for number in re.findall(r"\|(-?[\d.]+(?:e[-+]\d+)?)\|", row)]
        assert gradient.flat[0] == pytest.approx(numbers[1], rel=1e-5)
        assert gradient.flat[0] == pytest.approx(numbers[2], rel=1e-4)  # the finite difference
    assert f"1: {net.layers[1].title}" in text  # in the drawing, below the layer whose units it works on
    assert f"→ {net.layers[1].title} →" in text
    loss = np.argmax(
        0.5 * ((hand.a2 @ net.parameters.view("2.weight") + net.parameters.view("2.bias") - Y) ** 2).sum(1)
    )
    assert f"Row {loss}, the one with the largest loss" in text
