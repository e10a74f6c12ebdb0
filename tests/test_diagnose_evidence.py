"""`diagnose` on other layouts, with more than gradients, of a function, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backlit import SGD, Adam, AdamW, Dense, LayerNorm, Network, Scale, diagnose, diagnose_function, save
from backlit.exceptions import ConfigurationError, ParameterNameError, ShapeError
from backlit.lens.diagnosis.catalogue import CATALOGUE, mistakes_page
from backlit.lens.diagnosis.updates import after_step, fresh_state
from backlit.lens.report.diagnosis import picture
from backlit.testing import assert_gradient

RNG = np.random.default_rng(11)
X = RNG.normal(size=(12, 4))
Y = np.eye(3)[RNG.integers(3, size=12)]


def network(**settings: Any) -> Network:
    layers = [Dense(6, "tanh"), Dense(3, "softmax")]
    net = Network(layers, inputs=4, loss="cross_entropy", dtype="float64", seed=2, **settings)
    net.parameters.values[:] += np.random.default_rng(3).normal(scale=0.3, size=net.parameters.size)
    return net


def by_name(net: Network, gradient: Any) -> dict[str, Any]:
    parameters = net.parameters
    return {n: gradient[parameters.slice(n)].reshape(parameters.shapes[n]).copy() for n in parameters.names}


def found(diagnosis: Any) -> list[tuple[str, int | None]]:
    return [(finding.name, finding.layer) for finding in diagnosis.findings]


# ── arrays judged one by one ───────────────────────────────────────────────────────────────────────────────


def test_right_arrays_are_never_accused_where_the_mistake_was_not_handed_on() -> None:
    net = Network([Dense(5, "tanh"), Dense(4, "sigmoid"), Dense(2)], inputs=4, dtype="float64", seed=4)
    target = RNG.normal(size=(12, 2))
    p, n = net.parameters, 12
    a1 = np.tanh(X @ p.view("0.weight") + p.view("0.bias"))
    a2 = 1 / (1 + np.exp(-(a1 @ p.view("1.weight") + p.view("1.bias"))))
    da = (a2 @ p.view("2.weight") + p.view("2.bias") - target) @ p.view("2.weight").T
    arrays = by_name(net, net.gradient(X, target))
    arrays["1.weight"], arrays["1.bias"] = a1.T @ da / n, da.sum(axis=0) / n  # the slope is missing here alone
    diagnosis = diagnose(net, X, target, arrays)
    assert found(diagnosis) == [("missing_slope", 1)]
    assert [one.name for one in diagnosis.comparisons if one.ok] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_two_rows_give_no_name_that_contradicts_its_numbers() -> None:
    net = network(l2=0.02)
    x, y = X[:2], Y[:2]
    gradient, penalty = net.gradient(x, y), net.penalty_gradient(net.parameters.values)
    assert {name for name, _ in found(diagnose(net, x, y, gradient + penalty))} == {"penalty_factor"}
    quarter = diagnose(network(), x, y, network().gradient(x, y) / 4)
    assert found(quarter) == [("extra_batch_division", None)]
    assert quarter.findings[0].evidence["ratio"] == pytest.approx(quarter.findings[0].evidence["expected_ratio"])


def test_ties_are_named_with_the_batch_that_would_tell_them_apart() -> None:
    net = network()
    diagnosis = diagnose(net, X[:2], Y[:2], 2 * net.gradient(X[:2], Y[:2]))
    named = {found(diagnosis)[0][0]} | {one[0].split(" (")[0] for one in diagnosis.alternatives}
    assert {"sum_not_mean", "loss_factor"} <= named
    assert "A batch of 7 rows would tell them apart." in " ".join(str(diagnosis).split())


def test_arrays_of_other_layers_are_judged() -> None:
    layers = [Dense(6, "tanh"), Scale(), LayerNorm(), Dense(3, "softmax")]
    net = Network(layers, inputs=4, loss="cross_entropy", dtype="float64", seed=3)
    net.parameters.values[:] += np.random.default_rng(3).normal(scale=0.3, size=net.parameters.size)
    arrays = by_name(net, net.gradient(X, Y))
    assert diagnose(net, X, Y, arrays).ok
    arrays["1.factor"] = arrays["1.factor"] + 1.0
    diagnosis = diagnose(net, X, Y, arrays)
    assert found(diagnosis) == [("unknown", 1)]
    assert diagnosis.findings[0].array == "1.factor"
    sign = diagnose(net, X, Y, -net.gradient(X, Y))
    assert found(sign) == [("sign_flipped", None)]


def test_previous_gradients_that_were_never_zeroed() -> None:
    net = network()
    before, now = net.gradient(X[:6], Y[:6]), net.gradient(X, Y)
    assert found(diagnose(net, X, Y, before + now, previous=before)) == [("accumulated_gradient", None)]
    assert found(diagnose(net, X, Y, now + 0.9 * before, previous=before)) == [("momentum_inside", None)]


# ── layouts ────────────────────────────────────────────────────────────────────────────────────────────────


def layouts(net: Network) -> dict[str, Any]:
    g = by_name(net, net.gradient(X, Y))
    dW, db = [g["0.weight"], g["1.weight"]], [g["0.bias"], g["1.bias"]]
    turned = [w.T for w in dW]
    columns = [b[:, None] for b in db]
    tensor = [SimpleNamespace(detach=None, grad=Tensor(w)) for w in turned]
    return {
        "tuple": (dW[0], db[0], dW[1], db[1]),
        "list": [dW[0], db[0], dW[1], db[1]],
        "counted from 1": {"dW1": dW[0], "db1": db[0], "dW2": dW[1], "db2": db[1]},
        "counted from 0": {"W0": dW[0], "b0": db[0], "W1": dW[1], "b1": db[1]},
        "units x inputs": {"W1": turned[0], "b1": columns[0], "W2": turned[1], "b2": columns[1]},
        "nabla": {"nabla_w": turned, "nabla_b": columns},
        "two lists": (columns, turned),
        "scikit-learn": {"coefs_": dW, "intercepts_": db},
        "a dict for each layer": [{"W": dW[0], "b": db[0]}, {"W": dW[1], "b": db[1]}],
        "PyTorch": {"0.weight": tensor[0], "0.bias": db[0], "2.weight": tensor[1], "2.bias": db[1]},
        "fc": {"fc1.weight": turned[0], "fc1.bias": db[0], "fc2.weight": turned[1], "fc2.bias": db[1]},
        "named_parameters": iter([("fc1.weight", tensor[0]), ("fc1.bias", db[0]), ("fc2.weight", tensor[1])]),
    }


class Tensor:
    """What `diagnose` asks of a tensor."""

    def __init__(self, array: Any) -> None:
        self.array, self.grad = array, None

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Any:
        return self.array


@pytest.mark.parametrize("name", layouts(network()))
def test_gradients_are_taken_as_people_keep_them(name: str) -> None:
    net = network()
    diagnosis = diagnose(net, X, Y, layouts(net)[name])
    assert diagnosis.ok
    assert "read" in " ".join(diagnosis.notes)


def test_data_may_stand_in_columns() -> None:
    net = network()
    diagnosis = diagnose(net, X.T, Y.T, net.gradient(X, Y))
    assert diagnosis.ok
    assert "X was read as (features, samples) and turned" in diagnosis.notes


def test_names_that_say_nothing_are_refused() -> None:
    net = network()
    array = np.zeros((4, 6))
    with pytest.raises(ParameterNameError, match="'dW' does not say which layer it is of"):
        diagnose(net, X, Y, {"dW": array})
    with pytest.raises(ParameterNameError, match="there is no parameter 'gradients of mine'"):
        diagnose(net, X, Y, {"gradients of mine": array})
    with pytest.raises(ParameterNameError, match="W1, W01 have the same number"):
        diagnose(net, X, Y, {"W1": array, "W01": array})


def test_the_right_line_is_in_the_learner_s_layout() -> None:
    net = network()
    g = {f"W{i}": w.T for i, w in enumerate((net.parameters.view("0.weight"), net.parameters.view("1.weight")))}
    (finding,) = diagnose(net, X, Y, {k: 0.0 * w for k, w in g.items()}).findings
    assert finding.name == "gradient_zero"
    assert "dW1 = delta1.T @ a1 / 12   # (3, 12) (12, 6) = (3, 6)" in finding.right


# ── more evidence ──────────────────────────────────────────────────────────────────────────────────────────


def activations(net: Network) -> list[Any]:
    p = net.parameters
    a1 = np.tanh(X @ p.view("0.weight") + p.view("0.bias"))
    z = a1 @ p.view("1.weight") + p.view("1.bias")
    return [a1, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)]


def test_the_forward_pass_narrows_the_place() -> None:
    net = network()
    net.parameters.view("0.bias")[:] = 0.5
    a1, a2 = activations(net)
    assert diagnose(net, X, Y, my_forward=[X, a1, a2]).ok
    assert str(diagnose(net, X, Y, my_forward=[a1, a2])).startswith("Diagnosis: what was given is right\nJudged on 12")
    assert diagnose(net, X, Y, my_forward=[a1.T, a2.T]).ok
    without = np.tanh(X @ net.parameters.view("0.weight"))
    diagnosis = diagnose(net, X, Y, my_forward=[without, a2])
    assert found(diagnosis) == [("forward_without_bias", 0)]
    assert "the forward pass is already wrong in layer 0" in diagnosis.notes
    z = a1 @ net.parameters.view("1.weight") + net.parameters.view("1.bias")
    whole = np.exp(z) / np.exp(z).sum()
    assert found(diagnose(net, X, Y, my_forward={1: whole})) == [("softmax_over_everything", 1)]
    sigmoid = 1 / (1 + np.exp(-(X @ net.parameters.view("0.weight") + net.parameters.view("0.bias"))))
    assert found(diagnose(net, X, Y, my_forward={0: sigmoid})) == [("forward_activation", 0)]
    assert found(diagnose(net, X, Y, my_forward={0: a1 + 1})) == [("unknown", 0)]


def test_deltas_and_the_loss_narrow_the_place() -> None:
    net = network(l2=0.1)
    a1, a2 = activations(net)
    top = a2 - Y
    down = top @ net.parameters.view("1.weight").T
    assert diagnose(net, X, Y, my_deltas=[down * (1 - a1**2), top], my_loss=net.loss(X, Y)).ok
    assert diagnose(net, X, Y, my_deltas=[down * (1 - a1**2) / 12, top / 12]).ok  # divided early: another convention
    assert found(diagnose(net, X, Y, my_deltas=[down, top])) == [("missing_slope", 0)]
    assert found(diagnose(net, X, Y, my_deltas={1: Y - a2})) == [("sign_flipped", 1)]
    data = net.loss(X, Y) - net.penalty()
    assert found(diagnose(net, X, Y, my_loss=data)) == [("loss_without_penalty", 1)]
    assert found(diagnose(net, X, Y, my_loss=12 * data)) == [("loss_scaled", 1)]
    assert found(diagnose(net, X, Y, my_loss=data + 3)) == [("loss_wrong", 1)]


def test_weights_updated_early_by_an_optimiser_with_a_memory() -> None:
    net = network()
    optimizer = Adam(0.05)
    state = fresh_state(optimizer, net.parameters.values, None)
    state.slots[0], state.slots[1], state.step = 0.3 * net.gradient(X[:6], Y[:6]), net.gradient(X[:6], Y[:6]) ** 2, 4
    a1, a2 = activations(net)
    after = net.parameters.slice("1.weight")
    W = after_step(net, optimizer, net.gradient(X, Y), state)[after].reshape(6, 3)
    delta = ((a2 - Y) @ W.T) * (1 - a1**2)
    arrays = by_name(net, net.gradient(X, Y)) | {"0.weight": X.T @ delta / 12, "0.bias": delta.sum(axis=0) / 12}
    known = diagnose(net, X, Y, arrays, optimizer=optimizer, state=state)
    assert found(known) == [("updated_weights_in_backward", 1)]
    assert found(diagnose(net, X, Y, arrays, optimizer=optimizer)) == [("unknown", 0)]


def steps(optimizer: Any, state: Any = None) -> dict[str, Any]:
    """Steps with a mistake, by hand."""
    net = network()
    theta, g, mask = net.parameters.values, net.gradient(X, Y), net.parameters.weight_mask
    t = 1 + (0 if state is None else state.step)
    m0, v0 = (0, 0) if state is None else state.slots
    m, v = 0.9 * m0 + 0.1 * g, 0.999 * v0 + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    made = {
        "no_bias_correction": theta - 0.01 * m / (np.sqrt(v) + 1e-8),
        "epsilon_inside_root": theta - 0.01 * m_hat / np.sqrt(v_hat + 1e-8),
        "square_root_missing": theta - 0.01 * m_hat / (v_hat + 1e-8),
        "update_sign": theta + 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8),
        "update_not_taken": theta,
        "learning_rate_not_applied": theta - m_hat / (np.sqrt(v_hat) + 1e-8),
        "biases_not_updated": theta - mask * 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8),
    }
    if isinstance(optimizer, AdamW):
        made = {"decay_on_biases": theta - 0.01 * 0.1 * theta - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)}
        made["decay_missing"] = theta - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
    return made


def optimizers() -> list[Any]:
    net = network()
    # biases that decay, and a memory beyond the first step
    state = fresh_state(Adam(0.01), net.parameters.values, None)
    state.slots[0], state.slots[1], state.step = 0.3 * net.gradient(X[:6], Y[:6]), net.gradient(X[:6], Y[:6]) ** 2, 4
    return [(Adam(0.01), None), (Adam(0.01), state), (AdamW(0.01, weight_decay=0.1), None)]


@pytest.mark.parametrize(("optimizer", "state"), optimizers())
def test_mistakes_of_the_step(optimizer: Any, state: Any) -> None:
    net = network()
    right = after_step(net, optimizer, net.gradient(X, Y), state)
    assert diagnose(net, X, Y, my_parameters_after=right, optimizer=optimizer, state=state).ok
    for name, after in steps(optimizer, state).items():
        diagnosis = diagnose(net, X, Y, my_parameters_after=after, optimizer=optimizer, state=state)
        assert [finding.name for finding in diagnosis.findings] == [name]
        assert "theta -= rate * g" in diagnosis.findings[0].right


def test_momentum_without_its_factor_needs_the_state() -> None:
    net = network()
    optimizer = SGD(0.1, momentum=0.9)
    state = fresh_state(optimizer, net.parameters.values, None)
    state.slots[0] = -0.1 * net.gradient(X[:6], Y[:6])
    after = net.parameters.values + state.slots[0] - 0.1 * net.gradient(X, Y)
    diagnosis = diagnose(net, X, Y, my_parameters_after=after, optimizer=optimizer, state=state)
    assert [finding.name for finding in diagnosis.findings] == ["momentum_without_decay"]


def test_evidence_that_cannot_be_is_refused() -> None:
    net = network()
    with pytest.raises(ConfigurationError, match="there is nothing to diagnose: give my_gradients"):
        diagnose(net, X, Y)
    with pytest.raises(ConfigurationError, match="my_parameters_after needs optimizer="):
        diagnose(net, X, Y, my_parameters_after=net.parameters.values)
    with pytest.raises(ShapeError, match=r"my_forward must have one array for each of the 2 layers, .* received 5"):
        diagnose(net, X, Y, my_forward=[X] * 5)
    with pytest.raises(ShapeError, match=r"my_deltas of layer 1 must have shape \(12, 3\), received \(12, 6\)"):
        diagnose(net, X, Y, my_deltas={1: np.zeros((12, 6))})
    with pytest.raises(ShapeError, match="my_forward has a layer 7: the layers are 0 to 1"):
        diagnose(net, X, Y, my_forward={7: X})


# ── functions ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_is_tried_on_several_batches() -> None:
    net = network()

    def summed(x: Any, y: Any) -> Any:
        return net.loss(x, y), net.gradient(x, y) * len(x)

    diagnosis = diagnose_function(summed, net, X[:2], Y[:2])  # of two rows alone it could be a factor 2
    assert found(diagnosis) == [("sum_not_mean", None)]
    assert not any("loss_factor" in name for one in diagnosis.alternatives for name in one)
    assert any(note.startswith("on one row: right") for note in diagnosis.notes)


def test_a_tie_that_every_batch_leaves_is_kept() -> None:
    net = Network([Dense(4, "tanh"), Dense(2, "softmax")], inputs=4, loss="cross_entropy", dtype="float64", seed=1)
    y = np.eye(2)[np.arange(12) % 2]

    def exchanged(x: Any, targets: Any) -> Any:  # of two softmax units that is the wrong sign too
        return net.gradient(x, targets) * np.where(np.arange(net.parameters.size) < 20, 1.0, -1.0)

    diagnosis = diagnose_function(exchanged, net, X, y)
    assert found(diagnosis) == [("sign_flipped", 1)]
    assert diagnosis.alternatives == (("swapped_units (layer 1)",),)


def test_a_function_that_overflows_is_told() -> None:
    net = network()

    def naive(x: Any, y: Any) -> Any:
        p = net.parameters
        with np.errstate(all="ignore"):
            a1 = np.tanh(x @ p.view("0.weight") + p.view("0.bias"))
            z = 3000 * (a1 @ p.view("1.weight") + p.view("1.bias")) if np.abs(x).max() > 100 else 0.0
            lost = (np.exp(z) / np.exp(z)).sum() * 0.0
        return net.gradient(x, y) + lost

    assert found(diagnose_function(naive, net, X, Y)) == [("overflow", 1)]


def test_a_function_that_fails_is_told() -> None:
    net = network()
    with pytest.raises(ConfigurationError, match="f fails on the batch given: ZeroDivisionError"):
        diagnose_function(lambda x, y: 1 / 0, net, X, Y)
    with pytest.raises(ConfigurationError, match="needs a function of"):
        diagnose_function(net.gradient(X, Y), net, X, Y)  # type: ignore[arg-type]

    def only_many(x: Any, y: Any) -> Any:
        return net.gradient(x, y) if len(x) > 1 else [][0]

    diagnosis = diagnose_function(only_many, net, X, Y)
    assert diagnosis.ok
    assert "on one row f fails: IndexError: list index out of range" in diagnosis.notes


def test_an_assertion_s_message_is_the_diagnosis() -> None:
    net = network()
    assert_gradient(net.gradient, net, X, Y)
    with pytest.raises(
        AssertionError, match=r"(?s)Diagnosis: 1 mistake.*sign_flipped.*Right would be:.*delta1 = a2 - Y"
    ):
        assert_gradient(lambda x, y: -net.gradient(x, y), net, X, Y)


# ── surfaces ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from backlit.cli import run

    net = Network([Dense(3, "tanh"), Dense(2, "softmax")], inputs=4, loss="cross_entropy", seed=1)
    y = np.arange(12) % 2
    net.classes = np.array([0, 1])
    save(net, tmp_path / "m.backlit")
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    p, g = net.parameters, -net.gradient(X, y)
    arrays = {name.replace(".", "_"): g[p.slice(name)].reshape(p.shapes[name]) for name in p.names}
    np.savez(tmp_path / "mine.npz", **arrays)
    call = ["diagnose", str(tmp_path / "m.backlit"), str(tmp_path / "rows.npz"), str(tmp_path / "mine.npz")]
    assert run([*call, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"][0]["name"] == "sign_flipped"
    assert run(call) == 0
    assert "sign_flipped" in capsys.readouterr().out
    assert run([*call[:-1], str(tmp_path / "none.npz")]) == 2
    assert "there is no file" in capsys.readouterr().err
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    assert run([*call[:-1], str(tmp_path / "bad.npz")]) == 2
    assert "is no .npz file of arrays" in capsys.readouterr().err


def test_the_picture_shows_where_it_breaks() -> None:
    net = network()
    arrays = by_name(net, net.gradient(X, Y))
    arrays["0.weight"] *= 3
    drawn = picture(diagnose(net, X, Y, arrays))
    assert drawn.count("breaks here") == 1
    assert drawn.count("gradients right") == 1
    assert "0.weight: slope 3 of given against right" in drawn
    assert picture(net) == ""


def test_the_page_of_mistakes_is_that_of_the_catalogue() -> None:
    page = (Path(__file__).parent.parent / "docs" / "mistakes.md").read_text(encoding="utf-8")
    assert page == mistakes_page()
    assert all(f"### `{name}`" in page for name in CATALOGUE if name != "unknown")
