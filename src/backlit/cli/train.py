"""`backlit train`: from a file to a saved model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, final

from cyclopts import Parameter

from ..checks import not_negative, positive
from ..data import is_image_folder
from ..exceptions import ConfigurationError, OutputError, missing_extra
from ..io import save
from ..kinds.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from ..network import Network
from ..training.history import History
from . import show

OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSprop, "adagrad": Adagrad}
PATIENCE = 10  # epochs without a better validation loss, after which training ends
TABLE_VALIDATION, IMAGE_VALIDATION = 0.2, 0.1  # fraction of the rows held out unless told

TaskOption = Literal["auto", "classification", "regression"]

Flag = Parameter(negative=())


@final
@dataclass(frozen=True)
class Settings:
    """What the options say about the network and its training."""

    hidden: tuple[int, ...]
    activation: str
    epochs: int
    batch_size: int | None
    optimizer: str
    learning_rate: float | None
    dropout: float
    validation: str | None
    seed: int
    engine: str

    def rate(self) -> float:
        """The learning rate asked for, or the optimiser's own."""
        kind: Any = OPTIMIZERS[self.optimizer]
        return float(kind().learning_rate) if self.learning_rate is None else self.learning_rate

    def batch(self, rows: int) -> int:
        """32 rows, or 128 of many."""
        return self.batch_size or (32 if rows < 10_000 else 128)

    def held_out(self, default: float) -> float | Path:
        """The fraction of the rows held out for validation, or the file that holds validation rows."""
        if self.validation is None:
            return default
        try:
            fraction = float(self.validation)
        except ValueError:
            return Path(self.validation)
        if not 0.0 <= fraction < 1.0:
            raise ConfigurationError(
                f"--validation must be a fraction of at least 0 and below 1, or a file, received {self.validation!r}"
            )
        return fraction


@final
@dataclass(frozen=True)
class Outcome:
    """A trained model and what is to be said about it."""

    model: Any
    network: Network
    history: History
    task: str
    facts: dict[str, str]
    metrics: dict[str, dict[str, float]]


def train(
    file: str,
    /,
    *,
    target: str | None = None,
    task: TaskOption = "auto",
    hidden: Annotated[list[int] | None, Parameter(negative=())] = None,
    activation: str = "relu",
    epochs: int = 50,
    batch_size: int | None = None,
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad"] = "adam",
    learning_rate: float | None = None,
    dropout: float = 0.0,
    validation: str | None = None,
    seed: int = 0,
    engine: Literal["auto", "reference", "compiled"] = "auto",
    out: str = "model.backlit",
    plot: str | None = None,
    no_header: Annotated[bool, Flag] = False,
    missing: Annotated[list[str] | None, Parameter(negative=())] = None,
    categorical: Annotated[list[str] | None, Parameter(negative=())] = None,
    numeric: Annotated[list[str] | None, Parameter(negative=())] = None,
    loose_labels: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Train a network on a table or on images, and save it.

    Parameters
    ----------
    file
        .csv, .tsv, .parquet, .npz (arrays X and y), or a folder with MNIST's four IDX files.
    target
        Column to predict: a name, or a number counted from 0 (negative from the end). Not for images.
    task
        auto: text, or at most 20 whole numbers, are classes; anything else is regression.
    hidden
        Units of a hidden layer; once for each layer. [default: 64]
    activation
        Of the hidden layers: relu, tanh, sigmoid, gelu, …
    epochs
        At the most: training ends earlier when the validation loss has not improved for 10 epochs.
    batch_size
        Rows of a step. [default: 32, or 128 from 10,000 rows on; of images 64]
    optimizer
        How a gradient becomes a step.
    learning_rate
        [default: the optimiser's own, 0.001 for adam; for images twice that, falling along half a cosine]
    dropout
        Rate after each hidden layer.
    validation
        Fraction of the rows held out to measure on (0 for none), or a file with such rows.
        [default: 0.2, of images 0.1]
    seed
        The same seed gives the same network.
    engine
        What runs the steps.
    out
        Where the model is saved.
    plot
        Also draw the learning curve into this picture (.png, .svg, .pdf).
    no_header
        The first line is data; the columns are named c0, c1, …
    missing
        A text that means a missing value, besides the empty one, NA, NaN, null and ?
    categorical
        Take this column as categories, whatever it holds.
    numeric
        Take this column as numbers.
    loose_labels
        In a validation file, take labels that differ only by case, blanks or a full stop as the same.
    json
        Print one JSON object with the final metrics to stdout; everything else goes to stderr.
    """
    settings = Settings(
        hidden=tuple(hidden or (64,)),
        activation=activation,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=None if learning_rate is None else positive("--learning-rate", learning_rate),
        dropout=not_negative("--dropout", dropout),
        validation=validation,
        seed=seed,
        engine=engine,
    )
    check_output(out)
    if plot is not None:
        check_output(plot)
    started = time.perf_counter()
    if is_image_folder(file):
        from .images import train_on_images

        if target is not None:
            raise ConfigurationError(f"--target is for tables, and {file!r} is a folder of images: leave it out")
        outcome = train_on_images(file, settings)
    else:
        from .tables import Reading, train_on_table

        reading = Reading(not no_header, tuple(missing or ()), tuple(numeric or ()), tuple(categorical or ()))
        outcome = train_on_table(file, target, task, reading, settings, loose_labels=loose_labels)
    save(outcome.model, out)
    if plot is not None:
        save_curve(outcome.history, plot)
    _show(outcome, out, plot, json, time.perf_counter() - started)


def _show(outcome: Outcome, out: str, plot: str | None, as_json: bool, seconds: float) -> None:
    history = outcome.history
    console = show.console(as_json)
    ended = f"{history.epochs} epochs in {sum(history['seconds']):.1f} s"
    if history.best_epoch is not None and history.best_epoch < history.epochs:
        ended += f"; the parameters of epoch {history.best_epoch}, the best, are kept"
    show.facts(console, {**outcome.facts, "network": show.network_text(outcome.network), "trained": ended})
    show.metrics(console, outcome.metrics)
    console.print(f"saved as {out} ({show.size_text(out)})" + (f", learning curve in {plot}" if plot else ""))
    if as_json:
        result: dict[str, Any] = {k: v for k, v in outcome.metrics.items() if k in ("train", "validation", "test")}
        result |= {"task": outcome.task, "model": out, "epochs": history.epochs, "best_epoch": history.best_epoch}
        show.print_json({**result, "seconds": round(seconds, 3)})


def check_output(path: str) -> None:
    """Refuse a path that cannot be written before any work is done, not after."""
    folder = Path(path).resolve().parent
    if Path(path).is_dir():
        raise OutputError(f"{path!r} cannot be written: it is a folder")
    if not folder.is_dir():
        raise OutputError(f"{path!r} cannot be written: there is no folder {str(folder)!r}")
    probe = folder / f".{Path(path).name}.probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{path!r} cannot be written: {error.strerror}") from error


def save_curve(history: History, path: str) -> None:
    """Draw the learning curve into a file."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "plot", "drawing the learning curve") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    history.plot(figure.add_subplot())
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise OutputError(f"the learning curve cannot be written to {path!r}: {error}") from error
