"""The loss account of a step, and the shape ledger."""

# mypy: disable-error-code="union-attr, index, arg-type, operator"
# What can be None elsewhere is there in these networks; and wrong types are passed on purpose.
from __future__ import annotations

import json
import re

import numpy as np
import pytest

import backlit as bl
from backlit.lens import explain, loss_account, shapes
from backlit.lens.step.shape_ledger import Axes

rng = np.random.default_rng(8)


def test_a_parabola_by_hand() -> None:
    # L = ½ (2 w + b − 1)² at w = 3, b = 1: r = 6, g = (12, 6); with η = 0.01: Δ = (−0.12, −0.06)
    net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
    net.parameters.values[:] = [3.0, 1.0]
    account = loss_account(net, [[2.0]], [1.0], optimizer=bl.SGD(0.01))
    weight, bias = account.lines
    assert weight.first_order == pytest.approx(-0.01 * 12**2)
    assert bias.first_order == pytest.approx(-0.01 * 6**2)
    assert weight.alone == pytest.approx(0.5 * (6 - 0.24) ** 2 - 18)
    assert bias.alone == pytest.approx(0.5 * (6 - 0.06) ** 2 - 18)
    assert account.change == pytest.approx(0.5 * (6 - 0.30) ** 2 - 18)
    # along the path the residual falls from 6 to 5.7: on average 5.85 of 6
    assert weight.path == pytest.approx(-1.44 * 5.85 / 6)
    assert bias.path == pytest.approx(-0.36 * 5.85 / 6)
    assert account.residual == pytest.approx(account.change + 1.8)
    assert account.layers[0].path == pytest.approx(account.change)
    assert account.parameter("0.weight", 0, 0).path == pytest.approx(weight.path)
    assert account.parameter("0.bias", 0).alone == pytest.approx(bias.alone)
    # Newton's step would be η = 1/5: the parabola's lowest point
    assert account.best_fraction == pytest.approx(0.2 / 0.01)


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (1e-4, "First order holds"),
        (0.08, "The step is long: 80 %"),
        (0.15, "The step is long: 6[23] %"),  # the lowest point, η = 0.2, is not yet passed
        (0.3, r"The learning rate is too large: .* only 25 % of it came; .* passed at 0.67 of this step .* near 0.2\)"),
        (0.5, r"The learning rate is too large: .* the loss went up; .* passed at 0.4 of this step .* near 0.2\)"),
    ],
)
def test_the_residual_is_said_to_be_the_sign_of_a_large_learning_rate(rate: float, says: str) -> None:
    net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
    net.parameters.values[:] = [3.0, 1.0]
    account = loss_account(net, [[2.0]], [1.0], optimizer=bl.SGD(rate))
    # L = 18 (1 − 5 η)², promised −180 η: kept 1 − 2.5 η
    assert account.change / account.first_order == pytest.approx(1 - 2.5 * rate)
    assert re.search(says, account.verdict), account.verdict
    assert account.verdict in " ".join(str(account).split())


@pytest.mark.parametrize("hidden", ["tanh", "relu", "leaky_relu", "gelu", "sigmoid"])
@pytest.mark.parametrize("rate", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_path_adds_up_to_the_measured_change(hidden: str, rate: float, dtype: str) -> None:
    layers = [bl.Dense(20, hidden), bl.Dropout(0.2), bl.Dense(10, hidden), bl.Dense(3, "softmax")]
    net = bl.Network(layers, inputs=6, loss="cross_entropy", l1=1e-4, l2=1e-3, dtype=dtype, seed=1)
    X, y = rng.normal(size=(30, 6)), np.arange(30) % 3
    for optimizer in (bl.SGD(rate), bl.Adam(rate / 10)):
        for step in (None, 5):
            account = loss_account(net, X, y, optimizer=optimizer, step=step, sample_weight=rng.random(30))
            assert account.unaccounted < 0.01
            assert sum(line.path for line in account.lines) == pytest.approx(account.change, rel=0.01)
            assert sum(line.path for line in account.layers) == pytest.approx(account.path)
            assert account.path_vector.sum() == pytest.approx(account.path)
            assert account.first_order_vector.sum() == pytest.approx(sum(line.first_order for line in account.lines))


def test_alone_is_measured() -> None:
    net = bl.Network([bl.Dense(5, "tanh"), bl.Dense(2)], inputs=3, dtype="float64")
    X, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    ledger = explain(net, X, y, optimizer=bl.SGD(0.2))
    account = ledger.account()
    assert account.before == pytest.approx(net.loss(X, y), rel=1e-14)
    for line in account.lines:
        moved = net.astype("float64")
        moved.parameters.view(line.name)[...] = ledger.parameters[line.name].after
        assert line.alone == pytest.approx(moved.loss(X, y) - net.loss(X, y), rel=1e-9)
    for line in account.layers:
        moved = net.astype("float64")
        for name in ("weight", "bias"):
            own = f"{line.name.removeprefix('layer ')}.{name}"
            moved.parameters.view(own)[...] = ledger.parameters[own].after
        assert line.alone == pytest.approx(moved.loss(X, y) - net.loss(X, y), rel=1e-9)
    assert account is ledger.account()
    assert account.path_vector.shape == (net.parameters.size,)


def test_plain_sgd_promises_minus_eta_g_squared() -> None:
    net = bl.Network([bl.Dense(5, "tanh"), bl.Dense(2)], inputs=3, dtype="float64")
    X, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    g = net.gradient(X, y)
    account = loss_account(net, X, y, optimizer=bl.SGD(0.02))
    np.testing.assert_allclose(account.first_order_vector, -0.02 * g**2, rtol=1e-9, atol=1e-16)


def test_momentum_against_the_gradient_and_no_step_at_all() -> None:
    net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
    optimizer = bl.SGD(0.01, momentum=0.9)
    state = bl.fit(net.astype("float64"), [[1.0]], [50.0], epochs=1, optimizer=optimizer, progress=False).state
    account = loss_account(net, [[1.0]], [-1.0], optimizer=optimizer, state=state)
    assert account.change > 0
    assert "what the optimiser remembers outweighs it" in account.verdict
    still = loss_account(net, [[1.0]], [-1.0], optimizer=bl.SGD(0.0))
    assert (still.change, still.verdict) == (0.0, "Nothing moved.")


def test_a_loss_that_leaves_the_finite_numbers() -> None:
    net = bl.Network([bl.Dense(2, "exp"), bl.Dense(1, weight_init=1.0)], inputs=1, dtype="float64")
    account = loss_account(net, [[5.0]], [1e5], optimizer=bl.SGD(1e3))
    assert "not finite" in account.verdict
    json.dumps(account.to_dict(), allow_nan=False)


# ── shapes ─────────────────────────────────────────────────────────────────────────────────────────────────


def sizes(axes: Axes) -> tuple[int, ...]:
    return tuple(size for size, _ in axes)


def test_shapes_are_those_of_the_arrays() -> None:
    layers = [
        bl.Dropout(0.1),
        bl.Dense(5, "tanh"),
        bl.Dropout(0.2),
        bl.Dense(4, "relu", bias=False),
        bl.Dense(3, "softmax"),
    ]
    net = bl.Network(layers, inputs=7, loss="cross_entropy")
    ledger = shapes(net, 6)
    traced = explain(net, np.ones((6, 7)), [0, 1, 2, 0, 1, 2])
    for step in ledger.steps:
        layer, passed = net.layers[step.layer], traced.layers[step.layer]
        if step.multiplications:
            product = np.zeros(sizes(step.operands[0])) @ np.zeros(sizes(step.operands[1]))
            assert product.shape == sizes(step.result)
            assert step.multiplications == np.prod(product.shape) * step.operands[0][1][0]
            assert step.operands[0][1] == step.operands[1][0]  # the axes that meet have one name
            assert step.operands[0][1][1] == step.meets
        if step.equation.startswith("z ="):
            assert sizes(step.result) == passed.z.shape
            assert step.operands == (
                ((6, "samples"), (layer.inputs, "inputs")),
                ((layer.inputs, "inputs"), (layer.units, "units")),
            )
        elif step.equation.startswith("dL/dW"):
            assert sizes(step.result) == layer.weight.shape
        elif step.equation.startswith("dL/db"):
            assert sizes(step.result) == layer.bias.shape
        elif step.equation.startswith("dL/da_in"):
            assert sizes(step.result) == passed.a_in.shape
        else:
            assert sizes(step.result) == passed.a.shape
        assert step.reason.endswith(".")
    backward = [(step.layer, step.equation) for step in ledger.steps if step.direction == "backward"]
    assert backward == [
        (4, "delta = a − y"),
        (4, "dL/dW = a_inᵀ delta"),
        (4, "dL/db = Σ_rows delta"),
        (4, "dL/da_in = delta Wᵀ"),
        (3, "delta = dL/da ⊙ f′(z)"),
        (3, "dL/dW = a_inᵀ delta"),
        (3, "dL/da_in = delta Wᵀ"),
        (2, "dL/da_in = dL/da ⊙ m"),
        (1, "delta = dL/da ⊙ f′(z)"),
        (1, "dL/dW = a_inᵀ delta"),
        (1, "dL/db = Σ_rows delta"),
    ]
    assert "(7 inputs × 6 samples) · (6 samples × 5 units) → (7 inputs × 5 units), summed over the samples" in str(
        ledger
    )
    assert "(1 sample × 7 inputs)" in str(shapes(net, 1))
    assert [step["equation"] for step in ledger.to_dict()["steps"]] == [step.equation for step in ledger.steps]
    assert explain(net, np.ones((6, 7)), [0, 1, 2, 0, 1, 2]).shapes() == ledger
