"""`backlit train --stream`: from files that stay on disk to a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from ..data.learning import calibrate, known_errors, network_maker
from ..data.members import MOST_NUMBERS, WATCHED, optimizer_of
from ..data.merging import with_output
from ..data.model import Reading, TableModel
from ..data.recipe import Recipe
from ..data.streaming.holding import HeldOut
from ..data.streaming.measures import Baseline, ClassMeasures, Measures
from ..data.streaming.places import Part, find_parts
from ..data.streaming.preparing import prepare
from ..data.streaming.reading import form_for, table_blocks
from ..data.streaming.spool import Spool
from ..data.streaming.store import WINDOW_BYTES
from ..data.streaming.stream import Stream
from ..data.streaming.survey import Survey, Wanted, survey
from ..exceptions import ConfigurationError, TableError
from ..lens.healthcheck.health import HealthMonitor
from ..parameters import Array
from ..training.callbacks import Callback, EarlyStopping
from ..training.history import History
from . import show
from .settings import MOST_WATCHED, Choice, Outcome, Settings
from .streamed import measured_file, new_measures
from .tables import classes_text, no_column, remark_on_columns, target_name

#: Rows on which the training of a stream is watched, at the most: more would change nothing but the time.
MOST_WATCHED_ROWS: Final = 2**18


def check_settings(settings: Settings) -> None:
    """Refuse what asks for several networks: a stream trains one."""
    asked = "--minutes" if settings.minutes is not None else f"--preset {settings.preset}"
    if settings.minutes is not None or settings.preset == "best":
        raise ConfigurationError(f"--stream trains one network, and {asked} several: leave out one of the two")


def train_on_stream(file: str, choice: Choice, reading: Reading, settings: Settings, scratch: str) -> Outcome:
    """Learn in one pass how the columns are prepared, write the prepared rows to disk, train one network, measure."""
    held = settings.held_out(0.0)
    share = held if isinstance(held, float) else 0.0
    parts = find_parts(file)
    table = Spool(parts, form_for(reading), scratch)
    with show.reading(file) as progress, show.others_silent(parts[0].suffix == ".parquet"):
        name = target_name(_columns(parts, reading), choice.target, str(parts[0].path))
        wanted = Wanted(name, choice.task, reading.numeric, reading.categorical, choice.keep, choice.drop)
        about = survey(table, wanted, HeldOut(share, settings.seed), progress)
        remark_on_columns(about.left_out, about.remarks)
        if not about.preparation.kinds:
            raise no_column(file, name)
        watched = 0.0
        if settings.validation is None or share or not isinstance(held, float):
            watched = min(WATCHED, MOST_WATCHED_ROWS / max(1, about.kept - about.held))
        if choice.balanced and about.labels is None:
            raise ConfigurationError("--class-weight is for classes, and this is a regression: leave it out")
        rows = prepare(
            table,
            about,
            HeldOut(share, settings.seed, watched),
            dtype=np.float32,
            window=WINDOW_BYTES,
            folder=scratch,
            balanced=choice.balanced,
            progress=progress,
        )
    _check_classes(rows)
    classes = rows.classes
    recipe = replace(settings, preset="fast").recipe(len(rows), rows.shape[1], 1 if classes is None else len(classes))
    net = network_maker(rows.shape[1], 1 if classes is None else len(classes), recipe, classes=classes is not None)(
        settings.seed
    )
    model = rows.model(net, reading=reading)
    model.optimizer, model.learning_rate = recipe.optimizer, recipe.learning_rate
    _train(model, rows, recipe, settings)
    settings.keeping.save(model)
    metrics = {"train": measured(model, rows).in_short()}
    measures: Measures | None = None
    baseline = _baseline(about)
    if not isinstance(held, float):
        measures = measured_file(model, str(held), loose_labels=choice.loose_labels, baseline=baseline)
    elif (apart := rows.watched if settings.validation is None else rows.held) is not None:
        measures = measured(model, apart, baseline)
    if measures is not None:
        metrics["validation"] = measures.in_short()
        metrics["(baseline)"] = baseline.in_short()
    facts = _facts(model, rows, 0 if measures is None else measures.rows)
    return Outcome(model, model.network, model.history, model.task, facts, metrics)


def _baseline(about: Survey) -> Baseline:
    """The most frequent class; the mean, and the median for the absolute error."""
    if about.class_rows is not None:
        return Baseline(int(about.class_rows.argmax()))
    return Baseline(about.values.moments.mean, about.values.sketch.median())


def _facts(model: TableModel, rows: Stream, rows_val: int) -> dict[str, str]:
    kinds = list(model.preparation.kinds.values())
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("numeric", "date", "categorical") if kind in kinds]
    return {
        "task": f"{model.task} of {model.target}{classes_text(model)}",
        "rows": f"{len(rows):,} to train, {rows_val:,} to validate, read from disk",
        "columns": f"{' and '.join(counts)} → {model.preparation.width} inputs",
    }


def _columns(parts: list[Part], reading: Reading) -> list[str]:
    """The names of the columns, from the first rows."""
    blocks = table_blocks(parts, form_for(reading))
    found = next(blocks).frame.columns
    return list(found)


def _check_classes(rows: Stream) -> None:
    """Refuse rows to train on that hold a single class."""
    about = rows.about
    if about is None or about.class_rows is None or about.labels is None:
        return
    if np.count_nonzero(about.class_rows) < 2:
        only = about.labels[int(about.class_rows.argmax())]
        raise TableError(f"the rows to train on hold only one class, {only!s}: at least two are needed")
    lacking = about.labels[about.class_rows == 0]
    if len(lacking):
        shown = ", ".join(repr(label) for label in lacking.tolist()[:5]) + (", …" if len(lacking) > 5 else "")
        show.remark(f"of {len(about.labels)} classes these have no row to train on, all are held out: {shown}")


def _train(model: TableModel, rows: Stream, recipe: Recipe, settings: Settings) -> None:
    """Train the model's network, and calibrate it on the rows that it was watched on."""
    net = model.network
    watching = [HealthMonitor(show=True)] if net.parameters.size <= MOST_WATCHED else []
    callbacks: list[Callback] = [show.ReleaseRemarks(), *watching]
    if rows.watched is not None:
        callbacks.append(EarlyStopping(patience=recipe.patience))

    def so_far(history: History) -> TableModel:
        model.history = history
        return model

    history = settings.keeping.run(
        so_far,
        net,
        rows,
        None,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=optimizer_of(recipe),
        validation=rows.watched,
        callbacks=callbacks,
        engine=settings.engine,
    )
    model.history = history
    if rows.watched is None:
        return
    if model.classes is None:
        pairs = list(raw_outputs(model, rows.watched))
        model.errors = known_errors(np.concatenate([model.values(a) - y for a, y in pairs]))
        return
    some = max(1, MOST_NUMBERS // len(model.classes))  # rows that tell the temperature
    bare, found, count = with_output(net, "identity"), [], 0
    for X, y in rows.watched.pieces():
        found.append((bare.forward(X[: some - count]), y[: some - count].copy()))
        count += len(found[-1][1])
        if count >= some:
            break
    z, y = (np.concatenate(parts) for parts in zip(*found, strict=True))
    factors = rows.row_targets.factors
    calibrate(model, z, y, None if factors is None else factors[y])


def raw_outputs(model: TableModel, rows: Stream) -> Iterator[tuple[Array, Array]]:
    """What the network gives for the rows, with their targets in their own units."""
    for X, y in rows.pieces():
        yield model.network.forward(X), y.copy()


def measured(model: TableModel, rows: Stream, baseline: Baseline | None = None) -> Measures:
    """Loss and metrics on prepared rows."""
    measures = new_measures(model)
    for a, y in raw_outputs(model, rows):
        if isinstance(measures, ClassMeasures):
            measures.add(model.probabilities(a), y, scores=False)
        else:
            measures.add(model.values(a), y)
        if baseline is not None:
            baseline.add(y)
    return measures
