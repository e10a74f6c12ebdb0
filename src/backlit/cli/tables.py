"""Tables on the command line: from a file to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ..data.choosing import EMPTY, choose_columns
from ..data.columns import looks_like_data, resolve_column
from ..data.measures import baseline_measures
from ..data.model import Reading, TableModel
from ..data.preparation import Preparation
from ..data.split import split_rows
from ..data.targets import target_column
from ..exceptions import ConfigurationError, TableError
from ..kinds import Dense, Dropout
from ..kinds.optimizers import OPTIMIZERS
from ..network import Network
from ..parameters import Array
from ..training.callbacks import Callback, EarlyStopping
from ..training.history import History
from . import show
from .rows import measured, read_labelled, read_rows
from .settings import PATIENCE, TABLE_VALIDATION, Outcome, Settings, TaskOption

if TYPE_CHECKING:
    import polars as pl

L2 = 1e-4  # of the penalty on the weights, scikit-learn's alpha

# Parameters beyond which watching the network's health, a step taken again and again, costs more than training it.
MOST_WATCHED = 2_000_000


@final
@dataclass(frozen=True)
class Choice:
    """What is learnt from: columns to keep or to leave out whatever they look like, and what a class weighs."""

    target: str | None
    task: TaskOption = "auto"
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    balanced: bool = False
    loose_labels: bool = False


def train_on_table(file: str, choice: Choice, reading: Reading, settings: Settings) -> Outcome:
    """Read a table, learn how its columns are prepared, train a network on them, measure."""
    held = settings.held_out(TABLE_VALIDATION)
    frame = read_rows(file, reading)
    columns = tuple(frame.columns)
    name = target_name(frame.columns, choice.target, file)
    if reading.header and (noticed := looks_like_data(frame.columns, frame)):
        show.remark(noticed)
    y, task, keep, remarks = target_column(frame, name, choice.task)
    for text in remarks:
        show.remark(text)
    features = frame.drop(name)
    if not keep.all():
        features = features.filter(keep)
    del frame
    kinds = kinds_of(features, reading, choice, file, name)
    classes = np.unique(y) if task == "classification" else None
    train, validation = np.arange(len(y)), np.arange(0)
    if isinstance(held, float) and held:
        train, validation = split_rows(len(y), held, seed=settings.seed, labels=y if classes is not None else None)
        _remark_on_unmeasured(y, validation, classes)
    preparation = Preparation.learn(features, kinds, train)
    model = TableModel(_network(preparation, classes, settings), preparation, name, classes)
    model.reading, model.columns = reading, columns
    model.optimizer, model.learning_rate = settings.optimizer, settings.rate()
    if classes is None:
        model.mean, model.scale = float(y[train].mean()), float(y[train].std()) or 1.0
    dtype = model.network.dtype
    X, X_val = (preparation.apply(features, rows, dtype) for rows in (train, validation))
    y, y_val = y[train], y[validation]
    del features
    if not isinstance(held, float):
        rows, y_val = read_labelled(model, str(held), loose_labels=choice.loose_labels)
        X_val = preparation.apply(rows, None, dtype)
    _check_classes(model, y)
    _fit(model, X, y, X_val, y_val, settings, balanced=choice.balanced)
    metrics = {"train": measured(model, X, y)}
    if len(y_val):
        metrics["validation"] = measured(model, X_val, y_val)
        metrics["(baseline)"] = baseline_measures(task, y, y_val)
    return Outcome(model, model.network, model.history, task, _facts(model, len(y), len(y_val)), metrics)


def target_name(columns: list[str], target: str | None, file: str) -> str:
    if target is not None:
        return resolve_column(columns, target)
    if file.endswith(".npz"):
        return resolve_column(columns, "y")
    shown = ", ".join(columns[:8]) + (f", … ({len(columns)} in all)" if len(columns) > 8 else "")
    raise ConfigurationError(f"--target must name the column to predict: {file!r} has {shown}; -1 is the last one")


def kinds_of(features: pl.DataFrame, reading: Reading, choice: Choice, file: str, target: str) -> dict[str, Any]:
    """The columns that are learnt from, with their kinds; what is left out or read in its own way is said."""
    kinds, left_out, remarks = choose_columns(
        features,
        numeric=reading.numeric,
        categorical=reading.categorical,
        keep=choice.keep,
        drop=choice.drop,
    )
    for column, why in left_out.items():
        hint = "" if why == EMPTY else f" (pass --keep {column!r} to learn from it)"
        show.remark(f"the column {column!r} is left out: {why}{hint}")
    if not kinds:
        raise TableError(f"{file!r} has no column to learn from besides the target {target!r}")
    for text in remarks:
        show.remark(text)
    return dict(kinds)


def _remark_on_unmeasured(y: Array, validation: Array, classes: Array | None) -> None:
    """Say which classes have no row to validate on."""
    if classes is None or not len(unmeasured := np.setdiff1d(classes, y[validation])):
        return
    shown = ", ".join(repr(label) for label in unmeasured.tolist()[:5]) + (", …" if len(unmeasured) > 5 else "")
    count = f"{len(unmeasured)} of {len(classes)} classes have" if len(unmeasured) > 1 else "one class has"
    show.remark(f"{count} too few rows to be measured, all are trained on: {shown}")


def _check_classes(model: TableModel, y: Array) -> None:
    if model.classes is not None and len(np.unique(y)) < 2:
        raise TableError(f"the rows to train on hold only one class, {y[:1].tolist()[0]!r}: at least two are needed")


def _network(preparation: Preparation, classes: Array | None, settings: Settings) -> Network:
    """Hidden layers as asked for, and a softmax over the classes or one linear output."""
    layers: list[Dense | Dropout] = []
    for units in settings.hidden:
        layers.append(Dense(units, settings.activation, bias_init="glorot_uniform"))
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    if classes is None:
        layers.append(Dense(1, bias_init="glorot_uniform"))
    else:
        layers.append(Dense(len(classes), "softmax", bias_init="glorot_uniform"))
    loss = "squared_error" if classes is None else "cross_entropy"
    return Network(layers, inputs=preparation.width, loss=loss, l2=L2, divide_penalty=True, seed=settings.seed)


def _fit(
    model: TableModel, X: Array, y: Array, X_val: Array, y_val: Array, settings: Settings, *, balanced: bool
) -> None:
    from ..lens.healthcheck.health import HealthMonitor

    weight, weight_val = (_balanced(model, labels, y) if balanced else None for labels in (y, y_val))
    callbacks: list[Callback] = [show.ReleaseRemarks()]
    validation: tuple[Any, ...] | None = None
    if len(y_val):
        callbacks.append(EarlyStopping(patience=PATIENCE))
        validation = (X_val, model.encode(y_val), weight_val)
    if model.network.parameters.size <= MOST_WATCHED:
        callbacks.append(HealthMonitor(show=True))

    def finished(history: History) -> TableModel:
        model.history = history
        return model

    history = settings.keeping.fit(
        finished,
        model.network,
        X,
        model.encode(y),
        epochs=settings.epochs,
        batch_size=settings.batch(len(y)),
        optimizer=OPTIMIZERS[settings.optimizer](settings.rate()),
        validation=validation,
        sample_weight=weight,
        callbacks=callbacks,
        engine=settings.engine,
    )
    finished(history)


def _balanced(model: TableModel, labels: Array, trained: Array) -> Array:
    """A weight for each row, so that every class weighs as much as the others."""
    if model.classes is None:
        raise ConfigurationError("--class-weight is for classes, and this is a regression: leave it out")
    counts = np.bincount(model.encode(trained), minlength=len(model.classes))
    factors = len(trained) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.asarray(factors[model.encode(labels)])


def _facts(model: TableModel, rows: int, rows_val: int) -> dict[str, str]:
    kinds = list(model.preparation.kinds.values())
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("numeric", "date", "categorical") if kind in kinds]
    classes = ""
    if model.classes is not None:
        shown = ", ".join(map(str, model.classes[:6])) + (", …" if len(model.classes) > 6 else "")
        classes = f", {len(model.classes)} classes: {shown}"
    return {
        "task": f"{model.task} of {model.target}{classes}",
        "rows": f"{rows:,} to train, {rows_val:,} to validate",
        "columns": f"{' and '.join(counts)} → {model.preparation.width} inputs",
    }
