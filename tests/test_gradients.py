"""Back-propagation against finite differences: every combination that a network can be made of.

The check itself is under test as well: it must say no to wrong gradients, and know a kink when it meets one.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds.activations import NAMES as ACTIVATIONS
from backlit.kinds.activations import Activation, get_activation
from backlit.kinds.losses import NAMES as LOSSES
from backlit.kinds.losses import cross_entropy, get_loss, huber, quantile

UNCHECKABLE = "cannot be checked here"
TOLERANCE = 1e-6

PENALTIES = {"none": (0.0, 0.0), "l1": (0.03, 0.0), "l2": (0.0, 0.05), "l1 and l2": (0.03, 0.05)}
OWN_ACTIVATION = (np.sin, np.cos)
OWN_LOSS = (lambda a, y: ((a - y) ** 4).sum(axis=1), lambda a, y: 4 * (a - y) ** 3)

HIDDEN = [*ACTIVATIONS, OWN_ACTIVATION]
EVERY_LOSS = [*LOSSES, huber(0.2), quantile(0.8), cross_entropy(0.2), OWN_LOSS]


class Setting(NamedTuple):
    """What a network and its data may have, or not."""

    bias: bool
    weighted: bool
    dropout: bool

    def __str__(self) -> str:
        return " and ".join(name for name, there in self._asdict().items() if there) or "plain"


SETTINGS = [Setting(*there) for there in product((True, False), repeat=3)]

rng = np.random.default_rng(7)
X = rng.normal(size=(5, 2))
WEIGHT = np.array([0.5, 2.0, 0.0, 1.0, 3.0])
CLASSES = np.eye(2)[[0, 1, 1, 0, 1]]
COUNTS = rng.poisson(2.0, size=(5, 2)).astype(float)
NUMBERS = rng.normal(size=(5, 2))


def name_of(thing: object) -> str:
    if isinstance(thing, tuple):
        return "own"
    settings = getattr(thing, "settings", {})
    return getattr(thing, "name", str(thing)) + "".join(f" {value}" for value in settings.values())


def fits(output: object, loss: object) -> bool:
    """Whether the loss goes with the activation of the last layer."""
    record = get_loss(loss)
    if record.needs_pair:
        return output in record.pairs
    return not record.positive or output == OWN_ACTIVATION or get_activation(output).positive


def targets_for(loss: object) -> np.ndarray:
    kinds = {"probabilities": CLASSES, "classes": CLASSES, "counts": COUNTS, "numbers": NUMBERS}
    return kinds[get_loss(loss).targets]


PAIRS = [(output, loss) for output, loss in product(HIDDEN, EVERY_LOSS) if fits(output, loss)]
# a sine is not above zero: allowed, but nothing to check
PAIRS = [(o, loss) for o, loss in PAIRS if not (o == OWN_ACTIVATION and get_loss(loss).positive)]
each_pair = pytest.mark.parametrize(("output", "loss"), PAIRS, ids=[f"{name_of(o)}-{name_of(e)}" for o, e in PAIRS])


def network(
    hidden: object, output: object, loss: object, *, l1: float = 0.0, l2: float = 0.0, bias: bool = True, dropout: bool
) -> bl.Network:
    settings = {"bias": bias, "bias_init": 0.1}
    layers = [bl.Dense(2, hidden, **settings), bl.Dense(2, output, **settings)]
    if dropout:
        layers = [bl.Dropout(0.2), layers[0], bl.Dropout(0.4), bl.Dropout(0.1), layers[1]]
    net = bl.Network(layers, inputs=2, loss=loss, l1=l1, l2=l2, dtype="float64", seed=3)
    net.parameters.values[:] *= 0.7  # exp of exp stays small
    return net


def check(hidden: object, output: object, loss: object, penalty: str, setting: Setting) -> None:
    l1, l2 = PENALTIES[penalty]
    net = network(hidden, output, loss, l1=l1, l2=l2, bias=setting.bias, dropout=setting.dropout)
    weight = WEIGHT if setting.weighted else None
    step = 11 if setting.dropout else None  # its masks are frozen, as in a step of training
    report = bl.check_gradients(net, X, targets_for(loss), sample_weight=weight, tolerance=TOLERANCE, step=step)
    assert {row.verdict for row in report.rows} == {"agrees"}, f"{name_of(hidden)}, {setting}\n{report}"
    assert len(report.rows) == net.parameters.size


@each_pair
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_combination(output: object, loss: object, penalty: str) -> None:
    """With every hidden activation; the settings take turns, so that each pair and penalty meets them all."""
    turn = PAIRS.index((output, loss)) + 3 * list(PENALTIES).index(penalty)
    for number, hidden in enumerate(HIDDEN):
        check(hidden, output, loss, penalty, SETTINGS[(turn + number) % len(SETTINGS)])


@pytest.mark.torture
@each_pair
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_every_combination_in_every_setting(output: object, loss: object, setting: Setting) -> None:
    for penalty, hidden in product(PENALTIES, HIDDEN):
        check(hidden, output, loss, penalty, setting)


def test_dropout_is_at_work_in_these_checks() -> None:
    net = network("tanh", "identity", "squared_error", dropout=True)
    work = net.workspace(len(X))
    work.load(X, NUMBERS)
    net.forward_pass(work, 11)
    masks = np.concatenate([mask.ravel() for mask in work.mask.values()])
    assert (masks == 0).any()
    assert (masks > 1).any()


@pytest.mark.parametrize(
    ("output", "loss"),
    [(o, e) for o, e in product(HIDDEN, EVERY_LOSS) if not fits(o, e)],
    ids=lambda thing: name_of(thing),
)
def test_a_combination_without_meaning_is_refused(output: object, loss: object) -> None:
    with pytest.raises(ConfigurationError, match=r"cross_entropy goes with|needs outputs above 0"):
        network("tanh", output, loss, dropout=False)


# ── the check can fail ─────────────────────────────────────────────────────────────────────────────────────
def with_wrong_slope(name: str, factor: float) -> Activation:
    right = get_activation(name)

    def slope(z: np.ndarray, a: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
        right.slope(z, a, out, scratch)
        out *= factor

    return Activation("wrong", right.f, slope, kinks=right.kinks)


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, 1.0001])
def test_a_wrong_slope_is_found(name: str, factor: float) -> None:
    net = network(with_wrong_slope(name, factor), "identity", "squared_error", dropout=False)
    report = bl.check_gradients(net, X, NUMBERS)
    assert not report.ok
    assert report.worst.name == "0.weight" or report.worst.name == "0.bias"
    assert {row.name for row in report.rows if row.verdict == "disagrees"} == {"0.weight", "0.bias"}
    assert "NOT ok" in str(report)


def test_a_wrong_backward_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bl.Network.backward_pass

    def forgets_a_bias(self: bl.Network, work: object) -> None:
        right(self, work)
        self.parameters.gradient_view("1.bias")[0] = 0.0

    monkeypatch.setattr(bl.Network, "backward_pass", forgets_a_bias)
    report = bl.check_gradients(network("tanh", "identity", "squared_error", dropout=False), X, NUMBERS)
    assert not report.ok
    assert (report.worst.name, report.worst.index) == ("1.bias", (0,))
    assert sum(row.verdict == "disagrees" for row in report.rows) == 1


# ── kinks ──────────────────────────────────────────────────────────────────────────────────────────────────
def on_a_kink(name: object, z: float) -> bl.Network:
    """Two hidden units: z of the first is as told, for the input 1; the second is far from its kink."""
    net = bl.Network([bl.Dense(2, name), bl.Dense(1)], inputs=1, dtype="float64")
    net.layers[0].weight[...] = [[1.0, 1.0]]
    net.layers[0].bias[...] = [z - 1.0, 0.5]
    net.layers[1].weight[...] = [[1.0], [1.0]]
    return net


@pytest.mark.parametrize("z", [0.0, 4e-12, -4e-12], ids=["on it", "just above", "just below"])
@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_a_unit_on_its_kink_cannot_be_checked(name: str, z: float) -> None:
    report = bl.check_gradients(on_a_kink(name, z), [[1.0]], [[5.0]])
    assert report.ok
    uncheckable = {(row.name, row.index) for row in report.rows if row.verdict == UNCHECKABLE}
    assert uncheckable == {("0.weight", (0, 0)), ("0.bias", (0,))}
    assert "kink" in str(report)


def test_a_loss_on_its_kink_cannot_be_checked() -> None:
    net = bl.Network([bl.Dense(1, weight_init=1.0)], inputs=1, loss=quantile(0.8), dtype="float64")
    report = bl.check_gradients(net, [[1.0], [2.0]], [1.0 - 4e-12, 9.0])  # the first row's residual is tiny
    assert {row.verdict for row in report.rows} == {UNCHECKABLE}
    assert not report.ok  # nothing was checked: nothing is confirmed


def test_an_l1_penalty_near_zero_cannot_be_checked() -> None:
    net = bl.Network([bl.Dense(1, weight_init=3e-12)], inputs=1, l1=0.5, dtype="float64")
    verdicts = {row.name: row.verdict for row in bl.check_gradients(net, [[1.0]], [1.0]).rows}
    assert verdicts == {"0.weight": UNCHECKABLE, "0.bias": "agrees"}


def test_a_kink_does_not_excuse_a_wrong_gradient_elsewhere() -> None:
    assert not bl.check_gradients(on_a_kink(with_wrong_slope("relu", 2.0), 0.0), [[1.0]], [[5.0]]).ok


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────────
def test_a_sample_of_the_parameters_can_be_checked() -> None:
    net = network("tanh", "softmax", "cross_entropy", dropout=False)
    report = bl.check_gradients(net, X, CLASSES, sample=5, seed=1)
    assert report.ok
    assert len({(row.name, row.index) for row in report.rows}) == 5
    assert report.total == net.parameters.size


def test_the_check_leaves_the_network_as_it_was() -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2)
    before = net.parameters.values.copy()
    assert bl.check_gradients(net, X, NUMBERS[:, 0]).ok
    np.testing.assert_array_equal(net.parameters.values, before)
    assert net.dtype == np.float32


# ── golden numbers: the often-cited 2-2-2 network of sigmoid units ─────────────────────────────────────────
def two_two_two() -> bl.Network:
    net = bl.Network([bl.Dense(2, "sigmoid"), bl.Dense(2, "sigmoid")], inputs=2, dtype="float64")
    net.layers[0].weight[...] = [[0.15, 0.25], [0.20, 0.30]]
    net.layers[1].weight[...] = [[0.40, 0.50], [0.45, 0.55]]
    net.layers[0].bias[...], net.layers[1].bias[...] = 0.35, 0.60
    return net


def test_two_two_two_loss_and_gradient() -> None:
    net = two_two_two()
    assert net.loss([[0.05, 0.10]], [[0.01, 0.99]]) == pytest.approx(0.2983711087600027, rel=1e-12)
    assert net.gradient([[0.05, 0.10]], [[0.01, 0.99]])[0] == pytest.approx(0.000438568, abs=5e-10)


def test_two_two_two_after_one_step() -> None:
    net = two_two_two()
    bl.fit(net, [[0.05, 0.10]], [[0.01, 0.99]], epochs=1, optimizer=bl.SGD(0.5), progress=False)
    assert net.loss([[0.05, 0.10]], [[0.01, 0.99]]) == pytest.approx(0.28047144679143016, rel=1e-12)


def test_two_two_two_after_one_step_with_frozen_biases() -> None:
    net = two_two_two()
    step = 0.5 * net.gradient([[0.05, 0.10]], [[0.01, 0.99]]) * net.parameters.weight_mask
    net.parameters.values[:] -= step
    assert net.loss([[0.05, 0.10]], [[0.01, 0.99]]) == pytest.approx(0.29102777369359933, rel=1e-12)
