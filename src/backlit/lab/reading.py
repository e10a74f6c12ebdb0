"""What the lab is opened on: a table or a model, from a file's path or from the bytes of an upload."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..data.choosing import choose_columns
from ..data.columns import looks_like_data, resolve_column
from ..data.model import TableModel
from ..data.tables import SUFFIXES, read_table
from ..data.targets import target_column
from ..exceptions import BacklitError, ModelFileError, TableError
from ..io import load
from ..network import Network
from ..parameters import Array
from ..randomness import keyed_generator
from ..training.predicted import predicted_index
from .building import numbered
from .material import Material, TableParts, from_arrays, prepared
from .session import Given
from .settings import DataSettings

if TYPE_CHECKING:
    import polars as pl

MODEL: Final = ".backlit"
_MADE_UP: Final = 200  # rows for a network that came without any
_LONGEST_NAME: Final = 100


def read_given(path: str, target: str | None = None, *, shown: str | None = None) -> Given:
    """A table, or a saved model, from a file.

    Parameters
    ----------
    path : str
        A file that `backlit train` takes, or one that `backlit.save` wrote (``.backlit``).
    target : str, optional
        The column of a table to predict: a name or a number. Unless given, y of an ``.npz`` file, and else the last
        column that can be learnt.
    shown : str, optional
        What the file is called; its path unless given.

    Raises
    ------
    BacklitError
        Whatever the readers refuse; and a table in which nothing can be predicted.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "people.csv")
    >>> _ = path.write_text("age,town,income\\n" + "39,Oslo,low\\n28,Bergen,high\\n" * 20)
    >>> material = read_given(str(path), "income").material
    >>> material.input_names, material.task
    (('age', 'town_Bergen', 'town_Oslo'), 'classification')
    >>> folder.cleanup()
    """
    name = Path(path).name if shown is None else shown
    if Path(path).suffix.lower() == MODEL:
        return _given_model(load(path), name)
    return Given(_table(read_table(path), target, name))


def read_upload(data: bytes, name: str, target: str | None = None) -> Given:
    """The same from bytes: they stand in a folder of their own for as long as they are read.

    Nothing of the name is used but its suffix.

    Raises
    ------
    BacklitError
    """
    shown = Path(name.replace("\\", "/")).name[-_LONGEST_NAME:] or "upload"
    suffix = Path(shown).suffix.lower()
    if suffix not in (*SUFFIXES, MODEL):
        raise TableError(
            f"{shown!r} must be a table ({', '.join(SUFFIXES)}) or a model ({MODEL}), received the suffix {suffix!r}"
        )
    with tempfile.TemporaryDirectory(prefix="backlit-lab-") as folder:
        path = Path(folder, f"upload{suffix}")
        path.write_bytes(data)
        try:
            return read_given(str(path), target, shown=shown)
        except BacklitError as error:
            if folder not in str(error):
                raise
            # the person knows the file by its own name
            kind = ModelFileError if suffix == MODEL else TableError
            raise kind(str(error).replace(str(path), shown)) from error


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────


def _table(frame: pl.DataFrame, target: str | None, name: str) -> Material:
    columns = tuple(frame.columns)
    noticed = looks_like_data(frame.columns, frame)

    def again(data: DataSettings) -> Material:
        chosen, why = _target(frame, data.target or target, name)
        y, task, keep, remarks = target_column(frame, chosen)
        features = frame.drop(chosen).filter(keep)
        kinds, left_out, more = choose_columns(features)
        if not kinds:
            raise TableError(f"{name!r} has no column to learn from besides the target {chosen!r}")
        remarks += [f"the column {column!r} is left out: {why}" for column, why in left_out.items()] + more
        labels = np.unique(y) if task == "classification" else None
        material = prepared(features, y, kinds, labels, chosen, data)
        parts = None if material.table is None else replace(material.table, columns=columns)
        facts = f"{len(y):,} rows of {len(kinds)} columns, from which {chosen!r} is learnt"
        said = [facts, *filter(None, [why, noticed]), *remarks]
        return replace(material, title=name, description="; ".join(said), table=parts, columns=columns, again=again)

    return again(DataSettings())


def _target(frame: pl.DataFrame, wanted: str | None, name: str) -> tuple[str, str]:
    """The column to predict, and what is to be said about the choice."""
    columns = frame.columns
    if wanted is not None:
        return resolve_column(columns, wanted), ""
    if name.endswith(".npz") and "y" in columns:
        return "y", ""
    for column in reversed(columns):
        try:
            target_column(frame, column)
        except BacklitError:  # nothing can be learnt from it: one value, text between numbers
            continue
        return column, f"{column!r} is the last column that can be learnt, for none was named as the target"
    raise TableError(f"{name!r} has no column that can be predicted: name one as the target to see why")


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────


def _given_model(model: Any, name: str) -> Given:
    """A saved network, on rows that are made up, for none came with it."""
    net = model.network if isinstance(model, TableModel) else model
    if not isinstance(net, Network):
        raise ModelFileError(
            f"{name!r} holds a {type(model).__name__}, not a network: the lab shows networks and models of tables"
        )
    X, y = _made_up(net)
    changes: dict[str, Any] = {
        "title": name,
        "description": f"no rows came with {name!r}: {_MADE_UP} are made up, with what the network itself says of "
        "them, values up to a tenth off",
    }
    labels = net.classes
    if isinstance(model, TableModel):
        labels = model.classes
        changes["input_names"] = tuple(model.preparation.names())
        changes["value_names"] = (model.target,)
        changes["table"] = TableParts(
            model.preparation, model.target, labels, model.mean, model.scale, model.reading, model.columns
        )
    material = from_arrays(numbered(net), X, y)
    if material.classes is not None and labels is not None:
        changes |= {"classes": tuple(map(str, labels)), "labels": labels}
    return Given(_changed(material, changes), net)


def _made_up(net: Network) -> tuple[Array, Array]:
    """Inputs from the standard normal distribution, or codes; classes as the network finds them, or values near it."""
    rng = keyed_generator(net.seed, "data")
    X = rng.standard_normal((_MADE_UP, net.inputs)) / net.input_scale
    if counts := net.layers[0].categories:
        X[:, -len(counts) :] = rng.integers(0, counts, (_MADE_UP, len(counts)))
    outputs = net.forward(X).astype(np.float64)
    if net.output_layer.activation.probabilities or net.loss_function.targets == "classes":
        return X, predicted_index(net, outputs)
    return X, outputs * rng.uniform(0.9, 1.1, outputs.shape)


def _changed(material: Material, changes: dict[str, Any]) -> Material:
    """A material with other words about it, however it is divided."""
    again = material.again
    if again is None:
        return replace(material, **changes)
    return replace(material, **changes, again=lambda data: _changed(again(data), changes))
