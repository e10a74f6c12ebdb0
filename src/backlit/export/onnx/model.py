"""Export to ONNX: a network, an estimator, or a whole pipeline whose inputs are the columns of the table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ...data.model import TableModel
from ...exceptions import ConfigurationError, missing_extra
from ...io import write_bytes
from ...network import Network
from ...parameters import Array
from ...randomness import keyed_generator
from .graph import Graph, Output, network_output
from .prepared import drawn_table, table_feeds, table_outputs
from .table import Column, Table, matrix, text_columns, transformed

ROWS: Final = 1000
TOLERANCE: Final = 1e-5


@final
@dataclass(frozen=True)
class OnnxReport:
    """What was written, and how it compares with the model.

    Attributes
    ----------
    path : str
    inputs, outputs : dict of str to str
        Names and types; each has one row a sample.
    rows : int
        Rows that both have computed.
    largest_difference : float
        Between an output of the model and onnxruntime's, relative to outputs above 1.
    """

    path: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    rows: int
    largest_difference: float

    def __str__(self) -> str:
        inputs = ", ".join(f"{name} ({kind})" for name, kind in self.inputs.items())
        outputs = ", ".join(f"{name} ({kind})" for name, kind in self.outputs.items())
        return (
            f"{self.path}: inputs {inputs}; outputs {outputs}; "
            f"onnxruntime agrees on {self.rows:,} rows within {self.largest_difference:.1e}"
        )


def export_onnx(model: Any, path: str | os.PathLike[str], *, sample: Any = None) -> OnnxReport:
    """Write a model as ONNX, and check it with onnxruntime before it is written.

    Parameters
    ----------
    model : Network, TableModel, estimator or pipeline
        A pipeline may hold ColumnTransformer, Pipeline, SimpleImputer, StandardScaler, MinMaxScaler, OneHotEncoder,
        and an `MLPClassifier` or `MLPRegressor` at its end, in a TransformedTargetRegressor with StandardScaler too.
    path : str or path
    sample : table or array, optional
        Rows to compare on, as the model takes them; up to 1,000 are used. Without them, 1,000 are drawn from what the
        model knows of its columns.

    Returns
    -------
    OnnxReport

    Notes
    -----
    A model fitted on a table has one input of shape (n, 1) for each column, by its name: numbers with NaN where
    missing, text with "" where missing. Another has one input ``X`` of shape (n, features). A classifier gives
    ``label`` and ``probabilities``, a regressor ``prediction``, each as `predict` and `predict_proba` do, a network
    ``output``.

    Raises
    ------
    MissingExtraError
        Without onnx and onnxruntime.
    ConfigurationError
        For a part that has no form in ONNX, or if onnxruntime computes something else.

    Examples
    --------
    >>> import backlit as bl, tempfile
    >>> net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = export_onnx(net, folder + "/net.onnx")
    >>> report.rows, report.largest_difference < 1e-5
    (1000, True)
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise missing_extra("onnx and onnxruntime", "onnx", "exporting to ONNX") from error
    net = _network_of(model)
    graph = Graph(net.dtype)
    table: Table | None = None
    if isinstance(model, TableModel):
        outputs = table_outputs(graph, model)
    else:
        table, x = _inputs(graph, model, net)
        x = _steps(graph, model, table, x)
        outputs = _outputs(graph, model, net, x)
    data = graph.finish(outputs, type(model).__name__, _version())
    if sample is not None:
        rows = sample[:ROWS]
    else:
        rows = drawn_table(model) if isinstance(model, TableModel) else _drawn_rows(table, net)
    feeds = table_feeds(model, rows) if isinstance(model, TableModel) else _feeds(rows, table, net)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = dict(zip(outputs, session.run(list(outputs), feeds), strict=True))
    difference = _compare(model, rows, found)
    write_bytes(data, path)
    return OnnxReport(
        os.fspath(path),
        {part.name: part.type for part in session.get_inputs()},
        {part.name: part.type for part in session.get_outputs()},
        len(rows),
        difference,
    )


def _version() -> str:
    from importlib.metadata import version

    return version("backlit")


def _network_of(model: Any) -> Network:
    """The network at the end of a model."""
    if isinstance(model, Network):
        return model
    if isinstance(model, TableModel):
        return model.network
    last = _last(model)
    net = getattr(last, "network_", None)
    if not isinstance(net, Network):
        raise ConfigurationError(
            f"export_onnx takes a Network, a fitted MLPClassifier or MLPRegressor, or a fitted pipeline that ends with "
            f"one, received {type(model).__name__}"
        )
    return net


def _last(model: Any) -> Any:
    """The estimator at the end of pipelines and target transformers."""
    if hasattr(model, "steps"):
        return _last(model.steps[-1][1])
    return _last(model.regressor_) if hasattr(model, "regressor_") else model


def _inputs(graph: Graph, model: Any, net: Network) -> tuple[Table | None, str]:
    """One input for each named column, or one matrix."""
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if not names:
        width = net.inputs if isinstance(model, Network) else int(model.n_features_in_)
        return None, graph.numbers_input("X", width)
    texts = text_columns(model, names) if hasattr(model, "steps") else set()
    columns = [Column(name, text=name in texts) for name in names]
    return Table([graph.text_input(c.name) if c.text else graph.numbers_input(c.name, 1) for c in columns], columns), ""


def _steps(graph: Graph, model: Any, table: Table | None, x: str) -> str:
    """The steps before the network, as nodes: the name of the matrix that the network takes."""
    steps = [part for _, part in model.steps[:-1]] if hasattr(model, "steps") else []
    if table is None and steps:
        width = int(model.n_features_in_)
        columns = [Column(f"column {j}") for j in range(width)]
        table = Table([graph.columns(x, np.array([j])) for j in range(width)], columns)
    if table is not None:
        for part in steps:
            table = transformed(graph, part, table)
        x = matrix(graph, table)
    estimator = _last(model)
    if getattr(estimator, "impute_missing", False):
        gaps = graph.op("IsNaN", x)
        filled = graph.op("Where", gaps, graph.constant(estimator.fill_values_[None, :]), x)
        x = graph.op("Concat", filled, graph.columns(graph.cast(gaps), estimator.indicator_features_), axis=1)
    return x


def _outputs(graph: Graph, model: Any, net: Network, x: str) -> dict[str, Output]:
    """The outputs by name."""
    a = network_output(graph, net, x)
    if isinstance(model, Network):
        return {"output": (a, net.dtype, ["n", net.outputs])}
    estimator = _last(model)
    if hasattr(estimator, "classes_"):
        return classifier_outputs(graph, estimator, a)
    return {"prediction": _prediction(graph, model, a, net)}


def classifier_outputs(graph: Graph, classifier: Any, a: str) -> dict[str, Output]:
    """``label``, and ``probabilities`` or the hinge loss's ``margins``, from a, the outputs of the network."""
    if len(classifier.classes_) == 1:
        raise ConfigurationError("a classifier that has seen one class has nothing to compute: train it on two or more")
    count, hinge = classifier.n_outputs_, classifier.loss == "hinge"
    above = graph.cast(graph.op("Greater", a, graph.constant(0.0 if hinge else 0.5)), np.int64)
    scores, width = a, count
    label: Output
    if classifier._multilabel:
        label = (above, np.dtype("int64"), ["n", count])
    else:
        if count > 1:
            index = graph.op("ArgMax", a, axis=1, keepdims=0)
        else:
            index = graph.op("Squeeze", above, graph.constant(np.array([1]), numbers=False))
            if not hinge:
                scores, width = graph.op("Concat", graph.op("Sub", graph.constant(1.0), a), a, axis=1), 2
        classes = classifier.classes_
        kind = np.dtype(object) if classes.dtype.kind in "OUS" else classes.dtype
        label = (graph.op("Gather", graph.constant(classes, numbers=False), index), kind, ["n"])
    return {"label": label, "margins" if hinge else "probabilities": (scores, graph.dtype, ["n", width])}


def _prediction(graph: Graph, model: Any, a: str, net: Network) -> Output:
    """A regressor's outputs; a StandardScaler of the targets is undone."""
    holder = model.steps[-1][1] if hasattr(model, "steps") else model
    if hasattr(holder, "regressor_"):
        scaler = holder.transformer_
        if type(scaler).__name__ != "StandardScaler":
            raise ConfigurationError(
                f"export_onnx undoes StandardScaler of the targets, received {type(scaler).__name__}: use that one"
            )
        a = graph.op("Mul", a, graph.constant(1.0 if scaler.scale_ is None else scaler.scale_))
        a = graph.op("Add", a, graph.constant(0.0 if scaler.mean_ is None else scaler.mean_))
    if net.outputs > 1:
        return a, net.dtype, ["n", net.outputs]
    return graph.op("Squeeze", a, graph.constant(np.array([1]), numbers=False)), net.dtype, ["n"]


# ── the check ────────────────────────────────────────────────────────────────────────────────────────────────


def _drawn_rows(table: Table | None, net: Network) -> Any:
    """1,000 rows drawn from what the model knows of its columns."""
    rng = keyed_generator(net.seed, "sampling")
    if table is None:
        return rng.standard_normal((ROWS, net.inputs)).astype(net.dtype)
    drawn = {column.name: column.draw(rng, ROWS) for column in table.columns}
    if any(value != value for column in table.columns for value in column.values):
        import pandas as pd  # NaN among text: the model was fitted on a pandas table

        return pd.DataFrame(drawn)
    import polars as pl

    return pl.DataFrame(drawn)


def _feeds(rows: Any, table: Table | None, net: Network) -> dict[str, Array]:
    if table is None:
        return {"X": np.asarray(rows, dtype=net.dtype)}
    feeds = {}
    for tensor in table.tensors:
        values = list(rows[tensor])
        if any(isinstance(value, str) for value in values):
            feeds[tensor] = np.array([[_text(value)] for value in values], dtype=object)
        else:
            numbers = [np.nan if value is None else value for value in values]
            feeds[tensor] = np.array(numbers, dtype=net.dtype)[:, None]
    return feeds


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _compare(model: Any, rows: Any, found: dict[str, Array]) -> float:
    """The largest difference of the numbers; labels have to be the same wherever the numbers leave no doubt."""
    name = next(key for key in ("output", "prediction", "probabilities", "margins") if key in found)
    methods = {
        "output": "forward",
        "prediction": "predict",
        "probabilities": "predict_proba",
        "margins": "decision_function",
    }
    expected = np.asarray(getattr(model, methods[name])(rows))
    difference = np.abs(expected - found[name].reshape(expected.shape)) / np.maximum(1.0, np.abs(expected))
    largest = float(difference.max())
    if not largest <= TOLERANCE:
        raise ConfigurationError(
            f"onnxruntime computes something else: {name} differs by {largest:.3g} in row {int(difference.argmax())} "
            "of the check; nothing was written"
        )
    if "label" in found and (mismatch := (model.predict(rows) != found["label"])).mean() > 0.001:
        raise ConfigurationError(f"onnxruntime finds another label in {int(mismatch.sum())} rows; nothing was written")
    return largest
