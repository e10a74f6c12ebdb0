"""Handwritten digits with stochastic gradient descent, and the improvements one by one.

784-30-10 sigmoid units, squared error, batches of 10, learning rate 3.0; then cross-entropy, a start scaled by
1/√fan_in, L2, early stopping, dropout, and a training set enlarged by shifts, rotations and elastic deformation.
Source of the settings and the published figures: M. Nielsen, "Neural Networks and Deep Learning" (2015), chapters 1, 3.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from ..data import find_mnist, load, read_image_folder, split_rows
from ..data.augment import Augmented
from ..exceptions import FileMissingError
from ..kinds import Dense, Dropout
from ..kinds.optimizers import SGD
from ..network import Network
from ..parameters import Array
from ..training.callbacks import Callback, EarlyStopping, Monitor
from ..training.fit import fit
from ..training.history import History
from . import slow_start

BATCH_SIZE: Final = 10
SCALE_OF_LAMBDA: Final = 50_000  # λ is published for this many training images: the loss has (λ/2n) Σ w²
PATIENCE: Final = 10  # epochs without better validation accuracy
DROPOUT: Final = 0.2
LAMBDA: Final = 5.0

#: The published test accuracies, of one run each.
PUBLISHED: Final = {
    "784-30-10 squared_error 30 epochs": 0.9542,
    "784-30-10 cross_entropy 30 epochs": 0.9549,
    "784-100-10 squared_error 30 epochs": 0.9659,
    "784-100-10 cross_entropy L2 60 epochs": 0.9804,
}


#: Each improvement: its row in the table, and the settings it changes.
IMPROVEMENTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "cross-entropy": ("+ cross-entropy", {"loss": "cross_entropy", "learning_rate": 0.5}),
    "scaled-init": ("+ start by 1/√fan_in", {"hidden_init": "scaled_normal", "output_init": "scaled_normal"}),
    "l2": (f"+ L2, λ = {LAMBDA:g}", {"penalty": LAMBDA}),
    "early-stopping": ("+ early stopping", {"early_stopping": True}),
    "dropout": (f"+ dropout {DROPOUT:g}", {"dropout": DROPOUT}),
    "enlarge": ("+ enlarged set", {"enlarge": True}),
}


@final
@dataclass(frozen=True)
class Settings:
    """One network and how it is trained."""

    hidden: int = 30
    epochs: int = 30
    loss: str = "squared_error"
    learning_rate: float = 3.0
    hidden_init: str = "standard_normal"
    output_init: str = "standard_normal"
    penalty: float = 0.0  # λ
    early_stopping: bool = False
    dropout: float = 0.0
    enlarge: bool = False


@final
@dataclass(frozen=True)
class Row:
    """A line of the table: settings, and which published figure they are to reproduce, if any."""

    label: str
    settings: Settings
    published: str | None = None


@final
@dataclass(frozen=True)
class Images:
    """Training, validation and test images, as rows of pixels."""

    what: str
    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    test: tuple[Array, Array]
    shape: tuple[int, int]
    brightest: float
    whole: bool  # not a part of it for a quick run, so that results compare with published ones


@final
@dataclass(frozen=True)
class Run:
    """One seed of a row.

    Attributes
    ----------
    test_accuracy : float
        Of the network that training ends with: the last epoch's, or the best on validation with early stopping.
    monitor : History
        train_, validation_ and test_ loss and accuracy, one value an epoch.
    lost_digits : list of int
        Digits that the network recognises in fewer than one in ten of their test images.
    """

    seed: int
    test_accuracy: float
    monitor: History
    lost_digits: list[int]
    seconds: float


@final
@dataclass(frozen=True)
class RowResult:
    """A line of the table, measured."""

    row: Row
    runs: list[Run]

    @property
    def mean(self) -> float:
        return statistics.fmean(run.test_accuracy for run in self.runs)

    @property
    def best_epoch_mean(self) -> float:
        """The mean over the seeds of the best epoch's test accuracy: the epoch is chosen with the answers known."""
        return statistics.fmean(max(run.monitor["test_accuracy"]) for run in self.runs)


@final
@dataclass(frozen=True)
class DigitsResults:
    """The table, row by row, and the neuron that starts badly wrong."""

    images: Images
    seeds: list[int]
    rows: list[RowResult]
    neurons: list[slow_start.Neuron]

    def as_json(self) -> dict[str, Any]:
        return {
            "published_test_accuracy": {r.row.published: r.mean for r in self.rows if r.row.published is not None},
            "rows": [
                {
                    "row": r.row.label,
                    "test_accuracy": [run.test_accuracy for run in r.runs],
                    "mean": r.mean,
                    "best_epoch_mean": r.best_epoch_mean,
                    "seconds": [run.seconds for run in r.runs],
                }
                for r in self.rows
            ],
            "seeds": self.seeds,
        }


def load_images(folder: str | Path | None, *, quick: bool) -> Images:
    """MNIST from the folder, or from where it is found; with `quick` and no folder, scikit-learn's 8×8 digits.

    Raises
    ------
    FileMissingError
        No folder given and no MNIST found.
    """
    if quick and folder is None:
        small = load("digits")
        rest, test = split_rows(len(small.y), 1 / 6, seed=0, labels=small.y)
        train, validation = split_rows(len(rest), 1 / 5, seed=0, labels=small.y[rest])
        parts = [(small.X[rows], small.y[rows]) for rows in (rest[train], rest[validation], test)]
        return Images("scikit-learn's 8×8 digits", parts[0], parts[1], parts[2], (8, 8), 16.0, whole=False)
    folder = find_mnist() if folder is None else Path(folder)
    if folder is None:
        raise FileMissingError(
            "there is no MNIST here: name the folder with its four files with --data, or use --quick for 8×8 digits"
        )
    read = read_image_folder(folder)
    n = len(read.y_train) * 5 // 6  # 50,000 of MNIST's 60,000
    kept, watched = (min(n, 10_000), 2_000) if quick else (n, None)
    return Images(
        what=f"{folder}" + (f" ({kept:,} of its {n:,} training images)" if kept < n else ""),
        train=(read.X_train[:kept], read.y_train[:kept]),
        validation=(read.X_train[n:][:watched], read.y_train[n:][:watched]),
        test=(read.X_test, read.y_test),
        shape=read.shape,
        brightest=255.0,
        whole=kept == n,
    )


def ladder(base: Settings, improvements: Sequence[str]) -> list[Row]:
    """The plain network, then one improvement more in each row, in the order given.

    Improvements are names of `IMPROVEMENTS`.
    """
    rows = [Row(f"{base.hidden} hidden, squared error", base, published=_published(base))]
    settings = base
    for name in improvements:
        label, changes = IMPROVEMENTS[name]
        settings = replace(settings, **changes)
        rows.append(Row(label, settings, published=_published(settings)))
    return rows


def _published(settings: Settings) -> str | None:
    """The published figure with these settings, if there is one."""
    for row in published_rows():
        if row.published is not None and row.settings == settings:
            return row.published
    return None


def published_rows() -> list[Row]:
    """The four published networks.

    The third is followed by a variant. With every weight from the standard normal distribution some of its outputs
    start, and stay, at 0: the digit is never recognised. Scaling the output weights alone by 1/√fan_in lets them learn.
    """
    first, second, third, fourth = PUBLISHED
    wide = Settings(hidden=100)
    improved = Settings(
        hidden=100,
        epochs=60,
        loss="cross_entropy",
        learning_rate=0.1,
        hidden_init="scaled_normal",
        output_init="scaled_normal",
        penalty=LAMBDA,
    )
    return [
        Row("30 hidden, squared error", Settings(), first),
        Row("30 hidden, cross-entropy", Settings(loss="cross_entropy", learning_rate=0.5), second),
        Row("100 hidden, squared error", wide, third),
        Row("the same, output / √fan_in", replace(wide, output_init="scaled_normal")),
        Row("100 hidden, L2, 60 epochs", improved, fourth),
    ]


def full_rows() -> list[Row]:
    """The plain network with one improvement after the other, then the published ones on 100 hidden units."""
    return [*ladder(Settings(), list(IMPROVEMENTS)), *published_rows()[2:]]


def network(settings: Settings, images: Images, seed: int) -> Network:
    """The network of the settings, all units sigmoid."""
    hidden = Dense(settings.hidden, "sigmoid", weight_init=settings.hidden_init, bias_init="standard_normal")
    output = Dense(10, "sigmoid", weight_init=settings.output_init, bias_init="standard_normal")
    return Network(
        [hidden, Dropout(settings.dropout), output] if settings.dropout else [hidden, output],
        inputs=images.train[0].shape[1],
        loss=settings.loss,
        l2=settings.penalty / SCALE_OF_LAMBDA,
        input_scale=1.0 / images.brightest,
        seed=seed,
    )


def train(settings: Settings, images: Images, seed: int, *, progress: bool) -> Run:
    """Train one network and measure it on the test images."""
    net = network(settings, images, seed)
    X, y = images.train
    sample = slice(0, len(images.validation[1]))  # measuring costs time too
    monitor = Monitor(train=(X[sample], y[sample]), validation=images.validation, test=images.test)
    callbacks: list[Callback] = [monitor]
    if settings.early_stopping:
        callbacks.append(EarlyStopping("val_accuracy", patience=PATIENCE))
    history = fit(
        net,
        Augmented(X, images.shape, seed=seed, **_deformation(images.shape)) if settings.enlarge else X,
        y,
        epochs=settings.epochs,
        batch_size=BATCH_SIZE,
        optimizer=SGD(settings.learning_rate),
        validation=images.validation if settings.early_stopping else None,
        callbacks=callbacks,
        progress=progress,
    )
    X_test, y_test = images.test
    said = net.forward(X_test).argmax(axis=1)
    right = said == y_test
    lost = [digit for digit in range(10) if right[y_test == digit].mean() < 0.1]
    return Run(seed, float(right.mean()), monitor.history, lost, sum(history["seconds"]))


def _deformation(shape: tuple[int, int]) -> dict[str, Any]:
    """Strengths for 28×28 pixels; a picture of 8×8 is not shifted by a whole eighth, and bent in proportion."""
    size = min(shape) / 28.0
    # The smoothed field is α / smoothness pixels long, so that α goes with the square.
    return {"shift": round(size), "elastic": 15.0 * size**2, "smoothness": 4.0 * size}


def run(
    rows: Sequence[Row], images: Images, seeds: Sequence[int], *, progress: bool = True, on_row: Any = None
) -> DigitsResults:
    """Train every row with every seed. `on_row(row, seed)` is called before each."""
    results = []
    for row in rows:
        runs = []
        for seed in seeds:
            if on_row is not None:
                on_row(row, seed)
            runs.append(train(row.settings, images, seed, progress=progress))
        results.append(RowResult(row if images.whole else replace(row, published=None), runs))
    return DigitsResults(images, list(seeds), results, slow_start.run())
