"""The converter for skl2onnx: what onnxruntime computes is what the estimator computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import backlit as bl

pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
]

IRIS = load_iris(return_X_y=True)


CLASSES = {
    "bool": IRIS[1] > 0,
    "int32": IRIS[1].astype(np.int32) - 1,
    "uint8": IRIS[1].astype(np.uint8),
    "float32": IRIS[1].astype(np.float32),
    "float64": IRIS[1].astype(float),
    "objects": np.array(["a", "b", "c"], object)[IRIS[1]],
}


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
