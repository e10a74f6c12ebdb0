"""Signs of ill health: each is planted and found with its numbers, and healthy networks give no warning."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds.activation import Activation
from backlit.lens.healthcheck.health import HealthMonitor, HealthReport, health
from backlit.lens.healthcheck.network import Finding
from backlit.parameters import Array

RNG = np.random.default_rng(11)
X = RNG.standard_normal((300, 6))
SIGNAL = X[:, 0] - X[:, 1] * X[:, 2]
LABELS = (SIGNAL > 0).astype(int)


def classifier(*layers: Any, inputs: int = 6, **settings: Any) -> bl.Network:
    return bl.Network([*layers, bl.Dense(2, "softmax")], inputs=inputs, loss="cross_entropy", **settings)


def found(report: HealthReport, name: str, layer: int | None = None) -> Finding:
    """The one finding of that name and layer."""
    (finding,) = [f for f in report.findings if (f.name, f.layer) == (name, layer)]
    assert finding.cause.endswith(".")
    assert finding.advice.endswith(".")
    return finding


def names(report: HealthReport) -> set[str]:
    return {finding.name for finding in report.findings}


# ── healthy ────────────────────────────────────────────────────────────────────────────────────────────────


def standardised(data: Array) -> Array:
    spread = data.std(axis=0)
    return np.asarray((data - data.mean(axis=0)) / np.where(spread == 0.0, 1.0, spread))


def healthy_cases() -> list[Any]:
    from sklearn.datasets import load_digits, load_iris, load_wine, make_moons

    iris, wine, digits, moons = load_iris(), load_wine(), load_digits(), make_moons(300, noise=0.2, random_state=0)
    tables = {
        "iris": (standardised(iris.data), iris.target),
        "wine": (standardised(wine.data), wine.target),
        "digits": (digits.data[:800] / 16.0, digits.target[:800]),
        "moons": moons,
    }
    cases = []
    for name, (data, target) in tables.items():
        outputs = int(target.max()) + 1
        for hidden in ((16,), (64, 32)):
            for activation, init in (("relu", "he_normal"), ("tanh", "glorot_uniform"), ("sigmoid", "glorot_uniform")):
                for optimizer in (bl.Adam(0.003), bl.SGD(0.1)):
                    layers: list[Any] = [bl.Dense(units, activation, weight_init=init) for units in hidden]
                    net = bl.Network(
                        [*layers, bl.Dense(outputs, "softmax")], inputs=data.shape[1], loss="cross_entropy"
                    )
                    cases.append(
                        pytest.param(net, data, target, optimizer, id=f"{name} {hidden} {activation} {optimizer}")
                    )
    data = standardised(X)
    for activation in ("relu", "tanh"):
        net = bl.Network([bl.Dense(16, activation), bl.Dense(1)], inputs=6)
        target = data[:, 0] - 0.5 * data[:, 1] + 0.1 * RNG.standard_normal(300)
        cases.append(pytest.param(net, data, target, bl.Adam(0.01), id=f"values {activation}"))
    return cases


@pytest.mark.parametrize(("net", "data", "target", "optimizer"), healthy_cases())
def test_a_healthy_network_gets_no_warning(net: bl.Network, data: Array, target: Array, optimizer: Any) -> None:
    order = np.random.default_rng(1).permutation(len(data))
    train, other = order[: len(data) * 4 // 5], order[len(data) * 4 // 5 :]
    monitor = HealthMonitor()
    validation = data[other], target[other]
    history = bl.fit(
        net, data[train], target[train], epochs=12, optimizer=optimizer, callbacks=[monitor], validation=validation,
        progress=False,
    )  # fmt: skip
    report = health(net, data[train], target[train], optimizer=optimizer, history=history, validation=validation)
    assert report.ok, str(report)
    assert report.not_checked == {}
    assert [f for f in monitor.findings if f.severity == "warning"] == []


# ── planted, one by one ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_saturated_units(activation: str) -> None:
    net = classifier(bl.Dense(8, activation), bl.Dense(5, activation))
    net.parameters.view("0.bias")[:3] = 30.0
    report = health(net, X, LABELS)
    finding = found(report, "saturated_units", 0)
    assert (finding.severity, finding.numbers["units"], finding.numbers["of"]) == ("note", 3, 8)
    net.parameters.view("0.bias")[:] = -30.0
    finding = found(health(net, X, LABELS), "saturated_units", 0)
    assert (finding.severity, finding.numbers["units"]) == ("warning", 8)
    assert finding.cause.startswith(f"8 of 8 {activation} units")
    assert 0.0 <= finding.numbers["mean_slope"] < 1e-6


@pytest.mark.parametrize(("activation", "z"), [("sigmoid", 4.585), ("tanh", 2.298)])  # where f′ is 4 % of its largest
def test_a_unit_is_saturated_from_four_percent_of_the_slope_on(activation: str, z: float) -> None:
    net = classifier(bl.Dense(8, activation, weight_init=0.0))
    net.parameters.view("0.bias")[:4] = z - 0.05
    net.parameters.view("0.bias")[4:] = z + 0.05
    assert found(health(net, X, LABELS), "saturated_units", 0).numbers["units"] == 4


def test_saturated_outputs_that_are_wrong() -> None:
    targets = LABELS.astype(float)
    net = bl.Network([bl.Dense(1, "sigmoid")], inputs=6, loss="squared_error")
    net.parameters.view("0.bias")[:] = 12.0  # says 1 to every row
    finding = found(health(net, X, targets), "saturated_units", 0)
    assert finding.numbers["stuck_rows"] == int((LABELS == 0).sum())
    assert "squared_error multiplies its delta by f′(z)" in finding.cause
    paired = bl.Network([bl.Dense(1, "sigmoid")], inputs=6, loss="cross_entropy")
    paired.parameters.view("0.bias")[:] = 12.0
    assert "saturated_units" not in names(health(paired, X, targets))  # its delta is a − y


def test_dead_units() -> None:
    net = classifier(bl.Dense(10, "relu"))
    net.parameters.view("0.bias")[:3] = -100.0
    finding = found(health(net, X, LABELS), "dead_units", 0)
    assert (finding.severity, finding.numbers) == ("note", {"units": 3, "of": 10, "share": 0.3, "rows": 300})
    net.parameters.view("0.bias")[:5] = -100.0
    assert found(health(net, X, LABELS), "dead_units", 0).severity == "warning"
    leaky = classifier(bl.Dense(10, "leaky_relu"))
    leaky.parameters.view("0.bias")[:] = -100.0
    assert "dead_units" not in names(health(leaky, X, LABELS))


def test_units_killed_by_a_learning_rate_that_is_too_high() -> None:
    net = classifier(bl.Dense(20, "relu"))
    monitor = HealthMonitor(rows=300)
    bl.fit(net, X, LABELS, epochs=5, optimizer=bl.SGD(10.0), callbacks=[monitor], progress=False)
    z = X @ net.parameters.view("0.weight") + net.parameters.view("0.bias")
    dead = int((z <= 0.0).all(axis=0).sum())
    assert dead >= 8
    assert found(health(net, X, LABELS), "dead_units", 0).numbers["units"] == dead
    assert "dead_units" in [finding.name for finding in monitor.findings]


@pytest.mark.parametrize("init", ["zeros", 0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_identical_units_stay_identical_in_training(init: Any, dtype: str) -> None:
    net = classifier(bl.Dense(7, "tanh", weight_init=init), dtype=dtype)
    net.parameters.view("1.weight")[:] = [[0.1, -0.2]] * 7
    bl.fit(net, X, LABELS, epochs=3, optimizer=bl.SGD(0.1), progress=False)
    finding = found(health(net, X, LABELS), "identical_units", 0)
    assert (finding.severity, finding.numbers["units"], finding.numbers["groups"]) == ("warning", 7, 1)


def test_some_identical_units_are_a_note_and_twins_by_halves_are_none() -> None:
    net = classifier(bl.Dense(9, "tanh"))
    W, V, b = (net.parameters.view(name) for name in ("0.weight", "1.weight", "0.bias"))
    W[:, 4] = W[:, 1]
    assert "identical_units" not in names(health(net, X, LABELS))  # their weights out differ
    V[4] = V[1]
    W[:, 7], V[7], b[7] = W[:, 2], V[2], b[2]
    finding = found(health(net, X, LABELS), "identical_units", 0)
    assert (finding.severity, finding.numbers["units"], finding.numbers["groups"]) == ("note", 4, 2)
    b[7] = 0.5
    assert found(health(net, X, LABELS), "identical_units", 0).numbers["units"] == 2


def test_vanishing_deltas() -> None:
    net = classifier(*(bl.Dense(16, "sigmoid") for _ in range(6)), dtype="float64")
    report = health(net, X, LABELS)
    sizes = next(f for f in report.findings if f.name == "vanishing_deltas").numbers["rms_delta"]
    layer = max(i for i in range(6) if sizes[i] < 1e-4 * sizes[6])
    finding = found(report, "vanishing_deltas", layer)
    assert finding.numbers["ratio"] == sizes[0] / sizes[6] < 1e-4
    assert finding.severity == "warning"
    # by hand: the rms of delta at the output is that of a − y
    difference = net.forward(X) - np.eye(2)[LABELS]
    assert sizes[6] == pytest.approx(np.sqrt((difference**2).mean()))


def test_exploding_deltas() -> None:
    init = ("constant", 8.0)
    net = bl.Network([*(bl.Dense(16, weight_init=init) for _ in range(4)), bl.Dense(1)], inputs=6, dtype="float64")
    finding = found(health(net, X, SIGNAL), "exploding_deltas", 0)
    sizes = finding.numbers["rms_delta"]
    assert sizes[0] / sizes[1] == pytest.approx(16 * 8)  # every unit passes on 8 times what each of 16 units has
    assert finding.numbers["ratio"] == pytest.approx(sizes[0] / sizes[4])


def test_updates_that_are_too_large_and_too_small() -> None:
    net = classifier(bl.Dense(8, "tanh"), dtype="float64")
    before = {name: net.parameters.view(name).copy() for name in ("0.weight", "1.weight")}
    finding = found(health(net, X, LABELS, optimizer=bl.SGD(100.0)), "update_to_weight_ratio", 0)
    assert finding.severity == "warning"
    bl.fit(net, X, LABELS, epochs=1, batch_size=None, optimizer=bl.SGD(100.0), progress=False)
    moved = {n: np.linalg.norm(net.parameters.view(n) - w) / np.linalg.norm(w) for n, w in before.items()}
    assert finding.numbers["ratios"] == pytest.approx(moved)
    assert moved["0.weight"] > moved["1.weight"]

    net = classifier(bl.Dense(8, "tanh"))
    tiny = bl.SGD(1e-7)
    assert found(health(net, X, LABELS, optimizer=tiny), "update_to_weight_ratio").severity == "note"
    history = bl.fit(net, X, LABELS, epochs=2, optimizer=tiny, progress=False)
    report = health(net, X, LABELS, optimizer=tiny, history=history)
    assert found(report, "update_to_weight_ratio").severity == "warning"


@pytest.mark.parametrize(("scale", "columns"), [(255.0, 6), (1e-4, 0)])
def test_inputs_that_are_not_scaled(scale: float, columns: int) -> None:
    net = classifier(bl.Dense(8, "tanh"))
    finding = found(health(net, X * scale, LABELS), "inputs_not_scaled")
    sizes = scale * np.sqrt((X**2).mean(axis=0))
    assert finding.numbers["largest"] == pytest.approx(sizes.max())
    assert finding.numbers["column"] == sizes.argmax()
    assert finding.numbers["columns_above"] == columns
    scaled = classifier(bl.Dense(8, "tanh"), input_scale=1 / scale)
    assert "inputs_not_scaled" not in names(health(scaled, X * scale, LABELS))


CODED = np.column_stack([X, np.arange(len(X)) % 50])


@pytest.mark.parametrize(
    ("layers", "data"),
    [
        ([bl.ParallelDense(16, members=2, activation="tanh")], X),
        ([bl.NumericEmbedding(3)], X),
        ([bl.Embedding(50), bl.Dense(8, "tanh")], CODED),
        ([bl.Embedding(50), bl.LayerNorm(), bl.ParallelDense(8, members=2)], CODED),
        ([bl.Embedding(50), bl.NumericEmbedding(3, columns=6)], CODED),
    ],
    ids=["parallel", "numeric", "coded", "coded and normed", "coded and numeric"],
)
def test_the_column_that_is_not_scaled_is_one_of_the_numbers_that_come_in(layers: list[Any], data: Array) -> None:
    net = classifier(*layers, inputs=data.shape[1])
    report = health(net, data, LABELS)
    assert "inputs_not_scaled" not in names(report)  # of codes up to 49 as well
    large = data.copy()
    large[:, 4] *= 300.0
    report = health(net, large, LABELS)
    if any(isinstance(layer, bl.LayerNorm) for layer in layers):
        assert "inputs_not_scaled" not in names(report)
        return
    finding = found(report, "inputs_not_scaled")
    assert (finding.numbers["column"], finding.numbers["columns_above"]) == (4, 1)
    assert "1 column of 6 exceed" in finding.cause
    assert finding.numbers["largest"] == pytest.approx(300.0 * np.sqrt((X[:, 4] ** 2).mean()), rel=1e-6)


def test_codes_have_no_size() -> None:
    net = classifier(bl.Embedding(50), inputs=1)
    assert "inputs_not_scaled" not in names(health(net, CODED[:, -1:], LABELS))


def test_a_step_that_raises_the_loss_it_was_to_lower() -> None:
    # L = ½ w² on one weight: a step of SGD(η) from w promises −η w², and changes L by ½ w² ((1 − η)² − 1).
    net = bl.Network([bl.Dense(1, weight_init=3.0, bias=False)], inputs=1, dtype="float64")
    one, zero = [[1.0]], [0.0]
    for rate, severity in ((2.5, "note"), (4.5, "warning")):
        finding = found(health(net, one, zero, optimizer=bl.SGD(rate)), "predicted_loss_change")
        assert finding.severity == severity
        assert finding.numbers["predicted"] == pytest.approx(-rate * 9)
        assert finding.numbers["actual"] == pytest.approx(4.5 * ((1 - rate) ** 2 - 1))
        assert finding.numbers["best_fraction"] * rate == pytest.approx(1.0)  # η = 1 is best on this parabola
    assert "predicted_loss_change" not in names(health(net, one, zero, optimizer=bl.SGD(1.9)))


@pytest.mark.parametrize(("rate", "severity"), [(4.3, None), (4.35, "note"), (8.0, "note"), (8.2, "warning")], ids=str)
def test_a_rise_is_measured_against_the_loss(rate: float, severity: str | None) -> None:
    # L = ½ w² + ½ c² with targets ±c: 500 at w = 1. The step changes it by ½ ((1 − η)² − 1): 4.9, 5.1, 24 and 25.4,
    # where 1 % of 500 are a note and 5 % a warning.
    net = bl.Network([bl.Dense(1, weight_init=1.0, bias=False)], inputs=1, dtype="float64")
    c = math.sqrt(999.0)
    report = health(net, [[1.0], [1.0]], [c, -c], optimizer=bl.SGD(rate))
    assert [f.severity for f in report.findings if f.name == "predicted_loss_change"] == [severity] * bool(severity)


def run(**columns: list[float]) -> bl.History:
    history = bl.History()
    for values in zip(*columns.values(), strict=True):
        history.append(**dict(zip(columns, values, strict=True)))
    return history


def test_a_loss_that_increases() -> None:
    net = classifier(bl.Dense(8, "tanh"))
    history = run(loss=[1.0, 0.5, 0.2, 0.3, 0.5, 0.7, 0.9])
    finding = found(health(net, X, LABELS, history=history), "loss_increasing")
    assert finding.numbers == {"best": 0.2, "best_epoch": 3, "last": 0.9, "epochs": 7}
    # in each of the last three epochs above the best by half of it
    above, below = run(loss=[1.0, 0.5, 0.2, 0.301, 0.301, 0.301]), run(loss=[1.0, 0.5, 0.2, 0.9, 0.9, 0.299])
    assert "loss_increasing" in names(health(net, X, LABELS, history=above))
    assert "loss_increasing" not in names(health(net, X, LABELS, history=below))
    for losses in ([1.0, 0.5, 0.2, 0.9, 0.19], [1.0, 0.5, 0.22, 0.25, 0.21], [1.0, 1e-4, 3e-4, 4e-4, 3e-4], [1.0, 2.0]):
        assert "loss_increasing" not in names(health(net, X, LABELS, history=run(loss=losses)))


@pytest.mark.parametrize(("rate", "rises"), [(50.0, True), (200.0, True), (20.0, False)])
def test_a_loss_that_goes_up_and_down_although_every_step_takes_all_rows(rate: float, rises: bool) -> None:
    from backlit.demos.admissions import prepare, unit

    rows = prepare()
    net = unit(np.random.RandomState(21).normal(scale=1.0 / np.sqrt(6.0), size=6))
    settings = {"epochs": 200, "batch_size": None, "optimizer": bl.SGD(rate), "progress": False}
    history = bl.fit(net, rows.X_train, rows.y_train, **settings)
    report = health(net, rows.X_train, rows.y_train, history=history)
    assert len(history.rises) == int((np.diff(history["loss"]) > 0).sum())
    if not rises:
        assert history.rises == []
        assert "loss_increasing" not in names(report)
        return
    finding = found(report, "loss_increasing")
    above = int((np.diff(history["loss"]) > 0.01 * np.array(history["loss"][:-1])).sum())
    assert finding.severity == "warning"
    assert finding.numbers["rises"] == above >= 100
    assert f"The loss rose in {len(history.rises)} of 199 epochs." in str(history)


def test_a_loss_made_random_by_dropout_or_batches_may_go_up_and_down() -> None:
    losses = [1.0 + 0.1 * (i % 2) for i in range(30)]
    one_step = run(loss=losses, batch_loss_min=losses, batch_loss_max=losses)
    assert "loss_increasing" in names(health(classifier(bl.Dense(8, "tanh")), X, LABELS, history=one_step))
    dropped = classifier(bl.Dense(8, "tanh"), bl.Dropout(0.5))
    assert "loss_increasing" not in names(health(dropped, X, LABELS, history=one_step))
    several = run(loss=losses, batch_loss_min=[loss - 0.01 for loss in losses], batch_loss_max=losses)
    assert "loss_increasing" not in names(health(classifier(bl.Dense(8, "tanh")), X, LABELS, history=several))


def test_outputs_that_are_all_the_same() -> None:
    net = classifier(bl.Dense(8, "relu"))
    net.parameters.view("0.bias")[:] = -100.0
    finding = found(health(net, X, LABELS), "constant_outputs", 1)
    assert finding.numbers["spread"] == 0.0
    assert finding.numbers["target_spread"] == pytest.approx(LABELS.std(), rel=1e-5)
    assert finding.severity == "warning"
    early = health(net, X, LABELS, history=run(loss=[0.7, 0.7]))
    assert found(early, "constant_outputs", 1).severity == "note"
    assert "constant_outputs" not in names(health(net, X, np.zeros(300, int)))  # there is nothing to tell apart


def test_overfitting_seen_in_the_history() -> None:
    net = classifier(bl.Dense(8, "tanh"))
    falling = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02]
    history = run(loss=falling, val_loss=[1.0, 0.5, 0.6, 0.8, 0.9, 1.0])
    finding = found(health(net, X, LABELS, history=history), "overfitting_gap")
    assert (finding.severity, finding.numbers["best_epoch"]) == ("warning", 2)
    assert finding.numbers["rise"] == pytest.approx(0.6)  # the least of the last three, 0.8, over 0.5
    history.best_epoch = 2  # a callback has gone back to it
    assert "overfitting_gap" not in names(health(net, X, LABELS, history=history))
    slight = run(loss=falling, val_loss=[1.0, 0.5, 0.6, 0.65, 0.65, 0.65])
    assert found(health(net, X, LABELS, history=slight), "overfitting_gap").severity == "note"
    level = run(loss=falling, val_loss=[1.0, 0.5, 0.51, 0.5, 0.52, 0.55])
    assert "overfitting_gap" not in names(health(net, X, LABELS, history=level))


def test_overfitting_measured_on_other_data() -> None:
    noise = RNG.integers(0, 2, 60)  # nothing to learn: everything learnt is by heart
    net = classifier(bl.Dense(64, "tanh"))
    bl.fit(net, X[:60], noise, epochs=300, optimizer=bl.Adam(0.01), progress=False)
    other = X[60:], RNG.integers(0, 2, 240)
    finding = found(health(net, X[:60], noise, validation=other), "overfitting_gap")
    numbers = finding.numbers
    right = float((net.predict(X[:60]).argmax(axis=1) == noise).mean())
    assert numbers["train"]["accuracy"] == right > 0.95
    assert numbers["gap"] == numbers["train"]["accuracy"] - numbers["validation"]["accuracy"] > 0.3
    assert numbers["metric"] == "accuracy"


def test_few_rows_of_a_class() -> None:
    rare = np.zeros(300, int)
    rare[:8] = 1
    labels = np.array(["often", "seldom"])
    net = classifier(bl.Dense(8, "tanh"))
    bl.fit(net, X, labels[rare], epochs=1, optimizer=bl.SGD(0.1), progress=False)
    net.parameters.view("1.bias")[:] = [5.0, -5.0]
    finding = found(health(net, X, labels[rare]), "class_imbalance")
    assert finding.severity == "warning"
    assert finding.numbers == {"rows": [292, 8], "largest": 0, "smallest": 1, "never_predicted": [1]}
    assert (
        finding.cause == "Class 'often' has 292 rows and class 'seldom' has 8, and class 'seldom' is never predicted."
    )
    early = health(net, X, labels[rare], history=run(loss=[0.7, 0.7]))
    assert found(early, "class_imbalance").severity == "note"
    net.parameters.view("1.bias")[:] = 0.0
    assert found(health(net, X, labels[rare]), "class_imbalance").severity == "note"
    weight = np.where(rare == 1, 30.0, 1.0)
    assert "class_imbalance" not in names(health(net, X, labels[rare], sample_weight=weight))


def test_numbers_that_are_not_finite() -> None:
    net = classifier(bl.Dense(8, "tanh"), bl.Dense(8, "tanh"))
    net.parameters.view("1.weight")[0, 0] = np.nan
    report = health(net, X, LABELS, optimizer=bl.SGD(0.1))
    assert not report.ok
    assert found(report, "not_finite", 1).numbers == {"not_finite_parameters": 1}


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_on_every_surface() -> None:
    net = classifier(bl.Dense(8, "tanh", weight_init=0.5))
    net.parameters.view("1.weight")[:] = [[0.1, -0.2]] * 8
    before = net.parameters.values.copy()
    report = health(net, 100 * X, LABELS)
    assert np.array_equal(net.parameters.values, before)
    text = str(report)
    assert text.startswith("Health, on 300 rows: ")
    assert "warning: identical_units, layer 0" in text
    assert "  → Start from random weights" in text
    assert "needs optimizer=" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "identical_units, layer 0" in report._repr_html_()
    assert "warning identical_units, layer 0" in repr(report)
    result = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert result["ok"] is False
    assert result["findings"][0]["name"] == "inputs_not_scaled"
    assert [f.severity for f in report.findings] == sorted((f.severity for f in report.findings), reverse=True)
    assert report.ok is False
    assert len(report.warnings) == len([f for f in report.findings if f.severity == "warning"])


def test_a_report_of_nothing() -> None:
    net = classifier(bl.Dense(8, "tanh"))
    report = health(net, X, LABELS)
    assert report.ok
    assert report.findings == ()
    assert repr(report) == "HealthReport(nothing found)"
    assert str(report).startswith("Health, on 300 rows: nothing found\n")


def test_few_rows_say_nothing_about_units() -> None:
    net = classifier(bl.Dense(10, "relu"))
    net.parameters.view("0.bias")[:] = -100.0
    report = health(net, X[:5], LABELS[:5])
    assert "dead_units" not in names(report)
    assert report.not_checked["saturated_units, dead_units, constant_outputs"] == "needs at least 16 rows"


def test_a_sample_of_many_rows() -> None:
    net = classifier(bl.Dense(8, "tanh"))
    report = health(net, X, LABELS, rows=100)
    assert report.rows == 100
    assert report.to_dict() == health(net, X, LABELS, rows=100).to_dict()


def test_what_cannot_be_looked_at() -> None:
    net = classifier(bl.Dense(8, "tanh"))
    with pytest.raises(ConfigurationError, match=r"validation must be \(X, y\)"):
        health(net, X, LABELS, validation=X)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="rows must be a whole number"):
        health(net, X, LABELS, rows=0)
    with pytest.raises(ConfigurationError, match="must be SGD, RMSprop, Adagrad, Adam or AdamW"):
        health(net, X, LABELS, optimizer=bl.LBFGS())  # type: ignore[arg-type]


# ── during training ────────────────────────────────────────────────────────────────────────────────────────


def test_the_monitor_looks_after_epochs_1_2_4_8_and_the_last() -> None:
    looked: list[int] = []

    class Spied(list[int]):
        pass

    monitor = HealthMonitor()
    original = monitor._rows
    monitor._rows = lambda training: (looked.append(training.epoch), original(training))[1]  # type: ignore[method-assign,func-returns-value]
    net = classifier(bl.Dense(8, "tanh"))
    history = bl.fit(net, X, LABELS, epochs=11, callbacks=[monitor], progress=False)
    assert looked == [1, 2, 4, 8, 11]
    looked.clear()
    bl.fit(net, X, LABELS, epochs=3, callbacks=[monitor], progress=False, resume=history)
    assert looked == [12, 13, 14]


def test_the_monitor_prints_each_finding_once(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = HealthMonitor(show=True)
    net = classifier(bl.Dense(8, "tanh"))
    bl.fit(net, 100 * X, LABELS, epochs=8, optimizer=bl.SGD(1e-3), callbacks=[monitor], progress=False)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == len(monitor.findings)
    assert [line for line in lines if line.startswith("warning: inputs_not_scaled (epoch 1): The inputs reach")]
    assert monitor.report is not None
    silent = HealthMonitor()
    bl.fit(net, 100 * X, LABELS, epochs=2, callbacks=[silent], progress=False)
    assert capsys.readouterr().err == ""
    assert "inputs_not_scaled" in [finding.name for finding in silent.findings]


class Bytes:
    """A source of uint8-like rows."""

    shape = (300, 6)

    def fetch(self, rows: Array, out: Array, *, epoch: int) -> None:
        out[...] = np.round(X[rows] * 50 + 128)


@pytest.mark.parametrize(
    "data", [np.round(X * 50 + 128).clip(0, 255).astype(np.uint8), Bytes()], ids=["bytes", "source"]
)
@pytest.mark.parametrize("scale", [1.0, 1 / 128])
def test_the_monitor_takes_bytes_and_sources(data: Any, scale: float) -> None:
    monitor = HealthMonitor(rows=64)
    net = classifier(bl.Dense(8, "tanh"), input_scale=scale)
    bl.fit(net, data, LABELS, epochs=2, batch_size=50, optimizer=bl.SGD(1e-4), callbacks=[monitor], progress=False)
    assert ("inputs_not_scaled" in [finding.name for finding in monitor.findings]) == (scale == 1.0)
    assert monitor.report is not None
    assert monitor.report.rows == 64


@pytest.mark.parametrize("engine", ["reference", pytest.param("compiled", marks=pytest.mark.xdist_group("compiled"))])
def test_the_monitor_changes_nothing_in_training(engine: str) -> None:
    if engine == "compiled":
        pytest.importorskip("numba", reason="the compiled engine needs Numba")
    values = []
    for callbacks in ([], [HealthMonitor()]):
        net = classifier(bl.Dense(8, "tanh"), bl.Dropout(0.2))
        bl.fit(net, X, LABELS, epochs=5, optimizer=bl.Adam(0.01), callbacks=callbacks, progress=False, engine=engine)
        values.append(net.parameters.values)
    assert np.array_equal(values[0], values[1])


def test_the_monitor_goes_with_lbfgs_and_with_labels_of_any_kind() -> None:
    monitor = HealthMonitor()
    net = bl.Network([bl.Dense(8, "tanh"), bl.Dense(1)], inputs=6, loss="hinge")
    labels = np.array(["no", "yes"])[LABELS]
    bl.fit(net, X, labels, epochs=3, optimizer=bl.LBFGS(), callbacks=[monitor], progress=False)
    assert monitor.report is not None
    assert monitor.report.not_checked["update_to_weight_ratio, predicted_loss_change"] == "needs optimizer="


def test_the_monitor_takes_the_step_that_training_would_take_next() -> None:
    """With all rows in a batch, the sample is the batch, and momentum is that of the run."""
    monitor = HealthMonitor(rows=300)
    settings: dict[str, Any] = {"optimizer": bl.SGD(20.0, momentum=0.9), "batch_size": None, "progress": False}
    net = classifier(bl.Dense(8, "tanh"), dtype="float64")
    history = bl.fit(net, X, LABELS, epochs=2, callbacks=[monitor], **settings)
    assert monitor.report is not None
    ratios = next(f for f in monitor.report.findings if f.name == "update_to_weight_ratio").numbers["ratios"]
    before = net.parameters.view("0.weight").copy()
    bl.fit(net, X, LABELS, epochs=1, resume=history, **settings)
    moved = np.linalg.norm(net.parameters.view("0.weight") - before) / np.linalg.norm(before)
    assert ratios["0.weight"] == pytest.approx(moved, rel=1e-9)


# ── facts of layers and activations ────────────────────────────────────────────────────────────────────────


def test_an_activation_of_ones_own_is_judged_by_its_facts() -> None:
    steep = Activation(
        "steep",
        lambda z, out: np.tanh(5.0 * z, out=out),
        lambda z, a, out, scratch: np.multiply(5.0, 1.0 - a * a, out=out),
        steepest=5.0,
    )
    half = Activation(
        "half",
        lambda z, out: np.maximum(z, 0.0, out=out),
        lambda z, a, out, scratch: np.greater(z, 0.0, out=out, casting="unsafe"),
        dies=True,
    )
    X = RNG.normal(size=(40, 3))
    for activation, name, told in ((steep, "saturated_units", "steep units"), (half, "dead_units", "half units")):
        net = bl.Network([bl.Dense(4, activation), bl.Dense(1)], inputs=3, dtype="float64")
        # a = 0.985, where f′ = 5 (1 − a²) = 0.149 is 3 % of its largest value; and far on the side that is 0
        net.layers[0].weight = np.zeros((3, 4))
        net.layers[0].bias = np.full(4, np.arctanh(0.985) / 5 if name == "saturated_units" else -9.0)
        found = [finding for finding in bl.health(net, X, X[:, 0]).findings if finding.name == name]
        assert len(found) == 1
        assert told in found[0].cause
        assert (found[0].numbers["units"], found[0].numbers["of"]) == (4, 4)


@pytest.mark.parametrize("between", [bl.Dropout(0.0), bl.Scale(), bl.LayerNorm(), bl.BatchNorm()], ids=repr)
def test_twins_are_looked_for_across_layers_without_weights(between: Any) -> None:
    net = bl.Network([bl.Dense(3, "tanh"), between, bl.Dense(1)], inputs=2, dtype="float64")
    net.layers[0].weight[:, 1] = net.layers[0].weight[:, 0]
    net.layers[2].weight[1] = net.layers[2].weight[0]
    X = RNG.normal(size=(20, 2))

    def found() -> list[Any]:
        return [f.numbers["units"] for f in bl.health(net, X, X[:, 0]).findings if f.name == "identical_units"]

    assert found() == [2]
    for name in net.parameters.names:
        if name.startswith("1."):
            net.parameters.view(name)[0] += 0.5  # the two can be told apart after all
            assert found() == []
            return


def test_a_norm_in_front_scales_the_inputs() -> None:
    X = RNG.normal(size=(60, 2)) * [1.0, 500.0] + [0.0, 2000.0]
    y = X[:, 0]

    def names(*front: Any) -> set[str]:
        net = bl.Network([*front, bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2)
        bl.fit(net, X, y, epochs=30, optimizer=bl.SGD(1e-3), engine="reference", progress=False)
        return {finding.name for finding in bl.health(net, X, y).findings}

    assert "inputs_not_scaled" in names()
    assert "inputs_not_scaled" not in names(bl.BatchNorm(momentum=0.5))


@pytest.mark.parametrize(("restore_best", "said"), [(True, False), (False, True)])
def test_a_run_that_keeps_its_best_epoch_is_not_told_to_stop_earlier(restore_best: bool, said: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 8)), rng.integers(0, 2, 40)
    net = bl.Network([bl.Dense(64, "relu"), bl.Dense(2, "softmax")], inputs=8, loss="cross_entropy")
    monitor, stop = bl.HealthMonitor(), bl.EarlyStopping(patience=300, restore_best=restore_best)
    settings: dict[str, Any] = {"epochs": 150, "optimizer": bl.Adam(0.01), "callbacks": [monitor, stop]}
    bl.fit(net, X, y, validation=(rng.normal(size=(40, 8)), rng.integers(0, 2, 40)), **settings)
    assert any(finding.name == "overfitting_gap" for finding in monitor.findings) == said
