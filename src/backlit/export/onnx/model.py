"""Export to ONNX: a network, an estimator, or a whole pipeline whose inputs are the columns of the table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ...data.model import TableModel
from ...exceptions import ConfigurationError, missing_extra
from ...io import write_bytes
from ...network import Network
from ...pages import Cell, Page, Words, shown
from ...pages import Table as PageTable
from .check import ROWS, count, drawn_rows, expected, feeds, largest_difference, sample_rows, tolerance
from .graph import Graph, Output, network_output
from .prepared import drawn_table, table_feeds, table_outputs
from .table import Column, Inputs, Table, matrix, text_columns, transformed


@shown
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

    def page(self) -> Page:
        """The inputs and outputs as a table."""
        rows: list[list[Cell | str]] = [["input", name, kind] for name, kind in self.inputs.items()]
        rows += [["output", name, kind] for name, kind in self.outputs.items()]
        agrees = f"onnxruntime agrees on {self.rows:,} rows within {self.largest_difference:.1e}"
        return Page(f"ONNX: {self.path}", [PageTable(["", "name", "type"], rows, "lll"), Words(agrees)])


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
    ``label`` and ``probabilities`` (``margins`` from a hinge loss), a regressor ``prediction``, each as `predict` and
    `predict_proba` do, a network ``output``; where a column has that name, the output has an underscore behind it.

    Raises
    ------
    MissingExtraError
        Without onnx and onnxruntime.
    ConfigurationError
        For a part that has no form in ONNX, or if onnxruntime computes something else.
    DataError
        For a sample that is not what the model takes.

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
    if isinstance(model, TableModel):
        outputs = table_outputs(graph, model)
        rows = drawn_table(model) if sample is None else sample[:ROWS]
        fed = table_feeds(model, rows)
    else:
        steps, estimator = _parts(model)
        inputs, table = _inputs(graph, steps, estimator)
        outputs = _outputs(graph, model, estimator, _matrix(graph, steps, estimator, table))
        rows = drawn_rows(inputs, net) if sample is None else sample_rows(sample, inputs)
        fed = feeds(rows, inputs, net.dtype)
    names = {role: graph.free_name(role) for role in outputs}
    data = graph.finish({names[role]: output for role, output in outputs.items()}, type(model).__name__, _version())
    wanted = expected(model, rows, outputs)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = dict(zip(outputs, session.run(list(names.values()), fed), strict=True))
    difference = largest_difference(wanted, found, tolerance(model, rows, wanted))
    write_bytes(data, path)
    return OnnxReport(
        os.fspath(path),
        {part.name: part.type for part in session.get_inputs()},
        {part.name: part.type for part in session.get_outputs()},
        count(rows),
        difference,
    )


def _version() -> str:
    from importlib.metadata import version

    return version("backlit")


def _network_of(model: Any) -> Network:
    """The network at the end of a model."""
    if isinstance(model, Network | TableModel):
        return model if isinstance(model, Network) else model.network
    net = getattr(_parts(model)[1], "network_", None)
    if not isinstance(net, Network):
        raise ConfigurationError(
            f"export_onnx takes a Network, a fitted MLPClassifier or MLPRegressor, or a fitted pipeline that ends with "
            f"one, received {type(model).__name__}"
        )
    return net


def _parts(model: Any) -> tuple[list[Any], Any]:
    """The steps that prepare the columns, and what comes after them: through pipelines and target transformers."""
    if hasattr(model, "steps"):
        *before, last = [part for _, part in model.steps]
        steps, estimator = _parts(last)
        return [*before, *steps], estimator
    return _parts(model.regressor_) if hasattr(model, "regressor_") else ([], model)


def _inputs(graph: Graph, steps: list[Any], estimator: Any) -> tuple[Inputs, Table]:
    """One input for each named column, or one matrix whose columns are taken apart where steps need them."""
    first = next(part for part in [*steps, estimator] if hasattr(part, "n_features_in_") or part is estimator)
    names = [str(name) for name in getattr(first, "feature_names_in_", ())]
    if names:
        texts = set[str]().union(*(text_columns(part, names) for part in steps))
        columns = [Column(name, text=name in texts) for name in names]
        tensors = [graph.text_input(c.name) if c.text else graph.numbers_input(c.name, 1) for c in columns]
        return Inputs(columns, framed=True), Table(tensors, columns)
    width = first.inputs if isinstance(first, Network) else int(first.n_features_in_)
    columns = [Column(f"column {j}") for j in range(width)]
    counts = first.layers[0].categories if isinstance(first, Network) else ()
    for column, most in zip(columns[width - len(counts) :], counts, strict=True):
        column.choose_from(np.unique(np.linspace(0, most - 1, ROWS).astype(np.int64)).tolist())  # codes
    x = graph.numbers_input("X", width)
    tensors = [graph.columns(x, np.array([j])) for j in range(width)] if steps else [x]
    return Inputs(columns, framed=False), Table(tensors, columns)


def _matrix(graph: Graph, steps: list[Any], estimator: Any, table: Table) -> str:
    """The steps before the network, as nodes: the name of the matrix that the network takes."""
    for part in steps:
        table = transformed(graph, part, table)
    x = matrix(graph, table)
    if getattr(estimator, "impute_missing", False):
        for column in table.columns:
            column.gaps = True
        gaps = graph.op("IsNaN", x)
        filled = graph.op("Where", gaps, graph.constant(estimator.fill_values_[None, :]), x)
        x = graph.op("Concat", filled, graph.columns(graph.cast(gaps), estimator.indicator_features_), axis=1)
    return x


def _outputs(graph: Graph, model: Any, estimator: Any, x: str) -> dict[str, Output]:
    """The outputs by what they are."""
    if isinstance(estimator, Network):
        return {"output": (network_output(graph, estimator, x), estimator.dtype, ["n", estimator.outputs])}
    a = network_output(graph, estimator.network_, x)
    if hasattr(estimator, "classes_"):
        return classifier_outputs(graph, estimator, a)
    return {"prediction": _prediction(graph, model, a, estimator.network_.outputs)}


def classifier_outputs(graph: Graph, classifier: Any, a: str) -> dict[str, Output]:
    """``label``, and ``probabilities`` or ``margins``, from a, the outputs of the network."""
    if len(classifier.classes_) == 1:
        raise ConfigurationError("a classifier that has seen one class has nothing to compute: train it on two or more")
    count, activation = classifier.n_outputs_, classifier.network_.output_layer.activation
    above = graph.cast(graph.op("Greater", a, graph.constant(activation.middle)), np.int64)
    scores, width = a, count
    label: Output
    if classifier._multilabel:
        label = (above, np.dtype("int64"), ["n", count])
    else:
        if count > 1:
            index = graph.op("ArgMax", a, axis=1, keepdims=0)
        else:
            index = graph.op("Squeeze", above, graph.constant(np.array([1], np.int64), numbers=False))
            if activation.probabilities:
                scores, width = graph.op("Concat", graph.op("Sub", graph.constant(1.0), a), a, axis=1), 2
        classes = classifier.classes_
        kind = np.dtype(object) if classes.dtype.kind in "OUS" else classes.dtype
        label = (graph.op("Gather", graph.constant(classes, numbers=False), index), kind, ["n"])
    return {
        "label": label,
        "probabilities" if activation.probabilities else "margins": (scores, graph.dtype, ["n", width]),
    }


def _prediction(graph: Graph, model: Any, a: str, outputs: int) -> Output:
    """A regressor's outputs; a StandardScaler of the targets is undone."""
    if hasattr(model, "steps"):
        return _prediction(graph, model.steps[-1][1], a, outputs)
    if hasattr(model, "regressor_"):
        a, _, _ = _prediction(graph, model.regressor_, a, 2)
        scaler = model.transformer_
        if type(scaler).__name__ != "StandardScaler":
            raise ConfigurationError(
                f"export_onnx undoes StandardScaler of the targets, received {type(scaler).__name__}: use that one"
            )
        a = graph.op("Mul", a, graph.constant(1.0 if scaler.scale_ is None else scaler.scale_))
        a = graph.op("Add", a, graph.constant(0.0 if scaler.mean_ is None else scaler.mean_))
    if outputs > 1:
        return a, graph.dtype, ["n", outputs]
    return graph.op("Squeeze", a, graph.constant(np.array([1], np.int64), numbers=False)), graph.dtype, ["n"]
