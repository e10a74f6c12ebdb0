"""Tables on the command line: from a file to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ..data.choosing import EMPTY, TOO_MANY, choose_columns
from ..data.columns import looks_like_data, resolve_column
from ..data.learning import Learnt, learn_table, new_model
from ..data.measures import baseline_measures, model_measures
from ..data.members import Running, watched_rows
from ..data.merging import merged
from ..data.model import Reading, TableModel
from ..data.recipe import CODED, Recipe
from ..data.split import split_rows
from ..data.targets import target_column
from ..exceptions import ConfigurationError, TableError
from ..kinds import NumericEmbedding
from ..network import Network
from ..parameters import Array
from ..training.callbacks import Callback
from ..training.history import History
from . import show
from .rows import measured, read_labelled, read_rows
from .settings import MOST_WATCHED, Choice, Outcome, Settings

if TYPE_CHECKING:
    import polars as pl


@final
@dataclass(frozen=True)
class Prepared:
    """A table made ready: the model that knows its columns, rows to learn from and rows held out, the recipe."""

    model: TableModel
    X: Array
    y: Array
    X_val: Array
    y_val: Array
    recipe: Recipe


def train_on_table(file: str, choice: Choice, reading: Reading, settings: Settings) -> Outcome:
    """Read a table, learn how its columns are prepared, train networks on them, measure."""
    table = prepared_table(file, choice, reading, settings)
    return train_prepared(table, table.recipe, choice, settings)


def prepared_table(file: str, choice: Choice, reading: Reading, settings: Settings) -> Prepared:
    """Read a table, hold rows out, learn how its columns are prepared."""
    held = settings.held_out(0.0)
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
    model = new_model(features, kinds, y, name, classes=classes, rows=train)
    model.reading, model.columns = reading, columns
    outputs, codes = 1 if classes is None else len(classes), model.preparation.codes
    recipe = settings.recipe(len(train), model.preparation.width, outputs, codes)
    dtype = model.network.dtype
    X, X_val = (model.preparation.apply(features, rows, dtype) for rows in (train, validation))
    y, y_val = y[train], y[validation]
    if not isinstance(held, float):
        rows, y_val = read_labelled(model, str(held), loose_labels=choice.loose_labels)
        X_val = model.preparation.apply(rows, None, dtype)
    watched = watched_rows(y, recipe, settings.seed, classes=classes is not None)
    if settings.validation is None:
        _remark_on_unmeasured(y[watched], classes)
    elif held and isinstance(held, float):
        _remark_on_unmeasured(y_val, classes)
    return Prepared(model, X, y, X_val, y_val, recipe)


def train_prepared(table: Prepared, recipe: Recipe, choice: Choice, settings: Settings) -> Outcome:
    """Train the networks of a recipe, save the model, measure."""
    model, X, y, y_val = table.model, table.X, table.y, table.y_val
    model.optimizer, model.learning_rate = recipe.optimizer, recipe.learning_rate
    weight = balanced_weights(model, y) if choice.balanced else None
    learnt = learn_table(model, X, y, recipe, seed=settings.seed, weight=weight, running=_running(settings, model))
    settings.keeping.save(model)
    metrics = {"train": measured(model, X, y)}
    own = settings.validation is None  # rows that not every network has learnt from are there without being held out
    y_val = y[~learnt.seen] if own else y_val
    if len(y_val):
        outputs = learnt.outputs
        metrics["validation"] = model_measures(model, outputs, y_val) if own else measured(model, table.X_val, y_val)
        metrics["(baseline)"] = baseline_measures(model.task, y, y_val)
    facts = _facts(model, learnt, len(y_val), recipe, own=own)
    return Outcome(model, model.network, model.history, model.task, facts, metrics, learnt.members)


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
    remark_on_columns(left_out, remarks)
    if not kinds:
        raise no_column(file, target)
    return dict(kinds)


def remark_on_columns(left_out: Mapping[str, str], remarks: Sequence[str]) -> None:
    """Say which columns are not learnt from, and how others are read."""
    for column, why in left_out.items():
        hint = "" if why in (EMPTY, TOO_MANY) else f" (pass --keep {column!r} to learn from it)"
        show.remark(f"the column {column!r} is left out: {why}{hint}")
    for text in remarks:
        show.remark(text)


def no_column(file: str, target: str) -> TableError:
    """The error of a table that has nothing but its target."""
    return TableError(f"{file!r} has no column to learn from besides the target {target!r}")


def _remark_on_unmeasured(y_val: Array, classes: Array | None) -> None:
    """Say which classes have no row to validate on."""
    if classes is None or not len(unmeasured := np.setdiff1d(classes, y_val)):
        return
    shown = ", ".join(repr(label) for label in unmeasured.tolist()[:5]) + (", …" if len(unmeasured) > 5 else "")
    count = f"{len(unmeasured)} of {len(classes)} classes have" if len(unmeasured) > 1 else "one class has"
    show.remark(f"{count} too few rows to be measured, all are trained on: {shown}")


def _running(settings: Settings, model: TableModel) -> Running:
    """How each network is trained: what an interruption leaves is the model of those that are finished.

    The first one is watched for its health, and shows the remarks held so far when its training begins.
    """
    from ..lens.healthcheck.health import HealthMonitor

    def callbacks(member: int, parameters: int) -> list[Callback]:
        if member:
            return []
        return [show.ReleaseRemarks(), *([HealthMonitor(show=True)] if parameters <= MOST_WATCHED else [])]

    networks: list[Network] = []

    def run(net: Network, X: Array, y: Array, **given: Any) -> History:
        networks.append(net)

        def so_far(history: History) -> TableModel:
            # the first one may have been tried in another kind
            alike = [one for one in networks[:-1] if one.spec()["layers"] == net.spec()["layers"]]
            model.network, model.history = merged(alike or networks[:1]), history
            return model

        return settings.keeping.run(so_far, net, X, y, **given)

    return Running(fit=run, engine=settings.engine, callbacks=callbacks, seconds=settings.seconds)


def balanced_weights(model: TableModel, y: Array) -> Array:
    """A weight for each row, so that every class weighs as much as the others."""
    if model.classes is None:
        raise ConfigurationError("--class-weight is for classes, and this is a regression: leave it out")
    index = model.encode(y)
    counts = np.bincount(index, minlength=len(model.classes))
    factors = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.asarray(factors[index])


def classes_text(model: TableModel) -> str:
    """The classes in a few words, behind the task."""
    if model.classes is None:
        return ""
    shown = ", ".join(map(str, model.classes[:6])) + (", …" if len(model.classes) > 6 else "")
    return f", {len(model.classes)} classes: {shown}"


def _facts(model: TableModel, learnt: Learnt, rows_val: int, recipe: Recipe, *, own: bool) -> dict[str, str]:
    kinds = list(model.preparation.kinds.values())
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("numeric", "date", "categorical") if kind in kinds]
    rows = len(learnt.seen)
    told = f"{rows - rows_val if own else rows:,} to train, {rows_val:,} to validate"
    if own and learnt.members > 1:
        told = f"{rows:,} to train, each validated by networks that have not learnt from it"
    found = {
        "task": f"{model.task} of {model.target}{classes_text(model)}",
        "rows": told,
        "columns": f"{' and '.join(counts)} → {model.preparation.width} inputs",
    }
    if learnt.members > 1:
        layers = "-".join(map(str, recipe.hidden))
        found["members"] = f"{learnt.members} networks of {layers} hidden units that predict together, as one network"
    # the last code is that of all others, and where it is the only one nothing is known of the column
    if several := [count for count in model.preparation.codes if count > 1]:
        known = " and ".join(f"{count - 1:,}" for count in several)
        found["categories"] = f"{known} of long columns, each with {CODED} numbers that are learnt (Embedding)"
    if any(isinstance(layer, NumericEmbedding) for layer in model.network.layers):
        found["numbers"] = "with cosines beside them (NumericEmbedding), which was better on rows not learnt from"
    return found
