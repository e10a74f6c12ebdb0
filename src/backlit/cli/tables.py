"""Tables on the command line: from raw columns to a pipeline, and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ..data import (
    find_kinds,
    looks_like_data,
    match_labels,
    read_table,
    resolve_column,
    split_rows,
    target_column,
    typed,
)
from ..data.arrays import read_features
from ..exceptions import ConfigurationError, ModelFileError, TableError
from ..lens import HealthMonitor
from ..parameters import Array
from ..training.callbacks import Callback, EarlyStopping
from ..training.progress import ProgressBar
from . import show
from .train import PATIENCE, TABLE_VALIDATION, Outcome, Settings, TaskOption

if TYPE_CHECKING:
    import polars as pl


@final
@dataclass(frozen=True)
class Reading:
    """How a file of rows is to be read; saved with the model, so that later files are read in the same way."""

    header: bool = True
    missing: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


def train_on_table(
    file: str,
    target: str | None,
    task: TaskOption,
    reading: Reading,
    settings: Settings,
    *,
    loose_labels: bool,
) -> Outcome:
    """Read a table, fit transformers and network, measure."""
    if file.endswith(".npz") and target is None and _holds_bytes(file):
        from .images import train_on_bytes

        return train_on_bytes(file, settings)
    frame = read_table(file, header=reading.header, missing=reading.missing)
    name = _target_name(frame.columns, target, file)
    if reading.header and (noticed := looks_like_data(frame.columns, frame)):
        show.remark(noticed)
    y, found_task, keep, remarks = target_column(frame, name, task)
    for text in remarks:
        show.remark(text)
    frame = frame.filter(keep)
    features = frame.drop(name)
    kinds = find_kinds(
        features,
        numeric=[resolve_column(features.columns, c) for c in reading.numeric],
        categorical=[resolve_column(features.columns, c) for c in reading.categorical],
    )
    for column in [c for c, kind in kinds.items() if kind == "empty"]:
        show.remark(f"the column {column!r} is left out: every value in it is missing")
    kinds = {c: kind for c, kind in kinds.items() if kind != "empty"}
    if not kinds:
        raise TableError(f"{file!r} has no column to learn from besides the target {name!r}")
    table = {**asdict(reading), "target": name, "task": found_task, "kinds": kinds}

    X = typed(features, kinds)
    held = settings.held_out(TABLE_VALIDATION)
    if isinstance(held, float):
        train, validation = np.arange(len(y)), np.arange(0)
        if held:
            labels = y if found_task == "classification" else None
            train, validation = split_rows(len(y), held, seed=settings.seed, labels=labels)
        X, y, X_val, y_val = X[train], y[train], X[validation], y[validation]
    else:
        X_val, y_val = read_rows(table, str(held), loose_labels=loose_labels, classes=np.unique(y))
    if found_task == "classification" and len(np.unique(y)) < 2:
        raise TableError(f"the rows to train on hold only one class, {y[:1].tolist()[0]!r}: at least two are needed")

    model = _fit(X, y, X_val, y_val, found_task, kinds, settings)
    model.table_ = table
    mlp = network_estimator(model)
    counts = [f"{sum(k == kind for k in kinds.values())} {kind}" for kind in ("numeric", "categorical")]
    classes = ""
    if found_task == "classification":
        shown = ", ".join(map(str, mlp.classes_[:6])) + (", …" if len(mlp.classes_) > 6 else "")
        classes = f", {len(mlp.classes_)} classes: {shown}"
    facts = {
        "task": f"{found_task} of {name}{classes}",
        "rows": f"{len(y):,} to train, {len(y_val):,} to validate",
        "columns": f"{' and '.join(c for c in counts if not c.startswith('0 '))} → {mlp.n_features_in_} inputs",
    }
    metrics = {"train": measure(model, X, y)}
    if len(y_val):
        metrics["validation"] = measure(model, X_val, y_val)
        metrics["(baseline)"] = _baseline(found_task, y, y_val)
    return Outcome(model, mlp.network_, mlp.history_, found_task, facts, metrics)


def _fit(
    X: pl.DataFrame,
    y: Array,
    X_val: pl.DataFrame,
    y_val: Array,
    task: str,
    kinds: Mapping[str, str],
    settings: Settings,
) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    from ..estimators import MLPClassifier, MLPRegressor
    from ..estimators.columns import column_transformer

    columns = column_transformer(kinds)
    Z = columns.fit_transform(X)
    callbacks: list[Callback] = [show.ReleaseRemarks(), ProgressBar()]
    validation: dict[str, Any] = {}
    if len(y_val):
        callbacks.append(EarlyStopping(patience=PATIENCE))
        validation = {"X_val": columns.transform(X_val), "y_val": y_val}
    callbacks.append(HealthMonitor(show=True))
    chosen: dict[str, Any] = {
        "hidden_layer_sizes": settings.hidden,
        "activation": settings.activation,
        "solver": settings.optimizer,
        "batch_size": settings.batch(len(y)),
        "learning_rate_init": settings.rate(),
        "max_iter": settings.epochs,
        "n_iter_no_change": settings.epochs,
        "random_state": settings.seed,
        "dropout": settings.dropout,
        "engine": settings.engine,
        "callbacks": callbacks,
    }
    if settings.optimizer == "sgd":
        chosen["momentum"] = 0.0
    mlp: Any
    estimator: Any
    if task == "classification":
        estimator = mlp = MLPClassifier(**chosen)
    else:
        # targets in their own units would need a learning rate of their own
        mlp = MLPRegressor(**chosen)
        estimator = TransformedTargetRegressor(mlp, transformer=StandardScaler())
        if validation:
            scaler = StandardScaler().fit(y[:, None])
            validation["y_val"] = scaler.transform(y_val[:, None])[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # --epochs said how many, and the table shows how many
        estimator.fit(Z, y, **validation)
    # what only the run needed is not part of the model
    for fitted in (mlp, getattr(estimator, "regressor_", mlp)):
        fitted.set_params(callbacks=None)
    return Pipeline([("columns", columns), ("mlp", estimator)])


def network_estimator(model: Any) -> Any:
    """The fitted MLPClassifier or MLPRegressor in a pipeline that `train` made."""
    last = model[-1]
    return getattr(last, "regressor_", last)


def table_of(model: Any, name: str) -> dict[str, Any]:
    """What the model knows of its table: target, kinds of columns, how to read."""
    table: dict[str, Any] | None = getattr(model, "table_", None)
    if table is None:
        raise ModelFileError(f"{name!r} was not made by `backlit train`: use backlit.load({name!r}) in Python")
    return table


def read_rows(
    table: Mapping[str, Any], file: str, *, loose_labels: bool, classes: Array | None
) -> tuple[pl.DataFrame, Array]:
    """The rows of another file with their targets, read as the training file was."""
    frame = read_table(file, header=table["header"], missing=table["missing"])
    if table["target"] not in frame.columns:
        raise TableError(
            f"{file!r} has no column {table['target']!r}, which holds the target: {len(frame.columns)} columns found"
        )
    y, _, keep, remarks = target_column(frame, table["target"], table["task"], allow_single=True)
    for text in remarks:
        show.remark(text)
    X = typed(frame.filter(keep), table["kinds"])
    if classes is not None and table["task"] == "classification":
        y = match_labels(y, classes, loose=loose_labels, rows=np.flatnonzero(keep))
    return X, y


def read_unlabelled(table: Mapping[str, Any], file: str) -> pl.DataFrame:
    """The rows of a file to predict; a target column may be there or not."""
    import polars as pl

    if file.endswith(".npz"):
        X, _ = read_features(file)
        frame = pl.DataFrame({f"c{i}": X[:, i].astype(np.float64) for i in range(X.shape[1])})
    else:
        frame = read_table(file, header=table["header"], missing=table["missing"])
    if not table["header"] and table["target"] not in table["kinds"]:
        frame = _with_gap_for_target(frame, table)
    return typed(frame, table["kinds"])


def _with_gap_for_target(frame: pl.DataFrame, table: Mapping[str, Any]) -> pl.DataFrame:
    """Without a header, a file that lacks the target has every later column one number too low: mend the names."""
    gap = int(table["target"][1:])
    whole = 1 + max([gap, *(int(name[1:]) for name in table["kinds"])])
    if len(frame.columns) != whole - 1:
        return frame
    return frame.rename({f"c{i}": f"c{i + 1}" for i in range(gap, whole - 1)})


def measure(model: Any, X: pl.DataFrame, y: Array) -> dict[str, float]:
    """Loss and metrics of a model on typed rows, in the target's own units."""
    if hasattr(model[-1], "classes_"):
        return _classification(model.predict_proba(X), y, model[-1].classes_)
    return _regression(model.predict(X), y)


def _classification(probability: Array, y: Array, classes: Array) -> dict[str, float]:
    index = np.searchsorted(classes, y)
    # −log of the probability given to the right class
    right = np.clip(probability[np.arange(len(y)), index].astype(np.float64), 1e-300, 1.0)
    return {"loss": float(-np.log(right).mean()), "accuracy": float((probability.argmax(axis=1) == index).mean())}


def _regression(predicted: Array, y: Array) -> dict[str, float]:
    error = float(((predicted - y) ** 2).mean())
    spread = float(((y - y.mean()) ** 2).mean())
    r2 = 1.0 - error / spread if spread else float(error == 0.0)
    return {"loss": 0.5 * error, "r2": r2, "rmse": error**0.5}


def _baseline(task: str, y: Array, y_val: Array) -> dict[str, float]:
    """What a constant answer reaches on the validation rows: the most frequent class, or the mean."""
    if task == "classification":
        classes, counts = np.unique(y, return_counts=True)
        return {"accuracy": float((y_val == classes[counts.argmax()]).mean())}
    return _regression(np.full(len(y_val), y.mean()), y_val)


def _holds_bytes(file: str) -> bool:
    X, y = read_features(file)
    return y is not None and X.dtype == np.uint8


def _target_name(columns: list[str], target: str | None, file: str) -> str:
    if target is not None:
        return resolve_column(columns, target)
    if file.endswith(".npz"):
        return "y"
    shown = ", ".join(columns[:8]) + (f", … ({len(columns)} in all)" if len(columns) > 8 else "")
    raise ConfigurationError(f"--target must name the column to predict: {file!r} has {shown}; -1 is the last one")
