"""Loss and metrics against their formulas, over data that is worked through in several pieces, with weights."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.checking.batch_loss import FrozenBatch
from backlit.training.evaluation import evaluate

rng = np.random.default_rng(5)
X = rng.normal(size=(11, 3))
Y = rng.normal(size=(11, 2))
WEIGHT = rng.uniform(0.0, 2.0, 11)


def passing_through(activation: str, units: int, loss: str) -> bl.Network:
    """A network whose z is its input."""
    net = bl.Network([bl.Dense(units, activation)], inputs=units, loss=loss, dtype="float64")
    net.layers[0].weight = np.eye(units)
    return net


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("piece", [3, 4, 11, 12])
def test_scores_are_those_of_the_formulas_however_many_pieces_there_are(piece: int, weight: np.ndarray | None) -> None:
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dense(2)], inputs=3, l2=0.1, dtype="float64", seed=1)
    W, V = net.layers[0].weight, net.layers[1].weight
    a = np.tanh(X @ W) @ V
    w = np.ones(11) if weight is None else weight
    loss = (w * 0.5 * ((a - Y) ** 2).sum(axis=1)).sum() / w.sum() + 0.05 * ((W**2).sum() + (V**2).sum())
    mean = (w[:, None] * Y).sum(axis=0) / w.sum()
    squares = (w[:, None] * (a - Y) ** 2).sum(axis=0)
    r2 = (1.0 - squares / (w[:, None] * (Y - mean) ** 2).sum(axis=0)).mean()
    net._piece = piece
    assert net.loss(X, Y, sample_weight=weight) == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(net.forward(X), a, rtol=1e-13)
    found = evaluate(net, X, Y, weight=weight)
    assert found["loss"] == pytest.approx(loss, rel=1e-13)
    assert found["r2"] == pytest.approx(r2, rel=1e-12)
    assert found["rmse"] == pytest.approx(np.sqrt(squares / w.sum()).mean(), rel=1e-13)


def test_the_scale_of_an_output_does_not_change_the_digits_of_another() -> None:
    net = passing_through("identity", 2, "squared_error")
    small, large = np.array([1.0, 2.0, 4.0]) * 1e-170, np.array([1.0, 2.0, 4.0])
    targets = np.column_stack([small, large])
    found = evaluate(net, 1.5 * targets, targets)
    # in both outputs: Σ (½ y)² = 21/4, Σ (y − 7/3)² = 14/3
    assert found["r2"] == pytest.approx(1.0 - (21 / 4) / (14 / 3), rel=1e-12)


def test_pieces_have_room_for_inference_only() -> None:
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dense(2)], inputs=3, seed=1)
    net._piece = 4
    for rows, work in net.pieces(11):
        assert work.n == rows.stop - rows.start
        assert [delta.size for delta in work.delta] == [0, 0]
    net.forward(X)
    net.forward(X[:2])
    # in pieces of four rows, and three are left; none for training
    assert set(net._local.workspaces) == {(4, False), (3, False), (2, False)}


@pytest.mark.parametrize("piece", [4, 11])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_have_the_type_of_the_network(dtype: str, piece: int) -> None:
    net = bl.Network([bl.Dense(2)], inputs=3, dtype=dtype)
    net._piece = piece
    assert net.forward(X).dtype == dtype


# ── classes ────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_row_of_two_classes() -> None:
    net = passing_through("softmax", 2, "cross_entropy")
    z, y = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 4.0], [5.0, 1.0]]), np.eye(2)[[0, 1, 0, 0]]
    assert evaluate(net, z, y)["accuracy"] == 0.75
    assert evaluate(net, z, y, weight=np.array([1.0, 1.0, 4.0, 2.0]))["accuracy"] == 0.5


def test_a_single_unit_says_yes_above_the_middle() -> None:
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    z = np.array([[0.0], [0.2], [-0.2], [0.7]])  # 0 is the middle itself: no
    for activation, loss in (("sigmoid", "cross_entropy"), ("identity", "hinge")):
        assert evaluate(passing_through(activation, 1, loss), z, y)["accuracy"] == 0.5


def test_a_row_of_several_classes_is_right_when_all_of_them_are() -> None:
    net = passing_through("sigmoid", 3, "cross_entropy")
    z = np.array([[1.0, -1.0, 2.0], [1.0, 1.0, -1.0], [-1.0, -2.0, -1.0], [0.0, 1.0, 3.0]])
    y = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    assert evaluate(net, z, y)["accuracy"] == 0.75


def test_numbers_have_no_accuracy() -> None:
    net = bl.Network([bl.Dense(2)], inputs=3, dtype="float64")
    zeros = (Y > 0).astype(float)  # targets that could be classes, but a loss that is not for them
    assert set(evaluate(net, X, zeros)) == {"loss", "r2", "rmse"}
    assert "accuracy" in evaluate(passing_through("identity", 2, "hinge"), Y, zeros)


# ── the penalty, part by part ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.5), (0.3, 0.5)])
def test_the_parts_of_the_gradient_of_the_penalty(l1: float, l2: float) -> None:
    net = bl.Network([bl.Dense(2, bias_init=0.7)], inputs=3, l1=l1, l2=l2, dtype="float64", seed=2)
    values, mask = net.parameters.values, net.parameters.weight_mask
    expected = {("l1",): l1 * np.sign(values) * mask, ("l2",): l2 * values * mask, (): 0.0 * values}
    expected["l1", "l2"] = expected["l1",] + expected["l2",]
    for parts, gradient in expected.items():
        np.testing.assert_allclose(net.penalty_gradient(values, parts=parts), gradient, atol=1e-16)
        some = slice(2, 5)
        np.testing.assert_allclose(net.penalty_gradient(values, parts=parts, where=some), gradient[some], atol=1e-16)


def test_a_kink_of_the_l1_penalty_is_known_only_where_a_weight_is_near_zero() -> None:
    settings = {"inputs": 1, "dtype": "float64"}
    layers = [bl.Dense(2, weight_init=0.5, bias_init=0.0)]
    near = bl.Network(layers, l1=0.1, **settings)
    near.layers[0].weight = np.array([[1e-9, 0.5]])
    report = bl.check_gradients(near, [[1.0]], [[1.0, 2.0]])
    assert [(row.name, row.index) for row in report.rows if row.verdict == "cannot be checked here"] == [
        ("0.weight", (0, 0))
    ]
    reason = next(row.reason for row in report.rows if row.reason)
    assert reason == "the kink of the l1 penalty at w = 0 lies between w − ε and w + ε"
    without = bl.Network(layers, l2=0.1, **settings)
    without.layers[0].weight = np.array([[1e-9, 0.5]])
    assert {row.verdict for row in bl.check_gradients(without, [[1.0]], [[1.0, 2.0]]).rows} == {"agrees"}


def test_a_kink_of_the_l1_penalty_is_looked_for_as_far_as_the_step_goes() -> None:
    def kink(l1: float, weight: float, bias: float, direction: list[float]) -> str:
        net = bl.Network([bl.Dense(1, weight_init=weight, bias_init=bias)], inputs=1, l1=l1, dtype="float64")
        batch = FrozenBatch(net, np.ones((1, 1)), np.ones((1, 1)), None, None)
        return batch.kink_between(np.array(direction), 0.25)

    assert kink(0.1, 0.4, 1.0, [2.0, 0.0])  # ε v = 0.5 reaches over 0
    assert kink(0.1, -0.5, 1.0, [2.0, 0.0])  # and to it
    assert not kink(0.1, 0.6, 1.0, [2.0, 0.0])
    assert not kink(0.1, 0.1, 1.0, [0.25, 0.0])
    assert not kink(0.1, 0.0, 1.0, [0.0, 1.0])  # a weight that stays where it is
    assert not kink(0.1, 0.6, 0.1, [0.0, 1.0])  # a bias has no penalty
    assert not kink(0.0, 0.1, 1.0, [2.0, 0.0])


def test_a_network_is_shown_layer_by_layer() -> None:
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dropout(0.5), bl.Dense(2)], inputs=3, seed=6)
    words = [line.split() for line in str(net).splitlines() if line.strip()]
    assert words[:2] == [["Network"], ["layer", "inputs", "outputs", "parameters"]]
    assert [line[0] for line in words[2:5]] == ["0", "1", "2"]
    assert [line[-3:] for line in words[2:5]] == [["3", "4", "16"], ["4", "4", "0"], ["4", "2", "10"]]
    assert str(net).splitlines()[-1].strip() == "loss squared_error, 26 parameters in float32, seed 6"


# ── settings of schedules ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        *((kind, {"initial": -1.0}, "initial must be a finite number above 0, received -1.0") for kind in (
            bl.StepDecay, bl.ExponentialDecay, bl.InverseDecay, bl.CosineDecay, bl.FlatCosine, bl.CosineCycles)),
        (bl.StepDecay, {"every": 0.0}, "every must be a finite number above 0, received 0.0"),
        (bl.InverseDecay, {"rate": -0.5}, "rate must be a finite number of at least 0, received -0.5"),
        (bl.CosineDecay, {"final": -0.5}, "final must be a finite number of at least 0, received -0.5"),
        (bl.CosineDecay, {"warmup": -2}, "warmup must be a finite number of at least 0, received -2"),
        (bl.FlatCosine, {"epochs": 0}, "epochs must be a finite number above 0, received 0"),
        (bl.FlatCosine, {"final": -0.5}, "final must be a finite number of at least 0, received -0.5"),
        (bl.FlatCosine, {"flat": 1.0}, "flat must be a part of the epochs, from 0 to less than 1, received 1.0"),
        (bl.FlatCosine, {"flat": -0.1}, "flat must be a finite number of at least 0, received -0.1"),
        (bl.CosineCycles, {"cycles": 0}, "cycles must be a whole number of at least 1, received 0"),
        (bl.CosineCycles, {"cycles": 31}, "cycles must be at most 30, received 31"),
    ],
)  # fmt: skip
def test_a_schedule_says_which_setting_is_wrong(kind: type, settings: dict[str, float], message: str) -> None:
    more = {"epochs": 5} if kind in (bl.CosineDecay, bl.FlatCosine, bl.CosineCycles) else {}
    with pytest.raises(bl.BacklitError) as caught:
        kind(**{"initial": 0.1, **more, **settings})
    assert str(caught.value) == message
