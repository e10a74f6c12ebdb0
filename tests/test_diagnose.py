"""`diagnose`: what it takes, refuses and says. How often it is right is measured in test_diagnose_planted.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from backlit import SGD, Adam, Dense, Dropout, Network
from backlit.checking.batch_loss import FrozenBatch
from backlit.exceptions import ConfigurationError, DataError, NonFiniteError, ParameterNameError, ShapeError
from backlit.lens.diagnosis.catalogue import NAMES
from backlit.lens.diagnosis.diagnose import Diagnosis, diagnose
from backlit.lens.diagnosis.factors import readings
from backlit.lens.diagnosis.given import read_gradients
from backlit.lens.diagnosis.passes import Passes

RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 4))
Y = RNG.integers(3, size=12)


def network(**settings: Any) -> Network:
    layers = [Dense(5, "tanh"), Dense(5, "sigmoid"), Dense(3, "softmax")]
    net = Network(layers, inputs=4, loss="cross_entropy", dtype="float64", seed=2, **settings)
    net.parameters.values[:] += np.random.default_rng(3).normal(scale=0.3, size=net.parameters.size)
    return net


def by_name(net: Network, gradient: Any) -> dict[str, Any]:
    parameters = net.parameters
    return {n: gradient[parameters.slice(n)].reshape(parameters.shapes[n]).copy() for n in parameters.names}


def found(diagnosis: Diagnosis) -> list[tuple[str, int | None]]:
    return [(finding.name, finding.layer) for finding in diagnosis.findings]


def test_right_gradients_are_right_in_every_form() -> None:
    net = network(l2=0.01)
    gradient = net.gradient(X, Y)
    arrays = by_name(net, gradient)
    rows = {name: array[None, :] if array.ndim == 1 else array for name, array in arrays.items()}
    for given in (gradient, gradient.tolist(), gradient.astype(np.float32), arrays, rows, {"1.bias": arrays["1.bias"]}):
        diagnosis = diagnose(net, X, Y, given)
        assert diagnosis.ok
        assert diagnosis.findings == ()
    assert "every gradient given is right" in str(diagnosis)
    assert "Not given, and not judged: 0.weight, 0.bias, 1.weight, 2.weight, 2.bias." in str(diagnosis)
    assert "every gradient is right" in str(diagnose(net, X, Y, gradient))


def test_the_network_is_left_as_it_was() -> None:
    net = network()
    values, gradient = net.parameters.values.copy(), net.gradient(X, Y)
    diagnose(net, X, Y, -gradient, optimizer=Adam(0.1))
    assert np.array_equal(net.parameters.values, values)
    assert np.array_equal(net.parameters.gradients, gradient)


def test_without_a_mistake_the_steps_give_the_reference_s_own_bits() -> None:
    net = Network(
        [Dense(4, "gelu"), Dropout(0.4), Dense(5, "softmax"), Dense(2, "elu")], inputs=4, loss="huber", dtype="float64"
    )
    weight = RNG.uniform(0.5, 2.0, 12)
    data = net.check_data(X, RNG.normal(size=(12, 2)), sample_weight=weight)
    passes = Passes(FrozenBatch(net, *data, step=3))
    for upper, index in [(3, 2), (2, 0)]:
        dL_da = passes.through(upper, index, passes.delta[upper] @ passes.dense[upper].weight.T)
        assert np.array_equal(passes.times_slope(index, dL_da), passes.delta[index])


def test_one_mistake_carries_its_numbers_and_words() -> None:
    net = network(l2=0.02)
    arrays = by_name(net, net.gradient(X, Y))
    for name in ("0.bias", "1.bias", "2.bias"):
        arrays[name] *= 12
    (finding,) = diagnose(net, X, Y, arrays).findings
    assert (finding.name, finding.layer) == ("bias_not_averaged", None)
    assert finding.evidence["ratio"] == pytest.approx(12.0)
    assert finding.evidence["expected_ratio"] == 12.0
    assert "the 12 rows" in finding.explanation
    assert "Σ_rows delta / m" in finding.explanation


@pytest.mark.parametrize(("l1", "l2", "kind"), [(0.01, 0.0, "l1"), (0.0, 0.02, "l2"), (0.01, 0.02, "l1 and l2")])
def test_a_missing_penalty_is_measured(l1: float, l2: float, kind: str) -> None:
    net = network(l1=l1, l2=l2)
    (finding,) = diagnose(net, X, Y, network().gradient(X, Y)).findings
    assert (finding.name, finding.layer) == ("missing_penalty", None)
    assert finding.evidence["penalty"] == kind
    for name, value in (("l1", l1), ("l2", l2)):
        if value:
            assert finding.evidence[f"{name}_missing"] == pytest.approx(value)


def test_the_learning_rate_of_an_early_update_is_measured() -> None:
    net = network()
    planted, rate = early_update(net, SGD(0.3))
    (finding,) = diagnose(net, X, Y, planted).findings
    assert (finding.name, finding.layer) == ("updated_weights_in_backward", None)
    assert finding.evidence["learning_rate"] == pytest.approx(rate)
    assert "learning rate 0.3" in finding.explanation


def test_an_early_update_of_another_optimizer_needs_the_optimizer() -> None:
    net = network()
    planted, _ = early_update(net, Adam(0.05))
    assert found(diagnose(net, X, Y, planted, optimizer=Adam(0.05))) == [("updated_weights_in_backward", None)]
    assert found(diagnose(net, X, Y, planted)) == [("unknown", 1)]


def early_update(net: Network, optimizer: Any) -> tuple[Any, float]:
    """Gradients whose backward pass ran on the weights after the update."""
    from backlit.kinds.optimizers import initial_state, take_step

    batch = FrozenBatch(net, *net.check_data(X, Y))
    gradient, values = batch.gradient(), batch.values
    batch.net.forward_pass(batch.work)
    state = initial_state(optimizer, values.size, values.dtype)
    take_step(optimizer, values, gradient, batch.net.parameters.weight_mask, state, optimizer.learning_rate)
    batch.net.backward_pass(batch.work)
    batch.net.average()
    return batch.net.parameters.gradients.copy(), optimizer.learning_rate


def test_a_single_transposed_shape_is_a_mistake_and_not_an_error() -> None:
    net = network()
    arrays = by_name(net, net.gradient(X, Y))
    arrays["0.weight"] = arrays["0.weight"].T
    diagnosis = diagnose(net, X, Y, arrays)
    assert found(diagnosis) == [("transposed", 0)]
    assert "(5, 4)" in str(diagnosis)


def test_a_weight_that_should_have_been_transposed_on_the_way_back() -> None:
    net = network()
    passes = Passes(FrozenBatch(net, *net.check_data(X, Y)))
    work, a = passes.work, passes.work.a
    arrays = by_name(net, passes.gradient)
    wrong = (work.delta[1] @ net.parameters.view("1.weight")) * (1 - a[1] ** 2)  # W for Wᵀ
    arrays["0.weight"], arrays["0.bias"] = a[0].T @ wrong / 12, wrong.mean(axis=0)
    (finding,) = diagnose(net, X, Y, arrays).findings
    assert (finding.name, finding.layer) == ("transposed", 1)
    assert "delta Wᵀ" in finding.explanation


def test_what_nothing_explains_is_unknown_and_the_rest_is_still_judged() -> None:
    net = network()
    arrays = by_name(net, net.gradient(X, Y))
    arrays["2.bias"][:] = [7.0, 1.0, 2.0]
    arrays["0.bias"] *= 12
    diagnosis = diagnose(net, X, Y, arrays)
    assert found(diagnosis) == [("unknown", 2), ("bias_not_averaged", 0)]
    assert "no known mistake" in diagnosis.findings[0].explanation
    assert diagnosis.findings[0].array == "2.bias"
    assert "delta of layer 2 is right" in diagnosis.findings[0].explanation


def test_everything_wrong_is_one_unknown() -> None:
    net = network()
    diagnosis = diagnose(net, X, Y, np.random.default_rng(0).normal(size=net.parameters.size))
    assert found(diagnosis) == [("unknown", 2)]
    assert "and of the layers below it" in diagnosis.findings[0].explanation


@pytest.mark.parametrize(
    ("factor", "name", "said"),
    [
        (0.0, "gradient_zero", "zero: were they ever written"),
        (0.5, "loss_factor", "½ of a square"),
        (1.0001, "constant_factor", "1.0001 times"),
        (144.0, "sum_not_mean", "summed"),
        (1 / 144, "extra_batch_division", "once too often"),
        (1 / np.log(2), "logarithm_base", "logarithm to base 2"),
    ],
)
def test_a_factor_is_read(factor: float, name: str, said: str) -> None:
    net = network()
    diagnosis = diagnose(net, np.repeat(X, 12, 0), np.repeat(Y, 12), factor * net.gradient(X, Y))
    assert found(diagnosis) == [(name, None)]
    assert said in diagnosis.findings[0].explanation


def test_finite_differences_are_not_called_a_mistake_of_back_propagation() -> None:
    net = network()
    rounding = 1e-5 * np.random.default_rng(1).normal(size=net.parameters.size)
    diagnosis = diagnose(net, X, Y, net.gradient(X, Y) * (1 + rounding))
    assert {name for name, _ in found(diagnosis)} == {"unknown"}
    assert "finite differences" in diagnosis.findings[0].explanation


def test_a_batch_of_one_row_cannot_show_a_missing_mean() -> None:
    net = network()
    assert diagnose(net, X[:1], Y[:1], net.gradient(X[:1], Y[:1]) * 1.0).ok
    names = {reading.name for reading in readings(Passes(FrozenBatch(net, *net.check_data(X[:1], Y[:1]))))}
    assert not names & {"sum_not_mean", "extra_batch_division"}


def test_mistakes_that_cannot_be_told_apart_are_both_said() -> None:
    # The gradients of two softmax units are each other's negative: exchanged, or of the wrong sign, is the same.
    net = Network([Dense(4, "tanh"), Dense(2, "softmax")], inputs=4, loss="cross_entropy", dtype="float64")
    arrays = by_name(net, net.gradient(X, Y % 2))
    arrays["1.weight"], arrays["1.bias"] = -arrays["1.weight"], -arrays["1.bias"]
    diagnosis = diagnose(net, X, Y % 2, arrays)
    assert found(diagnosis) == [("sign_flipped", 1)]
    assert diagnosis.alternatives == (("swapped_units (layer 1)",),)
    assert "swapped_units (layer 1)" in str(diagnosis)


def test_the_other_convention_at_a_kink_is_no_mistake() -> None:
    net = Network([Dense(3, "relu"), Dense(2)], inputs=2, dtype="float64", seed=1)
    zeros = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    target = np.array([[1.0, 2.0], [0.5, 0.0], [3.0, -1.0]])
    passes = Passes(FrozenBatch(net, *net.check_data(zeros, target)))
    arrays = by_name(net, passes.gradient)
    slope = (passes.work.z[0] >= 0.0) * 1.0  # 1 at z = 0, where Backlit takes 0
    delta = (passes.work.delta[1] @ net.parameters.view("1.weight").T) * slope
    arrays["0.bias"] = delta.mean(axis=0)
    assert not np.allclose(arrays["0.bias"], by_name(net, passes.gradient)["0.bias"])
    assert diagnose(net, zeros, target, arrays).ok


def test_the_rounding_of_a_saturated_slope_is_no_factor() -> None:
    # 1 − a² has few digits left where a is nearly 1, and 1/cosh² has all: both are right
    net = Network([Dense(1, "tanh")], inputs=4, dtype="float64", seed=1)
    net.parameters.view("0.weight")[:] = [[4.0], [4.0], [4.0], [2.1]]
    x, target = np.ones((3, 4)), np.zeros((3, 1))
    z = x @ net.parameters.view("0.weight")
    delta = (np.tanh(z) - target) / np.cosh(z) ** 2
    given = np.append(x.T @ delta / 3, delta.mean(axis=0))
    assert np.linalg.norm(given / net.gradient(x, target) - 1.0) > 1e-6
    assert diagnose(net, x, target, given).ok


def test_the_mask_of_a_training_step() -> None:
    net = Network([Dense(6, "tanh"), Dropout(0.5), Dense(2)], inputs=4, dtype="float64")
    target = RNG.normal(size=(12, 2))
    gradient = FrozenBatch(net, *net.check_data(X, target), step=5).gradient()
    assert diagnose(net, X, target, gradient, step=5).ok
    assert not diagnose(net, X, target, gradient).ok
    assert not diagnose(net, X, target, gradient, step=6).ok


def test_the_page_is_text_html_and_json() -> None:
    net = network()
    diagnosis = diagnose(net, X, Y, 12 * net.gradient(X, Y))
    page = str(diagnosis)
    assert page.startswith("Diagnosis: 1 mistake\n")
    assert "1. sum_not_mean in the whole network" in page
    assert max(map(len, page.splitlines())) <= 100
    assert "sum_not_mean" in diagnosis._repr_html_()
    data = json.loads(json.dumps(diagnosis.to_dict()))
    assert data["findings"][0]["name"] == "sum_not_mean"
    assert data["ok"] is False


def test_every_name_has_words() -> None:
    assert len(NAMES) > 90
    assert NAMES[-1] == "unknown"


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        (np.zeros(7), ShapeError, r"one number for each parameter, shape \(73,\), .*received shape \(7,\)"),
        ({}, ShapeError, r"my_gradients is empty: give at least one array, such as my_gradients\['0.weight'\]"),
        (
            {"0.weigth": np.zeros((4, 5))},
            ParameterNameError,
            "there is no parameter '0.weigth': did you mean '0.weight'",
        ),
        (
            {"0.weight": np.zeros((4, 6))},
            ShapeError,
            r"my_gradients\['0.weight'\] must have shape \(4, 5\), .*\(4, 6\)",
        ),
        ({"0.bias": np.zeros((5, 5))}, ShapeError, r"must have shape \(5,\), as the parameter, received \(5, 5\)"),
        ([np.zeros(2), np.zeros((3, 3))], ShapeError, "or a list in the order 0.weight, 0.bias, .* received 2 arrays"),
        ({"0.bias": np.zeros((7, 5))}, ShapeError, r"sum it over the rows, my_gradients\['0.bias'\].sum\(axis=0\)"),
        (np.full(73, np.nan), NonFiniteError, r"my_gradients has nan at \[0\]"),
        (np.full(73, "x"), DataError, "must hold real numbers of at most 64 bits, received an array of <U1"),
    ],
)
def test_what_cannot_be_gradients_is_refused(gradients: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        diagnose(network(), X, Y, gradients)


def test_other_arguments_are_checked() -> None:
    net = network()
    gradient = net.gradient(X, Y)
    with pytest.raises(ConfigurationError, match="step must be a whole number"):
        diagnose(net, X, Y, gradient, step=-1)
    with pytest.raises(ShapeError, match=r"previous must have one number for each parameter"):
        diagnose(net, X, Y, gradient, previous=gradient[:3])
    with pytest.raises(ShapeError, match="X must have 4 columns"):
        diagnose(net, X[:, :2], Y, gradient)


def test_the_least_exact_type_decides_the_precision() -> None:
    net = network()
    arrays = by_name(net, net.gradient(X, Y))
    arrays["0.bias"] = arrays["0.bias"].astype(np.float32)
    assert read_gradients(arrays, net.parameters).precision == "float32"
    assert diagnose(net, X, Y, arrays).precision == "float32"
