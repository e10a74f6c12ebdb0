"""ONNX: what onnxruntime computes from an exported model is what the model computes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, PolynomialFeatures, StandardScaler

import backlit as bl
from backlit.exceptions import ConfigurationError, MissingExtraError
from backlit.export.onnx.model import export_onnx

pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
]

ACTIVATIONS = ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "softplus", "silu", "exp"]
IRIS = load_iris(return_X_y=True)


def run(path: Path, **feeds: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network(activation: str, dtype: Any, tmp_path: Path) -> None:
    layers = [
        bl.Dense(7, activation, weight_init="scaled_normal", bias_init=0.3),
        bl.Dropout(0.5),
        bl.Dense(3, "softmax"),
    ]
    net = bl.Network(layers, inputs=5, loss="cross_entropy", dtype=dtype, input_scale=0.5)
    report = export_onnx(net, tmp_path / "net.onnx")
    assert (report.rows, report.inputs, report.outputs) == (
        1000,
        {"X": f"tensor({'double' if dtype == 'float64' else 'float'})"},
        {"output": f"tensor({'double' if dtype == 'float64' else 'float'})"},
    )
    X = np.random.default_rng(0).standard_normal((1000, 5)).astype(dtype)
    (output,) = run(tmp_path / "net.onnx", X=X)
    assert output.dtype == dtype
    np.testing.assert_allclose(output, net.forward(X), rtol=0, atol=1e-5)
    assert "onnxruntime agrees on 1,000 rows within" in str(report)


def test_a_network_without_bias(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1, bias=False)], inputs=2)
    assert export_onnx(net, tmp_path / "net.onnx").largest_difference < 1e-6


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (bl.MLPClassifier(8, "gelu", max_iter=5), IRIS[1]),
        (bl.MLPClassifier(8, max_iter=5), np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]),
        (bl.MLPClassifier(8, max_iter=5), np.array(["no", "yes"])[(IRIS[1] > 0).astype(int)]),
        (bl.MLPClassifier(8, max_iter=5), IRIS[1] > 0),
        (bl.MLPClassifier(8, max_iter=5, loss="hinge"), IRIS[1]),
        (bl.MLPClassifier(8, max_iter=5, loss="hinge"), IRIS[1] > 0),
        (bl.MLPRegressor(hidden_layer_sizes=8, max_iter=5), IRIS[1]),
        (bl.MLPRegressor("poisson", 8, max_iter=5), np.stack([IRIS[1], IRIS[1] + 1], axis=1)),
    ],
    ids=["numbers", "text", "two", "bool", "hinge", "hinge of two", "one target", "two targets"],
)
def test_an_estimator(model: Any, y: Any, tmp_path: Path) -> None:
    X = IRIS[0]
    model.fit(X, y)
    report = export_onnx(model, tmp_path / "m.onnx", sample=X)
    assert report.rows == 150
    found = dict(zip(report.outputs, run(tmp_path / "m.onnx", X=X), strict=True))
    if "label" in found:
        np.testing.assert_array_equal(found["label"], model.predict(X))
    else:
        np.testing.assert_allclose(found["prediction"], model.predict(X), rtol=0, atol=1e-5)
    if "probabilities" in found:
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), rtol=0, atol=1e-5)


def test_several_labels(tmp_path: Path) -> None:
    X, Y = make_multilabel_classification(100, random_state=0)
    model = bl.MLPClassifier(8, max_iter=50).fit(X, Y)
    export_onnx(model, tmp_path / "m.onnx")
    label, probabilities = run(tmp_path / "m.onnx", X=X)
    np.testing.assert_array_equal(label, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


def test_missing_values_of_an_estimator(tmp_path: Path) -> None:
    X, y = IRIS
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    model = bl.MLPClassifier(8, max_iter=5, impute_missing=True).fit(X, y)
    assert export_onnx(model, tmp_path / "m.onnx", sample=X).largest_difference < 1e-5


def test_a_pipeline_of_a_matrix(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(SimpleImputer(), StandardScaler(), MinMaxScaler(clip=True), bl.MLPClassifier(8, max_iter=5))
    X[::50, 3] = np.nan
    export_onnx(model.fit(X, y), tmp_path / "m.onnx", sample=X)
    _, probabilities = run(tmp_path / "m.onnx", X=X)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


def table(n: int = 1000) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    town = rng.choice(["Rome", "Oslo", "Lima", "Bern"], n, p=[0.5, 0.3, 0.19, 0.01])
    age, pay = rng.normal(40, 12, n), rng.lognormal(8, 1, n)
    frame = pl.DataFrame(
        {
            "age": [None if rng.random() < 0.1 else a for a in age],
            "town": [None if rng.random() < 0.1 else str(t) for t in town],
            "pay": pay,
            "grade": rng.integers(1, 4, n),
        }
    )
    return frame, np.where((age > 40) ^ (town == "Rome"), "buys", "leaves")


def feeds_of(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    return {
        name: np.array([[value or ""] for value in frame[name]], dtype=object)
        if frame[name].dtype == pl.String
        else frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()[:, None]
        for name in frame.columns
    }


def column_transformer(kinds: dict[str, str]) -> ColumnTransformer:
    impute = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=100, sparse_output=False)
    return ColumnTransformer(
        [
            ("numeric", impute, [name for name, kind in kinds.items() if kind == "numeric"]),
            ("categorical", encode, [name for name, kind in kinds.items() if kind == "categorical"]),
        ]
    )


def test_a_pipeline_with_the_raw_columns_of_the_table(tmp_path: Path) -> None:
    frame, y = table()
    kinds = {"age": "numeric", "town": "categorical", "pay": "numeric"}
    model = Pipeline(
        [("columns", column_transformer(kinds)), ("mlp", bl.MLPClassifier(8, max_iter=20, random_state=0))]
    )
    model.fit(frame, y)
    report = export_onnx(model, tmp_path / "m.onnx")
    kind = "tensor(double)"
    assert report.inputs == {"age": kind, "town": "tensor(string)", "pay": kind, "grade": kind}
    label, probabilities = run(tmp_path / "m.onnx", **{k: v for k, v in feeds_of(frame).items() if k in report.inputs})
    np.testing.assert_array_equal(label, model.predict(frame))
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), rtol=0, atol=1e-5)
    # a town never seen
    new = frame.with_columns(town=pl.lit("Paris"))
    _, probabilities = run(tmp_path / "m.onnx", **feeds_of(new))
    np.testing.assert_allclose(probabilities, model.predict_proba(new), rtol=0, atol=1e-5)


def as_pandas(frame: pl.DataFrame) -> Any:
    """The table in pandas; polars' own `to_pandas` would need pyarrow."""
    import pandas

    return pandas.DataFrame({name: frame[name].to_list() for name in frame.columns})


@pytest.mark.parametrize("module", ["polars", "pandas"])
def test_rare_categories_numbers_as_categories_and_columns_passed_through(module: str, tmp_path: Path) -> None:
    pytest.importorskip(module)
    frame, y = table()
    rows: Any = frame if module == "polars" else as_pandas(frame)
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=50, sparse_output=False)
    grades = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [("t", encoder, ["town"]), ("g", grades, ["grade"]), ("p", "passthrough", ["pay"]), ("x", "drop", ["age"])]
    )
    model = Pipeline([("columns", columns), ("mlp", bl.MLPClassifier(8, max_iter=20, alpha=1.0, random_state=0))])
    model.fit(rows, y)
    report = export_onnx(model, tmp_path / "m.onnx")
    assert report.rows == 1000
    new = frame.with_columns(town=pl.Series(["Paris", "Bern", "Rome", None] * 250))
    _, probabilities = run(tmp_path / "m.onnx", **{k: v for k, v in feeds_of(new).items() if k in report.inputs})
    expected = model.predict_proba(new if module == "polars" else as_pandas(new))
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)


def test_scaled_targets_are_scaled_back(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    regressor = TransformedTargetRegressor(
        bl.MLPRegressor(hidden_layer_sizes=8, max_iter=20), transformer=StandardScaler()
    )
    model = make_pipeline(StandardScaler(), regressor).fit(X, y)
    export_onnx(model, tmp_path / "m.onnx", sample=X)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", X=X)[0], model.predict(X), rtol=1e-5)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    X, y = IRIS
    path = tmp_path / "m.onnx"
    with pytest.raises(ConfigurationError, match="export_onnx does not know PolynomialFeatures"):
        export_onnx(make_pipeline(PolynomialFeatures(), bl.MLPClassifier(4, max_iter=2)).fit(X, y), path)
    with pytest.raises(ConfigurationError, match="your own function"):
        export_onnx(bl.Network([bl.Dense(2, (np.sin, np.cos)), bl.Dense(1)], inputs=2), path)
    with pytest.raises(ConfigurationError, match="export_onnx takes a Network"):
        export_onnx(StandardScaler(), path)
    encoded = make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler(), bl.MLPClassifier(4, max_iter=2))
    encoded.fit(X.round(), y)
    with pytest.raises(ConfigurationError, match="not on the output of OneHotEncoder"):
        export_onnx(encoded, path)
    assert not path.exists()


def test_a_model_that_onnxruntime_computes_differently_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backlit.export.onnx.graph.LEAK", 0.02)
    net = bl.Network([bl.Dense(4, "leaky_relu"), bl.Dense(1)], inputs=2)
    with pytest.raises(ConfigurationError, match="onnxruntime computes something else: output differs by"):
        export_onnx(net, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"backlit\[onnx\]"):
        export_onnx(bl.Network([bl.Dense(1)], inputs=2), tmp_path / "m.onnx")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["three classes", "text", "two classes", "regressor"])
def test_the_converter_for_skl2onnx(kind: str) -> None:
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    import backlit.export.sklearn_onnx  # noqa: F401

    X, y = IRIS
    X = X.astype(np.float32)
    model: Any = (
        bl.MLPRegressor(hidden_layer_sizes=8, max_iter=5) if kind == "regressor" else bl.MLPClassifier(8, max_iter=5)
    )
    y = {"text": np.array(["a", "b", "c"])[y], "two classes": y > 0}.get(kind, y)
    y = y.astype(int) if kind == "two classes" else y
    # PolynomialFeatures is beyond export_onnx, but not beyond skl2onnx
    pipeline = make_pipeline(StandardScaler(), PolynomialFeatures(), model).fit(X, y)
    options = {} if kind == "regressor" else {id(model): {"zipmap": False}}
    data = skl2onnx.to_onnx(pipeline, X[:1], options=options).SerializeToString()
    found = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"X": X})
    if kind == "regressor":
        np.testing.assert_allclose(found[0][:, 0], pipeline.predict(X), rtol=0, atol=1e-5)
    else:
        np.testing.assert_array_equal(found[0], pipeline.predict(X))
        np.testing.assert_allclose(found[1], pipeline.predict_proba(X), rtol=0, atol=1e-5)
