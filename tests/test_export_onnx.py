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
from backlit.estimators.columns import column_transformer
from backlit.exceptions import ConfigurationError, DataError, MissingExtraError
from backlit.export.onnx.model import export_onnx
from backlit.kinds import ACTIVATIONS, LAYERS, Activation, Layer
from backlit.kinds.losses import LOSSES

pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
]

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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_at_the_output(activation: str, dtype: Any, tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(6, activation, weight_init="standard_normal")], inputs=3, dtype=dtype)
    export_onnx(net, tmp_path / "net.onnx")
    X = np.random.default_rng(0).standard_normal((200, 3)).astype(dtype)
    (output,) = run(tmp_path / "net.onnx", X=X)
    np.testing.assert_allclose(output, net.forward(X), rtol=1e-5, atol=1e-6)


def test_the_slope_of_leaky_relu_below_zero_is_a_hundredth(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1, "leaky_relu", weight_init=1.0)], inputs=1, dtype="float64")
    export_onnx(net, tmp_path / "net.onnx")
    (output,) = run(tmp_path / "net.onnx", X=np.array([[-3.0], [2.0]]))
    np.testing.assert_allclose(output, [[-0.03], [2.0]], rtol=1e-15)


#: What layers cannot be made without.
ARGUMENTS: dict[str, tuple[Any, ...]] = {"Dense": (6, "tanh"), "Dropout": (0.3,)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer(kind: str, dtype: Any, tmp_path: Path) -> None:
    layers = [LAYERS[kind](*ARGUMENTS.get(kind, ())) for _ in range(2)]
    net = bl.Network([layers[0], bl.Dense(7, "tanh"), layers[1], bl.Dense(2)], inputs=5, dtype=dtype)
    # no parameter, and no running mean or variance, stays at a value that hides it
    rng = np.random.default_rng(1)
    net.parameters.values[:] = rng.uniform(-1.2, 1.2, net.parameters.size)
    net.parameters.buffers[:] = rng.uniform(0.2, 1.5, net.parameters.buffers.size)
    report = export_onnx(net, tmp_path / "net.onnx")
    assert report.outputs == {"output": f"tensor({'double' if dtype == 'float64' else 'float'})"}
    X = np.random.default_rng(0).standard_normal((200, 5)).astype(dtype)
    (output,) = run(tmp_path / "net.onnx", X=X)
    small = 1e-12 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(output, net.forward(X), rtol=small, atol=small)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_in_an_estimator(loss: str, tmp_path: Path) -> None:
    X, y = IRIS
    classes = LOSSES[loss]().targets in ("classes", "probabilities")
    model = (bl.MLPClassifier if classes else bl.MLPRegressor)(loss=loss, hidden_layer_sizes=5, max_iter=3)
    model.fit(X, y)
    report = export_onnx(model, tmp_path / "m.onnx")
    found = dict(zip(report.outputs, run(tmp_path / "m.onnx", X=X), strict=True))
    if classes:
        np.testing.assert_array_equal(found["label"], model.predict(X))
        assert ("margins" in found) == hasattr(model, "decision_function")
        assert ("probabilities" in found) == hasattr(model, "predict_proba")
    else:
        np.testing.assert_allclose(found["prediction"], model.predict(X), rtol=1e-9, atol=1e-12)


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
    with pytest.raises(ConfigurationError, match="export_onnx takes a Network"):
        export_onnx(StandardScaler(), path)
    encoded = make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler(), bl.MLPClassifier(4, max_iter=2))
    encoded.fit(X.round(), y)
    with pytest.raises(ConfigurationError, match="not on the output of OneHotEncoder"):
        export_onnx(encoded, path)
    assert not path.exists()


class Twice(Layer):
    """A user's own layer."""

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.multiply(work.a[i], 2.0, out=work.a[i + 1])


class ExportedTwice(Twice):
    """One that says what it is in ONNX."""

    def onnx(self, graph: Any, x: str) -> str:
        return str(graph.op("Mul", x, graph.constant(2.0)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Twice(), r"layer 1: Twice\(\) is of your own making, which ONNX cannot hold"),
        (bl.Dense(2, (np.sin, np.cos)), "layer 1: the activation 'sin' is your own function, which ONNX cannot hold"),
    ],
    ids=["layer", "activation"],
)
def test_what_is_the_users_own_is_refused(layer: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        export_onnx(bl.Network([bl.Dense(2), layer, bl.Dense(1)], inputs=2), tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.onnx").exists()


def own_tanh(node: str) -> Activation:
    """A user's own activation, tanh, which says that it is `node` in ONNX."""
    tanh = ACTIVATIONS["tanh"]
    return Activation("bend", tanh.f, tanh.slope, onnx=lambda graph, z: graph.op(node, z), builtin=False)


def test_what_is_the_users_own_with_a_form_in_onnx_is_written(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(4, own_tanh("Tanh")), ExportedTwice(), bl.Dense(1)], inputs=2, dtype="float64")
    assert export_onnx(net, tmp_path / "m.onnx").largest_difference < 1e-14


def test_a_model_that_onnxruntime_computes_differently_is_not_written(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(4, own_tanh("Sigmoid")), bl.Dense(1)], inputs=2)
    with pytest.raises(ConfigurationError, match="onnxruntime computes something else: output differs by"):
        export_onnx(net, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


# ── names of columns, rows drawn for the check, samples ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "names",
    [
        ["label", "probabilities", "constant_0", "concat_0"],
        ["label", "label_", "matmul_0", "argmax_0"],
        ["prediction", "sub_0", "constant_1", "X"],
    ],
)
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_columns_may_have_any_name(names: list[str], kind: str, tmp_path: Path) -> None:
    X, y = IRIS
    frame = pl.DataFrame(X, schema=names)
    last: Any = bl.MLPClassifier(4, max_iter=5) if kind == "classifier" else bl.MLPRegressor("huber", 4, max_iter=5)
    model = make_pipeline(StandardScaler(), last).fit(frame, y)
    report = export_onnx(model, tmp_path / "m.onnx")
    assert list(report.inputs) == names
    found = dict(zip(report.outputs, run(tmp_path / "m.onnx", **feeds_of(frame)), strict=True))
    first = "label" if kind == "classifier" else "prediction"
    while first in names:
        first += "_"
    assert next(iter(found)) == first
    np.testing.assert_allclose(found[first], model.predict(frame), rtol=0, atol=1e-12)


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({name: IRIS[0][:, j] for j, name in enumerate(["a", "b", "", "c"])})
    model = bl.MLPClassifier(4, max_iter=2).fit(frame, IRIS[1])
    with pytest.raises(ConfigurationError, match="a column is called '': rename it"):
        export_onnx(model, tmp_path / "m.onnx")


def with_gaps() -> np.ndarray:
    X = IRIS[0]
    return np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)


def one_hot(**more: Any) -> OneHotEncoder:
    return OneHotEncoder(sparse_output=False, **more)


MATRIX_MODELS: dict[str, tuple[list[Any], dict[str, Any], np.ndarray]] = {
    "gaps": ([], {"impute_missing": True}, with_gaps()),
    "gaps, scaled": ([StandardScaler()], {"impute_missing": True}, with_gaps()),
    "gaps, clipped": ([MinMaxScaler(clip=True)], {"impute_missing": True}, with_gaps()),
    "no gap in training": ([], {"impute_missing": True}, IRIS[0]),
    "one-hot": ([one_hot()], {}, IRIS[0].round()),
    "one-hot of gaps": ([one_hot()], {}, with_gaps().round()),
    "one-hot of rare": ([one_hot(min_frequency=20, handle_unknown="infrequent_if_exist")], {}, with_gaps().round()),
    "columns": (
        [ColumnTransformer([("o", one_hot(), [0, 1]), ("s", StandardScaler(), [1, 3])], remainder="passthrough")],
        {},
        IRIS[0].round(),
    ),
    "some columns": ([ColumnTransformer([("o", one_hot(), [3])])], {}, IRIS[0].round()),
    "passed through": (["passthrough", StandardScaler()], {}, IRIS[0]),
}


@pytest.mark.parametrize("framed", [False, True], ids=["matrix", "data frame"])
@pytest.mark.parametrize("case", MATRIX_MODELS)
def test_rows_are_drawn_for_every_pipeline(case: str, framed: bool, tmp_path: Path) -> None:
    steps, settings, X = MATRIX_MODELS[case]
    rows: Any = pl.DataFrame(X, schema=list("abcd")) if framed else X
    model = make_pipeline(*steps, bl.MLPClassifier(4, max_iter=5, random_state=0, **settings)).fit(rows, IRIS[1])
    report = export_onnx(model, tmp_path / "m.onnx")
    assert report.rows == 1000
    assert report.largest_difference < 1e-14
    label, probabilities = run(tmp_path / "m.onnx", **(feeds_of(rows) if framed else {"X": X}))
    np.testing.assert_array_equal(label, model.predict(rows))
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), rtol=0, atol=1e-12)


def test_a_column_of_text_that_two_encoders_read(tmp_path: Path) -> None:
    """One of them refuses towns never seen: none is drawn."""
    frame, y = table()
    frame = frame.with_columns(pl.col("town").fill_null("Rome"))
    columns = ColumnTransformer([("a", one_hot(), ["town"]), ("b", one_hot(handle_unknown="ignore"), ["town"])])
    model = make_pipeline(columns, bl.MLPClassifier(4, max_iter=2)).fit(frame, y)
    assert export_onnx(model, tmp_path / "m.onnx").rows == 1000


def test_pipelines_within_pipelines(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    inner = make_pipeline(StandardScaler(), bl.MLPRegressor(hidden_layer_sizes=4, max_iter=5))
    model = make_pipeline(MinMaxScaler(), TransformedTargetRegressor(inner, transformer=StandardScaler())).fit(X, y)
    export_onnx(model, tmp_path / "m.onnx")
    np.testing.assert_allclose(run(tmp_path / "m.onnx", X=X)[0], model.predict(X), rtol=1e-9)


def test_samples_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    X, y = IRIS
    frame = pl.DataFrame(X, schema=list("abcd"))
    framed, plain = (bl.MLPClassifier(4, max_iter=2).fit(rows, y) for rows in (frame, X))
    path = tmp_path / "m.onnx"
    with pytest.raises(DataError, match="takes a data frame with the columns a, b, c, d, and the sample is ndarray"):
        export_onnx(framed, path, sample=X)
    with pytest.raises(DataError, match="the sample has no column 'c', which the model takes"):
        export_onnx(framed, path, sample=frame.drop("c"))
    for model, rows in ((framed, frame[:0]), (plain, X[:0])):
        with pytest.raises(DataError, match="the sample has no rows"):
            export_onnx(model, path, sample=rows)
    with pytest.raises(ValueError, match="X has 2 features, but MLPClassifier is expecting 4"):
        export_onnx(plain, path, sample=X[:, :2])
    assert not path.exists()


def test_samples_that_fit(tmp_path: Path) -> None:
    from scipy.sparse import coo_array

    X, y = IRIS
    model = bl.MLPClassifier(4, max_iter=2).fit(X, y)
    for sample in (X.tolist(), coo_array(X), X.astype(np.float32)):
        assert export_onnx(model, tmp_path / "m.onnx", sample=sample).rows == 150
    frame, y = table()
    columns = ColumnTransformer([("t", one_hot(handle_unknown="ignore"), ["town"]), ("p", "passthrough", ["pay"])])
    framed = make_pipeline(columns, bl.MLPClassifier(4, max_iter=2)).fit(frame, y)
    nowhere = frame.with_columns(town=pl.lit(None, pl.String))  # a column of text without one text
    assert export_onnx(framed, tmp_path / "m.onnx", sample=nowhere).rows == 1000


def test_a_matrix_of_text_is_refused(tmp_path: Path) -> None:
    X, y = IRIS
    model = make_pipeline(one_hot(), bl.MLPClassifier(4, max_iter=2)).fit(X.round().astype(str).astype(object), y)
    with pytest.raises(ConfigurationError, match="column 0 holds text without one: fit the pipeline on a data frame"):
        export_onnx(model, tmp_path / "m.onnx")


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


CLASSES = {
    "bool": IRIS[1] > 0,
    "int32": IRIS[1].astype(np.int32) - 1,
    "uint8": IRIS[1].astype(np.uint8),
    "float32": IRIS[1].astype(np.float32),
    "float64": IRIS[1].astype(float),
    "objects": np.array(["a", "b", "c"], object)[IRIS[1]],
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("kind", CLASSES)
def test_the_converter_gives_labels_of_every_type(kind: str, zipmap: bool) -> None:
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    import backlit.export.sklearn_onnx  # noqa: F401

    X, y = IRIS[0].astype(np.float32), CLASSES[kind]
    model = bl.MLPClassifier(8, max_iter=5).fit(X, y)
    data = skl2onnx.to_onnx(model, X[:1], options={id(model): {"zipmap": zipmap}}).SerializeToString()
    label, scores = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"X": X})
    assert label.dtype == (object if kind == "objects" else np.int64)
    np.testing.assert_array_equal(label, model.predict(X))
    if zipmap:
        assert list(scores[0]) == model.classes_.tolist()
        scores = np.array([list(row.values()) for row in scores])
    np.testing.assert_allclose(scores, model.predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", CLASSES)
def test_labels_of_every_type(kind: str, tmp_path: Path) -> None:
    X, y = IRIS[0], CLASSES[kind]
    model = bl.MLPClassifier(8, max_iter=5).fit(X, y)
    export_onnx(model, tmp_path / "m.onnx")
    label, _ = run(tmp_path / "m.onnx", X=X)
    assert label.dtype == y.dtype
    np.testing.assert_array_equal(label, model.predict(X))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["constant_0", "cast_0", "matmul_1"])
def test_the_converter_takes_an_input_of_any_name(name: str) -> None:
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    import backlit.export.sklearn_onnx  # noqa: F401

    X, y = IRIS[0].astype(np.float32), IRIS[1]
    model = bl.MLPClassifier(8, max_iter=5).fit(X, y)
    kind = skl2onnx.common.data_types.FloatTensorType([None, 4])
    data = skl2onnx.to_onnx(model, initial_types=[(name, kind)], options={id(model): {"zipmap": False}})
    session = onnxruntime.InferenceSession(data.SerializeToString(), providers=["CPUExecutionProvider"])
    _, scores = session.run(None, {name: X})
    np.testing.assert_allclose(scores, model.predict_proba(X), rtol=0, atol=1e-5)
