"""Rows of a later file for a table's model: read as the training file was, remarked on, measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.columns import looks_like_data, parse_numbers
from ..data.measures import (
    classification_measures,
    confusion,
    is_imbalanced,
    model_measures,
    rare_class_measures,
)
from ..data.model import Reading, TableModel
from ..data.strange import strange_values
from ..data.tables import TEXT_SUFFIXES, read_table
from ..data.targets import match_labels, target_column
from ..exceptions import ModelFileError, TableError
from ..io import load
from ..network import Network
from ..parameters import Array
from . import show

if TYPE_CHECKING:
    import polars as pl

_ROWS = 65_536  # of a forward pass
MOST_PROBABILITIES = 50  # classes beyond which the predictions hold only the largest probability


def load_model(name: str) -> Network | TableModel:
    """A model that `backlit train` made; one of a table that 0.1.0 saved, too."""
    with show.waiting("loading scikit-learn and skops, which this model needs", _is_zip(name)):
        loaded = load(name)
    if isinstance(loaded, Network | TableModel):
        return loaded
    if getattr(loaded, "table_", None) is None:
        raise ModelFileError(f"{name!r} was not made by `backlit train`: use backlit.load({name!r}) in Python")
    from .earlier import from_pipeline

    return from_pipeline(loaded)


def _is_zip(name: str) -> bool:
    """Whether a model is one of scikit-learn's kind, whose libraries take seconds to load."""
    try:
        if not Path(name).is_file():
            return False
        with open(name, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except (OSError, ValueError):
        return False  # `load` says what is wrong


def read_rows(file: str, reading: Reading, *, header: bool | None = None) -> pl.DataFrame:
    """A table read as the options, or the model, say, with a progress line where it takes long."""
    text = Path(file).suffix.lower() in TEXT_SUFFIXES
    with show.reading(file) as progress, show.others_silent(not text):
        return read_table(
            file,
            header=reading.header if header is None else header,
            missing=reading.missing,
            delimiter=reading.delimiter,
            decimal=reading.decimal,
            progress=progress,
        )


def read_later(model: TableModel, file: str, *, no_header: bool = False) -> pl.DataFrame:
    """A later file with the columns' names of the training file, whether it has a header or not."""
    reading = model.reading
    if file.endswith(".npz"):
        return in_place(read_rows(file, reading), model)
    header = reading.header and not no_header
    frame = read_rows(file, reading, header=header)
    known = set(model.preparation.kinds)
    if header and not known & set(frame.columns) and looks_like_data(frame.columns):
        show.remark(f"{file} seems to have no header: its columns are taken in the order of the training file")
        return in_place(read_rows(file, reading, header=False), model)
    if header:
        return frame
    frame = in_place(frame, model)
    if begins_with_header(frame, model):
        show.remark(f"the first row of {file} looks like a header, and is left out")
        frame = read_rows(file, reading, header=True)
        if not known <= set(frame.columns):
            frame = in_place(frame.rename({name: f"c{i}" for i, name in enumerate(frame.columns)}), model)
    return frame


def in_place(frame: pl.DataFrame, model: TableModel) -> pl.DataFrame:
    """Columns named by their places; where one is lacking it is the target."""
    names = list(model.columns)
    if frame.width == len(names) - 1 and model.target not in model.preparation.kinds:
        names.remove(model.target)
    if frame.width != len(names):
        return frame
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def begins_with_header(frame: pl.DataFrame, model: TableModel) -> bool:
    """Whether the first row has a text in every column of numbers, where the rows below have numbers."""
    import polars as pl

    numeric = [c for c, kind in model.preparation.kinds.items() if kind == "numeric" and c in frame.columns]
    if not numeric or frame.height < 2 or any(frame[name].dtype != pl.String for name in numeric):
        return False
    for name in numeric:
        head = frame.get_column(name).head(20)
        numbers = parse_numbers(head)
        if head[0] is None or numbers[0] is not None or not (numbers[1:].is_not_null() | head[1:].is_null()).all():
            return False
    return True


def read_labelled(
    model: TableModel, file: str, *, loose_labels: bool, no_header: bool = False
) -> tuple[pl.DataFrame, Array]:
    """The rows of a file that have a target, with their targets."""
    frame = read_later(model, file, no_header=no_header)
    if model.target not in frame.columns:
        raise TableError(
            f"{file!r} has no column {model.target!r}, which holds the target: {len(frame.columns)} columns found"
        )
    task: Any = model.task
    y, _, keep, remarks = target_column(frame, model.target, task, allow_single=True)
    for text in remarks:
        show.remark(text)
    rows = frame if keep.all() else frame.filter(keep)
    for text in strange_values(model.preparation, rows):
        show.remark(text)
    if model.classes is not None:
        y = match_labels(y, model.classes, loose=loose_labels, rows=np.flatnonzero(keep))
    return rows, y


def read_unlabelled(model: TableModel, file: str, *, no_header: bool = False) -> pl.DataFrame:
    """The rows of a file to predict; a target column may be there or not."""
    frame = read_later(model, file, no_header=no_header)
    for text in strange_values(model.preparation, frame):
        show.remark(text)
    return frame


def outputs(net: Network, X: Array) -> Array:
    """The network's outputs, some rows at a time: the activations of a million would fill the memory."""
    if len(X) <= _ROWS:
        return net.forward(X)
    return np.concatenate([net.forward(X[start : start + _ROWS]) for start in range(0, len(X), _ROWS)])


def measured(model: TableModel, X: Array, y: Array) -> dict[str, float]:
    """Loss and metrics on prepared rows, in the target's own units."""
    return model_measures(model, outputs(model.network, X), y)


def measured_in_full(model: TableModel, X: Array, y: Array) -> tuple[dict[str, Any], bool]:
    """All there is to measure, with the confusion matrix; and whether one of two classes is rare."""
    if model.classes is None:
        return dict(measured(model, X, y)), False
    probability, index = model.probabilities(outputs(model.network, X)), model.encode(y)
    found: dict[str, Any] = {**classification_measures(probability, index), **rare_class_measures(probability, index)}
    found["confusion"] = confusion(probability, index)
    return found, is_imbalanced(index, probability.shape[1])


def predictions_csv(
    predicted: Array, probability: Array | None, classes: Any, half: float | None, *, header: bool = True
) -> str:
    """One row for each row of the file: the prediction, its interval, and the probability of each class."""
    import polars as pl

    columns: dict[str, Any] = {"prediction": predicted.tolist()}
    if half is not None:
        columns |= {"lower": predicted - half, "upper": predicted + half}
    if probability is not None and len(classes) <= MOST_PROBABILITIES:
        columns |= {f"probability_{label}": probability[:, k].astype(np.float64) for k, label in enumerate(classes)}
    elif probability is not None:
        columns["probability"] = probability.max(axis=1).astype(np.float64)
    return pl.DataFrame(columns).write_csv(include_header=header, float_precision=6)
