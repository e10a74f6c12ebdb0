"""The embedding of categories: its equations once more by hand, its gradients, its errors, other programs, the lens."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.data.merging import merged, with_output
from backlit.exceptions import ConfigurationError, DataError
from backlit.lab.own_code import judge, template
from backlit.lens.step.trace import trace_batch

N, K = 9, 2
COUNTS = (5, 3)
RNG = np.random.default_rng(5)
# no row has category 4 of the first column
X = np.column_stack([RNG.normal(size=(N, 2)), RNG.integers(0, 4, N), RNG.integers(0, 3, N)])
Y = RNG.normal(size=(N, 2))
WEIGHT = RNG.uniform(0.25, 2.0, N)


def network(*between: bl.Layer, size: int = K, **settings: Any) -> bl.Network:
    layers = [bl.Embedding(COUNTS, size=size), *between, bl.Dense(3, "tanh"), bl.Dense(2)]
    return bl.Network(layers, **{"inputs": 4, "dtype": "float64", "seed": 2, **settings})


def given(net: bl.Network, rows: np.ndarray) -> np.ndarray:
    work = net.workspace(len(rows))
    work.load(rows)
    net.forward_pass(work)
    return np.array(work.a[1])


def test_what_it_gives_is_its_equation() -> None:
    net = network()
    E = net.parameters.view("0.weight")
    assert E.shape == (8, K)
    assert (net.layers[0].outputs, net.layers[1].inputs) == (6, 6)
    expected = [[*row[:2], *E[int(row[2])], *E[5 + int(row[3])]] for row in X]
    np.testing.assert_array_equal(given(net, X), expected)


def test_it_is_a_dense_layer_on_one_hot_columns() -> None:
    """dL/dE is what a matrix of weights would learn, and a category that no row has learns nothing."""
    net = network(size=3)
    E = net.parameters.view("0.weight")
    hot = np.hstack([np.eye(count)[X[:, 2 + j].astype(int)] for j, count in enumerate(COUNTS)])
    block = np.zeros((2 + 8, 2 + 6))
    block[:2, :2], block[2:7, 2:5], block[7:, 5:] = np.eye(2), E[:5], E[5:]
    other = bl.Network([bl.Dense(8, bias=False), *net.layers[1:]], inputs=10, dtype="float64")
    other.parameters.values[:] = np.concatenate([block.ravel(), net.parameters.values[E.size :]])
    wide = np.hstack([X[:, :2], hot])
    np.testing.assert_allclose(net.forward(X), other.forward(wide), rtol=1e-13)
    dense = other.gradient(wide, Y, sample_weight=WEIGHT)[: block.size].reshape(block.shape)
    found = net.gradient(X, Y, sample_weight=WEIGHT)[: E.size].reshape(E.shape)
    np.testing.assert_allclose(found, np.vstack([dense[2:7, 2:5], dense[7:, 5:]]), rtol=1e-12, atol=1e-15)
    assert not found[4].any()


def test_it_starts_as_told() -> None:
    net = bl.Network([bl.Embedding([4000], size=4), bl.Dense(1)], inputs=1)
    E = net.parameters.view("0.weight")
    assert E.std() == pytest.approx(0.5, rel=0.03)
    assert abs(E.mean()) < 0.02
    assert net.parameters.weight_mask[net.parameters.slice("0.weight")].all()


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_gradients(weight: np.ndarray | None) -> None:
    net = network(bl.NumericEmbedding(2, frequencies=3, columns=2), bl.LayerNorm(), l2=0.01, l1=0.001)
    report = bl.check_gradients(net, X, Y, sample_weight=weight)
    assert report.ok, str(report)
    assert len(report.rows) == net.parameters.size


def test_what_a_row_looks_up_is_its_work() -> None:
    net = bl.Network([bl.Embedding([1_000, 50], size=4), bl.Dense(3)], inputs=3)
    assert net.row_work == 2 * 4 + 9 * 3 + 3
    assert bl.Embedding(np.int64(7)).categories == bl.Embedding(np.array(7)).categories == (7,)


def test_codes_may_be_all_that_there_is() -> None:
    net = bl.Network([bl.Embedding(COUNTS), bl.Dense(2)], inputs=2, dtype="float64")
    assert bl.check_gradients(net, X[:, 2:].astype(np.uint8), Y).ok


# ── the compiled engine: more in tests/test_compiled_threads.py ─────────────────────────────────────────────
def test_the_kernel_reads_nothing_for_what_is_no_code() -> None:
    """Where codes come unchecked: as plain Python, which would say so, or count from the end."""
    from types import SimpleNamespace

    from backlit.kinds.kernel import COLUMNS, INPUTS

    net = network()
    layer: Any = net.layers[0]
    layers = np.zeros((1, COLUMNS), np.int64)
    layers[0, INPUTS] = 4
    chain = SimpleNamespace(settings=np.array([layer.kernel_settings()]), layers=layers, values=net.parameters.values)
    wrong = [5.0, -1.0, 1.5, np.nan, np.inf, 1e300, 2.0]
    rows = np.array([[1.0, 2.0, code, 0.0] for code in wrong])
    a = np.zeros((len(rows), 6))
    layer.kernel.forward(chain, 0, rows, a, np.ones(len(rows)), 0, None, 0, len(rows))
    assert np.isnan(a[:6, 2:4]).all()
    np.testing.assert_array_equal(a[:, 4:], np.tile(layer.weight[5], (len(rows), 1)))
    np.testing.assert_array_equal(a[6], [1.0, 2.0, *layer.weight[2], *layer.weight[5]])
    layer.kernel.forward(chain, 0, np.array([[1.0, 2.0, 0.0, -1.0]]), a, np.ones(1), 0, None, 0, 1)
    assert np.isnan(a[0]).tolist() == [False] * 4 + [True] * K  # and not the last row of the column before
    out = np.ones(8 * K)
    layer.kernel.gradient(chain, 0, 0, rows, np.ones((len(rows), 6)), 0, 8, out)
    assert out.reshape(8, K)[:, 0].tolist() == [0, 0, 1, 0, 0, 7, 0, 0]


@pytest.mark.xdist_group("compiled")
def test_compiled_predictions() -> None:
    pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
    net = network()
    readable = net.predict(X)
    np.testing.assert_allclose(net.compile().predict(X), readable, rtol=1e-12)
    for wrong in (3.0, -1.0, 0.5):
        rows = X.copy()
        rows[4, 3] = wrong
        with pytest.raises(DataError, match="in row 4, column 3"):
            net.predict(rows)


# ── what cannot be ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("value", [5.0, -1.0, 2.5])
@pytest.mark.parametrize(
    "ask",
    [
        lambda net, rows: net.predict(rows),
        lambda net, rows: net.predict(rows.tolist()),
        lambda net, rows: net.loss(rows, Y),
        lambda net, rows: bl.fit(net, rows, Y, epochs=1, progress=False),
        lambda net, rows: bl.fit(net, X, Y, epochs=1, progress=False, validation=(rows, Y)),
        lambda net, rows: bl.explain(net, rows, Y),
        lambda net, rows: bl.check_gradients(net, rows, Y),
    ],
)
def test_a_code_that_no_category_has(ask: Callable[..., Any], value: float) -> None:
    rows = X.copy()
    rows[7, 2] = value
    with pytest.raises(DataError) as caught:
        ask(network(), rows)
    assert str(caught.value).removeprefix("in the validation data, ") == (
        f"X has {value:g} in row 7, column 2, where Embedding([5, 3], size=2) takes a code, a whole number from 0 to "
        "4: number the categories first"
    )


def test_machine_code_is_given_no_such_code() -> None:
    pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
    rows = X.copy()
    rows[7, 2] = 5.0
    net = network()
    with pytest.raises(DataError, match="X has 5 in row 7, column 2"):
        bl.fit(net, rows, Y, epochs=1, batch_size=4, progress=False, engine="compiled")


@pytest.mark.parametrize("row", [65_535, 65_536, 69_999])
def test_the_row_is_named_among_many(row: int) -> None:
    rows = np.zeros((70_000, 4), np.float32)
    rows[row, 3] = 3.0
    with pytest.raises(DataError, match=f"X has 3 in row {row}, column 3"):
        network().predict(rows)


def test_rows_that_are_made_when_asked_are_looked_at_as_they_come() -> None:
    class Source:
        shape = X.shape

        def fetch(self, rows: Any, out: np.ndarray, *, epoch: int) -> None:
            out[...] = X[rows]
            out[0, 3] = 3.0

    with pytest.raises(DataError, match="X has 3 in row 0 of a batch, column 3"):
        bl.fit(network(), Source(), Y, epochs=1, progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "categories must be 1 to 4,096 numbers, one for each column, received 0"),
        (([3, 0],), "categories must be a whole number of at least 1, received 0"),
        (([2.5],), "categories must be a whole number of at least 1, received 2.5"),
        (([[3], [4, 5]],), "categories must be a whole number of at least 1, received [3]"),
        ((np.zeros((2, 2)),), "categories must be a whole number of at least 1, received [0.0, 0.0]"),
        (
            (2**24 + 1,),
            "a column has at most 16,777,216 categories, whose codes float32 holds, received 16,777,217",
        ),
        (([3], 0), "size must be a whole number of at least 1, received 0"),
    ],
)
def test_settings_that_cannot_be(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.Embedding(*arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        ([], {"inputs": 1}, "Embedding([5, 3]) has categories of 2 columns, and takes 1: give one number for each"),
        (
            [bl.Dropout(0.1)],
            {},
            "layer 1, Embedding([5, 3]), takes codes of categories, which only the rows themselves",
        ),
        ([], {"input_scale": 0.5}, "takes codes of categories, which cannot be scaled, received input_scale=0.5"),
    ],
)
def test_places_where_it_cannot_be(layers: list[bl.Layer], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.Network([*layers, bl.Embedding(COUNTS), bl.Dense(1)], **{"inputs": 4, **settings})
    assert message in str(caught.value)


# ── files, other programs, other networks ────────────────────────────────────────────────────────────────────
def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    net = network()
    bl.save(net, tmp_path / "net.backlit")
    again = bl.load(tmp_path / "net.backlit")
    assert again.spec() == net.spec()
    assert again.predict(X).tobytes() == net.predict(X).tobytes()
    spec = net.spec()
    spec["layers"][0]["categories"] = [10**20]
    with pytest.raises(ConfigurationError, match="wrong in its layer 0"):
        bl.Network.from_spec(spec)


@pytest.mark.parametrize("others", [0, 2])
def test_the_script_by_hand(others: int, tmp_path: Path) -> None:
    net = bl.Network([bl.Embedding(COUNTS, size=3), bl.Dense(4, "tanh"), bl.Dense(2)], inputs=others + 2, l2=0.01)
    net = net.astype("float64")
    rows = X[:, 2 - others :]
    bl.export_numpy(net, tmp_path / "by_hand.py", optimizer=bl.SGD(0.05))
    script = runpy.run_path(str(tmp_path / "by_hand.py"))
    np.testing.assert_allclose(script["forward"](rows), net.forward(rows), rtol=1e-13)
    gradients = np.concatenate([np.ravel(g) for g in script["gradients"](rows, Y)])
    np.testing.assert_allclose(gradients, net.gradient(rows, Y), rtol=1e-12, atol=1e-15)
    script["train"](rows, Y, epochs=6, batch_size=4)
    bl.fit(net, rows, Y, epochs=6, batch_size=4, optimizer=bl.SGD(0.05), progress=False, engine="reference")
    np.testing.assert_allclose(script["W0"], net.parameters.view("0.weight"), rtol=1e-12)
    for code in (-1.0, 0.5, 3.0):
        wrong = rows.copy()
        wrong[0, -1] = code
        with pytest.raises(ValueError, match="a code is not one of 0, 1, 2"):
            script["forward"](wrong)
    made_up, _ = script["made_up_rows"]()
    assert set(made_up[:, -1]) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("others", [0, 2])
def test_onnx(others: int, dtype: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    net = bl.Network([bl.Embedding(COUNTS, size=3), bl.Dense(2)], inputs=others + 2, dtype=dtype)
    assert bl.export_onnx(net, tmp_path / "net.onnx").rows == 1000
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    rows = X[:, 2 - others :].astype(dtype)
    np.testing.assert_allclose(session.run(None, {"X": rows})[0], net.forward(rows), rtol=1e-5)


@pytest.mark.parametrize("waves", [False, True])
@pytest.mark.parametrize("hidden", [(), (5,), (4, 4)])
def test_networks_with_it_become_one(hidden: tuple[int, ...], waves: bool) -> None:
    before = [bl.NumericEmbedding(3, frequencies=2, scale=0.8, columns=1)] if waves else []
    layers = [
        bl.Embedding(COUNTS, size=2), *before, bl.Dropout(0.1), *(bl.Dense(units, "tanh") for units in hidden),
        bl.Dense(3, "softmax"),
    ]  # fmt: skip
    networks = [bl.Network(layers, inputs=4, loss="cross_entropy", dtype="float64", seed=seed) for seed in (3, 4, 5)]
    one = merged(networks)
    z = np.mean([with_output(net, "identity").forward(X) for net in networks], axis=0)
    assert with_output(one, "identity").forward(X) == pytest.approx(z, rel=1e-12)
    assert one.layers[0].size == 6  # type: ignore[attr-defined]
    assert bl.check_gradients(one, X, np.arange(N) % 3).ok


def test_networks_whose_waves_are_of_their_own_rows_stay_apart() -> None:
    layers = [bl.Embedding(COUNTS, size=2), bl.NumericEmbedding(), bl.Dense(1)]
    with pytest.raises(ConfigurationError, match=r"features that all of them share, .* there are 2: give columns=2"):
        merged([bl.Network(layers, inputs=4, seed=seed) for seed in (0, 1)])


# ── the lens ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_gradient_is_the_sum_over_the_rows_with_that_category() -> None:
    net = network()
    ledger = bl.explain(net, X, Y, sample_weight=WEIGHT)
    for row, q, left, right in ((3, 1, "[a_2 = 3]", "dL/da_3"), (5, 0, "[a_3 = 0]", "dL/da_4")):
        weight = ledger.weight("0.weight", row, q)
        assert (weight.left, weight.right) == (left, right)
        assert weight.shares.sum() == pytest.approx(weight.gradient, rel=1e-9)
        assert weight.proof.digits > 6
        has_it = X[:, 2] == row if row < 5 else X[:, 3] == row - 5
        np.testing.assert_array_equal(weight.shares != 0.0, has_it)
    assert ledger.weight("0.weight", 4, 0).gradient == 0.0
    told = [(step.direction, step.equation) for step in ledger.shapes().steps if step.layer == 0]
    assert told == [
        ("forward", "e = E[v]"), ("forward", "a = [x, e]"), ("backward", "dL/dE[v] = Σ_rows with v dL/de")
    ]  # fmt: skip


def test_pages_and_diagnosis(tmp_path: Path) -> None:
    net = network()
    ledger = bl.explain(net, X, Y)
    for page in (ledger.page(), ledger.page(row=1), ledger.account().page(), ledger.shapes().page()):
        assert page.text()
    assert "embedding" in bl.report(net, X, Y, tmp_path / "report.html").read_text()
    recorder = bl.Recorder()
    bl.fit(net, X, Y, epochs=1, progress=False, callbacks=[recorder], engine="reference")
    stages = [(s.direction, s.terms) for s in recorder.recording.player().stages if s.layer == 0]
    assert stages == [("forward", 1), ("backward", 3), ("gradient", 1)]
    assert bl.diagnose(net, X, Y, net.gradient(X, Y)).ok
    wrong = net.gradient(X, Y)
    wrong[net.parameters.slice("0.weight")] *= 2.0
    assert [finding.array for finding in bl.diagnose(net, X, Y, wrong).findings] == ["0.weight"]
    trace = trace_batch(net, X, Y)
    assert judge(trace, 0, template(trace, 0).source).diagnosis.ok


def test_no_boundary_is_drawn_between_codes(tmp_path: Path) -> None:
    net = bl.Network([bl.Embedding([3]), bl.Dense(1)], inputs=2, dtype="float64")
    with pytest.raises(ConfigurationError, match="between which there is nothing"):
        bl.plot_boundary(net, X[:, [0, 3]], Y[:, 0])
    assert "<svg" in bl.report(net, X[:, [0, 3]], Y[:, 0], tmp_path / "report.html").read_text()


def test_a_network_from_a_file_in_the_lab() -> None:
    from backlit.lab.reading import _made_up

    rows, _ = _made_up(network())
    assert set(rows[:, 3]) == {0.0, 1.0, 2.0}
