"""Before an ONNX model is written: it and the model that it was made of compute the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from ...exceptions import ConfigurationError, DataError
from ...network import Network
from ...parameters import Array
from ...randomness import keyed_generator
from .table import Inputs

ROWS: Final = 1000
TOLERANCE: Final = 1e-5

#: What of a model each output stands for; the others have a method of their name.
_METHODS: Final = {
    "output": "forward",
    "prediction": "predict",
    "label": "predict",
    "probabilities": "predict_proba",
    "margins": "decision_function",
}


def drawn_rows(inputs: Inputs, net: Network) -> Any:
    """1,000 rows drawn from what the steps of the model know of its columns."""
    rng = keyed_generator(net.seed, "sampling")
    drawn = [column.draw(rng, ROWS) for column in inputs.columns]
    if not inputs.framed:
        return np.column_stack([np.asarray(values, net.dtype) for values in drawn])
    frame = {column.name: values for column, values in zip(inputs.columns, drawn, strict=True)}
    if any(value != value for column in inputs.columns for value in column.values):
        import pandas as pd  # NaN among text: the model was fitted on a pandas table

        return pd.DataFrame(frame)
    import polars as pl

    return pl.DataFrame(frame)


def sample_rows(sample: Any, inputs: Inputs) -> Any:
    """The first 1,000 rows of a sample, if it is what the model takes.

    Raises
    ------
    DataError
    """
    if inputs.framed:
        names = [column.name for column in inputs.columns]
        if not hasattr(sample, "columns"):
            raise DataError(
                f"the model takes a data frame with the columns {', '.join(names)}, and the sample is "
                f"{type(sample).__name__}: give rows of such a data frame"
            )
        missing = [name for name in names if name not in list(sample.columns)]
        if missing:
            raise DataError(f"the sample has no column {missing[0]!r}, which the model takes: add it")
    rows = (sample.tocsr() if hasattr(sample, "tocsr") else sample)[:ROWS]
    if not count(rows):
        raise DataError("the sample has no rows to compare: give at least one")
    return rows


def count(rows: Any) -> int:
    """The number of rows, of a sparse matrix too."""
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)


def expected(model: Any, rows: Any, roles: Iterable[str]) -> dict[str, Array]:
    """What the model computes itself."""
    return {role: np.asarray(getattr(model, _METHODS[role])(rows)) for role in roles}


def tolerance(model: Any, rows: Any, wanted: dict[str, Array]) -> float:
    """How far two right computations may be apart.

    A layer norm makes the rounding of a row with hardly any spread 300 times larger: a network in float32 may be as far
    off as a few times what it differs from itself in float64.
    """
    if not isinstance(model, Network) or model.dtype != np.float32:
        return TOLERANCE
    own = np.abs(wanted["output"] - model.astype("float64").forward(rows))
    return TOLERANCE + 4.0 * float((own / np.maximum(1.0, np.abs(wanted["output"]))).max())


def feeds(rows: Any, inputs: Inputs, dtype: np.dtype[Any]) -> dict[str, Array]:
    """The rows in the form that onnxruntime takes."""
    if not inputs.framed:
        return {"X": np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=dtype)}
    found = {}
    for column in inputs.columns:
        values = list(rows[column.name])
        if column.text:
            found[column.name] = np.array([["" if _missing(value) else str(value)] for value in values], dtype=object)
        else:
            numbers = [np.nan if _missing(value) else value for value in values]
            found[column.name] = np.array(numbers, dtype=dtype)[:, None]
    return found


def _missing(value: Any) -> bool:
    return value is None or bool(value != value)


def largest_difference(wanted: dict[str, Array], found: dict[str, Array], allowed: float) -> float:
    """Of the numbers; labels have to be the same wherever the numbers leave no doubt.

    Raises
    ------
    ConfigurationError
        If it is more than `allowed`.
    """
    largest = 0.0
    for role in [role for role in wanted if role != "label"]:
        ours, theirs = wanted[role], found[role].reshape(wanted[role].shape)
        difference = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
        largest = float(difference.max())
        if not largest <= allowed:
            row = int(np.unravel_index(difference.argmax(), difference.shape)[0])
            raise ConfigurationError(
                f"onnxruntime computes something else: {role} differs by {largest:.3g} in row {row} of the check; "
                "nothing was written"
            )
    if "label" in wanted and (mismatch := wanted["label"] != found["label"]).mean() > 0.001:
        raise ConfigurationError(f"onnxruntime finds another label in {int(mismatch.sum())} rows; nothing was written")
    return largest
