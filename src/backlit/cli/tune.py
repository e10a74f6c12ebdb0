"""`backlit tune`: settings tried out on a table, and a model trained with the best of them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, final

import numpy as np

from ..checks import positive_whole
from ..data.members import Rows
from ..data.recipe import Preset, Recipe
from ..data.tuning import Finished, Task, best_recipe, finished_trials, lowest_loss, open_study, own_loss, search
from ..exceptions import missing_extra
from ..files import write_picture
from . import show
from .keeping import Keeping
from .outputs import check_output, check_picture
from .settings import Flag, Settings, TaskOption
from .table_options import AS_FOUND, AS_IT_IS, LearningOptions, ReadingOptions
from .tables import balanced_weights, prepared_table, train_prepared
from .train import show_outcome

_TICKS: Final = {"layers": [1, 2, 3], "units": [16, 32, 64, 128, 256]}  # of the picture


def tune(
    file: str,
    /,
    *,
    target: str | None = None,
    trials: int,
    jobs: int = 1,
    dask: str | None = None,
    study: str | None = None,
    task: TaskOption = "auto",
    preset: Preset = "default",
    validation: str | None = None,
    seed: int = 0,
    engine: Literal["auto", "reference", "compiled"] = "auto",
    out: str = "model.backlit",
    plot: str | None = None,
    reading: ReadingOptions = AS_FOUND,
    learning: LearningOptions = AS_IT_IS,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Try settings out on a table, and train a model with the best of them.

    A trial trains a network on each of three folds of the rows; its loss is the mean of their validation losses. The
    first trial has the settings that train has of itself; Optuna chooses those of the others, and gives up after a
    fold what is worse than half of the trials were.

    Parameters
    ----------
    file
        A table, as for train.
    target
        Column to predict: a name, or a number counted from 0 (negative from the end).
    trials
        Settings to try out: those that a study has already count.
    jobs
        Processes that train at once, each with the rows in its memory.
    dask
        Address of a Dask cluster whose workers train instead: tcp://host:8786. Backlit must be installed there.
    study
        A file in which the search is kept as it goes: the same command goes on with it, whatever has ended it.
    task
        auto: text, or at most 20 whole numbers, are classes; anything else is regression.
    preset
        How many networks the model has that is trained at last, as for train.
    validation
        Fraction of the rows that neither trials nor training see, to measure on, or a file with such rows.
        [default: the rows that the trials were compared on as well]
    seed
        With one job the same seed gives the same search.
    engine
        What runs the steps.
    out
        Where the model is saved.
    plot
        Also draw the trials into this picture (.png, .svg, .pdf).
    json
        Print one JSON object with the final metrics to stdout; everything else goes to stderr.
    """
    positive_whole("--trials", trials)
    positive_whole("--jobs", jobs)
    keeping = Keeping.of(out, None, None, None)
    settings = Settings(validation, seed, engine, keeping, preset=preset)
    settings.check()
    inputs = {"the file": file, "the validation file": validation or file}
    others = {"--out": out}
    if study is not None:
        check_output("--study", study, inputs=inputs, others=others)
        others["--study"] = study
    if plot is not None:
        check_output("--plot", plot, inputs=inputs, others=others)
        check_picture(plot)
        others["--plot"] = plot
    keeping.check(inputs=inputs, others={name: path for name, path in others.items() if name != "--out"})
    started = time.perf_counter()
    choice = learning.choice(target, task)
    table = prepared_table(file, choice, reading.reading(), settings)
    model = table.model
    weight = balanced_weights(model, table.y) if choice.balanced else None
    rows = Rows(table.X, model.encode(table.y), weight, model.classes is not None)
    outputs = 1 if model.classes is None else len(model.classes)
    of = Task(rows, outputs, table.recipe, seed, engine, model.preparation.codes)
    show.release()
    kept = open_study(of, study)
    if done := finished_trials(kept):
        show.note(f"the study in {study!r} has {len(done)} of {trials} trials: it goes on from there")
    search(kept, of, trials, jobs=jobs, dask=dask, told=_Telling(trials, lowest_loss(kept)))
    recipe = best_recipe(kept, table.recipe)
    if plot is not None:
        draw_trials(kept, plot)
    if validation is None:
        show.remark(
            "the validation rows below are those that the trials were compared on, which flatters the best of them: "
            "--validation 0.2 holds rows out that the search does not see"
        )
    outcome = train_prepared(table, recipe, choice, settings)
    first, best, count = own_loss(kept, table.recipe), lowest_loss(kept), len(finished_trials(kept))
    given_up = count - len(finished_trials(kept, given_up=False))
    told = f"{count} trials, {given_up} given up; loss {best:.4g}, with the settings that train has {first:.4g}"
    shown = replace(outcome, facts={**outcome.facts, "search": told, "settings": " ".join(words_of(recipe))})
    drawn = f", trials in {plot}" if plot else ""
    more = {"trials": count, "given_up": given_up, "loss": best, "own_loss": first, "options": words_of(recipe)}
    show_outcome(shown, keeping, drawn, json, time.perf_counter() - started, **more)


@final
class _Telling:
    """A line for each trial as it ends."""

    def __init__(self, trials: int, best: float) -> None:
        self.trials = trials
        self.best = best

    def __call__(self, trial: Finished) -> None:
        verdict = ", given up" if trial.given_up else ", the best so far" if trial.loss < self.best else ""
        if not trial.given_up:
            self.best = min(self.best, trial.loss)
        layers = "-".join(map(str, trial.recipe.hidden))
        settings = f"{layers} {trial.recipe.activation}, dropout {trial.recipe.dropout:.2g}"
        rate = f"rate {trial.recipe.learning_rate:.2g}"
        show.note(f"trial {trial.number} of {self.trials}: loss {trial.loss:.4g}, {settings}, {rate}{verdict}")


def words_of(recipe: Recipe) -> list[str]:
    """The options with which `backlit train` has these settings."""
    hidden = [word for units in recipe.hidden for word in ("--hidden", str(units))]
    rates = ["--dropout", f"{recipe.dropout:g}", "--learning-rate", f"{recipe.learning_rate:g}"]
    return [*hidden, "--activation", recipe.activation, *rates]


def draw_trials(study: Any, path: str) -> None:
    """Draw the loss of every trial, the best so far, and the loss against each setting."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "plot", "drawing the trials") from error
    trials = [trial for trial in finished_trials(study, given_up=False) if np.isfinite(trial.value)]
    losses = np.array([trial.value for trial in trials])
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    axes[0].plot([trial.number + 1 for trial in trials], losses, "o", markersize=4)
    axes[0].plot([t.number + 1 for t in trials], np.minimum.accumulate(losses))
    axes[0].set(xlabel="trial", ylabel="validation loss", title="the line: the best so far")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    best = int(losses.argmin())
    for ax, name in zip(axes[1:], trials[0].params, strict=True):
        values = [trial.params[name] for trial in trials]
        ax.plot(values, losses, "o", markersize=4)
        ax.plot(values[best : best + 1], losses[best : best + 1], "o", markersize=9, fillstyle="none", color="C1")
        ax.set(xlabel=name.replace("_", " "), ylabel="validation loss")
        if name in ("units", "learning_rate"):
            ax.set_xscale("log")
        if name in _TICKS:
            ax.set_xticks(_TICKS[name], _TICKS[name], minor=False)
            ax.minorticks_off()
    figure.suptitle(f"{len(trials)} trials that were not given up; the best is circled")
    write_picture(figure, path)
