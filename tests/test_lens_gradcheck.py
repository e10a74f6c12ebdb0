"""The gradient check in full: verdicts, reasons, coverage, directions, heat maps, the sweep over ε."""

# mypy: disable-error-code="union-attr, index, arg-type, operator"
# What can be None elsewhere is there in these networks; and wrong types are passed on purpose.
from __future__ import annotations

import json
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import backlit as bl
from backlit.checking.gradcheck import AGREES, DISAGREES, UNCHECKABLE, check_gradients, stratified_sample
from backlit.lens import plot_check, plot_sweep, show

mpl.use("Agg")
rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4))

SMOOTH = ["identity", "sigmoid", "tanh", "gelu", "softplus", "silu", "softmax"]
LOSSES = [
    ("identity", "squared_error"),
    ("identity", "mean_squared_error"),
    ("identity", "huber"),
    ("tanh", "squared_error"),
    ("softmax", "cross_entropy"),
    ("softmax", "squared_error"),
    ("sigmoid", "cross_entropy"),
    ("exp", "poisson"),
    ("softplus", "poisson"),
]


def targets(loss: str, outputs: int) -> Any:
    if loss == "cross_entropy":
        return np.eye(outputs)[np.arange(len(X)) % outputs]
    return np.abs(rng.normal(size=(len(X), outputs))) if loss == "poisson" else rng.normal(size=(len(X), outputs))


@pytest.mark.parametrize("hidden", [*SMOOTH, "relu", "leaky_relu", "elu"])
@pytest.mark.parametrize(("output", "loss"), LOSSES)
def test_every_activation_and_loss_agrees(hidden: str, output: str, loss: str) -> None:
    net = bl.Network([bl.Dense(5, hidden), bl.Dense(3, output)], inputs=4, loss=loss, l1=1e-3, l2=1e-2, seed=3)
    report = check_gradients(net, X, targets(loss, 3), sample_weight=[1, 2, 0, 1, 0.5, 1])
    assert report.ok, str(report)
    assert len(report.rows) == report.total == 5 * 5 + 6 * 3
    assert sum(row.verdict == AGREES for row in report.rows) > 0.9 * report.total
    assert [d.verdict for d in report.directions].count(DISAGREES) == 0


def wrong_beyond(limit: float) -> Any:
    """tanh with a slope that is wrong only where the check on construction does not look."""

    def f(z: Any) -> Any:
        return np.tanh(z / 10)

    def df(z: Any) -> Any:
        return (1 - np.tanh(z / 10) ** 2) / 10 * np.where(np.abs(z) > limit, 1.5, 1.0)

    return f, df


def test_a_wrong_slope_disagrees_and_is_located() -> None:
    net = bl.Network(
        [bl.Dense(3, "tanh"), bl.Dense(2, wrong_beyond(6.0), bias_init=8.0), bl.Dense(1)], inputs=4, dtype="float64"
    )
    report = check_gradients(net, X, np.zeros(6))
    verdicts = {name: {row.verdict for row in report.rows if row.name == name} for name in report.shapes}
    # the wrong slope is in layer 1: it and what is below are wrong, the layer above is right
    assert verdicts["2.weight"] == verdicts["2.bias"] == {AGREES}
    assert verdicts["1.weight"] == verdicts["1.bias"] == verdicts["0.bias"] == {DISAGREES}
    assert {d.verdict for d in report.directions} == {DISAGREES}
    assert not report.ok
    assert report.worst.relative_error == pytest.approx(1 / 3, rel=1e-3)
    assert "NOT ok" in str(report)
    assert f"disagrees: {report.worst}" in str(report)


def test_directions_find_what_the_sample_missed() -> None:
    net = bl.Network([bl.Dense(30, wrong_beyond(6.0), bias_init=8.0), bl.Dense(1)], inputs=4, dtype="float64")
    report = check_gradients(net, X, np.zeros(6), sample=3, seed=1)
    assert len(report.rows) == 4  # one of every array at least
    only_right = [row for row in report.rows if row.name.startswith("1.")]
    assert {row.verdict for row in only_right} == {AGREES}
    assert {d.verdict for d in report.directions} == {DISAGREES}
    assert "4 of 181 parameters one by one" in report.coverage


def test_a_kink_cannot_be_checked_and_is_named() -> None:
    net = bl.Network([bl.Dense(2, "relu", weight_init=0.0), bl.Dense(1, weight_init=1.0)], inputs=1, dtype="float64")
    net.parameters.view("0.bias")[:] = [0.0, 1.0]  # z = 0 exactly for unit 0, 1 for unit 1
    report = check_gradients(net, [[2.0]], [0.0])
    by_place = {str(row): row for row in report.rows}
    kink = by_place["0.weight[0, 0]"]
    assert kink.verdict == UNCHECKABLE
    assert kink.reason == "a relu kink of layer 0 (unit 0, row 0) lies between θ − ε and θ + ε"
    assert by_place["0.weight[0, 1]"].verdict == AGREES
    assert np.isnan(report.heatmap("0.weight")[0, 0])
    assert report.heatmap("0.weight")[0, 1] > 6
    assert report.ok
    assert report.worst.verdict == AGREES


def test_a_kink_nearby_is_stepped_over_with_a_smaller_epsilon() -> None:
    net = bl.Network([bl.Dense(1, "relu", weight_init=0.0), bl.Dense(1, weight_init=1.0)], inputs=1, dtype="float64")
    net.parameters.view("0.bias")[:] = 3e-6  # within ε = 1e-5 of the kink, not within ε/10
    report = check_gradients(net, [[1.0]], [5.0])
    assert {row.verdict for row in report.rows} == {AGREES}


def test_kink_of_a_loss_and_of_the_penalty() -> None:
    net = bl.Network([bl.Dense(1, weight_init=0.0)], inputs=1, loss="absolute_error", dtype="float64")
    report = check_gradients(net, [[1.0]], [1e-9])
    assert {row.reason for row in report.rows} == {
        "a kink of the loss absolute_error (unit 0, row 0) lies between θ − ε and θ + ε"
    }
    assert not report.ok  # nothing at all could be checked
    net = bl.Network([bl.Dense(1, weight_init=0.0)], inputs=1, l1=0.1, dtype="float64")
    weight, bias = check_gradients(net, [[1.0]], [1.0]).rows
    # back-propagation takes sign(0) = 0, the central difference across |w| is 0 as well: they agree
    assert (weight.verdict, bias.verdict) == (AGREES, AGREES)
    net.parameters.view("0.weight")[:] = 1e-9
    weight, _ = check_gradients(net, [[1.0]], [1.0]).rows
    assert weight.verdict == UNCHECKABLE
    assert "l1 penalty" in weight.reason


def test_inputs_that_are_not_scaled() -> None:
    net = bl.Network([bl.Dense(3, "tanh", weight_init=1e-4), bl.Dense(1)], inputs=4, dtype="float64")
    assert check_gradients(net, X * 1e4, np.ones(6)).ok


def test_what_is_not_finite_cannot_be_checked() -> None:
    net = bl.Network([bl.Dense(2, "exp"), bl.Dense(1)], inputs=4)
    net.parameters.view("0.weight")[1, 1] = np.nan
    report = check_gradients(net, X, np.ones(6))
    assert {row.verdict for row in report.rows} == {UNCHECKABLE}
    assert {row.reason for row in report.rows} == {"0.weight[1, 1] is nan"}
    assert not report.ok
    net.parameters.view("0.weight")[:] = 1000.0
    report = check_gradients(net, np.abs(X), np.ones(6))
    assert {row.verdict for row in report.rows} == {UNCHECKABLE}
    assert {row.reason for row in report.rows} <= {"the loss is inf", "the loss is nan"}
    json.dumps(report.to_dict(), allow_nan=False)


def test_something_random_that_is_not_frozen() -> None:
    noise = np.random.default_rng(5)

    def f(z: Any) -> Any:
        return z * (1.0 if z.shape == (6, 4) else (noise.random(z.shape) > 0.5))

    def df(z: Any) -> Any:
        return np.ones_like(z)

    net = bl.Network([bl.Dense(3, (f, df)), bl.Dense(1)], inputs=4, dtype="float64")
    report = check_gradients(net, X, np.ones(6))
    assert {row.verdict for row in report.rows} == {UNCHECKABLE}
    assert all("not frozen" in row.reason for row in report.rows)


def test_dropout_is_left_out_or_frozen() -> None:
    net = bl.Network([bl.Dense(8, "tanh"), bl.Dropout(0.5), bl.Dense(1)], inputs=4, dtype="float64")
    y = np.ones(6)
    left_out = check_gradients(net, X, y)
    assert left_out.ok
    assert "Dropout as in inference" in left_out.note
    np.testing.assert_allclose([row.gradient for row in left_out.rows], net.gradient(X, y), rtol=1e-12)
    seven, eight = check_gradients(net, X, y, step=7), check_gradients(net, X, y, step=8)
    assert seven.ok
    assert eight.ok
    assert "as in step 7 of training" in str(seven)
    assert [r.gradient for r in seven.rows] != [r.gradient for r in eight.rows]


def test_a_sample_has_some_of_every_array() -> None:
    net = bl.Network([bl.Dense(50, "tanh"), bl.Dense(4, "softmax")], inputs=20, loss="cross_entropy")
    report = check_gradients(net, rng.normal(size=(3, 20)), [0, 1, 2], sample=300)
    counts = {name: sum(row.name == name for row in report.rows) for name in report.shapes}
    assert counts == {"0.weight": 123, "0.bias": 50, "1.weight": 123, "1.bias": 4}
    assert len({(row.name, row.index) for row in report.rows}) == len(report.rows) == 300
    assert "300 of 1,254 parameters one by one, some of every array" in str(report)
    assert "3 random directions" in report.coverage
    assert np.isfinite(report.heatmap("0.weight")).sum() <= 123


def test_large_networks_are_sampled_unless_asked() -> None:
    net = bl.Network([bl.Dense(60, "tanh"), bl.Dense(2)], inputs=100)
    assert len(stratified_sample(net.parameters, 5000, 0)) == 5000
    assert len(check_gradients(net, np.ones((1, 100)), [[0.0, 1.0]]).rows) == 5000
    assert len(check_gradients(net, np.ones((1, 100)), [[0.0, 1.0]], sample=net.parameters.size).rows) == 6182


def test_digits_are_those_that_agree() -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(2)], inputs=4)
    report = check_gradients(net, X, np.ones((6, 2)))
    for row in report.rows:
        gap = abs(row.gradient - row.finite_difference) / max(abs(row.gradient), abs(row.finite_difference))
        assert row.digits == (16.0 if gap == 0 else pytest.approx(min(16.0, -np.log10(gap))))
        assert report.heatmap(row.name)[row.index] == row.digits


def test_the_sweep_is_a_valley_and_float32_has_a_higher_floor() -> None:
    net = bl.Network([bl.Dense(5, "tanh"), bl.Dense(2, "softmax")], inputs=4, loss="cross_entropy")
    sweep = check_gradients(net, X, [0, 1, 0, 1, 0, 1], sweep=True).sweep
    assert sweep.epsilons[0] == 0.1
    assert sweep.epsilons[-1] == pytest.approx(1e-12)
    errors = dict(zip([round(-np.log10(e)) for e in sweep.epsilons], sweep.errors, strict=True))
    # truncation: an ε ten times smaller leaves an error a hundred times smaller
    assert errors[1] / errors[2] == pytest.approx(100, rel=0.1)
    assert errors[2] / errors[3] == pytest.approx(100, rel=0.1)
    # rounding: below the best ε the error grows again
    assert errors[12] > 1e3 * errors[6]
    assert 1e-7 < sweep.best[0] < 1e-3
    assert sweep.best[1] < 1e-8
    assert sweep.best_float32[1] > 1e3 * sweep.best[1]
    assert sweep.errors[4] < 10 * sweep.best[1]  # the ε chosen is a good one
    text = str(sweep)
    assert "← used" in text
    assert "cube root" in text
    assert "In float32 it never falls below" in text


def test_surfaces() -> None:
    net = bl.Network([bl.Dense(40, "tanh"), bl.Dense(2, "softmax")], inputs=30, loss="cross_entropy")
    report = check_gradients(net, rng.normal(size=(3, 30)), [0, 1, 1], sweep=True)
    for page in (report.page(), report.page(heat=False), report.sweep.page()):
        assert max(map(len, page.text().splitlines())) <= 100
    assert "the least of each 2 × 3 block" in report.page().text()
    parsed = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(parsed["parameters"]) == report.total
    assert parsed["sweep"]["chosen"] == 1e-5
    html = report._repr_html_()
    assert html.count("<table") == html.count("</table>") >= 6
    figure = plot_check(report)
    assert [ax.get_title(loc="left") for ax in figure.axes[:4]] == [f"{n} {s}" for n, s in report.shapes.items()]
    assert len(plot_check(report, "0.bias").axes) == 2  # the map and its colour bar
    assert len(plot_sweep(report.sweep).get_lines()) == 4
    mpl.pyplot.close("all")


def test_bad_calls() -> None:
    net = bl.Network([bl.Dense(2)], inputs=4)
    report = check_gradients(net, X, np.ones((6, 2)))
    with pytest.raises(bl.BacklitError, match=r"there is no parameter '0.weigth': did you mean '0.weight'"):
        report.heatmap("0.weigth")
    with pytest.raises(bl.BacklitError, match=r"step must be a whole number of at least 0, or None, received -1"):
        check_gradients(net, X, np.ones((6, 2)), step=-1)
    with pytest.raises(bl.BacklitError, match=r"there is no sweep to draw: call check_gradients with sweep=True"):
        plot_sweep(report.sweep)


def test_show_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    net = bl.Network([bl.Dense(2)], inputs=4)
    report = check_gradients(net, X, np.ones((6, 2)))
    show(report)
    assert capsys.readouterr().out == report.page().text() + "\n"
