"""ONNX: what onnxruntime computes from an exported network or estimator is what that computes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

import backlit as bl
from backlit.exceptions import ConfigurationError, MissingExtraError
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


def test_below_zero_leaky_relu_has_a_hundredth_of_the_slope(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1, "leaky_relu", weight_init=1.0)], inputs=1, dtype="float64")
    export_onnx(net, tmp_path / "net.onnx")
    z = np.array([[-200.0], [-1.0], [0.0], [3.0]])
    (output,) = run(tmp_path / "net.onnx", X=z)
    np.testing.assert_allclose(output, [[-2.0], [-0.01], [0.0], [3.0]], rtol=1e-14)


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
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Dense": (6, "tanh"), "Dropout": (0.3,),
    "ParallelDense": (3, 2, "softmax"), "Parametric": ("sigmoid", 0.7),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "kind", [kind for kind in LAYERS if kind != "Embedding"]
)  # the one that must be first: tests/test_embedding.py
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


def test_a_layer_norm_that_enlarges_rounding(tmp_path: Path) -> None:
    """Over two units a layer norm is nearly a step, and float32 is off by 1e-4 in a row upon it."""
    net = bl.Network([bl.Dense(2, "tanh"), LAYERS["LayerNorm"](), bl.Dense(1, weight_init=3.0)], inputs=2)
    net.parameters.view("0.weight")[:] = [[0.7, 0.7001], [0.3, 0.3]]
    net.parameters.view("2.weight")[:, 0] = [9.0, -9.0]
    report = export_onnx(net, tmp_path / "net.onnx")
    assert 1e-5 < report.largest_difference < 1e-2
    exact = net.astype("float64")
    assert export_onnx(exact, tmp_path / "exact.onnx").largest_difference < 1e-9


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


def test_a_small_margin_is_the_second_class(tmp_path: Path) -> None:
    X, y = IRIS
    model = bl.MLPClassifier(4, max_iter=2, loss="hinge").fit(X, y > 0)
    model.coefs_[-1][:] = 0.0
    for margin, label in ((0.25, True), (-0.25, False)):
        model.intercepts_[-1][:] = margin
        export_onnx(model, tmp_path / "m.onnx")
        found, margins = run(tmp_path / "m.onnx", X=X)
        assert (found == label).all()
        assert (margins == margin).all()


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
    return Activation("bend", tanh.f, tanh.slope, onnx=lambda graph, z: graph.op(node, z))


def test_what_is_the_users_own_with_a_form_in_onnx_is_written(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(4, own_tanh("Tanh")), ExportedTwice(), bl.Dense(1)], inputs=2, dtype="float64")
    assert export_onnx(net, tmp_path / "m.onnx").largest_difference < 1e-14


def test_a_model_that_onnxruntime_computes_differently_is_not_written(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(4, own_tanh("Sigmoid")), bl.Dense(1)], inputs=2)
    with pytest.raises(ConfigurationError, match="onnxruntime computes something else: output differs by"):
        export_onnx(net, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"backlit\[onnx\]"):
        export_onnx(bl.Network([bl.Dense(1)], inputs=2), tmp_path / "m.onnx")


CLASSES = {
    "bool": IRIS[1] > 0,
    "int32": IRIS[1].astype(np.int32) - 1,
    "uint8": IRIS[1].astype(np.uint8),
    "float32": IRIS[1].astype(np.float32),
    "float64": IRIS[1].astype(float),
    "objects": np.array(["a", "b", "c"], object)[IRIS[1]],
}


@pytest.mark.parametrize("kind", CLASSES)
def test_labels_of_every_type(kind: str, tmp_path: Path) -> None:
    X, y = IRIS[0], CLASSES[kind]
    model = bl.MLPClassifier(8, max_iter=5).fit(X, y)
    export_onnx(model, tmp_path / "m.onnx")
    label, _ = run(tmp_path / "m.onnx", X=X)
    assert label.dtype == y.dtype
    np.testing.assert_array_equal(label, model.predict(X))
