"""Images on the command line: bytes that stay bytes, scaled batch by batch inside the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..data.arrays import read_arrays, read_features
from ..data.deforming import mean_over_copies
from ..data.image_recipe import hidden_layers, network_of_bytes
from ..data.images import read_image_folder
from ..data.measures import classification_measures
from ..data.split import keep_rows, split_rows
from ..exceptions import ConfigurationError, LabelError
from ..kinds.optimizers import OPTIMIZERS, Optimizer
from ..kinds.schedules import CosineDecay
from ..lens.healthcheck.health import HealthMonitor
from ..network import Network
from ..parameters import Array
from ..training.callbacks import Callback, EarlyStopping
from ..training.evaluation import evaluate
from ..training.history import History
from .best_images import train_best
from .settings import IMAGE_VALIDATION, PATIENCE, Outcome, Settings


def train_on_images(folder: str, settings: Settings, started: float) -> Outcome:
    """MNIST's four files: train on part of the training images, validate on the rest, test on the t10k pair."""
    settings.check_for_images()
    images = read_image_folder(folder)
    test = images.X_test, images.y_test
    return _train(images.X_train, images.y_train, test, settings, started, images.shape, f"{images.shape}")


def train_on_bytes(file: str, settings: Settings, started: float) -> Outcome:
    """An .npz file whose X is uint8: treated as pictures, 0 to 255."""
    settings.check_for_images()
    X, y = read_arrays(file)
    sides = sides_of_square(file, X.shape[1]) if settings.preset == "best" else (1, X.shape[1])
    return _train(X, y, None, settings, started, sides, f"({X.shape[1]},)")


def _train(
    X: Array,
    y: Array,
    test: tuple[Array, Array] | None,
    settings: Settings,
    started: float,
    sides: tuple[int, int],
    shape: str,
) -> Outcome:
    best = settings.preset == "best"
    held = settings.held_out(0.0 if best else IMAGE_VALIDATION)
    classes, Y = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise LabelError(f"the images have only one label, {classes.tolist()[0]!r}: at least two are needed")
    train, held_rows = np.arange(len(Y)), np.arange(0)
    validation: tuple[Array, Array] | None = None
    if isinstance(held, Path):
        X_val, y_val = read_arrays(held)
        validation = (X_val, known_labels(y_val, classes))
    elif held:
        train, held_rows = split_rows(len(Y), held, seed=settings.seed, labels=Y)
        validation = (X[held_rows], Y[held_rows])
        X, Y = keep_rows(X, train), Y[train]
    if test is not None:
        test = test[0], known_labels(test[1], classes)

    def named(net: Network, history: History) -> Network:
        net.classes = classes
        return net

    if best:
        net, history = train_best(X, Y, validation, sides, len(classes), settings, named, started)
    else:
        net, history = _train_plainly(X, Y, validation, len(classes), settings, named)
    metrics = {"train": measured_images(net, X, Y)}
    if validation is not None:
        metrics["validation"] = measured_images(net, *validation)
    if test is not None:
        metrics["test"] = measured_images(net, *test)
    facts = {
        "task": f"classification of images {shape}, {len(classes)} classes",
        "images": f"{len(Y):,} to train, {0 if validation is None else len(validation[1]):,} to validate"
        + ("" if test is None else f", {len(test[1]):,} to test"),
    }
    return Outcome(named(net, history), net, history, "classification", facts, metrics)


def _train_plainly(
    X: Array,
    y: Array,
    validation: tuple[Array, Array] | None,
    classes: int,
    settings: Settings,
    named: Callable[[Network, History], Network],
) -> tuple[Network, History]:
    """One network on the images as they are, until the validation loss gets no better."""
    net = image_network(settings, X.shape[1], classes)
    callbacks: list[Callback] = [EarlyStopping(patience=PATIENCE)] if validation else []
    callbacks.append(HealthMonitor(show=True))
    history = settings.keeping.fit(
        lambda history: named(net, history),
        net,
        X,
        y,
        epochs=settings.epochs,
        batch_size=settings.batch_size or 64,
        optimizer=optimizer_for(settings),
        validation=validation,
        callbacks=callbacks,
        engine=settings.engine,
    )
    return net, history


def image_network(settings: Settings, inputs: int, classes: int) -> Network:
    """A network of the hidden layers asked for, on bytes."""
    layers = hidden_layers(settings.hidden, settings.activation, settings.dropout)
    return network_of_bytes(layers, inputs, classes, "cross_entropy", settings.seed)


def optimizer_for(settings: Settings) -> Optimizer:
    """The learning rate falls along half a cosine: on MNIST that is worth 0.2 points against a constant one."""
    rate = settings.rate() if settings.learning_rate is not None else 2.0 * settings.rate()
    made: Optimizer = OPTIMIZERS[settings.optimizer](CosineDecay(rate, settings.epochs))
    return made


def measured_images(
    net: Network, X: Array, index: Array, sides: tuple[int, int] = (0, 0), copies: int = 0
) -> dict[str, float]:
    """Loss and accuracy; of the labels themselves, where the network was trained with smoothed ones.

    `sides` are those of an image, for its copies.
    """
    if copies or net.aim is not None:
        return classification_measures(image_outputs(net, X, sides, copies), index)
    Y = np.zeros((len(index), net.outputs), net.dtype)
    Y[np.arange(len(index)), index] = 1.0
    return evaluate(net, X, Y)


def image_outputs(net: Network, X: Array, sides: tuple[int, int], copies: int) -> Array:
    """The probabilities; with copies, their mean over each image and so many copies of it, deformed a little."""
    if not copies:
        return net.forward(X)
    return mean_over_copies(net, X, sides, copies)


def image_sides(file: str, inputs: int) -> tuple[int, int]:
    """The sides of an image: of a folder those that it states, else those of a square."""
    return read_image_folder(file).shape if Path(file).is_dir() else sides_of_square(file, inputs)


def sides_of_square(file: str, inputs: int) -> tuple[int, int]:
    side = math.isqrt(inputs)
    if side * side != inputs:
        raise ConfigurationError(
            f"what deforms images has to know their sides, and the {inputs} numbers of a row in {file!r} are no "
            "square: give a folder of IDX files"
        )
    return side, side


def known_labels(labels: Array, classes: Array, first: int = 0) -> Array:
    """The numbers of the labels among the classes; `first` images stand before these."""
    unknown = ~np.isin(labels, classes)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise LabelError(
            f"the label {labels.tolist()[row]!r} of image {first + row} is not among the {len(classes)} known classes"
        )
    return np.asarray(np.searchsorted(classes, labels))


def read_images(file: str, net: Network, name: str) -> tuple[Array, Array | None]:
    """The images to measure or to predict: the t10k pair of a folder, or an .npz file."""
    y: Array | None
    if Path(file).is_dir():
        images = read_image_folder(file)
        X, y = images.X_test, images.y_test
    elif file.endswith(".npz"):
        X, y = read_features(file)
    else:
        raise ConfigurationError(
            f"{name!r} is a network for images: give a folder of IDX files or an .npz file, received {file!r}"
        )
    if X.shape[1] != net.inputs:
        raise ConfigurationError(f"{name!r} takes {net.inputs} numbers a row, but {file!r} has {X.shape[1]}")
    return X, y


def class_names(net: Network) -> Any:
    return np.arange(net.outputs) if net.classes is None else net.classes


def holds_images(file: str, task: str) -> bool:
    """Whether an .npz file holds bytes with labels: pictures. Values that go on and on are no labels."""
    X, y = read_features(file)
    if y is None or X.dtype != np.uint8 or task == "regression" or y.ndim != 1:
        return False
    return task == "classification" or y.dtype.kind != "f" or bool((y == np.floor(y)).all() and len(np.unique(y)) <= 20)
