"""scikit-learn's preparation of a table as ONNX nodes: columns imputed, scaled, one-hot.

A step takes a `Table`, one tensor a column, and gives another, or one matrix. What a step learnt about a column also
tells how to draw values for it, so that an exported pipeline can be tried without data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import numpy as np

from ...exceptions import ConfigurationError
from .graph import Graph

_KNOWN: Final = "ColumnTransformer, Pipeline, SimpleImputer, StandardScaler, MinMaxScaler, OneHotEncoder, passthrough"


@final
@dataclass
class Column:
    """One input column: how its values are drawn for the check, and whether they are text.

    Attributes
    ----------
    name : str
    text : bool
    center, spread : float
        Of the normal distribution that numbers are drawn from.
    gaps : bool
        Whether some are missing.
    values : list
        Those to choose from, where only these are known.
    """

    name: str
    text: bool = False
    center: float = 0.0
    spread: float = 1.0
    gaps: bool = False
    values: list[Any] = field(default_factory=list)

    def choose_from(self, values: list[Any]) -> None:
        """Draw these values alone, and of them those that other steps on the column know too."""
        known = {_key(value) for value in self.values}
        self.values = [value for value in values if not known or _key(value) in known]

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        """n values as a table holds them, gaps as None or NaN: a list of `values`, or an array of numbers."""
        if self.values:
            return [self.values[i] for i in rng.integers(0, len(self.values), n)]
        drawn = self.center + self.spread * rng.standard_normal(n)
        if self.gaps:
            drawn[rng.random(n) < 0.05] = np.nan
        return drawn


@final
@dataclass
class Inputs:
    """What a model takes: a data frame with these columns, each an input by its name, or one matrix ``X``."""

    columns: list[Column]
    framed: bool


@final
@dataclass
class Table:
    """Tensors of shape (n, 1) by column, each with the input column it came from."""

    tensors: list[str]
    columns: list[Column]

    def take(self, which: Sequence[int]) -> Table:
        return Table([self.tensors[i] for i in which], [self.columns[i] for i in which])


def matrix(graph: Graph, table: Table) -> str:
    """The columns side by side, shape (n, columns)."""
    for column in table.columns:
        if column.text:
            raise ConfigurationError(f"the column {column.name!r} holds text where numbers are needed: encode it first")
    return table.tensors[0] if len(table.tensors) == 1 else graph.op("Concat", *table.tensors, axis=1)


def transformed(graph: Graph, step: Any, table: Table) -> Table:
    """A fitted transformer as nodes.

    Raises
    ------
    ConfigurationError
        For a transformer, or a setting of one, that has no form here.
    """
    name = step if isinstance(step, str) else type(step).__name__
    match name:
        case "passthrough":
            return table
        case "FunctionTransformer" if step.func is None:  # what a fitted ColumnTransformer makes of "passthrough"
            return table
        case "Pipeline":
            for part in step.named_steps.values():
                table = transformed(graph, part, table)
            return table
        case "ColumnTransformer":
            return _column_transformer(graph, step, table)
        case "SimpleImputer":
            return _imputer(graph, step, table)
        case "StandardScaler":
            return _standard_scaler(graph, step, table)
        case "MinMaxScaler":
            _check_count(step, table)
            for column, least, largest in zip(table.columns, step.data_min_, step.data_max_, strict=True):
                column.center, column.spread = float(least + largest) / 2.0, float(largest - least) / 4.0
            low, high = step.feature_range
            clip = (low, high) if step.clip else None
            return _affine(graph, table, step.scale_, step.min_, clip)
        case "OneHotEncoder":
            return _one_hot(graph, step, table)
    raise ConfigurationError(
        f"export_onnx does not know {name}; it knows {_KNOWN}: "
        "use skl2onnx with backlit.export.sklearn_onnx, which knows more"
    )


def _check_count(step: Any, table: Table) -> None:
    if step.n_features_in_ != len(table.tensors):
        raise ConfigurationError(
            f"export_onnx knows {type(step).__name__} on columns of the table, not on the output of OneHotEncoder: "
            "give the encoded columns a branch of their own in a ColumnTransformer"
        )


def text_columns(step: Any, names: list[str]) -> set[str]:
    """The columns that a fitted step reads as text."""
    kind = type(step).__name__
    if kind == "Pipeline":
        return set().union(*(text_columns(part, names) for part in step.named_steps.values()))
    if kind == "OneHotEncoder":
        return {name for name, values in zip(names, step.categories_, strict=True) if _is_text(values)}
    if kind == "ColumnTransformer":
        found: set[str] = set()
        for part, which in _parts(step, names):
            found |= text_columns(part, [names[i] for i in which])
        return found
    return set()


def _parts(step: Any, names: list[str]) -> list[tuple[Any, list[int]]]:
    """The transformers of a ColumnTransformer with the numbers of their columns, in the order of their output."""
    parts = []
    for part, which in ((part, which) for _, part, which in step.transformers_):
        if isinstance(part, str) and part == "drop":
            continue
        if isinstance(which, str | int):
            which = [which]
        if isinstance(which, slice):
            which = range(*which.indices(len(names)))
        chosen = np.asarray(which)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        parts.append((part, [names.index(w) if isinstance(w, str) else int(w) for w in chosen.tolist()]))
    return [(part, which) for part, which in parts if which]


def _column_transformer(graph: Graph, step: Any, table: Table) -> Table:
    names = [column.name for column in table.columns]
    results = [transformed(graph, part, table.take(which)) for part, which in _parts(step, names)]
    return Table([t for result in results for t in result.tensors], [c for result in results for c in result.columns])


def _imputer(graph: Graph, step: Any, table: Table) -> Table:
    _check_count(step, table)
    fill = np.asarray(step.statistics_)
    if step.add_indicator or fill.dtype == object or np.isnan(fill).any():
        raise ConfigurationError(
            "export_onnx knows SimpleImputer for numbers, without add_indicator, where every column has a value"
        )
    tensors = []
    for tensor, column, value in zip(table.tensors, table.columns, fill, strict=True):
        column.gaps = True
        tensors.append(graph.op("Where", graph.op("IsNaN", tensor), graph.constant(value), tensor))
    return Table(tensors, table.columns)


def _standard_scaler(graph: Graph, step: Any, table: Table) -> Table:
    _check_count(step, table)
    count = len(table.tensors)
    mean = np.zeros(count) if step.mean_ is None else step.mean_
    scale = np.ones(count) if step.scale_ is None else step.scale_
    for column, center, spread in zip(table.columns, mean, scale, strict=True):
        column.center, column.spread = float(center), float(spread)
    # x/s − m/s would lose digits where m is large
    centred = _affine(graph, table, np.ones(count), -mean if step.with_mean else np.zeros(count), None)
    return _affine(graph, centred, 1.0 / scale if step.with_std else np.ones(count), np.zeros(count), None)


def _affine(graph: Graph, table: Table, factor: Any, shift: Any, clip: tuple[float, float] | None) -> Table:
    tensors = []
    for tensor, a, b in zip(table.tensors, factor, shift, strict=True):
        result = tensor if a == 1.0 else graph.op("Mul", tensor, graph.constant(a))
        result = result if b == 0.0 else graph.op("Add", result, graph.constant(b))
        if clip is not None:
            result = graph.op("Max", graph.op("Min", result, graph.constant(clip[1])), graph.constant(clip[0]))
        tensors.append(result)
    return Table(tensors, table.columns)


def _one_hot(graph: Graph, step: Any, table: Table) -> Table:
    if step.drop is not None:
        raise ConfigurationError("export_onnx knows OneHotEncoder without drop")
    _check_count(step, table)
    rare_of = getattr(step, "infrequent_categories_", [None] * len(table.tensors))
    tensors, encoded = [], []
    for tensor, column, categories, rare in zip(table.tensors, table.columns, step.categories_, rare_of, strict=True):
        text = _is_text(categories)
        if text and not column.text:
            raise ConfigurationError(
                f"export_onnx takes text by the names of its columns, and {column.name} holds text without one: "
                "fit the pipeline on a data frame"
            )
        known = [_missing_as_text(value) for value in categories] if text else categories
        column.choose_from(
            [*categories.tolist(), *(["a value never seen"] if text and _tolerates_unknown(step) else [])]
        )
        encoded.append(replace(column, text=False))  # from here on it is numbers
        rare_keys = set() if rare is None else {_key(value) for value in rare.tolist()}
        keys = [_key(value) for value in categories.tolist()]
        frequent = [key for key in keys if key not in rare_keys]
        # (K, K′): category k to its column, all rare ones to the last
        to_column = np.zeros((len(keys), len(frequent) + bool(rare_keys)))
        for k, key in enumerate(keys):
            to_column[k, frequent.index(key) if key not in rare_keys else -1] = 1.0
        matches = graph.cast(graph.op("Equal", tensor, graph.constant([list(known)], numbers=not text)))  # (n, K)
        if not text and keys[-1] is None:  # NaN is its own category, and not equal to itself
            place = graph.constant(np.eye(1, len(categories), len(categories) - 1))  # (1, K)
            gaps = graph.op("MatMul", graph.cast(graph.op("IsNaN", tensor)), place)
            matches = graph.op("Add", matches, gaps)
        result = graph.op("MatMul", matches, graph.constant(to_column))
        if rare_keys and step.handle_unknown == "infrequent_if_exist":
            known_count = graph.op("MatMul", matches, graph.constant(np.ones((len(categories), 1))))
            unknown = graph.op("Sub", graph.constant(1.0), known_count)  # (n, 1)
            last = np.eye(1, to_column.shape[1], to_column.shape[1] - 1)
            result = graph.op("Add", result, graph.op("MatMul", unknown, graph.constant(last)))
        tensors.append(result)
    return Table(tensors, encoded)


def _tolerates_unknown(step: Any) -> bool:
    return bool(step.handle_unknown != "error")


def _key(value: Any) -> Any:
    """A category in a form that is equal to itself: None for a missing one."""
    return None if value is None or value != value else value


def _is_text(categories: Any) -> bool:
    return bool(categories.dtype.kind in "OUS")


def _missing_as_text(value: Any) -> str:
    """ONNX has no missing text: the empty one stands for it."""
    return "" if value is None or value != value else str(value)
