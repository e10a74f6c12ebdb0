"""`backlit train`: from a file to a saved model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ..checks import positive, positive_whole
from ..data.model import Reading
from ..data.recipe import Preset
from ..exceptions import ConfigurationError, missing_extra
from ..files import write_picture
from ..kinds.optimizers import OPTIMIZERS
from ..parallel.team import DEADLINE, SHARDS
from ..training.history import History
from . import show
from .keeping import Keeping
from .outputs import check_output, check_picture
from .processes import Processes
from .settings import Choice, Flag, Outcome, Settings, TaskOption
from .streamed import files_of
from .table_options import AS_FOUND, AS_IT_IS, LearningOptions, ReadingOptions

_OPTIMIZER_HELP = f"How a gradient becomes a step: {', '.join(OPTIMIZERS)}. [default: adamw, for images adam]"


def train(
    file: str,
    /,
    *,
    target: str | None = None,
    task: TaskOption = "auto",
    hidden: Annotated[list[int] | None, Parameter(negative=())] = None,
    activation: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Annotated[str | None, Parameter(help=_OPTIMIZER_HELP)] = None,
    learning_rate: float | None = None,
    dropout: float | None = None,
    preset: Preset = "default",
    minutes: float | None = None,
    validation: str | None = None,
    seed: int = 0,
    engine: Literal["auto", "reference", "compiled"] = "auto",
    out: str = "model.backlit",
    checkpoint: str | None = None,
    every: str | None = None,
    resume: str | None = None,
    plot: str | None = None,
    reading: ReadingOptions = AS_FOUND,
    learning: LearningOptions = AS_IT_IS,
    stream: Annotated[bool, Flag] = False,
    scratch: str | None = None,
    processes: int | None = None,
    shards: int = SHARDS,
    reduction: Literal["exact", "fast"] = "exact",
    deadline: float = DEADLINE,
    max_restarts: int = 0,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Train a network on a table or on images, and save it.

    Parameters
    ----------
    file
        .csv, .tsv, .txt, .parquet, .feather, .jsonl, .xlsx, .npz (arrays X and y), or a folder with MNIST's four IDX
        files.
    target
        Column to predict: a name, or a number counted from 0 (negative from the end). Not for images.
    task
        auto: text, or at most 20 whole numbers, are classes; anything else is regression.
    hidden
        Units of a hidden layer; once for each layer. [default: 64 and 64; for images 64, with --preset best
        two of 512 to 2048, by the minutes]
    activation
        Of the hidden layers: relu, tanh, sigmoid, gelu, … [default: relu]
    epochs
        At the most: a network's training ends earlier when its validation loss improves no longer.
        [default: by the size of the table, for images 50]
    batch_size
        Rows of a step. [default: 32 to 256 by the size of the table, for images 64]
    learning_rate
        At the beginning, of images with --preset best after a tenth of the epochs; it falls along half a cosine.
        [default: 0.003, for images 0.002, with --preset best by the width of the layers; of another optimiser its own]
    dropout
        Rate after each hidden layer. [default: 0.1, for images 0]
    preset
        Of a table: fast trains one network, watched on a fifth of the rows; default several, each without a part of the
        rows, whose mean predicts; best more of them, for as much longer. Of images: best learns from pictures deformed
        anew in every epoch, in a large network, for half an hour or more; the others from the images as they are.
    minutes
        Of a table: train networks for that long, however many they are. Of images with --preset best: as many epochs as
        fit in, on a machine that does nothing else.
    validation
        Fraction of the rows held out to measure on (0 for none), or a file with such rows. [default: of a table each
        row is measured by networks that have not learnt from it, of images 0.1, with --preset best none]
    seed
        The same seed gives the same network.
    engine
        What runs the steps.
    out
        Where the model is saved. A run that is interrupted leaves its model beside it, as OUT.partial.
    checkpoint
        Write the run into this file now and then, so that --resume can go on with it whatever has ended it. Of a table
        one network is then trained, as --preset fast does.
    every
        Time between two writings of the checkpoint: 60, 60s, 5m, 1h. [default: 60s]
    resume
        Go on with the run of this checkpoint, to the very model of an unbroken run: repeat the command that began it,
        with --resume added. The run is written into this file again, unless --checkpoint names another.
    plot
        Also draw the learning curve into this picture (.png, .svg, .pdf).
    stream
        Leave the rows on disk: for tables that do not fit into memory. FILE is then a file, a folder of them, or a
        pattern in quotes such as 'part-*.parquet', of .csv, .tsv, .txt, .parquet, .npz, .npy or MNIST's files. One
        network is trained.
    scratch
        Folder where --stream keeps prepared rows while it runs. [default: the folder of --out]
    processes
        Train over that many processes of this machine, which MPI starts; over several machines, start the command with
        mpiexec instead.
    shards
        Into how many pieces each batch is cut for the processes, a power of two: the model depends on it, and not on
        how many processes there are.
    reduction
        How the processes add up: exact gives the same model for any power of two of them; fast is MPI's own sum.
    deadline
        Seconds after which a process that does not answer ends the run.
    max_restarts
        How often a run over processes that has failed goes on from its checkpoint by itself.
    json
        Print one JSON object with the final metrics to stdout; everything else goes to stderr.
    """
    started = time.perf_counter()
    several = Processes(processes, shards, reduction, deadline, max_restarts)
    keeping = Keeping.of(out, checkpoint, every, resume)
    several.check(keeping.checkpoint, minutes)
    options: dict[str, Any] = {
        "hidden": tuple(hidden) if hidden else None,
        "activation": activation,
        "epochs": epochs,
        "batch_size": None if batch_size is None else positive_whole("--batch-size", batch_size),
        "optimizer": optimizer,
        "learning_rate": None if learning_rate is None else positive("--learning-rate", learning_rate),
        "dropout": dropout,
    }
    given = {name: value for name, value in options.items() if value is not None}
    keeping = replace(keeping, team=several.team()) if several.joins() else keeping
    settings = Settings(
        **given,
        validation=validation,
        seed=seed,
        engine=engine,
        keeping=keeping,
        preset=preset,
        minutes=minutes,
        given=given,
    )
    settings.check()
    if scratch is not None and not stream:
        raise ConfigurationError("--scratch is where --stream keeps prepared rows: give --stream too, or leave it out")
    inputs = {**files_of(file, stream=stream), "the validation file": validation or file}
    check_output("--out", out, inputs=inputs)
    if plot is not None:
        check_output("--plot", plot, inputs=inputs, others={"--out": out})
        check_picture(plot)
    keeping.check(inputs=inputs, others={} if plot is None else {"--plot": plot})
    several.start(keeping.checkpoint)
    choice, read = learning.choice(target, task), reading.reading()
    if stream:
        outcome = _streamed(file, choice, read, settings, scratch or str(Path(out).resolve().parent))
    else:
        outcome = _in_memory(file, choice, read, settings, started)
    if plot is not None:
        save_curve(outcome.history, plot)
    curve = f", learning curve in {plot}" if plot else ""
    show_outcome(outcome, keeping, curve, json, time.perf_counter() - started)


def _in_memory(file: str, choice: Choice, reading: Reading, settings: Settings, started: float) -> Outcome:
    from ..data.images import is_image_folder

    if is_image_folder(file):
        from .images import train_on_images

        _refuse_target(choice, file)
        return train_on_images(file, settings, started)
    if file.endswith(".npz") and choice.target is None:
        from .images import holds_images, train_on_bytes

        if holds_images(file, choice.task):
            return train_on_bytes(file, settings, started)
    from .tables import train_on_table

    settings.check_for_table()
    return train_on_table(file, choice, reading, settings)


def _streamed(file: str, choice: Choice, reading: Reading, settings: Settings, scratch: str) -> Outcome:
    from ..data.images import is_image_folder
    from .image_streams import are_images, train_on_image_stream
    from .streams import check_settings, train_on_stream

    check_settings(settings)
    if is_image_folder(file):
        _refuse_target(choice, file)
    if choice.target is None and are_images(file, choice.task):
        return train_on_image_stream(file, settings, scratch)
    return train_on_stream(file, choice, reading, settings, scratch)


def _refuse_target(choice: Choice, folder: str) -> None:
    if choice.target is not None:
        raise ConfigurationError(f"--target is for tables, and {folder!r} is a folder of images: leave it out")


def show_outcome(outcome: Outcome, keeping: Keeping, drawn: str, as_json: bool, seconds: float, **more: Any) -> None:
    """Say what was trained and how good it is; with JSON, `more` as well."""
    history, out = outcome.history, keeping.out
    console = show.console(as_json)
    which = "the first network " if outcome.members > 1 else ""
    ended = f"{which}{history.epochs} epochs in {sum(history['seconds']):.1f} s"
    if history.best_epoch is not None and history.best_epoch < history.epochs:
        ended += f"; the parameters of epoch {history.best_epoch}, the best, are kept"
    show.facts(console, {**outcome.facts, "network": show.network_text(outcome.network), "trained": ended})
    show.metrics(console, outcome.metrics)
    show.line(console, f"saved as {out} ({show.size_text(out)}){drawn}")
    if as_json:
        result: dict[str, Any] = {k: v for k, v in outcome.metrics.items() if k in ("train", "validation", "test")}
        result |= {"task": outcome.task, "model": out, "epochs": history.epochs, "best_epoch": history.best_epoch}
        result |= {"members": outcome.members, "checkpoint": keeping.checkpoint, "resumed": keeping.resume}
        show.print_json({**result, **more, "seconds": round(seconds, 3)})


def save_curve(history: History, path: str) -> None:
    """Draw the learning curve into a file."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "plot", "drawing the learning curve") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    history.plot(figure.add_subplot())
    write_picture(figure, path)
