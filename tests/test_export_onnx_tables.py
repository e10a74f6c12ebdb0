"""ONNX of pipelines: the columns of a table, their names, the rows of the check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import backlit as bl
from backlit.exceptions import ConfigurationError, DataError
from backlit.export.onnx.model import export_onnx

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


def drawn_for(model: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The rows that the check of a regressor draws."""
    seen = []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda rows: (seen.append(rows), predict(rows))[1])
    export_onnx(model, path)
    return np.asarray(seen[0])


def test_rows_with_gaps_are_drawn_for_a_model_that_fills_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = bl.MLPRegressor(hidden_layer_sizes=4, max_iter=2, impute_missing=True).fit(with_gaps(), IRIS[1])
    assert np.isnan(drawn_for(model, tmp_path / "m.onnx", monkeypatch)).any(axis=0).all()


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_rows_are_drawn_where_the_data_was(scaler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(scaler, bl.MLPRegressor(hidden_layer_sizes=4, max_iter=2)).fit(X, y)
    rows = drawn_for(model, tmp_path / "m.onnx", monkeypatch)
    low, high = X.min(axis=0), X.max(axis=0)
    assert ((rows.mean(axis=0) > low) & (rows.mean(axis=0) < high)).all()
    assert (rows.std(axis=0) < (high - low) / 2).all()
    assert (rows.std(axis=0) > (high - low) / 100).all()


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
