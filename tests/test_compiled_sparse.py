"""Sparse rows on the compiled engine: what the reference leaves, over the stored numbers alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

import backlit as bl
from backlit.estimators.rows import SparseRows
from backlit.exceptions import BacklitWarning, DataError
from backlit.kinds.kernel import Kernel
from backlit.kinds.layer import Layer
from backlit.kinds.optimizers import initial_state
from backlit.training import choose
from backlit.training.job import Job
from backlit.training.reference import ReferenceEngine

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
from backlit.compiled import step
from backlit.compiled.describe import rule_of
from backlit.compiled.engine import CompiledEngine
from backlit.compiled.plan import everything
from backlit.compiled.stored import stored_rows

pytestmark = [
    pytest.mark.xdist_group("compiled"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N, COLUMNS, CLASSES = 37, 31, 3
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # of 1, or of the largest number where that is more
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))


@pytest.fixture(autouse=True)
def never_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sparse matrix may be made dense."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a sparse matrix was made dense")

    for kind in (csr_array, csr_matrix):
        monkeypatch.setattr(kind, "toarray", refuse)


def rows(dtype: str, index: str = "int32") -> Any:
    """Rows as SciPy lets them stand: empty ones, zeros that are stored, columns out of order and more than once."""
    rng = np.random.default_rng(4)
    counts = rng.integers(0, 6, N)
    counts[[0, 20]] = 0
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(index)
    indices = rng.integers(0, COLUMNS - 2, indptr[-1]).astype(index)  # the last two columns are empty
    indices[indptr[1] : indptr[1] + 2] = 5, 5
    data = rng.normal(size=indices.size).astype(dtype)
    data[::7] = 0
    found = csr_array((data, indices, indptr), shape=(N, COLUMNS))
    found.indices, found.indptr = indices, indptr  # SciPy narrows them
    assert not found.has_canonical_format
    assert not found.has_sorted_indices
    return found


LABELS = np.random.default_rng(6).integers(0, CLASSES, N)
WEIGHT = np.random.default_rng(7).uniform(0.1, 2.0, N)
WEIGHT[:10] = 0.0  # two batches of five in which no row counts
DENSE, OUTPUT = bl.Dense(7, "tanh"), bl.Dense(CLASSES, "softmax", bias_init=0.1)

CASES: dict[str, dict[str, Any]] = {
    "Adam": {},
    "penalised": {"l2": 0.02, "optimizer": bl.Adam(0.01, epsilon=1e-4, epsilon_hat=True)},
    "both penalties, divided, weighted": {"l1": 0.03, "l2": 0.05, "divide_penalty": True, "weighted": True},
    "Dropout after the first layer": {"layers": [DENSE, bl.Dropout(0.3), OUTPUT], "optimizer": bl.SGD(0.1)},
    "BatchNorm after it": {"layers": [DENSE, bl.BatchNorm(0.7, epsilon=0.1), OUTPUT]},
    "no bias": {"layers": [bl.Dense(7, "relu", bias=False), bl.Dense(5, "tanh"), OUTPUT]},
    "one layer": {"layers": [OUTPUT], "optimizer": bl.SGD(0.1, momentum=0.9)},
    "clipped": {"l2": 0.1, "optimizer": bl.SGD(0.5, clip_norm=0.05)},
    "decay": {"optimizer": bl.AdamW(0.01, epsilon=1e-4, weight_decay=0.1)},
    "batches of one row": {"batch_size": 1, "l2": 0.01},
    "all rows": {"batch_size": N},
    "all rows, weighted": {"batch_size": N, "weighted": True, "l1": 0.01},
}


def job(dtype: str, X: Any = None, **case: Any) -> Job:
    rule = case.pop("optimizer", bl.Adam(0.01, epsilon=1e-4))
    weighted, batch_size = case.pop("weighted", False), case.pop("batch_size", 5)
    layers = case.pop("layers", [DENSE, OUTPUT])
    net = bl.Network(layers, inputs=COLUMNS, loss="cross_entropy", dtype=dtype, seed=3, **case)
    return Job(
        net=net,
        X=SparseRows(rows(dtype)) if X is None else X,
        Y=np.eye(CLASSES, dtype=dtype)[LABELS],
        weight=WEIGHT.astype(dtype) if weighted else None,
        optimizer=rule,
        state=initial_state(rule, net.parameters.size, net.dtype),
        batch_size=batch_size,
    )


def check_equal(dtype: str, **case: Any) -> None:
    """After every step of an epoch: parameters, gradients, buffers, the optimiser's memory and the losses."""
    one, other = job(dtype, **case), job(dtype, **case)
    reference, compiled = ReferenceEngine(), CompiledEngine()
    other.net.parameters.sums[:] = 9.0  # what an earlier batch left
    close = {"rtol": 0, "atol": TOLERANCE[dtype]}
    for i in range(one.steps):
        expected = reference.run_steps(one, one.order(0), 0, i, i + 1)
        found = compiled.run_steps(other, other.order(0), 0, i, i + 1)
        np.testing.assert_allclose(found.losses, expected.losses, **close)
        np.testing.assert_allclose(found.weights, expected.weights, **close)
        size = one.net.parameters.size  # of the sums, without the two of the batch
        pairs = [(one.state.slots, other.state.slots)]
        pairs += [(getattr(one.net.parameters, n), getattr(other.net.parameters, n)) for n in ("values", "buffers")]
        for expectation, result in (*pairs, (one.net.parameters.sums[:size], other.net.parameters.sums[:size])):
            largest = np.abs(expectation).max(initial=1.0)
            np.testing.assert_allclose(result, expectation, rtol=0, atol=TOLERANCE[dtype] * largest)


@DTYPES
@pytest.mark.parametrize("name", CASES)
def test_every_step_leaves_what_the_reference_leaves(name: str, dtype: str) -> None:
    check_equal(dtype, **CASES[name])


RULES = [
    bl.SGD(0.1), bl.SGD(0.1, momentum=0.8, nesterov=True), bl.RMSprop(0.01, epsilon=1e-4),
    bl.Adagrad(0.02, epsilon=1e-4), bl.Adam(0.01, epsilon=1e-4), bl.AdamW(0.01, epsilon=1e-4), bl.Lion(0.002),
]  # fmt: skip
PENALTIES: list[dict[str, Any]] = [{}, {"l1": 0.01}, {"l2": 0.02}, {"l1": 0.03, "l2": 0.05, "divide_penalty": True}]
MIDDLES: list[list[Layer]] = [
    [], [bl.Dropout(0.3)], [bl.BatchNorm(0.7, epsilon=0.1)], [bl.LayerNorm()], [bl.Scale()], [bl.Dense(4, "gelu")],
]  # fmt: skip


@pytest.mark.torture
@DTYPES
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_grid(rule: Any, dtype: str) -> None:
    """Every optimiser, penalty, layer after the first one, size of batches, with sample weights and without."""
    for penalty, middle, size, weighted in itertools.product(PENALTIES, MIDDLES, (1, 8, N), (False, True)):
        if size > 1 or not isinstance((middle or [None])[0], bl.BatchNorm):
            case = {"layers": [DENSE, *middle, OUTPUT], "batch_size": size, "weighted": weighted, **penalty}
            check_equal(dtype, optimizer=rule, **case)


@DTYPES
def test_columns_that_no_row_of_the_batch_has_get_the_gradient_of_the_penalty_alone(dtype: str) -> None:
    given = job(dtype, l2=0.5, optimizer=bl.SGD(0.1))
    before = given.net.layers[0].weight.copy()
    order = given.order(0)
    CompiledEngine().run_steps(given, order, 0, 0, 1)
    batch = given.X.sparse_rows(order[:5])
    empty = np.setdiff1d(np.arange(COLUMNS), batch.indices)
    assert 10 < empty.size < COLUMNS
    gradient = given.net.layers[0].weight_gradient
    np.testing.assert_array_equal(gradient[empty], (before[empty] * before.dtype.type(0.5)))
    assert (gradient[np.setdiff1d(np.arange(COLUMNS), empty)] != before.dtype.type(0.5)).all()


def trained(given: Job, made: Any, *places: int) -> np.ndarray:
    for first, last in itertools.pairwise(places):
        made.run_steps(given, given.order(0), 0, first, last)
    return given.net.parameters.values


@pytest.mark.parametrize("kind", ["int32", "int64", ">i4", ">i8"])
def test_indices_of_every_type_run_on_one_function(kind: str) -> None:
    run_steps: Any = step.steps_for(everything())
    expected = trained(job("float64"), CompiledEngine(), 0, 8)
    known = len(run_steps.signatures)
    X = SparseRows(rows("float64", kind))
    assert X.matrix.indices.dtype == X.matrix.indptr.dtype == kind
    for array in (X.matrix.indices, X.matrix.data, X.matrix.indptr):
        array.flags.writeable = False
    np.testing.assert_array_equal(trained(job("float64", X), CompiledEngine(), 0, 8), expected)
    assert len(run_steps.signatures) == known


@DTYPES
@pytest.mark.parametrize("kind", ["float32", "float64", "int8", "bool"])
def test_numbers_of_every_type(kind: str, dtype: str) -> None:
    X = SparseRows(rows("float64").astype(kind))
    results = [trained(job(dtype, X), made, 0, 8) for made in (ReferenceEngine(), CompiledEngine())]
    np.testing.assert_allclose(*results, rtol=0, atol=TOLERANCE[dtype])


def test_rows_that_fit_are_read_where_they_stand() -> None:
    X = SparseRows(rows("float32"))
    stored = stored_rows(X, COLUMNS, 5, np.dtype("float32"))
    assert np.shares_memory(stored.data, X.matrix.data)
    assert np.shares_memory(stored.indices, X.matrix.indices)


@pytest.mark.parametrize("places", [(0, 1, 8), (0, 3, 4, 4, 8)])
def test_the_pieces_of_an_epoch_do_not_show(places: tuple[int, ...]) -> None:
    whole, parts = (job("float32", l2=0.1) for _ in range(2))
    np.testing.assert_array_equal(trained(whole, CompiledEngine(), 0, 8), trained(parts, CompiledEngine(), *places))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("settings", [{}, {"l1": 0.01, "l2": 0.1}, {"optimizer": bl.Adam(0.01, clip_norm=0.1)}])
def test_the_threads_do_not_show(settings: dict[str, Any], whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(job("float64", **settings), CompiledEngine(), 0, 8).copy()
    # an optimiser that is not elementwise gets every parameter whole: what Adam makes of it is the same
    monkeypatch.setattr(bl.Adam, "elementwise", not whole)
    for threads in (2, 3):
        found = job("float64", **settings)
        found.n_threads = threads
        assert rule_of(found, everything()).whole == whole
        np.testing.assert_array_equal(trained(found, CompiledEngine(least_work=1), 0, 8), expected)
    check_equal("float64", **settings)  # the losses as well


def test_two_epochs_and_three_are_five_to_the_bit() -> None:
    def net() -> bl.Network:
        return bl.Network([DENSE, bl.Dropout(0.2), OUTPUT], inputs=COLUMNS, loss="cross_entropy", seed=1, l2=0.01)

    def fit(net: bl.Network, epochs: int, resume: Any = None) -> bl.History:
        return bl.fit(
            net, SparseRows(rows("float32")), LABELS, epochs=epochs, batch_size=8, optimizer=bl.Adam(0.01),
            engine="compiled", progress=False, resume=resume,
        )  # fmt: skip

    whole, parts = net(), net()
    history = fit(whole, 5)
    resumed = fit(parts, 3, fit(parts, 2))
    np.testing.assert_array_equal(parts.parameters.values, whole.parameters.values)
    assert resumed["loss"] == history["loss"]


@DTYPES
def test_the_estimators(dtype: str) -> None:
    X, settings = rows(dtype), {"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 8, "random_state": 2}
    settings |= {"class_weight": {0: 2.0, 1: 0.5, 2: 1.0}, "dropout": 0.2}
    models = [bl.MLPClassifier(**settings, engine=name) for name in ("reference", "compiled")]
    for model in models:
        model.fit(X, LABELS, sample_weight=WEIGHT)
        model.partial_fit(X[:20], LABELS[:20])
    expected, found = (model.network_.parameters.values for model in models)
    np.testing.assert_allclose(found, expected, rtol=0, atol=100 * TOLERANCE[dtype])
    np.testing.assert_allclose(models[1].loss_curve_, models[0].loss_curve_, rtol=100 * TOLERANCE[dtype])
    np.testing.assert_allclose(models[1].predict_proba(X), models[0].predict_proba(X), atol=100 * TOLERANCE[dtype])


# ── what it does not take ──────────────────────────────────────────────────────────────────────────────────
def broken(**arrays: Any) -> SparseRows:
    source = SparseRows(rows("float32"))
    for name, change in arrays.items():
        array = getattr(source.matrix, name).copy()
        setattr(source.matrix, name, change(array))
    return SimpleNamespace(shape=source.shape, sparse_rows=lambda where: source.matrix, fetch=source.fetch)  # type: ignore[return-value]


def put(place: int, value: int) -> Any:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"indices": put(4, COLUMNS)}, f"columns from 0 to 30, received 0 to {COLUMNS}: give X in CSR form, with"),
        ({"indices": put(4, -1)}, "columns from 0 to 30, received -1 to"),
        ({"indptr": put(3, 100)}, "rise from 0 to at most 115, .* received 0 to 115, falling 1 times: give X in CSR"),
        ({"indptr": put(0, -1)}, "received -1 to 115, falling 0 times"),
        ({"indptr": put(-1, 116)}, "received 0 to 116, falling 0 times"),
        ({"indptr": lambda array: array[:-1]}, "must have 38 entries, received 37: give X in CSR form"),
        ({"data": lambda array: array[:-1]}, "at most 114"),
        ({"indices": lambda array: array[:-1]}, "at most 114"),
    ],
)
def test_rows_that_are_not_in_their_form_are_refused(arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        CompiledEngine().run_steps(job("float32", broken(**arrays)), np.arange(N), 0, 0, 1)


class OwnLayer(Layer):
    """Takes sparse rows on the reference engine; its kernel knows nothing of them."""

    takes_sparse: ClassVar[bool] = True
    kernel = Kernel(bl.Scale.kernel.forward, bl.Scale.kernel.backward)  # type: ignore[union-attr]

    def __repr__(self) -> str:
        return "OwnLayer()"


@pytest.mark.parametrize(
    ("layers", "settings", "words"),
    [
        ([DENSE, OUTPUT], {"input_scale": 0.5}, "X is sparse, and input_scale makes its batches dense"),
        ([bl.Dropout(0.1), OUTPUT], {}, r"X is sparse, and the first layer, Dropout\(0.1\), takes dense rows"),
        ([OwnLayer(), OUTPUT], {}, r"X is sparse, and the first layer, OwnLayer\(\), takes dense rows"),
    ],
)
def test_what_it_does_not_take_is_said(layers: list[Layer], settings: dict[str, Any], words: str) -> None:
    given = job("float32", layers=layers, **settings)
    with pytest.warns(BacklitWarning, match=f"the reference engine runs instead of the compiled one: {words}"):
        assert choose.choose_engine("compiled", given, 1).name == "reference"


def test_more_columns_than_an_index_counts() -> None:
    given = job("float32")
    assert choose.obstacle(given) is None
    net = SimpleNamespace(
        layers=given.net.layers, inputs=2**31, input_scale=1.0, loss_function=given.net.loss_function,
        output_layer=given.net.output_layer,
    )  # fmt: skip
    assert choose.obstacle(replace(given, net=net)) == "X is sparse, and has 2147483648 columns"


def test_a_job_is_sparse_where_its_batches_are() -> None:
    assert job("float32").sparse
    assert not job("float32", layers=[bl.Dropout(0.1), OUTPUT]).sparse
    assert not job("float32", input_scale=0.5).sparse
    assert not replace(job("float32"), X=np.zeros((N, COLUMNS))).sparse


def test_auto_counts_what_is_stored() -> None:
    def seconds(filled: int, columns: int) -> float:
        """Of an epoch of 1000 steps on 2000 rows."""
        net = bl.Network([bl.Dense(100), bl.Dense(1)], inputs=columns)
        indptr = np.arange(0, 2000 * filled + 1, filled)
        X = csr_array((np.ones(indptr[-1]), np.tile(np.arange(filled), 2000), indptr), shape=(2000, columns))
        state = initial_state(bl.Adam(), net.parameters.size, net.dtype)
        given = Job(net, SparseRows(X), np.ones((2000, 1), np.float32), None, bl.Adam(), state, batch_size=2)
        assert choose.choose_engine("auto", given, 1).name == "reference"
        assert choose.choose_engine("auto", given, 1000).name == "compiled"
        return choose.estimated_seconds(given, 1)

    # 4 operations for each stored number and unit, at 8e9 a second
    assert seconds(40, 100) - seconds(10, 100) == pytest.approx(4 * 30 * 2000 * 100 / 8e9)
    # a column more is a longer vector for the optimiser, and no more products
    assert seconds(10, 200) - seconds(10, 100) == pytest.approx(100 * 100 * 1000 * 3e-9)
