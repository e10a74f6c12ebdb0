"""The preparation of a table as ONNX nodes: one input a column, in float64 until all is standardised."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ...data.categories import Categories
from ...data.model import TableModel
from ...data.preparation import CLIP, Preparation
from ...exceptions import ConfigurationError
from ...parameters import Array
from ...randomness import keyed_generator
from .check import ROWS
from .graph import Graph, Output, network_output

_SQUARABLE: Final = 1e150


def table_outputs(graph: Graph, model: TableModel) -> dict[str, Output]:
    """The nodes of a table's model: `label` and `probabilities`, or `prediction`."""
    a = network_output(graph, model.network, _matrix(graph, model.preparation))
    net = model.network
    if model.classes is None:
        # in float64, as `predict` gives it
        wide = graph.cast(a, np.float64)
        own = graph.op("Add", graph.op("Mul", wide, _wide(graph, model.scale)), _wide(graph, model.mean))
        shape = graph.constant(np.array([1]), numbers=False)
        return {"prediction": (graph.op("Squeeze", own, shape), np.dtype("float64"), ["n"])}
    if net.outputs == 1:
        a = graph.op("Concat", graph.op("Sub", graph.constant(1.0), a), a, axis=1)
    index = graph.op("ArgMax", a, axis=1, keepdims=0)
    kind = np.dtype(object) if model.classes.dtype.kind in "OUS" else model.classes.dtype
    label = graph.op("Gather", graph.constant(model.classes, numbers=False), index)
    return {"label": (label, kind, ["n"]), "probabilities": (a, net.dtype, ["n", len(model.classes)])}


def _wide(graph: Graph, value: Any) -> str:
    return graph.constant(np.asarray(value, dtype=np.float64), numbers=False)


def _matrix(graph: Graph, preparation: Preparation) -> str:
    """The network's inputs, in the dtype of the graph."""
    if preparation.dates:
        raise ConfigurationError(
            f"the column {preparation.dates[0].name!r} holds dates, and ONNX has no calendar: train with --drop "
            f"{preparation.dates[0].name!r}, or export --format numpy"
        )
    inputs = {}
    for name, kind in preparation.kinds.items():
        inputs[name] = graph.text_input(name) if kind == "categorical" else graph.numbers_input(name, 1, np.float64)
    parts = []
    learnt = preparation.numbers
    if learnt.names:
        tensors = [inputs[name] for name in learnt.names]
        x = tensors[0] if len(tensors) == 1 else graph.op("Concat", *tensors, axis=1)
        x = graph.op("Where", graph.op("IsNaN", x), _wide(graph, learnt.median[None, :]), x)
        x = graph.op("Div", graph.op("Sub", x, _wide(graph, learnt.mean)), _wide(graph, learnt.scale))
        if learnt.clipped:
            x = _clipped(graph, x)
        parts.append(graph.cast(x))
    parts += [_category(graph, inputs[column.name], column) for column in preparation.in_order]
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=1)


def _clipped(graph: Graph, s: str) -> str:
    """s / √(1 + (s/3)²), where what is so large that its square overflows is first made smaller."""
    s = graph.op("Min", graph.op("Max", s, _wide(graph, -_SQUARABLE)), _wide(graph, _SQUARABLE))
    third = graph.op("Div", s, _wide(graph, CLIP))
    square = graph.op("Mul", third, third)
    return graph.op("Div", s, graph.op("Sqrt", graph.op("Add", square, _wide(graph, 1.0))))


def _category(graph: Graph, tensor: str, learnt: Categories) -> str:
    """A column for each frequent value, one for "" where values were missing, one for all others; or their code."""
    known = [*learnt.frequent, *([""] if learnt.missing else [])]
    if not known:  # 1 in the column of all others; as a code, the only one, 0
        size = graph.op("Equal", tensor, graph.constant([[""]], numbers=False))
        return graph.cast(graph.op("And" if learnt.coded else "Or", size, graph.op("Not", size)))
    matches = graph.cast(graph.op("Equal", tensor, graph.constant([known], numbers=False)))  # (n, known)
    if learnt.coded:  # the last code is that of all others
        last = len(known)
        fewer = graph.op("MatMul", matches, graph.constant(np.arange(last)[:, None] - last))
        return graph.op("Add", fewer, graph.constant(float(last)))
    if not learnt.rare_column:
        return matches
    found = graph.op("MatMul", matches, graph.constant(np.ones((len(known), 1))))
    return graph.op("Concat", matches, graph.op("Sub", graph.constant(1.0), found), axis=1)


def drawn_table(model: TableModel) -> Any:
    """1,000 rows drawn from what the model knows of its columns, gaps and values never seen among them."""
    import polars as pl

    rng = keyed_generator(model.network.seed, "sampling")
    learnt = model.preparation.numbers
    columns = {}
    for j, name in enumerate(learnt.names):
        values = learnt.mean[j] + learnt.scale[j] * rng.standard_normal(ROWS)
        values[rng.random(ROWS) < 0.05] = np.nan
        columns[name] = pl.Series(name, values)
    for column in model.preparation.categories:
        texts = [*column.frequent, *column.rare[:10], None, "a value never seen"]
        drawn = [texts[i] for i in rng.integers(0, len(texts), ROWS)]
        columns[column.name] = pl.Series(column.name, drawn, dtype=pl.String)
    return pl.DataFrame([columns[name] for name in model.preparation.kinds])


def table_feeds(model: TableModel, rows: Any) -> dict[str, Array]:
    """A table as the inputs of its graph: NaN for missing numbers, "" for missing texts."""
    from ...data.columns import typed
    from ...data.frames import as_frame

    table = typed(as_frame(rows), model.preparation.kinds)
    feeds = {}
    for name, kind in model.preparation.kinds.items():
        column = table.get_column(name)
        if kind == "categorical":
            feeds[name] = np.array(column.fill_null("").to_list(), dtype=object)[:, None]
        else:
            feeds[name] = column.to_numpy()[:, None]
    return feeds
