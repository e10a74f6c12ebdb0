"""Sparse rows stay sparse through the first layer, and give what the same numbers give as an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

import backlit as bl
from backlit.estimators.rows import SparseRows
from backlit.kinds.layer import Layer
from backlit.training.evaluation import evaluate

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, COLUMNS = 90, 40
TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (6, 5), "max_iter": 4, "batch_size": 25, "random_state": 2}
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def numbers(dtype: str) -> np.ndarray:
    """A matrix with a tenth filled: two rows and one column are empty, one number is negative."""
    rng = np.random.default_rng(5)
    X = np.where(rng.random((N, COLUMNS)) < 0.1, rng.integers(1, 6, (N, COLUMNS)), 0).astype(dtype)
    X[[3, 60]] = 0
    X[:, 7] = 0
    X[0, 0] = -2
    return X


def labels(X: np.ndarray) -> np.ndarray:
    return (X @ np.linspace(-1, 1, X.shape[1]) > 0).astype(int) + (X[:, 1] > 0)


@pytest.fixture
def never_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sparse matrix may be made dense."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a sparse matrix was made dense")

    for kind in (csr_array, csr_matrix, csc_array, coo_array):
        monkeypatch.setattr(kind, "toarray", refuse)


def values(model: Any) -> np.ndarray:
    return model.network_.parameters.values


def assert_same(model: Any, other: Any, X: np.ndarray, sparse: Any, dtype: str) -> None:
    """The same parameters and losses, and the same answers for arrays and sparse rows."""
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    assert values(model).dtype == values(other).dtype == dtype
    np.testing.assert_allclose(values(model), values(other), **close)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, **close)
    np.testing.assert_array_equal(model.predict(X), other.predict(sparse))
    np.testing.assert_allclose(model.predict_proba(X), model.predict_proba(sparse), **close)
    for layer in (0, 1):
        np.testing.assert_allclose(model.transform(X, layer=layer), model.transform(sparse, layer=layer), **close)


@pytest.mark.usefixtures("never_dense")
@DTYPES
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("container", [csr_array, csr_matrix, csc_array, coo_array])
def test_sparse_is_dense_to_rounding(container: Any, solver: str, dtype: str) -> None:
    X = numbers(dtype)
    model = bl.MLPClassifier(**SETTINGS, solver=solver).fit(X, labels(X))
    other = bl.MLPClassifier(**SETTINGS, solver=solver).fit(container(X), labels(X))
    assert_same(model, other, X, container(X), dtype)


@pytest.mark.usefixtures("never_dense")
@DTYPES
def test_weights_of_samples_and_classes(dtype: str) -> None:
    X = numbers(dtype)
    weight = np.random.default_rng(1).integers(0, 4, N).astype(float)  # some rows are left out
    model, other = (bl.MLPClassifier(**SETTINGS, class_weight="balanced", dropout=0.2) for _ in range(2))
    model.fit(X, labels(X), sample_weight=weight)
    other.fit(csr_array(X), labels(X), sample_weight=weight)
    assert_same(model, other, X, csr_array(X), dtype)


@pytest.mark.usefixtures("never_dense")
@DTYPES
def test_partial_fit(dtype: str) -> None:
    X, y = numbers(dtype), labels(numbers(dtype))
    model, other = bl.MLPClassifier(**SETTINGS), bl.MLPClassifier(**SETTINGS)
    for rows in (slice(0, 30), slice(30, N), slice(0, N)):
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        other.partial_fit(csr_array(X)[rows], y[rows], classes=[0, 1, 2])
    assert_same(model, other, X, csr_array(X), dtype)


@pytest.mark.usefixtures("never_dense")
@pytest.mark.parametrize("given", [False, True])
def test_early_stopping_and_validation_rows(given: bool) -> None:
    X, y = numbers("float64"), labels(numbers("float64"))
    settings = {**SETTINGS, "early_stopping": True, "max_iter": 40, "learning_rate_init": 0.05, "n_iter_no_change": 3}
    model, other = bl.MLPClassifier(**settings), bl.MLPClassifier(**settings)
    if given:
        model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
        other.fit(csr_array(X[:60]), y[:60], X_val=csc_array(X[60:]), y_val=y[60:])
    else:
        model.fit(X, y)
        other.fit(csr_array(X), y)
    assert model.n_iter_ == other.n_iter_ < 40
    assert model.validation_scores_ == other.validation_scores_
    np.testing.assert_allclose(model.history_["val_loss"], other.history_["val_loss"], rtol=1e-9)
    assert_same(model, other, X, csr_array(X), "float64")


@pytest.mark.usefixtures("never_dense")
def test_a_regressor() -> None:
    X = numbers("float64")
    y = X @ np.linspace(-1, 1, COLUMNS)
    model, other = bl.MLPRegressor(**SETTINGS).fit(X, y), bl.MLPRegressor(**SETTINGS).fit(csr_array(X), y)
    np.testing.assert_allclose(values(model), values(other), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.predict(X), other.predict(csr_array(X)), rtol=1e-9)
    assert model.score(X, y) == pytest.approx(other.score(csr_array(X), y), rel=1e-9)


@pytest.mark.usefixtures("never_dense")
def test_whole_numbers_and_another_type_than_the_networks() -> None:
    X = numbers("float64")
    whole = csr_array(X.astype(np.int64))
    model, other = (bl.MLPClassifier(**SETTINGS).fit(given, labels(X)) for given in (X, whole))
    assert_same(model, other, X, whole, "float64")
    first = numbers("float32")
    model.fit(first, labels(X))
    expected, found = (bl.MLPClassifier(**SETTINGS).fit(first, labels(X)) for _ in range(2))
    expected.partial_fit(X, labels(X))
    found.partial_fit(csr_array(X), labels(X))  # float64 rows for a float32 network
    work = found.network_.workspace(2)
    work.fetch_inputs(SparseRows(csr_array(X)), np.array([0, 1]))
    assert work.a[0].dtype == "float32"  # else every step would make a float64 copy of the weights
    assert_same(expected, found, X, csr_array(X), "float32")


@pytest.mark.usefixtures("never_dense")
def test_a_row_of_nothing_gives_what_the_biases_give() -> None:
    net = bl.Network([bl.Dense(2, "tanh", bias_init=0.5), bl.Dense(1)], inputs=3, dtype="float64", seed=1)
    source = SparseRows(csr_array(np.array([[0.0, 0, 0], [0, 2, 0]])))
    work = net.workspace(2)
    work.fetch(source, np.zeros((2, 1)), None, np.array([1, 0]), 0)
    net.forward_pass(work)
    np.testing.assert_allclose(work.z[0], [2 * net.layers[0].weight[1] + 0.5, [0.5, 0.5]], rtol=1e-15)
    net.layers[0].weight_gradient[...] = 9.0  # what an earlier batch left
    net.backward_pass(work)
    # column 0 and 2 were never filled; column 1 in one row
    np.testing.assert_array_equal(net.layers[0].weight_gradient[[0, 2]], 0.0)
    np.testing.assert_allclose(net.layers[0].weight_gradient[1], 2 * work.delta[0][0], rtol=1e-15)


@pytest.mark.usefixtures("never_dense")
@pytest.mark.parametrize("sparse", [True, False])
def test_evaluate_works_in_pieces(sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = numbers("float64"), np.eye(3)[labels(numbers("float64"))]
    net = bl.Network(
        [bl.Dense(4, "tanh"), bl.Dense(3, "softmax")], inputs=COLUMNS, loss="cross_entropy", dtype="float64"
    )
    whole = evaluate(net, X, y, weight=np.arange(1.0, N + 1))
    monkeypatch.setattr("backlit.network._INFERENCE_ELEMENTS", 2 * 16 * 4)
    sizes = [rows.stop - rows.start for rows, _ in net.pieces(N, sparse=True)]
    assert sizes == [16] * 5 + [10]  # as wide as the layers, not as the inputs
    found = evaluate(net, SparseRows(csr_array(X)) if sparse else X, y, weight=np.arange(1.0, N + 1))
    assert found == pytest.approx(whole, rel=1e-12)


class Half(Layer):
    """A layer of one's own, which knows arrays alone."""

    def forward(self, work: Any, i: int, moment: Any) -> None:
        assert isinstance(work.a[i], np.ndarray)
        np.multiply(work.a[i], 0.5, out=work.a[i + 1])

    def backward(self, work: Any, i: int, below: bool) -> None:
        if below:
            np.multiply(work.delta[i], 0.5, out=work.delta[i - 1])


@pytest.mark.parametrize(("first", "settings"), [([bl.Dropout(0.4)], {}), ([Half()], {}), ([], {"input_scale": 0.5})])
def test_what_cannot_take_sparse_rows_gets_dense_ones(first: list[Layer], settings: dict[str, Any]) -> None:
    X = numbers("float64")
    nets = [
        bl.Network(
            [*first, bl.Dense(4, "tanh"), bl.Dense(3, "softmax")],
            inputs=COLUMNS, loss="cross_entropy", dtype="float64", **settings,
        )
        for _ in range(2)
    ]  # fmt: skip
    for net, given in zip(nets, (X, SparseRows(csr_array(X))), strict=True):
        bl.fit(net, given, labels(X), epochs=3, batch_size=25, engine="reference", validation=(given, labels(X)))
    np.testing.assert_allclose(nets[0].parameters.values, nets[1].parameters.values, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("never_dense")
def test_a_leading_dropout_takes_sparse_rows_in_inference() -> None:
    X = numbers("float64")
    net = bl.Network([bl.Dropout(0.4), bl.Dense(2)], inputs=COLUMNS, dtype="float64")
    work = net.workspace(N, training=False)
    work.fetch_inputs(SparseRows(csr_array(X)), slice(0, N))
    np.testing.assert_allclose(net.forward_pass(work), net.forward(X), rtol=1e-12)
    assert not net.workspace(N).takes_sparse


@pytest.mark.usefixtures("never_dense")
def test_rows_come_as_they_are_asked_for() -> None:
    source = SparseRows(csr_array(numbers("float64")))
    for rows in (slice(0, N), slice(20, 31), slice(80, 200), slice(4, 4), np.array([5, 3, 5])):
        found, expected = source.sparse_rows(rows), source.matrix[rows]
        assert found.shape == expected.shape
        assert abs(found - expected).sum() == 0
        found.check_format()
    assert source.matrix.shape == (N, COLUMNS)
    assert np.shares_memory(source.sparse_rows(slice(20, 31)).data, source.matrix.data)
